//! The advice in the status when there is no usable path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use linkbeat_support::agent::SOON;
use linkbeat_support::nameserver::Mood;
use linkbeat_support::space::run;
use linkbeat_support::world::{INTERFACES, SERVER, World};
use serde_json::json;

use crate::camera::Camera;
use crate::scenes::{PLAIN, SECURE, only, setting};

/// The output of `linkbeat status` contains all of `words` and none of `others`.
fn says(world: &World, camera: &Camera, words: &[&str], others: &[&str]) {
    let text = camera.words(world);
    let said = text.to_lowercase();
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {text}");
    }
    for word in others {
        assert!(!said.contains(word), "{word:?} in: {text}");
    }
}

/// No path works, not for curl either. The status names the cause, and nothing else.
fn no_uplink(world: &World, camera: &Camera, words: &[&str], others: &[&str]) {
    assert_eq!(camera.curl(world, &["-m", "1", PLAIN]), 0);
    camera.shows("no way", |status| status["state"] == "no_uplink");
    says(world, camera, words, others);
}

#[test]
fn missing_carrier_is_named() {
    let world = World::new();
    let camera = Camera::calm(&world);
    INTERFACES.iter().for_each(|it| world.pull(it));
    no_uplink(&world, &camera, &["carrier"], &["route", "ignore"]);
}

#[test]
fn missing_address_is_named() {
    let world = World::new();
    let camera = Camera::calm(&world);
    INTERFACES.iter().for_each(|it| world.unlease(it));
    no_uplink(&world, &camera, &["address"], &["carrier", "ignore"]);
}

#[test]
fn missing_route_is_named() {
    let world = World::new();
    only(&world, &["eth0"]);
    let url = format!("http://{}/api", SERVER[0]);
    let camera = Camera::start(&world, &setting(&world, &url));
    world.device.ip("route delete default dev eth0");
    no_uplink(&world, &camera, &["route", SERVER[0]], &["carrier", "ignore"]);
}

#[test]
fn interfaces_that_are_all_ignored_are_named() {
    let world = World::new();
    let setting = setting(&world, SECURE).own("ignore_interfaces", json!(["lo", "eth*", "wlan*"]));
    let camera = Camera::silent(&world, &setting);
    // The interfaces have routes, but may not be used.
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.shows("no way", |status| status["state"] == "no_uplink");
    says(&world, &camera, &["ignore", "eth0", "wlan1", "wlan0"], &["carrier"]);
}

/// A failure of name resolution is not blamed on the server.
fn is_trouble_with_names(world: &World, mood: Mood, word: &str) {
    world.nameserver.set_mood(mood);
    let camera = Camera::silent(world, &setting(world, SECURE).own("request_timeout_ms", 2000));
    assert_eq!(camera.curl(world, &["-m", "1", SECURE]), 0);
    camera.agent.said("[Meeting] Heartbeat failed");
    says(world, &camera, &[word], &["server runs", "server silent"]);
}

#[test]
fn silent_nameserver_is_named_and_not_the_server() {
    is_trouble_with_names(&World::new(), Mood::Silent, "nameserver");
}

#[test]
fn failing_nameserver_is_named_and_not_the_server() {
    is_trouble_with_names(&World::new(), Mood::Failing, "nameserver");
}

#[test]
fn unknown_name_is_named_and_not_the_server() {
    is_trouble_with_names(&World::new(), Mood::Denying, "meeting.test");
}

#[test]
fn recovered_nameserver_ends_the_failure() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Failing);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    camera.agent.said("[Meeting] Heartbeat failed");
    world.nameserver.set_mood(Mood::Honest);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beats.expect("beat", 2 * SOON, |beat| beat.seq() == 1);
    camera.shows_way("eth0");
}

#[test]
fn interface_whose_name_is_not_utf_8_is_used() {
    let world = World::new();
    only(&world, &["eth0"]);
    let name = OsStr::from_bytes(b"eth\xff\"0");
    let set = ["-n", world.device.name(), "link", "set", "eth0", "name"];
    run(Command::new("ip").args(set).arg(name), "");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows("an acknowledged beat", |status| status["state"] == "online");
}

#[test]
fn outage_of_a_pulled_cable_is_reported_as_one() {
    let world = World::new();
    only(&world, &["eth0"]);
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    camera.shows("no way", |status| status["last_outage"]["kind"] == "no_uplink");
    world.plug("eth0");
    camera.beat_for("failover_to_eth0");
    camera.shows_way("eth0");
    says(&world, &camera, &["last outage  ended", "no interface led out"], &["nothing outside"]);
}
