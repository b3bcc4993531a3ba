//! Standard output of the command line.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::error::Error;
use linkbeat_core::wire::cut::harmless;

/// Exit code: success.
pub(super) const EXIT_DONE: u8 = 0;
/// Exit code: the beat failed, or is not answered yet.
pub(super) const EXIT_FAILED: u8 = 1;

/// How to print an answer.
#[derive(Debug, Clone, Copy)]
pub struct OutputFormat {
    /// Whether to print JSON instead of text for people.
    pub json: bool,
    /// Whether to repeat it until interrupted.
    pub again: bool,
    /// Whether the output is text on a terminal, which can be redrawn.
    pub terminal: bool,
    /// Whether to use colour.
    pub colour: bool,
}

/// The same JSON, with escapes for characters that are valid in a string but would control a
/// terminal.
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

/// Whether to use colour on a terminal (<https://no-color.org>).
pub(super) fn wants_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let dumb = variable("TERM").is_none_or(|term| term == "dumb");
    !dumb && variable("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes `text` at once. A reader that has closed the pipe is no error; what it does not read is
/// dropped.
pub(super) fn say(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::system("write to standard output")(error))
        }
        _ => Ok(()),
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
