//! Line by line parser of a response head. It reads the status, the framing of the body and the few
//! fields that matter. All other fields are skipped, whatever their length and content.
//!
//! ```text
//! in a line --LF--> after a line --white space--> in the same line (obsolete folding)
//!     ^                  |
//!     +----- else -------+--CR LF, LF--> complete
//! ```

use heapless::{String, Vec};

use super::body::Body;
use super::{LINE_MAX, LOCATION_MAX};
use crate::proto::event::Failure;
use crate::wire::date::Utc;

/// The media types of web pages.
const PAGES: [&[u8]; 2] = [b"text/html", b"application/xhtml+xml"];
/// The beginning of every HTTP/1 response.
const BEGINNING: &[u8] = b"HTTP/";
/// The frames that an HTTP/2 server may begin with (RFC 9113 §6.5, §6.8).
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The value of `Retry-After` (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy)]
pub(super) enum RetryAfter {
    /// Number of seconds from now.
    Seconds(u64),
    /// Time by the server's clock.
    At(Utc),
}

/// The parsed head, so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Status code; 0 before the status line.
    pub(super) status: u16,
    pub(super) retry_after: Option<RetryAfter>,
    /// The value of `Date`.
    pub(super) date: Option<Utc>,
    /// Whether `Content-Type` names a web page; `None` without that field.
    pub(super) page: Option<bool>,
    /// Target of a redirect, printable and without query; empty for other responses.
    pub(super) location: String<LOCATION_MAX>,
    is_http_1_0: bool,
    /// `Connection: close`.
    close: bool,
    /// `Connection: keep-alive`.
    keep_alive: bool,
    /// Whether the last transfer coding is `chunked`; `None` without any coding.
    chunked: Option<bool>,
    length: Option<usize>,
    /// A field that determines the end of the body cannot be parsed.
    unframed: bool,
    line: Vec<u8, LINE_MAX>,
    /// Whether the line is longer than the kept part.
    cut: bool,
    /// Whether the LF of the line has been received. The next byte decides whether the line
    /// continues.
    ended: bool,
}

impl Head {
    /// Consumes at most one line of `bytes`. Returns whether the head is complete, and the rest.
    /// Every call must bring at least one byte.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<(bool, &'a [u8]), Failure> {
        let folded = bytes.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if core::mem::take(&mut self.ended) && !folded {
            self.take_line()?;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let room = LINE_MAX - self.line.len();
        let kept = line.get(..room).unwrap_or(line);
        self.cut |= kept.len() < line.len();
        self.line.extend_from_slice(kept).expect("cut to the room that is left");
        if self.status == 0 {
            check_protocol(&self.line)?;
        }
        if end.is_none() {
            return Ok((false, rest));
        }
        self.ended = true;
        Ok((self.line.trim_ascii().is_empty(), rest))
    }

