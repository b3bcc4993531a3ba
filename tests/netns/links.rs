//! Cables, leases and interfaces that disappear and return.

use std::time::Duration;

use linkbeat_support::agent::Setting;
use linkbeat_support::world::{Families, World};
use rustix::process::Signal;

use crate::camera::{Camera, RARELY};

/// After this time the kernel gives up resolving a gateway on a dead link, and starts anew for the
/// next packet. Before, it repeats the request once a second and queues packets (arp(7),
/// `mcast_solicit` times `retrans_time`).
const FORGOTTEN: Duration = Duration::from_secs(4);

#[test]
fn pulled_cable_beats_over_wifi_and_its_stale_lease_changes_nothing() {
    for lingering in [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(5)] {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        world.pull("eth0");
        let beat = camera.beat();
        assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
        assert_eq!(beat.peer.ip(), world.address("wlan1"));
        camera.beats.expect_none("beat while the lease lingers", lingering, |_| true);
        world.unlease("eth0");
        camera.stays_silent();
    }
}

#[test]
fn next_pulled_cable_beats_over_the_last_interface() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_wlan1");
    camera.shows_way("wlan1");
    world.pull("wlan1");
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.peer.ip()), ("failover_to_wlan0", world.address("wlan0")));
}

#[test]
fn plugged_back_beats_over_ethernet_once() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_wlan1");
    camera.beats.expect_none("beat", FORGOTTEN, |_| true);
    world.plug("eth0");
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.peer.ip()), ("eth0_priority", world.address("eth0")));
    camera.stays_silent();
}

#[test]
fn plugged_back_at_once_loses_no_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_wlan1");
    world.plug("eth0");
    assert_eq!(camera.beat().reason(), "eth0_priority");
}

#[test]
fn change_of_a_reserve_interface_causes_no_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.pull("wlan0");
    world.unlease("wlan1");
    world.plug("wlan0");
    world.lease("wlan1");
    camera.stays_silent();
}

#[test]
fn lost_link_beats_when_its_lease_is_back() {
    let world = World::new();
    world.pull("wlan1");
    world.pull("wlan0");
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    world.unlease("eth0");
    world.plug("eth0");
    camera.stays_silent();
    world.lease("eth0");
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "failover_to_eth0");
}

#[test]
fn static_address_beats_after_a_change_of_the_link_alone() {
    let world = World::new();
    for interface in ["wlan1", "wlan0"] {
        world.delete(interface);
    }
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    camera.stays_silent();
    world.plug("eth0");
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "failover_to_eth0");
}

#[test]
fn new_address_of_the_uplink_causes_a_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.device.ip("address add 10.11.1.77/24 dev eth0\n\
         address delete 10.11.1.2/24 dev eth0\n\
         route replace default via 10.11.1.1 dev eth0 metric 100");
    let beat = camera.beat_for("address_changed");
    assert_eq!(beat.peer.ip().to_string(), "10.11.1.77");
}

#[test]
fn renewed_lease_causes_no_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    for lifetime in [600, 1200, 1800] {
        world.device.ip(&format!(
            "address change 10.11.1.2/24 dev eth0 valid_lft {lifetime} preferred_lft {lifetime}"
        ));
    }
    camera.stays_silent();
}

#[test]
fn lease_renewed_by_a_script_that_sets_its_route_anew_causes_no_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    // As the scripts of BusyBox do, with a process for each step: a few milliseconds of 100.
    for _ in 0..5 {
        world.device.ip("route delete default dev eth0");
        world.device.ip("route add default via 10.11.1.1 dev eth0 metric 100");
    }
    camera.stays_silent();
    // One that stays away is no renewal.
    world.device.ip("route delete default dev eth0");
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
}

#[test]
fn flapping_cable_sends_a_bounded_number_of_beats() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    for _ in 0..20 {
        world.pull("eth0");
        world.plug("eth0");
    }
    // Moderation merges and delays further beats. Wait until no more come.
    while camera.beats.find(FORGOTTEN, |_| true).is_some() {}
    assert!(world.receiver.counts().requests < 20, "{:?}", world.receiver.counts());
    camera.agent.signal(Signal::USR1);
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.peer.ip()), ("trigger", world.address("eth0")));
}

#[test]
fn deleted_interface_fails_over_and_its_return_takes_priority() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.delete("eth0");
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
    world.create("eth0");
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "eth0_priority");
}

#[test]
fn renamed_interface_is_ranked_by_its_new_name() {
    let world = World::new();
    let setting = Setting::new(&world)
        .every(RARELY)
        .own("interfaces", serde_json::json!(["lan*", "eth0", "wlan1", "wlan0"]));
    let mut camera = Camera::start(&world, &setting);
    world.device.ip("link set wlan1 down\nlink set wlan1 name lan7\nlink set lan7 up");
    world.device.ip("route add default via 10.11.2.1 dev lan7 metric 200");
    camera.beat_for("lan7_priority");
}

#[test]
fn netlink_overflow_loses_no_change() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    camera.agent.signal(Signal::STOP);
    // Far more messages than the socket buffer holds while the agent is stopped.
    let mut lines = String::new();
    for n in 0..4000 {
        let address = format!("10.99.{}.{}/32 dev wlan0", n / 250, n % 250 + 1);
        lines += &format!("address add {address}\naddress delete {address}\n");
    }
    world.device.ip(&lines);
    world.pull("eth0");
    camera.agent.signal(Signal::CONT);
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
}

#[test]
fn ipv6_only_network_carries_beats() {
    let world = World::with(Families::V6);
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.peer.ip()), ("failover_to_wlan1", world.address("wlan1")));
    camera.beats.expect_none("beat", FORGOTTEN, |_| true);
    world.plug("eth0");
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "eth0_priority");
}

#[test]
fn dual_stack_network_beats_once_per_change() {
    let world = World::with(Families::Both);
    let mut camera = Camera::calm(&world);
    world.pull("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_wlan1");
    camera.stays_silent();
    world.plug("eth0");
    assert_eq!(camera.beat().reason(), "eth0_priority");
    camera.stays_silent();
}

#[test]
fn camera_without_a_network_beats_when_it_gets_one() {
    let world = World::new();
    for interface in ["eth0", "wlan1", "wlan0"] {
        world.pull(interface);
    }
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    camera.stays_silent();
    world.plug("wlan0");
    camera.beat_over(&world, "wlan0");
}
