//! Stale name answers: they are refreshed after a failure whatever their TTL is, and the last good
//! address stays a candidate.

use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::receiver::{Receiver, Scheme};
use linkbeat_support::world::{SERVER, SERVER_NAME, World};

use crate::camera::{Camera, is_own};
use crate::scenes::{SECURE, hole, mend, only, record};

/// The router's address, on which a portal answers.
const PORTAL: &str = "10.11.1.1";
/// Longer than the shortest time that a DNS response is cached.
const EXPIRED: Duration = Duration::from_secs(6);
/// Longest wait for the beat after a useless name answer, with some reserve: for 5 s the name is not
/// queried again, and the retry after those comes at most 8 s later.
pub(crate) const RETRIED: Duration = Duration::from_secs(20);

/// The configuration of a camera whose name answers outlast its interval, so that it needs no
/// queries.
fn setting(world: &World) -> Setting {
    Setting::new(world).every(30)
}

/// A world with eth0 only, name answers with a TTL of an hour, and a portal with its own
/// certificate.
fn world_with_portal() -> (World, Receiver) {
    let world = World::new();
    only(&world, &["eth0"]);
    world.nameserver.set_ttl(3600);
    let portal = world.router.within(|| {
        let listener = std::net::TcpListener::bind((PORTAL, 443)).unwrap();
        Receiver::start(vec![(listener, Scheme::Https)], world.certificates())
    });
    portal.follow("certificate foreign").unwrap();
    (world, portal)
}

#[test]
fn name_answer_of_a_portal_is_dropped_after_the_login() {
    let (world, portal) = world_with_portal();
    world.nameserver.set(SERVER_NAME, &[record(PORTAL)]);
    let mut camera = Camera::silent(&world, &setting(&world));
    assert_eq!(camera.curl(&world, &[SECURE]), 0);
    camera.agent.said("[Meeting] Heartbeat failed");
    world.nameserver.set(SERVER_NAME, &[record(SERVER[0])]);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beats.expect("beat", RETRIED, is_own);
    assert_eq!(beat.seq(), 1, "{beat:?}");
    assert!(portal.counts().failed_handshakes > 0);
}

#[test]
fn last_good_address_is_tried_beside_that_of_a_portal() {
    let (world, _portal) = world_with_portal();
    world.nameserver.set_ttl(5);
    let mut camera = Camera::start(&world, &setting(&world));
    // The lease ends. With the new one a portal answers all name queries, but lets traffic to the
    // good address through.
    world.unlease("eth0");
    camera.beats.expect_none("beat without a way", EXPIRED, is_own);
    world.nameserver.set_ttl(3600);
    world.nameserver.set(SERVER_NAME, &[record(PORTAL)]);
    world.lease("eth0");
    let known = format!("meeting.test:443:{}", SERVER[0]);
    assert_eq!(camera.curl(&world, &["--resolve", &known, SECURE]), 200);
    let beat = camera.beats.expect("beat", RETRIED, is_own);
    assert_eq!(beat.reason(), "failover_to_eth0", "{beat:?}");
    // Now the new answer is known, which has the portal's address only.
    camera.shows_way("eth0");
    world.receiver.close_connections();
    camera.ring();
    let beat = camera.beats.expect("beat", RETRIED, is_own);
    assert_eq!(beat.reason(), "trigger", "{beat:?}");
}

#[test]
fn server_that_moved_is_found_by_its_name() {
    const MOVED: &str = "203.0.113.20";
    let world = World::new();
    world.internet.ip(&format!("address add {MOVED} dev lo"));
    world.nameserver.set_ttl(3600);
    let mut camera = Camera::start(&world, &setting(&world));
    world.nameserver.set(SERVER_NAME, &[record(MOVED)]);
    world.receiver.close_connections();
    hole(&world, &format!("ip daddr {}", SERVER[0]));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.ring();
    let beat = camera.beats.expect("beat", RETRIED, is_own);
    assert_eq!((beat.reason(), beat.seq()), ("trigger", 2), "{beat:?}");
}

#[test]
fn restored_connectivity_repeats_the_name_query() {
    let world = World::new();
    only(&world, &["eth0"]);
    world.nameserver.set_ttl(3600);
    let mut camera = Camera::start(&world, &setting(&world).every(1));
    let mut lines = camera.agent.lines().follow();
    hole(&world, "iifname r-eth0");
    expect_line(&mut lines, "[Meeting] Connectivity lost", 4 * SOON);
    let mut queries = world.nameserver.queries().follow();
    mend(&world);
    camera.beat_for("connectivity_restored");
    queries.expect("question", SOON, |query| query.name == SERVER_NAME);
}

#[test]
fn change_of_uplink_repeats_the_name_query() {
    let world = World::new();
    world.nameserver.set_ttl(3600);
    let mut camera = Camera::start(&world, &setting(&world));
    let mut queries = world.nameserver.queries().follow();
    world.pull("eth0");
    camera.beat_over(&world, "wlan1");
    let query = queries.expect("question", SOON, |query| query.name == SERVER_NAME);
    assert_eq!(query.peer.ip(), world.address("wlan1"));
}
