//! `status` and `events`: asked once, or again and again for who watches.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::{ANSWER_TIME, Client};
use super::commands::{escaped, nonsense, say};
use crate::error::Error;
use crate::status::harmless;
use crate::status::page::{Page, Verdict, entries};
use crate::sys::clock;
use crate::wire::date::Utc;
use crate::wire::escaped::Escaped;
use crate::wire::json::{self, Value};

/// Online, and the last beat is fresh; or who watched has seen enough.
const EXIT_FRESH: u8 = 0;
/// Offline, or in another trouble.
const EXIT_OFFLINE: u8 = 1;
/// No beat was acknowledged lately.
const EXIT_STALE: u8 = 2;
/// Pause of who watches between two questions.
const PAUSE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// How an answer is to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// As JSON, or for people.
    pub(super) json: bool,
    /// Again and again.
    pub(super) again: bool,
    /// For people at a terminal, which can be drawn on.
    pub(super) terminal: bool,
    /// With colours.
    pub(super) colour: bool,
}

/// Tells how it goes.
pub(super) fn status(manner: Manner, socket: &Path, out: &mut impl Write) -> Result<u8, Error> {
    if manner.again {
        return watch(manner, socket, out);
    }
    let answer = Client::ask(socket, "status\n", ANSWER_TIME)?.rest()?;
    let page = Page { status: object(socket, &answer)?, colour: manner.colour };
    say(out, &if manner.json { escaped(page.status.raw()) } else { page.to_string() })?;
    Ok(match page.verdict() {
        Verdict::Fresh => EXIT_FRESH,
        Verdict::Offline => EXIT_OFFLINE,
        Verdict::Stale => EXIT_STALE,
    })
}

/// Tells how it goes until nobody listens: a terminal sees the page, who reads a pipe a line for
/// each change. An agent that is gone may come back.
fn watch(manner: Manner, socket: &Path, out: &mut impl Write) -> Result<u8, Error> {
    let mut known = String::new();
    loop {
        let now = Utc(clock::unix_seconds());
        let heard = Client::ask(socket, "status\n", ANSWER_TIME).and_then(Client::rest);
        let answer = match heard {
            Ok(answer) => answer,
            Err(error @ Error::NoAgent { .. }) => {
                let gone = error.chain().to_string();
                if manner.terminal {
                    say(out, &screen(&format!("{gone}\n"), now))?;
                } else if known != gone {
                    let text: String = gone.chars().map(harmless).collect();
                    let json = format!("{{\"success\":false,\"error\":\"{}\"}}\n", Escaped(text));
                    say(out, &if manner.json { json } else { format!("{now} {gone}\n") })?;
                }
                known = gone;
                if pause()? { continue } else { return Ok(EXIT_FRESH) }
            }
            Err(error) => return Err(error),
        };
        let page = Page { status: object(socket, &answer)?, colour: manner.colour };
        let line = page.line().to_string();
        if manner.terminal {
            say(out, &screen(&page.to_string(), now))?;
        } else if line != known {
            let json = manner.json.then(|| escaped(page.status.raw()));
            say(out, &json.unwrap_or_else(|| format!("{now} {line}\n")))?;
        }
        known = line;
        if !pause()? {
            return Ok(EXIT_FRESH);
        }
    }
}

/// The page as a terminal is to be drawn with it, over what was there.
fn screen(page: &str, now: Utc) -> String {
    let mut screen = String::from("\x1b[H");
    for line in page.lines() {
        screen.push_str(line);
        screen.push_str("\x1b[K\n");
    }
    // A text that is too long for the buffer grows it.
    write!(screen, "\x1b[K\n{now}, again every second; end with Ctrl-C\x1b[K\x1b[J\n").ok();
    screen
}

