//! Beats that a helper on the device requests.

use std::io::{self, Write};
use std::time::Duration;

use crate::Options;
use crate::camera::{Camera, Kind};
use crate::floor::{Awake, Floor};
use crate::report::{Report, Row};
use crate::stats::{Sample, Summary};

/// The pause before each run, so that runs do not affect each other and the processors sleep.
const SETTLED: Duration = Duration::from_millis(300);
/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(30);

const KEPT: &str = "trigger";
const NEW: &str = "trigger, connections were lost";
const POST: &str = "trigger by HTTP POST";
const AWAKE: &str = "trigger, processors kept awake";

pub(crate) fn wanted(options: &Options) -> bool {
    [KEPT, NEW, POST, AWAKE].iter().any(|name| options.wants(name))
}

/// Measures every kind of trigger and the floor, as rows of the report.
pub(crate) fn measure(options: &Options, report: &mut Report<'_>) -> io::Result<()> {
    let triggers = Triggers { options, camera: Camera::start(options, &Kind::ALL)? };
    let world = &triggers.camera.world;
    let mut under = [Floor::plain(world)?, Floor::with_tls(world)?];
    let kept = triggers.row(KEPT, &Kind::ALL, ring, &mut under)?;
    report.floors.extend(Triggers::floors("", &mut under)?);
    let awake = Awake::start()?;
    let kept_awake = triggers.row(AWAKE, &[Kind::Linkbeat], ring, &mut under)?;
    report.floors.extend(Triggers::floors(", processors kept awake", &mut under)?);
    drop(awake);
    let new = triggers.row(NEW, &Kind::ALL, ring_anew, &mut [])?;
    let answering = [Kind::Linkbeat, Kind::Reference];
    let post = triggers.row(POST, &answering, post, &mut [])?;
    report.rows.extend([kept, new, post, kept_awake].into_iter().flatten());
    Ok(())
}

/// A function that requests a beat and returns the time of the request.
type Ask<'a> = Box<dyn FnOnce() -> io::Result<u64> + 'a>;

fn ring(camera: &Camera, kind: Kind) -> io::Result<Ask<'_>> {
    let mut bell = camera.bell(kind)?;
    Ok(Box::new(move || bell.ring()))
}

fn ring_anew(camera: &Camera, kind: Kind) -> io::Result<Ask<'_>> {
    camera.world.receiver.close_connections();
    ring(camera, kind)
}

fn post(camera: &Camera, kind: Kind) -> io::Result<Ask<'_>> {
    Ok(Box::new(move || camera.post(kind)))
}

struct Triggers<'a> {
    options: &'a Options,
    camera: Camera,
}

impl Triggers<'_> {
    /// Requests this number of beats of these agents, in turns.
    fn row(
        &self,
        name: &'static str,
        kinds: &[Kind],
        prepare: impl for<'a> Fn(&'a Camera, Kind) -> io::Result<Ask<'a>>,
        under: &mut [Floor],
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
                    // The reference polls twice a second, counted from its last beat; all phases
                    // occur.
                    let thousandths = u64::try_from(nth).unwrap_or_default() * 618 % 1000;
                    self.pause(Duration::from_micros(thousandths * 500));
                }
                let mut beats = self.camera.world.receiver.beats().follow();
                let asked_us = ask()?;
                let beat = beats.find(PATIENCE, |it| kind.sent(it) && it.received_us > asked_us);
                let beat = beat.ok_or_else(|| {
                    self.camera.print_log(kind);
                    io::Error::other(format!("{name}: no beat of {}", kind.key()))
                })?;
                let act_us = beat.received_us.saturating_sub(asked_us);
                row.enter(kind, Sample { word_us: None, act_us });
            }
            for floor in &mut *under {
                self.pause(SETTLED);
                floor.measure()?;
            }
        }
        say(name, &row)?;
        Ok(Some(row))
    }

    /// The floors that were measured together with a row.
    fn floors(suffix: &str, under: &mut [Floor]) -> io::Result<Vec<(String, Vec<u64>)>> {
        let mut floors = Vec::new();
        for floor in under {
            let (name, times) = (format!("{}{suffix}", floor.name()), floor.take());
            if let Some(summary) = Summary::of(times.iter().copied()) {
                writeln!(io::stdout(), "{name:<42}  {}", summary.cell())?;
                floors.push((name, times));
            }
        }
        Ok(floors)
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
