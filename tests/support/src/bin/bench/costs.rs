//! The costs of an agent while nothing happens: memory, wake-ups, processor, bytes.

use std::io::{self, Write};
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::receiver::Beat;
use linkbeat_support::space::{Space, run};
use serde_json::Value;

use crate::Options;
use crate::camera::{Camera, INTERVAL_S, Kind};
use crate::process::{Memory, Process, Usage};
use crate::size::{self, Size};

/// The wait after the first beat, until the start is complete and no beat is in progress.
const STARTED: Duration = Duration::from_secs(5);
/// Seconds of an hour and of 30 days.
const HOUR_S: u64 = 3600;
const MONTH_S: u64 = 30 * 24 * HOUR_S;

/// The costs of one agent.
pub(crate) struct Cost {
    /// The kind of agent.
    pub(crate) kind: Kind,
    /// The names of its processes.
    pub(crate) processes: Vec<String>,
    /// Their memory.
    pub(crate) memory: Memory,
    /// Their threads.
    pub(crate) threads: usize,
    /// Wake-ups in an hour, including those of its short-lived processes.
    pub(crate) wakeups: u64,
    /// Processor time in an hour, in ms.
    pub(crate) cpu_ms: u64,
    /// Bytes of IP packets in both directions in 30 days.
    pub(crate) month_bytes: u64,
    /// Bytes of IP packets in both directions for one beat.
    pub(crate) beat_bytes: u64,
    /// Its size on the disk.
    pub(crate) size: Size,
    /// The memory of its largest short-lived process, in kB.
    pub(crate) passing_kb: Option<u64>,
}

/// An agent during the measurement.
struct Watched {
    camera: Camera,
    kind: Kind,
    from: Seen,
}

/// The counts of an agent so far.
struct Seen {
    at_us: u64,
    processes: Vec<(Process, Usage)>,
    bytes: u64,
    beats: usize,
}

/// Measures the costs of each agent, alone in a network, all at the same time.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<Cost>> {
    let mut cameras = Vec::new();
    for kind in Kind::ALL {
        let camera = Camera::start(options, &[kind])?;
        count_traffic(&camera.world.device);
        cameras.push((kind, camera));
    }
    pause(&cameras, STARTED);
    let from: io::Result<Vec<Seen>> =
        cameras.iter().map(|(kind, camera)| Seen::now(camera, *kind)).collect();
    let from = from?;
    pause(&cameras, Duration::from_secs(options.watched_s));
    let watched = cameras.into_iter().zip(from);
    watched.map(|((kind, camera), from)| Watched { camera, kind, from }.cost(options)).collect()
}

/// Waits.
fn pause(cameras: &[(Kind, Camera)], time: Duration) {
    if let Some((_, camera)) = cameras.first() {
        camera.world.receiver.beats().follow().find(time, |_| false);
    }
}

impl Seen {
    fn now(camera: &Camera, kind: Kind) -> io::Result<Self> {
        let tree = Process::tree(camera.agent(kind)?.pid());
        let beats = camera.world.receiver.beats().all();
        Ok(Self {
            at_us: clock::boot_us(),
            processes: tree.into_iter().map(|it| (it, it.usage())).collect(),
            bytes: bytes(&camera.world.device),
            beats: beats.iter().filter(|beat: &&Beat| kind.sent(beat)).count(),
        })
    }
}

impl Watched {
    fn cost(self, options: &Options) -> io::Result<Cost> {
        let Self { camera, kind, from } = self;
        let to = Seen::now(&camera, kind)?;
        // Only processes that existed at both times.
        let was = |it: Process| from.processes.iter().find(|(process, _)| *process == it);
        let stayed = to.processes.iter().filter_map(|(it, now)| Some((*it, *now, was(*it)?.1)));
        let (mut processes, mut memory, mut threads) = (Vec::new(), Memory::default(), 0);
        let (mut waits, mut cpu_ns) = (0, 0);
        for (process, now, then) in stayed {
            processes.push(process.name());
            let own = process.memory();
            memory.rss_kb += own.rss_kb;
            memory.pss_kb += own.pss_kb;
            threads += process.threads();
            waits += now.waits - then.waits;
            cpu_ns += now.cpu_ns - then.cpu_ns;
        }
        let watched_us = to.at_us - from.at_us;
        let rate = |amount: u64, seconds: u64| amount * seconds * 1_000_000 / watched_us;
        let beats = u64::try_from(to.beats - from.beats).unwrap_or_default();
        let bytes = to.bytes - from.bytes;
        let passing = passing(&camera, kind)?;
        let by_beats = passing.map_or(0, |it| it.waits * HOUR_S / u64::from(INTERVAL_S));
        let cost = Cost {
            kind,
            processes,
            memory,
            threads,
            wakeups: rate(waits, HOUR_S) + by_beats,
            cpu_ms: rate(cpu_ns / 1000, HOUR_S) / 1000,
            month_bytes: rate(bytes, MONTH_S),
            beat_bytes: bytes / beats.max(1),
            size: size::of(options, kind),
            passing_kb: passing.map(|it| it.rss_kb),
        };
        writeln!(
            io::stdout(),
            "{:<18} {} kB resident, {} wake-ups and {} ms of processor an hour, {} bytes a beat",
            kind.title(),
            cost.memory.rss_kb,
            cost.wakeups,
            cost.cpu_ms,
            cost.beat_bytes,
        )?;
        Ok(cost)
    }
}

/// The short-lived processes of a beat.
#[derive(Clone, Copy)]
struct Passing {
    waits: u64,
    rss_kb: u64,
}

/// One beat of the curl loop under time(1), which also counts processes that have ended.
fn passing(camera: &Camera, kind: Kind) -> io::Result<Option<Passing>> {
    if kind != Kind::Curl {
        return Ok(None);
    }
    let said = camera.once(kind, &["/usr/bin/time", "--format", "%w %M"], "once")?;
    let numbers = said.lines().last().and_then(|line| line.split_once(' '));
    let parsed = numbers.and_then(|(waits, kb)| Some((waits.parse().ok()?, kb.parse().ok()?)));
    let (waits, rss_kb) = parsed.ok_or_else(|| io::Error::other(said.clone()))?;
    Ok(Some(Passing { waits, rss_kb }))
}

/// Makes the kernel count the bytes that the device sends and receives.
fn count_traffic(device: &Space) {
    device.nft(
        "table inet bench {
            counter both { }
            chain out {
                type filter hook output priority 0
                oifname != lo counter name both
            }
            chain in {
                type filter hook input priority 0
                iifname != lo counter name both
            }
        }",
    );
}

/// The bytes of the IP packets so far.
fn bytes(device: &Space) -> u64 {
    let listed = run(device.command("nft").args(["-j", "list", "counters"]), "");
    let listed: Value = serde_json::from_str(&listed).expect("nft -j speaks JSON");
    let objects = listed.get("nftables").and_then(Value::as_array).expect("a list of objects");
    let counter = objects.iter().find_map(|object| object.get("counter")?.get("bytes")?.as_u64());
    counter.expect("the counter is there")
}
