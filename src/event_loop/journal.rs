//! What the agent's notes become for people: log lines, and the last things known for status.
//!
//! The lines in brackets are part of the contract (WIRE.md §6): scripts look for them. A state is
//! logged when it changes; a failure that repeats itself is counted and told at debug.

use core::fmt;
use core::fmt::Write as _;
use core::time::Duration;

use heapless::{String, Vec};

use crate::proto::event::{Failure, Note, Reason, Stamps, TlsFailure};
use crate::proto::history::History;
use crate::proto::link::Name;
use crate::proto::time::Instant;
use crate::status::network::{FailedPath, LinksLeftOut};

/// Longest answer of the server that status shows, in bytes.
pub(super) const ANSWER_MAX: usize = 1024;
/// Longest text of an error, in bytes; longer ones are cut.
pub(super) const ERROR_MAX: usize = 256;

/// The last beat the server acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Delivered {
    /// Beat counter since start.
    pub(super) seq: u64,
    /// Why it was sent.
    pub(super) reason: Reason,
    /// The uplink it went over.
    pub(super) via: Option<Name>,
    /// HTTP status.
    pub(super) status: u16,
    /// Its steps.
    pub(super) stamps: Stamps,
}

/// The last things that happened.
#[derive(Debug)]
pub(super) struct Journal {
    /// The last acknowledged beat.
    pub(super) delivered: Option<Delivered>,
    /// The server's last answer, JSON as received.
    pub(super) answer: Vec<u8, ANSWER_MAX>,
    /// Why the last beat failed; empty after an acknowledgement.
    pub(super) error: String<ERROR_MAX>,
    /// What TLS or the server said beside the failure; taken by the next failure told.
    pub(super) detail: String<ERROR_MAX>,
    /// Beats acknowledged since start.
    pub(super) acknowledged: u64,
    /// When beats last began to be acknowledged or to fail, after the opposite or after start.
    pub(super) turned_at: Option<Instant>,
    /// What came to pass before.
    pub(super) history: Box<History>,
}

impl Journal {
    /// An empty one, for a run of the agent that `run` tells from every other.
    pub(super) fn new(run: u64) -> Self {
        Self {
            delivered: None,
            answer: Vec::new(),
            error: String::new(),
            detail: String::new(),
            acknowledged: 0,
            turned_at: None,
            history: Box::new(History::new(run)),
        }
    }

    /// Takes a note of the core, logs it, and remembers it.
    pub(super) fn record(&mut self, note: &Note, now: Instant) {
        self.history.record(note, now);
        match note {
            Note::UplinkChanged { from, to, lost } => uplink_changed(*from, *to, *lost),
            Note::UplinkRenamed { from, to } => log::info!("[Network] {from} is called {to} now"),
            Note::NetworkChanged(reason) => {
                log::info!("[Network] Triggering immediate heartbeat: {reason}");
            }
            Note::GatewayBack(uplink) => {
                log::info!("[Network] The gateway of {uplink} answers again")
            }
            Note::PathFailed { via, family, instead } => {
                let (via, family, instead) = (*via, *family, *instead);
                log::info!("[Failover] {}", FailedPath { via, family, instead });
            }
            Note::LinksLeftOut => log::warn!("[Network] {LinksLeftOut}"),
            Note::ServiceLost(name) => log::warn!("[Watch] {name} does not answer"),
            Note::ServiceRecovered(name) => log::info!("[Watch] {name} answers again"),
            Note::ConnectivityLost => log::info!("[Meeting] Connectivity lost"),
            Note::ConnectivityRestored => {
                log::info!("[Meeting] Connectivity restored, sending immediate heartbeat");
            }
            Note::TriggerSet => log::info!("[Meeting] Immediate heartbeat triggered by event"),
            Note::TriggerMerged => {}
            Note::BeatAcknowledged { seq, reason, via, status, stamps, recovered, .. } => {
                if *recovered {
                    self.turned_at = Some(now);
                }
                self.acknowledged += 1;
                self.error.clear();
                self.detail.clear();
                let quiet = *reason == Reason::Interval && !recovered;
                let level = if quiet { log::Level::Debug } else { log::Level::Info };
                let delivered = Delivered {
                    seq: *seq,
                    reason: reason.clone(),
                    via: *via,
                    status: *status,
                    stamps: *stamps,
                };
                log::log!(level, "[Meeting] Heartbeat sent: {delivered}");
                self.delivered = Some(delivered);
            }
            Note::BeatFailed { seq, reason, failure, retry_at, news, .. } => {
                if self.error.is_empty() {
                    self.turned_at = Some(now);
                }
                self.error.clear();
                // A text too long for the buffer is cut where it is full: nothing to act on.
                let cut = write!(
                    Cut(&mut self.error),
                    "{}",
                    Told { failure: *failure, detail: &self.detail }
                );
                debug_assert!(cut.is_ok(), "Cut never fails");
                self.detail.clear();
                let level = if *news { log::Level::Warn } else { log::Level::Debug };
                let next = Next { retry_at: *retry_at, now };
                log::log!(
                    level,
                    "[Meeting] Heartbeat failed: {} (seq {seq}, {reason}); {next}",
                    self.error
                );
            }
        }
    }

