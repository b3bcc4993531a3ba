//! `status` and `events`: printed once, or continuously with `--watch` and `--follow`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::{ANSWER_TIME, End, ask, object};
use super::output::{EXIT_DONE, OutputFormat, escaped, say};
use super::page::{Fields, Page, entries};
use crate::error::Error;
use crate::sys::clock;
use linkbeat_core::wire::cut::harmless;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::json::Value;
use linkbeat_core::wire::outcome::emit_error;

/// Pause between two requests while watching.
const PAUSE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Prints the state of the agent.
pub(super) fn status(
    format: OutputFormat,
    socket: &Path,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    if format.again {
        return watch(format, socket, out);
    }
    let answer = ask(socket, "status\n", ANSWER_TIME, End::Connection)?;
    let page = Page { status: Fields(object(socket, &answer)?), colour: format.colour };
    say(out, &if format.json { escaped(page.status.0.raw()) } else { page.text() })?;
    Ok(page.verdict() as u8)
}

/// Prints the state of the agent until the reader has gone: the page on a terminal, a line for each
/// change into a pipe. An agent that does not answer is asked again.
fn watch(format: OutputFormat, socket: &Path, out: &mut dyn Write) -> Result<u8, Error> {
    let mut known = String::new();
    loop {
        let now = Utc(clock::unix_seconds());
        let (line, shown) = match ask(socket, "status\n", ANSWER_TIME, End::Connection) {
            Ok(answer) => {
                let page = Page { status: Fields(object(socket, &answer)?), colour: format.colour };
                let json = format.json.then(|| escaped(page.status.0.raw()));
                (page.line(), json.unwrap_or_else(|| page.text()))
            }
            Err(error @ Error::NoAgent { .. }) => {
                let gone = error.to_string();
                let text: String = gone.chars().map(harmless).collect();
                let shown = if format.json { error_json(&text) } else { format!("{gone}\n") };
                (gone, shown)
            }
            Err(error) => return Err(error),
        };
        if format.terminal {
            say(out, &screen(&shown, now))?;
        } else if line != known {
            say(out, &if format.json { shown } else { format!("{now} {line}\n") })?;
        }
        known = line;
        if !pause()? {
            return Ok(EXIT_DONE);
        }
    }
}

/// An error as the agent would answer it, in a line.
fn error_json(text: &str) -> String {
    // A character has six bytes of JSON at most, and the object 32 beside them.
    let mut buffer = vec![0; 6 * text.len() + 32];
    let length = emit_error(&text, &mut buffer).expect("there is room");
    buffer.truncate(length);
    String::from_utf8_lossy(&buffer).into_owned() + "\n"
}

/// The page with the control sequences that draw it over the one before.
fn screen(page: &str, now: Utc) -> String {
    let mut screen = String::from("\x1b[H");
    for line in page.lines() {
        screen.push_str(line);
        screen.push_str("\x1b[K\n");
    }
    // The string grows as needed: writing to it cannot fail.
    write!(screen, "\x1b[K\n{now}, refreshed every second; stop with Ctrl-C\x1b[K\x1b[J\n").ok();
    screen
}

/// Prints the history, oldest entry first.
pub(super) fn events(
    format: OutputFormat,
    socket: &Path,
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let mut known = SeenEvents::default();
    loop {
        let line = format!("history {}\n", known.last_id);
        match ask(socket, &line, ANSWER_TIME, End::Connection) {
            Ok(answer) => {
                let history = object(socket, &answer)?;
                if format.json && !format.again {
                    say(out, &escaped(history.raw()))?;
                } else {
                    say(out, &known.news(&history, format))?;
                }
            }
            // An agent that has answered before may be restarting.
            Err(Error::NoAgent { .. }) if format.again && !known.run.is_empty() => {}
            Err(error) => return Err(error),
        }
        if !format.again || !pause()? {
            return Ok(EXIT_DONE);
        }
    }
}

/// The entries that were printed already.
#[derive(Default)]
struct SeenEvents {
    /// The run of the agent that the numbers belong to.
    run: String,
    /// Greatest number printed of this run; greater ones are requested.
    last_id: u64,
    /// Greatest number printed of earlier runs of the agent.
    earlier: u64,
}

impl SeenEvents {
    /// The lines of the new entries.
    fn news(&mut self, history: &Value<'_>, format: OutputFormat) -> String {
        let run = history.get("run").map(|run| run.raw().to_owned()).unwrap_or_default();
        if run != self.run && !self.run.is_empty() {
            // The agent was restarted: its numbers continue or start again, so request all of them.
            *self = Self { run, last_id: 0, earlier: self.last_id.max(self.earlier) };
            return String::new();
        }
        let last_id = history.get("last_id").and_then(|id| id.as_whole()).unwrap_or_default();
        *self = Self { run, last_id, earlier: self.earlier };
        let mut lines = String::new();
        let entries = entries(Fields(*history), format.colour).into_iter();
        for entry in entries.filter(|entry| !entry.is_earlier() || entry.id > self.earlier) {
            if format.json {
                lines.push_str(&escaped(entry.fields.0.raw()));
            } else {
                writeln!(lines, "{entry}").ok();
            }
        }
        lines
    }
}

/// Waits a second; false if the reader has gone meanwhile.
fn pause() -> Result<bool, Error> {
    let stdout = io::stdout();
    // poll(2): POLLERR is reported for a pipe without a reader even if no event is requested.
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut fds, Some(&PAUSE)) {
        Ok(ended) => Ok(ended == 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(Error::system("wait for a second")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linkbeat_core::wire::json;

    const FORMAT: OutputFormat =
        OutputFormat { json: false, again: true, terminal: false, colour: false };

    /// The numbers of the entries that one answer makes a follower print.
    fn printed(known: &mut SeenEvents, run: &str, entries: &[(u64, bool)]) -> Vec<String> {
        let turn = |(id, earlier): &(u64, bool)| {
            format!(r#"{{"id":{id},"at":"{id}","kind":"online","earlier":{earlier}}}"#)
        };
        let (after, last) = (known.last_id, entries.last().map_or(0, |(id, _)| *id));
        let turns: Vec<_> = entries.iter().filter(|(id, _)| *id > after).map(turn).collect();
        let json =
            format!(r#"{{"run":"{run}","last_id":{last},"transitions":[{}]}}"#, turns.join(","));
        let news = known.news(&json::parse(json.as_bytes()).unwrap(), FORMAT);
        news.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn follower_prints_everything_once_whatever_a_restart_does_to_the_numbers() {
        let mut known = SeenEvents::default();
        let ours =
            |ids: std::ops::RangeInclusive<u64>| ids.map(|id| (id, false)).collect::<Vec<_>>();
        assert_eq!(printed(&mut known, "a", &ours(1..=2)), ["1", "2"]);
        assert_eq!(printed(&mut known, "a", &ours(1..=3)), ["3"]);
        assert_eq!(printed(&mut known, "a", &ours(1..=3)), [""; 0]);
        // A restart without a history file, with more entries than before.
        assert_eq!(printed(&mut known, "b", &ours(1..=5)), [""; 0]);
        assert_eq!(printed(&mut known, "b", &ours(1..=5)), ["1", "2", "3", "4", "5"]);
        // A restart with a history file whose last entries were not printed yet.
        let kept = [(4, true), (5, true), (6, true), (7, false)];
        assert_eq!(printed(&mut known, "c", &kept), [""; 0]);
        assert_eq!(printed(&mut known, "c", &kept), ["6", "7"]);
    }
}
