//! The events that interrupt a network and restore it.
//!
//! Every run begins and ends with all cables plugged and all agents beating over eth0. Several
//! networks are in use at the same time, because most of the time is spent waiting for the
//! reference. Only one event is made at a time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::observer::Change;
use linkbeat_support::world::{Block, Verdict, World};

use crate::Options;
use crate::camera::Kind;
use crate::report::Row;
use crate::stage::{HELD, Samples, Signs, Stage, micros};
use crate::stats::time;

/// The time after which the kernel requests a gateway again that it had requested on a dead link.
/// Before, it repeats the request once a second and queues the packets.
const FORGOTTEN: Duration = Duration::from_secs(4);
/// The time between the carrier and the address, like that of a DHCP server.
const LEASED: Duration = Duration::from_secs(1);
/// The length of a short outage: a beat of each agent falls due during it.
const SHORT: Duration = Duration::from_secs(12);
/// The length of a long outage.
const LONG: Duration = Duration::from_secs(45);
/// The shortest time that a router is off, and the longest, by which the device no longer considers
/// its old answers fresh.
const REBOOT: Duration = Duration::from_secs(40);
const REBOOT_MAX: Duration = Duration::from_secs(100);
/// The pause between two checks of that.
const LOOK: Duration = Duration::from_millis(200);
/// How often a run is prepared again because no beat of some agent would fall due.
const ATTEMPTS: usize = 4;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Pulled,
    Plugged,
    Readdressed,
    Short(Verdict),
    Long(Verdict),
    Rebooted,
}

impl Event {
    const FAST: [Self; 3] = [Self::Pulled, Self::Plugged, Self::Readdressed];
    const SLOW: [Self; 5] = [
        Self::Short(Verdict::Drop),
        Self::Short(Verdict::Host),
        Self::Long(Verdict::Drop),
        Self::Long(Verdict::Host),
        Self::Rebooted,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Pulled => "cable pulled",
            Self::Plugged => "cable plugged back",
            Self::Readdressed => "link lost, address re-added",
            Self::Short(Verdict::Drop) => "outage of 12 s healed, dropped",
            Self::Short(_) => "outage of 12 s healed, rejected",
            Self::Long(Verdict::Drop) => "outage of 45 s healed, dropped",
            Self::Long(_) => "outage of 45 s healed, rejected",
            Self::Rebooted => "router rebooted behind a switch",
        }
    }
}

/// One run of an event.
#[derive(Clone, Copy)]
struct Run {
    event: Event,
    nth: usize,
}

/// Makes all runs of the requested events; returns a row for each event.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<Row>> {
    let runs = runs(options);
    let total = runs.len();
    let turn = Mutex::new(());
    let stages = stages(options, total, &turn)?;
    let (left, done) = (Mutex::new(runs), Mutex::new(Vec::new()));
    let work = |mut stage: Stage<'_>| {
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(run) = next() {
            let samples = stage.run(run)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((run.event, samples));
            print_samples(run, samples, done.len(), total)?;
        }
        Ok(())
    };
    let ended: Vec<io::Result<()>> = thread::scope(|scope| {
        let start = |stage| scope.spawn(|| work(stage));
        let threads: Vec<_> = stages.into_iter().map(start).collect();
        threads.into_iter().map(end).collect()
    });
    for error in ended.iter().filter_map(|it| it.as_ref().err()) {
        writeln!(io::stderr(), "bench: {error}; the other networks take over its runs").ok();
    }
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(rows(&done))
}

/// Makes the requested number of networks and waits until all are complete.
fn stages<'a>(options: &Options, total: usize, turn: &'a Mutex<()>) -> io::Result<Vec<Stage<'a>>> {
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| Stage::start(options, turn));
        let threads: Vec<_> = (0..options.worlds.min(total)).map(start).collect();
        threads.into_iter().map(end).collect()
    })
}

/// The result of a thread; a panic has been reported already.
fn end<T>(thread: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a network failed")))
}

fn runs(options: &Options) -> VecDeque<Run> {
    let mut runs = VecDeque::new();
    // In turns, so that changes of the machine affect all events equally.
    for nth in 0..options.runs {
        let slow = Event::SLOW.iter().filter(|_| nth < options.slow_runs);
        let events = slow.chain(&Event::FAST).filter(|event| options.wants(event.name()));
        runs.extend(events.map(|event| Run { event: *event, nth }));
    }
    runs
}

