//! Refused requests.

use core::fmt;

use super::{BODY_MAX, Extra, FIELDS_MAX, HEAD_MAX};

/// Why a request is refused. `Display` explains how to correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP/1.x, no `Host`, or an invalid length.
    Malformed,
    /// Neither the token nor a valid session cookie.
    Unauthorized,
    /// `Host` or `Origin` does not name the loopback.
    Foreign,
    /// `Origin` is a page of another host.
    OtherPage,
    /// The path does not exist.
    NotFound,
    /// The path does not support the method (RFC 9110 §10.2.1).
    MethodNotAllowed {
        /// The value of `Allow`: the methods that the path supports.
        allow: &'static str,
    },
    /// The client does not accept gzip, and the body exists in that form only.
    NotAcceptable,
    /// The request was not complete before its deadline.
    TimedOut,
    /// The body has no `Content-Length`.
    LengthRequired,
    /// The body is longer than [`BODY_MAX`].
    BodyTooLarge,
    /// The head is longer than [`HEAD_MAX`], or has more than [`FIELDS_MAX`] fields.
    HeadTooLarge,
    /// The client sent too many wrong tokens.
    TooManyGuesses {
        /// Seconds until the next token is checked.
        wait_s: u64,
    },
    /// The kernel cannot provide random numbers for a cookie yet.
    NoEntropy,
    /// Too many clients are waiting for the end of a beat.
    Crowded,
}

impl Refusal {
    /// The status code of the answer (RFC 9110 §15.5 and §15.6, RFC 6585 §4 and §5).
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthorized => 401,
            Self::Foreign | Self::OtherPage => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::NotAcceptable => 406,
            Self::TimedOut => 408,
            Self::LengthRequired => 411,
            Self::BodyTooLarge => 413,
            Self::TooManyGuesses { .. } => 429,
            Self::HeadTooLarge => 431,
            Self::NoEntropy | Self::Crowded => 503,
        }
    }

    /// The header fields that this refusal adds to the response.
    pub const fn extra(self) -> Extra<'static> {
        match self {
            Self::Unauthorized => Extra::Authenticate,
            Self::MethodNotAllowed { allow } => Extra::Allow(allow),
            Self::TooManyGuesses { wait_s } => Extra::RetryAfter(wait_s),
            _ => Extra::Nothing,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not an HTTP/1.1 request with one Host field"),
            Self::Foreign => {
                f.write_str("the fields Host and Origin must name localhost, 127.0.0.1 or [::1]")
            }
            Self::Unauthorized => f.write_str(
                "send Authorization: Bearer and the status_token of the configuration, or log in \
                 at /login",
            ),
            Self::OtherPage => f.write_str("a page of another host may not ask"),
            Self::NotFound => f.write_str("not found: the status is at /api/meeting/status"),
            Self::MethodNotAllowed { allow } => write!(f, "method not allowed: use {allow}"),
            Self::NotAcceptable => f.write_str(
                "there is no other form than gzip: ask with Accept-Encoding: gzip, as \
                 `curl --compressed` does",
            ),
            Self::TimedOut => f.write_str("the request did not come in time"),
            Self::LengthRequired => f.write_str("a body must have a Content-Length"),
            Self::BodyTooLarge => write!(f, "a body may have {BODY_MAX} bytes"),
            Self::HeadTooLarge => {
                write!(f, "a head may have {HEAD_MAX} bytes and {FIELDS_MAX} fields")
            }
            Self::TooManyGuesses { wait_s } => {
                write!(f, "too many wrong tokens: wait {wait_s} s")
            }
            Self::NoEntropy => f.write_str("no random number yet: try again in a second"),
            Self::Crowded => {
                f.write_str("too many wait for the end of a beat: ask with ?wait=0, or later")
            }
        }
    }
}
