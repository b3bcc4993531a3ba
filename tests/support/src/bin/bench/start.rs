//! How long after exec(2) the server has the first request.
//!
//! The agent is started through this program, which says what time it is and then becomes the agent.

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

/// First argument of the program that becomes the agent.
pub(crate) const BECOME: &str = "--become";
/// What it says before the time.
const STAMP: &str = "exec at ";
/// How long a beat is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says what time it is, and becomes the program and arguments of this command line.
pub(crate) fn become_agent(arguments: &[String]) -> io::Error {
    let [program, arguments @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    match writeln!(io::stderr(), "{STAMP}{}", clock::boot_us()) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error,
    }
}

/// The times of all runs, in µs: names resolved, TLS with a full handshake, all caches of the agent cold.
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
