//! Dates in UTC: formats ISO 8601 and HTTP dates, parses those of HTTP and of certificates.

use core::fmt;
use core::time::Duration;

use crate::proto::time::Instant;

#[cfg(test)]
mod tests;

/// Seconds of a day; the UTC of the kernel has no leap seconds.
const DAY_S: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last second of ISO 8601.
const LAST_S: u64 = 253_402_300_799;
/// Names of the months in HTTP (RFC 9110 §5.6.7), January first.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Names of the weekdays in HTTP, that of 1970-01-01 first.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Seconds since 1970-01-01T00:00:00Z. `Display` is ISO 8601: `2026-02-02T12:34:56Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub u64);

impl Utc {
    /// The date of `at`, given that of boot since 1970 UTC: the same whenever it is asked for.
    pub fn of(at: Instant, boot_date: Duration) -> Self {
        Self(boot_date.saturating_add(Duration::from_micros(at.as_micros())).as_secs())
    }

    /// Parses an HTTP date in any of its three forms (RFC 9110 §5.6.7).
    ///
    /// The name of the weekday is not checked, nor is the case of letters; UTC and +0000 are
    /// accepted for GMT. `None` for anything else, and for a date before 1970.
    pub fn parse_http(text: &str) -> Option<Self> {
        let mut fields = [""; 6];
        let mut rest = text.split([' ', ',', '-']).filter(|field| !field.is_empty());
        for (field, text) in fields.iter_mut().zip(&mut rest) {
            *field = text;
        }
        let (day, month, year, time) = match fields {
            [_, day, month, year, time, zone] if is_utc(zone) => (day, month, year, time),
            // asctime(3): no comma, no zone, the year last.
            [_, month, day, time, year, ""] => (day, month, year, time),
            _ => return None,
        };
        if rest.next().is_some() {
            return None;
        }
        let month = (1..)
            .zip(MONTHS)
            .find_map(|(number, name)| name.eq_ignore_ascii_case(month).then_some(number))?;
        let year = match (number(year)?, year.len()) {
            // RFC 9110 has a rolling window of 50 years; a fixed one from 1970 to 2069 is good
            // enough.
            (short, 2) => short + if short < 70 { 2000 } else { 1900 },
            (year @ 1970.., 4) => year,
            _ => return None,
        };
        let day = number(day).filter(|day| (1..=31).contains(day))?;
        let days = days(year, month, day);
        if days >= self::days(year, month + 1, 1) {
            return None;
        }
        Some(Self(days * DAY_S + second_of_day(time)?))
    }

    /// Parses `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, the dates of certificates (RFC 5280 §4.1.2.5).
    ///
    /// A date before 1970 becomes 0. `None` if it is no date.
    pub fn parse_asn1(text: &str) -> Option<Self> {
        let digits = text.strip_suffix('Z')?;
        let (year, rest) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
        let mut pairs = [0; 5];
        for (at, pair) in pairs.iter_mut().enumerate() {
            *pair = number(rest.get(2 * at..2 * at + 2)?)?;
        }
        let [month, day, hour, minute, second] = pairs;
        let year = match (number(year)?, year.len()) {
            (short, 2) => short + if short < 50 { 2000 } else { 1900 },
            (year, 4) => year,
            _ => return None,
        };
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if year < 1970 {
            return Some(Self(0));
        }
        let days = days(year, month, day);
        let sound = day > 0 && days < self::days(year, month + 1, 1);
        sound.then_some(Self(days * DAY_S + (hour * 60 + minute) * 60 + second))
    }

    /// Days since 1970 and second of the day; at most those of `LAST_S`.
    fn day_and_second(self) -> (u64, u64) {
        let seconds = self.0.min(LAST_S);
        (seconds / DAY_S, seconds % DAY_S)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (today, second) = self.day_and_second();
        let (year, month, day) = calendar(today);
        write!(f, "{year:04}-{month:02}-{day:02}T{}Z", Clock(second))
    }
}

fn is_utc(zone: &str) -> bool {
    ["GMT", "UTC", "+0000"].iter().any(|name| name.eq_ignore_ascii_case(zone))
}

/// A date of HTTP. `Display` is its preferred form: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub struct HttpDate(pub Utc);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (today, second) = self.0.day_and_second();
        let (year, month, day) = calendar(today);
        let name = |names: &[&'static str], index: u64| {
            usize::try_from(index)
                .ok()
                .and_then(|index| names.get(index).copied())
                .unwrap_or_default()
        };
        let (weekday, month) = (name(&WEEKDAYS, today % 7), name(&MONTHS, month - 1));
        write!(f, "{weekday}, {day:02} {month} {year:04} {} GMT", Clock(second))
    }
}

/// A second of the day. `Display` is `hh:mm:ss`.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

/// Year, month and day for a number of days since 1970-01-01.
const fn calendar(today: u64) -> (u64, u64, u64) {
    // Both first guesses are never too late, and at most a few steps too early.
    let mut year = 1970 + today / 366;
    while days(year + 1, 1, 1) <= today {
        year += 1;
    }
    let mut month = 1;
    while days(year, month + 1, 1) <= today {
        month += 1;
    }
    (year, month, today - days(year, month, 1) + 1)
}

/// Days from 1970-01-01 to this date of the Gregorian calendar, for years from 1970 on.
///
/// `month` may be 13, for the January of the next year.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    // If a year begins in March, its leap day comes last and the lengths of its months are regular.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // There are 719,468 days from 0000-03-01 to 1970-01-01.
    365 * year + leap_days + day_of_year - 719_468
}

/// Parses `hh:mm:ss`. A leap second counts as the second after it.
fn second_of_day(time: &str) -> Option<u64> {
    let mut parts = time.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && hour < 24 && minute < 60 && second <= 60)
        .then_some((hour * 60 + minute) * 60 + second)
}

/// Parses one to four digits.
fn number(text: &str) -> Option<u64> {
    let sound = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}
