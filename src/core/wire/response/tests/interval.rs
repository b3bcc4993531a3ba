use super::*;

/// What an answer with this body says of the interval.
fn interval(header: &str, body: &str) -> Option<Result<u64, UnusableInterval>> {
    let mut response = Response::new();
    let head = format!("HTTP/1.1 200 OK\r\n{header}\r\n{body}");
    response.feed(head.as_bytes()).unwrap();
    let said = response.interval();
    let taken = response.reply(None, NOW_S).interval;
    assert_eq!(taken, said.and_then(Result::ok));
    said.map(|said| said.map(|interval| interval.as_secs()))
}

#[test]
fn interval_is_a_whole_number_within_its_bounds_and_nothing_else() {
    let said = |body: &str| interval(&format!("Content-Length: {}\r\n", body.len()), body);
    for seconds in [10, 11, 300, 3600] {
        assert_eq!(said(&format!(r#"{{"ok": true, "interval_s": {seconds}}}"#)), Some(Ok(seconds)));
    }
    for value in [
        "0",
        "9",
        "3601",
        "-30",
        "30.0",
        "3e1",
        "18446744073709551646",
        r#""30""#,
        "true",
        "[30]",
        "{}",
    ] {
        let body = format!(r#"{{"interval_s": {value}}}"#);
        assert_eq!(said(&body), Some(Err(UnusableInterval)), "{value}");
    }
    for body in [
        "",
        "null",
        "30",
        r#"{"ok": true}"#,
        r#"{"interval_s": null}"#,
        r#"{"data": {"interval_s": 60}}"#,
        r#"[{"interval_s": 60}]"#,
        r#"{"interval_s": 60"#,
        r#"{"interval_s": 60} more"#,
    ] {
        assert_eq!(said(body), None, "{body}");
    }
    // As with every key that is repeated, the last one counts.
    assert_eq!(said(r#"{"interval_s": 60, "interval_s": 90}"#), Some(Ok(90)));
}

#[test]
fn interval_in_a_long_or_torn_body_is_not_heard() {
    let body = r#"{"interval_s": 60}"#;
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    let said = |length: usize, body: &str| interval(&format!("Content-Length: {length}\r\n"), body);
    assert_eq!(said(BODY_KEPT_MAX, &padded(BODY_KEPT_MAX)), Some(Ok(60)));
    assert_eq!(said(BODY_KEPT_MAX + 1, &padded(BODY_KEPT_MAX + 1)), None);
    let mut torn = Response::new();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{body}");
    torn.feed(head.as_bytes()).unwrap();
    torn.eof(false).unwrap();
    assert_eq!((torn.interval(), torn.reply(None, NOW_S).status), (None, 200));
}
