//! What the commands besides `run` do.

use std::ffi::OsString;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::client::{ANSWER_TIME, Client, RESULT_TIME};
use super::show::{self, Manner};
use super::{Command, HELP};
use crate::config::{self, Config, check};
use crate::error::Error;
use crate::proto::event::Word;
use crate::status::harmless;

/// Done.
const EXIT_DONE: u8 = 0;
/// The beat failed.
const EXIT_FAILED: u8 = 1;
/// No beat is sent.
const EXIT_REFUSED: u8 = 2;
/// Longest part of an answer that makes no sense which is shown, in characters.
const NONSENSE_MAX: usize = 100;

/// Does what `command` says and tells standard output; returns the exit code.
///
/// # Errors
///
/// [`Error::NoAgent`] without an agent, [`Error::Config`] after a failed check, [`Error::System`].
///
/// # Panics
///
/// On [`Command::Run`], which is the loop's.
pub fn execute(command: Command) -> Result<ExitCode, Error> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let colour = terminal && wants_colour(|name| std::env::var_os(name));
    let mut out = Out::Open(stdout.lock());
    let code = match command {
        Command::Run { .. } => unreachable!("the loop runs the agent"),
        Command::Help => say(&mut out, HELP).map(|()| EXIT_DONE),
        Command::Version => {
            say(&mut out, concat!("linkbeat ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| EXIT_DONE)
        }
        Command::Check { file } => {
            check::run(file.as_deref(), Path::new("/"), &mut out).map(|()| EXIT_DONE)
        }
        Command::Trigger { reason, wait, socket } => {
            trigger(reason.as_ref(), wait, &socket.unwrap_or_else(usual_socket), &mut out)
        }
        Command::Status { json, watch, socket } => {
            let manner = Manner { json, again: watch, terminal: terminal && !json, colour };
            show::status(manner, &socket.unwrap_or_else(usual_socket), &mut out)
        }
        Command::Events { json, follow, socket } => {
            let manner = Manner { json, again: follow, terminal: terminal && !json, colour };
            show::events(manner, &socket.unwrap_or_else(usual_socket), &mut out)
        }
    };
    code.map(ExitCode::from)
}

/// Where the agent listens by the configuration, if that can be read, and else by default.
fn usual_socket() -> PathBuf {
    let loaded = config::load(Path::new(check::DEFAULT_FILE)).config;
    let configured = loaded.and_then(|config| config.trigger_socket);
    configured.or_else(|| Config::default().trigger_socket).expect("the default names a socket")
}

fn trigger(
    reason: Option<&Word>,
    wait: bool,
    socket: &Path,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let (option, time) = if wait { (" --wait", RESULT_TIME) } else { ("", ANSWER_TIME) };
    let word = reason.map_or("", Word::as_str);
    let answer = Client::ask(socket, &format!("trigger{option} {word}\n"), time)?.line()?;
    let code = match answer.split([' ', ',']).next().unwrap_or_default() {
        "set" | "pending" | "seq" => EXIT_DONE,
        // Remembered; but whoever waits for the end of the beat would wait too long.
        "held" if !wait => EXIT_DONE,
        "held" | "failed:" | "gave" => EXIT_FAILED,
        "disabled" | "unconfigured" => EXIT_REFUSED,
        _ => return Err(nonsense(socket, &answer)),
    };
    let answer: String = answer.chars().map(harmless).chain(['\n']).collect();
    say(out, &answer)?;
    Ok(code)
}

/// The same JSON, with escapes for what may stand in a string by itself and steers a terminal.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for char in json.chars() {
        match char {
            '\n' | '\t' | '\r' => text.push(char),
            _ if harmless(char) == char => text.push(char),
            _ => text.push_str(&format!("\\u{:04x}", u32::from(char))),
        }
    }
    text.push('\n');
    text
}

/// The error for an answer that is none.
pub(super) fn nonsense(socket: &Path, answer: &str) -> Error {
    let shown: String = answer.chars().take(NONSENSE_MAX).map(harmless).collect();
    let source = match shown.trim() {
        "" => io::ErrorKind::UnexpectedEof.into(),
        text => io::Error::new(io::ErrorKind::InvalidData, text),
    };
    Error::NoAgent { socket: socket.to_path_buf(), source }
}

/// Whether a terminal is to be coloured (<https://no-color.org>).
fn wants_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let dumb = variable("TERM").is_none_or(|term| term == "dumb");
    !dumb && variable("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub(super) fn say(out: &mut impl Write, text: &str) -> Result<(), Error> {
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(Error::system("write to standard output"))
}

/// Standard output, or what is left of it: a reader that has seen enough is no error.
enum Out<'a> {
    Open(StdoutLock<'a>),
    Gone,
}

impl Out<'_> {
    fn attempt<T>(
        &mut self,
        otherwise: T,
        write: impl FnOnce(&mut StdoutLock<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let Self::Open(stdout) = self else { return Ok(otherwise) };
        match write(stdout) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                *self = Self::Gone;
                Ok(otherwise)
            }
            result => result,
        }
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(bytes.len(), |stdout| stdout.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), |stdout| stdout.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_have_it_and_people_who_want_it() {
        for (term, no_color, expected) in [
            (Some("xterm"), None, true),
            (Some("xterm"), Some(""), true),
            (Some("xterm"), Some("1"), false),
            (Some("dumb"), None, false),
            (None, None, false),
        ] {
            let variable = |name: &str| match name {
                "TERM" => term.map(OsString::from),
                "NO_COLOR" => no_color.map(OsString::from),
                _ => None,
            };
            assert_eq!(wants_colour(variable), expected, "{term:?} {no_color:?}");
        }
    }
}
