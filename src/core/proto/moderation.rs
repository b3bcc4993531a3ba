//! How many immediate beats triggers and network changes may cause (token buckets), and how long a
//! server that asks for quiet is obeyed.
//!
//! A bucket is one number, the instant at which it will be full again (the generic cell rate
//! algorithm, ITU-T I.371 annex A): nothing is counted up on a tick, so nothing drifts, however
//! long it lay idle.

use core::time::Duration;

use super::rng::Rng;
use super::settings::BucketSettings;
use super::time::Instant;

/// Longest Retry-After that is obeyed; it is waited for up to twice as long.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(900);

/// `burst` tokens at once, then one more every `every`.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The size of the bucket and how fast it fills.
    settings: BucketSettings,
    /// When it will be full again.
    full_at: Instant,
}

impl Default for Bucket {
    /// Moderates nothing.
    fn default() -> Self {
        Self::new(BucketSettings { burst: 1, every: Duration::ZERO }, Instant::default())
    }
}

impl Bucket {
    /// A full bucket.
    pub const fn new(settings: BucketSettings, now: Instant) -> Self {
        Self { settings, full_at: now }
    }

    /// Follows a changed configuration; the bucket is as far from full as before, but no emptier
    /// than empty.
    pub(super) fn configure(&mut self, settings: BucketSettings, now: Instant) {
        let empty = settings.every.saturating_mul(settings.burst);
        self.full_at = self.full_at.min(now + empty);
        self.settings = settings;
    }

    /// Takes one token if more than `reserve` remain, and says whether it did.
    ///
    /// A reserve as large as the bucket would hold a beat back for ever: it counts as `burst` - 1.
    #[must_use]
    pub fn take(&mut self, reserve: u32, now: Instant) -> bool {
        let granted = self.token_at(reserve, now) == now;
        if granted {
            self.full_at = self.full_at.max(now) + self.settings.every;
        }
        granted
    }

    /// The first instant, `now` or later, at which [`take`](Self::take) with this reserve succeeds.
    pub fn token_at(&self, reserve: u32, now: Instant) -> Instant {
        let others = self.settings.burst.saturating_sub(1).saturating_sub(reserve);
        let affordable = self.settings.every.saturating_mul(others);
        let missing = self.full_at - now;
        now + missing.saturating_sub(affordable)
    }
}

/// A server asked for quiet (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryAfter {
    /// When it is over.
    pub until: Instant,
    /// Whether a change of uplink has used the one exception.
    pub passed: bool,
}

