//! Kinds of addresses and routes: unnumbered, deprecated, many, shared, by nexthop objects,
//! expired.

use std::process::Command;

use linkbeat_support::space::run;
use linkbeat_support::world::{Families, NAMESERVER, SERVER, World};
use serde_json::json;

use crate::camera::Camera;
use crate::scenes::{PLAIN, SECURE, hole, only, setting, v4_only};

#[test]
fn unnumbered_uplink_carries_the_beat() {
    let world = World::new();
    only(&world, &["eth0"]);
    world.device.ip("address flush dev eth0\n\
         address add 10.99.0.2/32 dev lo\n\
         route add 10.11.1.1 dev eth0 src 10.99.0.2\n\
         route add default via 10.11.1.1 dev eth0 src 10.99.0.2");
    // This route returns with the carrier.
    world.router.ip("address add 10.11.1.1/32 peer 10.99.0.2/32 dev r-eth0");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat().peer.ip().to_string(), "10.99.0.2");
    camera.shows_way("eth0");
    world.pull("eth0");
    camera.shows("no way", |status| status["state"] == "no_uplink");
    world.plug("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_eth0");
}

#[test]
fn deprecated_address_carries_the_beat_if_it_is_the_only_one() {
    let world = World::with(Families::V6);
    only(&world, &["eth0"]);
    world.device.ip("address change 2001:db8:1::2/64 dev eth0 preferred_lft 0 valid_lft forever");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
}

/// The usable address comes after `others` other ones, and is then replaced.
fn finds_its_address_among(others: u32) {
    let world = World::new();
    only(&world, &["eth0"]);
    world.unlease("eth0");
    let other = |n| format!("address add 10.98.0.{n}/32 dev eth0\n");
    world.device.ip(&(1..=others).map(other).collect::<String>());
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    camera.stays_silent();
    world.lease("eth0");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows("its address", |status| status["uplink"]["addresses"] == json!(["10.11.1.2"]));
    // A change of another address causes no beat.
    camera.beats.skip();
    world.device.ip(&format!("address delete 10.98.0.{others}/32 dev eth0"));
    camera.stays_silent();
    world.device.ip("address add 10.11.1.77/24 dev eth0\n\
         address delete 10.11.1.2/24 dev eth0\n\
         route replace default via 10.11.1.1 dev eth0 metric 100");
    let beat = camera.beat_for("address_changed");
    assert_eq!(beat.peer.ip().to_string(), "10.11.1.77");
}

#[test]
fn usable_address_is_found_among_twelve() {
    finds_its_address_among(12);
}

#[test]
fn usable_address_is_found_among_two_hundred() {
    finds_its_address_among(200);
}

#[test]
fn address_that_leads_nowhere_and_is_there_first_hides_no_change() {
    let world = World::new();
    only(&world, &["eth0"]);
    world.device.ip("address add 10.98.0.1/32 dev eth0\n\
         address delete 10.11.1.2/24 dev eth0\n\
         route replace default via 10.11.1.1 dev eth0 onlink metric 100");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    camera.shows("an uplink", |status| status["uplink"]["addresses"] == json!(["10.98.0.1"]));
    world.device.ip("address add 10.11.1.2/24 dev eth0");
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
    world.device.ip("address add 10.11.1.77/24 dev eth0\naddress delete 10.11.1.2/24 dev eth0");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat_for("address_changed");
    assert_eq!(beat.peer.ip().to_string(), "10.11.1.77");
}

#[test]
fn usable_ipv6_address_is_found_among_two_hundred() {
    let world = World::with(Families::V6);
    only(&world, &["eth0"]);
    world.unlease("eth0");
    let other = |n| format!("address add 2001:db8:98::{n}/128 dev eth0 nodad preferred_lft 0\n");
    world.device.ip(&(1..=200).map(other).collect::<String>());
    world.lease("eth0");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
    world.device.ip("address add 2001:db8:1::77/64 dev eth0 nodad\n\
         address delete 2001:db8:1::2/64 dev eth0");
    let beat = camera.beat_for("address_changed");
    assert_eq!(beat.peer.ip().to_string(), "2001:db8:1::77");
}

#[test]
fn multipath_route_counts_for_both_uplinks() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.device.ip("route delete default dev eth0\nroute delete default dev wlan1\n\
         route add default nexthop via 10.11.1.1 dev eth0 nexthop via 10.11.2.1 dev wlan1");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &["--interface", "eth0", PLAIN]), 200);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", PLAIN]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
    world.pull("eth0");
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
    world.plug("eth0");
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "eth0_priority");
}

