//! Requests of local clients to the status server, and the heads of its answers (RFC 9112).
//!
//! One request per connection, answered as soon as what is needed of it is there: for all but the
//! form of `/login` that is the head. Who asks is checked here as well, because a browser on the
//! camera's network may be made to ask by any page it shows: a name that is not the loopback's own
//! in `Host` is DNS rebinding, a foreign one in `Origin` a request of a foreign page.

use httparse::{EMPTY_HEADER, Header};

mod answer;
pub mod login;
mod refusal;
mod source;
#[cfg(test)]
mod tests;

pub use self::answer::{ANSWER_HEAD_MAX, AnswerHead, Content, Document, Extra};
pub use self::refusal::Refusal;
pub use self::source::Names;

/// Longest request line and fields together, in bytes.
pub const HEAD_MAX: usize = 4096;
/// Most fields of a request.
pub const FIELDS_MAX: usize = 32;
/// Longest body that is accepted, in bytes. Only that of `/login` is looked at, and only as much of
/// it as has room behind the head.
pub const BODY_MAX: usize = 1024;

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
    /// The value of `Authorization`; empty where there is none.
    pub authorization: &'a str,
    /// The value of `Cookie`; empty where there is none.
    pub cookie: &'a str,
    /// The length of the body.
    pub body_length: usize,
    /// What of the body is there.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Whether all of the body is there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.body.len() == self.body_length
    }
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

/// Parses a request to a server that answers to `names`; `None` while its head is not complete.
///
/// # Errors
///
/// [`Refusal`] as soon as it is certain, complete or not.
pub fn parse(bytes: &[u8], names: Names) -> Result<Option<Request<'_>>, Refusal> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    let head_length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::Malformed),
    };
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let fields = parsed.headers;
    let target = source::check(parsed.path.unwrap_or_default(), fields, names)?;
    let body_length = body_length(fields)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = |name| only(fields, name).map(Option::unwrap_or_default);
    let body = bytes.get(head_length..).unwrap_or_default();
    Ok(Some(Request {
        method,
        path,
        query,
        if_none_match: text("If-None-Match")?,
        takes_gzip: takes_gzip(text("Accept-Encoding")?),
        authorization: text("Authorization")?,
        cookie: text("Cookie")?,
        body_length,
        body: body.get(..body_length).unwrap_or(body),
    }))
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

/// The length of the body; refuses one that we would not read to its end.
fn body_length(fields: &[Header<'_>]) -> Result<usize, Refusal> {
    if only(fields, "Transfer-Encoding")?.is_some() {
        return Err(Refusal::LengthRequired);
    }
    let Some(length) = only(fields, "Content-Length")? else { return Ok(0) };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    // More digits than a number holds are a large body as well.
    length.parse().ok().filter(|length| *length <= BODY_MAX).ok_or(Refusal::BodyTooLarge)
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
