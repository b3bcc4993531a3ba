//! What the strict reader accepts is JSON, by the word of another reader; both see the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat::wire::json::{self, DEPTH_MAX, ErrorKind, Kind, SIZE_MAX, Value};
use serde_json::Value as Other;

/// Walks both values side by side.
fn compare(ours: Value<'_>, theirs: &Other, depth: usize) {
    assert!(depth <= DEPTH_MAX);
    let again = json::parse(ours.raw().as_bytes()).expect("a part of JSON is JSON");
    assert_eq!(again.kind(), ours.kind());
    match (ours.kind(), theirs) {
        (Kind::Null, Other::Null) => {}
        (Kind::Bool, Other::Bool(bool)) => assert_eq!(ours.as_bool(), Some(*bool)),
        // Exponents are written anew by the other reader, so only whole numbers are compared.
        (Kind::Number, Other::Number(number)) => {
            if let Some(whole) = ours.as_whole() {
                assert_eq!(number.as_u64(), Some(whole));
            }
        }
        (Kind::Text, Other::String(text)) => {
            assert_eq!(ours.as_text().expect("text").to_string(), *text);
        }
        (Kind::Array, Other::Array(elements)) => {
            assert_eq!(ours.elements().count(), elements.len());
            for (ours, theirs) in ours.elements().zip(elements) {
                compare(ours, theirs, depth + 1);
            }
        }
        (Kind::Object, Other::Object(members)) => {
            for (key, theirs) in members {
                compare(ours.get(key).expect("the same keys"), theirs, depth + 1);
            }
            assert!(ours.members().count() >= members.len());
        }
        (ours, theirs) => panic!("{ours:?} or {theirs:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
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
