//! Compares two builds of linkbeat at the same events, in turns.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::Options;
use crate::calls::{self, Calls};
use crate::solo::{FORGOTTEN, Shape, Solo, print_sample};
use crate::stats::{NEVER, Sample, Summary};

/// The events, in their order.
const EVENTS: [&str; 3] = ["cable pulled", "cable plugged back", "trigger"];
const UPLINKS: [&str; 2] = ["eth0", "wlan1"];

/// A build, its network, and the times of each event in µs.
struct Side {
    name: &'static str,
    solo: Solo,
    times: [Vec<u64>; EVENTS.len()],
}

impl Side {
    fn start(name: &'static str, binary: &Path) -> io::Result<Self> {
        Ok(Self {
            name,
            solo: Solo::start(binary, &UPLINKS, Shape::V4)?,
            times: Default::default(),
        })
    }

    fn run(&mut self, event: usize) -> io::Result<()> {
        let sample: Sample = match event {
            0 => self.solo.pull(),
            1 => self.solo.plug(),
            _ => self.solo.trigger("eth0")?,
        };
        if let (Some(times), Some(event)) = (self.times.get_mut(event), EVENTS.get(event)) {
            times.push(sample.us());
            print_sample(&format!("{} build: {event}", self.name), sample)?;
        }
        Ok(())
    }
}

/// Runs both builds and writes their times.
pub(crate) fn compare(options: &Options, old: &Path) -> io::Result<()> {
    let mut sides = [Side::start("old", old)?, Side::start("new", &options.binary)?];
    for _ in 0..options.runs {
        for event in 0..EVENTS.len() {
            for side in &mut sides {
                side.run(event)?;
            }
            let [first, _] = &sides;
            first.solo.pause(FORGOTTEN);
        }
        // The first build alternates.
        sides.reverse();
    }
    sides.sort_by_key(|side| side.name == "new");
    let counted = [calls::of(options, old)?, calls::of(options, &options.binary)?];
    let text = table(&sides, &counted);
    fs::create_dir_all(&options.scratch)?;
    fs::write(options.scratch.join("AGAINST.md"), &text)?;
    writeln!(io::stdout(), "\n{text}\nwritten: {}", options.scratch.display())
}

fn table([old, new]: &[Side; 2], [before, after]: &[Calls; 2]) -> String {
    let mut text = String::from(
        "Median / 95th percentile / maximum; *ratio* is the new median by the old one.\n\n\
         | event | runs | old | new | ratio |\n|---|---|---|---|---|\n",
    );
    for ((event, old), new) in EVENTS.iter().zip(&old.times).zip(&new.times) {
        let summaries = (Summary::of(old.iter().copied()), Summary::of(new.iter().copied()));
        let (Some(old), Some(new)) = summaries else { continue };
        let (runs, ratio) = (new.runs, ratio(old.median_us, new.median_us));
        // Writing to a String cannot fail.
        writeln!(text, "| {event} | {runs} | {} | {} | {ratio} |", old.cell(), new.cell()).ok();
    }
    for ((what, before), (_, after)) in before.counts().iter().zip(after.counts()) {
        let ratio = ratio(*before, after);
        writeln!(text, "| system calls, {what} | | {before} | {after} | {ratio} |").ok();
    }
    text
}

fn ratio(old: u64, new: u64) -> String {
    if old == 0 || old == NEVER || new == NEVER {
        return "-".to_owned();
    }
    let hundredths = new * 100 / old;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
