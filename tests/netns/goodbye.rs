//! The last beat of an agent that is stopped.

use std::os::unix::fs::symlink;

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::world::World;
use serde_json::json;

use crate::camera::{Camera, QUIET, RARELY, binary, is_own};

const WORD: &str = "/run/linkbeat/stopping";

#[test]
fn server_learns_why_the_agent_stops_over_the_kept_connection() {
    for (target, word) in [
        (None, "stop"),
        (Some("reboot"), "reboot"),
        (Some("upgrade"), "upgrade"),
        (Some("x"), "stop"),
    ] {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        camera.ring();
        let before = camera.beat();
        camera.agent.said("[Meeting] Heartbeat sent: seq 2");
        if let Some(target) = target {
            symlink(target, camera.agent.file(WORD)).unwrap();
        }
        assert!(camera.agent.end().success());
        let last = camera.beat();
        assert_eq!((&last.body["stopping"], last.seq()), (&json!(word), 3));
        assert_eq!((last.connection, &before.body["stopping"]), (before.connection, &json!(null)));
        camera.beats.expect_none("beat after the last one", QUIET, is_own);
    }
}

#[test]
fn word_that_was_left_behind_is_forgotten_at_start() {
    let world = World::new();
    let camera = Camera::calm(&world);
    let word = camera.agent.file(WORD);
    symlink("upgrade", &word).unwrap();
    let setting = Setting::new(&world).every(RARELY);
    let mut beats = camera.beats;
    let mut agent = camera.agent.restart(&world, binary(), &setting);
    beats.expect("startup", SOON, |beat| beat.reason() == "startup");
    assert!(!word.is_symlink());
    agent.said("[Meeting] Heartbeat sent");
    assert!(agent.end().success());
    let last = beats.expect("last", SOON, is_own);
    assert_eq!(last.body["stopping"], "stop");
}

#[test]
fn mute_server_does_not_hold_the_end_up() {
    // A whole exchange would take ten seconds, and the agent is waited for no longer than five.
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.receiver.follow("hang").unwrap();
    assert!(camera.agent.end().success());
}

#[test]
fn no_last_beat_follows_a_refusal_or_is_sent_where_it_is_switched_off() {
    for status in [401, 404] {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        world.receiver.follow(&format!("status {status}")).unwrap();
        camera.ring();
        camera.beat();
        camera.agent.said("[Meeting] Heartbeat failed");
        assert!(camera.agent.end().success());
        camera.stays_silent();
    }
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY).own("goodbye", false);
    let mut camera = Camera::start(&world, &setting);
    camera.agent.said("[Meeting] Heartbeat sent");
    assert!(camera.agent.end().success());
    camera.stays_silent();
}

#[test]
fn trigger_that_waits_is_in_the_last_beat() {
    let world = World::new();
    let moderation = json!({ "trigger": { "burst": 1, "every_ms": 3_600_000 } });
    let setting = Setting::new(&world).every(RARELY).own("moderation", moderation);
    let mut camera = Camera::start(&world, &setting);
    camera.ring();
    camera.beat_for("trigger");
    camera.agent.said("[Meeting] Heartbeat sent: seq 2");
    assert!(camera.agent.ask("trigger door").unwrap().starts_with("held until"));
    assert!(camera.agent.end().success());
    let last = camera.beat();
    assert_eq!((last.reason(), &last.body["stopping"]), ("trigger:door", &json!("stop")));
}
