//! Request lines on the Unix socket, from trigger helpers and the command line.

use core::fmt;

use crate::proto::history::Id;
use crate::proto::label::{WORD_MAX, Word};

#[cfg(test)]
mod tests;

/// The greeting of every connection: protocol and version. It carries the helper's eventfd.
pub const GREETING: &str = "linkbeat 1\n";
/// Longest line, the line end included, in bytes.
pub const LINE_MAX: usize = 256;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// `trigger [--wait] [REASON]`
    Trigger {
        /// The reason that the helper gives.
        word: Option<Word>,
        /// Whether the response is the result of the beat.
        wait: bool,
    },
    /// `status`
    Status,
    /// `history [N]`
    History {
        /// Only entries with a greater id are listed.
        after: Id,
    },
}

/// Why a line is rejected. `Display` explains how to correct it, in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLine {
    /// The command is unknown.
    Unknown,
    /// The reason has an invalid character, is too long, or is more than one word.
    Reason,
    /// The line is longer than [`LINE_MAX`].
    TooLong,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        match self {
            Self::Unknown => f.write_str(
                "no such request: send trigger [REASON], trigger --wait [REASON], status or history",
            ),
            Self::Reason => write!(
                f,
                "not a reason: send one word of at most {WORD_MAX} characters of A-Z a-z 0-9 _ . -"
            ),
            Self::TooLong => write!(f, "a line may have {LINE_MAX} bytes: connect again"),
        }
    }
}

/// Parses one line, with or without its line end. Words are separated by white space.
///
/// # Errors
///
/// The first problem of the line.
pub fn parse(line: &[u8]) -> Result<CommandLine, BadLine> {
    let line = core::str::from_utf8(line).map_err(|_| BadLine::Unknown)?;
    let mut words = line.split_ascii_whitespace().peekable();
    let request = match words.next() {
        Some("status") => CommandLine::Status,
        Some("history") => {
            let after = words.next().map_or(Ok(0), str::parse);
            CommandLine::History { after: after.map_err(|_| BadLine::Unknown)? }
        }
        Some("trigger") => {
            let wait = words.next_if_eq(&"--wait").is_some();
            let word = words.next().map(|word| Word::new(word).ok_or(BadLine::Reason));
            CommandLine::Trigger { word: word.transpose()?, wait }
        }
        _ => return Err(BadLine::Unknown),
    };
    match (words.next(), &request) {
        (None, _) => Ok(request),
        (Some(_), CommandLine::Trigger { .. }) => Err(BadLine::Reason),
        (Some(_), CommandLine::Status | CommandLine::History { .. }) => Err(BadLine::Unknown),
    }
}
