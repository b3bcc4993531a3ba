//! Outages as the beats report them.

use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;
use serde_json::Value;

use crate::camera::{Camera, binary};
use crate::scenes::only;

/// The only outage that a beat reports.
fn outage(beat: &Beat) -> Value {
    let reported = beat.body["outage"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [outage] = reported else { panic!("one outage is reported: {}", beat.body) };
    assert!(outage.to_string().len() <= 160, "{outage}");
    outage.clone()
}

fn is_reported(beat: &Beat) -> bool {
    beat.body.get("outage").is_some()
}

/// The next beat that reports an outage.
fn reported(camera: &mut Camera) -> Beat {
    // An interval, a time-out, and a wait may come before it.
    camera.beats.expect("beat that reports an outage", 4 * SOON, is_reported)
}

/// Checks that no outage is reported after the beat `seq`, which was acknowledged.
fn reported_no_more(camera: &mut Camera, seq: u64) {
    for _ in 0..2 {
        let next = camera.beats.expect("later beat", SOON, |beat| beat.seq() > seq);
        assert!(!is_reported(&next), "{}", next.body);
    }
}

/// Waits until the status shows an outage in which a beat fell due.
fn missed(camera: &Camera, beats: u64) -> Value {
    let missed = |status: &Value| status["last_outage"]["missed"].as_u64() >= Some(beats);
    camera.shows("missed beats", missed)["last_outage"].clone()
}

#[test]
fn pulled_cable_is_reported_with_the_first_beat_after_it() {
    let world = World::new();
    only(&world, &["eth0"]);
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let before = camera.beat_for("interval");
    assert!(!is_reported(&before));
    // Received is not acknowledged yet.
    camera.agent.said(&format!("[Meeting] Heartbeat sent: seq {},", before.seq()));
    world.pull("eth0");
    missed(&camera, 2);
    camera.beats.skip();
    world.plug("eth0");
    let beat = camera.beat();
    let outage = outage(&beat);
    assert_eq!(
        (&outage["n"], &outage["kind"], &outage["uplink"]),
        (&1.into(), &"link".into(), &"eth0".into())
    );
    assert!(
        outage["missed"].as_u64() >= Some(2) && outage["lasted_s"].as_u64() >= Some(1),
        "{outage}"
    );
    assert!(outage.get("cause").is_none(), "{outage}");
    reported_no_more(&mut camera, beat.seq());
    let last = &camera.status()["last_outage"];
    assert_eq!((&last["kind"], &last["n"]), (&"no_uplink".into(), &1.into()));
}

#[test]
fn mute_server_is_reported_in_every_beat_until_one_is_acknowledged() {
    let world = World::new();
    // A time-out that no beat of a busy machine reaches: it would be an outage of its own.
    let setting = Setting::new(&world).every(2).own("request_timeout_ms", 4000);
    let mut camera = Camera::start(&world, &setting);
    world.receiver.follow("hang").unwrap();
    let (first, second) = (outage(&reported(&mut camera)), outage(&reported(&mut camera)));
    for key in ["n", "began", "kind", "uplink", "cause"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    assert!(first["n"].is_u64() && first["kind"] == "server", "{first}");
    let mut lines = camera.agent.lines().follow();
    world.receiver.follow("ok").unwrap();
    expect_line(&mut lines, "[Meeting] Heartbeat sent", 4 * SOON);
    let beats = camera.beats.drain();
    let last =
        beats.iter().rfind(|beat| is_reported(beat)).expect("the beat that was acknowledged");
    assert_eq!(outage(last)["n"], first["n"]);
    reported_no_more(&mut camera, last.seq());
}

#[test]
fn outage_that_lasts_over_a_restart_is_reported_from_its_beginning() {
    let world = World::new();
    only(&world, &["eth0"]);
    let setting = Setting::new(&world).every(1).own("state_file", "/run/state");
    let mut camera = Camera::start(&world, &setting);
    world.pull("eth0");
    let before = missed(&camera, 1);
    camera.agent.end();
    let beats = world.receiver.beats().follow();
    let mut again = Camera { agent: camera.agent.restart(&world, binary(), &setting), beats };
    again.shows("the same outage", |status| {
        status["last_outage"]["n"] == 1 && status["last_outage"]["lasted"].is_null()
    });
    again.beats.skip();
    world.plug("eth0");
    let beat = reported(&mut again);
    let outage = outage(&beat);
    assert_eq!((&outage["n"], &outage["kind"]), (&1.into(), &"link".into()));
    assert!(outage["missed"].as_u64() >= before["missed"].as_u64(), "{outage} {before}");
    reported_no_more(&mut again, beat.seq());
}
