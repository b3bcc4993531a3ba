use super::{ApiUrl, REQUEST_MAX, TOKEN_MAX, TooLarge, URL_MAX, UrlError, emit, valid_token};
use crate::proto::settings::Host;
use crate::wire::report::REPORT_MAX;

fn url(text: &str) -> ApiUrl {
    ApiUrl::parse(text).unwrap()
}

fn normal(text: &str) -> String {
    url(text).to_string()
}

fn request(url: &ApiUrl, key: &str, token: Option<&str>, body: &[u8]) -> String {
    let mut buffer = [0; 2 * REQUEST_MAX];
    let length = emit(&mut buffer, url, key, token, body).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn trailing_api_is_never_doubled() {
    let urls = [
        "https://meeting.example",
        "https://meeting.example/",
        "https://meeting.example/api",
        "https://meeting.example/api/",
        "https://meeting.example//api//",
        "https://meeting.example/api/api/",
        "HTTPS://Meeting.EXAMPLE.:443/api",
        "https://meeting.example:/api",
    ];
    for text in urls {
        assert_eq!(normal(text), "https://meeting.example", "{text}");
        let request = request(&url(text), "cam", None, b"{}");
        assert!(request.starts_with("POST /api/devices/cam/online HTTP/1.1\r\n"), "{text}");
    }
}

#[test]
fn prefix_and_port_are_kept() {
    assert_eq!(normal("http://h:8080/a/b/api/"), "http://h:8080/a/b");
    assert_eq!(normal("http://h/myapi/"), "http://h/myapi");
    assert_eq!(normal("http://h/API"), "http://h/API");
    assert_eq!(normal("http://h:443/%7Ex/"), "http://h:443/%7Ex");
    assert_eq!(normal("https://h:80"), "https://h:80");
}

#[test]
fn scheme_selects_tls_and_the_default_port() {
    assert!(url("https://h").is_tls());
    assert_eq!(url("https://h").server().port, 443);
    assert!(!url("http://h").is_tls());
    assert_eq!(url("http://h").server().port, 80);
}

#[test]
fn host_is_a_name_or_an_address() {
    let host = |text: &str| url(text).server().host.clone();
    assert_eq!(host("http://Cam-1.Local."), Host::Name("cam-1.local".try_into().unwrap()));
    assert_eq!(host("http://0x1.0xfg"), Host::Name("0x1.0xfg".try_into().unwrap()));
    assert_eq!(host("http://my_host"), Host::Name("my_host".try_into().unwrap()));
    assert_eq!(host("http://10.0.0.1:81"), Host::Address("10.0.0.1".parse().unwrap()));
    assert_eq!(host("http://[2001:DB8::1]"), Host::Address("2001:db8::1".parse().unwrap()));
    assert_eq!(normal("https://[2001:DB8::1]:8443/api"), "https://[2001:db8::1]:8443");
}

#[test]
fn each_bad_url_has_its_own_error() {
    let label = "a".repeat(64);
    let name = ["a"; 128].join(".");
    let long = format!("http://h/{}", "a".repeat(URL_MAX));
    let cases = [
        ("", UrlError::Scheme),
        ("meeting.example", UrlError::Scheme),
        ("ftp://h", UrlError::Scheme),
        ("://h", UrlError::Scheme),
        ("https:/h", UrlError::Scheme),
        (" https://h", UrlError::Character),
        ("https://h\r\nX-Evil: 1", UrlError::Character),
        ("https://h/\0", UrlError::Character),
        ("https://h/ü", UrlError::Character),
        ("https://me:secret@h/", UrlError::UserInfo),
        ("https://h?x=1", UrlError::Query),
        ("https://h/a?x=a@b", UrlError::Query),
        ("https://h/#top", UrlError::Query),
        ("https://", UrlError::Host),
        ("https:///api", UrlError::Host),
        ("https://:443", UrlError::Host),
        ("https://.", UrlError::Host),
        ("https://a..b", UrlError::Host),
        ("https://-a.b", UrlError::Host),
        ("https://a-.b", UrlError::Host),
        ("https://a*b", UrlError::Host),
        ("https://10.0.0.256", UrlError::Host),
        ("https://10.0.0", UrlError::Host),
        ("https://a.0x", UrlError::Host),
        ("https://0x", UrlError::Host),
        ("http://a.0XfF.:8080", UrlError::Host),
        ("https://2001:db8::1", UrlError::Host),
        ("https://fe80::1", UrlError::Host),
        ("https://[2001:db8::1", UrlError::Host),
        ("https://[10.0.0.1]", UrlError::Host),
        ("https://[fe80::1%eth0]", UrlError::Host),
        ("https://[::1]443", UrlError::Host),
        (&format!("https://{label}.b"), UrlError::Host),
        (&format!("https://{name}"), UrlError::Host),
        ("https://h:0", UrlError::Port),
        ("https://h:+80", UrlError::Port),
        ("https://h:65536", UrlError::Port),
        ("https://h:https", UrlError::Port),
        ("https://h/a\\b", UrlError::Path),
        ("https://h/%4", UrlError::Path),
        ("https://h/%zz", UrlError::Path),
        ("https://h/\"", UrlError::Path),
        (&long, UrlError::TooLong),
    ];
    for (text, error) in cases {
        assert_eq!(ApiUrl::parse(text), Err(error), "{text}");
    }
}

#[test]
fn url_error_never_repeats_the_url() {
    let error = ApiUrl::parse("https://me:secret@h/").unwrap_err();
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn longest_url_is_accepted() {
    let text = format!("http://h/{}", "a".repeat(URL_MAX - 9));
    assert_eq!(normal(&text), text);
}

#[test]
fn request_equals_the_vector() {
    let vector = include_str!("../../../../tests/vectors/http/request")
        .replace("VERSION", env!("CARGO_PKG_VERSION"));
    let url = url("https://meeting.example:8443/base/api/");
    assert_eq!(request(&url, "cam-b8:27/\"ü\"~", Some("s3cret!"), b"{\"seq\":1}"), vector);
}

#[test]
fn request_without_a_token_has_no_token_field() {
    let request = request(&url("http://10.0.0.1"), "cam", None, b"{}");
    assert!(!request.contains("X-Token-Code"));
    assert!(request.contains("\r\nHost: 10.0.0.1\r\n"));
    assert!(request.ends_with("\r\n\r\n{}"));
}

#[test]
fn longest_request_fits_the_limit() {
    let text = format!("http://h:65535/{}", "a".repeat(URL_MAX - 15));
    let key = "ü".repeat(64);
    let token = "t".repeat(TOKEN_MAX);
    let request = request(&url(&text), &key, Some(&token), &[b'x'; REPORT_MAX]);
    assert!(request.len() <= REQUEST_MAX, "{}", request.len());
}

#[test]
fn short_buffer_is_too_large_at_every_length() {
    let url = url("https://meeting.example/");
    let length = request(&url, "cam", Some("t"), b"{}").len();
    let mut buffer = [0; 1024];
    for short in 0..length {
        assert_eq!(emit(&mut buffer[..short], &url, "cam", Some("t"), b"{}"), Err(TooLarge));
    }
    assert_eq!(emit(&mut buffer[..length], &url, "cam", Some("t"), b"{}"), Ok(length));
}

#[test]
fn only_visible_ascii_is_a_valid_token() {
    assert!(valid_token("aZ09-._~+/=!"));
    assert!(valid_token(&"t".repeat(TOKEN_MAX)));
    assert!(!valid_token(&"t".repeat(TOKEN_MAX + 1)));
    for token in ["", "a b", "a\r\nb", "a\n", "\ta", "ü", "a\0", "a\x7f"] {
        assert!(!valid_token(token), "{token:?}");
    }
}

#[test]
#[should_panic(expected = "a configured token is a valid one")]
fn invalid_token_panics_instead_of_being_sent() {
    request(&url("http://h"), "cam", Some("a\r\nHost: evil"), b"{}");
}
