//! The command line: what it may say, and what the commands besides `run` do.
//!
//! `status`, `events` and `trigger` ask a running agent over its Unix socket. Everything said on standard
//! output is for whoever asked; a reader that has gone is no error.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

use crate::config::check::DEFAULT_FILE;
use crate::error::Error;
use crate::proto::event::{WORD_MAX, Word};

mod client;
mod commands;
mod show;
#[cfg(test)]
mod tests;

pub use self::commands::execute;

/// What `--help` prints.
pub const HELP: &str = "\
linkbeat tells a server \"I am here\": every 30 s, and at once when the network
is back.

usage:
  linkbeat run [--config FILE] [--trigger-fd N]
      Runs the agent. FILE is /etc/rpi-cam/meeting.json unless named; beside it,
      linkbeat.json and config.env are read. N is an inherited eventfd: whoever
      writes to it wants a beat.
  linkbeat trigger [--reason WORD] [--wait] [--socket PATH]
      Asks the agent for a beat now; with --wait for its result, within 15 s.
      WORD is 1 to 64 of A-Z a-z 0-9 _ . -
  linkbeat status [--json] [--watch] [--socket PATH]
      Tells how it goes: what is wrong, since when, and what to do. With --watch
      again every second on a terminal, and elsewhere a line for each change; it
      goes on when the agent is started anew.
  linkbeat events [--json] [--follow] [--socket PATH]
      Lists the last beats and what the network did, newest last; with --follow
      goes on with what is new.
  linkbeat check [FILE]
      Checks the configuration and shows what is in force.
  linkbeat --version
  linkbeat --help

PATH is the trigger_socket of the configuration, or if that cannot be read
/run/linkbeat/trigger.sock.

exit codes:
  0   done
      trigger: the beat is set, pending, or held until the time that is told;
      with --wait, it was acknowledged
      status: online, and the last acknowledged beat is fresh
  1   trigger --wait: the beat failed, or is not answered within 15 s
      status: offline, or in another trouble since the last beat (disabled, say)
  2   trigger: no beat is sent, because they are disabled or unconfigured
      status: no beat was acknowledged for two intervals and a time-out, or ever
  3   no agent runs, or it does not answer
  64  wrong usage
  71  the system refuses something, or another agent runs
  78  the configuration is invalid
";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the agent.
    Run {
        /// The configuration.
        config: PathBuf,
        /// An inherited eventfd.
        trigger_fd: Option<u32>,
    },
    /// Ask for a beat.
    Trigger {
        /// Why.
        reason: Option<Word>,
        /// Whether to wait for its result.
        wait: bool,
        /// Where the agent listens.
        socket: Option<PathBuf>,
    },
    /// Ask how it goes.
    Status {
        /// As JSON, or for people.
        json: bool,
        /// Again and again.
        watch: bool,
        /// Where the agent listens.
        socket: Option<PathBuf>,
    },
    /// Ask what came to pass.
    Events {
        /// As JSON, or for people.
        json: bool,
        /// And go on with what is new.
        follow: bool,
        /// Where the agent listens.
        socket: Option<PathBuf>,
    },
    /// Check the configuration.
    Check {
        /// The file, if not the usual one.
        file: Option<PathBuf>,
    },
    /// Print the version.
    Version,
    /// Print [`HELP`].
    Help,
}

/// Parses the arguments that follow the name of the program.
///
/// # Errors
///
/// [`Error::Usage`], which names the argument that is wrong.
pub fn parse<I: IntoIterator<Item = OsString>>(arguments: I) -> Result<Command, Error> {
    let mut parser = Parser::from_args(arguments);
    let command = match parser.next()? {
        None => return Err(Error::Usage("a command is missing".into())),
        Some(Long("version") | Short('V')) => Command::Version,
        Some(Long("help") | Short('h')) => Command::Help,
        Some(Value(name)) => match name.to_str() {
            Some("help") => Command::Help,
            Some("run") => return parse_run(parser),
            Some("trigger") => return parse_trigger(parser),
            Some("status") => return parse_status(parser),
            Some("events") => return parse_events(parser),
            Some("check") => return parse_check(parser),
            _ => return Err(Error::Usage(format!("unknown command {name:?}").into())),
        },
        Some(other) => return Err(other.unexpected().into()),
    };
    match parser.next()? {
        None => Ok(command),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn parse_run(mut parser: Parser) -> Result<Command, Error> {
    let (mut config, mut trigger_fd) = (PathBuf::from(DEFAULT_FILE), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("config") => config = path(&mut parser)?,
            Long("trigger-fd") => trigger_fd = Some(parser.value()?.parse_with(descriptor)?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Run { config, trigger_fd })
}

fn parse_trigger(mut parser: Parser) -> Result<Command, Error> {
    let (mut reason, mut wait, mut socket) = (None, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("reason") => reason = Some(parser.value()?.parse_with(word)?),
            Long("wait") => wait = true,
            Long("socket") => socket = Some(path(&mut parser)?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Trigger { reason, wait, socket })
}

fn parse_status(mut parser: Parser) -> Result<Command, Error> {
    let (mut json, mut watch, mut socket) = (false, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = true,
            Long("watch") => watch = true,
            Long("socket") => socket = Some(path(&mut parser)?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Status { json, watch, socket })
}

fn parse_events(mut parser: Parser) -> Result<Command, Error> {
    let (mut json, mut follow, mut socket) = (false, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = true,
            Long("follow") => follow = true,
            Long("socket") => socket = Some(path(&mut parser)?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Events { json, follow, socket })
}

fn parse_check(mut parser: Parser) -> Result<Command, Error> {
    let mut file = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if file.is_none() => file = Some(not_empty(value)?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Check { file })
}

fn path(parser: &mut Parser) -> Result<PathBuf, lexopt::Error> {
    not_empty(parser.value()?)
}

fn not_empty(path: OsString) -> Result<PathBuf, lexopt::Error> {
    if path.is_empty() { Err("a path is empty".into()) } else { Ok(path.into()) }
}

fn word(text: &str) -> Result<Word, String> {
    Word::new(text).ok_or_else(|| format!("--reason wants 1 to {WORD_MAX} of A-Z a-z 0-9 _ . -"))
}

fn descriptor(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "--trigger-fd wants the number of a descriptor")
}
