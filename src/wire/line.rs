//! Lines of the Unix socket: what helpers and the command line ask for.

use core::fmt;

use crate::proto::event::{WORD_MAX, Word};
use crate::proto::history::Id;

#[cfg(test)]
mod tests;

/// What everybody is greeted with: the protocol and its version. It carries the helper's eventfd.
pub const GREETING: &str = "linkbeat 1\n";
/// Longest line, in bytes, with its end.
pub const LINE_MAX: usize = 256;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `trigger [--wait] [REASON]`
    Trigger {
        /// The helper's own word.
        word: Option<Word>,
        /// Whether to answer with the result of the beat.
        wait: bool,
    },
    /// `status`
    Status,
    /// `history [N]`
    History {
        /// Only entries with a greater number are wanted.
        after: Id,
    },
}

/// Why a line is no request. `Display` says what to do, as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLine {
    /// Not a word of this protocol.
    Unknown,
    /// The reason has a character it may not have, or is too long, or more than one word.
    Reason,
    /// Over [`LINE_MAX`].
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

/// Parses one line, with or without its end; words are separated by any white space.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Result<Line, BadLine> {
    let line = core::str::from_utf8(line).map_err(|_| BadLine::Unknown)?;
    let mut words = line.split_ascii_whitespace().peekable();
    let request = match words.next() {
        Some("status") => Line::Status,
        Some("history") => {
            let after = words.next().map_or(Ok(0), str::parse);
            Line::History { after: after.map_err(|_| BadLine::Unknown)? }
        }
        Some("trigger") => {
            let wait = words.next_if_eq(&"--wait").is_some();
            let word = words.next().map(|word| Word::new(word).ok_or(BadLine::Reason));
            Line::Trigger { word: word.transpose()?, wait }
        }
        _ => return Err(BadLine::Unknown),
    };
    match (words.next(), &request) {
        (None, _) => Ok(request),
        (Some(_), Line::Trigger { .. }) => Err(BadLine::Reason),
        (Some(_), Line::Status | Line::History { .. }) => Err(BadLine::Unknown),
    }
}
