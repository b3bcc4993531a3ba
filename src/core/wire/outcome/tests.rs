use super::*;
use crate::wire::json;

const SOON: Utc = Utc(1_770_035_696);

fn text(outcome: &Outcome<'_>) -> (String, String) {
    let mut buffer = [0; 512];
    let length = outcome.emit(&mut buffer).unwrap();
    let json = String::from_utf8(buffer[..length].to_vec()).unwrap();
    json::parse(json.as_bytes()).unwrap();
    (outcome.to_string(), json)
}

fn acknowledged(answer: Option<Value<'_>>) -> Outcome<'_> {
    let took = Duration::from_micros(83_900);
    Outcome::Acknowledged {
        seq: 812,
        status: 200,
        took,
        via: InterfaceName::new("wlan0"),
        answer,
        exchange: None,
    }
}

#[test]
fn every_outcome_is_written_as_a_line_and_as_json() {
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
            Outcome::Failed {
                seq: 7,
                error: "a \"quoted\" word",
                retry_at: Some(SOON),
                exchange: None,
            },
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

#[test]
fn debug_response_has_the_exchange_and_the_other_response() {
    let url = ApiUrl::parse("https://h.example/prefix/api/").unwrap();
    let exchange = |status| {
        Some(Exchange { report: r#"{"seq":812}"#, url: &url, device_key: "cam 1", status })
    };
    let Outcome::Acknowledged { seq, status, took, via, .. } = acknowledged(None) else { panic!() };
    let answer = json::parse(br#"{"ok": true}"#).ok();
    let sent =
        Outcome::Acknowledged { seq, status, took, via, answer, exchange: exchange(Some(200)) };
    let failed =
        Outcome::Failed { seq: 7, error: "no", retry_at: None, exchange: exchange(Some(404)) };
    let silent = Exchange { report: "", url: &url, device_key: "cam", status: None };
    let unsent = Outcome::Failed { seq: 7, error: "no", retry_at: None, exchange: Some(silent) };
    for (outcome, expected) in [
        (
            sent,
            r#"{"success":true,"status_code":200,"payload_sent":{"seq":812},"endpoint":"/api/devices/cam%201/online","api_url":"https://h.example/prefix","response":{"success":true,"data":{"ok": true},"status_code":200}}"#,
        ),
        (
            failed,
            r#"{"success":false,"status_code":404,"payload_sent":{"seq":812},"endpoint":"/api/devices/cam%201/online","api_url":"https://h.example/prefix","response":{"success":false,"error":"failed: seq 7, no"}}"#,
        ),
        (
            unsent,
            r#"{"success":false,"status_code":null,"payload_sent":{},"endpoint":"/api/devices/cam/online","api_url":"https://h.example/prefix","response":{"success":false,"error":"failed: seq 7, no"}}"#,
        ),
        (
            Outcome::Disabled,
            r#"{"success":false,"status_code":null,"payload_sent":{},"response":{"success":false,"error":"disabled: enabled is false"}}"#,
        ),
    ] {
        let mut buffer = [0; 512];
        let length = outcome.emit_debug(&mut buffer).unwrap();
        assert_eq!(core::str::from_utf8(&buffer[..length]), Ok(expected));
        for size in 0..length {
            assert_eq!(outcome.emit_debug(&mut buffer[..size]), Err(TooLarge));
        }
    }
}
