//! How often a local client or a listening socket is served: after a burst, a pause.

use std::time::Duration;

use linkbeat_core::proto::moderation::Bucket;
use linkbeat_core::proto::settings::BucketSettings;
use linkbeat_core::proto::time::Instant;

/// Most events in one burst.
///
/// Generous for a client that has something to say; one that floods is paused and costs little.
const BURST: u32 = 16;
/// Time per event in the long run: a whole burst is allowed every 250 ms.
const EVERY: Duration = Duration::from_micros(250_000 / BURST as u64);

/// Counts events, and pauses a source when its burst is used up.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Limits the rate.
    bucket: Bucket,
    /// When the current pause ends.
    paused_until: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        let settings = BucketSettings { burst: BURST, every: EVERY };
        Self { bucket: Bucket::new(settings, Instant::default()), paused_until: None }
    }
}

impl Throttle {
    /// Counts one event. The last one of a burst begins a pause until the bucket is full again, so
    /// that a flood wakes the loop once per pause and not once per event.
    pub(super) fn count(&mut self, now: Instant) {
        if !self.bucket.take(0, now) || self.bucket.token_at(0, now) > now {
            self.paused_until = Some(self.bucket.token_at(BURST - 1, now));
        }
    }

    /// Pauses for another reason than too many events.
    pub(super) const fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// When [`resume`](Self::resume) is due.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends a pause whose time is over, and says whether it did.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_followed_by_a_pause_and_allowed_again_after_it() {
        let mut throttle = Throttle::default();
        let mut now = Instant::from_micros(7);
        for _ in 0..3 {
            for _ in 1..BURST {
                throttle.count(now);
                assert!(!throttle.is_paused());
            }
            throttle.count(now);
            let end = now + Duration::from_millis(250);
            assert_eq!(throttle.next_deadline(), Some(end));
            assert!(
                !throttle.resume(Instant::from_micros(end.as_micros() - 1)) && throttle.is_paused()
            );
            assert!(throttle.resume(end) && !throttle.is_paused());
            now = end;
        }
    }

    #[test]
    fn steady_source_below_the_rate_is_never_paused() {
        let mut throttle = Throttle::default();
        for event in 0..1000_u64 {
            throttle.count(Instant::from_micros(1 + event * 16_000));
            assert!(!throttle.is_paused(), "{event}");
        }
    }
}
