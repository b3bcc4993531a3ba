//! Traffic of a month including DNS: on a kept connection, on new ones, and by a loop around curl.

use std::fmt::Write as _;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::receiver::{Behaviour, Close};
use linkbeat_support::world::{SERVER_NAME, World};
use serde_json::json;

use crate::camera::{Camera, binary};
use crate::ledger::say;
use crate::steady::{MONTH, Traffic, count_traffic};

/// Number of beats measured.
const BEATS: u64 = 12;
/// Interval and TTL in seconds, in the same ratio as 30 s and a minute.
const INTERVAL_S: u32 = 2;
const TTL_S: u32 = 4;

/// Traffic of [`BEATS`] beats.
struct Run {
    way: &'static str,
    packets: u64,
    bytes: u64,
}

impl Run {
    fn new(way: &'static str, before: Traffic, after: Traffic) -> Self {
        let Traffic { sent, received } = after.since(before);
        Self { way, packets: sent.packets + received.packets, bytes: sent.bytes + received.bytes }
    }

    fn bytes_per_beat(&self) -> u64 {
        self.bytes / BEATS
    }
}

/// Runs the agent. Returns its traffic and the body of its last beat.
fn linkbeat(way: &'static str, close: Close, metered: &[&str]) -> (Run, String) {
    let world = World::new();
    world.nameserver.set_ttl(TTL_S);
    world.receiver.behave(Behaviour { close, ..Behaviour::default() });
    count_traffic(&world.device);
    let setting = Setting::new(&world).every(INTERVAL_S).own("log_level", "info");
    let setting = setting.own("metered", json!({"interfaces": metered, "interval_s": INTERVAL_S}));
    let mut camera = Camera::start(&world, &setting);
    // The first two beats have a full handshake and fetch a ticket.
    camera.beat();
    camera.beat();
    let before = Traffic::so_far(&world.device);
    let beats: Vec<_> = (0..BEATS).map(|_| camera.beat()).collect();
    let run = Run::new(way, before, Traffic::so_far(&world.device));
    (run, beats.last().expect("some").body.to_string())
}

/// Runs curl as often, with the same header fields and this body.
fn curl(body: &str) -> Run {
    let world = World::new();
    count_traffic(&world.device);
    let silent = Agent::start(&world, binary(), &Setting::new(&world).meeting("enabled", false));
    let url = format!("https://{SERVER_NAME}/api/devices/camera-1/online");
    let fields = [
        "Content-Type: application/json",
        "Accept: application/json",
        "X-Token-Code: s3cret-token",
    ];
    let mut words =
        vec!["-s", "-f", "--cacert", "/etc/ca.pem", "-o", "/dev/null", "-d", body, &url];
    words.extend(fields.iter().flat_map(|field| ["-H", *field]));
    let before = Traffic::so_far(&world.device);
    for _ in 0..BEATS {
        assert!(silent.beside(&world, "curl", &words).status.success(), "{words:?}");
    }
    Run::new("a loop around curl", before, Traffic::so_far(&world.device))
}

#[test]
fn month_of_beats_costs_a_third_of_a_loop_around_curl() {
    let (kept, body) = linkbeat("a kept connection", Close::Keep, &[]);
    let (metered, short) = linkbeat("the same, metered", Close::Keep, &["*"]);
    let (reconnecting, _) = linkbeat("a new connection, resumed", Close::Announced, &[]);
    let curl = curl(&body);
    let mut report = String::from(
        "IP, TCP, TLS, HTTP and DNS, a beat every 30 s, every 300 s if metered, names that live for a minute:\n",
    );
    for (run, slower) in [(&kept, 1), (&metered, 10), (&reconnecting, 1), (&curl, 1)] {
        let (packets, bytes) = (run.packets / BEATS, run.bytes_per_beat());
        let month_kb = bytes * MONTH / 1000 / slower;
        let Run { way, .. } = run;
        writeln!(
            report,
            "  {way:<26} {packets:>3} packets {bytes:>6} bytes {month_kb:>7} kB a month"
        )
        .unwrap();
    }
    say(&report);
    // At its interval of 300 s.
    assert!(metered.bytes_per_beat() * MONTH / 10 <= 8_000_000, "{report}");
    assert!(body.contains("\"mac\"") && !short.contains("\"mac\""), "{short}");
    assert!(3 * kept.bytes < curl.bytes, "{report}");
    assert!(reconnecting.bytes < curl.bytes, "{report}");
}
