//! How many connections a beat may cost that nobody acknowledges.
//!
//! The first connection of a round is free, so that no beat is held back. Every further one takes a
//! token, and an answer of the server fills the bucket: a silent one costs a number of connections
//! that neither its addresses nor the uplinks multiply. A round without a token goes on with what it
//! has, and the next one begins with the pairs whose turn is longest ago. A round that has evidence
//! may take the last tokens too, and begins with the best pairs.

use core::time::Duration;

use super::Delivery;
use crate::proto::moderation::Bucket;
use crate::proto::reach::budget::{ATTEMPTS, EVIDENCE_RESERVE};
use crate::proto::settings::BucketSettings;
use crate::proto::time::Instant;

/// How often evidence puts the best pairs first while there are no tokens for all pairs: a network
/// that changes for ever may not keep the others from their turn.
const FRESH_STARTS: BucketSettings = BucketSettings { burst: 5, every: Duration::from_secs(300) };

/// The connections that may still be opened.
#[derive(Debug)]
pub(super) struct Allowance {
    attempts: Bucket,
    fresh_starts: Bucket,
    /// The next connection takes no token.
    free: bool,
    /// When one that was denied may be opened.
    denied_until: Option<Instant>,
    /// Something has changed since the last round: this one may fare better.
    evidence: bool,
}

impl Allowance {
    /// All of them.
    pub(super) const fn new() -> Self {
        let start = Instant::from_micros(0);
        Self {
            attempts: Bucket::new(ATTEMPTS, start),
            fresh_starts: Bucket::new(FRESH_STARTS, start),
            free: false,
            denied_until: None,
            evidence: false,
        }
    }

    /// A round begins, with evidence or without.
    pub(super) const fn begin(&mut self, evidence: bool) {
        self.denied_until = None;
        self.free = true;
        self.evidence = evidence;
    }

    /// Whether the best pairs go first because there is evidence now.
    pub(super) fn start_afresh(&mut self, now: Instant) -> bool {
        self.evidence = true;
        let whole_round = self.attempts.token_at(ATTEMPTS.burst / 2, now) == now;
        whole_round || self.fresh_starts.take(0, now)
    }

    const fn reserve(&self) -> u32 {
        if self.evidence { 0 } else { EVIDENCE_RESERVE }
    }

    /// Whether a connection may be opened.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.free || self.attempts.token_at(self.reserve(), now) == now
    }

    /// Opens one, if it may be.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let taken = core::mem::take(&mut self.free) || self.attempts.take(self.reserve(), now);
        self.denied_until = (!taken).then(|| self.attempts.token_at(self.reserve(), now));
        taken
    }

    /// When a connection that was denied may be opened.
    pub(super) const fn denied_until(&self) -> Option<Instant> {
        self.denied_until
    }

    /// Whether one is still wanted is seen anew.
    pub(super) const fn end_denial(&mut self) {
        self.denied_until = None;
    }
}

impl Delivery {
    /// There is evidence that the next connection may fare better: the best pairs go first.
    pub(crate) fn start_afresh(&mut self, now: Instant) {
        if self.allowance.start_afresh(now) {
            self.race.turns.forget();
        }
    }

    /// The server has answered, whatever it said: it is not silent.
    pub(crate) const fn heard(&mut self) {
        self.allowance = Allowance::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn taken(allowance: &mut Allowance, now: Instant) -> u32 {
        (0..1000).take_while(|_| allowance.take(now)).map(|_| 1).sum()
    }

    #[test]
    fn the_first_of_a_round_is_free_and_the_others_take_tokens_down_to_the_reserve() {
        let mut allowance = Allowance::new();
        allowance.begin(false);
        assert_eq!(taken(&mut allowance, at(0)), 1 + ATTEMPTS.burst - EVIDENCE_RESERVE);
        allowance.begin(false);
        assert!(allowance.allows(at(0)));
        assert_eq!(taken(&mut allowance, at(0)), 1);
        assert!(!allowance.allows(at(9)));
        assert_eq!(allowance.denied_until(), Some(at(10)));
        assert_eq!(taken(&mut allowance, at(30)), 3);
    }

    #[test]
    fn a_round_with_evidence_takes_the_reserve_too() {
        let mut allowance = Allowance::new();
        allowance.begin(false);
        taken(&mut allowance, at(0));
        allowance.begin(true);
        assert_eq!(taken(&mut allowance, at(0)), 1 + EVIDENCE_RESERVE);
        allowance.begin(true);
        assert_eq!(taken(&mut allowance, at(0)), 1);
    }

    #[test]
    fn evidence_without_end_does_not_put_the_best_pairs_first_for_ever() {
        let mut allowance = Allowance::new();
        assert!((0..100).all(|_| allowance.start_afresh(at(0))), "there are tokens for all pairs");
        allowance.begin(false);
        taken(&mut allowance, at(0));
        let fresh = |allowance: &mut Allowance, now| {
            (0..100).filter(|_| allowance.start_afresh(now)).count()
        };
        assert_eq!(fresh(&mut allowance, at(0)), 5);
        taken(&mut allowance, at(299));
        assert_eq!(fresh(&mut allowance, at(299)), 0);
        assert_eq!(fresh(&mut allowance, at(300)), 1);
    }
}
