//! Short losses of the carrier, jumps of the round trip, and renamed interfaces.

use std::time::Duration;

use linkbeat_support::agent::{SOON, expect_line};
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::world::{Families, World};
use serde_json::json;

use crate::camera::{Camera, QUIET, is_own};
use crate::scenes::{SECURE, only, setting};

/// A renegotiation of a switch, a roam, and a loss just shorter than the time after which the
/// kernel drops a neighbour.
const BLIPS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_millis(2400)];

/// Removes the carrier of eth0 for `time`, and with it that of `uplink`.
fn blip(world: &World, camera: &Camera, uplink: &str, time: Duration) {
    let mut kernel = world.kernel.announcements().follow();
    let word = |change| move |it: &Announcement| it.interface == uplink && it.change == change;
    world.pull("eth0");
    kernel.expect("lost carrier", SOON, word(Change::NotRunning));
    camera.agent.lines().follow().find(time, |_| false);
    // A packet sent without a carrier would delay the kernel's next ARP request for the router.
    assert!(!world.router_failed(uplink), "something was sent without a carrier");
    world.plug("eth0");
    kernel.expect("carrier", SOON, word(Change::Running));
}

/// Each loss of the only uplink's carrier causes exactly one beat.
fn is_reported_once(families: Families, bridge: bool) {
    let world = World::with(families);
    only(&world, &["eth0"]);
    let (mut setting, mut uplink) = (setting(&world, SECURE), "eth0");
    if bridge {
        uplink = "br-lan";
        setting = setting.own("ignore_interfaces", json!(["lo"]));
        world.device.ip("address flush dev eth0\n\
             link add name br-lan type bridge stp_state 0 mcast_snooping 0\n\
             link set eth0 master br-lan\n\
             link set br-lan up\n\
             address add 10.11.1.2/24 dev br-lan\n\
             route add default via 10.11.1.1 dev br-lan");
    }
    let mut camera = Camera::start(&world, &setting);
    for (nth, time) in (2..).zip(BLIPS) {
        blip(&world, &camera, uplink, time);
        let beat = camera.beat();
        let expected = format!("failover_to_{uplink}");
        assert_eq!((beat.reason(), beat.seq()), (expected.as_str(), nth), "{time:?}: {beat:?}");
        camera.stays_silent();
    }
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
}

#[test]
fn short_loss_of_the_only_carrier_sends_one_beat() {
    is_reported_once(Families::V4, false);
}

#[test]
fn short_loss_of_the_only_carrier_sends_one_beat_over_ipv6() {
    is_reported_once(Families::V6, false);
}

#[test]
fn short_loss_of_a_bridge_port_sends_one_beat() {
    is_reported_once(Families::V4, true);
}

/// With a second uplink both changes cause a beat, the one for the return over the better uplink.
fn is_reported_over_the_better_uplink(families: Families) {
    let world = World::with(families);
    only(&world, &["eth0", "wlan1"]);
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    for time in BLIPS {
        blip(&world, &camera, "eth0", time);
        assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
        let beat = camera.beat_over(&world, "eth0");
        assert_eq!(beat.reason(), "eth0_priority", "{time:?}: {beat:?}");
        camera.shows_way("eth0");
        // Moderation allows five beats in a row, then one every two seconds.
        camera.beats.expect_none("beat", QUIET * 2, is_own);
    }
}

#[test]
fn short_loss_of_the_better_uplink_returns_to_it() {
    is_reported_over_the_better_uplink(Families::V4);
}

#[test]
fn short_loss_of_the_better_uplink_returns_to_it_over_ipv6() {
    is_reported_over_the_better_uplink(Families::V6);
}

/// The round trip of a kept connection jumps, as when an upload fills the line: one beat, sent
/// once.
#[test]
fn round_trip_that_jumps_to_three_seconds_sends_one_beat_once() {
    let world = World::new();
    only(&world, &["eth0"]);
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    let mut lines = camera.agent.lines().follow();
    let slow = world.slow_down(Duration::from_millis(1500));
    for seq in [2, 3] {
        camera.ring();
        let beat = camera.beat();
        assert_eq!((beat.reason(), beat.seq()), ("trigger", seq), "{beat:?}");
        expect_line(&mut lines, &format!("[Meeting] Heartbeat sent: seq {seq},"), 2 * SOON);
    }
    // Copies in flight would arrive within half a round trip.
    camera.beats.expect_none("the same once more", 2 * QUIET, is_own);
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
    assert_eq!(camera.curl(&world, &["-m", "15", SECURE]), 200);
    drop(slow);
}

#[test]
fn renaming_the_uplink_in_use_is_no_failover() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    // Since Linux 6.2 an interface can be renamed while it is up.
    world.device.ip("link set eth0 name eth7");
    camera.stays_silent();
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.shows("its new name", |status| status["uplink"]["name"] == "eth7");
    camera.ring();
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "trigger");
    camera.shows_way("eth7");
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("disconnected")), "{lines:?}");
}
