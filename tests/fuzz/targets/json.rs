//! The strict parser accepts only JSON that another parser accepts, and both see the same value.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::wire::json::{self, DEPTH_MAX, ErrorKind, SIZE_MAX, Value, ValueKind};
use serde_json::Value as Other;

/// Compares both values recursively.
fn compare(ours: Value<'_>, theirs: &Other, depth: usize) {
    assert!(depth <= DEPTH_MAX);
    let again = json::parse(ours.raw().as_bytes()).expect("a part of JSON is JSON");
    assert_eq!(again.kind(), ours.kind());
    match (ours.kind(), theirs) {
        (ValueKind::Null, Other::Null) => {}
        (ValueKind::Bool, Other::Bool(bool)) => assert_eq!(ours.as_bool(), Some(*bool)),
        // The other parser rewrites exponents, so only integers are compared.
        (ValueKind::Number, Other::Number(number)) => {
            if let Some(whole) = ours.as_whole() {
                assert_eq!(number.as_u64(), Some(whole));
            }
        }
        (ValueKind::Text, Other::String(text)) => {
            assert_eq!(ours.as_text().expect("text").to_string(), *text);
        }
        (ValueKind::Array, Other::Array(elements)) => {
            assert_eq!(ours.elements().count(), elements.len());
            for (ours, theirs) in ours.elements().zip(elements) {
                compare(ours, theirs, depth + 1);
            }
        }
        (ValueKind::Object, Other::Object(members)) => {
            for (key, theirs) in members {
                compare(ours.get(key).expect("the same keys"), theirs, depth + 1);
            }
            assert!(ours.members().count() >= members.len());
        }
        (ours, theirs) => panic!("{ours:?} or {theirs:?}"),
    }
}

linkbeat_fuzz::target!(|data| {
    let theirs = serde_json::from_slice::<Other>(data);
    match json::parse(data) {
        Ok(ours) => compare(ours, &theirs.expect("accepted by us alone"), 0),
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1);
            assert!(!error.to_string().contains(char::is_control), "{error}");
            let limit = matches!(error.kind, ErrorKind::TooDeep)
                || (matches!(error.kind, ErrorKind::TooLong) && data.len() > SIZE_MAX);
            assert!(limit || theirs.is_err(), "refused by us alone: {error}");
        }
    }
});
