//! Measures the time from exec(2) to the first request at the server.
//!
//! The agent is started through this program, which prints the time and then becomes the agent.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::clock;
use linkbeat_support::world::World;

use crate::Options;

/// The first argument of this program when it becomes the agent.
pub(crate) const BECOME: &str = "--become";
/// The text in front of the printed time.
const STAMP: &str = "exec at ";
/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the time, and becomes the program with the arguments of this command line.
pub(crate) fn become_agent(arguments: &[String]) -> io::Error {
    let [program, arguments @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    match writeln!(io::stderr(), "{STAMP}{}", clock::boot_us()) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error,
    }
}

/// Returns the times of all runs in µs, with name resolution, a full TLS handshake and empty caches
/// of the agent.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<u64>> {
    let world = World::new();
    let script = world.directory().join("start");
    let (bench, agent) = (std::env::current_exe()?, fs::canonicalize(&options.binary)?);
    let text = format!("#!/bin/sh\nexec {bench:?} {BECOME} {agent:?} \"$@\"\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    let setting = Setting::new(&world).own("log_level", "info");
    let mut times = Vec::new();
    for _ in 0..options.runs {
        let mut beats = world.receiver.beats().follow();
        let agent = Agent::start(&world, &script, &setting);
        let beat = beats.find(PATIENCE, |beat| beat.reason() == "startup");
        let beat = beat.ok_or_else(|| io::Error::other("no first beat"))?;
        let line = agent.said(STAMP).text;
        let exec_us = line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
        times.push(beat.received_us - exec_us.ok_or_else(|| io::Error::other(line))?);
    }
    Ok(times)
}
