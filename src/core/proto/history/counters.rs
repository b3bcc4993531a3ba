//! Numbers since start: what was counted, and how long things took.

use core::fmt;
use core::time::Duration;

use super::entry::Class;
use crate::proto::event::{Failure, TlsFailure};
use crate::proto::time::micros;

/// Upper ends of the buckets of every [`Histogram`], in microseconds; one more bucket has the rest.
pub const BUCKETS_US: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// How long something took, in fixed buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// How often each bucket was met, not added up; the last is for what was longer than all.
    pub counts: [u64; BUCKETS_US.len() + 1],
    /// All of it together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = micros(took);
        let bucket = BUCKETS_US.iter().position(|end| micros <= *end);
        if let Some(count) = self.counts.get_mut(bucket.unwrap_or(BUCKETS_US.len())) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// How much was added.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The kinds of failure that are counted apart: each as itself, an HTTP status by its hundred.
///
/// Files that are kept name a kind by its place: new ones come last.
pub const FAILURES: [Failure; 30] = [
    Failure::Refused,
    Failure::Unreachable,
    Failure::TimedOut,
    Failure::Reset,
    Failure::Closed,
    Failure::NoInterface,
    Failure::Denied,
    Failure::Exhausted,
    Failure::Tls(TlsFailure::NotYetValid),
    Failure::Tls(TlsFailure::Expired),
    Failure::Tls(TlsFailure::WrongName),
    Failure::Tls(TlsFailure::UnknownIssuer),
    Failure::Tls(TlsFailure::BadCertificate),
    Failure::Tls(TlsFailure::RefusedByServer),
    Failure::Tls(TlsFailure::Handshake),
    Failure::Malformed,
    Failure::TooLarge,
    Failure::Status(300),
    Failure::Status(400),
    Failure::Status(500),
    Failure::NameNotFound,
    Failure::NameServerFailed,
    Failure::NoNameserver,
    Failure::Tls(TlsFailure::ClientCertificateWanted),
    Failure::Tls(TlsFailure::ClientCertificateRefused),
    Failure::Portal(0),
    Failure::NotAccepted,
    Failure::NameServerSilent,
    Failure::Http2Only,
    Failure::Tls(TlsFailure::WrongKey),
];

/// A failure of [`FAILURES`]; `Display` is its name, `http_4xx` for an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureClass(pub Failure);

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())?;
        match self.0 {
            Failure::Status(status) => write!(f, "_{}xx", status / 100),
            _ => Ok(()),
        }
    }
}

/// The place of a failure's kind in [`FAILURES`]; whatever is no 3xx nor 4xx is with 5xx.
pub const fn failure_index(failure: Failure) -> usize {
    match failure {
        Failure::Refused => 0,
        Failure::Unreachable => 1,
        Failure::TimedOut => 2,
        Failure::Reset => 3,
        Failure::Closed => 4,
        Failure::NoInterface => 5,
        Failure::Denied => 6,
        Failure::Exhausted => 7,
        Failure::Tls(TlsFailure::NotYetValid) => 8,
        Failure::Tls(TlsFailure::Expired) => 9,
        Failure::Tls(TlsFailure::WrongName) => 10,
        Failure::Tls(TlsFailure::UnknownIssuer) => 11,
        Failure::Tls(TlsFailure::BadCertificate) => 12,
        Failure::Tls(TlsFailure::RefusedByServer) => 13,
        Failure::Tls(TlsFailure::Handshake) => 14,
        Failure::Malformed => 15,
        Failure::TooLarge => 16,
        Failure::Status(300..=399) => 17,
        Failure::Status(400..=499) => 18,
        Failure::Status(_) => 19,
        Failure::NameNotFound => 20,
        Failure::NameServerFailed => 21,
        Failure::NoNameserver => 22,
        Failure::Tls(TlsFailure::ClientCertificateWanted) => 23,
        Failure::Tls(TlsFailure::ClientCertificateRefused) => 24,
        Failure::Portal(_) => 25,
        Failure::NotAccepted => 26,
        Failure::NameServerSilent => 27,
        Failure::Http2Only => 28,
        Failure::Tls(TlsFailure::WrongKey) => 29,
    }
}

/// Counters since start; none goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Acknowledged beats by [`Class::ALL`].
    pub beats: [u64; Class::ALL.len()],
    /// Rounds of attempts that failed, by [`FAILURES`].
    pub failures: [u64; FAILURES.len()],
    /// Triggers that asked for a beat of their own.
    pub triggers: u64,
    /// Triggers that a beat covers which was pending already.
    pub merged: u64,
    /// Connections to the server that were established.
    pub connections: u64,
    /// TLS handshakes from nothing.
    pub full_handshakes: u64,
    /// TLS handshakes with a ticket of an earlier connection.
    pub resumptions: u64,
    /// How often the kernel lost messages about the network because we were too slow.
    pub overflows: u64,
    /// Bytes sent on connections to the server, TLS records included.
    pub sent_bytes: u64,
    /// Bytes received on them.
    pub received_bytes: u64,
    /// Time without connectivity, in microseconds.
    pub offline_us: u64,
}

impl Counters {
    pub(super) fn acknowledged(&mut self, class: Class) {
        if let Some(count) = self.beats.get_mut(class as usize) {
            *count += 1;
        }
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        if let Some(count) = self.failures.get_mut(failure_index(failure)) {
            *count += 1;
        }
    }

    /// Acknowledged beats.
    pub fn beats(&self) -> u64 {
        self.beats.iter().sum()
    }
}
