use super::*;
use crate::wire::json;

const SOON: Utc = Utc(1_770_035_696);

fn text(outcome: &Outcome<'_>) -> (String, String) {
    let mut buffer = [0; 512];
    let length = outcome.emit(&mut buffer).unwrap();
    let json = String::from_utf8(buffer[..length].to_vec()).unwrap();
    json::check(json.as_bytes()).unwrap();
    (outcome.to_string(), json)
}

fn acknowledged(answer: Option<Value<'_>>) -> Outcome<'_> {
    let took = Duration::from_micros(83_900);
    Outcome::Acknowledged { seq: 812, status: 200, took, via: Name::new("wlan0"), answer }
}

#[test]
fn every_outcome_has_its_line_and_its_json() {
    let answer = json::parse(br#" {"ok": true}"#).unwrap();
    for (outcome, line, json) in [
        (Outcome::Set, "set", r#"{"success":true,"set":true}"#),
        (Outcome::Pending, "pending", r#"{"success":true,"set":false}"#),
        (
            Outcome::Held { set: true, until: SOON },
            "held until 2026-02-02T12:34:56Z",
            r#"{"success":true,"set":true,"held_until":"2026-02-02T12:34:56Z"}"#,
        ),
        (
            Outcome::Later { until: SOON },
            "held until 2026-02-02T12:34:56Z",
            r#"{"success":false,"error":"held until 2026-02-02T12:34:56Z"}"#,
        ),
        (
            Outcome::Disabled,
            "disabled",
            r#"{"success":false,"error":"disabled: enabled is false"}"#,
        ),
        (
            Outcome::Unconfigured,
            "unconfigured",
            r#"{"success":false,"error":"unconfigured: api_url or the device key is missing"}"#,
        ),
        (
            acknowledged(Some(answer)),
            "seq 812, 200, 83 ms, via wlan0",
            r#"{"success":true,"data":{"ok": true},"status_code":200}"#,
        ),
        (
            acknowledged(None),
            "seq 812, 200, 83 ms, via wlan0",
            r#"{"success":true,"data":null,"status_code":200}"#,
        ),
        (
            Outcome::Failed { seq: 7, error: "a \"quoted\" word", retry_at: Some(SOON) },
            "failed: seq 7, a \"quoted\" word, next try at 2026-02-02T12:34:56Z",
            "{\"success\":false,\"error\":\"failed: seq 7, a \\\"quoted\\\" word, \
             next try at 2026-02-02T12:34:56Z\"}",
        ),
        (
            Outcome::GaveUp { seq: Some(7), after: Duration::from_secs(15) },
            "gave up after 15 s: seq 7 is not answered yet",
            r#"{"success":false,"error":"gave up after 15 s: seq 7 is not answered yet"}"#,
        ),
    ] {
        assert_eq!(text(&outcome), (line.to_owned(), json.to_owned()));
        assert_eq!(outcome.http_status() == 200, json.contains("\"success\":true"));
    }
}

#[test]
fn a_buffer_too_small_is_an_error() {
    let outcome = acknowledged(None);
    let (_, json) = text(&outcome);
    for size in 0..json.len() {
        assert_eq!(outcome.emit(&mut vec![0; size]), Err(TooLarge));
        assert!(emit_error(&"x", &mut vec![0; size.min(20)]).is_err());
    }
}

#[test]
fn an_error_is_escaped() {
    let mut buffer = [0; 64];
    let length = emit_error(&"a\r\n\"b\"", &mut buffer).unwrap();
    assert_eq!(&buffer[..length], br#"{"success":false,"error":"a\r\n\"b\""}"#);
}