/// Tells what came to pass, oldest first.
pub(super) fn events(manner: Manner, socket: &Path, out: &mut impl Write) -> Result<u8, Error> {
    let mut known = Known::default();
    loop {
        let line = format!("history {}\n", known.last_id);
        match Client::ask(socket, &line, ANSWER_TIME).and_then(Client::rest) {
            Ok(answer) => {
                let history = object(socket, &answer)?;
                if manner.json && !manner.again {
                    say(out, &escaped(history.raw()))?;
                } else {
                    say(out, &known.news(&history, manner))?;
                }
            }
            // It may come back, for who has seen it already.
            Err(Error::NoAgent { .. }) if manner.again && !known.run.is_empty() => {}
            Err(error) => return Err(error),
        }
        if !manner.again || !pause()? {
            return Ok(EXIT_FRESH);
        }
    }
}

/// What was told already.
#[derive(Default)]
struct Known {
    run: String,
    /// What has a greater number is asked for.
    last_id: u64,
    /// What an earlier run of the agent had a lower number for was told.
    told: u64,
}

impl Known {
    /// The lines of what is new.
    fn news(&mut self, history: &Value<'_>, manner: Manner) -> String {
        let run = history.get("run").map(|run| run.raw().to_owned()).unwrap_or_default();
        if run != self.run && !self.run.is_empty() {
            // Another agent: its numbers go on or begin anew, so all are asked for once more.
            *self = Self { run, last_id: 0, told: self.last_id.max(self.told) };
            return String::new();
        }
        let last_id = history.get("last_id").and_then(|id| id.as_whole()).unwrap_or_default();
        *self = Self { run, last_id, told: self.told };
        let mut lines = String::new();
        let entries = entries(history, manner.colour).into_iter();
        for entry in entries.filter(|entry| !entry.is_earlier() || entry.id > self.told) {
            if manner.json {
                lines.push_str(&escaped(entry.entry.raw()));
            } else {
                writeln!(lines, "{entry}").ok();
            }
        }
        lines
    }
}

fn object<'a>(socket: &Path, answer: &'a [u8]) -> Result<Value<'a>, Error> {
    let value = json::parse(answer).ok().filter(|value| value.kind() == json::Kind::Object);
    value.ok_or_else(|| nonsense(socket, &String::from_utf8_lossy(answer)))
}

/// Waits a while; false if the reader has gone meanwhile.
fn pause() -> Result<bool, Error> {
    let stdout = io::stdout();
    // poll(2): no event is asked for, and an end without a reader is told all the same.
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

    const MANNER: Manner = Manner { json: false, again: true, terminal: false, colour: false };

    /// The numbers of what a follower is told by one answer.
    fn told(known: &mut Known, run: &str, entries: &[(u64, bool)]) -> Vec<String> {
        let turn = |(id, earlier): &(u64, bool)| {
            format!(r#"{{"id":{id},"at":"{id}","kind":"online","earlier":{earlier}}}"#)
        };
        let (after, last) = (known.last_id, entries.last().map_or(0, |(id, _)| *id));
        let turns: Vec<_> = entries.iter().filter(|(id, _)| *id > after).map(turn).collect();
        let json =
            format!(r#"{{"run":"{run}","last_id":{last},"transitions":[{}]}}"#, turns.join(","));
        let news = known.news(&json::parse(json.as_bytes()).unwrap(), MANNER);
        news.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn follower_is_told_everything_once_whatever_a_restart_does_to_the_numbers() {
        let mut known = Known::default();
        let ours =
            |ids: std::ops::RangeInclusive<u64>| ids.map(|id| (id, false)).collect::<Vec<_>>();
        assert_eq!(told(&mut known, "a", &ours(1..=2)), ["1", "2"]);
        assert_eq!(told(&mut known, "a", &ours(1..=3)), ["3"]);
        assert_eq!(told(&mut known, "a", &ours(1..=3)), [""; 0]);
        // A restart without a memory, which has more to tell already.
        assert_eq!(told(&mut known, "b", &ours(1..=5)), [""; 0]);
        assert_eq!(told(&mut known, "b", &ours(1..=5)), ["1", "2", "3", "4", "5"]);
        // One with a memory, of which we have not heard the last.
        let kept = [(4, true), (5, true), (6, true), (7, false)];
        assert_eq!(told(&mut known, "c", &kept), [""; 0]);
        assert_eq!(told(&mut known, "c", &kept), ["6", "7"]);
    }
}
