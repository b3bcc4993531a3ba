//! How a request for a beat ended: one line for the Unix socket, one JSON object for HTTP.

use core::fmt::{self, Display};
use core::time::Duration;

use serde::{Serialize, Serializer};

use super::date::Utc;
use super::json::Value;
use super::request::TooLarge;
use crate::proto::link::Name;

#[cfg(test)]
mod tests;

/// The word that ends a request for a beat. `Display` is the line of the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// A beat will be sent because of it.
    Set,
    /// A beat was going to be sent anyway.
    Pending,
    /// It is remembered, but no beat is sent before `until`.
    Held {
        /// Whether it is the first that is remembered.
        set: bool,
        /// Not sent earlier.
        until: Utc,
    },
    /// The same, for who wants to know the end of the beat and would wait too long for it.
    Later {
        /// Not sent earlier.
        until: Utc,
    },
    /// `enabled` is false: not remembered.
    Disabled,
    /// There is no server or no device key yet: not remembered.
    Unconfigured,
    /// The server acknowledged the beat that covers it.
    Acknowledged {
        /// Beat counter since start.
        seq: u64,
        /// HTTP status, 2xx.
        status: u16,
        /// From the event that asked for the beat to the answer.
        took: Duration,
        /// Uplink it went over.
        via: Option<Name>,
        /// The body of the answer, where it is JSON.
        answer: Option<Value<'a>>,
    },
    /// A round of attempts ended without an acknowledgement.
    Failed {
        /// Beat counter since start.
        seq: u64,
        /// What happened, in words.
        error: &'a str,
        /// When the same beat is tried again, if it is.
        retry_at: Option<Utc>,
    },
    /// It took too long for whoever asked; the beat is still wanted.
    GaveUp {
        /// The beat that was to cover it; `None` if not even that was said.
        seq: Option<u64>,
        /// How long was waited.
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
                write!(f, "seq {seq}, {status}, {} ms", took.as_millis())?;
                via.map_or(Ok(()), |via| write!(f, ", via {via}"))
            }
            Self::Failed { seq, error, retry_at } => {
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
    /// The status code of the answer to `POST /api/meeting/heartbeat`.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        if self.is_success() { 200 } else { 400 }
    }

    /// Writes the answer to `POST /api/meeting/heartbeat` into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small; its content is then worthless.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        let mut json = Json { success: self.is_success(), ..Json::default() };
        match self {
            Self::Set => json.set = Some(true),
            Self::Pending => json.set = Some(false),
            Self::Held { set, until } => {
                json.set = Some(*set);
                json.held_until = Some(*until);
            }
            Self::Acknowledged { status, answer, .. } => {
                json.data = Some(Verbatim(answer.as_ref().map_or("null", Value::raw)));
                json.status_code = Some(*status);
            }
            Self::Disabled => json.error = Some(&"disabled: enabled is false"),
            Self::Unconfigured => {
                json.error = Some(&"unconfigured: api_url or the device key is missing");
            }
            Self::Later { .. } | Self::Failed { .. } | Self::GaveUp { .. } => {
                json.error = Some(self);
            }
        }
        serde_json_core::to_slice(&json, buffer).map_err(|_| TooLarge)
    }

    const fn is_success(&self) -> bool {
        match self {
            Self::Set | Self::Pending | Self::Held { .. } | Self::Acknowledged { .. } => true,
            Self::Later { .. }
            | Self::Disabled
            | Self::Unconfigured
            | Self::Failed { .. }
            | Self::GaveUp { .. } => false,
        }
    }
}

/// Writes the answer to a request that is not served into `buffer` and returns its length.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then worthless.
pub fn emit_error(error: &dyn Display, buffer: &mut [u8]) -> Result<usize, TooLarge> {
    let json = Json { error: Some(error), ..Json::default() };
    serde_json_core::to_slice(&json, buffer).map_err(|_| TooLarge)
}

/// What is not said is absent.
#[derive(Default, Serialize)]
struct Json<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<bool>,
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    held_until: Option<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Verbatim<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    error: Option<&'a dyn Display>,
}

fn as_text<T: Display, S: Serializer>(field: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match field {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// JSON by itself.
struct Verbatim<'a>(&'a str);

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // serde-json-core writes bytes as they are.
        to.serialize_bytes(self.0.as_bytes())
    }
}
