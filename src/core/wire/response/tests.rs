mod interval;
mod verdict;

use core::time::Duration;

use proptest::prelude::*;

use super::{
    BODY_KEPT_MAX, BODY_MAX, HEAD_MAX, LINE_MAX, LOCATION_MAX, Progress, Response,
    UnusableInterval, greeting,
};
use crate::proto::event::{Failure, Reply};
use crate::proto::settings::Host;

const OK_BODY: &str =
    r#"{"ok": true, "ip_address": "192.0.2.7", "last_seen": "2026-02-02 12:34:56"}"#;
/// 2026-01-01T00:00:00Z.
const NOW_S: u64 = 1_767_225_600;

/// A captured response, and its expected outcome.
struct Vector {
    name: &'static str,
    bytes: &'static [u8],
    reply: Reply,
    body: &'static str,
    location: Option<&'static str>,
}

macro_rules! vector {
    ($name:literal, $status:literal, $keep_alive:literal, $body:expr) => {
        Vector {
            name: $name,
            bytes: include_bytes!(concat!("../../../../tests/vectors/http/answer_", $name)),
            reply: Reply { keep_alive: $keep_alive, ..Reply::of($status) },
            body: $body,
            location: None,
        }
    };
}

fn vectors() -> [Vector; 13] {
    let mut vectors = [
        vector!("moved", 308, true, ""),
        vector!("too_many_requests", 429, true, ""),
        vector!("unavailable", 503, false, "{}"),
        vector!("ok", 200, true, OK_BODY),
        vector!("ok_chunked", 200, true, OK_BODY),
        vector!("ok_until_close", 200, false, OK_BODY),
        vector!("ok_http_1_0", 200, false, OK_BODY),
        vector!("ok_bare_lf", 200, true, OK_BODY),
        vector!("ok_after_interim", 200, true, OK_BODY),
        vector!("no_content", 204, true, ""),
        vector!("not_modified", 304, false, ""),
        vector!("not_found", 404, true, "Not Found"),
        vector!("coding_and_length", 200, false, "{}"),
    ];
    vectors[0].location = Some("https://new.example/api/devices/cam/online");
    vectors[1].reply.retry_after = Some(Duration::from_secs(120));
    vectors[2].reply.retry_after = Some(Duration::from_secs(120));
    vectors
}

/// Every observable result after feeding `parts` and, if asked for, the end of the stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    fed: Result<Progress, Failure>,
    ended: Option<Result<(), Failure>>,
    reply: Reply,
    body: Vec<u8>,
    location: Option<String>,
}

fn outcome<'a>(parts: impl IntoIterator<Item = &'a [u8]>, eof: bool) -> Outcome {
    let mut response = Response::new();
    let mut fed = Ok(Progress::Partial);
    for part in parts {
        fed = response.feed(part);
    }
    Outcome {
        fed,
        ended: eof.then(|| response.eof(true)),
        reply: response.reply(None, NOW_S),
        body: response.body().to_vec(),
        location: response.location().map(Into::into),
    }
}

fn whole(bytes: &[u8]) -> Outcome {
    outcome([bytes], false)
}

fn bytewise(bytes: &[u8]) -> Outcome {
    outcome(bytes.chunks(1), false)
}

