//! The clocks and the one random number of the program.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::proto::time::Instant;

/// Reads `CLOCK_BOOTTIME` (clock_gettime(2)): it counts suspend and never goes back.
///
/// Read once per wake-up and passed on, so that everything in one wake-up happens at one time.
#[must_use]
pub fn now() -> Instant {
    let since_boot = duration_of(clock_gettime(ClockId::Boottime));
    Instant::from_micros(u64::try_from(since_boot.as_micros()).unwrap_or(u64::MAX))
}

/// Reads the wall clock. It may be wrong by decades on a device without an RTC, and may jump.
#[must_use]
pub fn wall_clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds())
}

/// Reads the wall clock in whole seconds since 1970 UTC; 0 for any time before.
#[must_use]
pub fn unix_seconds() -> u64 {
    duration_of(clock_gettime(ClockId::Realtime)).as_secs()
}

/// A random number, another one in every call.
///
/// The keys of the standard library's hash maps come from getrandom(2) without ever waiting for the
/// entropy of a device that has just booted, and that is what is wanted here: a fleet must not
/// send in step, and a DNS question must not be guessed.
#[must_use]
pub fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// A clock's value as a duration; zero for a negative one.
fn duration_of(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_does_not_go_back() {
        let first = now();
        assert!(first > Instant::default());
        assert!(now() >= first);
    }

    #[test]
    fn wall_clock_and_seconds_agree() {
        let seconds = unix_seconds();
        let wall = wall_clock().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(wall - seconds <= 1);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed(), seed());
    }

    #[test]
    fn time_before_1970_is_zero() {
        assert_eq!(duration_of(Timespec { tv_sec: -1, tv_nsec: 0 }), Duration::ZERO);
    }
}
