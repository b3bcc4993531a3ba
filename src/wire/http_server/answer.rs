//! The head of an answer.

use core::fmt;

use super::login::COOKIE;

/// Room for the head of every answer, in bytes.
pub const ANSWER_HEAD_MAX: usize = 768;

/// What kind of body an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// Whether the body is compressed by gzip: for clients that can expand it.
    pub gzip: bool,
    /// The entity tag with its quotes, of a body that is the same for as long as the program is; no
    /// other body is kept by anybody.
    pub etag: Option<&'static str>,
    /// What a page may load and do: the value of `Content-Security-Policy`.
    pub policy: Option<&'static str>,
}

impl Content {
    /// The answers of the interface for programs.
    pub const JSON: Self =
        Self { media_type: "application/json", gzip: false, etag: None, policy: None };

    /// Whether a client that has bodies of `tags` has this one (RFC 9110 §13.1.2).
    #[must_use]
    pub fn is_known(&self, tags: &str) -> bool {
        // Weak comparison: what a proxy made of the body on the way does not matter.
        let has = |etag| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
        self.etag.is_some_and(|etag| tags.trim() == "*" || has(etag))
    }
}

/// A body that is part of the program.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub content: Content,
    /// Its bytes.
    pub body: &'static [u8],
}

/// The head of an answer, at most [`ANSWER_HEAD_MAX`] bytes as `Display` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHead<'a> {
    /// Status code.
    pub status: u16,
    /// What follows.
    pub content: Content,
    /// Length of the body in bytes, for `HEAD` of the body that is not sent.
    pub length: usize,
    /// What else the client has to know.
    pub extra: Extra<'a>,
}

/// What only some heads say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra<'a> {
    /// Nothing.
    Nothing,
    /// The methods that the path has, where the request had another.
    Allow(&'static str),
    /// That a token is asked for (RFC 6750 §3).
    Authenticate,
    /// When to come back, in seconds.
    RetryAfter(u64),
    /// Where to go.
    Location(&'static str),
    /// Where to go with this cookie, which no script sees and no other site's page makes a browser send.
    Session(&'a str, &'static str),
}

impl fmt::Display for AnswerHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content, length, extra } = self;
        // RFC 9110 §6.6.1: no `Date` from a clock that may not have been set since boot.
        write!(
            f,
            "HTTP/1.1 {status} {}\r\n\
             Connection: close\r\n\
             X-Content-Type-Options: nosniff\r\n",
            phrase(*status),
        )?;
        // RFC 9110 §15.4.5: what describes the body goes with the body.
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
            Extra::Session(session, path) => write!(
                f,
                "Location: {path}\r\n\
                 Set-Cookie: {COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict\r\n"
            )?,
        }
        f.write_str("\r\n")
    }
}

/// The words for people behind a status code (RFC 9110 §15); none for one that we never send.
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
