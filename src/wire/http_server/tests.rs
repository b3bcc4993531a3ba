use super::*;

const GET: &str = "GET /api/meeting/status HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n\r\n";

fn with(fields: &str) -> String {
    format!("POST /p?wait=0 HTTP/1.1\r\n{fields}\r\n")
}

fn refusal(fields: &str) -> Option<Refusal> {
    parse(with(fields).as_bytes()).err()
}

#[test]
fn a_request_is_split_into_method_path_and_query() {
    let request = parse(GET.as_bytes()).unwrap().unwrap();
    let expected = Request {
        method: Method::Get,
        path: "/api/meeting/status",
        query: "",
        if_none_match: "",
        takes_gzip: false,
    };
    assert_eq!(request, expected);
    let posted = with("Host: localhost\r\n");
    let request = parse(posted.as_bytes()).unwrap().unwrap();
    assert_eq!(
        request,
        Request {
            method: Method::Post,
            path: "/p",
            query: "wait=0",
            if_none_match: "",
            takes_gzip: false
        }
    );
}

#[test]
fn a_proxys_form_of_the_target_is_understood() {
    let text = "HEAD http://localhost:5000/p HTTP/1.1\r\nHost: localhost:5000\r\n\r\n";
    let request = parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(
        request,
        Request {
            method: Method::Head,
            path: "/p",
            query: "",
            if_none_match: "",
            takes_gzip: false
        }
    );
    let text = "GET http://evil.example/p HTTP/1.1\r\nHost: localhost:5000\r\n\r\n";
    assert_eq!(parse(text.as_bytes()), Err(Refusal::Foreign));
}

#[test]
fn only_the_loopbacks_own_names_are_served() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.2:5000",
        "[::1]",
        "[::1]:5000",
    ] {
        assert_eq!(refusal(&format!("Host: {host}\r\n")), None, "{host}");
    }
    for host in [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "192.168.1.9:5000",
        "[::2]",
        "::1",
        "localhost:x",
        "localhost@evil.example",
        "evil.example:80:localhost",
    ] {
        assert_eq!(refusal(&format!("Host: {host}\r\n")), Some(Refusal::Foreign), "{host}");
    }
}

#[test]
fn pages_of_others_are_refused() {
    for (origin, expected) in [
        ("http://localhost:8080", None),
        ("https://127.0.0.1", None),
        ("http://[::1]:5000", None),
        ("null", Some(Refusal::Foreign)),
        ("http://evil.example", Some(Refusal::Foreign)),
        ("http://localhost.evil.example", Some(Refusal::Foreign)),
        ("file://localhost", Some(Refusal::Foreign)),
        ("", Some(Refusal::Foreign)),
    ] {
        let fields = format!("Host: localhost\r\nOrigin: {origin}\r\n");
        assert_eq!(refusal(&fields), expected, "{origin}");
    }
}

#[test]
fn a_request_without_exactly_one_host_is_malformed() {
    assert_eq!(refusal(""), Some(Refusal::Malformed));
    assert_eq!(refusal("Host: localhost\r\nhost: localhost\r\n"), Some(Refusal::Malformed));
}

#[test]
fn bodies_are_bounded() {
    for (fields, expected) in [
        ("Content-Length: 0\r\n", None),
        ("Content-Length: 1024\r\n", None),
        ("Content-Length: 1025\r\n", Some(Refusal::BodyTooLarge)),
        ("Content-Length: 99999999999999999999999\r\n", Some(Refusal::BodyTooLarge)),
        ("Content-Length: -1\r\n", Some(Refusal::Malformed)),
        ("Content-Length: +1\r\n", Some(Refusal::Malformed)),
        ("Content-Length: \r\n", Some(Refusal::Malformed)),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", Some(Refusal::Malformed)),
        ("Transfer-Encoding: chunked\r\n", Some(Refusal::LengthRequired)),
    ] {
        assert_eq!(refusal(&format!("Host: localhost\r\n{fields}")), expected, "{fields}");
    }
}

#[test]
fn heads_are_bounded() {
    let field = |length| format!("Host: localhost\r\nX: {}\r\n", "x".repeat(length));
    let most = HEAD_MAX - with(&field(0)).len();
    assert_eq!(refusal(&field(most)), None);
    assert_eq!(refusal(&field(most + 1)), Some(Refusal::HeadTooLarge));
    let unfinished = "GET /".to_owned() + &"a".repeat(HEAD_MAX);
    assert_eq!(parse(unfinished.as_bytes()), Err(Refusal::HeadTooLarge));
    let fields = |count| "Host: localhost\r\n".to_owned() + &"X: y\r\n".repeat(count);
    assert_eq!(refusal(&fields(FIELDS_MAX - 1)), None);
    assert_eq!(refusal(&fields(FIELDS_MAX)), Some(Refusal::HeadTooLarge));
}

