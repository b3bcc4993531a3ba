//! Turns the agent's notes into log lines, and keeps the last results for the status.
//!
//! The lines with brackets are part of the contract (`src/WIRE.md` §6): scripts search for them. A state
//! is logged when it changes; a repeated failure is counted and logged at debug.

use core::fmt::{self, Write};

use heapless::{String, Vec};

use crate::status::network::{BINDING_FORBIDDEN, FailedPath, LinksLeftOut};
use crate::status::{ANSWER_MAX, BeatShown, TEXT_MAX};
use crate::sys::bind;
use linkbeat_core::proto::event::{Acknowledged, Failure, Note, Reason, TlsFailure};
use linkbeat_core::proto::history::History;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::time::{Instant, millis};
use linkbeat_core::wire::cut::Cut;
use linkbeat_core::wire::report::REPORT_MAX;
use linkbeat_core::wire::response::UnusableInterval;

/// The last results.
#[derive(Debug)]
pub(super) struct Reporter {
    /// The last acknowledged beat.
    pub(super) delivered: Option<Acknowledged>,
    /// The report that was written last, with the number of its beat.
    report: (u64, Vec<u8, REPORT_MAX>),
    /// Whether an `interval_s` of the server was reported as unusable.
    is_interval_reported: bool,
    /// The server's last answer, JSON as received.
    pub(super) answer: Vec<u8, ANSWER_MAX>,
    /// Why the last beat failed; empty after an acknowledgement.
    pub(super) error: String<TEXT_MAX>,
    /// The words of TLS or the server beside the failure; the next reported failure takes them.
    pub(super) detail: String<TEXT_MAX>,
    /// When beats last began to be acknowledged or to fail, after the opposite or after start.
    pub(super) turned_at: Option<Instant>,
    /// Recent beats and transitions, counters and histograms.
    pub(super) history: Box<History>,
}

impl Reporter {
    /// Creates an empty reporter. `run` identifies this run of the agent.
    pub(super) fn new(run: u64) -> Self {
        Self {
            delivered: None,
            report: (0, Vec::new()),
            is_interval_reported: false,
            answer: Vec::new(),
            error: String::new(),
            detail: String::new(),
            turned_at: None,
            history: Box::new(History::new(run)),
        }
    }

    /// Records a note of the core in the log, the history and the last results.
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
            Note::PathFailed { via: Some(_), .. } if bind::is_forbidden() => {
                log::warn!("[Failover] {BINDING_FORBIDDEN}");
            }
            Note::PathFailed { via, family, instead } => {
                let (via, family, instead) = (*via, *family, *instead);
                log::info!("[Failover] {}", FailedPath { via, family, instead });
            }
            Note::LinksLeftOut => log::warn!("[Network] {LinksLeftOut}"),
            Note::StandbyChanged { uplink, works: true } => {
                log::info!("[Network] {uplink}, in reserve: the server answers");
            }
            Note::StandbyChanged { uplink, works: false } => {
                log::warn!("[Network] {uplink}, in reserve: the server does not answer");
            }
            Note::ServiceLost(name) => log::warn!("[Watch] {name} does not answer"),
            Note::ServiceRecovered(name) => log::info!("[Watch] {name} answers again"),
            Note::ConnectivityLost => log::info!("[Meeting] Connectivity lost"),
            Note::ConnectivityRestored => {
                log::info!("[Meeting] Connectivity restored, sending immediate heartbeat");
            }
            Note::IntervalSet(interval) => {
                log::info!("[Meeting] The server sets the interval to {} s", interval.as_secs());
            }
            Note::TriggerSet => log::info!("[Meeting] Immediate heartbeat triggered by event"),
            Note::TriggerMerged => {}
            Note::BeatAcknowledged { beat, recovered, .. } => {
                if *recovered {
                    self.turned_at = Some(now);
                }
                self.error.clear();
                self.detail.clear();
                let quiet = beat.reason == Reason::Interval && !recovered;
                let level = if quiet { log::Level::Debug } else { log::Level::Info };
                log::log!(level, "[Meeting] Heartbeat sent: {}", BeatShown(beat));
                self.delivered = Some(beat.clone());
            }
            Note::BeatFailed { seq, reason, failure, retry_at, news, .. } => {
                if self.error.is_empty() {
                    self.turned_at = Some(now);
                }
                let detail = &self.detail;
                set(&mut self.error, &|text| write_failure(text, *failure, detail));
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

    /// Keeps details about a failure that the core is going to report.
    pub(super) fn remark(&mut self, words: impl fmt::Display) {
        set(&mut self.detail, &|text| write!(text, "{words}"));
    }

    /// Logs, once, that an `interval_s` of the server is ignored.
    pub(super) fn ignore_interval(&mut self, why: UnusableInterval) {
        if !core::mem::replace(&mut self.is_interval_reported, true) {
            log::warn!("[Meeting] The interval stays as it is: {why}");
        }
    }

    /// Keeps the report of beat `seq`, which is being written.
    pub(super) fn keep_report(&mut self, seq: u64, report: &[u8]) {
        let (last, kept) = &mut self.report;
        *last = seq;
        kept.clear();
        kept.extend_from_slice(report).expect("no report is longer than REPORT_MAX");
    }

    /// The report of beat `seq` that was written last; empty if none was.
    pub(super) fn report(&self, seq: u64) -> &str {
        let (last, kept) = &self.report;
        str::from_utf8(kept).ok().filter(|_| *last == seq).unwrap_or_default()
    }

    /// Keeps the server's response for the status, unless it is too long or contains a secret.
    /// `secret` checks for one.
    pub(super) fn keep_answer(&mut self, json: &[u8], secret: impl Fn(&str) -> bool) {
        self.answer.clear();
        if str::from_utf8(json).is_ok_and(secret) {
            log::debug!("the server's answer repeats the token and is not shown");
        } else if self.answer.extend_from_slice(json).is_err() {
            log::debug!("the server's answer of {} bytes is too long to be shown", json.len());
        }
    }
}

fn uplink_changed(from: Option<InterfaceName>, to: Option<InterfaceName>, lost: bool) {
    if let Some(from) = from.filter(|_| lost) {
        log::info!("[Failover] {from} disconnected");
    }
    match to {
        Some(to) => log::info!("[Failover] {to} is the uplink now"),
        None => log::warn!("[Failover] no usable uplink is left"),
    }
}

struct Next {
    retry_at: Option<Instant>,
    now: Instant,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_at {
            Some(at) => write!(f, "again in {} ms", millis(at - self.now)),
            None => f.write_str("the answer is final, the cycle goes on"),
        }
    }
}

