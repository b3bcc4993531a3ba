//! When a beat is wanted, and why: the cycle, and the reasons not yet delivered.
//!
//! ```text
//!            add                start                 acknowledged, or final
//! (event) ---------> fresh ----------------> carried ------------------------> (gone)
//!                      ^  \                     |
//!      abandoned       |   +--- start           | the round failed
//!      (no evidence)   |   |                    v
//!                      +---+---------------- retrying
//! ```
//!
//! Reasons of one class count once: the server wants to know that we live, not how often we were
//! asked. A *fresh* reason was never tried and waits for nothing but a token of moderation; a
//! *retrying* one has failed and waits for the back-off too.

use core::time::Duration;

use super::event::Reason;
use super::label::{ServiceName, Word};
use super::rng::Rng;
use super::time::{Instant, micros};

/// Reasons waiting for one beat, one slot for each class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PendingReasons {
    /// The change of uplink.
    pub uplink: Option<Reason>,
    address: bool,
    restored: bool,
    service: Option<ServiceName>,
    /// A helper's trigger, and its word where it gave one.
    pub trigger: Option<Option<Word>>,
    config: bool,
    /// The start asks.
    pub startup: bool,
    interval: bool,
    /// When the oldest reason was seen.
    pub since: Option<Instant>,
}

impl PendingReasons {
    /// Adds a reason seen at `at`; the newest change of uplink and of a service, and the first word
    /// of a helper stay.
    pub(super) fn add(&mut self, reason: Reason, at: Instant) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        match reason {
            Reason::Interval => self.interval = true,
            Reason::Startup => self.startup = true,
            Reason::ConfigChanged => self.config = true,
            Reason::Triggered(word) => self.trigger = Some(self.trigger.take().flatten().or(word)),
            Reason::Restored => self.restored = true,
            Reason::ServiceRecovered(name) => self.service = Some(name),
            Reason::AddressChanged => self.address = true,
            reason @ (Reason::FailoverTo(_) | Reason::Priority(_)) => self.uplink = Some(reason),
        }
    }

    /// Takes over everything `older` wants; where both have a word or an uplink, ours is kept.
    pub(super) fn merge(&mut self, older: Self) {
        self.since = [self.since, older.since].into_iter().flatten().min();
        self.uplink = self.uplink.take().or(older.uplink);
        self.address |= older.address;
        self.restored |= older.restored;
        self.service = self.service.or(older.service);
        self.trigger = match (self.trigger.take(), older.trigger) {
            (Some(ours), Some(theirs)) => Some(theirs.or(ours)),
            (ours, theirs) => ours.or(theirs),
        };
        self.config |= older.config;
        self.startup |= older.startup;
        self.interval |= older.interval;
    }

    /// Whether nothing is wanted.
    pub(super) const fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// Whether something on the device asks: a helper, or a service that is back.
    pub(super) const fn has_request(&self) -> bool {
        self.trigger.is_some() || self.service.is_some()
    }

    /// Whether another change of the network or of the configuration is among them.
    pub(super) const fn has_local_change(&self) -> bool {
        self.address || self.restored || self.config
    }

    /// Whether the device itself asks: a change on it, or a helper.
    pub(super) const fn is_local(&self) -> bool {
        self.uplink.is_some() || self.address || self.config || self.has_request()
    }

    /// Whether the cycle or the start asks, which nothing moderates.
    pub(super) const fn has_cycle(&self) -> bool {
        self.interval || self.startup
    }

    /// Whether the cycle alone asks.
    pub(super) const fn is_cycle_only(&self) -> bool {
        let asked = self.uplink.is_some() || self.has_local_change() || self.has_request();
        self.interval && !self.startup && !asked
    }

    /// The reason sent to the server: that of the highest class (WIRE.md §5 gives the order).
    ///
    /// An empty set answers [`Reason::Interval`].
    pub(super) fn reason(&self) -> Reason {
        if let Some(reason) = &self.uplink {
            reason.clone()
        } else if self.address {
            Reason::AddressChanged
        } else if self.restored {
            Reason::Restored
        } else if let Some(name) = self.service {
            Reason::ServiceRecovered(name)
        } else if let Some(word) = &self.trigger {
            Reason::Triggered(word.clone())
        } else if self.config {
            Reason::ConfigChanged
        } else if self.startup {
            Reason::Startup
        } else {
            Reason::Interval
        }
    }
}

/// The cycle: one tick every interval, with a phase that is drawn at its start.
///
/// No beat moves it: what happens to many devices at once (an outage, a server that was down) would
/// leave all of them in step, and the server with the beats of all of them in one second of every
/// interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cycle {
    /// When the next tick is due; `None`: the cycle does not run.
    pub due_at: Option<Instant>,
}

