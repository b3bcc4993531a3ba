//! The command line: its grammar, and the commands other than `run`.
//!
//! `status`, `events` and `trigger` query a running agent over its Unix socket. Their results go to
//! standard output; a closed reader is no error.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

use crate::config::DEFAULT_FILE;
use crate::error::Error;
use linkbeat_core::proto::label::{WORD_MAX, Word};
use linkbeat_core::wire::escaped::InQuotes;

pub(crate) mod check;
mod client;
mod commands;
mod output;
mod page;
mod pin;
mod show;
#[cfg(test)]
mod tests;

pub use self::commands::{execute, execute_to};
pub use self::output::OutputFormat;

/// The text of `--help`.
pub const HELP: &str = "\
linkbeat reports to a server that this camera is online: every 30 s, and at once
when the network has changed.

usage:
  linkbeat run [--config FILE] [--trigger-fd N] [--no-sandbox]
      Run the agent in the foreground. It reads /etc/rpi-cam/meeting.json, or
      config.env there, and /etc/linkbeat/linkbeat.json; with --config, FILE and
      linkbeat.json beside it. N is the number of an inherited eventfd; each
      write to it requests a beat. --no-sandbox is for debuggers: core files and
      all system calls stay allowed.
  linkbeat trigger [--reason WORD] [--wait] [--socket PATH]
      Request a beat now; with --wait, wait for its result, at most 15 s.
      WORD is 1 to 64 characters of A-Z a-z 0-9 _ . -
  linkbeat status [--json] [--watch] [--socket PATH]
      Show the state: what is wrong, since when, and what to do about it. With
      --watch, refresh it every second on a terminal, or print a line for each
      change elsewhere; a restart of the agent does not end it.
  linkbeat events [--json] [--follow] [--socket PATH]
      List the last beats and network changes, newest last; with --follow, keep
      running and print new ones as they happen.
  linkbeat check [--pin] [FILE]
      Check the configuration and print every setting that results from it. With
      --pin, connect to the server and print the pin of its key instead, for
      tls.pin_sha256.
  linkbeat --version
  linkbeat --help

PATH is by default the trigger_socket of the configuration, or
/run/linkbeat/trigger.sock if the configuration cannot be read.

exit codes:
  0   success
      trigger: the beat was requested, was pending already, or is held until the
      time printed; with --wait, it was acknowledged
      status: online, and the last acknowledged beat is fresh
  1   trigger --wait: the beat failed, was not answered within 15 s, or is held
      for longer
      check --pin: no server presented a key
      status: no uplink or offline, or not online for another reason (disabled,
      for example) while the last beat is still fresh
  2   trigger: no beat is sent: they are disabled, or the agent is unconfigured
      status: the last acknowledged beat is older than two intervals and a
      time-out, or there was none
  3   no agent is running, or it does not answer
  64  the command line is wrong
  71  a system call failed, or another agent is running
  78  the configuration is invalid
";

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the agent.
    Run {
        /// The path of the configuration.
        config: PathBuf,
        /// The descriptor of an inherited eventfd.
        trigger_fd: Option<u32>,
        /// Whether it enters its sandbox.
        sandbox: bool,
    },
    /// Request a beat.
    Trigger {
        /// The reason to report to the server.
        reason: Option<Word>,
        /// Whether to wait for the result of the beat.
        wait: bool,
        /// The socket of the agent, if not the configured one.
        socket: Option<PathBuf>,
    },
    /// Show the state of the agent.
    Status {
        /// Whether to print JSON instead of the page for people.
        json: bool,
        /// Whether to repeat it until interrupted.
        watch: bool,
        /// The socket of the agent, if not the configured one.
        socket: Option<PathBuf>,
    },
    /// List the history.
    Events {
        /// Whether to print JSON instead of lines for people.
        json: bool,
        /// Whether to keep running and print new entries.
        follow: bool,
        /// The socket of the agent, if not the configured one.
        socket: Option<PathBuf>,
    },
    /// Check the configuration.
    Check {
        /// The file to check, if not the default one.
        file: Option<PathBuf>,
        /// Whether to print the pin of the server's key instead.
        pin: bool,
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
/// [`Error::Usage`] with the argument that is wrong.
pub fn parse<I: IntoIterator<Item = OsString>>(arguments: I) -> Result<Command, Error> {
    let mut parser = Parser::from_args(arguments);
    let command = match parser.next()? {
        None => return Err(Error::Usage("no command is given".into())),
        Some(Long("version") | Short('V')) => Command::Version,
        Some(Long("help") | Short('h')) => Command::Help,
        Some(Value(name)) => match name.to_str() {
            Some("help") => Command::Help,
            Some(name @ ("run" | "trigger" | "status" | "events" | "check")) => {
                return parse_options(name, parser);
            }
            _ => {
                return Err(Error::Usage(
                    format!("unknown command {}", InQuotes::text(&name.display())).into(),
                ));
            }
        },
        Some(other) => return Err(other.unexpected().into()),
    };
    match parser.next()? {
        None => Ok(command),
        Some(other) => Err(other.unexpected().into()),
    }
}

/// Parses the arguments that follow the name of a command, each of which has its own.
fn parse_options(command: &str, mut parser: Parser) -> Result<Command, Error> {
    let (mut config, mut trigger_fd, mut sandbox) = (PathBuf::from(DEFAULT_FILE), None, true);
    let (mut reason, mut wait, mut socket) = (None, false, None);
    let (mut json, mut watch, mut follow) = (false, false, false);
    let (mut file, mut pin) = (None, false);
    while let Some(argument) = parser.next()? {
        match (command, argument) {
            (_, Long("help") | Short('h')) => return Ok(Command::Help),
            ("run", Long("config")) => config = not_empty(parser.value()?)?,
            ("run", Long("trigger-fd")) => {
                trigger_fd = Some(parser.value()?.parse_with(descriptor)?);
            }
            ("run", Long("no-sandbox")) => sandbox = false,
            ("trigger", Long("reason")) => reason = Some(parser.value()?.parse_with(word)?),
            ("trigger", Long("wait")) => wait = true,
            ("status", Long("watch")) => watch = true,
            ("events", Long("follow")) => follow = true,
            ("status" | "events", Long("json")) => json = true,
            ("trigger" | "status" | "events", Long("socket")) => {
                socket = Some(not_empty(parser.value()?)?);
            }
            ("check", Value(value)) if file.is_none() => file = Some(not_empty(value)?),
            ("check", Long("pin")) => pin = true,
            (_, other) => return Err(other.unexpected().into()),
        }
    }
    Ok(match command {
        "run" => Command::Run { config, trigger_fd, sandbox },
        "trigger" => Command::Trigger { reason, wait, socket },
        "status" => Command::Status { json, watch, socket },
        "events" => Command::Events { json, follow, socket },
        _ => Command::Check { file, pin },
    })
}

fn not_empty(path: OsString) -> Result<PathBuf, lexopt::Error> {
    if path.is_empty() { Err("the path is empty".into()) } else { Ok(path.into()) }
}

fn word(text: &str) -> Result<Word, String> {
    Word::new(text).ok_or_else(|| format!("--reason takes 1 to {WORD_MAX} of A-Z a-z 0-9 _ . -"))
}

fn descriptor(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "--trigger-fd takes the number of a descriptor")
}
