//! Policy routing: routes in various tables, and VPNs that take all traffic.

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::clock;
use linkbeat_support::world::{Block, Families, Verdict, World};
use serde_json::{Value, json};

use crate::camera::Camera;
use crate::scenes::{PLAIN, SECURE, lease_of, only, setting};

/// Moves the default route of `interface` into this table.
fn move_default(world: &World, interface: &str, table: &str) {
    let (metric, gateway) = lease_of(interface);
    let route = format!("default via {gateway} dev {interface} metric {metric}");
    world.device.ip(&format!("route delete {route}\nroute add {route} table {table}"));
}

/// The default routes are in `table` instead of main. The beat goes over wlan1 when eth0 goes down.
fn follows_table(table: &str, rules: &str, bind: bool) {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    for interface in ["eth0", "wlan1"] {
        move_default(&world, interface, table);
    }
    world.device.ip(rules);
    let setting = setting(&world, SECURE).own("bind_to_uplink", bind);
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");
    // The kernel removes the routes of an interface that is set down.
    world.device.ip("link set eth0 down");
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
}

#[test]
fn default_route_in_another_table_is_used() {
    follows_table("100", "rule add pref 1000 table 100", true);
}

#[test]
fn default_route_in_another_table_works_without_binding() {
    follows_table("100", "rule add pref 1000 table 100", false);
}

#[test]
fn default_route_in_table_default_is_used() {
    follows_table("default", "", true);
}

/// The rules of a router that sends some services alone over its uplinks.
#[test]
fn default_route_for_some_ports_is_used() {
    follows_table(
        "100",
        "rule add pref 1000 ipproto tcp dport 80 table 100\n\
         rule add pref 1001 ipproto tcp dport 443 table 100\n\
         rule add pref 1002 ipproto udp dport 53 table 100",
        true,
    );
}

/// A table for each interface, as on Android. Traffic without mark and interface goes over eth0.
#[test]
fn separate_table_for_each_interface_is_used() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    move_default(&world, "eth0", "1011");
    move_default(&world, "wlan1", "1012");
    world.device.ip("rule add pref 14000 oif eth0 table 1011\n\
         rule add pref 14001 oif wlan1 table 1012\n\
         rule add pref 22000 iif lo table 1011");
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");
    world.pull("eth0");
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
}

/// Routes the IPv6 default of `interface` for packets from its own network only, by `route` and
/// `rule` with `NET`, the number of that network.
fn route_by_source(world: &World, interface: &str, net: u8, route: &str, rule: &str) {
    let hop = format!("via 2001:db8:{net}::1 dev {interface} metric {net}00");
    let lines = format!("route delete ::/0 {hop}\nroute add ::/0 {route} {hop}\n{rule}");
    world.device.ip6(&lines.replace("NET", &net.to_string()));
}

/// An IPv6 address decides over which uplink the internet is reached. connect(2) takes the address
/// first, so a socket that is only bound to the other uplink finds no route.
fn follows_source(route: &str, rule: &str) {
    let world = World::with(Families::V6);
    only(&world, &["eth0", "wlan1"]);
    route_by_source(&world, "eth0", 1, route, rule);
    route_by_source(&world, "wlan1", 2, route, rule);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");
    world.pull("eth0");
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
    world.plug("eth0");
    let beat = camera.beat_over(&world, "eth0");
    assert_eq!(beat.reason(), "eth0_priority", "{beat:?}");
}

#[test]
fn ipv6_default_route_for_one_source_works_without_binding() {
    let world = World::with(Families::V6);
    only(&world, &["eth0"]);
    route_by_source(&world, "eth0", 1, "from 2001:db8:NET::/64", "");
    let setting = setting(&world, SECURE).own("bind_to_uplink", false);
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
}

/// As OpenWrt routes a delegated prefix.
#[test]
fn ipv6_default_route_for_one_source_is_used() {
    follows_source("from 2001:db8:NET::/64", "");
}

#[test]
fn ipv6_default_route_by_a_rule_for_its_source_is_used() {
    follows_source("table 10NET", "rule add from 2001:db8:NET::/64 table 10NET");
}

