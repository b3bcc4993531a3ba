//! Tests of the uplinks in reserve.

use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{Block, Verdict, World};
use serde_json::Value;

use crate::camera::{Camera, RARELY};

/// Longest time until a test shows it: an interval, a time-out, and a reserve for a loaded machine.
const SHOWN: Duration = Duration::from_secs(10 + 2 + 20);

/// What the status says of an uplink in reserve.
fn tested<'a>(status: &'a Value, name: &str) -> &'a Value {
    let uplinks = status["uplinks"].as_array().map(Vec::as_slice).unwrap_or_default();
    uplinks.iter().find(|it| it["name"] == name).map_or(&Value::Null, |it| &it["standby"])
}

/// Has the camera beat, and returns what the beat says of the uplinks in reserve.
fn reported(camera: &mut Camera) -> Value {
    camera.beats.skip();
    camera.ring();
    let beat = camera.beats.expect("beat", SOON, |beat: &Beat| beat.reason() == "trigger");
    let seq = beat.seq();
    camera.shows("the beat acknowledged", |status| status["beat"]["seq"] == seq);
    beat.body["standby"].clone()
}

#[test]
fn dead_uplink_in_reserve_is_shown_and_reported_once() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY).own("standby_check_s", 10);
    let mut camera = Camera::start(&world, &setting);
    // The first test of an uplink may take too long on a loaded machine: then the next one shows it.
    camera.shows_within(SHOWN, "both tested", |status| {
        ["wlan1", "wlan0"].iter().all(|name| tested(status, name) == "ok")
    });
    assert_eq!(reported(&mut camera)["wlan1"], "ok");
    let mut lines = camera.agent.lines().follow();
    world.block(&[Block { uplink: Some("wlan1"), to: None, verdict: Verdict::Drop }]);
    expect_line(&mut lines, "[Network] wlan1, in reserve: the server does not answer", SHOWN);
    assert_eq!(tested(&camera.status(), "wlan1"), "dead");
    assert!(camera.words(&world).contains(": the server does not answer over it"));
    assert_eq!(reported(&mut camera)["wlan1"], "dead");
    assert_eq!(reported(&mut camera)["wlan1"], Value::Null, "it is reported once");
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
}