/// The outcome of a 200 response with these fields and this body.
fn answer(fields: &str, body: &str) -> Outcome {
    whole(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").as_bytes())
}

#[test]
fn each_vector_has_the_expected_outcome() {
    for vector in vectors() {
        let until_close = vector.name == "ok_until_close";
        let outcome = outcome([vector.bytes], until_close);
        let fed = if until_close { Progress::Partial } else { Progress::Complete };
        assert_eq!(outcome.fed, Ok(fed), "{}", vector.name);
        assert_eq!(outcome.ended, until_close.then_some(Ok(())), "{}", vector.name);
        assert_eq!(outcome.reply, vector.reply, "{}", vector.name);
        assert_eq!(outcome.body, vector.body.as_bytes(), "{}", vector.name);
        assert_eq!(outcome.location.as_deref(), vector.location, "{}", vector.name);
    }
}

#[test]
fn cut_head_is_closed_and_cut_body_keeps_the_status() {
    for vector in vectors().iter().filter(|vector| vector.name != "ok_until_close") {
        for cut in 0..vector.bytes.len() {
            let outcome = outcome([&vector.bytes[..cut]], true);
            assert_eq!(outcome.fed, Ok(Progress::Partial), "{} cut at {cut}", vector.name);
            if outcome.reply.status == 0 {
                assert_eq!(outcome.ended, Some(Err(Failure::Closed)), "{} at {cut}", vector.name);
            } else {
                let reply = Reply { keep_alive: false, ..vector.reply };
                assert_eq!(outcome.ended, Some(Ok(())), "{} cut at {cut}", vector.name);
                assert_eq!(outcome.reply, reply, "{} cut at {cut}", vector.name);
                assert_eq!(outcome.body, b"", "{} cut at {cut}", vector.name);
            }
        }
    }
}

#[test]
fn unannounced_end_cuts_a_body_without_a_length() {
    let body = br#"{"ok": false}"#;
    for (announced, failure, shown) in
        [(true, Some(Failure::NotAccepted), &body[..]), (false, None, b"")]
    {
        let mut response = Response::new();
        response.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        response.feed(body).unwrap();
        assert_eq!(response.eof(announced), Ok(()));
        assert_eq!(response.reply(None, NOW_S).failure, failure);
        assert_eq!(response.body(), shown);
    }
}

#[test]
fn bytes_one_by_one_have_the_same_outcome() {
    for vector in vectors() {
        assert_eq!(bytewise(vector.bytes), whole(vector.bytes), "{}", vector.name);
    }
}

#[test]
fn outcome_of_changed_bytes_does_not_depend_on_splitting() {
    for vector in vectors() {
        let mut bytes = vector.bytes.to_vec();
        for at in 0..bytes.len() {
            let original = bytes[at];
            for changed in
                [0, b'\t', b'\n', b'\r', b' ', b'0', b'9', b',', b';', 0xff, original ^ 1]
            {
                bytes[at] = changed;
                assert_eq!(bytewise(&bytes), whole(&bytes), "{} {changed} at {at}", vector.name);
            }
            bytes[at] = original;
        }
    }
}

/// Valid and invalid pieces of responses, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"HTTP/1.0 503 \r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"Content-Length: 3\r\n",
            b"Content-Length: 3, 3\r\n",
            b"Content-Length: 70000\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding: gzip\r\n",
            b"Connection: close\r\n",
            b"Retry-After: 1\r\n",
            b"\r\n",
            b"\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"0;x=y\r\nA: b\r\n\r\n",
            b"ffffffffffffffffff\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn splitting_never_changes_the_outcome(
        tail in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        begun in any::<bool>(),
        eof in any::<bool>(),
    ) {
        let mut bytes = if begun { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
        bytes.extend(tail);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        let whole = outcome([&bytes[..]], eof);
        prop_assert_eq!(outcome(parts, eof), whole);
    }
}

#[test]
fn other_protocol_is_malformed_at_its_first_wrong_byte() {
    for greeting in
        ["SSH-2.0", "220 mail", "HTTPS", "\x15\x03\x03", "\r\n", "\n", "{", "ICY 200 OK"]
    {
        assert_eq!(whole(greeting.as_bytes()).fed, Err(Failure::Malformed), "{greeting:?}");
    }
}

#[test]
fn broken_status_line_is_malformed() {
    let heads = [
        "HTTP/1.1\r\n\r\n",
        "HTTP/ 200 OK\r\n\r\n",
        "HTTP/x.y 200 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 OK 200\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
    ];
    for head in heads {
        assert_eq!(whole(head.as_bytes()).fed, Err(Failure::Malformed), "{head:?}");
    }
}

#[test]
fn unusual_status_lines_are_read() {
    for line in [
        "HTTP/1.1 200",
        "HTTP/1.1 200 ",
        "HTTP/1.1  200\tall right",
        "http/1.1 200 ok",
        "HTTP/1.2 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/2 200 OK",
        "HTTP/1.1 200 O\0K\u{fc}",
        "HTTP/1.1 200 folded\r\n reason",
        &format!("HTTP/1.1 200 {}", "very ".repeat(LINE_MAX)),
    ] {
        let answer = format!("{line}\r\nContent-Length: 2\r\n\r\n{{}}");
        let outcome = whole(answer.as_bytes());
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{line:?}");
        assert_eq!(outcome.reply, Reply { keep_alive: true, ..Reply::of(200) }, "{line:?}");
        assert_eq!(bytewise(answer.as_bytes()), outcome, "{line:?}");
    }
}

