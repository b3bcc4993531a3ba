//! The wait between failed attempts at one beat: evidence resets it, failures double it.
//!
//! It does not decide what a failure is, nor when the wait begins.

use core::time::Duration;

use super::rng::Rng;

/// Longest wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);

/// How long to wait after the next failure.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    /// The longest wait after the next failure.
    wait: Duration,
}

impl Default for Backoff {
    /// A back-off before the first failure.
    fn default() -> Self {
        Self { wait: FIRST }
    }
}

impl Backoff {
    /// Returns the wait before the next attempt and doubles the one after it, up to `max`.
    ///
    /// The wait is uniform in `[w/2, w]`, so that a fleet that lost its server together does not
    /// come back to it together. Chance only ever shortens it: `max` is a promise to the operator,
    /// and holds for the first wait too.
    pub(super) fn advance(&mut self, max: Duration, rng: &mut Rng) -> Duration {
        let longest = self.wait.min(max);
        self.wait = longest.saturating_mul(2).max(FIRST);
        longest - rng.fraction(longest / 2)
    }

    /// Forgets all failures: something local changed, or an attempt succeeded.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_wait_within(wait: Duration, longest: Duration) {
        assert!(wait >= longest / 2 && wait <= longest, "{wait:?} not in half of {longest:?}");
    }

    #[test]
    fn waits_double_to_the_interval_and_stay_there() {
        let mut rng = Rng::new(1);
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for longest in [1, 2, 4, 8, 16, 30, 30, 30] {
                let wait = backoff.advance(Duration::from_secs(30), &mut rng);
                assert_wait_within(wait, Duration::from_secs(longest));
            }
        }
    }

    #[test]
    fn no_wait_is_longer_than_an_interval_shortened_meanwhile() {
        let mut rng = Rng::new(2);
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            let _ = backoff.advance(Duration::from_secs(3_600), &mut rng);
        }
        for _ in 0..10 {
            let wait = backoff.advance(Duration::from_millis(300), &mut rng);
            assert_wait_within(wait, Duration::from_millis(300));
        }
    }

    #[test]
    fn reset_starts_again_at_one_second() {
        let mut rng = Rng::new(3);
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            let _ = backoff.advance(Duration::from_secs(30), &mut rng);
        }
        backoff.reset();
        let wait = backoff.advance(Duration::from_secs(30), &mut rng);
        assert_wait_within(wait, Duration::from_secs(1));
    }

    #[test]
    fn rounds_without_end_neither_overflow_nor_pass_the_interval() {
        let mut rng = Rng::new(4);
        let mut backoff = Backoff::default();
        for _ in 0..10_000 {
            assert!(backoff.advance(Duration::MAX, &mut rng) <= Duration::MAX);
        }
    }
}
