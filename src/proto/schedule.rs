//! When a beat is wanted, and why: the cycle, and what was asked for and not yet delivered.
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
//! Reasons of one class are one want: the server wants to know that we live, not how often we were
//! asked. What is *fresh* was never tried and waits for a token of moderation at most; what is
//! *retrying* failed and waits for the back-off too.

use core::time::Duration;

use super::event::{Reason, Word};
use super::services::ServiceName;
use super::time::Instant;

/// Reasons waiting for one beat, one slot for each class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    uplink: Option<Reason>,
    address: bool,
    restored: bool,
    service: Option<ServiceName>,
    trigger: Option<Option<Word>>,
    config: bool,
    startup: bool,
    interval: bool,
    since: Option<Instant>,
}

impl Wants {
    /// Adds a reason seen at `at`; the newest change of uplink and of a service, and the first word of a helper stay.
    pub fn add(&mut self, reason: Reason, at: Instant) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        match reason {
            Reason::Interval => self.interval = true,
            Reason::Startup => self.startup = true,
            Reason::ConfigChanged => self.config = true,
            Reason::Triggered(word) => {
                let slot = self.trigger.get_or_insert_with(|| word.clone());
                if slot.is_none() {
                    *slot = word;
                }
            }
            Reason::Restored => self.restored = true,
            Reason::ServiceRecovered(name) => self.service = Some(name),
            Reason::AddressChanged => self.address = true,
            reason @ (Reason::FailoverTo(_) | Reason::Priority(_)) => self.uplink = Some(reason),
        }
    }

    /// Takes over everything `older` wants; where both have a word or an uplink, ours is kept.
    pub fn merge(&mut self, older: Self) {
        self.since = match (self.since, older.since) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
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

    /// Leaves nothing behind and returns what was there.
    #[must_use]
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// When the oldest reason was seen.
    #[must_use]
    pub const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether a helper's trigger is among them.
    #[must_use]
    pub const fn has_trigger(&self) -> bool {
        self.trigger.is_some()
    }

    /// Whether something on the device asks: a helper, or a service that is back.
    #[must_use]
    pub const fn has_request(&self) -> bool {
        self.trigger.is_some() || self.service.is_some()
    }

    /// The change of uplink among them.
    #[must_use]
    pub const fn uplink_change(&self) -> Option<&Reason> {
        self.uplink.as_ref()
    }

    /// Whether a change of uplink is among them.
    #[must_use]
    pub const fn has_uplink_change(&self) -> bool {
        self.uplink.is_some()
    }

    /// Whether another change of the network or of the configuration is among them.
    #[must_use]
    pub const fn has_local_change(&self) -> bool {
        self.address || self.restored || self.config
    }

    /// Whether the cycle or the start asks, which nothing moderates.
    #[must_use]
    pub const fn has_cycle(&self) -> bool {
        self.interval || self.startup
    }

    /// Whether the cycle alone asks.
    #[must_use]
    pub const fn is_cycle_only(&self) -> bool {
        let asked = self.has_uplink_change() || self.has_local_change() || self.has_request();
        self.interval && !self.startup && !asked
    }

    /// The reason told to the server: the most telling class (WIRE.md §5 gives the order).
    ///
    /// An empty set answers [`Reason::Interval`].
    #[must_use]
    pub fn reason(&self) -> Reason {
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

/// The cycle: one tick every interval, restarted by every acknowledged beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cycle {
    due_at: Option<Instant>,
}

impl Cycle {
    /// Starts the interval at `from`.
    pub fn restart(&mut self, from: Instant, interval: Duration) {
        self.due_at = Some(from + interval);
    }

    /// Brings the next tick forward to `at`, if it is later than that.
    pub fn hurry(&mut self, at: Instant) {
        self.due_at = self.due_at.map(|due_at| due_at.min(at));
    }

    /// Stops the cycle until the next [`restart`](Self::restart).
    pub fn stop(&mut self) {
        self.due_at = None;
    }

    /// When the next tick is due.
    #[must_use]
    pub const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// The tick that is due at `now`, by the instant it was due at, and moves on to the first one after `now`.
    ///
    /// Ticks slept through (a stopped process, a suspended device) are one tick; the phase is kept, so
    /// that a late wake-up does not shift the cycle.
    #[must_use]
    pub fn tick(&mut self, now: Instant, interval: Duration) -> Option<Instant> {
        let due_at = self.due_at.filter(|due_at| *due_at <= now)?;
        let period = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
        let late = now.as_micros() - due_at.as_micros();
        let last = now.as_micros() - late % period;
        self.due_at = Some(Instant::from_micros(last) + interval);
        Some(Instant::from_micros(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::link::Name;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn the_most_telling_reason_is_told() {
        let order = [
            Reason::Interval,
            Reason::Startup,
            Reason::ConfigChanged,
            Reason::Triggered(Word::new("doorbell")),
            Reason::Restored,
            Reason::AddressChanged,
            Reason::FailoverTo(name("wlan0")),
        ];
        let mut wants = Wants::default();
        for reason in order {
            wants.add(reason.clone(), at(1));
            assert_eq!(wants.reason(), reason);
        }
    }

    #[test]
    fn the_newest_uplink_is_told() {
        let mut wants = Wants::default();
        wants.add(Reason::FailoverTo(name("wlan0")), at(1));
        wants.add(Reason::Priority(name("eth0")), at(2));
        assert_eq!(wants.reason(), Reason::Priority(name("eth0")));
        assert_eq!(wants.since(), Some(at(1)));
    }

    #[test]
    fn a_word_survives_a_trigger_without_one() {
        for words in [[Word::new("door"), None], [None, Word::new("door")]] {
            let mut wants = Wants::default();
            for word in words {
                wants.add(Reason::Triggered(word), at(1));
            }
            assert_eq!(wants.reason(), Reason::Triggered(Word::new("door")));
        }
    }

    #[test]
    fn merging_keeps_the_older_word_the_newer_uplink_and_the_first_time() {
        let mut older = Wants::default();
        older.add(Reason::Triggered(Word::new("first")), at(1));
        older.add(Reason::FailoverTo(name("wlan0")), at(1));
        let mut newer = Wants::default();
        newer.add(Reason::Triggered(Word::new("second")), at(2));
        newer.add(Reason::Priority(name("eth0")), at(2));
        newer.merge(older);
        assert_eq!(newer.reason(), Reason::Priority(name("eth0")));
        assert_eq!(newer.trigger, Some(Word::new("first")));
        assert_eq!(newer.since(), Some(at(1)));
    }

    #[test]
    fn the_cycle_does_not_drift_with_late_wake_ups() {
        let mut cycle = Cycle::default();
        cycle.restart(at(0), INTERVAL);
        assert_eq!(cycle.tick(at(29_999), INTERVAL), None);
        assert_eq!(cycle.tick(at(30_007), INTERVAL), Some(at(30_000)));
        assert_eq!(cycle.tick(at(30_007), INTERVAL), None);
        assert_eq!(cycle.due_at(), Some(at(60_000)));
    }

    #[test]
    fn ticks_slept_through_are_one() {
        let mut cycle = Cycle::default();
        cycle.restart(at(0), INTERVAL);
        assert_eq!(cycle.tick(at(3_600_001), INTERVAL), Some(at(3_600_000)));
        assert_eq!(cycle.tick(at(3_600_002), INTERVAL), None);
        assert_eq!(cycle.due_at(), Some(at(3_630_000)));
    }
}