/// Default routes by nexthop objects, whose removal the kernel announces only partly.
fn follows_nexthops(compatible: &str) {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.device.sysctl("ipv4/nexthop_compat_mode", compatible);
    world.device.ip("route delete default dev eth0\nroute delete default dev wlan1\n\
         nexthop add id 1 via 10.11.1.1 dev eth0\n\
         nexthop add id 2 via 10.11.2.1 dev wlan1\n\
         route add default nhid 1 metric 10\n\
         route add default nhid 2 metric 20");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");

    let mut changed = |change: &str, way: &str, reason: &str| {
        world.device.ip(change);
        assert_eq!(camera.curl(&world, &[SECURE]), 200, "{change}");
        let beat = camera.beat_over(&world, way);
        assert!(beat.reason().ends_with(reason), "{change}: {beat:?}");
    };
    changed("nexthop delete id 1", "wlan1", "failover_to_wlan1");
    let back = "nexthop add id 1 via 10.11.1.1 dev eth0\nroute add default nhid 1 metric 10";
    changed(back, "eth0", "eth0_priority");
    changed("nexthop replace id 1 via 10.11.2.1 dev wlan1", "wlan1", "failover_to_wlan1");
    let group = "nexthop delete id 2\nnexthop delete id 1\n\
         nexthop add id 1 via 10.11.1.1 dev eth0\n\
         nexthop add id 2 via 10.11.2.1 dev wlan1\n\
         nexthop add id 10 group 1/2\n\
         route add default nhid 10";
    // The former uplink is unknown: the agent may have seen the moment without any route.
    changed(group, "eth0", "");
    changed("nexthop replace id 10 group 2", "wlan1", "failover_to_wlan1");
    world.device.ip("nexthop flush");
    camera.shows("no way", |status| status["state"] == "no_uplink");
}

#[test]
fn nexthop_objects_are_followed() {
    follows_nexthops("1");
}

#[test]
fn nexthop_objects_are_followed_without_compatible_messages() {
    follows_nexthops("0");
}

#[test]
fn last_of_twenty_routes_of_an_interface_is_followed() {
    let world = World::new();
    hole(&world, "iifname r-eth0 ip daddr 203.0.113.10");
    let route = |n| format!("route add 198.18.{n}.0/24 via 10.11.3.1 dev wlan0\n");
    world.device.ip(&(1..20).map(route).collect::<String>());
    world.device.ip(&format!("route add {} via 10.11.3.1 dev wlan0", SERVER[0]));
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat().peer.ip(), world.address("wlan0"));
    camera.shows_way("wlan0");
}

#[test]
fn expired_route_is_no_longer_used() {
    let world = World::with(Families::V6);
    only(&world, &["eth0", "wlan1"]);
    let mut camera = Camera::calm(&world);
    let route = "default via 2001:db8:1::1 dev eth0 metric 100";
    world.device.ip6(&format!("route delete {route}\nroute add {route} expires 1"));
    camera.beats.skip();
    // Waits as long as the kernel uses the route.
    let get = ["-n", world.device.name(), "-6", "route", "get", SERVER[1]];
    let mut pause = camera.agent.lines().follow();
    while run(Command::new("ip").args(get), "").contains("dev eth0") {
        pause.find(std::time::Duration::from_millis(100), |_| false);
    }
    world.receiver.close_connections();
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.ring();
    camera.beat_over(&world, "wlan1");
    camera.shows_way("wlan1");
}

#[test]
fn bridge_as_uplink_carries_the_beat() {
    let world = World::new();
    only(&world, &["eth0"]);
    world.device.ip("address flush dev eth0\n\
         link add name br-lan type bridge stp_state 0\n\
         link set eth0 master br-lan\n\
         link set br-lan up\n\
         address add 10.11.1.2/24 dev br-lan\n\
         route add default via 10.11.1.1 dev br-lan");
    let setting = setting(&world, SECURE).own("ignore_interfaces", json!(["lo", "docker*"]));
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat().reason(), "startup");
    camera.shows_way("br-lan");
    world.pull("eth0");
    camera.shows("no way", |status| status["state"] == "no_uplink");
    world.plug("eth0");
    assert_eq!(camera.beat().reason(), "failover_to_br-lan");
}

#[test]
fn lost_ipv4_lease_sends_a_beat_over_ipv6() {
    let world = World::with(Families::Both);
    only(&world, &["eth0"]);
    let mut setting = setting(&world, SECURE);
    setting.resolv_conf += &format!("nameserver {}\n", NAMESERVER[1]);
    let mut camera = Camera::start(&world, &setting);
    world.device.ip("address delete 10.11.1.2/24 dev eth0");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat();
    assert!(beat.peer.is_ipv6(), "{beat:?}");
    assert_eq!(beat.reason(), "address_changed", "{beat:?}");
}

#[test]
fn lost_ipv4_lease_fails_over_if_the_server_has_no_ipv6() {
    let world = World::with(Families::Both);
    v4_only(&world);
    let mut camera = Camera::calm(&world);
    world.device.ip("address delete 10.11.1.2/24 dev eth0");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
    camera.shows_way("wlan1");
}

#[test]
fn global_address_of_the_uplink_is_the_public_one() {
    let world = World::new();
    only(&world, &["eth0"]);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.beat().body.get("ip_public"), None);
    world.router.ip("address add 10.11.1.1/32 peer 198.41.0.4/32 dev r-eth0");
    world.device.ip("address flush dev eth0\n\
         address add 198.41.0.4/32 dev eth0\n\
         route add 10.11.1.1 dev eth0 src 198.41.0.4\n\
         route add default via 10.11.1.1 dev eth0 src 198.41.0.4");
    let beat = camera.beat();
    for field in ["ip_address", "ip_lan", "ip_public"] {
        assert_eq!(beat.body[field], "198.41.0.4", "{beat:?}");
    }
}
