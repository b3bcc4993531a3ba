//! Many interfaces, many routes, and many irrelevant messages.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_support::agent::Agent;
use linkbeat_support::world::{Families, World};
use serde_json::Value;

use crate::camera::{Camera, QUIET};
use crate::scenes::{SECURE, only, setting};

/// Pairs of virtual interfaces that are ignored by default.
const PAIRS: u32 = 95;
/// Routes of a device that runs BGP, none of which leads to the server.
const ROUTES: u32 = 5000;
/// Number of times that one route is removed and added.
const FLAPS: u32 = 200;

/// Adds 190 ignored interfaces, and ten others that lead nowhere.
fn crowd(world: &World) {
    let mut lines = String::new();
    for n in 0..PAIRS {
        writeln!(lines, "link add veth{n}a type veth peer name veth{n}b").unwrap();
    }
    for n in 0..5 {
        writeln!(lines, "link add lan{n}a type veth peer name lan{n}b").unwrap();
        writeln!(lines, "link set lan{n}a up\nlink set lan{n}b up").unwrap();
    }
    world.device.ip(&lines);
}

/// Adds eth0 with a higher index than all other interfaces.
fn add_last(world: &World) {
    world.device.ip(&format!(
        "link add name eth0 index 9001 address 00:16:3e:00:00:01 type veth \
         peer name r-eth0 index 9501 netns {}\nlink set eth0 up",
        world.router.name()
    ));
    world.router.ip("address add 10.11.1.1/24 dev r-eth0\nlink set r-eth0 up");
    world.lease("eth0");
}

#[test]
fn uplink_behind_two_hundred_links_is_found_at_start() {
    let world = World::new();
    only(&world, &[]);
    crowd(&world);
    add_last(&world);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");
}

#[test]
fn uplink_that_comes_after_two_hundred_links_is_found() {
    let world = World::new();
    only(&world, &[]);
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    camera.shows("no way", |status| status["state"] == "no_uplink");
    crowd(&world);
    add_last(&world);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.beat_over(&world, "eth0");
    // Further interfaces do not displace the uplink in use.
    world.device.ip("link add more0 type veth peer name more1\nlink set more0 up");
    world.receiver.close_connections();
    camera.ring();
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "trigger");
    camera.shows_way("eth0");
}

/// Interfaces beyond the limit are left out. This is reported once, and shown until it is over.
#[test]
fn interfaces_that_find_no_room_are_reported() {
    const WORDS: &str = "more than 32 interfaces";
    let world = World::new();
    only(&world, &["eth0"]);
    let mut camera = Camera::start(&world, &setting(&world, SECURE));
    let cables = |lines: &dyn Fn(u32) -> String| {
        world.device.ip(&(0..20).map(lines).collect::<String>());
    };
    cables(&|n| {
        format!(
            "link add lan{n}a type veth peer name lan{n}b\nlink set lan{n}a up\nlink set lan{n}b up\n"
        )
    });
    camera.agent.said(WORDS);
    let is_reported = |status: &Value| status["warnings"].to_string().contains(WORDS);
    camera.shows("what is left out", is_reported);
    let words = camera.words(&world);
    assert!(words.contains(WORDS) && words.contains("ignore_interfaces"), "{words}");
    // The uplink in use is not left out.
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    camera.ring();
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "trigger");
    cables(&|n| format!("link delete lan{n}a\n"));
    camera
        .shows("that all have room", |status| status["state"] == "online" && !is_reported(status));
    let lines = camera.agent.lines().all();
    assert_eq!(lines.iter().filter(|line| line.text.contains(WORDS)).count(), 1, "{lines:?}");
}

/// Processor time of the agent, in µs (proc(5), `schedstat`).
fn cpu_us(agent: &Agent) -> u64 {
    let path = format!("/proc/{}/schedstat", agent.pid().as_raw_nonzero());
    let stat = fs::read_to_string(path).unwrap();
    stat.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1000
}

#[test]
fn flapping_route_among_five_thousand_costs_under_a_millisecond() {
    let world = World::new();
    let mut lines = String::new();
    for n in 0..ROUTES {
        let network = format!("198.{}.{}.{}/30", 18 + n / 16384, n / 64 % 256, n % 64 * 4);
        writeln!(lines, "route add {network} via 10.11.1.1 dev eth0").unwrap();
    }
    world.device.ip(&lines);
    let mut camera = Camera::calm(&world);
    let connections = world.receiver.counts().connections;
    let before_us = cpu_us(&camera.agent);
    let flap = "route delete 198.18.9.4/30\nroute add 198.18.9.4/30 via 10.11.1.1 dev eth0\n";
    for _ in 0..FLAPS {
        world.device.ip(flap);
    }
    camera.stays_silent();
    let each_us = (cpu_us(&camera.agent) - before_us) / u64::from(FLAPS);
    assert_eq!(world.receiver.counts().connections, connections);
    // Two messages and two wake-ups, in an unoptimized build.
    assert!(each_us < 1000, "{each_us} µs of processor for each flap");
    camera.ring();
    camera.beat_over(&world, "eth0");
}

#[test]
fn irrelevant_messages_cause_no_beat_and_no_connection() {
    let world = World::with(Families::Both);
    let mut camera = Camera::calm(&world);
    let connections = world.receiver.counts().connections;
    let probes = world.packets("eth0").probe_syns;
    let queries = world.packets("eth0").queries;
    let mut lines = String::new();
    for n in 0..400 {
        let left = 1800 - n;
        // Renewed leases and router advertisements without a change.
        for address in ["10.11.1.2/24 dev eth0", "2001:db8:2::2/64 dev wlan1"] {
            writeln!(lines, "address change {address} valid_lft {left} preferred_lft {left}")
                .unwrap();
        }
        writeln!(lines, "route replace ::/0 via 2001:db8:1::1 dev eth0 metric 100 expires {left}")
            .unwrap();
        // A container that starts and stops now and then.
        if n % 20 == 0 {
            writeln!(lines, "link add veth7 type veth peer name veth8\nlink set veth7 up").unwrap();
            writeln!(lines, "address add 172.17.0.1/16 dev veth7\nlink delete veth7").unwrap();
        }
        // A route of another program.
        writeln!(lines, "route add 198.18.0.0/15 via 10.11.1.1 dev eth0").unwrap();
        writeln!(lines, "route delete 198.18.0.0/15 via 10.11.1.1 dev eth0").unwrap();
    }
    world.device.ip(&lines);
    camera.stays_silent();
    camera.beats.expect_none("beat", QUIET, |_| true);
    assert_eq!(world.receiver.counts().connections, connections);
    let after = world.packets("eth0");
    assert_eq!((after.probe_syns, after.queries), (probes, queries));
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Failover] eth0 disc")), "{lines:?}");
    camera.ring();
    camera.beats.expect("trigger", Duration::from_secs(5), |beat| beat.reason() == "trigger");
}
