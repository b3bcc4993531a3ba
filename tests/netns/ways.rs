//! Paths that fail although something answers: a middlebox that acknowledges segments and never
//! responds, and responses that arrive at another interface.

use linkbeat_support::clock;
use linkbeat_support::middlebox::Middlebox;
use linkbeat_support::world::{Block, Families, Verdict, World};

use crate::camera::Camera;
use crate::scenes::{PLAIN, SECURE, hole, only, setting};

/// A middlebox on eth0's line acknowledges everything and never responds. The beat in flight goes
/// over wlan1, and the next ones do not try the middlebox.
fn loses_no_beat_to_a_mute_box(api_url: &str) {
    let world = World::new();
    let mut camera = Camera::start(&world, &setting(&world, api_url));
    let mute = Middlebox::on(&world, "eth0", "hang");
    world.receiver.close_connections();
    assert_eq!(camera.curl(&world, &["--interface", "eth0", "-m", "1", api_url]), 0);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", api_url]), 200);

    camera.ring();
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!((beat.reason(), beat.seq()), ("trigger", 2), "{beat:?}");
    camera.shows_way("wlan1");

    // This holds on a new connection as well.
    let asked = mute.receiver.counts().connections;
    world.receiver.close_connections();
    let rung_us = clock::boot_us();
    camera.ring();
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.seq(), 3, "{beat:?}");
    assert_eq!(mute.receiver.counts().connections, asked, "the box was asked again");
    // A wait for the middlebox would take two seconds.
    assert!(beat.received_us - rung_us < 1_500_000, "{beat:?}");
}

#[test]
fn middlebox_that_never_responds_loses_no_beat() {
    loses_no_beat_to_a_mute_box(PLAIN);
}

#[test]
fn middlebox_that_never_responds_loses_no_beat_over_tls() {
    loses_no_beat_to_a_mute_box(SECURE);
}

#[test]
fn first_beat_does_not_wait_for_a_silent_middlebox() {
    let world = World::new();
    let _mute = Middlebox::on(&world, "eth0", "hang");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
}

#[test]
fn failed_uplink_is_tried_again_after_its_cable_was_pulled() {
    let world = World::new();
    let mute = Middlebox::on(&world, "eth0", "hang");
    let mut camera = Camera::silent(&world, &setting(&world, PLAIN));
    camera.beat_over(&world, "wlan1");
    mute.open(&world);
    world.pull("eth0");
    camera.shows("no eth0", |status| {
        let others = status["uplinks"].as_array().into_iter().flatten();
        [&status["uplink"]].into_iter().chain(others).all(|it| it["name"] != "eth0")
    });
    world.plug("eth0");
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
}

/// A path that silently drops large packets in one direction, so the certificates do not get
/// through.
fn loses_no_beat_to_a_narrow_path(families: Families) {
    let world = World::with(families);
    hole(&world, "oifname r-eth0 meta length > 500");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["--interface", "eth0", "-m", "1", SECURE]), 0);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    camera.shows_way("wlan1");
}

#[test]
fn path_that_drops_large_packets_loses_no_beat() {
    loses_no_beat_to_a_narrow_path(Families::V4);
}

#[test]
fn ipv6_path_that_drops_large_packets_loses_no_beat() {
    loses_no_beat_to_a_narrow_path(Families::V6);
}

#[test]
fn silent_ipv6_of_an_uplink_loses_no_beat_while_its_ipv4_works() {
    let world = World::with(Families::Both);
    only(&world, &["eth0"]);
    let mute = Middlebox::taking(&world, "iifname r-eth0 meta nfproto ipv6", "hang");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["-6", "-m", "1", SECURE]), 0);
    assert_eq!(camera.curl(&world, &["-4", SECURE]), 200);
    let beat = camera.beat_over(&world, "eth0");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    camera.shows_way("eth0");

    let asked = mute.receiver.counts().connections;
    world.receiver.close_connections();
    camera.ring();
    assert_eq!(camera.beat_over(&world, "eth0").seq(), 2);
    assert_eq!(mute.receiver.counts().connections, asked, "the box was asked again");
}

#[test]
fn black_hole_in_ipv6_loses_no_beat_while_ipv4_works() {
    let world = World::with(Families::Both);
    only(&world, &["eth0"]);
    hole(&world, "meta nfproto ipv6");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["-6", "-m", "1", SECURE]), 0);
    assert_eq!(camera.curl(&world, &["-4", SECURE]), 200);
    camera.beat_over(&world, "eth0");
}

#[test]
fn dead_best_uplink_delays_one_beat_and_not_each() {
    let world = World::new();
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    let dead = Block { uplink: Some("eth0"), to: None, verdict: Verdict::Drop };
    let mut round = || {
        world.receiver.close_connections();
        world.block(&[dead]);
        camera.ring();
        let beat = camera.beat_over(&world, "wlan1");
        camera.shows("the answer", |status| status["beat"]["seq"] == beat.seq());
        world.packets("eth0").server_syns
    };
    let doubted = round();
    let later = [round(), round(), round()];
    // One re-test may happen in this time.
    assert!(later[2] <= doubted + 1, "{doubted} SYNs into the black hole, then {later:?}");
}

/// Responses to eth0's address arrive at wlan1, which has no route to the server.
fn answered_by_another_card(world: &World) {
    for filter in ["0", "2"] {
        for which in ["all", "eth0", "wlan1"] {
            world.device.sysctl(&format!("ipv4/conf/{which}/rp_filter"), filter);
        }
        let mut camera = Camera::silent(world, &setting(world, SECURE));
        // curl bound to the interface gets no response, unbound it does.
        assert_eq!(camera.curl(world, &["--interface", "eth0", "-m", "1", PLAIN]), 0);
        assert_eq!(camera.curl(world, &[PLAIN]), 200);
        let beat = camera.beat_over(world, "eth0");
        assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
        camera.shows("an acknowledged beat", |status| status["state"] == "online");
        camera.ring();
        assert_eq!(camera.beat_over(world, "eth0").seq(), 2);
    }
}

#[test]
fn responses_over_another_route_are_received() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.device.ip("route delete default dev wlan1");
    world.router.ip("route add 10.11.1.2 via 10.11.2.2 dev r-wlan1");
    answered_by_another_card(&world);
}

#[test]
fn responses_over_another_interface_on_the_same_lan_are_received() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.unlease("wlan1");
    world.device.ip("address add 10.11.1.3/24 dev wlan1 metric 600");
    // Both interfaces answer ARP for both addresses (arp_ignore 0), and the router uses the slower
    // one.
    world.router.ip("link add name br0 type bridge stp_state 0 mcast_snooping 0\n\
         address flush dev r-eth0\n\
         link set r-eth0 master br0\n\
         link set r-wlan1 master br0\n\
         address add 10.11.1.1/24 dev br0\n\
         link set br0 up\n\
         neighbour add 10.11.1.2 lladdr 00:16:3e:00:00:02 dev br0 nud permanent");
    answered_by_another_card(&world);
}

#[test]
fn responses_to_the_first_uplink_over_the_second_lose_no_beat() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.router.ip("route add 10.11.1.2 via 10.11.2.2 dev r-wlan1");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[PLAIN]), 200);
    assert_eq!(camera.beat().seq(), 1);
}
