//! Measures the time from an event to the whole request at the server, and the costs: linkbeat and
//! two rivals in the same networks, at the same events.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use linkbeat_support::clock;

mod against;
mod calls;
mod camera;
mod costs;
mod events;
mod floor;
mod load;
mod memory;
mod picture;
mod process;
mod readme;
mod report;
mod size;
mod solo;
mod stage;
mod start;
mod stats;
mod triggers;

use report::Report;

const HELP: &str = "\
usage: bench [--quick] [--runs N] [--beats N] [--only WORD] [--worlds N] [--against OLD] [--scratch DIR]
             LINKBEAT
       bench --readme

Run from the root of the repository; scripts/bench --help says what is measured.
";

/// The options of a run.
pub(crate) struct Options {
    /// The agent.
    binary: PathBuf,
    /// The number of runs of each event.
    runs: usize,
    /// The number of runs of each slow event; 0 skips them.
    slow_runs: usize,
    /// The seconds of the measurement of an idle agent.
    watched_s: u64,
    /// The number of beats between the two measurements of memory; 0 skips them.
    beats: u64,
    /// Only rows with this word in their names.
    only: String,
    /// Another build: both are compared, nothing else is measured.
    against: Option<PathBuf>,
    /// The number of networks in use at the same time.
    worlds: usize,
    /// The directory for the results of a partial run.
    scratch: PathBuf,
    /// Whether this is a whole run, without any option.
    whole: bool,
    /// The command line.
    command: String,
}

impl Options {
    /// Whether the row with this name is requested.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((start::BECOME, agent)) =
        arguments.split_first().map(|(it, all)| (it.as_str(), all))
    {
        writeln!(io::stderr(), "bench: {}", start::become_agent(agent)).ok();
        return ExitCode::FAILURE;
    }
    let done = if arguments == ["--readme"] { readme::write() } else { run() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is closed: nothing can be reported.
            writeln!(io::stderr(), "bench: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    match options().map_err(io::Error::other)? {
        Some(options) => bench(&options),
        None => write!(io::stdout(), "{HELP}"),
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let (mut binary, mut runs, mut beats, mut worlds) = (None, None, None, None);
    let (mut only, mut quick, mut against) = (String::new(), false, None);
    let mut scratch = PathBuf::from("target/bench");
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("runs") => runs = Some(arguments.value()?.parse()?),
            Long("beats") => beats = Some(arguments.value()?.parse()?),
            Long("worlds") => worlds = Some(arguments.value()?.parse()?),
            Long("only") => only = arguments.value()?.string()?,
            Long("against") => against = Some(arguments.value()?.into()),
            Long("scratch") => scratch = arguments.value()?.into(),
            Long("help") | Short('h') => return Ok(None),
            Value(path) if binary.is_none() => binary = Some(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    let binary = binary.ok_or("no binary is named: see --help")?;
    let counted = runs.or(worlds).is_some() || beats.is_some();
    let changed = quick || counted || against.is_some() || !only.is_empty();
    let all = runs.unwrap_or(if quick { 3 } else { 20 });
    // The arguments of scripts/bench itself are those before the ones that it adds.
    let typed = typed.iter().take_while(|it| *it != "--scratch");
    let command = typed.fold("scripts/bench".to_owned(), |line, word| line + " " + word);
    Ok(Some(Options {
        binary,
        runs: all,
        slow_runs: if quick { 0 } else { all.div_ceil(4) },
        watched_s: if quick { 32 } else { 120 },
        beats: beats.unwrap_or(if quick { 0 } else { 100_000 }),
        only,
        against,
        worlds: worlds.unwrap_or(if quick { 9 } else { 6 }).max(1),
        scratch,
        whole: !changed,
        command,
    }))
}

fn bench(options: &Options) -> io::Result<()> {
    if let Some(old) = &options.against {
        return against::compare(options, old);
    }
    let began_us = clock::boot_us();
    let mut report = Report::new(options)?;
    let minutes = |what: &str| {
        let seconds = (clock::boot_us() - began_us) / 1_000_000;
        writeln!(io::stdout(), "\n[{}:{:02}] {what}", seconds / 60, seconds % 60)
    };
    if options.wants("cost") {
        minutes("what each agent costs while nothing happens, each in a network of its own")?;
        report.costs = costs::measure(options)?;
    }
    if triggers::wanted(options) {
        minutes("triggers, one after the other")?;
        triggers::measure(options, &mut report)?;
    }
    if options.wants("start") {
        minutes("starts, one after the other")?;
        report.starts = start::measure(options)?;
    }
    if load::wanted(options) {
        minutes("a cable pulled while clients request the status")?;
        report.loads = load::measure(options)?;
    }
    if calls::wanted(options) {
        minutes("system calls, counted by strace")?;
        report.calls = Some(calls::of(options, &options.binary)?);
    }
    minutes("short losses of the carrier, and a best uplink that never answers")?;
    report.rows.extend(solo::measure(options)?);
    minutes("events, for all three agents at the same time")?;
    report.rows.splice(0..0, events::measure(options)?);
    if options.beats > 0 && options.wants("memory") {
        minutes("memory over many beats")?;
        report.memory = Some(memory::measure(options)?);
    }
    minutes("done")?;
    report.took_s = (clock::boot_us() - began_us) / 1_000_000;
    report.write()
}
