//! The server's answer, fed as it arrives, however it is cut.
//!
//! ```text
//! Head --1xx--> Head
//! Head --blank line--> Body --last byte, end of stream--> Complete
//! Head --end of stream--> Failed(Closed)
//! ```
//!
//! The status line is the answer (WIRE.md §1). Whatever is odd after it, and a body over our limits, ends
//! the reading and costs the connection, not the beat. Two things only are asked of the body: whether it
//! is a page for people, which a captive portal sends in the server's place, and whether a whole one says
//! `"ok": false`.

use core::time::Duration;

use heapless::Vec;

use self::body::Body;
use self::head::{Head, RetryAfter};
use super::date::Utc;
use super::json;
use crate::proto::event::{Failure, Reply};
use crate::proto::settings::Host;

mod body;
mod chunked;
mod head;
mod portal;
#[cfg(test)]
mod tests;

/// Longest head, status line to blank line, in bytes.
pub const HEAD_MAX: usize = 8192;
/// Most header fields of one head.
pub const FIELDS_MAX: usize = 64;
/// Most interim (1xx) answers before the final one.
pub const INTERIM_MAX: usize = 8;
/// Most bytes read after the head, chunk framing and trailers included.
pub const BODY_MAX: usize = 65_536;
/// Longest body kept for people to see; one longer is read and forgotten.
pub const BODY_KEPT_MAX: usize = 2048;
/// Longest redirect target kept, in bytes.
pub const LOCATION_MAX: usize = 256;

/// Whether an answer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// The answer is complete.
    Complete,
}

/// One answer in the making: about 11 KiB, which belongs into a box.
#[derive(Debug)]
pub struct Response {
    state: State,
    head_bytes: Vec<u8, HEAD_MAX>,
    interim: usize,
    head: Head,
    /// How much more is read after the head.
    body_budget: usize,
    /// Its first bytes.
    body: Vec<u8, BODY_KEPT_MAX>,
    /// Whether those are all that was sent of it so far.
    body_whole: bool,
    /// Whether the stream stands exactly at the end of the answer and is open.
    in_step: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Body(Body),
    Complete,
    Failed(Failure),
}

impl Default for Response {
    fn default() -> Self {
        Self::new()
    }
}

