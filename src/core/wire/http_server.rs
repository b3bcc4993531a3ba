//! Requests of local clients to the status server, and response heads (RFC 9112).
//!
//! Each connection carries one request. It is answered as soon as the head is complete, and the
//! form of `/login` as soon as its body is. The parser also checks the origin of a request, because
//! any page shown by a browser on the camera's network may cause one. A foreign name in `Host` is
//! DNS rebinding, and a foreign name in `Origin` a cross-site request.

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

/// Longest request head, the request line included, in bytes.
pub const HEAD_MAX: usize = 4096;
/// Most header fields of a request.
pub const FIELDS_MAX: usize = 32;
/// Longest request body, in bytes. Only the body of `/login` is read, and only as much of it as the
/// request buffer holds after the head.
pub const BODY_MAX: usize = 1024;

/// A parsed request of a local client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path as sent, not percent-decoded: no path of the server needs an escape.
    pub path: &'a str,
    /// The query after the `?`; empty if there is none.
    pub query: &'a str,
    /// The value of `If-None-Match`, entity tags that the client has cached; empty if there is
    /// none.
    pub if_none_match: &'a str,
    /// Whether the client accepts gzip.
    pub takes_gzip: bool,
    /// The value of `Authorization`; empty if there is none.
    pub authorization: &'a str,
    /// The value of `Cookie`; empty if there is none.
    pub cookie: &'a str,
    /// Length of the body in bytes, at most [`BODY_MAX`].
    pub body_length: usize,
    /// The part of the body that has been received.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Whether the whole body has been received.
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
    /// Any other method.
    Other,
}

/// Parses a request to a server with these host `names`. `None` while the head is incomplete.
///
/// # Errors
///
/// A [`Refusal`] as soon as it is certain, even if the head is incomplete.
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

/// Whether a value of `Accept-Encoding` has gzip with a weight above zero (RFC 9110 §12.5.3).
fn takes_gzip(codings: &str) -> bool {
    codings.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let name = name.trim();
        let named = ["gzip", "x-gzip", "*"].iter().any(|known| name.eq_ignore_ascii_case(known));
        // RFC 9110 §12.4.2: a weight has at most three decimal places.
        named && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The length of the body. Refuses a body that cannot be bounded or is too long.
fn body_length(fields: &[Header<'_>]) -> Result<usize, Refusal> {
    if only(fields, "Transfer-Encoding")?.is_some() {
        return Err(Refusal::LengthRequired);
    }
    let Some(length) = only(fields, "Content-Length")? else { return Ok(0) };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    // A number that overflows is too large a body, too.
    length.parse().ok().filter(|length| *length <= BODY_MAX).ok_or(Refusal::BodyTooLarge)
}

/// The value of a field that may occur once at most.
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