/// As mwan3 does after it found eth0 without internet: packets get a mark, and marks select tables.
#[test]
fn routes_by_firewall_marks_are_used() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    world.device.ip("route add default via 10.11.1.1 dev eth0 table 1\n\
         route add default via 10.11.2.1 dev wlan1 table 2\n\
         rule add pref 1001 iif eth0 table 1\n\
         rule add pref 1002 iif wlan1 table 2\n\
         rule add pref 2001 fwmark 0x100/0x3f00 table 1\n\
         rule add pref 2002 fwmark 0x200/0x3f00 table 2\n\
         rule add pref 2062 unreachable fwmark 0x3e00/0x3f00");
    world.device.nft(
        "table inet mwan3 {
            chain out {
                type route hook output priority mangle
                ip daddr 203.0.113.0/24 meta mark set 0x200
            }
            chain leave {
                type nat hook postrouting priority srcnat
                oifname wlan1 masquerade
            }
        }",
    );
    world.block(&[Block { uplink: Some("eth0"), to: None, verdict: Verdict::Drop }]);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "startup");
    camera.shows_way("wlan1");
}

/// The device's address in the tunnel.
const TUNNELLED: &str = "10.66.0.2";

/// Creates a tunnel `wg0` for all traffic, as wg-quick does. A kill switch blocks traffic outside
/// it.
fn tunnel(world: &World, kill_switch: bool) {
    world.device.ip(&format!(
        "link add name wg0 index 81 type veth peer name far-wg0 index 91 netns {}\n\
         address add {TUNNELLED}/24 dev wg0\nlink set wg0 up",
        world.router.name()
    ));
    world.router.ip("address add 10.66.0.1/24 dev far-wg0\nlink set far-wg0 up");
    world.device.ip("rule add pref 32765 not fwmark 0xca6c table 51820\n\
         rule add pref 32764 table main suppress_prefixlength 0");
    if kill_switch {
        world.device.ip("route add unreachable default metric 4278198272 table 51820");
    }
    tunnel_up(world);
}

fn tunnel_up(world: &World) {
    world.device.ip("link set wg0 up\nroute add default via 10.66.0.1 dev wg0 table 51820");
}

fn through_the_tunnel(kill_switch: bool) -> (World, Camera) {
    let world = World::new();
    tunnel(&world, kill_switch);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    assert_eq!(beat.peer.ip().to_string(), TUNNELLED, "past the tunnel");
    camera.shows_way("wg0");
    (world, camera)
}

#[test]
fn tunnel_for_all_traffic_carries_beats_until_it_is_down() {
    let (world, mut camera) = through_the_tunnel(false);
    world.device.ip("link set wg0 down");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    camera.shows_way("eth0");
    tunnel_up(&world);
    camera.ring();
    camera
        .beats
        .expect("beat through the tunnel", SOON, |beat| beat.peer.ip().to_string() == TUNNELLED);
}

#[test]
fn kill_switch_keeps_all_traffic_in_the_tunnel() {
    let (world, mut camera) = through_the_tunnel(true);
    world.device.ip("link set wg0 down");
    camera.ring();
    camera.stays_silent();
    assert_eq!(camera.curl(&world, &["-m", "1", PLAIN]), 0);
    tunnel_up(&world);
    assert_eq!(camera.beat().peer.ip().to_string(), TUNNELLED);
    camera.shows_way("wg0");
}

/// A camera without probes whose next attempt is some seconds away, and whose only uplink is wg0.
fn waiting_behind_ignored_cards(world: &World) -> Camera {
    tunnel(world, false);
    let setting: Setting = setting(world, SECURE)
        .own("ignore_interfaces", json!(["lo", "eth*", "wlan*"]))
        .own("probe", json!({ "address": "" }));
    let mut camera = Camera::silent(world, &setting);
    assert_eq!(camera.curl(world, &[SECURE]), 200);
    assert_eq!(camera.beat().peer.ip().to_string(), TUNNELLED);
    camera.shows_way("wg0");
    world.receiver.close_connections();
    world.router.ip("route add unreachable 203.0.113.10/32");
    camera.ring();
    // Three rounds. One whose ICMP message the kernel holds back (icmp_msgs_per_sec) ends with its
    // time-out only.
    let waits = |status: &Value| status["next_beat_in"].as_u64().is_some_and(|it| it >= 2);
    camera.shows_within(8 * SOON, "a long wait", waits);
    camera
}

#[test]
fn tunnel_over_an_ignored_card_is_tried_again_when_the_card_is_back() {
    let world = World::new();
    let mut camera = waiting_behind_ignored_cards(&world);
    world.pull("eth0");
    world.router.ip("route delete unreachable 203.0.113.10/32");
    let plugged_us = clock::boot_us();
    world.plug("eth0");
    let beat = camera.beat();
    assert_eq!(beat.peer.ip().to_string(), TUNNELLED, "{beat:?}");
    assert!(beat.received_us - plugged_us < 2_000_000, "the next attempt was not hastened");
}
