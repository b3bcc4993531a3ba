use super::*;

const GET: &str = "GET /api/meeting/status HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n\r\n";

fn with(fields: &str) -> String {
    format!("POST /p?wait=0 HTTP/1.1\r\n{fields}\r\n")
}

fn bare<'a>(method: Method, path: &'a str, query: &'a str) -> Request<'a> {
    let (if_none_match, authorization, cookie) = ("", "", "");
    let (takes_gzip, body_length, body) = (false, 0, &[][..]);
    Request {
        method,
        path,
        query,
        if_none_match,
        takes_gzip,
        authorization,
        cookie,
        body_length,
        body,
    }
}

fn refusal(fields: &str) -> Option<Refusal> {
    parse(with(fields).as_bytes(), Names::Loopback).err()
}

#[test]
fn a_request_is_split_into_method_path_and_query() {
    let request = parse(GET.as_bytes(), Names::Loopback).unwrap().unwrap();
    let expected = bare(Method::Get, "/api/meeting/status", "");
    assert_eq!(request, expected);
    let posted = with("Host: localhost\r\n");
    let request = parse(posted.as_bytes(), Names::Loopback).unwrap().unwrap();
    assert_eq!(request, bare(Method::Post, "/p", "wait=0"));
}

#[test]
fn absolute_form_of_the_target_is_understood() {
    let text = "HEAD http://localhost:5000/p HTTP/1.1\r\nHost: localhost:5000\r\n\r\n";
    let request = parse(text.as_bytes(), Names::Loopback).unwrap().unwrap();
    assert_eq!(request, bare(Method::Head, "/p", ""));
    let text = "GET http://evil.example/p HTTP/1.1\r\nHost: localhost:5000\r\n\r\n";
    assert_eq!(parse(text.as_bytes(), Names::Loopback), Err(Refusal::Foreign));
}

#[test]
fn without_a_token_only_loopback_names_are_served() {
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
fn with_a_token_any_host_is_served_but_no_foreign_page() {
    for (host, origin, expected) in [
        ("camera.local:5000", None, None),
        ("192.168.1.9", None, None),
        ("192.168.1.9:5000", Some("http://192.168.1.9:5000"), None),
        ("Camera", Some("http://camera:8080"), None),
        ("[fe80::1]:5000", Some("https://[fe80::1]"), None),
        ("camera", Some("http://camera.evil.example"), Some(Refusal::OtherPage)),
        ("camera", Some("http://evil.example"), Some(Refusal::OtherPage)),
        ("[fe80::1]:5000", Some("http://[fe80::2]:5000"), Some(Refusal::OtherPage)),
        ("localhost", Some("http://127.0.0.1"), Some(Refusal::OtherPage)),
        ("camera", Some("null"), Some(Refusal::OtherPage)),
        ("camera", Some("camera"), Some(Refusal::OtherPage)),
    ] {
        let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        let text = with(&format!("Host: {host}\r\n{origin}"));
        assert_eq!(parse(text.as_bytes(), Names::Any).err(), expected, "{host} {origin}");
    }
    let text = "GET http://camera/ HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n\r\n";
    assert_eq!(parse(text.as_bytes(), Names::Any), Err(Refusal::OtherPage));
}

#[test]
fn received_part_of_the_body_is_returned() {
    let text = with("Host: localhost\r\nContent-Length: 5\r\n") + "helloGET";
    for (cut, body, whole) in
        [(8, "", false), (4, "hell", false), (3, "hello", true), (0, "hello", true)]
    {
        let text = &text.as_bytes()[..text.len() - cut];
        let request = parse(text, Names::Loopback).unwrap().unwrap();
        assert_eq!((request.body, request.is_whole()), (body.as_bytes(), whole), "{cut}");
    }
}

#[test]
fn foreign_origins_are_refused() {
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
    assert_eq!(parse(unfinished.as_bytes(), Names::Loopback), Err(Refusal::HeadTooLarge));
    let fields = |count| "Host: localhost\r\n".to_owned() + &"X: y\r\n".repeat(count);
    assert_eq!(refusal(&fields(FIELDS_MAX - 1)), None);
    assert_eq!(refusal(&fields(FIELDS_MAX)), Some(Refusal::HeadTooLarge));
}

#[test]
fn unknown_methods_are_parsed_and_other_versions_refused() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(parse(options.as_bytes(), Names::Loopback).unwrap().unwrap().method, Method::Other);
    for text in ["GET / HTTP/2.0\r\n\r\n", "GET /\r\n\r\n", "\u{16}\u{3}\u{1}", "GET\t/ HTTP/1.1"] {
        assert_eq!(parse(text.as_bytes(), Names::Loopback), Err(Refusal::Malformed), "{text:?}");
    }
}

#[test]
fn a_cut_head_is_never_a_request() {
    for end in 0..GET.len() {
        assert_eq!(parse(&GET.as_bytes()[..end], Names::Loopback), Ok(None), "{end}");
    }
}

#[test]
fn a_changed_byte_never_panics() {
    let text = with("Host: localhost:1\r\nOrigin: http://[::1]:2\r\nContent-Length: 3\r\n");
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut changed = text.clone().into_bytes();
            changed[at] = byte;
            if let Ok(Some(request)) = parse(&changed, Names::Loopback) {
                assert!(request.path.len() + request.query.len() <= text.len());
            }
        }
    }
}

#[test]
fn every_response_head_fits_its_limit() {
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
        Refusal::Unauthorized,
        Refusal::OtherPage,
        Refusal::TooManyGuesses { wait_s: 10 },
        Refusal::NoEntropy,
        Refusal::Crowded,
    ] {
        let head = AnswerHead {
            status: refusal.status(),
            content: PAGE,
            length: usize::MAX,
            extra: Extra::Cookie {
                port: 65_535,
                value: "0123456789abcdef0123456789abcdef",
                max_age_s: 2_592_000,
                location: "/login",
            },
        };
        let text = head.to_string();
        assert!(text.len() <= ANSWER_HEAD_MAX, "{} bytes: {text}", text.len());
        assert!(!text.contains("  ") && !text.contains(" \r\n"), "a phrase is missing: {text}");
        assert!(refusal.to_string().len() + 40 <= ANSWER_HEAD_MAX);
    }
}

#[test]
fn response_head_is_written_byte_for_byte() {
    let head =
        AnswerHead { status: 405, content: Content::JSON, length: 7, extra: Extra::Allow("POST") };
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

/// A page with every optional field.
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
fn page_is_cached_and_revalidated() {
    let head =
        AnswerHead { status: 200, content: PAGE, length: 7, extra: Extra::Nothing }.to_string();
    assert!(head.contains("\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nCache-Control: no-cache\r\nETag: \"0"));
    let same =
        AnswerHead { status: 304, content: PAGE, length: 0, extra: Extra::Nothing }.to_string();
    assert!(same.starts_with("HTTP/1.1 304 Not Modified\r\n") && same.contains("ETag: "), "{same}");
    assert!(!same.contains("Content-Length") && !same.contains("Content-Encoding"), "{same}");
}

#[test]
fn only_a_matching_entity_tag_is_known() {
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
fn gzip_is_sent_only_to_clients_that_accept_it() {
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
        assert_eq!(
            parse(text.as_bytes(), Names::Loopback).unwrap().unwrap().takes_gzip,
            taken,
            "{codings}"
        );
    }
}