impl Response {
    /// Waits for the first byte of an answer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Head,
            head_bytes: Vec::new(),
            interim: 0,
            head: Head::new(),
            body_budget: BODY_MAX,
            body: Vec::new(),
            body_whole: true,
            in_step: true,
        }
    }

    /// Takes bytes in the order they arrived. Bytes after the end of the answer cost the
    /// connection its reuse: nothing was asked that they could answer.
    ///
    /// # Errors
    ///
    /// `Malformed` if it does not begin with the status line of an answer, `TooLarge` with more than
    /// [`INTERIM_MAX`] interim ones. Every later call repeats it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Head => self.feed_head(rest),
                State::Body(body) => Ok(self.feed_body(body, rest)),
                State::Complete => {
                    self.in_step = false;
                    break;
                }
                State::Failed(failure) => Err(failure),
            }
            .inspect_err(|failure| self.state = State::Failed(*failure))?;
        }
        self.progress()
    }

    /// Takes the end of the stream; `announced` is false if it may have been cut off.
    ///
    /// # Errors
    ///
    /// `Closed` if the head is not complete, or the failure of an earlier [`feed`](Self::feed).
    pub fn eof(&mut self, announced: bool) -> Result<(), Failure> {
        self.in_step = false;
        self.state = match self.state {
            State::Body(Body::UntilClose) if announced => State::Complete,
            State::Body(_) => self.cut_body(),
            State::Head => State::Failed(Failure::Closed),
            State::Complete | State::Failed(_) => self.state,
        };
        self.progress().map(|_| ())
    }

    /// The complete answer of whoever was `asked`; before that its status is 0.
    ///
    /// A date in `Retry-After` is taken relative to the server's own `Date`, so that a device
    /// whose clock is wrong waits as long as it was asked to; `now_unix_s` stands in for a server
    /// without one.
    #[must_use]
    pub fn reply(&self, asked: Option<&Host>, now_unix_s: u64) -> Reply {
        let wait_s = |retry_after| match retry_after {
            RetryAfter::Seconds(seconds) => seconds,
            RetryAfter::At(at) => {
                at.0.saturating_sub(self.head.date.map_or(now_unix_s, |date| date.0))
            }
        };
        Reply {
            status: self.head.status,
            failure: self.failure(asked),
            retry_after: self.head.retry_after.map(wait_s).map(Duration::from_secs),
            keep_alive: self.head.persistent && self.in_step,
        }
    }

    /// Why this is no acknowledgement, if it is none.
    fn failure(&self, asked: Option<&Host>) -> Option<Failure> {
        let status = self.head.status;
        let away = || asked.is_some_and(|asked| portal::leads_away(&self.head.location, asked));
        match status {
            200..=299 if self.is_page() => Some(Failure::Portal(status)),
            200..=299 if self.says_no() => Some(Failure::NotAccepted),
            200..=299 => None,
            511 => Some(Failure::Portal(status)),
            300..=399 if away() => Some(Failure::Portal(status)),
            _ => Some(Failure::Status(status)),
        }
    }

    /// Whether the body is a page for people. Nothing and JSON are none, whatever they are called: there
    /// are servers that call everything `text/html`.
    fn is_page(&self) -> bool {
        let none = self.body_whole && (self.body.is_empty() || json::parse(&self.body).is_ok());
        (self.head.page && !none) || portal::is_page(&self.body)
    }

    fn says_no(&self) -> bool {
        let body = json::parse(self.body()).ok();
        body.and_then(|body| body.get("ok")?.as_bool()) == Some(false)
    }

    /// The server's own time (RFC 9110 §6.6.1), if it told one.
    #[must_use]
    pub const fn date(&self) -> Option<Utc> {
        self.head.date
    }

    /// The body, unchecked; empty if it was longer than [`BODY_KEPT_MAX`], or not all of it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        if self.body_whole { &self.body } else { &[] }
    }

    /// Where a redirect points, safe to print, without its query; `None` for other answers.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        Some(self.head.location.as_str()).filter(|location| !location.is_empty())
    }

    const fn progress(&self) -> Result<Progress, Failure> {
        match self.state {
            State::Complete => Ok(Progress::Complete),
            State::Failed(failure) => Err(failure),
            State::Head | State::Body(_) => Ok(Progress::Partial),
        }
    }

    /// Takes at most one line of the head and returns what follows it.
    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        let line_end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (line, rest) = bytes.split_at(line_end.unwrap_or(bytes.len()));
        let room = HEAD_MAX - self.head_bytes.len();
        let fitting = line.get(..room).unwrap_or(line);
        self.head_bytes.extend_from_slice(fitting).map_err(|_| Failure::TooLarge)?;
        // Another protocol on this port is told by its first bytes, not by our patience.
        if self.head_bytes.iter().zip(b"HTTP/1.").any(|(byte, wanted)| byte != wanted) {
            return Err(Failure::Malformed);
        }
        if line.len() > room {
            self.take_head(Head::parse_status(&self.head_bytes)?)?;
        } else if self.head_bytes.ends_with(b"\n\r\n") || self.head_bytes.ends_with(b"\n\n") {
            self.take_head(Head::parse(&self.head_bytes)?)?;
        }
        Ok(rest)
    }

    fn take_head(&mut self, head: Head) -> Result<(), Failure> {
        self.head_bytes.clear();
        if (100..200).contains(&head.status) {
            self.interim += 1;
            return if self.interim > INTERIM_MAX { Err(Failure::TooLarge) } else { Ok(()) };
        }
        self.state = match head.body {
            Body::Length(length) if length > BODY_MAX => self.cut_body(),
            Body::Unknown => self.cut_body(),
            body if body.is_complete() => State::Complete,
            body => State::Body(body),
        };
        self.head = head;
        Ok(())
    }

    /// Takes a piece of the body and returns what follows it.
    fn feed_body<'a>(&mut self, mut body: Body, bytes: &'a [u8]) -> &'a [u8] {
        let allowed = bytes.get(..self.body_budget).unwrap_or(bytes);
        let Some((content, used)) = body.take(allowed).filter(|_| !allowed.is_empty()) else {
            self.state = self.cut_body();
            return &[];
        };
        self.state = if body.is_complete() { State::Complete } else { State::Body(body) };
        self.body_budget -= used;
        let kept = content.get(..BODY_KEPT_MAX - self.body.len()).unwrap_or(content);
        self.body.extend_from_slice(kept).expect("cut to the room that is left");
        self.body_whole &= kept.len() == content.len();
        bytes.get(used..).unwrap_or_default()
    }

    /// Gives up the rest of a body over the limit or without a certain end, and with it the connection.
    const fn cut_body(&mut self) -> State {
        self.body_whole = false;
        self.in_step = false;
        State::Complete
    }
}
