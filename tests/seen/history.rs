//! The history of an agent that beats.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use linkbeat::sys::clock;
use linkbeat_support::receiver::{Answer, Behaviour, Close};
use serde_json::{Value, json};

use crate::camera::{Camera, PATIENCE};

fn kinds(history: &Value) -> Vec<&str> {
    let turns = history["transitions"].as_array().expect("a list").iter();
    turns.map(|turn| turn["kind"].as_str().expect("a word")).collect()
}

#[test]
fn history_agrees_with_the_server() {
    let camera = Camera::start(&json!({}));
    camera.receiver.behave(Behaviour { close: Close::Announced, ..Behaviour::default() });
    camera.trigger();
    camera.trigger();
    let history = camera.history("");
    let beats = history["beats"].as_array().expect("a list");
    let classes: Vec<_> = beats.iter().map(|beat| &beat["class"]).collect();
    assert_eq!(classes, ["startup", "trigger", "trigger"]);
    for beat in beats {
        let stamps: Vec<_> =
            ["resolved_us", "connected_us", "secured_us", "written_us", "replied_us"]
                .map(|key| beat["stamps"][key].as_u64().expect("a number"))
                .into();
        assert!(stamps.is_sorted() && stamps[4] > 0, "{beat}");
        assert_eq!((&beat["result"], &beat["status"]), (&json!("acknowledged"), &json!(200)));
    }
    assert!(kinds(&history).starts_with(&["started"]), "{history}");
    assert!(kinds(&history).contains(&"beating"), "{history}");
    let (counters, counts) = (&history["counters"], camera.receiver.counts());
    assert_eq!(counters["full_handshakes"], counts.full_handshakes);
    assert_eq!(counters["resumptions"], counts.resumed_handshakes);
    // One that lost its race may be given up before we know that it is there.
    let connections = counters["connections"].as_u64().expect("a number");
    assert!((2..=counts.connections.into()).contains(&connections), "{counters} {counts:?}");
    assert_eq!(counters["triggers"], 2);
    assert!(counts.resumed_handshakes > 0, "{counts:?}");
    for (key, least) in [("sent_bytes", 3 * 300), ("received_bytes", 1000)] {
        let bytes = counters[key].as_u64().expect("a number");
        assert!((least..50_000).contains(&bytes), "{key} {bytes}");
    }
    assert_eq!(history["histograms"]["round_trip"]["count"], 3);
    // What is known already is not sent again.
    let last = &history["last_id"];
    let rest = camera.history(&format!("?after={last}"));
    assert_eq!((&rest["beats"], &rest["transitions"]), (&json!([]), &json!([])));
    assert_eq!((&rest["run"], &rest["last_id"]), (&history["run"], last));
}

#[test]
fn failure_is_recorded_with_its_cause_and_its_end() {
    let camera = Camera::start(&json!({}));
    camera.receiver.behave(Behaviour {
        answer: Answer::Status { code: 404, header: None },
        ..Behaviour::default()
    });
    let answer = camera.http("POST /api/meeting/heartbeat");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    camera.receiver.behave(Behaviour::default());
    camera.trigger();
    let history = camera.history("");
    let turns = history["transitions"].as_array().expect("a list");
    let failing = turns.iter().find(|turn| turn["kind"] == "failing").expect("it failed");
    assert_eq!(failing["cause"], "http_404");
    assert_eq!(kinds(&history).last(), Some(&"beating"));
    let failed = &history["beats"][1];
    assert_eq!((&failed["result"], &failed["cause"]), (&json!("failed"), &json!("http_404")));
    assert_eq!(history["counters"]["failures"], json!({ "http_4xx": 1 }));
}

#[test]
fn history_is_the_same_on_the_unix_socket() {
    let camera = Camera::start(&json!({}));
    let mut stream = UnixStream::connect(camera.socket()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(b"history 1\n").expect("a line is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end in time");
    let (_, json) = text.split_once('\n').expect("a greeting");
    let printed: Value = serde_json::from_str(json).expect("JSON");
    let shown = camera.history("?after=1");
    for key in ["run", "last_id", "counters"] {
        assert_eq!(printed[key], shown[key], "{key}");
    }
    assert_eq!(printed["beats"].as_array().map(Vec::len), Some(1));
    assert!(!kinds(&printed).contains(&"started"), "{printed}");
}

#[test]
fn a_moment_has_one_date_whenever_and_wherever_it_is_asked_for() {
    let camera = Camera::start(&json!({}));
    camera.trigger();
    let date = |page: &str, name: &str| {
        let line = page.lines().find(|line| line.starts_with(name)).expect("a metric");
        line.to_owned()
    };
    let mut dates = BTreeSet::new();
    let ends_at = clock::now() + Duration::from_millis(1500);
    while clock::now() < ends_at {
        let status: Value = serde_json::from_str(&camera.get("/api/meeting/status")).expect("JSON");
        let metrics = camera.get("/metrics");
        dates.insert((
            status["last_heartbeat"].to_string(),
            status["since"].to_string(),
            date(&metrics, "process_start_time_seconds "),
            date(&metrics, "linkbeat_last_acknowledged_timestamp_seconds "),
        ));
    }
    assert_eq!(dates.len(), 1, "{dates:?}");
    let (heartbeat, ..) = dates.first().expect("a date");
    let history = camera.history("");
    let beats = history["beats"].as_array().expect("a list");
    assert_eq!(*heartbeat, beats.last().expect("a beat")["at"].to_string());
}
