//! Requests for a beat, and the ends that they may have.

use super::*;

#[test]
fn trigger_without_wait_is_answered_by_the_cores_word() {
    for (answer, expected) in [
        (TriggerAnswer::Set { seq: 1 }, r#"{"success":true,"set":true}"#),
        (TriggerAnswer::Pending { seq: 1 }, r#"{"success":true,"set":false}"#),
    ] {
        let mut tested = Loop::http();
        let mut client = tested.ask(TRIGGER_ONLY);
        let request = tested.request();
        assert_eq!(request.ask, Ask::Trigger(None));
        tested.answer(&request, answer);
        assert_eq!(body(&tested.text(&mut client)), expected);
    }
}

#[test]
fn trigger_waits_for_the_beat_that_covers_it() {
    let mut tested = Loop::http();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    tested.finish_waiting(9, &acknowledged(9));
    tested.answer(&request, TriggerAnswer::Set { seq: 10 });
    tested.finish_waiting(9, &acknowledged(9));
    tested.finish_waiting(10, &acknowledged(10));
    let answer = tested.text(&mut client);
    assert_eq!(body(&answer), r#"{"success":true,"data":null,"status_code":200}"#);
}

#[test]
fn debug_is_a_trigger_that_waits_and_shows_the_exchange() {
    let sent = r#""response":{"success":true,"data":null,"status_code":200}}"#;
    let disabled = r#""response":{"success":false,"error":"disabled: enabled is false"}}"#;
    for (request, answer, expected) in [
        (DEBUG.to_owned(), TriggerAnswer::Set { seq: 1 }, sent),
        (DEBUG.replace(" HTTP", "?wait=0 HTTP"), TriggerAnswer::Set { seq: 1 }, sent),
        (DEBUG.to_owned(), TriggerAnswer::Disabled, disabled),
    ] {
        let mut tested = Loop::http();
        let mut client = tested.ask(&request);
        let request = tested.request();
        assert_eq!(request.ask, Ask::Trigger(None));
        tested.answer(&request, answer);
        tested.finish_waiting(1, &acknowledged(1));
        let answer = tested.text(&mut client);
        // As the service that linkbeat replaces, which has its page read the body.
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(body(&answer).ends_with(expected), "{answer}");
    }
}

#[test]
fn debug_is_refused_as_a_trigger_is() {
    for (request, status) in [
        (DEBUG.replace("POST", "GET"), "405"),
        (DEBUG.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n"), "403"),
        (DEBUG.replace("localhost", "evil.example"), "403"),
    ] {
        let mut tested = Loop::http();
        let mut client = tested.ask(&request);
        let answer = tested.text(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[test]
fn those_who_wait_for_a_beat_leave_room_for_others() {
    let mut tested = Loop::http();
    for _ in 0..WAITING_MAX {
        // That it is gone does not show: who shuts its sending side down may still wait.
        drop(tested.ask(TRIGGER));
        let request = tested.request();
        tested.answer(&request, TriggerAnswer::Set { seq: 1 });
    }
    let mut refused = tested.ask(TRIGGER);
    let answer = tested.text(&mut refused);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("?wait=0"), "{answer}");
    let mut client = tested.ask(TRIGGER_ONLY);
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Pending { seq: 1 });
    assert_eq!(body(&tested.text(&mut client)), r#"{"success":true,"set":false}"#);
}

#[test]
fn trigger_gives_up_after_its_time() {
    let mut tested = Loop::http();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 3 });
    tested.pass(WAIT_MAX);
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(body(&answer).contains("gave up after 15 s: seq 3"), "{answer}");
}

#[test]
fn trigger_held_for_longer_than_anyone_waits_is_answered_at_once() {
    let mut tested = Loop::http();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    let until = Instant::from_micros(60_000_000);
    let held = TriggerAnswer::Held { seq: 3, set: true, until };
    tested.answer(&request, held);
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(body(&answer).contains(r#""error":"held until 1970-01-01T00:01:00Z""#), "{answer}");
}
