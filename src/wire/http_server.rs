//! Requests of local clients to the status server, and the heads of its answers (RFC 9112).
//!
//! One request per connection, answered as soon as its head is complete: whatever body follows is
//! not needed by anything we serve. Who asks is checked here as well, because a browser on the
//! camera's network may be made to ask by any page it shows: a name that is not the loopback's own
//! in `Host` is DNS rebinding, another one in `Origin` a request of a foreign page.

use core::fmt;
use core::net::Ipv4Addr;

use httparse::{EMPTY_HEADER, Header};

#[cfg(test)]
mod tests;

/// Longest request line and fields together, in bytes.
pub const HEAD_MAX: usize = 4096;
/// Most fields of a request.
pub const FIELDS_MAX: usize = 32;
/// Longest body that is accepted, in bytes; it is not looked at.
pub const BODY_MAX: u64 = 1024;
/// Room for the head of every answer, in bytes.
pub const ANSWER_HEAD_MAX: usize = 256;

/// A request that a local client may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// The path, as it was sent: nothing we serve needs a percent-encoding.
    pub path: &'a str,
    /// What follows the `?`; empty where there is none.
    pub query: &'a str,
}

/// A method of RFC 9110 §9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// Any other.
    Other,
}

/// Why a request is not served. `Display` says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP/1.x, no `Host`, or a length that is none.
    Malformed,
    /// `Host` or `Origin` is not the loopback's own.
    Foreign,
    /// There is nothing at this path.
    NotFound,
    /// The path has no such method, but these (RFC 9110 §10.2.1).
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// The head did not come in time.
    TimedOut,
    /// The body has no `Content-Length`.
    LengthRequired,
    /// The body is longer than [`BODY_MAX`].
    BodyTooLarge,
    /// The head is longer than [`HEAD_MAX`], or has more than [`FIELDS_MAX`] fields.
    HeadTooLarge,
    /// As many wait for the end of a beat as may.
    Crowded,
}

impl Refusal {
    /// The status code of the answer (RFC 9110 §15.5 and §15.6, RFC 6585 §5).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Foreign => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::TimedOut => 408,
            Self::LengthRequired => 411,
            Self::BodyTooLarge => 413,
            Self::HeadTooLarge => 431,
            Self::Crowded => 503,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not an HTTP/1.1 request with one Host field"),
            Self::Foreign => f.write_str(
                "Host, and Origin where there is one, must name localhost, 127.0.0.1 or [::1]",
            ),
            Self::NotFound => f.write_str("not found: the status is at /api/meeting/status"),
            Self::MethodNotAllowed { allow } => write!(f, "method not allowed: use {allow}"),
            Self::TimedOut => f.write_str("the request did not come in time"),
            Self::LengthRequired => f.write_str("a body must have a Content-Length"),
            Self::BodyTooLarge => write!(f, "a body may have {BODY_MAX} bytes"),
            Self::HeadTooLarge => {
                write!(f, "a head may have {HEAD_MAX} bytes and {FIELDS_MAX} fields")
            }
            Self::Crowded => {
                f.write_str("too many wait for the end of a beat: ask with ?wait=0, or later")
            }
        }
    }
}

/// Parses the head of a request; `None` while it is not complete.
///
/// # Errors
///
/// [`Refusal`] as soon as it is certain, complete or not.
pub fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => {}
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::Malformed),
    }
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let target = parsed.path.unwrap_or_default();
    let target = check_source(target, parsed.headers)?;
    check_body(parsed.headers)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Request { method, path, query }))
}

/// Refuses who must not ask, and returns the target without the scheme and host it may begin with.
fn check_source<'a>(target: &'a str, fields: &[Header<'_>]) -> Result<&'a str, Refusal> {
    // RFC 9112 §3.2: none or several are malformed, from HTTP/1.1 on. No client of today lacks it.
    let host = only(fields, "Host")?.ok_or(Refusal::Malformed)?;
    let origin = only(fields, "Origin")?;
    // RFC 9112 §3.2.2: a proxy's form of the target, whose host counts instead of `Host`.
    let (named, target) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (host, target),
    };
    let own_page = origin.is_none_or(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(is_loopback)
    });
    if is_loopback(host) && is_loopback(named) && own_page {
        Ok(target)
    } else {
        Err(Refusal::Foreign)
    }
}

/// Refuses a body that we would not read to its end.
fn check_body(fields: &[Header<'_>]) -> Result<(), Refusal> {
    if only(fields, "Transfer-Encoding")?.is_some() {
        return Err(Refusal::LengthRequired);
    }
    let Some(length) = only(fields, "Content-Length")? else { return Ok(()) };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    // More digits than a number holds are a large body as well.
    match length.parse::<u64>() {
        Ok(0..=BODY_MAX) => Ok(()),
        _ => Err(Refusal::BodyTooLarge),
    }
}

/// The value of a field that may occur once.
fn only<'a>(fields: &[Header<'a>], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(field), None) => {
            core::str::from_utf8(field.value).map(Some).map_err(|_| Refusal::Malformed)
        }
        (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

/// Whether `authority` is `localhost` or a loopback address, with any port, so that a tunnel works.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.eq_ignore_ascii_case("localhost") || host == "[::1]" || v4())
}

/// The head of an answer, at most [`ANSWER_HEAD_MAX`] bytes as `Display` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHead {
    /// Status code.
    pub status: u16,
    /// Length of the body in bytes, for `HEAD` of the body that is not sent.
    pub length: usize,
    /// The methods that the path has, where the request had another.
    pub allow: Option<&'static str>,
}

impl fmt::Display for AnswerHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, length, allow } = self;
        // RFC 9110 §6.6.1: no `Date` from a clock that may not have been set since boot.
        write!(
            f,
            "HTTP/1.1 {status} {}\r\n\
             Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\
             Connection: close\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n",
            phrase(*status),
        )?;
        if let Some(allow) = allow {
            write!(f, "Allow: {allow}\r\n")?;
        }
        f.write_str("\r\n")
    }
}

/// The words for people behind a status code (RFC 9110 §15); none for one that we never send.
const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}
