//! Beats that many devices would send in one second, because the same happened to all of them: each
//! is held back for a part of `recovery_spread`.

use super::Demand;
use crate::proto::rng::Rng;
use crate::proto::time::Instant;

impl Demand {
    /// The first way out is there: holds the beat of the start back for a part of
    /// `recovery_spread`.
    pub(crate) fn spread_start(&mut self, now: Instant, rng: &mut Rng) {
        if self.fresh.startup && !self.is_retrying() {
            self.hold_back(now, rng);
        }
    }

    /// An outage is over, as it may be for many devices in this moment: holds the next beat back
    /// for a part of `recovery_spread`. False: it is not to be held back, because the device itself
    /// asks for it or has changed since the last attempt.
    pub(crate) fn spread(&mut self, now: Instant, rng: &mut Rng) -> bool {
        let held = self.is_running() && !self.asks_itself() && !self.has_changed;
        held && self.hold_back(now, rng)
    }

    fn hold_back(&mut self, now: Instant, rng: &mut Rng) -> bool {
        if self.recovery_spread.is_zero() || self.promise.is_at_stake(now) {
            return false;
        }
        // Another recovery meanwhile does not make it longer.
        let held = self.spread_until.filter(|until| *until > now);
        let until = held.unwrap_or_else(|| now + rng.fraction(self.recovery_spread));
        self.spread_until = Some(until);
        self.retry_at = until;
        true
    }

    /// Until when a recovery holds back what is wanted.
    pub(super) fn held_back_until(&self, now: Instant) -> Option<Instant> {
        let early = self.is_retrying() && self.retry_early;
        self.spread_until.filter(|until| *until > now && !early && !self.asks_itself())
    }
}
