//! Incremental parser of the server's response, independent of how the bytes are split.
//!
//! ```text
//! Head --1xx--> Head
//! Head --blank line--> Body --last byte, end of stream--> Complete
//! Head --end of stream--> Failed(Closed)
//! Head, Body --over a limit, end of the wait--> Complete
//! ```
//!
//! The status line is the answer (`src/WIRE.md` §1). Whatever is odd after it, and a body over our
//! limits, ends the reading and costs the connection, not the beat. Three things only are asked of
//! the body: whether it is a page for people, which a captive portal sends in the server's place,
//! and whether a whole one says `"ok": false` or sets the interval.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use heapless::Vec;

use self::body::Body;
use self::head::{Head, RetryAfter};
use super::date::Utc;
use super::json::{self, ValueKind};
use crate::proto::event::{Failure, Reply};
use crate::proto::settings::Host;

mod body;
mod chunked;
mod head;
mod portal;
#[cfg(test)]
mod tests;

/// Most bytes of all heads of one response, the interim (1xx) ones included.
pub const HEAD_MAX: usize = 131_072;
/// Longest part of a line that is kept, in bytes. The rest is skipped.
pub const LINE_MAX: usize = 512;
/// Most bytes read after the head, chunk framing and trailers included.
pub const BODY_MAX: usize = 65_536;
/// Longest body that is kept for display, in bytes. A longer one is read and discarded.
pub const BODY_KEPT_MAX: usize = 2048;
/// Longest redirect target kept, in bytes.
pub const LOCATION_MAX: usize = 256;

/// The intervals that a server may set, in seconds.
const INTERVALS_S: RangeInclusive<u64> = 10..=3600;

/// An answer has an `interval_s` that does not set the interval. `Display` says what would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnusableInterval;

impl fmt::Display for UnusableInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = INTERVALS_S.into_inner();
        write!(f, "interval_s in the server's answer is no whole number from {from} to {to}")
    }
}

/// State of the parser after a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// The response is complete.
    Complete,
}

/// A response being received. It takes about 3 KiB.
#[derive(Debug)]
pub struct Response {
    state: HeadState,
    head: Head,
    /// Bytes of heads that may still be read.
    head_budget: usize,
    /// Bytes after the head that may still be read.
    body_budget: usize,
    /// The first bytes of the body, at most [`BODY_KEPT_MAX`].
    body: Vec<u8, BODY_KEPT_MAX>,
    /// Whether `body` is everything that has been received of the body.
    body_whole: bool,
    /// Whether the stream is open and stands exactly at the end of the response.
    in_step: bool,
}

#[derive(Debug, Clone, Copy)]
enum HeadState {
    Head,
    Body(Body),
    Complete,
    Failed(Failure),
}

/// The failure for a server that sends data before the request. HTTP/2 does so; any other server is
/// about to close the connection.
pub fn greeting(bytes: &[u8]) -> Failure {
    match head::check_protocol(bytes) {
        Err(failure @ Failure::Http2Only) => failure,
        _ => Failure::Closed,
    }
}

impl Default for Response {
    fn default() -> Self {
        Self::new()
    }
}

impl Response {
    /// Creates a parser that waits for the first byte.
    pub fn new() -> Self {
        Self {
            state: HeadState::Head,
            head: Head::default(),
            head_budget: HEAD_MAX,
            body_budget: BODY_MAX,
            body: Vec::new(),
            body_whole: true,
            in_step: true,
        }
    }