/// Writes a failure in words, with what is known beside it.
fn write_failure(text: &mut dyn Write, failure: Failure, detail: &str) -> fmt::Result {
    text.write_str(words(failure))?;
    match failure {
        Failure::Status(status) => write!(text, " {status}{}", advice(status))?,
        Failure::Portal(status) => write!(text, " (HTTP {status})")?,
        _ => {}
    }
    if detail.is_empty() { Ok(()) } else { write!(text, ": {detail}") }
}

/// The text for a failure.
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
        Failure::Tls(failure) => tls_words(failure),
        Failure::Malformed => "the answer is not HTTP",
        Failure::Http2Only => "the server speaks no HTTP/1.1 at this port, HTTP/2 perhaps",
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

const fn tls_words(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::NotYetValid => "TLS: the certificate is not yet valid; is the clock right?",
        TlsFailure::Expired => "TLS: the certificate has expired; is the clock right?",
        TlsFailure::WrongName => "TLS: the certificate is for another name",
        TlsFailure::UnknownIssuer => "TLS: the certificate comes from an unknown authority",
        TlsFailure::WrongKey => "TLS: the key of what answers is none of tls.pin_sha256",
        TlsFailure::BadCertificate => "TLS: the certificate is not acceptable",
        TlsFailure::RefusedByServer => "TLS: the server refused the connection",
        TlsFailure::ClientCertificateWanted => {
            "TLS: the server wants a client certificate (tls.client_cert, tls.client_key)"
        }
        TlsFailure::ClientCertificateRefused => {
            "TLS: the server does not accept our client certificate"
        }
        TlsFailure::Handshake => "TLS: the handshake failed",
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => " (it refuses the token: check token_code)",
        404 => " (the device key is not provisioned there, or api_url is wrong)",
        408 => " (it waited in vain for the rest of the request)",
        429 => " (too many requests)",
        304 => " (not modified: what a cache says, and no answer to a beat)",
        300..=399 => " (a redirect, which is not followed: correct api_url)",
        _ => "",
    }
}

/// Replaces a text; one that is too long is cut.
fn set(text: &mut String<TEXT_MAX>, write: &dyn Fn(&mut dyn Write) -> fmt::Result) {
    text.clear();
    write(&mut Cut { to: text, room: TEXT_MAX, clean: core::convert::identity }).ok();
}

#[cfg(test)]
mod tests;
