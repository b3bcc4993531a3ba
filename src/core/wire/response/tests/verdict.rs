use super::*;

/// The verdict on a 200 response with these fields and this body, complete or cut off.
fn verdict(fields: &str, body: &str) -> Option<Failure> {
    let frame = format!("Content-Length: {}\r\n{fields}", body.len());
    answer(&frame, body).reply.failure
}

#[test]
fn web_page_is_a_portal() {
    let json = "Content-Type: application/json\r\n";
    let html = "Content-Type: text/html; charset=utf-8\r\n";
    let pages = [
        (html, "please log in"),
        (html, "{\"ok\": true"),
        ("content-type: TEXT/HTML\r\n", "<b>hello"),
        ("Content-Type: application/xhtml+xml\r\n", "<?xml?>"),
        ("", "<html><form>please log in</form></html>"),
        ("", "\u{feff} \r\n\t<!DOCTYPE HTML PUBLIC"),
        ("", "<HTML lang=de>"),
        ("", "<script>location = 'http://login'</script>"),
        (json, "<!-- portal --><html>"),
        ("Content-Type: odd\r\n", "<head><meta http-equiv=refresh>"),
    ];
    for (fields, body) in pages {
        assert_eq!(verdict(fields, body), Some(Failure::Portal(200)), "{fields} {body}");
    }
    let long = "<html>".to_owned() + &"x".repeat(BODY_MAX);
    for cut in [BODY_KEPT_MAX + 1, BODY_MAX] {
        assert_eq!(verdict("", &long[..cut]), Some(Failure::Portal(200)), "{cut}");
        assert_eq!(verdict(html, &"x".repeat(cut)), Some(Failure::Portal(200)), "{cut}");
    }
    for torn in
        [&b"HTTP/1.1 203 X\r\n\r\n<html"[..], b"HTTP/1.1 203 X\r\nContent-Length: 9\r\n\r\n<html"]
    {
        assert_eq!(outcome([torn], true).reply.failure, Some(Failure::Portal(203)));
    }
}

#[test]
fn incomplete_or_long_json_called_html_is_no_page() {
    let html = "Content-Type: text/html\r\n";
    let long = format!("{{\"ok\": true, \"note\": \"{}\"}}", "x".repeat(BODY_KEPT_MAX));
    assert_eq!(verdict(html, &long), None);
    for (part, expected) in [
        ("{", None),
        (" \r\n[{", None),
        ("\u{feff}{\"ok\": fal", None),
        ("", Some(Failure::Portal(200))),
        (" \n", Some(Failure::Portal(200))),
        ("please log in", Some(Failure::Portal(200))),
        ("<html>{", Some(Failure::Portal(200))),
    ] {
        let torn = format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n{html}\r\n{part}");
        assert_eq!(outcome([torn.as_bytes()], true).reply.failure, expected, "{part}");
    }
}

#[test]
fn body_is_optional_unless_it_may_change_the_verdict() {
    for (kind, part, expected) in [
        ("application/json", "", true),
        ("application/json", "{", true),
        ("text/html", "", false),
        ("text/html", " ", false),
        ("text/html", "please log in", false),
        ("text/html", "<html", true),
        ("text/html", " {", true),
        ("text/html", "[", true),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n");
        let mut response = Response::new();
        response.feed(head.as_bytes()).unwrap();
        response.feed(part.as_bytes()).unwrap();
        assert_eq!(response.awaits_optional_body(), expected, "{kind}: {part}");
    }
}

#[test]
fn any_other_2xx_body_acknowledges() {
    let html = "Content-Type: text/html\r\n";
    for (fields, body) in [
        ("", ""),
        ("", OK_BODY),
        ("", "thanks"),
        ("", "<?xml version='1.0'?><ok/>"),
        ("", "<htm"),
        ("Content-Encoding: gzip\r\n", "\u{1f}\u{8b}"),
        ("Content-Type: text/plain\r\n", "{\"ok\": false"),
        (html, ""),
        (html, OK_BODY),
        ("", r#"{"ok": 0}"#),
        ("", r#"{"ok": "false"}"#),
        ("", r#"{"status": {"ok": false}}"#),
        ("", r#"[{"ok": false}]"#),
        ("", r#"{"ok": false} "ok""#),
        ("", r#"{"ok": false}"#.repeat(BODY_KEPT_MAX).as_str()),
    ] {
        assert_eq!(verdict(fields, body), None, "{fields} {body}");
    }
    let no_content = whole(b"HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n");
    assert_eq!(no_content.reply.failure, None);
}

#[test]
fn complete_body_with_ok_false_does_not_acknowledge() {
    for body in [r#"{"ok": false}"#, r#"{"error": "who are you?", "ok":false, "ok2": true}"#] {
        assert_eq!(verdict("", body), Some(Failure::NotAccepted), "{body}");
        assert_eq!(verdict("Content-Type: text/html\r\n", body), Some(Failure::NotAccepted));
        let more = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len() + 1);
        assert_eq!(outcome([more.as_bytes()], true).reply.failure, None, "torn: {body}");
    }
}

#[test]
fn login_status_and_redirect_to_another_host_are_a_portal() {
    let verdict = |status: u16, location: &str, asked: &str| {
        let head =
            format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let asked = match asked.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(asked.try_into().unwrap()),
        };
        let mut response = Response::new();
        response.feed(head.as_bytes()).unwrap();
        response.reply(Some(&asked), NOW_S).failure
    };
    let api = "api.example.org";
    for (status, location, asked) in [
        (302, "http://portal.example/login?to=api.example.org", api),
        (303, "//portal.example", api),
        (307, "HTTPS://portal.example:8443/", api),
        (302, "http://api.example.org@portal.example/", api),
        (302, "http://api.example.org.evil.example/", api),
        (302, "http://192.168.1.1\\@api.example.org/", api),
        (302, "http://10.0.0.1/", "10.0.0.2"),
        (302, "http://[fe80::1]/", "fe80::2"),
        (302, "http://-/", api),
        (302, "http://?api.example.org", api),
        (511, "", api),
    ] {
        let portal = Some(Failure::Portal(status));
        assert_eq!(verdict(status, location, asked), portal, "{location}");
    }
    for (location, asked) in [
        ("", api),
        ("/api/v2", api),
        ("v2//x", api),
        ("?x=http://portal.example/", api),
        ("https://api.example.org/api", api),
        ("//API.example.org.:8080", api),
        ("http://me@api.example.org", api),
        ("http://10.0.0.2:80/", "10.0.0.2"),
        ("http://[2001:DB8::0:2]/", "2001:db8::2"),
        ("mailto:admin", api),
    ] {
        assert_eq!(verdict(302, location, asked), Some(Failure::Status(302)), "{location}");
    }
    assert_eq!(verdict(404, "http://portal.example", api), Some(Failure::Status(404)));
}
