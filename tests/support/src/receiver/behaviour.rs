//! How the receiver treats the next connections and requests, and the control lines that set it.

use std::time::Duration;

use crate::certificates::Shown;

/// The behaviour of the receiver. A change takes effect with the next connection or request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// The answer to a request.
    pub answer: Answer,
    /// The value of `interval_s` in the body of every 2xx answer, as JSON.
    pub interval: Option<String>,
    /// How the end of the body is marked.
    pub framing: Framing,
    /// The delay of the answer.
    pub delay: Duration,
    /// Whether the answer is written one byte at a time.
    pub drip: bool,
    /// What happens to the connection after an answer.
    pub close: Close,
    /// The certificate presented to new connections.
    pub shown: Shown,
    /// Whether new connections are limited to TLS 1.2.
    pub tls12_only: bool,
    /// What happens to early data.
    pub early: EarlyData,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This status, optionally with a `Retry-After` or a `Location`.
    Status {
        /// HTTP status code.
        code: u16,
        /// Name and value of an additional header.
        header: Option<(&'static str, String)>,
    },
    /// A 2xx status that is no acknowledgement: `"ok": false` in the body.
    NotOk,
    /// An HTML page with this status, like that of a captive portal; 302 also has a `Location`.
    Page(u16),
    /// No answer at all.
    Hang,
    /// Half of an answer, then a TCP reset.
    Reset,
    /// Half of an answer, then an orderly close.
    HalfClose,
    /// Bytes that are not HTTP.
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
    /// It stays open for the next request.
    #[default]
    Keep,
    /// It is closed, and the answer announces that.
    Announced,
    /// It is closed without an announcement in the answer.
    Silent,
}

/// What happens to early data (RFC 8446 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyData {
    /// It is accepted as a normal request.
    #[default]
    Accept,
    /// New connections reject it.
    Reject,
    /// It is accepted and answered with 425 (RFC 8470 §5.2).
    TooEarly,
}

impl Behaviour {
    /// Follows one control line, for example `status 503 retry-after 5` or `certificate expired`.
    ///
    /// # Errors
    ///
    /// The known control lines, if this one is unknown.
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
            ["interval", value] => self.interval = Some((*value).to_owned()),
            ["delay", ms] => self.delay = Duration::from_millis(ms.parse().map_err(|_| USAGE)?),
            ["drip", word] => self.drip = on_or_off(word)?,
            ["framing", "length"] => self.framing = Framing::Length,
            ["framing", "chunked"] => self.framing = Framing::Chunked,
            ["framing", "close"] => self.framing = Framing::UntilClose,
            ["close", "keep"] => self.close = Close::Keep,
            ["close", "announced"] => self.close = Close::Announced,
            ["close", "silent"] => self.close = Close::Silent,
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

/// The known control lines.
pub const USAGE: &str = "\
ok                              reset everything
status N [retry-after VALUE]    answer with this status
redirect URL                    answer 307 with this location
not-ok                          answer 200 with ok: false
page N                          answer like a captive portal, with HTML and this status
hang | reset | half-close       read and never answer; half an answer, then a reset or a close
garbage | long-headers | long-body
interval VALUE                  interval_s in the body of every 2xx answer, as JSON
delay MS                        wait before answering
drip on|off                     one byte at a time
framing length|chunked|close    how the end of the body is marked
close keep|announced|silent     what happens to the connection after an answer
certificate good|recent|wrong-name|expired|not-yet-valid|foreign
tls12-only on|off
early-data accept|reject|too-early";