#[test]
fn malformed_irrelevant_fields_are_ignored() {
    let (cookie, long) = ("c".repeat(8192), "x".repeat(65_536));
    for field in [
        "no colon",
        ":",
        ": no name",
        "A : b",
        "A\t: b",
        "A B: c",
        "A:",
        "A: b\r\n folded\r\n\tagain\r\n ",
        "A: b\r\n Content-Length: 7",
        "Content-Security-Policy: default-src 'self';\r\n  script-src 'none'",
        "A: b\0",
        "A: b\u{1}c\u{7f}",
        "A: b\rContent-Length: 7",
        "K\u{fc}che: hei\u{df}",
        "Content-Lengths: 7",
        "X-Content-Length: 7",
        "Content-Length 7",
        "Keep-Alive: timeout=0, close",
        "Retry-After: \u{fc}",
        &format!("Set-Cookie: {cookie}"),
        &format!("Set-Cookie: {cookie}\r\n {cookie}"),
        &format!("A: {long}"),
        &long,
        &["A: b"; 1000].join("\r\n"),
    ] {
        for fields in [
            format!("{field}\r\nContent-Length: 2\r\n"),
            format!("Content-Length: 2\r\n{field}\r\n"),
        ] {
            let shown = field.get(..40).unwrap_or(field);
            for line_end in ["\r\n", "\n"] {
                let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").replace("\r\n", line_end);
                let outcome = whole((head + "{}").as_bytes());
                let reply = Reply { keep_alive: true, ..Reply::of(200) };
                assert_eq!(
                    (outcome.fed, outcome.reply),
                    (Ok(Progress::Complete), reply),
                    "{shown:?}"
                );
                assert_eq!(outcome.body, b"{}", "{shown:?}");
            }
        }
    }
}

#[test]
fn unusual_spellings_of_relevant_fields_are_read() {
    for (field, keep_alive, body) in [
        ("Content-Length : 2", true, "{}"),
        ("CONTENT-LENGTH:2", true, "{}"),
        ("Content-Length:\t2\t", true, "{}"),
        ("Content-Length:\r\n 2", true, "{}"),
        ("Content-Length: 2\r\n ", true, "{}"),
        ("Content-Length: 2\r\nConnection : Close", false, "{}"),
        ("Content-Length: 2\r\nConnection: keep-alive,\r\n\tclose", false, "{}"),
        ("Transfer-Encoding: gzip,\r\n chunked", true, "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let outcome = answer(&format!("{field}\r\n"), body);
        let reply = Reply { keep_alive, ..Reply::of(200) };
        assert_eq!((outcome.fed, outcome.reply), (Ok(Progress::Complete), reply), "{field:?}");
        assert_eq!(outcome.body, b"{}", "{field:?}");
    }
}

#[test]
fn relevant_field_over_the_limit_ends_the_reading() {
    let long = "0".repeat(LINE_MAX);
    for field in [
        format!("Content-Length: {long}2"),
        format!("Content-Length: 2\r\nConnection: {long}, close"),
        format!("Transfer-Encoding: {long}, chunked"),
    ] {
        let outcome = answer(&format!("{field}\r\n"), "{}");
        assert_eq!(
            (outcome.fed, outcome.reply),
            (Ok(Progress::Complete), Reply::of(200)),
            "{field}"
        );
    }
}

#[test]
fn http_2_is_recognized_by_its_first_frame() {
    let settings = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff";
    let empty = b"\0\0\0\x04\0\0\0\0\0";
    let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    for frame in [&settings[..], empty, goaway] {
        assert_eq!(whole(frame).fed, Err(Failure::Http2Only));
        assert_eq!(bytewise(frame).fed, Err(Failure::Http2Only));
        assert_eq!(whole(&frame[..3]).fed, Ok(Progress::Partial));
        assert_eq!(greeting(frame), Failure::Http2Only);
    }
    for other in
        [&b"\0\0\0\x06\0\0\0\0\0"[..], b"\0\x01\0\x04", b"\x01\0\0\x04", b"\0\0\0\0", b"\0SSH"]
    {
        assert_eq!(whole(other).fed, Err(Failure::Malformed), "{other:?}");
        assert_eq!(greeting(other), Failure::Closed, "{other:?}");
    }
    for unasked in [&b"HTTP/1.1 408 Request Timeout\r\n"[..], b"220 mail", b""] {
        assert_eq!(greeting(unasked), Failure::Closed);
    }
}

#[test]
fn failure_is_final() {
    let mut response = Response::new();
    assert_eq!(response.feed(b"SSH-2.0"), Err(Failure::Malformed));
    assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Failure::Malformed));
    assert_eq!(response.feed(b""), Err(Failure::Malformed));
    assert_eq!(response.eof(true), Err(Failure::Malformed));
}