fn rows(done: &[(Event, Samples)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for event in Event::FAST.into_iter().chain(Event::SLOW) {
        let mut row = Row::new(event.name());
        for (_, samples) in done.iter().filter(|(it, _)| *it == event) {
            for (series, sample) in row.series.iter_mut().zip(samples) {
                series.extend(sample);
            }
        }
        rows.extend((!row.is_empty()).then_some(row));
    }
    rows
}

fn print_samples(run: Run, samples: Samples, done: usize, total: usize) -> io::Result<()> {
    let times = samples.map(|it| it.map_or("-".to_owned(), |it| time(it.us())));
    let mut line = format!("{done:>3}/{total} {:<42}", run.event.name());
    for (kind, time) in Kind::ALL.iter().zip(times) {
        line += &format!("  {} {time:>8}", kind.key());
    }
    writeln!(io::stdout(), "{line}")
}

impl Stage<'_> {
    fn run(&mut self, run: Run) -> io::Result<Samples> {
        match run.event {
            Event::Pulled => Ok(self.pulled(run.nth)),
            Event::Plugged => Ok(self.plugged(run.nth)),
            Event::Readdressed => Ok(self.readdressed(run.nth)),
            Event::Short(verdict) => self.short_outage(verdict, run.nth),
            Event::Long(verdict) => Ok(self.long_outage(verdict, run.nth)),
            Event::Rebooted => Ok(self.rebooted(run.nth)),
        }
    }

    fn pulled(&mut self, nth: usize) -> Samples {
        self.meet_phase(nth, Duration::ZERO);
        let signs = Signs { word: Some(Change::NotRunning), over: Some("wlan1") };
        let samples = self.event(signs, |world| at(|| world.pull("eth0")));
        self.change(|world| world.plug("eth0"));
        self.pause(FORGOTTEN);
        samples
    }

    fn plugged(&mut self, nth: usize) -> Samples {
        self.meet_phase(nth, FORGOTTEN + HELD);
        self.change(|world| world.pull("eth0"));
        self.pause(FORGOTTEN);
        let signs = Signs { word: Some(Change::Running), over: Some("eth0") };
        self.event(signs, |world| at(|| world.plug("eth0")))
    }

    fn readdressed(&mut self, nth: usize) -> Samples {
        self.meet_phase(nth, FORGOTTEN + LEASED + HELD * 2);
        self.change(|world| {
            world.pull("eth0");
            world.unlease("eth0");
        });
        self.pause(FORGOTTEN);
        self.change(|world| world.plug("eth0"));
        self.pause(LEASED);
        let signs = Signs { word: Some(Change::DefaultRoute), over: Some("eth0") };
        self.event(signs, |world| at(|| world.lease("eth0")))
    }

    /// An outage during which a beat of every agent falls due; otherwise no beat would be lost.
    fn short_outage(&mut self, verdict: Verdict, nth: usize) -> io::Result<Samples> {
        for _ in 0..ATTEMPTS {
            self.line_up()?;
            // The outage begins 2 to 10 s before the beats fall due.
            let before_us =
                2_000_000 + u64::try_from(nth).unwrap_or_default() * 2_944_000 % 8_000_000;
            self.pause_until(self.last_us(Kind::Curl) + 30_000_000 - before_us);
            let from_us = clock::boot_us();
            let due = |kind| self.was_due(kind, from_us, from_us + micros(SHORT) - 1_000_000);
            if Kind::ALL.into_iter().all(due) {
                return Ok(self.outage(verdict, SHORT));
            }
        }
        Ok([None; 3])
    }

    fn long_outage(&mut self, verdict: Verdict, nth: usize) -> Samples {
        self.meet_phase(nth, LONG);
        self.outage(verdict, LONG)
    }

    fn outage(&mut self, verdict: Verdict, time: Duration) -> Samples {
        let began_us = clock::boot_us();
        self.camera.world.block(&[Block::all(verdict)]);
        self.pause_until(began_us + micros(time));
        let healing = self.camera.world.prepare(&[]);
        self.event(Signs::default(), |_| healing.apply())
    }

    fn rebooted(&mut self, nth: usize) -> Samples {
        const OTHERS: [&str; 2] = ["wlan1", "wlan0"];
        let others = |act: fn(&World, &str), world: &World| OTHERS.map(|it| act(world, it));
        self.meet_phase(nth, REBOOT);
        self.change(|world| {
            others(World::pull, world);
            others(World::unlease, world);
            world.router_off();
        });
        let off_us = clock::boot_us();
        let mut failed = false;
        while !failed && clock::boot_us() < off_us + micros(REBOOT_MAX) {
            self.pause(LOOK);
            failed = self.camera.world.router_failed("eth0");
        }
        self.pause_until(off_us + micros(REBOOT));
        let samples = self.event(Signs::default(), |world| at(|| world.router_on()));
        self.change(|world| {
            others(World::plug, world);
            others(World::lease, world);
        });
        // This is not the measured event.
        if failed { samples } else { [None; 3] }
    }
}

/// Returns the time at which this began.
fn at(act: impl FnOnce()) -> u64 {
    let began_us = clock::boot_us();
    act();
    began_us
}
