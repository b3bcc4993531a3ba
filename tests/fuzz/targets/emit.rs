//! Foreign text in output: JSON stays valid with the same content, and a request head keeps its
//! number of lines.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::settings::Host;
use linkbeat_core::wire::json::{self, Value};
use linkbeat_core::wire::outcome::Outcome;
use linkbeat_core::wire::report::{DeviceNote, REPORT_MAX, Report};
use linkbeat_core::wire::request::{ApiUrl, REQUEST_MAX, emit, valid_token};
use rustls_pki_types::ServerName;

fn text<'a>(value: &Value<'a>, key: &str) -> Option<String> {
    value.get(key)?.as_text().map(|text| text.to_string())
}

fn report(project: &str, model: &str) -> Vec<u8> {
    let note = DeviceNote { project, model: Some(model), ip_lan: None };
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
    let failed = Outcome::Failed { seq: 1, error, retry_at: None, exchange: None };
    if let Ok(length) = failed.emit(&mut buffer) {
        let value = json::parse(&buffer[..length]).expect("an outcome is JSON");
        assert_eq!(text(&value, "error").as_deref(), Some(&*failed.to_string()));
    }
    let answer = json::parse(answer).ok();
    let took = std::time::Duration::ZERO;
    let sent =
        Outcome::Acknowledged { seq: 1, status: 200, took, via: None, answer, exchange: None };
    if let Ok(length) = sent.emit(&mut buffer) {
        let value = json::parse(&buffer[..length]);
        // The server's response is nested one level deeper than before.
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

linkbeat_fuzz::target!(|data| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut texts = text.split('\u{1}');
    let mut next = || texts.next().unwrap_or_default();
    let (url, device_key, token) = (next(), next(), next());
    let body = report(next(), next());
    request(url, device_key, token, &body);
    outcome(next(), data);
});
