//! The promise in every report: that the next one comes within a time.
//!
//! ```text
//! report written --> pending --an answer--> given --the next answer--> (replaced)
//! ```
//!
//! A report that nothing answered may have arrived all the same: its promise is kept beside that of
//! the last one that did.

use core::time::Duration;

use super::rng::Rng;
use super::time::Instant;

/// When the next beat has to start, so that what was promised holds.
#[derive(Debug, Default)]
pub(super) struct Promise {
    /// By the last report that the server has answered.
    given: Option<Instant>,
    /// By the first report after it, which the server may have.
    pending: Option<Instant>,
    /// Until when a beat is to arrive that had to start, or starts earlier than it had to.
    at_stake_until: Option<Instant>,
}

impl Promise {
    /// A report is written that promises another start by this instant.
    pub(super) fn make(&mut self, start_by: Instant) {
        self.pending = Some(self.pending.map_or(start_by, |first| first.min(start_by)));
    }

    /// The server has answered: what was promised before counts no more.
    pub(super) fn arrived(&mut self) {
        self.given = self.pending.take().or(self.given);
        self.at_stake_until = None;
    }

    /// When the next beat has to start.
    pub(super) fn start_by(&self) -> Option<Instant> {
        [self.given, self.pending].into_iter().flatten().min()
    }

    /// Whether a beat has to start now; true once for each promise. It is to arrive within an
    /// `exchange`.
    pub(super) fn take_due(&mut self, exchange: Duration, now: Instant) -> bool {
        let due = [&mut self.given, &mut self.pending].map(|it| it.take_if(|at| *at <= now));
        let due = due.into_iter().flatten().min();
        self.at_stake_until = due.map(|at| at + exchange).max(self.at_stake_until);
        due.is_some()
    }

    /// Whether a beat that had to start may still arrive in time.
    pub(super) fn is_at_stake(&self, now: Instant) -> bool {
        self.at_stake_until.is_some_and(|until| until > now)
    }

    /// The cycle does not come in time for it any more, as for many devices in this moment: has
    /// the beat start at any time before.
    pub(super) fn spread(&mut self, exchange: Duration, now: Instant, rng: &mut Rng) {
        let promised = self.given;
        self.given = promised.map(|at| now + rng.fraction(at - now));
        self.at_stake_until = promised.map(|at| at + exchange).max(self.at_stake_until);
    }
}