    /// Parses the next received bytes. Bytes after the end of the response prevent the reuse of the
    /// connection, because no request asked for them.
    ///
    /// # Errors
    ///
    /// `Malformed` if the bytes do not begin with an HTTP status line, `Http2Only` if they begin
    /// with an HTTP/2 frame, `TooLarge` if interim responses fill [`HEAD_MAX`]. Every later call
    /// returns the same error.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                HeadState::Head => self.feed_head(rest),
                HeadState::Body(body) => Ok(self.feed_body(body, rest)),
                HeadState::Complete => {
                    self.in_step = false;
                    break;
                }
                HeadState::Failed(failure) => Err(failure),
            }
            .inspect_err(|failure| self.state = HeadState::Failed(*failure))?;
        }
        self.progress()
    }

    /// Handles the end of the stream. `announced` is false if the stream may have been cut off.
    ///
    /// # Errors
    ///
    /// `Closed` if the head is not complete, or the failure of an earlier [`feed`](Self::feed).
    pub fn eof(&mut self, announced: bool) -> Result<(), Failure> {
        self.in_step = false;
        self.state = match self.state {
            HeadState::Body(Body::UntilClose) if announced => HeadState::Complete,
            HeadState::Body(_) => self.cut_body(),
            HeadState::Head => HeadState::Failed(Failure::Closed),
            HeadState::Complete | HeadState::Failed(_) => self.state,
        };
        self.progress().map(|_| ())
    }

    /// Prevents the reuse of the connection, whatever the response says.
    pub const fn forbid_reuse(&mut self) {
        self.in_step = false;
    }

    /// The reply of the server `asked`. Before the head is complete its status is 0.
    ///
    /// A date in `Retry-After` counts relative to the server's own `Date`, so that a wrong clock of
    /// the device does not change the wait. `now_unix_s` replaces a missing `Date`.
    pub fn reply(&self, asked: Option<&Host>, now_unix_s: u64) -> Reply {
        let wait_s = |retry_after| match retry_after {
            RetryAfter::Seconds(seconds) => seconds,
            RetryAfter::At(at) => {
                at.0.saturating_sub(self.head.date.map_or(now_unix_s, |date| date.0))
            }
        };
        Reply {
            status: self.status(),
            failure: self.failure(asked),
            retry_after: self.head.retry_after.map(wait_s).map(Duration::from_secs),
            interval: self.interval().and_then(Result::ok),
            keep_alive: self.head.is_persistent() && self.in_step,
        }
    }

    /// Whether the head is complete, part of the body is missing, and that part can change the
    /// result only by saying `"ok": false` or `"interval_s"`. It is not so while only `Content-Type` says that the
    /// body is a page.
    pub fn awaits_optional_body(&self) -> bool {
        let known = self.head.page != Some(true)
            || portal::is_page(&self.body)
            || portal::is_json(&self.body);
        matches!(self.state, HeadState::Body(_)) && known
    }

    const fn status(&self) -> u16 {
        match self.state {
            HeadState::Head | HeadState::Failed(_) => 0,
            HeadState::Body(_) | HeadState::Complete => self.head.status,
        }
    }

    /// The failure that this response means; `None` if it acknowledges the beat.
    fn failure(&self, asked: Option<&Host>) -> Option<Failure> {
        let status = self.status();
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

    /// Whether the body is a web page. An empty body and JSON are none, even if `Content-Type` says
    /// so: some servers send `text/html` with everything. The beginning of an incomplete body
    /// decides.
    fn is_page(&self) -> bool {
        let none = if self.body_whole {
            self.body.is_empty() || json::parse(&self.body).is_ok()
        } else {
            portal::is_json(&self.body)
        };
        (self.head.page == Some(true) && !none) || portal::is_page(&self.body)
    }

    fn says_no(&self) -> bool {
        let body = json::parse(self.body()).ok();
        body.and_then(|body| body.get("ok")?.as_bool()) == Some(false)
    }

    /// `interval_s` of a whole body, which sets the interval; `None` if it has none, or null.
    pub fn interval(&self) -> Option<Result<Duration, UnusableInterval>> {
        let body = json::parse(self.body()).ok()?;
        let value = body.get("interval_s").filter(|value| value.kind() != ValueKind::Null)?;
        let seconds = value.as_whole().filter(|seconds| INTERVALS_S.contains(seconds));
        Some(seconds.map(Duration::from_secs).ok_or(UnusableInterval))
    }

    /// The value of `Date` (RFC 9110 §6.6.1), if there is one.
    pub const fn date(&self) -> Option<Utc> {
        self.head.date
    }

    /// The body, unchecked. Empty if it is longer than [`BODY_KEPT_MAX`] or was cut off.
    pub fn body(&self) -> &[u8] {
        if self.body_whole { &self.body } else { &[] }
    }

    /// The target of a redirect in printable characters, without its query; `None` for other
    /// responses.
    pub fn location(&self) -> Option<&str> {
        Some(self.head.location.as_str()).filter(|location| !location.is_empty())
    }

    const fn progress(&self) -> Result<Progress, Failure> {
        match self.state {
            HeadState::Complete => Ok(Progress::Complete),
            HeadState::Failed(failure) => Err(failure),
            HeadState::Head | HeadState::Body(_) => Ok(Progress::Partial),
        }
    }

    /// Consumes at most one line of the head and returns the rest.
    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        let allowed = bytes.get(..self.head_budget).unwrap_or(bytes);
        if allowed.is_empty() {
            return self.cut_head();
        }
        let (complete, rest) = self.head.take(allowed)?;
        let used = allowed.len() - rest.len();
        self.head_budget -= used;
        if complete {
            self.take_head();
        }
        Ok(bytes.get(used..).unwrap_or_default())
    }

    fn take_head(&mut self) {
        if self.head.is_interim() {
            self.head = Head::default();
            return;
        }
        self.state = match self.head.body() {
            Body::Length(length) if length > BODY_MAX => self.cut_body(),
            Body::Unknown => self.cut_body(),
            body if body.is_complete() => HeadState::Complete,
            body => HeadState::Body(body),
        };
    }

    /// Stops reading a head that exceeds the limit. The status is kept.
    fn cut_head(&mut self) -> Result<&'static [u8], Failure> {
        self.head.take_line().map_err(|_| Failure::TooLarge)?;
        if self.head.is_interim() {
            return Err(Failure::TooLarge);
        }
        self.state = self.cut_body();
        Ok(&[])
    }

    /// Consumes a piece of the body and returns the rest.
    fn feed_body<'a>(&mut self, mut body: Body, bytes: &'a [u8]) -> &'a [u8] {
        let allowed = bytes.get(..self.body_budget).unwrap_or(bytes);
        let Some((content, used)) = body.take(allowed).filter(|_| !allowed.is_empty()) else {
            self.state = self.cut_body();
            return &[];
        };
        self.state = if body.is_complete() { HeadState::Complete } else { HeadState::Body(body) };
        self.body_budget -= used;
        let kept = content.get(..BODY_KEPT_MAX - self.body.len()).unwrap_or(content);
        self.body.extend_from_slice(kept).expect("cut to the room that is left");
        self.body_whole &= kept.len() == content.len();
        bytes.get(used..).unwrap_or_default()
    }

    /// Stops reading a body that exceeds the limit or has no certain end. The connection is not
    /// reused.
    const fn cut_body(&mut self) -> HeadState {
        self.body_whole = false;
        self.in_step = false;
        HeadState::Complete
    }
}
