//! Requests of local clients to the status server, and the heads of its answers (RFC 9112).
//!
//! One request per connection, answered as soon as its head is complete: whatever body follows is
//! not needed by anything we serve. Who asks is checked here as well, because a browser on the
//! camera's network may be made to ask by any page it shows: a name that is not the loopback's own
//! in `Host` is DNS rebinding, another one in `Origin` a request of a foreign page.

use httparse::{EMPTY_HEADER, Header};

mod answer;
mod refusal;
mod source;
#[cfg(test)]
mod tests;

pub use self::answer::{ANSWER_HEAD_MAX, AnswerHead, Content, Document};
pub use self::refusal::Refusal;

/// Longest request line and fields together, in bytes.
pub const HEAD_MAX: usize = 4096;
/// Most fields of a request.
pub const FIELDS_MAX: usize = 32;
/// Longest body that is accepted, in bytes; it is not looked at.
pub const BODY_MAX: u64 = 1024;

/// A request that a local client may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// The path, as it was sent: nothing we serve needs a percent-encoding.
    pub path: &'a str,
    /// What follows the `?`; empty where there is none.
    pub query: &'a str,
    /// The entity tags that the client has a body for; empty where there are none.
    pub if_none_match: &'a str,
    /// Whether the client says that it can expand gzip.
    pub takes_gzip: bool,
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
    let target = source::check(target, parsed.headers)?;
    check_body(parsed.headers)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let if_none_match = only(parsed.headers, "If-None-Match")?.unwrap_or_default();
    let takes_gzip = takes_gzip(only(parsed.headers, "Accept-Encoding")?.unwrap_or_default());
    Ok(Some(Request { method, path, query, if_none_match, takes_gzip }))
}

/// Whether a value of `Accept-Encoding` has gzip (RFC 9110 §12.5.3), and with a weight above zero.
fn takes_gzip(codings: &str) -> bool {
    codings.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let name = name.trim();
        let named = ["gzip", "x-gzip", "*"].iter().any(|known| name.eq_ignore_ascii_case(known));
        // RFC 9110 §12.4.2: at most three digits follow the point.
        named && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
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
