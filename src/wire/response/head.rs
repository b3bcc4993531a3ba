//! The head of an answer: status, framing of the body, and the few fields that decide something.

use heapless::String;

use super::body::Body;
use super::{FIELDS_MAX, LOCATION_MAX};
use crate::proto::event::Failure;
use crate::wire::date::Utc;

/// The media types of pages for people.
const PAGES: [&str; 2] = ["text/html", "application/xhtml+xml"];

/// When to come again (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy)]
pub(super) enum RetryAfter {
    /// After so many seconds.
    Seconds(u64),
    /// At this time of the server.
    At(Utc),
}

/// What a head says.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: u16,
    /// How the end of the body is told.
    pub(super) body: Body,
    /// Whether the server lets the connection carry another request (RFC 9112 §9.3).
    pub(super) persistent: bool,
    pub(super) retry_after: Option<RetryAfter>,
    /// The server's clock.
    pub(super) date: Option<Utc>,
    /// Whether the body is said to be a page for people.
    pub(super) page: bool,
    /// Printable and without query; empty unless this is a redirect.
    pub(super) location: String<LOCATION_MAX>,
}

impl Head {
    /// No answer yet.
    pub(super) const fn new() -> Self {
        Self {
            status: 0,
            body: Body::UntilClose,
            persistent: false,
            retry_after: None,
            date: None,
            page: false,
            location: String::new(),
        }
    }

    /// Parses `bytes`, which end with the first blank line.
    ///
    /// Fields that are not as RFC 9112 §5 has them cost the connection its reuse, not the answer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let strict = httparse::ParserConfig::default();
        let mut lenient = strict.clone();
        lenient
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true);
        if let Some(head) = Self::parse_as(&strict, bytes)? {
            return Ok(head);
        }
        match Self::parse_as(&lenient, bytes)? {
            Some(head) => Ok(Self { persistent: false, ..head }),
            None => Self::parse_status(bytes),
        }
    }

    /// Takes the status line alone, of a head that is too long or cannot be read.
    pub(super) fn parse_status(bytes: &[u8]) -> Result<Self, Failure> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let mut parsed = httparse::Response::new(&mut []);
        match parsed.parse(bytes.get(..end).unwrap_or_default()) {
            Ok(_) => Ok(Self { status: status(&parsed)?, body: Body::Unknown, ..Self::new() }),
            Err(_) => Err(Failure::Malformed),
        }
    }

    /// `None` if the fields cannot be read in this way.
    fn parse_as(config: &httparse::ParserConfig, bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let complete = config.parse_response(&mut parsed, bytes).is_ok_and(|it| it.is_complete());
        let mut head = Self { status: status(&parsed)?, ..Self::new() };
        if !complete {
            return Ok(None);
        }
        let is_http_1_1 = parsed.version == Some(1);
        let fields = Fields(parsed.headers);
        head.persistent = if is_http_1_1 {
            !fields.list("connection").any(|option| option.eq_ignore_ascii_case("close"))
        } else {
            fields.list("connection").any(|option| option.eq_ignore_ascii_case("keep-alive"))
        };
        head.frame(&fields, is_http_1_1);
        head.date = fields.first("date").and_then(Utc::parse_http);
        head.retry_after = fields.first("retry-after").and_then(parse_retry_after);
        if (300..400).contains(&head.status) {
            head.keep_location(fields.first("location").unwrap_or_default());
        }
        let media_type = fields.first("content-type").and_then(|value| value.split(';').next());
        let media_type = media_type.unwrap_or_default().trim_ascii();
        head.page = PAGES.iter().any(|page| media_type.eq_ignore_ascii_case(page));
        Ok(Some(head))
    }

    /// Decides where the body ends (RFC 9112 §6.3).
    fn frame(&mut self, fields: &Fields<'_>, is_http_1_1: bool) {
        let length = parse_length(fields);
        let coding = fields.list("transfer-encoding").filter(|coding| !coding.is_empty()).last();
        self.body = match (coding, length) {
            _ if matches!(self.status, 100..200 | 204 | 304) => Body::Length(0),
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Body::CHUNKED,
            (Some(_), _) | (None, None) => Body::UntilClose,
            (None, Some(length)) => length,
        };
        // RFC 9112 §6.1 and §6.3: the coding wins over a length, and over HTTP/1.0, which does not
        // know it; but where two readers may disagree, nothing more is read from the connection.
        if coding.is_some() && (length.is_some() || !is_http_1_1) {
            self.persistent = false;
        }
    }

    /// Keeps what is safe to print of a redirect target; a query may hold a secret.
    fn keep_location(&mut self, location: &str) {
        let shown = |c: &char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
        for c in location.chars().take_while(shown).take(LOCATION_MAX) {
            self.location.push(c).expect("LOCATION_MAX ASCII characters fit");
        }
    }
}

/// The status of an answer, however little else is known of it.
fn status(parsed: &httparse::Response<'_, '_>) -> Result<u16, Failure> {
    match parsed.code {
        // RFC 9110 §15.2.2: nobody asked for another protocol.
        None | Some(..=99 | 101) => Err(Failure::Malformed),
        Some(status) => Ok(status),
    }
}

/// The one length that all `Content-Length` fields agree on (RFC 9112 §6.3); `None` without any.
fn parse_length(fields: &Fields<'_>) -> Option<Body> {
    let mut agreed = None;
    for text in fields.list("content-length") {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Body::Unknown);
        }
        // Digits fail to parse only by being too many: such a body is over every limit.
        let length = text.parse().unwrap_or(usize::MAX);
        if agreed.is_some_and(|agreed| agreed != length) {
            return Some(Body::Unknown);
        }
        agreed = Some(length);
    }
    agreed.map(Body::Length)
}

fn parse_retry_after(text: &str) -> Option<RetryAfter> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(RetryAfter::Seconds(text.parse().unwrap_or(u64::MAX)));
    }
    Utc::parse_http(text).map(RetryAfter::At)
}

/// The fields of a head.
struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// The values of all fields called `name`; one that is not UTF-8 reads as one character that
    /// no field may have.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        let text =
            |field: &httparse::Header<'a>| core::str::from_utf8(field.value).unwrap_or("\u{fffd}");
        self.0.iter().filter(named).map(text)
    }

    fn first(&self, name: &'static str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The members of a comma-separated list, over all fields called `name` (RFC 9110 §5.6.1).
    fn list(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim_ascii)
    }
}
