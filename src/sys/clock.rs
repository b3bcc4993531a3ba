//! The clocks and the one random number of the program.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use clock_steering::unix::{EMPTY_TIMEX, UnixClock};
use rustix::time::{ClockId, Timespec, clock_gettime};

use linkbeat_core::proto::time::{Instant, micros};
use linkbeat_core::proto::wall::Reading;

/// adjtimex(2), `STA_PLL`: an NTP daemon had the kernel follow its offsets.
const STA_PLL: i32 = 0x0001;
/// adjtimex(2), `STA_UNSYNC`: the clock was never synchronised, or the last time is long ago.
const STA_UNSYNC: i32 = 0x0040;
/// `NTP_PHASE_LIMIT` of the kernel, in microseconds: an error of this size or more is an unknown
/// one.
const ERROR_MAX_US: u64 = 16_000_000;

/// Reads `CLOCK_BOOTTIME` (clock_gettime(2)): it counts suspend and never goes back.
///
/// Read once per wake-up and passed on, so that everything in one wake-up happens at one time.
pub fn now() -> Instant {
    let since_boot = duration_of(clock_gettime(ClockId::Boottime));
    Instant::from_micros(micros(since_boot))
}

/// Reads the wall clock in whole seconds since 1970 UTC; 0 for any time before.
///
/// It may be wrong by decades on a device without an RTC, and may jump.
pub fn unix_seconds() -> u64 {
    duration_of(clock_gettime(ClockId::Realtime)).as_secs()
}

/// The date at which boot time began, since 1970 UTC, by the present readings of both clocks.
///
/// With it an instant has one date, whenever it is asked for; two times rounded to seconds would
/// not give it exactly.
pub fn boot_date() -> Duration {
    let since_boot = duration_of(clock_gettime(ClockId::Boottime));
    duration_of(clock_gettime(ClockId::Realtime)).saturating_sub(since_boot)
}

/// Reads the wall clock, and what the kernel knows of it (adjtimex(2), which needs no privilege).
pub fn reading() -> Reading {
    let mut timex = EMPTY_TIMEX;
    let synchronised = UnixClock::CLOCK_REALTIME.adjtime(&mut timex).is_ok()
        && is_synchronised(timex.status, u64::try_from(timex.maxerror).unwrap_or(u64::MAX));
    Reading { unix_s: unix_seconds(), synchronised }
}

/// Whether a daemon keeps the clock, which shows in three ways.
///
/// ntpd and timesyncd clear `STA_UNSYNC`; chronyd without `rtcsync` leaves that alone and sets the
/// error only; an older ntpd of BusyBox does not set the error, so that the kernel, which takes it
/// for unknown, sets `STA_UNSYNC` again a second later, and only `STA_PLL` is left.
const fn is_synchronised(status: i32, error_us: u64) -> bool {
    status & STA_UNSYNC == 0 || error_us < ERROR_MAX_US || status & STA_PLL != 0
}

/// A random number, another one in every call.
///
/// The keys of the standard library's hash maps come from getrandom(2) without ever waiting for the
/// entropy of a device that has just booted, and that is what is wanted here: a fleet must not
/// send in step, and a DNS question must not be guessed.
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
    fn reading_is_that_of_the_wall_clock() {
        let first = reading().unix_s;
        assert!(unix_seconds() - first <= 1);
    }

    #[test]
    fn date_of_boot_and_time_since_are_the_wall_clock() {
        let first = unix_seconds();
        let date = boot_date() + Duration::from_micros(now().as_micros());
        assert!((first..=first + 1).contains(&date.as_secs()), "{first} {date:?}");
    }

    #[test]
    fn every_daemon_that_keeps_the_clock_is_seen() {
        let unknown_us = 16_000_000;
        #[rustfmt::skip]
        let table = [
            // status, error, kept
            ("nobody, after boot",              0x0040, unknown_us, false),
            ("ntpdate, `date -s`",              0x0040, unknown_us, false),
            ("timesyncd, ntpd",                 0x2001, 12_500,     true),
            ("timesyncd, a poll ago",           0x2001, 15_999_500, true),
            ("chronyd without rtcsync",         0x0040, 9_776,      true),
            ("chronyd, nine hours offline",     0x0040, unknown_us, false),
            ("ntpd of BusyBox, just now",       0x0001, unknown_us, true),
            ("ntpd of BusyBox, a second later", 0x0041, unknown_us, true),
            ("ADJ_SETOFFSET of timesyncd",      0x0000, unknown_us, true),
        ];
        for (who, status, error_us, kept) in table {
            assert_eq!(is_synchronised(status, error_us), kept, "{who}");
        }
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
