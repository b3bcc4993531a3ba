//! Costs of one beat of the cycle, measured from outside: system calls by strace, packets by the
//! kernel.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_support::agent::Setting;
use linkbeat_support::receiver::{Beat, Behaviour, Close};
use linkbeat_support::space::{Space, run};
use linkbeat_support::world::World;

use crate::camera::{Camera, binary};
use crate::ledger::{Entry, median, say, settle};

/// Number of beats measured.
const BEATS: usize = 20;
/// Number of beats before them. The first one needs a name lookup and a full handshake.
const BEFORE: usize = 3;
/// Interval between beats, in seconds.
const INTERVAL_S: u32 = 2;
/// Longest time from a beat's arrival for calls that count as part of it, in µs. Other calls are
/// idle ones.
const NEAR_US: u64 = 500_000;
/// Beats in 30 days at an interval of 30 s.
pub(crate) const MONTH: u64 = 30 * 24 * 60 * 2;

/// IP packets and bytes of TCP and UDP.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) sent: Count,
    pub(crate) received: Count,
}

#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// The measurements of a run.
struct Seen {
    beats: Vec<Beat>,
    /// Counters before the first beat and after each.
    traffic: Vec<Traffic>,
    calls: Vec<Call>,
}

/// One system call.
struct Call {
    at_us: u64,
    thread: u32,
    name: String,
}

#[test]
fn beat_on_a_kept_connection_stays_within_its_bounds() {
    let seen = Seen::of(Close::Keep);
    assert!(seen.beats.iter().all(|beat| beat.connection == 1), "{:?}", seen.beats);
    seen.settle("kept", "beat on a kept connection");
}

#[test]
fn beat_on_a_new_connection_stays_within_its_bounds() {
    let seen = Seen::of(Close::Announced);
    assert!(seen.beats.iter().all(|beat| beat.security == "TLSv1_3 resumed"), "{:?}", seen.beats);
    seen.settle("reconnecting", "beat on a new connection, resumed");
}

impl Seen {
    /// Runs an agent whose server closes its connections in this way.
    fn of(close: Close) -> Self {
        let world = World::new();
        world.receiver.behave(Behaviour { close, ..Behaviour::default() });
        count_traffic(&world.device);
        let log = world.directory().join("strace");
        let mut setting = Setting::new(&world).every(INTERVAL_S).own("log_level", "info");
        // strace runs as a grandchild (`-D`), so that the agent is the child to signal and wait
        // for.
        let strace = ["-D", "-f", "-ttt", "-e", "signal=none", "-o"].map(ToOwned::to_owned);
        let traced = [log.display().to_string(), binary().display().to_string()];
        setting.arguments.splice(0..0, strace.into_iter().chain(traced));
        let mut camera = Camera::run(&world, "strace", &setting);
        for _ in 1..BEFORE {
            camera.beat();
        }
        // Measures halfway between two beats.
        let half = Duration::from_secs(INTERVAL_S.into()) / 2;
        let (mut beats, mut traffic) = (Vec::new(), Vec::new());
        camera.pause(half);
        traffic.push(Traffic::so_far(&world.device));
        for _ in 0..BEATS {
            beats.push(camera.beat());
            camera.pause(half);
            traffic.push(Traffic::so_far(&world.device));
        }
        let log = fs::read_to_string(log).expect("strace writes a file");
        Self { beats, traffic, calls: log.lines().filter_map(Call::parse).collect() }
    }

