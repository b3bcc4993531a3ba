//! Captive portals: a portal's response is no acknowledgement, and another uplink may work.

use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::middlebox::Middlebox;
use linkbeat_support::world::World;

use crate::camera::{Camera, is_own};
use crate::scenes::{PLAIN, SECURE, only, setting};

/// Longest time from the login to the beat: a round of probes behind a portal, and some reserve.
const LOGGED_IN: Duration = Duration::from_secs(10);

/// Behaviour of a portal: the receiver's behaviour, the URL, and the status that curl gets.
type Kind = (&'static str, &'static str, u16);
const REDIRECT: Kind = ("page 302", PLAIN, 302);
const REQUIRED: Kind = ("page 511", PLAIN, 511);
const PAGE: Kind = ("page 200", PLAIN, 200);
const CERTIFICATE: Kind = ("certificate foreign", SECURE, 0);

/// With a portal behind eth0 the beat goes over wlan1.
fn is_passed_by_wifi((what, url, status): Kind) {
    let world = World::new();
    let portal = Middlebox::on(&world, "eth0", what);
    let mut camera = Camera::silent(&world, &setting(&world, url));
    assert_eq!(camera.curl(&world, &["--interface", "eth0", url]), status);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", url]), 200);
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    camera.shows_way("wlan1");
    // The next beat does not try the portal first.
    let asked = portal.receiver.counts().connections;
    world.receiver.close_connections();
    camera.ring();
    assert_eq!(camera.beat_over(&world, "wlan1").seq(), 2);
    assert_eq!(portal.receiver.counts().connections, asked, "the portal was asked again");
}

/// With a portal on the only uplink, the agent reports it, and beats after the login.
fn is_reported_and_waited_for((what, url, status): Kind) {
    let world = World::new();
    only(&world, &["eth0"]);
    let portal = Middlebox::on(&world, "eth0", what);
    let mut camera = Camera::silent(&world, &setting(&world, url));
    assert_eq!(camera.curl(&world, &[url]), status);
    let shown = camera.shows("the portal", |status| {
        let advice = status["advice"].as_str().unwrap_or_default();
        // A foreign certificate may have another cause, which the advice names first.
        let suspected = status["state"] == "captive_portal" || what.starts_with("certificate");
        suspected && (advice.contains("portal") || advice.contains("log in"))
    });
    assert_eq!(shown["connected"], false, "{shown:#}");
    portal.open(&world);
    let opened_us = clock::boot_us();
    assert_eq!(camera.curl(&world, &[url]), 200);
    let beat = camera.beats.expect("beat", LOGGED_IN, is_own);
    assert!(beat.received_us > opened_us, "{beat:?}");
    camera.shows_way("eth0");
}

#[test]
fn portal_that_redirects_is_avoided_over_wifi() {
    is_passed_by_wifi(REDIRECT);
}

#[test]
fn portal_that_requires_a_login_is_avoided_over_wifi() {
    is_passed_by_wifi(REQUIRED);
}

#[test]
fn portal_that_sends_its_page_is_avoided_over_wifi() {
    is_passed_by_wifi(PAGE);
}

#[test]
fn portal_with_another_certificate_is_avoided_over_wifi() {
    is_passed_by_wifi(CERTIFICATE);
}

#[test]
fn portal_that_redirects_is_reported_until_the_login() {
    is_reported_and_waited_for(REDIRECT);
}

#[test]
fn portal_that_requires_a_login_is_reported_until_the_login() {
    is_reported_and_waited_for(REQUIRED);
}

#[test]
fn portal_that_sends_its_page_is_reported_until_the_login() {
    is_reported_and_waited_for(PAGE);
}

#[test]
fn portal_with_another_certificate_is_reported_until_the_login() {
    is_reported_and_waited_for(CERTIFICATE);
}

#[test]
fn response_with_ok_false_is_no_acknowledgement() {
    let world = World::new();
    world.receiver.follow("not-ok").unwrap();
    let mut camera = Camera::silent(&world, &setting(&world, SECURE).every(1));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat();
    camera.agent.said("[Meeting] Heartbeat failed");
    let status = camera.status();
    assert_eq!((&status["connected"], status["beat"].is_null()), (&false.into(), true));
    world.receiver.follow("ok").unwrap();
    camera.shows("an acknowledged beat", |status| status["state"] == "online");
}
