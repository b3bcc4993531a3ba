//! The last day by the hour, counted in hours since boot: a jump of the wall clock moves nothing.

use core::time::Duration;

use crate::proto::time::{Instant, micros};

/// How many hours are kept, the present one included.
pub const HOURS_MAX: u32 = 24;
/// Length of an hour.
pub const HOUR_US: u32 = 3_600_000_000;

/// The beats and outages of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hour {
    /// Hours from boot to its beginning.
    pub number: u32,
    /// Beats acknowledged.
    pub beats: u32,
    /// The beats that the cycle did not ask for.
    pub immediate: u32,
    /// Rounds of attempts that failed.
    pub failed: u32,
    /// Time without connectivity, in microseconds.
    pub offline_us: u32,
}

/// The hours, each at the place that its number names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hours([Option<Hour>; HOURS_MAX as usize]);

impl Hours {
    /// The hour that `at` is in; a new one takes the place of that of a day before.
    pub(super) fn at(&mut self, at: Instant) -> &mut Hour {
        let number = number(at);
        let place = self.slot(number);
        if place.is_none_or(|hour| hour.number != number) {
            *place = Some(Hour { number, ..Hour::default() });
        }
        place.get_or_insert_default()
    }

    /// Puts an hour of the last day back, and leaves out an older one; `None` if it cannot be.
    pub(super) fn put(&mut self, hour: Hour, now: Instant) -> Option<()> {
        let age = number(now).checked_sub(hour.number)?;
        if hour.offline_us > HOUR_US {
            return None;
        }
        if age < HOURS_MAX {
            *self.slot(hour.number) = Some(hour);
        }
        Some(())
    }

    /// Spreads time without connectivity over the hours it was in.
    pub(super) fn offline(&mut self, from: Instant, until: Instant) {
        let day = Duration::from_micros(u64::from(HOUR_US) * (u64::from(HOURS_MAX - 1)));
        // Of what was before, no hour is left.
        let mut from = from.max(Instant::default() + (until - (Instant::default() + day)));
        while from < until {
            let next = (u64::from(number(from)) + 1).saturating_mul(u64::from(HOUR_US));
            let end = Instant::from_micros(next).min(until);
            let hour = self.at(from);
            let time_us = u32::try_from(micros(end - from)).unwrap_or(HOUR_US);
            hour.offline_us = hour.offline_us.saturating_add(time_us).min(HOUR_US);
            from = end;
        }
    }

    /// The hours of the last day that anything is known of, oldest first, each with how many hours
    /// ago it began.
    pub(super) fn since(&self, now: Instant) -> impl Iterator<Item = (u32, Hour)> + Clone {
        let last = number(now);
        let numbers = last.saturating_sub(HOURS_MAX - 1)..=last;
        numbers.filter_map(move |number| {
            let hour = self.0.get(index(number))?.filter(|hour| hour.number == number)?;
            Some((last - number, hour))
        })
    }

    fn slot(&mut self, number: u32) -> &mut Option<Hour> {
        self.0.get_mut(index(number)).expect("a remainder is below what it is one of")
    }
}

const fn index(number: u32) -> usize {
    (number % HOURS_MAX) as usize
}

/// Whole hours from boot to `at`.
pub(super) fn number(at: Instant) -> u32 {
    u32::try_from(at.as_micros() / u64::from(HOUR_US)).unwrap_or(u32::MAX)
}