    /// Parses the received line: the status line or a field.
    pub(super) fn take_line(&mut self) -> Result<(), Failure> {
        let line = core::mem::take(&mut self.line);
        let cut = core::mem::take(&mut self.cut);
        if self.status == 0 {
            return self.take_status(&line);
        }
        let mut parts = line.splitn(2, |byte| *byte == b':').map(<[u8]>::trim_ascii);
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            self.take_field(name, value, cut);
        }
        Ok(())
    }

    fn take_status(&mut self, line: &[u8]) -> Result<(), Failure> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let version = words.next().and_then(|word| word.get(BEGINNING.len()..)).unwrap_or_default();
        let digits = words.next().filter(|digits| digits.len() == 3).and_then(whole);
        self.is_http_1_0 = version == b"1.0";
        let known = version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        match digits.and_then(|status| u16::try_from(status).ok()) {
            // RFC 9110 §15.2.2: 101 is invalid, because the request did not offer another protocol.
            None | Some(..=99 | 101) => Err(Failure::Malformed),
            Some(_) if !known || version.is_empty() => Err(Failure::Malformed),
            Some(status) => {
                self.status = status;
                Ok(())
            }
        }
    }

    fn take_field(&mut self, name: &[u8], value: &[u8], cut: bool) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("content-length") {
            for member in list(value) {
                let length = whole(member);
                // RFC 9112 §6.3: repeated lengths must be equal.
                self.unframed |=
                    length.is_none() || self.length.is_some_and(|it| Some(it) != length);
                self.length = length;
            }
        } else if is("transfer-encoding") {
            let coding = list(value).filter(|coding| !coding.is_empty()).last();
            self.chunked = coding.map(|it| it.eq_ignore_ascii_case(b"chunked")).or(self.chunked);
        } else if is("connection") {
            self.close |= list(value).any(|option| option.eq_ignore_ascii_case(b"close"));
            self.keep_alive |= list(value).any(|option| option.eq_ignore_ascii_case(b"keep-alive"));
        } else {
            if is("date") {
                self.date = self.date.or_else(|| date(value));
            } else if is("retry-after") {
                self.retry_after = self.retry_after.or_else(|| parse_retry_after(value));
            } else if is("content-type") {
                let kind =
                    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let page = PAGES.iter().any(|page| kind.eq_ignore_ascii_case(page));
                self.page = self.page.or(Some(page));
            } else if is("location")
                && (300..400).contains(&self.status)
                && self.location.is_empty()
            {
                self.keep_location(value);
            }
            return;
        }
        // A field that determines the end of the body must be complete.
        self.unframed |= cut;
    }

    /// Keeps the printable part of a redirect target. The query may hold a secret and is dropped.
    fn keep_location(&mut self, location: &[u8]) {
        let shown = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        for byte in location.iter().copied().take_while(shown).take(LOCATION_MAX) {
            self.location.push(char::from(byte)).expect("LOCATION_MAX ASCII characters fit");
        }
    }

    /// Whether this is an interim response, which another head follows.
    pub(super) const fn is_interim(&self) -> bool {
        matches!(self.status, 100..200)
    }

    /// The framing of the body (RFC 9112 §6.3).
    pub(super) const fn body(&self) -> Body {
        match (self.chunked, self.length) {
            _ if matches!(self.status, 100..200 | 204 | 304) => Body::Length(0),
            _ if self.unframed => Body::Unknown,
            (Some(true), _) => Body::CHUNKED,
            (Some(false), _) | (None, None) => Body::UntilClose,
            (None, Some(length)) => Body::Length(length),
        }
    }

    /// Whether the server lets the connection carry another request (RFC 9112 §9.3).
    pub(super) const fn is_persistent(&self) -> bool {
        // RFC 9112 §6.1 and §6.3: a coding overrides a length and applies in HTTP/1.0 as well, and
        // 204 has no body. Other readers may see these cases differently, so the connection is not
        // reused.
        let odd = self.length.is_some() || self.is_http_1_0 || self.status == 204;
        let doubtful = self.chunked.is_some() && odd;
        !doubtful && !self.close && (self.keep_alive || !self.is_http_1_0)
    }
}

/// Detects another protocol on the port by its first bytes, without waiting for a timeout.
pub(super) fn check_protocol(begin: &[u8]) -> Result<(), Failure> {
    let sound = |(byte, wanted): (&u8, &u8)| byte.eq_ignore_ascii_case(wanted);
    match begin {
        // RFC 9113 §4.1: a frame begins with its length, 24 bits, and its type.
        [0] | [0, 0] | [0, 0, _] => Ok(()),
        [0, 0, _, SETTINGS | GOAWAY, ..] => Err(Failure::Http2Only),
        _ if begin.iter().zip(BEGINNING).all(sound) => Ok(()),
        _ => Err(Failure::Malformed),
    }
}

/// The members of a comma-separated list (RFC 9110 §5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Parses digits. A number that overflows saturates.
fn whole(digits: &[u8]) -> Option<usize> {
    let digit = |byte: &u8| char::from(*byte).to_digit(10).and_then(|it| usize::try_from(it).ok());
    let add = |sum: usize, byte| Some(sum.saturating_mul(10).saturating_add(digit(byte)?));
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

fn date(text: &[u8]) -> Option<Utc> {
    core::str::from_utf8(text).ok().and_then(Utc::parse_http)
}

/// Parses `Retry-After`: seconds or a date. Seconds may have a fraction, which is rounded up, and a
/// unit. Anything after a comma or a semicolon is ignored.
fn parse_retry_after(value: &[u8]) -> Option<RetryAfter> {
    let first = value.split(|byte| matches!(byte, b',' | b';')).next().unwrap_or_default();
    let (seconds, rest) = split_digits(first.strip_prefix(b"+").unwrap_or(first));
    let fraction = rest.strip_prefix(b".");
    let unit = fraction.map_or(rest, |fraction| split_digits(fraction).1).trim_ascii();
    let is_second = unit.is_empty()
        || unit.eq_ignore_ascii_case(b"s")
        || unit.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(b"sec"));
    match whole(seconds).filter(|_| is_second) {
        Some(seconds) => {
            let round_up = u64::from(fraction.is_some());
            Some(RetryAfter::Seconds((seconds as u64).saturating_add(round_up)))
        }
        None => date(value).map(RetryAfter::At),
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}
