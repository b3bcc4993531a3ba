//! The head of a response.

use core::fmt;

use super::login::COOKIE;

/// Longest response head, in bytes.
pub const ANSWER_HEAD_MAX: usize = 768;

/// Content type, encoding and caching of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// Whether the body is compressed with gzip.
    pub gzip: bool,
    /// The entity tag with its quotes, for a body that only changes with the program. A body
    /// without one is not cached.
    pub etag: Option<&'static str>,
    /// The value of `Content-Security-Policy`.
    pub policy: Option<&'static str>,
}

impl Content {
    /// The responses of the JSON interface.
    pub const JSON: Self =
        Self { media_type: "application/json", gzip: false, etag: None, policy: None };

    /// Whether this body is among the cached ones of a client that sent `tags` in `If-None-Match`
    /// (RFC 9110 §13.1.2).
    pub fn is_known(&self, tags: &str) -> bool {
        // Weak comparison: a proxy may have re-encoded the body.
        let has = |etag| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
        self.etag.is_some_and(|etag| tags.trim() == "*" || has(etag))
    }
}

/// A body that is compiled into the program.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Content type, encoding and caching.
    pub content: Content,
    /// The bytes of the body, compressed if `content.gzip` is set.
    pub body: &'static [u8],
}

/// The head of a response. `Display` writes at most [`ANSWER_HEAD_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHead<'a> {
    /// Status code.
    pub status: u16,
    /// Content type, encoding and caching of the body.
    pub content: Content,
    /// Length of the body in bytes; for `HEAD` that of the body which is not sent.
    pub length: usize,
    /// Further fields.
    pub extra: Extra<'a>,
}

/// Header fields that only some responses have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra<'a> {
    /// No further field.
    Nothing,
    /// `Allow`: the methods of the path.
    Allow(&'static str),
    /// `WWW-Authenticate`: a token is required (RFC 6750 §3).
    Authenticate,
    /// `Retry-After`, in seconds.
    RetryAfter(u64),
    /// `Location`.
    Location(&'static str),
    /// `Set-Cookie`, and `Location`. The cookie is hidden from scripts and not sent with requests
    /// from pages of other sites.
    Cookie {
        /// The port of the server, which its name ends in.
        port: u16,
        /// The value of the cookie.
        value: &'a str,
        /// How long the browser keeps it, in seconds; 0 has it removed.
        max_age_s: u64,
        /// The path that the browser is sent to.
        location: &'static str,
    },
}

impl fmt::Display for AnswerHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content, length, extra } = self;
        // RFC 9110 §6.6.1: no `Date`, because the clock may not have been set since boot.
        write!(
            f,
            "HTTP/1.1 {status} {}\r\n\
             Connection: close\r\n\
             X-Content-Type-Options: nosniff\r\n",
            phrase(*status),
        )?;
        // RFC 9110 §15.4.5: 304 has no fields that describe the body.
        if *status != 304 {
            write!(
                f,
                "Content-Type: {}\r\n\
                 Content-Length: {length}\r\n",
                content.media_type
            )?;
            if content.gzip {
                f.write_str("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n")?;
            }
        }
        match content.etag {
            Some(etag) => write!(f, "Cache-Control: no-cache\r\nETag: {etag}\r\n")?,
            None => f.write_str("Cache-Control: no-store\r\n")?,
        }
        if let Some(policy) = content.policy {
            write!(f, "Content-Security-Policy: {policy}\r\n")?;
        }
        match extra {
            Extra::Nothing => {}
            Extra::Allow(methods) => write!(f, "Allow: {methods}\r\n")?,
            Extra::Authenticate => {
                f.write_str("WWW-Authenticate: Bearer realm=\"linkbeat\"\r\n")?;
            }
            Extra::RetryAfter(seconds) => write!(f, "Retry-After: {seconds}\r\n")?,
            Extra::Location(path) => write!(f, "Location: {path}\r\n")?,
            Extra::Cookie { port, value, max_age_s, location } => write!(
                f,
                "Location: {location}\r\n\
                 Set-Cookie: {COOKIE}{port}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; \
                 SameSite=Strict\r\n"
            )?,
        }
        f.write_str("\r\n")
    }
}

/// The reason phrase of a status code (RFC 9110 §15); empty for codes that are never sent.
const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}
