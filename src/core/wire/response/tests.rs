mod framing;
mod head;
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
fn failure_is_final() {
    let mut response = Response::new();
    assert_eq!(response.feed(b"SSH-2.0"), Err(Failure::Malformed));
    assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Failure::Malformed));
    assert_eq!(response.feed(b""), Err(Failure::Malformed));
    assert_eq!(response.eof(true), Err(Failure::Malformed));
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
