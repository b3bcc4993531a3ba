//! The commands other than `run`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::client::{ANSWER_TIME, End, RESULT_TIME, ask, unexpected_answer};
use super::output::{EXIT_DONE, EXIT_FAILED, OutputFormat, say, wants_colour};
use super::show;
use super::{Command, HELP, check, pin};
use crate::config::{self, Config, DEFAULT_FILE};
use crate::error::Error;
use linkbeat_core::proto::label::Word;
use linkbeat_core::wire::cut::harmless;

/// Exit code: no beat is sent.
const EXIT_REFUSED: u8 = 2;

/// Executes `command`, prints its result to standard output and returns the exit code.
///
/// # Errors
///
/// [`Error::NoAgent`] without an agent, [`Error::Config`] after a failed check, [`Error::System`].
///
/// # Panics
///
/// On [`Command::Run`], which the event loop executes.
pub fn execute(command: Command) -> Result<ExitCode, Error> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let colour = terminal && wants_colour(|name| std::env::var_os(name));
    let format = OutputFormat { json: false, again: false, terminal, colour };
    execute_to(command, format, &mut stdout.lock()).map(ExitCode::from)
}

/// As [`execute`], with the result to `out`; of `format`, what the command does not say itself.
///
/// # Errors
///
/// As of [`execute`].
pub fn execute_to(
    command: Command,
    format: OutputFormat,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let format = |json: bool, again| OutputFormat {
        json,
        again,
        terminal: format.terminal && !json,
        colour: format.colour,
    };
    match command {
        Command::Run { .. } => unreachable!("the loop runs the agent"),
        Command::Help => say(out, HELP).map(|()| EXIT_DONE),
        Command::Version => {
            say(out, concat!("linkbeat ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| EXIT_DONE)
        }
        Command::Check { file, pin: true } => {
            pin::show(file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)), out)
        }
        Command::Check { file, pin: false } => {
            check::run(file.as_deref(), Path::new("/"), out).map(|()| EXIT_DONE)
        }
        Command::Trigger { reason, wait, socket } => {
            trigger(reason.as_ref(), wait, &socket.unwrap_or_else(usual_socket), out)
        }
        Command::Status { json, watch, socket } => {
            show::status(format(json, watch), &socket.unwrap_or_else(usual_socket), out)
        }
        Command::Events { json, follow, socket } => {
            show::events(format(json, follow), &socket.unwrap_or_else(usual_socket), out)
        }
    }
}

/// The configured socket of the agent, or the default one if the configuration cannot be read.
fn usual_socket() -> PathBuf {
    let loaded = config::load(Path::new(DEFAULT_FILE)).config;
    let configured = loaded.and_then(|config| config.trigger_socket);
    configured.or_else(|| Config::default().trigger_socket).expect("the default names a socket")
}

fn trigger(
    reason: Option<&Word>,
    wait: bool,
    socket: &Path,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let (option, time) = if wait { (" --wait", RESULT_TIME) } else { ("", ANSWER_TIME) };
    let word = reason.map_or("", Word::as_str);
    let answer = ask(socket, &format!("trigger{option} {word}\n"), time, End::Line)?;
    let answer = String::from_utf8_lossy(&answer);
    let answer = answer.trim_end();
    let code = match answer.split([' ', ',']).next().unwrap_or_default() {
        "set" | "pending" | "seq" => EXIT_DONE,
        // The beat will be sent, but later than a client with --wait is willing to wait.
        "held" if !wait => EXIT_DONE,
        "held" | "failed:" | "gave" => EXIT_FAILED,
        "disabled" | "unconfigured" => EXIT_REFUSED,
        _ => return Err(unexpected_answer(socket, answer)),
    };
    let answer: String = answer.chars().map(harmless).chain(['\n']).collect();
    say(out, &answer)?;
    Ok(code)
}
