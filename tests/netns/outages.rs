//! Outages without a change of a link.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use linkbeat::sys::neighbours::NeighbourSocket;
use linkbeat_core::proto::link::Neighbour;
use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{Block, Families, NAMESERVER, PROBED, SERVER, Verdict, World};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::camera::Camera;

/// Longest time until an outage is detected: a beat falls due, then its attempt and the probes
/// fail.
const NOTICED: Duration = Duration::from_secs(20);

/// Starts a camera that beats each second, blocks traffic, and waits until the outage is reported.
fn noticed(world: &World, blocks: &[Block<'_>]) -> Camera {
    let mut camera = Camera::start(world, &Setting::new(world).every(1));
    camera.beat_for("interval");
    let mut lines = camera.agent.lines().follow();
    world.block(blocks);
    expect_line(&mut lines, "[Meeting] Connectivity lost", NOTICED);
    camera.beats.skip();
    // Longer than the kernel retransmits bytes that were written before.
    camera.beats.expect_none("beat in an outage", Duration::from_secs(2), |_| true);
    camera
}

fn heals(verdict: Verdict) {
    let world = World::new();
    let mut camera = noticed(&world, &[Block::all(verdict)]);
    assert!(world.packets("eth0").probe_syns > 0, "{verdict:?}: no probe");
    world.heal();
    assert_eq!(camera.beat().reason(), "connectivity_restored", "{verdict:?}");
    let healed = world.packets("eth0").probe_syns;
    camera.beat_for("interval");
    camera.beat_for("interval");
    assert!(world.packets("eth0").probe_syns <= healed + 8, "{verdict:?}: online, still probing");
}

#[test]
fn end_of_a_silent_outage_sends_a_beat() {
    heals(Verdict::Drop);
}

#[test]
fn end_of_an_outage_with_tcp_resets_sends_a_beat() {
    heals(Verdict::Reset);
}

#[test]
fn end_of_an_outage_with_port_unreachable_sends_a_beat() {
    heals(Verdict::Port);
}

#[test]
fn end_of_an_outage_with_host_unreachable_sends_a_beat() {
    heals(Verdict::Host);
}

#[test]
fn end_of_an_outage_with_prohibited_sends_a_beat() {
    heals(Verdict::Prohibited);
}

#[test]
fn end_of_an_ipv6_outage_sends_a_beat() {
    let world = World::with(Families::V6);
    let mut camera = noticed(&world, &[Block::all(Verdict::Drop)]);
    world.heal();
    assert_eq!(camera.beat().reason(), "connectivity_restored");
}

#[test]
fn filtered_probe_target_does_not_hide_the_end_of_an_outage() {
    let world = World::new();
    let filter = Block { uplink: None, to: Some(PROBED[0]), verdict: Verdict::Drop };
    let mut camera = noticed(&world, &[Block::all(Verdict::Drop)]);
    let mut answered = world.probed.accepted().follow();
    world.block(&[filter]);
    assert_eq!(camera.beat().reason(), "connectivity_restored");
    assert!(answered.drain().is_empty());
}

#[test]
fn filtered_probe_target_is_no_outage() {
    let world = World::new();
    world.block(&[Block { uplink: None, to: Some(PROBED[0]), verdict: Verdict::Drop }]);
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    for _ in 0..3 {
        camera.beat_for("interval");
    }
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
}

#[test]
fn unreachable_server_is_no_outage_while_the_probe_answers() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let mut failures = camera.agent.lines().follow();
    world.block(&[Block { uplink: None, to: Some(SERVER[0]), verdict: Verdict::Drop }]);
    expect_line(&mut failures, "[Meeting] Heartbeat failed", NOTICED);
    world.heal();
    camera.beats.expect("beat", NOTICED, |_| true);
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
}

#[test]
fn no_probe_is_sent_while_beats_are_acknowledged() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let before = world.packets("eth0").probe_syns;
    for _ in 0..3 {
        camera.beat_for("interval");
    }
    assert_eq!(world.packets("eth0").probe_syns, before);
}

#[test]
fn black_hole_behind_ethernet_loses_no_beat_while_wifi_is_fine() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let last = camera.beat_for("interval").seq();
    world.block(&[Block { uplink: Some("eth0"), to: None, verdict: Verdict::Drop }]);
    let wlan1: IpAddr = world.address("wlan1");
    let mut expected = last;
    for _ in 0..3 {
        let over_wifi = |beat: &Beat| beat.peer.ip() == wlan1;
        let seq = camera.beats.expect("beat over wlan1", SOON, over_wifi).seq();
        // A raced beat may arrive twice, but none is lost. One may have been in flight.
        assert!(seq <= expected + 2, "{seq} after {expected}");
        expected = seq;
    }
}

