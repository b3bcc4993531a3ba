//! Errors that end the command. `main` prints them once. Failures of the network are never among
//! them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use linkbeat_core::wire::escaped::InQuotes;

/// No agent runs, or it does not answer.
pub const EXIT_NO_AGENT: u8 = 3;
/// Wrong usage of the command line (`EX_USAGE`, sysexits.h(3head)).
pub const EXIT_USAGE: u8 = 64;
/// A system call failed, or another agent is running (`EX_OSERR`).
pub const EXIT_SYSTEM: u8 = 71;
/// A configuration file is invalid (`EX_CONFIG`).
pub const EXIT_CONFIG: u8 = 78;

/// An error that ends the command. `Display` is one line, with the cause.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong.
    Usage(lexopt::Error),
    /// A system call failed.
    System {
        /// The operation, for example `open rtnetlink socket`.
        operation: &'static str,
        /// The file that it was tried on, if any.
        path: Option<PathBuf>,
        /// The error of the kernel.
        source: io::Error,
    },
    /// Another agent answers on the socket that this one is to listen on.
    AlreadyRunning {
        /// The path of the socket.
        socket: PathBuf,
        /// The process of the other agent, if it is known.
        pid: Option<u32>,
    },
    /// No agent answers on the socket.
    NoAgent {
        /// The path of the socket.
        socket: PathBuf,
        /// The error, or the unexpected answer.
        source: io::Error,
    },
    /// The configuration is invalid; its problems have been printed.
    Config,
}

impl Error {
    /// Returns a function for `map_err` that makes the error of `operation`.
    pub fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { operation, path: None, source: source.into() }
    }

    /// Returns a function for `map_err` that makes the error of `operation` on `path`.
    pub fn system_on<E: Into<io::Error>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        let path = Some(path.to_path_buf());
        move |source| Self::System { operation, path, source: source.into() }
    }

    /// The exit code for this kind of error.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => EXIT_USAGE,
            Self::System { .. } | Self::AlreadyRunning { .. } => EXIT_SYSTEM,
            Self::NoAgent { .. } => EXIT_NO_AGENT,
            Self::Config => EXIT_CONFIG,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write_usage(f, error),
            Self::System { operation, path: None, source } => write!(f, "{operation}: {source}"),
            Self::System { operation, path: Some(path), source } => {
                write!(f, "{operation} {}: {source}", path.display())
            }
            Self::AlreadyRunning { socket, pid: Some(pid) } => {
                write!(f, "another agent, process {pid}, runs on {}", socket.display())
            }
            Self::AlreadyRunning { socket, pid: None } => {
                write!(f, "another agent runs on {}", socket.display())
            }
            Self::NoAgent { socket, source } => {
                write!(f, "no agent answers on {}: {source}", socket.display())
            }
            Self::Config => f.write_str("the configuration is invalid"),
        }
    }
}

/// The texts of lexopt, which quotes by `{:?}`.
fn write_usage(f: &mut fmt::Formatter<'_>, error: &lexopt::Error) -> fmt::Result {
    use lexopt::Error::{NonUnicodeValue, ParsingFailed, UnexpectedArgument, UnexpectedValue};
    match error {
        UnexpectedArgument(value) => {
            write!(f, "unexpected argument {}", InQuotes::text(&value.display()))
        }
        UnexpectedValue { option, value } => {
            let value = value.display();
            write!(f, "unexpected argument for option '{option}': {}", InQuotes::text(&value))
        }
        NonUnicodeValue(value) => {
            write!(f, "argument is invalid unicode: {}", InQuotes::text(&value.display()))
        }
        ParsingFailed { value, error } => {
            write!(f, "cannot parse argument {}: {error}", InQuotes::text(value))
        }
        other => fmt::Display::fmt(other, f),
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_operation_object_and_cause() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let socket = Path::new("/run/x.sock");
        for (error, words, code) in [
            (Error::from(lexopt::Error::from("no command")), "no command", 64),
            (
                Error::system("open rtnetlink socket")(denied()),
                "open rtnetlink socket: permission denied",
                71,
            ),
            (Error::system_on("bind", socket)(denied()), "bind /run/x.sock: permission denied", 71),
            (
                Error::AlreadyRunning { socket: socket.into(), pid: Some(7) },
                "another agent, process 7, runs on /run/x.sock",
                71,
            ),
            (
                Error::AlreadyRunning { socket: socket.into(), pid: None },
                "another agent runs on /run/x.sock",
                71,
            ),
            (
                Error::NoAgent { socket: socket.into(), source: denied() },
                "no agent answers on /run/x.sock: permission denied",
                3,
            ),
            (Error::Config, "the configuration is invalid", 78),
        ] {
            assert_eq!(error.to_string(), words);
            assert_eq!(error.exit_code(), ExitCode::from(code));
        }
    }
}
