//! Numbers since start: what was counted, and how long things took.

use core::time::Duration;

use super::entry::Class;
use crate::proto::event::{FAILURES, Failure};
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
        if let Some(count) = self.failures.get_mut(failure.place()) {
            *count += 1;
        }
    }

    /// Acknowledged beats.
    pub fn beats(&self) -> u64 {
        self.beats.iter().sum()
    }
}
