//! Foreign texts in what we write: JSON stays JSON and says the same, a head has the lines it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat::proto::settings::Host;
use linkbeat::wire::json::{self, Value};
use linkbeat::wire::outcome::Outcome;
use linkbeat::wire::report::{Note, REPORT_MAX, Report};
use linkbeat::wire::request::{ApiUrl, REQUEST_MAX, emit, valid_token};
use rustls_pki_types::ServerName;

fn text<'a>(value: &Value<'a>, key: &str) -> Option<String> {
    value.get(key)?.as_text().map(|text| text.to_string())
}

fn report(project: &str, model: &str) -> Vec<u8> {
    let note = Note { project, model: Some(model), ip_lan: None };
    let report = Report { note: Some(note), boot_id: Some(model), ..Report::default() };
    let mut buffer = vec![0; REPORT_MAX];
    let Ok(length) = report.emit(&mut buffer) else { return Vec::new() };
    buffer.truncate(length);
    let value = json::parse(&buffer).expect("a report is JSON");
    assert_eq!(text(&value, "note").as_deref(), Some(&*note.to_string()));
    assert_eq!(text(&value, "boot_id").as_deref(), Some(model));
    buffer
}

fn outcome(error: &str, answer: &[u8]) {
    let mut buffer = [0; 4096];
    let failed = Outcome::Failed { seq: 1, error, retry_at: None };
    if let Ok(length) = failed.emit(&mut buffer) {
        let value = json::parse(&buffer[..length]).expect("an outcome is JSON");
        assert_eq!(text(&value, "error").as_deref(), Some(&*failed.to_string()));
    }
    let answer = json::parse(answer).ok();
    let took = std::time::Duration::ZERO;
    let sent = Outcome::Acknowledged { seq: 1, status: 200, took, via: None, answer };
    if let Ok(length) = sent.emit(&mut buffer) {
        let value = json::parse(&buffer[..length]);
        // The answer stands one level deeper than it came.
        assert!(value.is_ok() || value.is_err_and(|error| error.kind == json::ErrorKind::TooDeep));
    }
}

fn request(url: &str, device_key: &str, token: &str, body: &[u8]) {
    let Ok(url) = ApiUrl::parse(url) else { return };
    assert_eq!(ApiUrl::parse(&url.to_string()).as_ref(), Ok(&url), "the normal form is stable");
    if let Host::Name(name) = &url.server().host {
        ServerName::try_from(name.as_str()).expect("TLS takes every name of a URL");
    }
    let token = Some(token).filter(|token| valid_token(token));
    let mut buffer = [0; REQUEST_MAX];
    let Ok(length) = emit(&mut buffer, &url, device_key, token, body) else { return };
    let request = std::str::from_utf8(&buffer[..length - body.len()]).expect("a head is ASCII");
    let lines: Vec<_> = request.split("\r\n").collect();
    assert_eq!(lines.len(), 8 + usize::from(token.is_some()), "{request}");
    assert!(lines.iter().all(|line| line.bytes().all(|byte| matches!(byte, b' '..=b'~'))));
    assert_eq!(lines[0].split(' ').count(), 3, "{request}");
    assert!(!lines[0].contains("/api/api/devices/"), "{request}");
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut texts = text.split('\u{1}');
    let mut next = || texts.next().unwrap_or_default();
    let (url, device_key, token) = (next(), next(), next());
    let body = report(next(), next());
    request(url, device_key, token, &body);
    outcome(next(), data);
});
