//! How the receiver treats the next connections and requests, and the words that say so.

use std::time::Duration;

use crate::certificates::Shown;

/// What the receiver does; a change holds from the next connection or request on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// The answer to a request.
    pub answer: Answer,
    /// How the end of the body is marked.
    pub framing: Framing,
    /// Wait before answering.
    pub delay: Duration,
    /// Whether the answer is written one byte at a time.
    pub drip: bool,
    /// Whether the connection is closed after an answer that was meant to keep it.
    pub close: Close,
    /// The certificate shown to new connections.
    pub shown: Shown,
    /// Whether new connections get nothing newer than TLS 1.2.
    pub tls12_only: bool,
    /// What early data comes to.
    pub early: EarlyData,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This status, with a `Retry-After` or a `Location` where it has one.
    Status {
        /// HTTP status code.
        code: u16,
        /// Name and value of one more header.
        header: Option<(&'static str, String)>,
    },
    /// 2xx that is no acknowledgement: `"ok": false` in the body.
    NotOk,
    /// A page for a person, with this status; with 302 it has a `Location`. So does a captive portal.
    Page(u16),
    /// Nothing, ever.
    Hang,
    /// Half of an answer, then a TCP reset.
    Reset,
    /// Half of an answer, then an orderly close.
    HalfClose,
    /// Bytes that are no HTTP.
    Garbage,
    /// Headers of a mebibyte.
    LongHeaders,
    /// A body of a mebibyte.
    LongBody,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Status { code: 200, header: None }
    }
}

/// How the end of the body is marked (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `Content-Length`.
    #[default]
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The close of the connection.
    UntilClose,
}

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Close {
    /// It is kept for the next request.
    #[default]
    Keep,
    /// It is closed, and the answer says so.
    Told,
    /// It is closed, and the answer did not say so.
    Untold,
}

/// What early data comes to (RFC 8446 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyData {
    /// It is a request like any other.
    #[default]
    Accept,
    /// New connections do not read it.
    Reject,
    /// It is read and answered with 425 (RFC 8470 §5.2).
    TooEarly,
}

impl Behaviour {
    /// Follows one control line, for example `status 503 retry-after 5` or `certificate expired`.
    ///
    /// # Errors
    ///
    /// The words that are understood, if these are not.
    pub fn follow(&mut self, line: &str) -> Result<(), &'static str> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["ok"] => *self = Self::default(),
            ["status", code] => self.status(code, None)?,
            ["status", code, "retry-after", value @ ..] => {
                self.status(code, Some(("Retry-After", value.join(" "))))?;
            }
            ["redirect", to] => self.status("307", Some(("Location", (*to).to_owned())))?,
            ["not-ok"] => self.answer = Answer::NotOk,
            ["page", code] => self.answer = Answer::Page(code.parse().map_err(|_| USAGE)?),
            ["hang"] => self.answer = Answer::Hang,
            ["reset"] => self.answer = Answer::Reset,
            ["half-close"] => self.answer = Answer::HalfClose,
            ["garbage"] => self.answer = Answer::Garbage,
            ["long-headers"] => self.answer = Answer::LongHeaders,
            ["long-body"] => self.answer = Answer::LongBody,
            ["delay", ms] => self.delay = Duration::from_millis(ms.parse().map_err(|_| USAGE)?),
            ["drip", word] => self.drip = on_or_off(word)?,
            ["framing", "length"] => self.framing = Framing::Length,
            ["framing", "chunked"] => self.framing = Framing::Chunked,
            ["framing", "close"] => self.framing = Framing::UntilClose,
            ["close", "keep"] => self.close = Close::Keep,
            ["close", "told"] => self.close = Close::Told,
            ["close", "untold"] => self.close = Close::Untold,
            ["certificate", "good"] => self.shown = Shown::Good,
            ["certificate", "wrong-name"] => self.shown = Shown::WrongName,
            ["certificate", "recent"] => self.shown = Shown::Recent,
            ["certificate", "expired"] => self.shown = Shown::Expired,
            ["certificate", "not-yet-valid"] => self.shown = Shown::NotYetValid,
            ["certificate", "foreign"] => self.shown = Shown::Foreign,
            ["early-data", "accept"] => self.early = EarlyData::Accept,
            ["early-data", "reject"] => self.early = EarlyData::Reject,
            ["early-data", "too-early"] => self.early = EarlyData::TooEarly,
            ["tls12-only", word] => self.tls12_only = on_or_off(word)?,
            _ => return Err(USAGE),
        }
        Ok(())
    }

    fn status(
        &mut self,
        code: &str,
        header: Option<(&'static str, String)>,
    ) -> Result<(), &'static str> {
        let code = code.parse().map_err(|_| USAGE)?;
        self.answer = Answer::Status { code, header };
        Ok(())
    }
}

fn on_or_off(word: &str) -> Result<bool, &'static str> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(USAGE),
    }
}

/// What a control line can say.
pub const USAGE: &str = "\
ok                              everything as at the start
status N [retry-after VALUE]    answer with this status
redirect URL                    answer 307 with this location
not-ok                          answer 200 with ok: false
page N                          answer as a captive portal does, with HTML and this status
hang | reset | half-close       read and never answer; half an answer, then a reset or a close
garbage | long-headers | long-body
delay MS                        wait before answering
drip on|off                     one byte at a time
framing length|chunked|close    how the body ends
close keep|told|untold          what happens to the connection after an answer
certificate good|recent|wrong-name|expired|not-yet-valid|foreign
tls12-only on|off
early-data accept|reject|too-early";