#[test]
fn other_methods_and_versions_are_told_apart() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(parse(options.as_bytes()).unwrap().unwrap().method, Method::Other);
    for text in ["GET / HTTP/2.0\r\n\r\n", "GET /\r\n\r\n", "\u{16}\u{3}\u{1}", "GET\t/ HTTP/1.1"] {
        assert_eq!(parse(text.as_bytes()), Err(Refusal::Malformed), "{text:?}");
    }
}

#[test]
fn a_cut_head_is_never_a_request() {
    for end in 0..GET.len() {
        assert_eq!(parse(&GET.as_bytes()[..end]), Ok(None), "{end}");
    }
}

#[test]
fn a_changed_byte_never_serves_a_stranger() {
    let text = with("Host: localhost:1\r\nOrigin: http://[::1]:2\r\nContent-Length: 3\r\n");
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut changed = text.clone().into_bytes();
            changed[at] = byte;
            if let Ok(Some(request)) = parse(&changed) {
                assert!(request.path.len() + request.query.len() <= text.len());
            }
        }
    }
}

#[test]
fn every_answer_fits_its_room() {
    for refusal in [
        Refusal::Malformed,
        Refusal::Foreign,
        Refusal::NotFound,
        Refusal::MethodNotAllowed { allow: "GET, HEAD" },
        Refusal::NotAcceptable,
        Refusal::TimedOut,
        Refusal::LengthRequired,
        Refusal::BodyTooLarge,
        Refusal::HeadTooLarge,
    ] {
        let head = AnswerHead {
            status: refusal.status(),
            content: PAGE,
            length: usize::MAX,
            allow: Some("GET, HEAD"),
        };
        let text = head.to_string();
        assert!(text.len() <= ANSWER_HEAD_MAX, "{} bytes: {text}", text.len());
        assert!(!text.contains("  ") && !text.contains(" \r\n"), "a phrase is missing: {text}");
        assert!(refusal.to_string().len() + 40 <= ANSWER_HEAD_MAX);
    }
}

#[test]
fn answer_is_written_byte_for_byte() {
    let head = AnswerHead { status: 405, content: Content::JSON, length: 7, allow: Some("POST") };
    assert_eq!(
        head.to_string(),
        "HTTP/1.1 405 Method Not Allowed\r\n\
         Connection: close\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Type: application/json\r\n\
         Content-Length: 7\r\n\
         Cache-Control: no-store\r\n\
         Allow: POST\r\n\r\n"
    );
}

/// A page with everything that a page may have.
const PAGE: Content = Content {
    media_type: "text/html; charset=utf-8",
    gzip: true,
    etag: Some("\"0123456789abcdef\""),
    policy: Some(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
         connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'",
    ),
};

#[test]
fn page_is_kept_by_browsers_and_asked_for_again() {
    let head = AnswerHead { status: 200, content: PAGE, length: 7, allow: None }.to_string();
    assert!(head.contains("\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nCache-Control: no-cache\r\nETag: \"0"));
    let same = AnswerHead { status: 304, content: PAGE, length: 0, allow: None }.to_string();
    assert!(same.starts_with("HTTP/1.1 304 Not Modified\r\n") && same.contains("ETag: "), "{same}");
    assert!(!same.contains("Content-Length") && !same.contains("Content-Encoding"), "{same}");
}

#[test]
fn only_the_tag_of_the_page_makes_it_known() {
    for (tags, known) in [
        ("\"0123456789abcdef\"", true),
        ("\"x\", W/\"0123456789abcdef\"", true),
        (" * ", true),
        ("", false),
        ("0123456789abcdef", false),
        ("\"0123456789abcde\"", false),
    ] {
        assert_eq!(PAGE.is_known(tags), known, "{tags}");
    }
    assert!(!Content::JSON.is_known("*"));
}

#[test]
fn gzip_is_taken_only_by_who_says_so() {
    for (codings, taken) in [
        ("gzip", true),
        ("GZIP", true),
        ("gzip, deflate, br, zstd", true),
        ("deflate,gzip;q=0.5", true),
        ("br, *", true),
        ("x-gzip", true),
        ("identity", false),
        ("", false),
        ("gzip;q=0", false),
        ("gzip; q=0.000", false),
        ("gzipped", false),
    ] {
        let text =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {codings}\r\n\r\n");
        assert_eq!(parse(text.as_bytes()).unwrap().unwrap().takes_gzip, taken, "{codings}");
    }
}