#[test]
fn repeated_content_length_must_be_equal_digits() {
    for good in ["2", "2, 2", "02", "2\r\nContent-Length: 2"] {
        let outcome = answer(&format!("Content-Length: {good}\r\n"), "{}");
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{good:?}");
        assert_eq!(outcome.body, b"{}", "{good:?}");
        assert!(outcome.reply.keep_alive, "{good:?}");
    }
    for bad in
        ["", "+2", "-2", "0x2", "2 2", "2,", "2, 3", "2\r\nContent-Length: 3", "2.0", "\u{664}"]
    {
        let outcome = answer(&format!("Content-Length: {bad}\r\n"), "{}");
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{bad:?}");
        assert_eq!((outcome.reply, outcome.body), (Reply::of(200), vec![]), "{bad:?}");
    }
}

#[test]
fn last_transfer_coding_decides() {
    let chunked = "2\r\n{}\r\n0\r\n\r\n";
    let codings =
        ["chunked", "CHUNKED", "gzip, chunked", "chunked,", "gzip\r\nTransfer-Encoding: chunked"];
    for coding in codings {
        let outcome = answer(&format!("Transfer-Encoding: {coding}\r\n"), chunked);
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{coding:?}");
        assert_eq!(outcome.body, b"{}", "{coding:?}");
    }
    for coding in ["chunked, gzip", "chunked;q=1", "identity", "\u{fffd}"] {
        let outcome = answer(&format!("Transfer-Encoding: {coding}\r\n"), chunked);
        assert_eq!(outcome.fed, Ok(Progress::Partial), "{coding:?}");
        assert_eq!(outcome.body, chunked.as_bytes(), "{coding:?}");
    }
}

