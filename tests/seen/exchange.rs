//! What the server is sent, and what `/heartbeat/debug` says of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::camera::{Camera, PATIENCE};

/// Sends a beat, and returns the answer to the request for it.
fn debug(camera: &Camera) -> Value {
    let answer = camera.http("POST /api/meeting/heartbeat/debug");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn debug_answers_with_what_the_server_received_and_said() {
    let mut camera = Camera::start(&json!({}));
    let answer = debug(&camera);
    let beat = camera.beats.expect("the beat", PATIENCE, |beat| beat.reason() == "trigger");
    assert_eq!(answer["payload_sent"], beat.body);
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(true), &json!(200)));
    assert_eq!((answer["endpoint"].as_str(), beat.path.as_str()), (Some(&*beat.path), &*beat.path));
    assert!(answer["api_url"].as_str().is_some_and(|url| url.starts_with("https://127.0.0.1:")));
    assert_eq!(answer["response"]["data"]["ok"], true);
    assert_eq!(answer["response"]["status_code"], 200);

    camera.receiver.follow("status 404").expect("a line that the receiver knows");
    let answer = debug(&camera);
    let beat = camera.beats.expect("the beat", PATIENCE, |beat| beat.reason() == "trigger");
    assert_eq!(answer["payload_sent"], beat.body);
    assert_eq!((&answer["success"], &answer["status_code"]), (&json!(false), &json!(404)));
    let error = answer["response"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("404"), "{answer}");
}

#[test]
fn debug_is_moderated_as_every_trigger() {
    let moderation = json!({"trigger": {"burst": 2, "every_ms": 3_600_000}});
    let mut camera = Camera::start(&json!({ "moderation": moderation }));
    (0..2).for_each(|_| assert_eq!(debug(&camera)["success"], true));
    camera.beats.skip();
    let answer = debug(&camera);
    assert_eq!((&answer["success"], &answer["payload_sent"]), (&json!(false), &json!({})));
    let error = answer["response"]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("held until "), "{answer}");
    camera.beats.expect_none("beat", Duration::from_millis(200), |_| true);
}

#[test]
fn note_is_left_to_the_server_on_request() {
    for (more, expected) in [(json!({}), true), (json!({"note": false}), false)] {
        let mut camera = Camera::start(&more);
        camera.trigger();
        let beat = camera.beats.expect("the beat", PATIENCE, |beat| beat.reason() == "trigger");
        assert_eq!(beat.body.get("note").is_some(), expected, "{beat:?}");
    }
}