impl RetryAfter {
    /// Quiet for `asked`, and up to as long again, uniformly, so that a fleet does not come back in
    /// one moment.
    pub(super) fn new(asked: Duration, now: Instant, rng: &mut Rng) -> Self {
        // A server may ask for more seconds than a sum of two waits can hold.
        let asked = asked.min(RETRY_AFTER_MAX);
        Self { until: now + asked + rng.fraction(asked), passed: false }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn settings(burst: u32, every_ms: u64) -> BucketSettings {
        BucketSettings { burst, every: Duration::from_millis(every_ms) }
    }

    fn emptied(bucket: &mut Bucket, now: Instant) -> u32 {
        let mut taken = 0;
        while bucket.take(0, now) {
            taken += 1;
        }
        taken
    }

    #[test]
    fn burst_is_granted_at_once_and_then_one_every_two_seconds() {
        let mut bucket = Bucket::new(settings(5, 2_000), at(0));
        assert_eq!(emptied(&mut bucket, at(0)), 5);
        for round in 1..100 {
            assert!(!bucket.take(0, at(round * 2 * SECOND - 1)));
            assert_eq!(emptied(&mut bucket, at(round * 2 * SECOND)), 1);
        }
    }

    #[test]
    fn idle_for_days_fills_the_bucket_and_no_more() {
        let mut bucket = Bucket::new(settings(5, 2_000), at(0));
        assert_eq!(emptied(&mut bucket, at(0)), 5);
        assert_eq!(emptied(&mut bucket, at(90 * 86_400 * SECOND)), 5);
    }

    #[test]
    fn token_out_of_step_is_not_lost() {
        let mut bucket = Bucket::new(settings(2, 2_000), at(0));
        assert_eq!(emptied(&mut bucket, at(0)), 2);
        // Asking at 3 s takes the token of 2 s; the next is still due at 4 s.
        assert!(bucket.take(0, at(3 * SECOND)));
        assert!(!bucket.take(0, at(4 * SECOND - 1)));
        assert!(bucket.take(0, at(4 * SECOND)));
    }

    #[test]
    fn reserve_is_left_for_those_who_ask_with_less() {
        let mut bucket = Bucket::new(settings(3, 2_000), at(0));
        assert!(bucket.take(1, at(0)));
        assert!(bucket.take(1, at(0)));
        assert!(!bucket.take(1, at(0)));
        assert!(bucket.take(0, at(0)));
        assert_eq!(bucket.token_at(0, at(0)), at(2 * SECOND));
        assert_eq!(bucket.token_at(1, at(0)), at(4 * SECOND));
    }

    #[test]
    fn reserve_of_the_whole_bucket_delays_but_does_not_starve() {
        let mut bucket = Bucket::new(settings(1, 2_000), at(0));
        assert!(bucket.take(1, at(0)));
        assert!(!bucket.take(1, at(2 * SECOND - 1)));
        assert!(bucket.take(u32::MAX, at(2 * SECOND)));
    }

    #[test]
    fn zero_wait_switches_moderation_off() {
        let mut bucket = Bucket::new(settings(1, 0), at(5));
        assert!((0..1_000).all(|_| bucket.take(1, at(5))));
        assert_eq!(bucket.token_at(1, at(5)), at(5));
    }

    #[test]
    fn new_settings_neither_forgive_nor_punish() {
        let mut bucket = Bucket::new(settings(5, 2_000), at(0));
        assert_eq!(emptied(&mut bucket, at(0)), 5);
        bucket.configure(settings(5, 2_000), at(0));
        assert!(!bucket.take(0, at(0)));
        bucket.configure(settings(2, 500), at(0));
        assert_eq!(bucket.token_at(0, at(0)), at(SECOND / 2));
        bucket.configure(settings(2, 0), at(0));
        assert!(bucket.take(0, at(0)));
    }

    #[test]
    fn end_of_time_and_largest_settings_saturate() {
        let largest = BucketSettings { burst: u32::MAX, every: Duration::MAX };
        let mut bucket = Bucket::new(largest, at(u64::MAX));
        assert!(bucket.take(0, at(u64::MAX)));
        bucket.configure(largest, at(u64::MAX));
        assert_eq!(bucket.token_at(u32::MAX, at(0)), at(u64::MAX));
    }

    proptest! {
        #[test]
        fn no_window_grants_more_than_burst_plus_its_share(
            burst in 1_u32..6,
            every_ms in 1_u64..50,
            asks in prop::collection::vec((0_u64..30_000, 0_u32..4), 1..200),
        ) {
            let mut bucket = Bucket::new(settings(burst, every_ms), at(0));
            let (mut now, mut grants) = (0, Vec::new());
            for (wait, reserve) in asks {
                now += wait;
                if bucket.take(reserve, at(now)) {
                    grants.push(now);
                }
            }
            for (first, from) in grants.iter().enumerate() {
                for (last, to) in grants.iter().enumerate().skip(first) {
                    let granted = u64::try_from(last - first + 1).unwrap();
                    prop_assert!(granted <= u64::from(burst) + (to - from) / (every_ms * 1_000));
                }
            }
        }

        #[test]
        fn token_comes_exactly_when_announced(
            burst in 1_u32..6,
            every_ms in 0_u64..50,
            asks in prop::collection::vec((0_u64..30_000, 0_u32..7), 1..50),
        ) {
            let mut bucket = Bucket::new(settings(burst, every_ms), at(0));
            let mut now = 0;
            for (wait, reserve) in asks {
                now += wait;
                let promised = bucket.token_at(reserve, at(now));
                if promised > at(now) {
                    prop_assert!(!bucket.clone().take(reserve, at(promised.as_micros() - 1)));
                }
                prop_assert!(bucket.clone().take(reserve, promised));
                let _granted = bucket.take(reserve, at(now));
            }
        }
    }
}
