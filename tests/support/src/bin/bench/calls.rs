//! Counts the system calls of linkbeat with strace: while nothing happens, and for a change.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::clock;
use linkbeat_support::helper::Helper;
use linkbeat_support::world::World;

use crate::Options;
use crate::camera::INTERVAL_S;
use crate::solo::FORGOTTEN;

/// The time after a change within which all its calls are made, in µs.
const DONE_US: u64 = 1_000_000;
/// The number of changes of each kind.
const RUNS: usize = 3;
/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(30);

/// The numbers of calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    idle: u64,
    pulled: u64,
    plugged: u64,
    triggered: u64,
}

impl Calls {
    /// Each number with its name.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("an idle minute with its two beats", self.idle),
            ("cable pulled", self.pulled),
            ("cable plugged back", self.plugged),
            ("trigger", self.triggered),
        ]
    }
}

/// A traced agent and the file that strace writes.
struct Traced {
    world: World,
    agent: Agent,
}

/// Not part of a quick run, because it takes too long.
pub(crate) fn wanted(options: &Options) -> bool {
    options.wants("calls") && (options.slow_runs > 0 || !options.only.is_empty())
}

/// Counts the calls of this build.
pub(crate) fn of(options: &Options, binary: &Path) -> io::Result<Calls> {
    let traced = Traced::start(binary)?;
    let idle_s = options.watched_s.min(60) / u64::from(INTERVAL_S) * u64::from(INTERVAL_S);
    let from_us = clock::wall_us();
    traced.pause(Duration::from_secs(idle_s));
    let idle = from_us..clock::wall_us();
    let mut windows = [Vec::new(), Vec::new(), Vec::new()];
    let helper = Helper::connect(&traced.agent.socket())?;
    for _ in 0..RUNS {
        let acts: [&dyn Fn(); 3] =
            [&|| traced.world.pull("eth0"), &|| traced.world.plug("eth0"), &|| {
                helper.trigger().expect("the agent has not gone")
            }];
        for (act, windows) in acts.iter().zip(&mut windows) {
            let from_us = clock::wall_us();
            act();
            traced.pause(FORGOTTEN);
            windows.push(from_us..from_us + DONE_US);
        }
    }
    let calls = traced.calls()?;
    let within = |window: &std::ops::Range<u64>| {
        u64::try_from(calls.iter().filter(|it| window.contains(it)).count()).unwrap_or_default()
    };
    let [pulled, plugged, triggered] = windows.map(|windows| {
        let mut counts: Vec<u64> = windows.iter().map(within).collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or_default()
    });
    let counted = Calls { idle: within(&idle) * 60 / idle_s.max(1), pulled, plugged, triggered };
    writeln!(io::stdout(), "{}: {:?}", binary.display(), counted.counts())?;
    Ok(counted)
}

impl Traced {
    fn start(binary: &Path) -> io::Result<Self> {
        let world = World::new();
        let log = world.directory().join("strace").display().to_string();
        let mut setting = Setting::new(&world).every(INTERVAL_S).own("log_level", "info");
        // strace runs as a grandchild, so that the agent stays the child for signals and wait(2).
        let strace = ["-D", "-f", "-ttt", "-e", "signal=none", "-o", &log].map(ToOwned::to_owned);
        let binary = fs::canonicalize(binary)?.display().to_string();
        setting.arguments.splice(0..0, strace.into_iter().chain([binary]));
        let mut beats = world.receiver.beats().follow();
        let agent = Agent::start(&world, "strace", &setting);
        beats.find(PATIENCE, |_| true).ok_or_else(|| io::Error::other("no first beat"))?;
        let traced = Self { world, agent };
        traced.pause(Duration::from_micros(DONE_US));
        Ok(traced)
    }

    /// The time of each call, in µs since 1970. A line begins with the process and the time.
    fn calls(&self) -> io::Result<Vec<u64>> {
        let log = fs::read_to_string(self.world.directory().join("strace"))?;
        let at_us = |line: &str| {
            let (seconds, micros) = line.split_whitespace().nth(1)?.split_once('.')?;
            Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
        };
        Ok(log.lines().filter(|line| line.contains('(')).filter_map(at_us).collect())
    }

    fn pause(&self, time: Duration) {
        self.world.receiver.beats().follow().find(time, |_| false);
    }
}
