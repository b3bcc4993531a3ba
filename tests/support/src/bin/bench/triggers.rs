//! A helper on the device asks for a beat.

use std::io::{self, Write};
use std::time::Duration;

use crate::Options;
use crate::camera::{Camera, Kind};
use crate::floor::{Awake, Floor};
use crate::report::{Report, Row};
use crate::stats::{Sample, Summary};

/// Before each run, so that nothing of the one before is left in it, and the processors sleep.
const SETTLED: Duration = Duration::from_millis(300);
/// How long a beat is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const KEPT: &str = "trigger";
const NEW: &str = "trigger, connections were lost";
const POST: &str = "trigger by HTTP POST";
const AWAKE: &str = "trigger, processors kept awake";
/// The names of the floors.
const FLOOR: &str = "floor";
const FLOOR_AWAKE: &str = "floor, processors kept awake";

pub(crate) fn wanted(options: &Options) -> bool {
    [KEPT, NEW, POST, AWAKE, FLOOR, FLOOR_AWAKE].iter().any(|name| options.wants(name))
}

/// Every kind of trigger, and the floor under them, as rows of the report.
pub(crate) fn measure(options: &Options, report: &mut Report<'_>) -> io::Result<()> {
    let triggers = Triggers { options, camera: Camera::start(options, &Kind::ALL)? };
    let mut floor = Floor::start(&triggers.camera.world)?;
    report.rows.extend(triggers.row(KEPT, &Kind::ALL, ring)?);
    report.rows.extend(triggers.row(NEW, &Kind::ALL, |camera, kind| {
        camera.world.receiver.close_connections();
        ring(camera, kind)
    })?);
    let answering = [Kind::Linkbeat, Kind::Reference];
    report.rows.extend(
        triggers.row(POST, &answering, |camera, kind| Ok(Box::new(move || camera.post(kind))))?,
    );
    report.floors.extend(triggers.floor(FLOOR, &mut floor)?);
    let awake = Awake::start()?;
    report.rows.extend(triggers.row(AWAKE, &[Kind::Linkbeat], ring)?);
    report.floors.extend(triggers.floor(FLOOR_AWAKE, &mut floor)?);
    drop(awake);
    Ok(())
}

/// Something that asks for a beat and returns when it did, ready to be called.
type Ask<'a> = Box<dyn FnOnce() -> io::Result<u64> + 'a>;

fn ring(camera: &Camera, kind: Kind) -> io::Result<Ask<'_>> {
    let mut bell = camera.bell(kind)?;
    Ok(Box::new(move || bell.ring()))
}

struct Triggers<'a> {
    options: &'a Options,
    camera: Camera,
}

impl Triggers<'_> {
    /// Asks these agents in turns, so many times.
    fn row(
        &self,
        name: &'static str,
        kinds: &[Kind],
        prepare: impl for<'a> Fn(&'a Camera, Kind) -> io::Result<Ask<'a>>,
    ) -> io::Result<Option<Row>> {
        if !self.options.wants(name) {
            return Ok(None);
        }
        let mut row = Row::new(name);
        for nth in 0..self.options.runs {
            for kind in kinds.iter().copied() {
                let ask = prepare(&self.camera, kind)?;
                self.pause(SETTLED);
                if kind == Kind::Reference {
                    // It looks twice a second, counted from its last beat: every phase is met.
                    let thousandths = u64::try_from(nth).unwrap_or_default() * 618 % 1000;
                    self.pause(Duration::from_micros(thousandths * 500));
                }
                let mut beats = self.camera.world.receiver.beats().follow();
                let asked_us = ask()?;
                let beat = beats.find(PATIENCE, |it| kind.sent(it) && it.received_us > asked_us);
                let beat = beat.ok_or_else(|| {
                    self.camera.tell(kind);
                    io::Error::other(format!("{name}: no beat of {}", kind.key()))
                })?;
                let act_us = beat.received_us.saturating_sub(asked_us);
                row.enter(kind, Sample { word_us: None, act_us });
            }
        }
        say(name, &row)?;
        Ok(Some(row))
    }

    fn floor(
        &self,
        name: &'static str,
        floor: &mut Floor,
    ) -> io::Result<Option<(&'static str, Vec<u64>)>> {
        if !self.options.wants(name) {
            return Ok(None);
        }
        let mut times = Vec::new();
        for _ in 0..self.options.runs * 3 {
            self.pause(SETTLED);
            times.push(floor.once()?);
        }
        let cell = Summary::of(times.iter().copied()).map_or(String::new(), |it| it.cell());
        writeln!(io::stdout(), "{name:<42}  {cell}")?;
        Ok(Some((name, times)))
    }

    fn pause(&self, time: Duration) {
        self.camera.world.receiver.beats().follow().find(time, |_| false);
    }
}

fn say(name: &str, row: &Row) -> io::Result<()> {
    let mut line = format!("{name:<42}");
    for kind in Kind::ALL {
        if let Some(summary) = row.summary(kind) {
            line += &format!("  {} {}", kind.key(), summary.cell());
        }
    }
    writeln!(io::stdout(), "{line}")
}
