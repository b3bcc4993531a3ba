//! Servers with a wrong clock, and a camera whose clock is right.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use linkbeat_core::wire::date::{HttpDate, Utc};
use linkbeat_support::agent::{Setting, expect_line};
use linkbeat_support::certificates::Shown;
use linkbeat_support::clock;
use linkbeat_support::receiver::{Answer, Behaviour};
use linkbeat_support::world::World;
use rustix::process::Signal;

use crate::camera::{Camera, RARELY, binary};

const WITHIN: Duration = Duration::from_secs(20);
const DAY_S: i64 = 86_400;
/// How far the server's clock is ahead of the correct time, in seconds; behind it if negative.
const WRONG_BY_S: [i64; 7] =
    [360, 3600, DAY_S, 60 * DAY_S, 365 * DAY_S, 3650 * DAY_S, -3650 * DAY_S];

/// Gives the server another certificate, and a `Date` that is `ahead_s` ahead of the correct time.
fn wrong_by(world: &World, ahead_s: i64, shown: Shown) {
    let now_s = clock::wall_us() / 1_000_000;
    let date = HttpDate(Utc(now_s.saturating_add_signed(ahead_s)));
    let header = Some(("Date", date.to_string()));
    let answer = Answer::Status { code: 200, header };
    world.receiver.behave(Behaviour { answer, shown, ..Behaviour::default() });
    world.receiver.close_connections();
}

/// Sends a beat that is acknowledged, and returns its body.
fn beat(camera: &mut Camera) -> serde_json::Value {
    let mut lines = camera.agent.lines().follow();
    camera.ring();
    let beat = camera.beat_for("trigger");
    expect_line(&mut lines, "[Meeting] Heartbeat sent", WITHIN);
    beat.body
}

#[test]
fn wrong_date_expires_no_certificate_and_yields_to_a_right_one() {
    for ahead_s in WRONG_BY_S {
        // A new camera each time, so that no session is resumed with the second certificate.
        let world = World::new();
        let mut camera = Camera::calm(&world);
        // This certificate is valid until 4096, so the server's date is plausible.
        wrong_by(&world, ahead_s, Shown::Good);
        beat(&mut camera);
        // This certificate is valid for three months since yesterday, and the server's date is
        // right.
        wrong_by(&world, 0, Shown::Recent);
        beat(&mut camera);
        camera.shows("a clock that is set", |status| status["clock"]["set"] == true);
        let body = beat(&mut camera);
        assert!(body["timestamp"].is_string(), "{ahead_s} s ahead: {body}");
    }
}

#[test]
fn wrong_date_is_forgotten_by_a_restart() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY).own("state_file", "/run/state");
    let mut camera = Camera::start(&world, &setting);
    wrong_by(&world, 365 * DAY_S, Shown::Good);
    beat(&mut camera);
    wrong_by(&world, 0, Shown::Recent);
    let beats = world.receiver.beats().follow();
    let mut again = Camera { agent: camera.agent.restart(&world, binary(), &setting), beats };
    let first = again.beats.expect("startup", WITHIN, |beat| beat.reason() == "startup").body;
    assert!(first["timestamp"].is_string(), "{first}");
    again.shows("a clock that is set", |status| status["clock"]["set"] == true);
}

#[test]
fn file_from_the_future_expires_no_certificate_and_is_looked_at_anew() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    wrong_by(&world, 0, Shown::Recent);
    let path = camera.agent.file("/etc/rpi-cam/meeting.json");
    let mut written = |ahead_s: u64| {
        let date =
            UNIX_EPOCH + Duration::from_micros(clock::wall_us()) + Duration::from_secs(ahead_s);
        let file = File::options().write(true).open(&path).expect("the agent's file");
        file.set_modified(date).expect("a file of our own");
        camera.agent.signal(Signal::HUP);
        camera.beat_for("config_changed");
        beat(&mut camera).get("timestamp").is_some()
    };
    // Whether the clock counts as set depends on the kernel, which may call it synchronised.
    written(2 * 365 * DAY_S.unsigned_abs());
    assert!(written(0), "the clock is set");
}