    fn settle(&self, prefix: &str, title: &str) {
        let (mut entries, mut report) = (Vec::new(), String::new());
        let mut enter = |name: &str, values: &[u64]| {
            entries.push(Entry { name: format!("{prefix}.{name}"), value: median(values) });
        };
        let near = self.each_beat(|call, beat| call.at_us.abs_diff(beat.wall_us) < NEAR_US);
        enter("system_calls", &lengths(&near));
        enter("wake_ups", &each(&near, |calls| count(calls, Call::waits)));
        let half_us = u64::from(INTERVAL_S) * 500_000;
        let idle = self.each_beat(|call, beat| {
            (NEAR_US..half_us).contains(&call.at_us.abs_diff(beat.wall_us))
        });
        enter("idle.system_calls", &lengths(&idle));
        let traffic: Vec<Traffic> =
            self.traffic.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        enter("packets_sent", &each(&traffic, |it| it.sent.packets));
        enter("packets_received", &each(&traffic, |it| it.received.packets));
        enter("bytes_sent", &each(&traffic, |it| it.sent.bytes));
        enter("bytes_received", &each(&traffic, |it| it.received.bytes));
        let bytes = median(&each(&traffic, |it| it.sent.bytes + it.received.bytes));
        let month_kb = bytes * MONTH / 1000;
        writeln!(report, "{title}: {bytes} bytes of IP, {month_kb} kB a month").unwrap();
        writeln!(report, "  {}", names(&near)).unwrap();
        say(&report);
        let threads: Vec<u32> = self.calls.iter().map(|call| call.thread).collect();
        assert!(threads.windows(2).all(|pair| pair[0] == pair[1]), "one thread");
        assert!(lengths(&near).iter().all(|calls| *calls > 0), "strace saw every beat");
        settle(title, &entries);
    }

    /// The calls of each beat, as `belongs` selects them.
    fn each_beat(&self, belongs: impl Fn(&Call, &Beat) -> bool) -> Vec<Vec<&Call>> {
        let of = |beat| self.calls.iter().filter(|call| belongs(call, beat)).collect();
        self.beats.iter().map(of).collect()
    }
}

impl Call {
    /// Parses a line such as `4711 1767225600.123456 read(3, "", 4096) = 0`; `None` if it is not a
    /// call.
    fn parse(line: &str) -> Option<Self> {
        let (thread, line) = line.split_once(' ')?;
        let (time, line) = line.trim_start().split_once(' ')?;
        let (seconds, micros) = time.split_once('.')?;
        let at_us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
        let (name, _) = line.split_once('(')?;
        let thread = thread.parse().ok()?;
        Some(Self { at_us, thread, name: name.to_owned() })
    }

    fn waits(&self) -> bool {
        self.name.starts_with("epoll_") && self.name.contains("wait")
    }
}

/// Total number of each call in these beats.
fn names(beats: &[Vec<&Call>]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for call in beats.iter().flatten() {
        *counts.entry(&call.name).or_default() += 1;
    }
    let words = counts.iter().map(|(name, count)| format!("{count} {name}"));
    format!("in {} beats: {}", beats.len(), words.collect::<Vec<_>>().join(", "))
}

fn each<T>(items: &[T], value: impl Fn(&T) -> u64) -> Vec<u64> {
    items.iter().map(value).collect()
}

fn lengths(beats: &[Vec<&Call>]) -> Vec<u64> {
    each(beats, |calls| count(calls, |_| true))
}

fn count(calls: &[&Call], wanted: impl Fn(&Call) -> bool) -> u64 {
    calls.iter().filter(|call| wanted(call)).count() as u64
}

/// Adds kernel counters for the device's traffic.
pub(crate) fn count_traffic(device: &Space) {
    device.nft(
        "table inet budget {
            counter sent { }
            counter received { }
            chain out {
                type filter hook output priority 0
                meta l4proto { tcp, udp } oifname != lo counter name sent
            }
            chain in {
                type filter hook input priority 0
                meta l4proto { tcp, udp } iifname != lo counter name received
            }
        }",
    );
}

impl Traffic {
    pub(crate) fn so_far(device: &Space) -> Self {
        let listed = run(device.command("nft").args(["-j", "list", "counters"]), "");
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("nft -j speaks JSON");
        let counter = |name: &str| {
            let objects = listed["nftables"].as_array().expect("a list of objects").iter();
            let mut counters = objects.map(|object| &object["counter"]);
            let counter = counters.find(|it| it["name"] == name).expect("the counter is there");
            let number = |key: &str| counter[key].as_u64().expect("a number");
            Count { packets: number("packets"), bytes: number("bytes") }
        };
        Self { sent: counter("sent"), received: counter("received") }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        let since = |now: Count, then: Count| Count {
            packets: now.packets - then.packets,
            bytes: now.bytes - then.bytes,
        };
        Self {
            sent: since(self.sent, before.sent),
            received: since(self.received, before.received),
        }
    }
}