#[test]
fn http_1_0_with_a_coding_is_read_but_not_reused() {
    let head = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n";
    let plain = whole(format!("{head}Content-Length: 0\r\n\r\n").as_bytes());
    assert!(plain.reply.keep_alive);
    let coded = whole(format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").as_bytes());
    assert_eq!(coded.fed, Ok(Progress::Complete));
    assert!(!coded.reply.keep_alive);
}

#[test]
fn answer_without_a_body_that_has_a_coding_is_not_reused() {
    // RFC 9112 §6.1 forbids it, and another reader may wait for chunks.
    for (coding, keep_alive) in [("", true), ("Transfer-Encoding: chunked\r\n", false)] {
        let outcome = whole(format!("HTTP/1.1 204 No Content\r\n{coding}\r\n").as_bytes());
        assert_eq!(outcome.fed, Ok(Progress::Complete));
        assert_eq!(outcome.reply, Reply { keep_alive, ..Reply::of(204) });
    }
}

#[test]
fn broken_chunk_ends_the_body() {
    let bodies = ["\r\n", ";x\r\n", "g\r\n", "-1\r\n", "0x2\r\n", "2\n{}3", "2\r\n{}0"];
    for body in bodies {
        let outcome = answer("Transfer-Encoding: chunked\r\n", body);
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{body:?}");
        assert_eq!((outcome.reply, outcome.body), (Reply::of(200), vec![]), "{body:?}");
    }
}

#[test]
fn chunks_may_have_lines_that_end_in_lf_alone() {
    for body in [
        "2\n{}\n0\n\n",
        "2;x=y\n{}\n0\nA: b\n\n",
        "2 \r\n{}\n0\r\n\n",
        "002;\"\\\n{}\r\n000\nA\r\nB: c\n\r\n",
        "2\r\n{}\r\n0\r\nA: b\rC\r\n\r\n",
    ] {
        let outcome = answer("Transfer-Encoding: chunked\r\n", body);
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{body:?}");
        assert_eq!(outcome.reply, Reply { keep_alive: true, ..Reply::of(200) }, "{body:?}");
        assert_eq!(outcome.body, b"{}", "{body:?}");
    }
    let refused = answer("Transfer-Encoding: chunked\n", "d\n{\"ok\": false}\n0\n\n");
    assert_eq!(refused.reply.failure, Some(Failure::NotAccepted));
}

#[test]
fn chunk_size_never_wraps_around() {
    let outcome = answer("Transfer-Encoding: chunked\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n");
    assert_eq!(outcome.fed, Ok(Progress::Partial));
    assert_eq!(outcome.body, b"{}\r\n0\r\n\r\n");
}

#[test]
fn unknown_field_may_have_any_value() {
    let outcome = whole(b"HTTP/1.1 200 \xfc\r\nX: \xff\r\nY:\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(outcome.fed, Ok(Progress::Complete));
}

#[test]
fn bytes_after_the_response_prevent_reuse() {
    for vector in vectors().iter().filter(|vector| vector.reply.keep_alive) {
        let outcome = outcome([vector.bytes, b"H"], false);
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{}", vector.name);
        assert!(!outcome.reply.keep_alive, "{}", vector.name);
        assert_eq!(outcome.body, vector.body.as_bytes(), "{}", vector.name);
    }
}

#[test]
fn end_of_stream_after_the_response_prevents_reuse() {
    let outcome = outcome([vectors()[3].bytes], true);
    assert_eq!(outcome.ended, Some(Ok(())));
    assert!(!outcome.reply.keep_alive);
}

#[test]
fn head_over_the_limit_keeps_the_status() {
    let head = |length: usize| {
        let frame = "HTTP/1.1 204 No Content\r\nA: \r\n\r\n".len();
        format!("HTTP/1.1 204 No Content\r\nA: {}\r\n\r\n", "a".repeat(length - frame))
    };
    let fits = Reply { keep_alive: true, ..Reply::of(204) };
    assert_eq!(whole(head(HEAD_MAX).as_bytes()).reply, fits);
    let endless = format!("HTTP/1.1 204 {}", "a".repeat(HEAD_MAX));
    for long in [head(HEAD_MAX + 1), head(3 * HEAD_MAX), endless] {
        let outcome = whole(long.as_bytes());
        assert_eq!((outcome.fed, outcome.reply), (Ok(Progress::Complete), Reply::of(204)));
        assert_eq!(bytewise(long.as_bytes()), outcome);
    }
    let interim = format!("HTTP/1.1 102 {}", "a".repeat(HEAD_MAX));
    assert_eq!(whole(interim.as_bytes()).fed, Err(Failure::TooLarge));
}

#[test]
fn any_number_of_interim_answers_is_read_within_the_limit_of_heads() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nContent-Length: 7\r\n\r\n";
    let last = "HTTP/1.1 204 No Content\r\n\r\n";
    let most = (HEAD_MAX - last.len()) / interim.len();
    for count in [1, 12, most] {
        let outcome = whole((interim.repeat(count) + last).as_bytes());
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{count}");
        assert_eq!(outcome.reply, Reply { keep_alive: true, ..Reply::of(204) }, "{count}");
    }
    let endless = interim.repeat(HEAD_MAX / interim.len() + 1);
    assert_eq!(whole(endless.as_bytes()).fed, Err(Failure::TooLarge));
    assert_eq!(bytewise(endless.as_bytes()).fed, Err(Failure::TooLarge));
}

#[test]
fn body_over_its_kept_length_is_read_but_not_returned() {
    for (length, kept) in [(BODY_KEPT_MAX, BODY_KEPT_MAX), (BODY_KEPT_MAX + 1, 0), (BODY_MAX, 0)] {
        let outcome = answer(&format!("Content-Length: {length}\r\n"), &"x".repeat(length));
        assert_eq!(outcome.fed, Ok(Progress::Complete));
        assert_eq!(outcome.body.len(), kept);
        assert!(outcome.reply.keep_alive);
    }
}

#[test]
fn body_over_the_limit_ends_the_reading_and_keeps_the_status() {
    let over = "x".repeat(BODY_MAX + 1);
    let cases = [
        ("Content-Length: 65537\r\n", ""),
        ("Content-Length: 99999999999999999999999999\r\n", ""),
        ("", &over),
        ("Transfer-Encoding: chunked\r\n", &format!("ffffffffffffffffffff\r\n{over}")),
        ("Transfer-Encoding: chunked\r\n", &format!("2\r\n{{}}\r\n1;{over}")),
        ("Transfer-Encoding: chunked\r\n", &format!("0\r\n{over}")),
        ("Transfer-Encoding: chunked\r\n", &"1\r\nx\r\n".repeat(BODY_MAX / 6 + 1)),
    ];
    for (fields, body) in cases {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
        let outcome = whole(bytes.as_bytes());
        assert_eq!(bytewise(bytes.as_bytes()), outcome, "{fields}");
        assert_eq!(outcome.fed, Ok(Progress::Complete), "{fields}");
        assert_eq!(outcome.reply, Reply::of(200), "{fields}");
        assert_eq!(outcome.body, b"", "{fields}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_of_the_servers_clock() {
    let wait_s = |fields: &str| answer(fields, "").reply.retry_after.map(|wait| wait.as_secs());
    assert_eq!(wait_s(""), None);
    assert_eq!(wait_s("Retry-After: 0\r\n"), Some(0));
    assert_eq!(wait_s("Retry-After: 99999999999999999999\r\n"), Some(u64::MAX));
    for (value, seconds) in [
        ("7", 7),
        (" 007 ", 7),
        ("+7", 7),
        ("1.5", 2),
        ("1.0", 2),
        ("0.2", 1),
        ("1800.", 1801),
        ("5 s", 5),
        ("5\tSec", 5),
        ("1.5 seconds, at least", 2),
        ("7, 9", 7),
        ("10s", 10),
        ("10 seconds", 10),
        ("30;x=y", 30),
        ("18446744073709551616.5", u64::MAX),
    ] {
        assert_eq!(wait_s(&format!("Retry-After: {value}\r\n")), Some(seconds), "{value}");
    }
    for value in [
        "",
        "soon",
        "-1",
        "-1.5",
        "--1",
        "+",
        "+-1",
        ".5",
        "1e3",
        "0x10",
        "7m",
        "5 minutes",
        "0.5 hours",
        "5 min; x=y",
        "06 Nov 2030 08:49:37 GMT",
        "06 Sep 2030 08:49:37 GMT",
        "P7D",
        "\u{664}",
        "2026-01-01T00:02:00Z",
        "NaN",
        "null",
    ] {
        assert_eq!(wait_s(&format!("Retry-After: {value}\r\n")), None, "{value}");
    }
    assert_eq!(wait_s("Retry-After:\r\n 7\r\n"), Some(7));
    let at = "Retry-After: Thu, 01 Jan 2026 00:02:00 GMT\r\n";
    assert_eq!(wait_s(at), Some(120));
    assert_eq!(wait_s(&format!("Date: Thu, 01 Jan 2026 00:01:50 GMT\r\n{at}")), Some(10));
    assert_eq!(wait_s(&format!("Date: Thu, 01 Jan 2026 00:03:00 GMT\r\n{at}")), Some(0));
    assert_eq!(wait_s(&format!("Date: yesterday\r\n{at}")), Some(120));
}

#[test]
fn location_is_printable_bounded_and_without_query() {
    let location = |value: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {value}\r\nContent-Length: 0\r\n\r\n");
        whole(head.as_bytes()).location
    };
    assert_eq!(location("/login#top").as_deref(), Some("/login"));
    assert_eq!(location("https://h/a b").as_deref(), Some("https://h/a"));
    assert_eq!(location("https://h/ü").as_deref(), Some("https://h/"));
    assert_eq!(location("?next=secret"), None);
    assert_eq!(location(&"a".repeat(LOCATION_MAX + 1)), Some("a".repeat(LOCATION_MAX)));
    assert_eq!(answer("Location: /new\r\nContent-Length: 0\r\n", "").location, None);
}
