//! How long after an event the server has the whole request, over many runs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, mem};

use lexopt::prelude::*;
use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::clock;
use linkbeat_support::helper::Helper;
use linkbeat_support::journal::Follower;
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{Block, Verdict, World};
use rustix::process::Signal;
use serde_json::json;

/// How long anything is waited for before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a run, so that nothing of it is left in the next.
const SETTLED: Duration = Duration::from_millis(200);
/// After this the kernel asks anew for a gateway that it asked for on a dead link; before, it asks
/// once a second and keeps packets waiting.
const FORGOTTEN: Duration = Duration::from_secs(4);
/// Seconds between two beats where a beat is to fall due in an outage.
const INTERVAL: u32 = 5;
/// The same where no beat is to fall due.
const RARELY: u32 = 3600;

const HELP: &str = "\
usage: bench [--runs N] [--beats N] [--only WORD] LINKBEAT

Times event -> request fully received over TLS, N runs each (20), then sends N beats (100000) and
compares the memory before and after. With --only, just the rows with this word in their name.
";

struct Options {
    binary: PathBuf,
    runs: u64,
    beats: u64,
    only: String,
}

fn main() -> ExitCode {
    let done = options().map_err(io::Error::other).and_then(|options| match options {
        Some(options) => {
            let mut bench = Bench::start(options);
            // What the agent logged tells what went wrong.
            bench.run().inspect_err(|_| bench.tell())
        }
        None => write!(io::stdout(), "{HELP}"),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error gone: nobody to tell.
            writeln!(io::stderr(), "bench: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let (mut binary, mut only, mut runs, mut beats) = (None, String::new(), 20, 100_000);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("runs") => runs = arguments.value()?.parse()?,
            Long("beats") => beats = arguments.value()?.parse()?,
            Long("only") => only = arguments.value()?.string()?,
            Long("help") | Short('h') => return Ok(None),
            Value(path) if binary.is_none() => binary = Some(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    let binary = binary.ok_or("which binary? --help says more")?;
    Ok(Some(Options { binary, runs, beats, only }))
}

/// One run: from when the kernel announced the event, and from when it was made.
struct Run {
    announced_us: Option<u64>,
    made_us: u64,
}

impl Run {
    fn new(made_us: u64, announced_us: Option<u64>, beat: &Beat) -> Self {
        let since = |event_us: u64| beat.received_us.saturating_sub(event_us);
        Self { announced_us: announced_us.map(since), made_us: since(made_us) }
    }
}

struct Bench {
    options: Options,
    world: World,
    agent: Agent,
    beats: Follower<Beat>,
    changes: Follower<Announcement>,
}

impl Bench {
    fn start(options: Options) -> Self {
        let world = World::new();
        let (beats, changes) = (world.receiver.beats().follow(), world.kernel.announcements());
        let agent = Agent::start(&world, &options.binary, &setting(&world, RARELY));
        Self { options, agent, beats, changes: changes.follow(), world }
    }

    fn run(&mut self) -> io::Result<()> {
        self.beat("first beat", |_| true)?;
        let head = ["event", "kernel's word", "max", "the act", "max", "goal, ms"];
        self.print(&head.map(ToOwned::to_owned))?;
        self.case("cable pulled", "< 3 after the word", Self::pull)?;
        self.case("plugged back, then leased", "< 3 after the route", Self::plug)?;
        self.case("address and route back", "< 3 after the route", Self::lease)?;
        self.case("trigger, connection kept", "< 0.5", |it, _| it.trigger(false))?;
        self.case("trigger, new connection", "< 3", |it, _| it.trigger(true))?;
        self.restart(INTERVAL)?;
        let goal = "< 150, max < 300";
        self.case("outage healed, was dropped", goal, |it, n| it.outage(Verdict::Drop, n))?;
        self.case("outage healed, was rejected", goal, |it, n| it.outage(Verdict::Host, n))?;
        self.restart(RARELY)?;
        self.memory()
    }

    fn tell(&self) {
        for line in self.agent.lines().all().iter().rev().take(20).rev() {
            writeln!(io::stderr(), "agent: {line:?}").ok();
        }
    }

    fn pull(&mut self, _: u64) -> io::Result<Run> {
        self.changes.skip();
        let made_us = clock::boot_us();
        self.world.pull("eth0");
        let announced_us = self.change(Change::NotRunning)?;
        let beat = self.beat("failover", |beat| beat.reason() == "failover_to_wlan1")?;
        self.beats.find(FORGOTTEN, |_| false);
        self.world.plug("eth0");
        self.beat("way back", |beat| beat.reason() == "eth0_priority")?;
        Ok(Run::new(made_us, Some(announced_us), &beat))
    }

    fn plug(&mut self, _: u64) -> io::Result<Run> {
        self.world.pull("eth0");
        self.world.unlease("eth0");
        self.beat("failover", |beat| beat.reason() == "failover_to_wlan1")?;
        self.beats.find(FORGOTTEN, |_| false);
        self.world.plug("eth0");
        self.leased()
    }

    fn lease(&mut self, _: u64) -> io::Result<Run> {
        self.world.unlease("eth0");
        self.beat("failover", |beat| beat.reason() == "failover_to_wlan1")?;
        self.leased()
    }

    fn leased(&mut self) -> io::Result<Run> {
        self.beats.find(SETTLED, |_| false);
        self.changes.skip();
        let made_us = clock::boot_us();
        self.world.lease("eth0");
        let announced_us = self.change(Change::DefaultRoute)?;
        let beat = self.beat("way back", |beat| beat.reason() == "eth0_priority")?;
        Ok(Run::new(made_us, Some(announced_us), &beat))
    }

    fn trigger(&mut self, new_connection: bool) -> io::Result<Run> {
        let helper = Helper::connect(&self.agent.socket())?;
        if new_connection {
            self.world.receiver.close_connections();
        }
        self.beats.find(SETTLED, |_| false);
        let made_us = clock::boot_us();
        helper.trigger()?;
        let beat = self.beat("beat", |beat| beat.received_us > made_us)?;
        if new_connection != (beat.nth == 1) {
            return Err(io::Error::other("the beat came on the other kind of connection"));
        }
        Ok(Run::new(made_us, None, &beat))
    }

    fn outage(&mut self, verdict: Verdict, nth: u64) -> io::Result<Run> {
        let mut lines = self.agent.lines().follow();
        self.world.block(&[Block::all(verdict)]);
        let lost = lines.find(PATIENCE, |line| line.text.contains("Connectivity lost"));
        lost.ok_or_else(|| missing("notice of the outage"))?;
        // Of varied length, so that every phase between two probes is met; up to about 12 s.
        self.beats.find(Duration::from_millis(2000 + nth * 377 % 6000), |_| false);
        self.beats.skip();
        let healing = self.world.prepare(&[]);
        self.beats.find(SETTLED, |_| false);
        let made_us = healing.apply();
        let beat = self.beat("beat", |beat| beat.received_us > made_us)?;
        self.beat("regular beat", |beat| beat.reason() == "interval")?;
        Ok(Run::new(made_us, None, &beat))
    }

    fn memory(&mut self) -> io::Result<()> {
        if !"memory".contains(&self.options.only) {
            return Ok(());
        }
        // A helper is heard 64 times a second at most; a signal always.
        let beat = |it: &mut Self| {
            it.agent.signal(Signal::USR1);
            it.beat("beat", |_| true)
        };
        for _ in 0..1000 {
            beat(self)?;
        }
        let before_kb = self.agent.resident_kb();
        let began_us = clock::boot_us();
        for _ in 0..self.options.beats {
            beat(self)?;
        }
        let took_s = (clock::boot_us() - began_us) / 1_000_000;
        let (after_kb, beats) = (self.agent.resident_kb(), self.options.beats);
        let size_kb = fs::metadata(&self.options.binary)?.len() / 1024;
        writeln!(
            io::stdout(),
            "\nmemory    {before_kb} kB resident, after {beats} beats {after_kb} kB ({took_s} s)\n\
             binary    {size_kb} kB"
        )
    }

    /// An agent anew, that beats every `interval` seconds.
    fn restart(&mut self, interval: u32) -> io::Result<()> {
        self.beats.skip();
        let agent = Agent::start(&self.world, &self.options.binary, &{
            self.agent.end();
            setting(&self.world, interval)
        });
        drop(mem::replace(&mut self.agent, agent));
        self.beat("first beat", |beat| beat.reason() == "startup").map(drop)
    }

    /// Does all runs of one event, and prints its row.
    fn case(
        &mut self,
        event: &str,
        goal: &str,
        mut run: impl FnMut(&mut Self, u64) -> io::Result<Run>,
    ) -> io::Result<()> {
        if !event.contains(&self.options.only) {
            return Ok(());
        }
        let (mut announced, mut made) = (Vec::new(), Vec::new());
        for nth in 0..self.options.runs {
            self.beats.find(SETTLED, |_| false);
            self.beats.skip();
            let run = run(self, nth)?;
            announced.extend(run.announced_us);
            made.push(run.made_us);
        }
        let [word, word_max] = median_and_maximum(announced);
        let [act, act_max] = median_and_maximum(made);
        self.print(&[event.to_owned(), word, word_max, act, act_max, goal.to_owned()])
    }

    fn print(&self, row: &[String; 6]) -> io::Result<()> {
        let [event, numbers @ .., goal] = row;
        let mut line = format!("{event:<28}");
        for number in numbers {
            write!(line, " {number:>13}").map_err(io::Error::other)?;
        }
        let mut out = io::stdout();
        writeln!(out, "{line}   {goal}")?;
        out.flush()
    }

    fn change(&mut self, change: Change) -> io::Result<u64> {
        let wanted = |it: &Announcement| it.interface == "eth0" && it.change == change;
        let found = self.changes.find(PATIENCE, wanted);
        Ok(found.ok_or_else(|| missing("word of the kernel"))?.at_us)
    }

    fn beat(&mut self, what: &str, wanted: impl Fn(&Beat) -> bool) -> io::Result<Beat> {
        self.beats.find(PATIENCE, wanted).ok_or_else(|| missing(what))
    }
}

/// Nothing holds a beat back: what is measured is the way, not the moderation.
fn setting(world: &World, interval: u32) -> Setting {
    let free = json!({ "burst": 1000, "every_ms": 0 });
    Setting::new(world)
        .every(interval)
        .own("log_level", "info")
        .own("moderation", json!({ "trigger": free, "network": free }))
}

/// In ms; empty where nothing was measured.
fn median_and_maximum(mut times_us: Vec<u64>) -> [String; 2] {
    times_us.sort_unstable();
    let ms = |us: Option<&u64>| {
        us.map(|us| format!("{}.{:03}", us / 1000, us % 1000)).unwrap_or_default()
    };
    [ms(times_us.get(times_us.len() / 2)), ms(times_us.last())]
}

fn missing(what: &str) -> io::Error {
    io::Error::other(format!("no {what} within {PATIENCE:?}"))
}