impl Cycle {
    /// Starts the cycle: its first tick comes within the interval.
    pub(super) fn start(&mut self, interval: Duration, now: Instant, rng: &mut Rng) {
        self.due_at = Some(now + rng.fraction(interval));
    }

    /// The tick that is due at `now`, by the instant it was due at, and moves on to the first one
    /// after `now`.
    ///
    /// Ticks slept through (a stopped process, a suspended device) are one tick; the phase is kept,
    /// so that a late wake-up does not shift the cycle.
    #[must_use]
    pub(super) fn tick(&mut self, now: Instant, interval: Duration) -> Option<Instant> {
        let due_at = self.due_at.filter(|due_at| *due_at <= now)?;
        let period = micros(interval).max(1);
        let late = now.as_micros() - due_at.as_micros();
        let last = now.as_micros() - late % period;
        self.due_at = Some(Instant::from_micros(last) + interval);
        Some(Instant::from_micros(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::link::InterfaceName;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn name(text: &str) -> InterfaceName {
        InterfaceName::new(text).expect("a name")
    }

    #[test]
    fn the_most_important_reason_is_reported() {
        let order = [
            Reason::Interval,
            Reason::Startup,
            Reason::ConfigChanged,
            Reason::Triggered(Word::new("doorbell")),
            Reason::Restored,
            Reason::AddressChanged,
            Reason::FailoverTo(name("wlan0")),
        ];
        let mut reasons = PendingReasons::default();
        for reason in order {
            reasons.add(reason.clone(), at(1));
            assert_eq!(reasons.reason(), reason);
        }
    }

    #[test]
    fn the_newest_uplink_is_reported() {
        let mut reasons = PendingReasons::default();
        reasons.add(Reason::FailoverTo(name("wlan0")), at(1));
        reasons.add(Reason::Priority(name("eth0")), at(2));
        assert_eq!(reasons.reason(), Reason::Priority(name("eth0")));
        assert_eq!(reasons.since, Some(at(1)));
    }

    #[test]
    fn a_word_survives_a_trigger_without_one() {
        for words in [[Word::new("door"), None], [None, Word::new("door")]] {
            let mut reasons = PendingReasons::default();
            for word in words {
                reasons.add(Reason::Triggered(word), at(1));
            }
            assert_eq!(reasons.reason(), Reason::Triggered(Word::new("door")));
        }
    }

    #[test]
    fn merging_keeps_the_older_word_the_newer_uplink_and_the_first_time() {
        let mut older = PendingReasons::default();
        older.add(Reason::Triggered(Word::new("first")), at(1));
        older.add(Reason::FailoverTo(name("wlan0")), at(1));
        let mut newer = PendingReasons::default();
        newer.add(Reason::Triggered(Word::new("second")), at(2));
        newer.add(Reason::Priority(name("eth0")), at(2));
        newer.merge(older);
        assert_eq!(newer.reason(), Reason::Priority(name("eth0")));
        assert_eq!(newer.trigger, Some(Word::new("first")));
        assert_eq!(newer.since, Some(at(1)));
    }

    #[test]
    fn the_first_tick_comes_at_any_time_of_the_interval() {
        let tick = |seed| {
            let mut cycle = Cycle::default();
            cycle.start(INTERVAL, at(1000), &mut Rng::new(seed));
            cycle.due_at.expect("it runs")
        };
        let mut seconds = [0_u32; 30];
        for seed in 0..3000 {
            let tick = tick(seed) - at(1000);
            seconds[usize::try_from(tick.as_secs().min(29)).unwrap()] += 1;
        }
        assert!(seconds.iter().all(|count| (60..150).contains(count)), "{seconds:?}");
    }

    #[test]
    fn the_cycle_does_not_drift_with_late_wake_ups() {
        let mut cycle = Cycle { due_at: Some(at(30_000)) };
        assert_eq!(cycle.tick(at(29_999), INTERVAL), None);
        assert_eq!(cycle.tick(at(30_007), INTERVAL), Some(at(30_000)));
        assert_eq!(cycle.tick(at(30_007), INTERVAL), None);
        assert_eq!(cycle.due_at, Some(at(60_000)));
    }

    #[test]
    fn ticks_slept_through_are_one() {
        let mut cycle = Cycle { due_at: Some(at(30_000)) };
        assert_eq!(cycle.tick(at(3_600_001), INTERVAL), Some(at(3_600_000)));
        assert_eq!(cycle.tick(at(3_600_002), INTERVAL), None);
        assert_eq!(cycle.due_at, Some(at(3_630_000)));
    }
}
