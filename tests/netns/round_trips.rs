//! Number of round trips before a beat, measured on a path so long that nothing else matters.
//!
//! The time runs from the kernel's message that the uplink is usable, or from a trigger, to the
//! arrival of the request at the server. The request itself takes half a round trip, and each
//! exchange before it a whole one.

use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::clock;
use linkbeat_support::nameserver::Mood;
use linkbeat_support::observer::Change;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{SERVER_NAME, SlowPath, World};

use crate::camera::{Camera, RARELY};

/// Delay of the path in each direction.
const EACH_WAY: Duration = Duration::from_millis(200);
/// Longer than the shortest time that a DNS response is cached.
const EXPIRED: Duration = Duration::from_secs(6);

/// A camera with one uplink on a long path, after its first beat.
struct Distant {
    world: World,
    camera: Camera,
    _slow: SlowPath,
}

impl Distant {
    fn new(adapt: impl Fn(Setting) -> Setting) -> Self {
        Self::named_for(60, adapt)
    }

    /// Creates a camera whose server's name has this TTL.
    fn named_for(ttl_s: u32, adapt: impl Fn(Setting) -> Setting) -> Self {
        let world = World::new();
        world.nameserver.set_ttl(ttl_s);
        for interface in ["wlan1", "wlan0"] {
            world.delete(interface);
        }
        let slow = world.slow_down(EACH_WAY);
        let setting = adapt(Setting::new(&world).every(RARELY));
        let camera = Camera::start(&world, &setting);
        Self { world, camera, _slow: slow }
    }

    /// Loses the uplink and gets it back. Returns the next beat and its round trips.
    fn comes_back(&mut self) -> (Beat, f64) {
        let (beat, routed_us) = self.beat_when_back();
        let round_trips = round_trips(routed_us, beat.received_us);
        (beat, round_trips)
    }

    /// The same, with the time at which the uplink became usable.
    fn beat_when_back(&mut self) -> (Beat, u64) {
        // The session tickets of the former connection arrive after its response.
        self.rest(EACH_WAY * 4);
        let mut kernel = self.world.kernel.announcements().follow();
        let mut lines = self.camera.agent.lines().follow();
        self.world.unlease("eth0");
        expect_line(&mut lines, "[Failover] eth0 disconnected", SOON);
        self.world.lease("eth0");
        let routed = kernel.expect("route", SOON, |it| it.change == Change::DefaultRoute);
        let beat = self.camera.beat_for("failover_to_eth0");
        expect_line(&mut lines, "[Meeting] Heartbeat sent", SOON);
        (beat, routed.at_us)
    }

    /// Waits, and skips copies of earlier beats. On a path this long a SYN is repeated before its
    /// answer arrives, so two connections may deliver.
    fn rest(&mut self, during: Duration) {
        self.camera.beats.find(during, |_| false);
        self.camera.beats.skip();
    }
}

/// Rounds to half round trips; the remainder is processing time.
fn round_trips(from_us: u64, to_us: u64) -> f64 {
    let halves = Duration::from_micros(to_us - from_us).div_duration_f64(EACH_WAY);
    halves.round() / 2.0
}

#[test]
fn plain_request_takes_one_and_a_half_round_trips() {
    let api = format!("http://{SERVER_NAME}/api");
    let mut distant = Distant::new(|setting| setting.meeting("api_url", api.as_str()));
    assert_eq!(distant.comes_back().1, 1.5);
}

#[test]
fn request_over_tls_takes_two_and_a_half() {
    let mut distant = Distant::new(|setting| setting);
    let (beat, round_trips) = distant.comes_back();
    assert_eq!(round_trips, 2.5, "{beat:?}");
    assert_eq!(beat.security, "TLSv1_3 resumed");
}

#[test]
fn early_data_takes_one_and_a_half() {
    let mut distant = Distant::new(early);
    for _ in 0..2 {
        let (beat, round_trips) = distant.comes_back();
        assert_eq!((round_trips, beat.early), (1.5, true), "{beat:?}");
    }
}

#[test]
fn refused_early_data_takes_two_and_a_half() {
    let mut distant = Distant::new(early);
    distant.world.receiver.follow("early-data reject").unwrap();
    let (beat, round_trips) = distant.comes_back();
    assert_eq!((round_trips, beat.early), (2.5, false), "{beat:?}");
}

#[test]
fn early_data_answered_with_425_takes_one_more() {
    let mut distant = Distant::new(early);
    distant.world.receiver.follow("early-data too-early").unwrap();
    let (early, first) = distant.comes_back();
    assert_eq!((first, early.early), (1.5, true), "{early:?}");
    let here = |beat: &Beat| beat.connection == early.connection;
    let late = distant.camera.beats.expect("the same again", SOON, here);
    assert_eq!((round_trips(early.received_us, late.received_us), late.early), (1.0, false));
}

#[test]
fn kept_connection_takes_half_a_round_trip() {
    let distant = Distant::new(|setting| setting);
    let mut camera = distant.camera;
    for _ in 0..3 {
        let mut lines = camera.agent.lines().follow();
        let rung_us = clock::boot_us();
        camera.ring();
        let beat = camera.beat_for("trigger");
        assert_eq!(round_trips(rung_us, beat.received_us), 0.5, "{beat:?}");
        expect_line(&mut lines, "[Meeting] Heartbeat sent", SOON);
    }
}

#[test]
fn expired_name_costs_no_round_trip() {
    for mood in [Mood::Honest, Mood::Silent] {
        let mut distant = Distant::named_for(0, |setting| setting);
        distant.rest(EXPIRED);
        distant.world.nameserver.set_mood(mood);
        let mut queries = distant.world.nameserver.queries().follow();
        let mut probed = distant.world.probed.accepted().follow();
        let (beat, routed_us) = distant.beat_when_back();
        assert_eq!(round_trips(routed_us, beat.received_us), 2.5, "{mood:?}: {beat:?}");
        // The query, the probe and the connection are sent in one wake-up. A connection is accepted
        // with the ACK of the SYN-ACK, which a probe does not send if it is closed before: the
        // connection of the beat may be answered some microseconds earlier.
        assert_eq!(round_trips(routed_us, queries.next("query", SOON).at_us), 0.5, "{mood:?}");
        if let Some(probe) = probed.find(EACH_WAY, |_| true) {
            assert_eq!(round_trips(routed_us, probe.at_us), 1.5, "{mood:?}");
        }
    }
}

fn early(setting: Setting) -> Setting {
    let tls = serde_json::json!({ "ca_file": "/etc/ca.pem", "early_data": true });
    setting.own("tls", tls)
}
