//! The body of a response: its length, its codings and its limits.

use super::*;

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