#[test]
fn path_with_a_round_trip_of_600_ms_carries_beats() {
    let world = World::new();
    let slow = world.slow_down(Duration::from_millis(300));
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    for _ in 0..3 {
        camera.beat_for("interval");
    }
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
    drop(slow);
}

#[test]
fn round_trip_that_jumps_to_seconds_sends_one_beat_and_is_no_outage() {
    for each_way in [750, 2_500].map(Duration::from_millis) {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        let mut lines = camera.agent.lines().follow();
        let slow = world.slow_down(each_way);
        camera.ring();
        camera.beat_for("trigger");
        expect_line(&mut lines, "[Meeting] Heartbeat sent", SOON);
        camera.beats.expect_none("the same beat again", each_way * 2, |_| true);
        let lines = camera.agent.lines().all();
        assert!(!lines.iter().any(|line| line.text.contains("Connectivity lost")), "{lines:?}");
        drop(slow);
    }
}

#[test]
fn end_of_an_outage_on_a_path_of_600_ms_sends_a_beat() {
    let world = World::new();
    let slow = world.slow_down(Duration::from_millis(300));
    let mut camera = noticed(&world, &[Block::all(Verdict::Drop)]);
    world.heal();
    assert_eq!(camera.beat().reason(), "connectivity_restored");
    drop(slow);
}

#[test]
fn unreachable_nameserver_loses_no_beat() {
    let world = World::new();
    world.nameserver.set_ttl(1);
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    world.block(&[Block { uplink: None, to: Some(NAMESERVER[0]), verdict: Verdict::Drop }]);
    for _ in 0..4 {
        camera.beat_for("interval");
    }
}

/// Waits until the device's kernel reports this neighbour as failed.
fn until_failed(neighbours: &NeighbourSocket, address: IpAddr) {
    let within = Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut failed = false;
    while !failed {
        let mut fds = [PollFd::new(neighbours, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&within)), Ok(1), "{address} does not fail");
        let hear = |it: Neighbour| failed |= it.address == address && !it.answers;
        neighbours.drain(usize::MAX, hear).unwrap();
    }
}

#[test]
fn gateway_that_reboots_behind_a_switch_is_noticed_by_its_arp_request() {
    let world = World::new();
    world.pull("wlan1");
    world.pull("wlan0");
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    camera.beat_for("interval");
    let mut lines = camera.agent.lines().follow();
    let neighbours = world.device.within(|| NeighbourSocket::open().unwrap());
    // The carrier stays, but the gateway does not answer ARP requests.
    world.router.ip("link set r-eth0 arp off");
    world.device.ip("neighbour flush dev eth0");
    expect_line(&mut lines, "[Meeting] Connectivity lost", NOTICED);
    until_failed(&neighbours, "10.11.1.1".parse().unwrap());
    world.router.ip("link set r-eth0 arp on");
    // The gateway resolves the camera's address before it can send this.
    world.router.within(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        socket.send_to(b"hello", ("10.11.1.2", 9)).unwrap();
    });
    expect_line(&mut lines, "[Network] The gateway of eth0 answers again", SOON);
    // Packets that the kernel queued for the gateway may arrive first.
    camera.beat_for("connectivity_restored");
}

#[test]
fn gateway_that_is_back_behind_a_switch_is_used_at_once() {
    let world = World::new();
    world.pull("wlan0");
    let mut camera = Camera::calm(&world);
    // The carrier stays, but the gateway does not answer ARP requests.
    world.router.ip("link set r-eth0 arp off");
    world.device.ip("neighbour flush dev eth0");
    // The flush is announced as a failure, too.
    let neighbours = world.device.within(|| NeighbourSocket::open().unwrap());
    camera.ring();
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "trigger");
    until_failed(&neighbours, "10.11.1.1".parse().unwrap());
    camera.stays_silent();
    world.router.ip("link set r-eth0 arp on");
    // The gateway resolves the camera's address before it can send this.
    world.router.within(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        socket.send_to(b"hello", ("10.11.1.2", 9)).unwrap();
    });
    // What the kernel still had for the gateway may arrive first.
    assert_eq!(camera.beat_for("eth0_priority").peer.ip(), world.address("eth0"));
}
