//! The head of a response: its status line and its fields.

use super::*;

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
fn unknown_field_may_have_any_value() {
    let outcome = whole(b"HTTP/1.1 200 \xfc\r\nX: \xff\r\nY:\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(outcome.fed, Ok(Progress::Complete));
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
