//! Preference among several uplinks: the operator's list, then the kernel's metric.

use linkbeat_support::agent::Setting;
use linkbeat_support::world::World;
use serde_json::json;

use crate::camera::Camera;
use crate::scenes::{SECURE, only, rename, setting};

/// A world whose eth0 and wlan1 have these names and metrics.
fn with(first: (&str, u32), second: (&str, u32)) -> World {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    // Frees the name eth0 for the second interface.
    rename(&world, "eth0", "first", first.1);
    rename(&world, "wlan1", second.0, second.1);
    world.device.ip(&format!(
        "link set first down\nlink set first name {0}\nlink set {0} up\n\
         route add default via 10.11.1.1 dev {0} metric {1}",
        first.0, first.1
    ));
    world
}

/// The first interface is preferred with this list, or with the default one.
fn prefers(first: (&str, u32), over: (&str, u32), list: Option<&[&str]>) {
    let world = with(first, over);
    let mut setting: Setting = setting(&world, SECURE);
    if let Some(list) = list {
        setting = setting.own("interfaces", json!(list));
    }
    let mut camera = Camera::silent(&world, &setting);
    for (name, _) in [first, over] {
        assert_eq!(camera.curl(&world, &["--interface", name, SECURE]), 200, "{name}");
    }
    let beat = camera.beat();
    assert_eq!(beat.peer.ip(), world.address("eth0"), "{first:?} over {over:?}: {beat:?}");
    camera.shows_way(first.0);
}

#[test]
fn cable_of_any_name_is_preferred_to_wifi_of_a_better_metric() {
    for cable in ["eth1", "end0", "enp1s0", "enx00163e000001"] {
        prefers((cable, 600), ("wlan0", 100), None);
    }
}

#[test]
fn wifi_of_any_name_is_preferred_to_unlisted_interfaces() {
    prefers(("wlp2s0", 600), ("usb0", 100), None);
}

#[test]
fn wlan1_is_preferred_to_wlan0_and_both_to_other_wifi() {
    prefers(("wlan1", 600), ("wlan0", 100), None);
    prefers(("wlan0", 600), ("wlp2s0", 100), None);
}

#[test]
fn equal_ranks_follow_the_metric() {
    prefers(("eth1", 100), ("eth0", 200), None);
    prefers(("usb1", 100), ("usb0", 200), None);
    prefers(("lan7", 50), ("lan1", 60), Some(&["lan*", "wl*"]));
}

#[test]
fn listed_order_wins_over_the_metric() {
    prefers(("wwan0", 700), ("eth0", 100), Some(&["wwan*", "eth*"]));
}

/// NetworkManager adds 20,000 to the metric of an interface without internet.
#[test]
fn metric_penalty_of_network_manager_lowers_the_rank() {
    prefers(("wlan1", 600), ("eth0", 20_100), None);
}

#[test]
fn metric_penalty_and_its_end_change_the_uplink() {
    let world = World::new();
    only(&world, &["eth0", "wlan1"]);
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    camera.shows_way("eth0");
    let route = "default via 10.11.1.1 dev eth0 metric";
    world.device.ip(&format!("route add {route} 20100\nroute delete {route} 100"));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
    camera.shows_way("wlan1");
    world.device.ip(&format!("route add {route} 100\nroute delete {route} 20100"));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "eth0_priority");
}

#[test]
fn change_of_metric_among_equal_ranks_changes_the_uplink() {
    let world = with(("eth0", 100), ("eth1", 200));
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    camera.shows_way("eth0");
    world.device.ip("route add default via 10.11.2.1 dev eth1 metric 50\n\
         route delete default via 10.11.2.1 dev eth1 metric 200");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "wlan1");
    camera.shows_way("eth1");
}
