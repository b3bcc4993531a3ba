//! Accepted and refused texts, positions of errors, and robustness.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::buffer::TooLarge;

/// Every construct of the grammar once.
const ALL: &str = r#" {"a": [true, false, null, -0, 10.25e+3, 1E-2, {}, [], [[1], {"b": ""}]],
 "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀": {"c": "d"}, "": 0} "#;

/// Line, column and message of the error.
fn refused(text: impl AsRef<[u8]>) -> (usize, usize, String) {
    let error = parse(text.as_ref()).expect_err("must be refused");
    (error.line, error.column, error.kind.to_string())
}

#[test]
fn every_construct_of_the_grammar_is_accepted() {
    for text in [ALL, "0", "-1.5e3", "\"\"", "null", " \t\r\n[ ] ", "{}", "\"\u{7f}\u{2028}\""] {
        assert_eq!(parse(text.as_bytes()).map(drop), Ok(()), "{text}");
    }
}

#[test]
fn violations_are_reported_with_their_position() {
    let value = "expected a value, found";
    for (text, line, column, words) in [
        ("", 1, 1, "expected a value, found the end of the text"),
        ("\n ", 2, 2, "expected a value, found the end of the text"),
        ("\u{FEFF}{}", 1, 1, "byte order mark in front of the text"),
        ("{}\n{}", 2, 1, "expected nothing more, found '{'"),
        ("{\"a\": 1,}", 1, 9, "expected a key in double quotes, found '}'"),
        ("[1,]", 1, 4, &format!("{value} ']'")),
        ("[,1]", 1, 2, "expected a value or ']', found ','"),
        ("{a: 1}", 1, 2, "expected a key in double quotes or '}', found 'a'"),
        ("{\"a\" 1}", 1, 6, "expected ':', found '1'"),
        ("{\"a\": 1\n \"b\": 2}", 2, 2, "expected ',' or '}', found '\"'"),
        ("[1}", 1, 3, "expected ',' or ']', found '}'"),
        ("{\"a\": 1]", 1, 8, "expected ',' or '}', found ']'"),
        ("[1", 1, 3, "expected ',' or ']', found the end of the text"),
        ("[True]", 1, 2, "expected a value or ']', found 'T'"),
        ("nul", 1, 1, &format!("{value} 'n'")),
        ("nulll", 1, 5, "expected nothing more, found 'l'"),
        ("'a'", 1, 1, &format!("{value} '\\''")),
        ("// no\n1", 1, 1, &format!("{value} '/'")),
        ("\u{a0}1", 1, 1, &format!("{value} '\\u{{a0}}'")),
        ("01", 1, 2, "expected nothing more, found '1'"),
        ("+1", 1, 1, &format!("{value} '+'")),
        (".5", 1, 1, &format!("{value} '.'")),
        ("1.", 1, 3, "number without a digit where one must be"),
        ("-", 1, 2, "number without a digit where one must be"),
        ("-a", 1, 2, "number without a digit where one must be"),
        ("1e+", 1, 4, "number without a digit where one must be"),
        ("0x1", 1, 2, "expected nothing more, found 'x'"),
        ("\"", 1, 2, "expected a closing '\"', found the end of the text"),
        ("\"\\\"", 1, 4, "expected a closing '\"', found the end of the text"),
        ("\"é\n\"", 1, 3, "line end or control character in a string (is a quote missing?)"),
        ("\"\0\"", 1, 2, "line end or control character in a string (is a quote missing?)"),
        ("\"\u{1f}\"", 1, 2, "line end or control character in a string (is a quote missing?)"),
        ("\"\\x\"", 1, 2, "backslash that begins no escape"),
        ("\"\\u12\"", 1, 2, "backslash that begins no escape"),
        ("\"\\u+123\"", 1, 2, "backslash that begins no escape"),
        ("\"\\u00é0\"", 1, 2, "backslash that begins no escape"),
        ("\"\\ud800\"", 1, 2, "half a surrogate pair"),
        ("\"\\ud800\\u0041\"", 1, 2, "half a surrogate pair"),
        ("\"\\ud800\\ud800\"", 1, 2, "half a surrogate pair"),
        ("\"\\udc00\"", 1, 2, "half a surrogate pair"),
    ] {
        assert_eq!(refused(text), (line, column, words.to_string()), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_begin() {
    for bad in [&b"\x80"[..], b"\xC0\xAF", b"\xED\xA0\x80", b"\xF5\x80\x80\x80", b"\xE2\x82"] {
        let text = [b"[1,\n \"\xC3\xA9", bad, b"\"]"].concat();
        assert_eq!(refused(&text), (2, 4, "bytes that are not UTF-8".to_string()), "{bad:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(parse(nested(DEPTH_MAX).as_bytes()).map(drop), Ok(()));
    let words = "more than 16 levels of objects and arrays".to_string();
    assert_eq!(refused(nested(DEPTH_MAX + 1)), (1, DEPTH_MAX + 1, words));
    // Objects and arrays may alternate at every level.
    let mixed = r#"{"a":["#.repeat(8) + &"]}".repeat(8);
    assert_eq!(parse(mixed.as_bytes()).map(drop), Ok(()));
    assert!(parse(mixed.replacen("]}", "}]", 1).as_bytes()).is_err());
}

#[test]
fn size_is_bounded() {
    let padded = |size: usize| " ".repeat(size - 1) + "1";
    assert_eq!(parse(padded(SIZE_MAX).as_bytes()).map(drop), Ok(()));
    let words = "more than 65536 bytes".to_string();
    assert_eq!(refused(padded(SIZE_MAX + 1)), (1, SIZE_MAX + 1, words));
}

#[test]
fn error_says_its_place() {
    let error = parse(b"{\n  \"a\" 1}").expect_err("must be refused");
    assert_eq!(error.to_string(), "expected ':', found '1' at line 2, column 7");
}

#[test]
fn a_cut_text_is_refused_at_every_byte() {
    let text = ALL.trim_end();
    for end in 0..text.len() {
        assert!(parse(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_changed_byte_never_panics() {
    let mut text = ALL.as_bytes().to_vec();
    for at in 0..text.len() {
        let was = text[at];
        for byte in 0..=255 {
            text[at] = byte;
            if let Ok(value) = parse(&text) {
                walk(value);
            }
        }
        text[at] = was;
    }
}

/// Reads everything below `value` and returns the number of values.
fn walk(value: Value<'_>) -> usize {
    assert!(!value.raw().starts_with(is_white) && !value.raw().ends_with(is_white));
    if let Some(text) = value.as_text() {
        let decoded = text.to_string();
        assert!(text == *decoded.as_str());
        assert_eq!(text.chars().count(), decoded.chars().count());
    }
    let elements = value.elements().map(walk);
    let members = value.members().map(|(key, value)| {
        assert!(value.offset() > key.offset());
        walk(value) + usize::from(key.to_string().is_empty())
    });
    1 + elements.sum::<usize>() + members.sum::<usize>()
}

#[test]
fn view_returns_the_values_of_the_text() {
    let value = parse(ALL.as_bytes()).expect("is JSON");
    assert_eq!(value.kind(), ValueKind::Object);
    assert_eq!(value.raw(), ALL.trim());
    assert_eq!(value.offset(), 1);
    let kinds: Vec<_> = value.get("a").expect("is there").elements().map(|v| v.kind()).collect();
    use ValueKind::{Array, Bool, Null, Number};
    assert_eq!(kinds, [Bool, Bool, Null, Number, Number, Number, ValueKind::Object, Array, Array]);
    let inner = value.get("\"\\/\u{8}\u{c}\n\r\té😀é😀").expect("keys are decoded");
    let text = inner.get("c").expect("is there");
    assert_eq!(text.as_text().expect("is a string").to_string(), "d");
    assert_eq!(position(ALL.as_bytes(), text.offset()), (2, 48));
    assert!(value.get("b").is_none(), "only the object's own members are looked at");
    assert_eq!(walk(value), 19);
}

#[test]
fn a_value_is_read_as_its_own_kind_only() {
    for (text, bool, whole, string) in [
        ("true", Some(true), None, None),
        ("false", Some(false), None, None),
        ("null", None, None, None),
        ("0", None, Some(0), None),
        ("18446744073709551615", None, Some(u64::MAX), None),
        ("18446744073709551616", None, None, None),
        ("-1", None, None, None),
        ("1.0", None, None, None),
        ("1e1", None, None, None),
        ("\"true\"", None, None, Some("true")),
        ("\"\\u0031\"", None, None, Some("1")),
        ("[1]", None, None, None),
    ] {
        let value = parse(text.as_bytes()).expect("is JSON");
        let decoded = value.as_text().map(|text| text.to_string());
        assert_eq!((value.as_bool(), value.as_whole()), (bool, whole), "{text}");
        assert_eq!(decoded.as_deref(), string, "{text}");
        assert_eq!(value.members().count(), 0, "{text}");
    }
}

#[test]
fn a_repeated_key_is_listed_twice_and_get_returns_the_last() {
    let value = parse(br#"{"a": 1, "b": {"a": 3}, "\u0061": 2}"#).expect("is JSON");
    assert_eq!(value.members().filter(|(key, _)| *key == *"a").count(), 2);
    assert_eq!(value.get("a").and_then(|value| value.as_whole()), Some(2));
}

/// Generates JSON texts.
fn json() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?";
    let string = r#""([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u00[0-9a-fA-F]{2}|\\uD83D\\uDE00){0,8}""#;
    let leaf = prop_oneof![Just("true".to_string()), Just("null".to_string()), number, string];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        let white = "[ \t\r\n]{0,2}";
        prop_oneof![
            (white, prop::collection::vec(inner.clone(), 0..6)).prop_map(
                |(white, values)| format!("[{white}{}]", values.join(&white_comma(&white)))
            ),
            (white, prop::collection::vec((string, inner), 0..6)).prop_map(|(white, members)| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("{key}{white}:{value}")).collect();
                format!("{{{}{white}}}", members.join(&white_comma(&white)))
            }),
        ]
    })
}

fn white_comma(white: &str) -> String {
    format!("{white},{white}")
}

proptest! {
    #[test]
    fn emitted_text_is_parsed_as_it_was(text in r"[\x00-\x30\\\x7fü]{0,24}") {
        let mut buffer = std::vec![0; 64 + 6 * text.len()];
        let length = emit(&mut buffer, |json| _ = json.member("a", &text.as_str())).unwrap();
        let value = parse(&buffer[..length]).unwrap();
        prop_assert_eq!(value.get("a").unwrap().as_text().unwrap().to_string(), text);
    }

    #[test]
    fn generated_text_is_accepted_and_its_cuts_are_not(text in json()) {
        let value = parse(text.as_bytes());
        prop_assert!(value.is_ok(), "{text}: {value:?}");
        if text.starts_with(['[', '{', '"']) {
            for end in 0..text.len() {
                prop_assert!(parse(&text.as_bytes()[..end]).is_err());
            }
        }
    }

    #[test]
    fn changed_text_never_panics_and_errors_lie_within_it(
        text in json(), at: prop::sample::Index, byte: u8,
    ) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        match parse(&text) {
            Ok(value) => prop_assert!(walk(value) > 0),
            Err(error) => {
                let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
                prop_assert!(error.column <= lines[error.line - 1].len() + 1);
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(text: Vec<u8>) {
        if let Ok(value) = parse(&text) {
            walk(value);
        }
    }
}

/// An object with a value of every kind.
fn emitted(buffer: &mut [u8], text: &str) -> Result<usize, TooLarge> {
    emit(buffer, |json| {
        json.member("text", &text)
            .member("none", &None::<u64>)
            .present("absent", None::<bool>)
            .present("present", Some(true))
            .member("list", &Array([1_u64, 2].into_iter()))
            .member("object", &Object(|json| _ = json.members([("a", 1_u32), ("b", 2)])))
            .member("empty", &Object(|_| {}))
            .member("number", &Verbatim("-1.50"));
    })
}

#[test]
fn emitter_writes_every_kind_of_value_and_nothing_of_what_is_absent() {
    let mut buffer = [0; 256];
    let length = emitted(&mut buffer, "\u{1f}\"\\\u{8}\t\n\u{c}\r\u{7f}\u{fc}").unwrap();
    let text = concat!(r#""\u001F\"\\\b\t\n\f\r"#, "\u{7f}\u{fc}\"");
    let others = r#""none":null,"present":true,"list":[1,2],"object":{"a":1,"b":2},"empty":{},"number":-1.50"#;
    let expected = format!("{{\"text\":{text},{others}}}");
    assert_eq!(core::str::from_utf8(&buffer[..length]), Ok(expected.as_str()));
    let text = "\u{1f}\"\\\u{8}\t\n\u{c}\r\u{7f}\u{fc}";
    for size in 0..length {
        assert_eq!(emitted(&mut buffer[..size], text), Err(TooLarge), "{size}");
    }
    assert_eq!(emitted(&mut buffer[..length], text), Ok(length));
}
