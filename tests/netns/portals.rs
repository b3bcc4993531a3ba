//! Captive portals: an answer that is not the server's is no acknowledgement, and another uplink
//! may be free.

use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::middlebox::Middlebox;
use linkbeat_support::world::World;

use crate::camera::{Camera, is_own};
use crate::scenes::{PLAIN, SECURE, only, setting};

/// How long after the login a beat may take: a round of probes while a portal is there, and room to
/// spare.
const LOGGED_IN: Duration = Duration::from_secs(10);

/// What portals are seen to do: how a receiver does it, to which URL, and what curl makes of it.
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
    // The next one does not ask the portal first.
    let asked = portal.receiver.counts().connections;
    world.receiver.close_connections();
    camera.ring();
    assert_eq!(camera.beat_over(&world, "wlan1").seq(), 2);
    assert_eq!(portal.receiver.counts().connections, asked, "the portal was asked again");
}

/// Alone behind a portal, the agent says so, and beats when somebody has logged in.
fn is_told_and_waited_for((what, url, status): Kind) {
    let world = World::new();
    only(&world, &["eth0"]);
    let portal = Middlebox::on(&world, "eth0", what);
    let mut camera = Camera::silent(&world, &setting(&world, url));
    assert_eq!(camera.curl(&world, &[url]), status);
    let shown = camera.shows("the portal", |status| {
        let advice = status["advice"].as_str().unwrap_or_default();
        // A foreign certificate may have another reason, and first of all the advice names it.
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
fn portal_that_redirects_is_passed_by_wifi() {
    is_passed_by_wifi(REDIRECT);
}

#[test]
fn portal_that_requires_a_login_is_passed_by_wifi() {
    is_passed_by_wifi(REQUIRED);
}

#[test]
fn portal_that_shows_its_page_is_passed_by_wifi() {
    is_passed_by_wifi(PAGE);
}

#[test]
fn portal_with_a_certificate_of_its_own_is_passed_by_wifi() {
    is_passed_by_wifi(CERTIFICATE);
}

#[test]
fn portal_that_redirects_is_told_and_waited_for() {
    is_told_and_waited_for(REDIRECT);
}

#[test]
fn portal_that_requires_a_login_is_told_and_waited_for() {
    is_told_and_waited_for(REQUIRED);
}

#[test]
fn portal_that_shows_its_page_is_told_and_waited_for() {
    is_told_and_waited_for(PAGE);
}

#[test]
fn portal_with_a_certificate_of_its_own_is_told_and_waited_for() {
    is_told_and_waited_for(CERTIFICATE);
}

#[test]
fn answer_that_says_it_is_not_ok_is_no_acknowledgement() {
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
