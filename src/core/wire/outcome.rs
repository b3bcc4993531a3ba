//! The result of a request for a beat: one line for the Unix socket, one JSON object for HTTP.

use core::fmt::{self, Display};
use core::time::Duration;

use super::buffer::TooLarge;
use super::date::Utc;
use super::json::{self, Emitter, Object, Quoted, Value, Verbatim};
use super::request::{ApiUrl, Endpoint};
use crate::proto::link::InterfaceName;
use crate::proto::time::millis;

#[cfg(test)]
mod tests;

/// The request of a beat, its destination, and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The report that was written last, as JSON; empty if none was.
    pub report: &'a str,
    /// The server.
    pub url: &'a ApiUrl,
    /// The key of the device at the server.
    pub device_key: &'a str,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
}

/// The result of a request for a beat. `Display` is the line for the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A beat is sent because of the request.
    Set,
    /// A beat that was pending already covers the request.
    Pending,
    /// The request is kept, but no beat is sent before `until`.
    Held {
        /// Whether it is the first request that is kept.
        set: bool,
        /// The earliest time of the beat.
        until: Utc,
    },
    /// As `Held`, for a request with `--wait`: the result would come too late.
    Later {
        /// The earliest time of the beat.
        until: Utc,
    },
    /// `enabled` is false: the request is dropped.
    Disabled,
    /// There is no server or no device key yet: the request is dropped.
    Unconfigured,
    /// The server acknowledged the beat that covers the request.
    Acknowledged {
        /// Sequence number of the beat.
        seq: u64,
        /// HTTP status, 2xx.
        status: u16,
        /// Time from the event that caused the beat to the answer.
        took: Duration,
        /// Uplink of the beat.
        via: Option<InterfaceName>,
        /// Body of the answer, if it is JSON.
        answer: Option<Value<'a>>,
        /// The exchange that ended so.
        exchange: Option<Exchange<'a>>,
    },
    /// A round of attempts ended without an acknowledgement.
    Failed {
        /// Sequence number of the beat.
        seq: u64,
        /// The error, in words.
        error: &'a str,
        /// Time of the next attempt at the same beat, if there is one.
        retry_at: Option<Utc>,
        /// The exchange that ended so, as far as there was one.
        exchange: Option<Exchange<'a>>,
    },
    /// The result did not come in time; the beat stays pending.
    GaveUp {
        /// Counter of the beat that covers the request, if it is known.
        seq: Option<u64>,
        /// Time waited.
        after: Duration,
    },
}

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("set"),
            Self::Pending => f.write_str("pending"),
            Self::Held { until, .. } | Self::Later { until } => write!(f, "held until {until}"),
            Self::Disabled => f.write_str("disabled"),
            Self::Unconfigured => f.write_str("unconfigured"),
            Self::Acknowledged { seq, status, took, via, .. } => {
                write!(f, "seq {seq}, {status}, {} ms", millis(*took))?;
                via.map_or(Ok(()), |via| write!(f, ", via {via}"))
            }
            Self::Failed { seq, error, retry_at, .. } => {
                write!(f, "failed: seq {seq}, {error}")?;
                retry_at.map_or(Ok(()), |at| write!(f, ", next try at {at}"))
            }
            Self::GaveUp { seq, after } => {
                write!(f, "gave up after {} s", after.as_secs())?;
                seq.map_or(Ok(()), |seq| write!(f, ": seq {seq} is not answered yet"))
            }
        }
    }
}

impl Outcome<'_> {
    /// The HTTP status of the response to `POST /api/meeting/heartbeat`.
    pub const fn http_status(&self) -> u16 {
        if self.is_success() { 200 } else { 400 }
    }

    /// Writes the response to `POST /api/meeting/heartbeat` into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small; its content is then unspecified.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        json::emit(buffer, |json| self.members(json))
    }

    /// Writes the response to `POST /api/meeting/heartbeat/debug`, with the other response inside,
    /// into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small; its content is then unspecified.
    pub fn emit_debug(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        let exchange = match self {
            Self::Acknowledged { exchange, .. } | Self::Failed { exchange, .. } => *exchange,
            _ => None,
        };
        let report = exchange.map_or("", |exchange| exchange.report);
        json::emit(buffer, |json| {
            json.member("success", &self.is_success())
                .member("status_code", &exchange.and_then(|exchange| exchange.status))
                .member("payload_sent", &Verbatim(if report.is_empty() { "{}" } else { report }));
            if let Some(Exchange { url, device_key, .. }) = exchange {
                json.member("endpoint", &Quoted(Endpoint(device_key)))
                    .member("api_url", &Quoted(url));
            }
            json.member("response", &Object(|json| self.members(json)));
        })
    }

    fn members(&self, json: &mut Emitter<'_>) {
        json.member("success", &self.is_success());
        match self {
            Self::Set => json.member("set", &true),
            Self::Pending => json.member("set", &false),
            Self::Held { set, until } => {
                json.member("set", set).member("held_until", &Quoted(until))
            }
            Self::Acknowledged { status, answer, .. } => {
                let answer = answer.map(|answer| Verbatim(answer.raw()));
                json.member("data", &answer).member("status_code", status)
            }
            Self::Disabled => json.member("error", &"disabled: enabled is false"),
            Self::Unconfigured => {
                json.member("error", &"unconfigured: api_url or the device key is missing")
            }
            Self::Later { .. } | Self::Failed { .. } | Self::GaveUp { .. } => {
                json.member("error", &Quoted(self))
            }
        };
    }

    const fn is_success(&self) -> bool {
        matches!(self, Self::Set | Self::Pending | Self::Held { .. } | Self::Acknowledged { .. })
    }
}

/// Writes the response to a refused request into `buffer` and returns its length.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then unspecified.
pub fn emit_error(error: &dyn Display, buffer: &mut [u8]) -> Result<usize, TooLarge> {
    json::emit(buffer, |json| {
        json.member("success", &false).member("error", &Quoted(error));
    })
}
