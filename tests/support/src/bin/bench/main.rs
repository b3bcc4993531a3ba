//! How long after an event the server has the whole request, and what that costs: linkbeat beside
//! two rivals, in the same networks, at the same events.

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

Run from the root of the repository; scripts/bench --help says what is measured.
";

/// What is asked for.
pub(crate) struct Options {
    /// The agent.
    binary: PathBuf,
    /// Runs of each event.
    runs: usize,
    /// Runs of each slow event; none leaves them out.
    slow_runs: usize,
    /// Seconds over which an idle agent is watched.
    watched_s: u64,
    /// Beats before the memory is looked at again; none leaves that out.
    beats: u64,
    /// Only rows with this word in their names.
    only: String,
    /// Another build: both are compared, and nothing else is measured.
    against: Option<PathBuf>,
    /// Networks in use at the same time.
    worlds: usize,
    /// Where the results of a run go that is not the whole.
    scratch: PathBuf,
    /// Whether this is the whole, and nothing was changed by an option.
    whole: bool,
    /// What was typed.
    command: String,
}

impl Options {
    /// Whether the row of this name is wanted.
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
    let done = options().map_err(io::Error::other).and_then(|options| match options {
        Some(options) => bench(&options),
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
    let binary = binary.ok_or("which binary? --help says more")?;
    let counted = runs.or(worlds).is_some() || beats.is_some();
    let changed = quick || counted || against.is_some() || !only.is_empty();
    let all = runs.unwrap_or(if quick { 3 } else { 20 });
    // What was typed to scripts/bench: all before what it adds.
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
        minutes("a cable pulled while clients ask for the status")?;
        report.loads = load::measure(options)?;
    }
    if calls::wanted(options) {
        minutes("system calls, counted by strace")?;
        report.calls = Some(calls::of(options, &options.binary)?);
    }
    minutes("blips of the carrier, and a best uplink that is mute")?;
    report.rows.extend(solo::measure(options)?);
    minutes("events, which all three agents see at the same time")?;
    report.rows.splice(0..0, events::measure(options)?);
    if options.beats > 0 && options.wants("memory") {
        minutes("memory over many beats")?;
        report.memory = Some(memory::measure(options)?);
    }
    minutes("done")?;
    report.took_s = (clock::boot_us() - began_us) / 1_000_000;
    report.write()
}