    /// Remembers words about a failure that the core will tell of.
    pub(super) fn remark(&mut self, words: impl fmt::Display) {
        self.detail.clear();
        let cut = write!(Cut(&mut self.detail), "{words}");
        debug_assert!(cut.is_ok(), "Cut never fails");
    }

    /// Remembers the server's answer, if it is short enough to be shown and no `secret`.
    pub(super) fn keep_answer(&mut self, json: &[u8], secret: impl Fn(&str) -> bool) {
        self.answer.clear();
        if str::from_utf8(json).is_ok_and(secret) {
            log::debug!("the server's answer repeats the token and is not shown");
        } else if self.answer.extend_from_slice(json).is_err() {
            log::debug!("the server's answer of {} bytes is too long to be shown", json.len());
        }
    }
}

fn uplink_changed(from: Option<Name>, to: Option<Name>, lost: bool) {
    if let Some(from) = from.filter(|_| lost) {
        log::info!("[Failover] {from} disconnected");
    }
    match to {
        Some(to) => log::info!("[Failover] {to} is the uplink now"),
        None => log::warn!("[Failover] no usable uplink is left"),
    }
}

impl fmt::Display for Delivered {
    /// Number, reason, way and the steps in milliseconds since the event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, reason, status, stamps, .. } = self;
        write!(f, "seq {seq}, {reason}, {status}")?;
        if let Some(via) = self.via {
            write!(f, ", via {via}")?;
        }
        let since = |at: Instant| Millis(at - stamps.event_at);
        write!(
            f,
            ", {} ms (usable {}, resolved {}, connected {}, secured {}, written {})",
            since(stamps.replied_at),
            since(stamps.usable_at),
            since(stamps.resolved_at),
            since(stamps.connected_at),
            since(stamps.secured_at),
            since(stamps.written_at),
        )
    }
}

/// A duration in milliseconds with one decimal.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_micros() + 50) / 100;
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

struct Next {
    retry_at: Option<Instant>,
    now: Instant,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_at {
            Some(at) => write!(f, "again in {} ms", (at - self.now).as_millis()),
            None => f.write_str("the answer is final, the cycle goes on"),
        }
    }
}

/// A failure in words, with what is known beside it.
struct Told<'a> {
    failure: Failure,
    detail: &'a str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(words(self.failure))?;
        match self.failure {
            Failure::Status(status) => write!(f, " {status}{}", advice(status))?,
            Failure::Portal(status) => write!(f, " (HTTP {status})")?,
            _ => {}
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// What happened, for a person.
const fn words(failure: Failure) -> &'static str {
    match failure {
        Failure::Refused => "connection refused",
        Failure::Unreachable => "server unreachable",
        Failure::TimedOut => "no answer in time",
        Failure::Reset => "connection reset",
        Failure::Closed => "connection closed before the answer was complete",
        Failure::NoInterface => "the interface or its address is gone",
        Failure::Denied => "the kernel or a local firewall forbids the connection",
        Failure::Exhausted => "no descriptor, port or memory left",
        Failure::Tls(TlsFailure::NotYetValid) => {
            "TLS: the certificate is not yet valid; is the clock right?"
        }
        Failure::Tls(TlsFailure::Expired) => {
            "TLS: the certificate has expired; is the clock right?"
        }
        Failure::Tls(TlsFailure::WrongName) => "TLS: the certificate is for another name",
        Failure::Tls(TlsFailure::UnknownIssuer) => {
            "TLS: the certificate comes from an unknown authority; a private one is named by tls.ca_file"
        }
        Failure::Tls(TlsFailure::BadCertificate) => "TLS: the certificate is not acceptable",
        Failure::Tls(TlsFailure::RefusedByServer) => "TLS: the server refused the connection",
        Failure::Tls(TlsFailure::ClientCertificateWanted) => {
            "TLS: the server wants a client certificate (tls.client_cert, tls.client_key)"
        }
        Failure::Tls(TlsFailure::ClientCertificateRefused) => {
            "TLS: the server does not accept our client certificate"
        }
        Failure::Tls(TlsFailure::Handshake) => "TLS: the handshake failed",
        Failure::Malformed => "the answer is not HTTP",
        Failure::TooLarge => "the answer is too large",
        Failure::Status(_) => "the server answered",
        Failure::Portal(_) => "a login page answers in place of the server",
        Failure::NotAccepted => "the server answered that it does not accept the beat",
        Failure::NameNotFound => "the server's name does not exist",
        Failure::NameServerFailed => "no nameserver gave a useful answer",
        Failure::NameServerSilent => "no nameserver answers",
        Failure::NoNameserver => "no nameserver is configured",
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => " (it refuses the token: check token_code)",
        404 => " (the device key is not provisioned there, or api_url is wrong)",
        429 => " (too many requests)",
        300..=399 => " (a redirect, which is not followed: correct api_url)",
        _ => "",
    }
}

/// Writes until the buffer is full and drops the rest.
struct Cut<'a>(&'a mut String<ERROR_MAX>);

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.0.push(letter).is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
