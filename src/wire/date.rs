//! Dates in UTC: seconds since 1970 as ISO 8601 text, and the dates of HTTP as seconds.

use core::fmt;

#[cfg(test)]
mod tests;

/// Seconds of a day; UTC as the kernel counts it has no leap seconds.
const DAY_S: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last second that ISO 8601 can name.
const LAST_S: u64 = 253_402_300_799;
/// As HTTP writes them (RFC 9110 §5.6.7), January first.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970-01-01T00:00:00Z. `Display` is ISO 8601: `2026-02-02T12:34:56Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub u64);

impl Utc {
    /// Parses an HTTP date in any of its three forms (RFC 9110 §5.6.7).
    ///
    /// The name of the weekday is not checked. `None` if it is no date, or before 1970.
    #[must_use]
    pub fn parse_http(text: &str) -> Option<Self> {
        let mut fields = [""; 6];
        let mut rest = text.split([' ', ',', '-']).filter(|field| !field.is_empty());
        for (field, text) in fields.iter_mut().zip(&mut rest) {
            *field = text;
        }
        let (day, month, year, time) = match fields {
            [_, day, month, year, time, "GMT"] => (day, month, year, time),
            // asctime(3): no comma, no zone, the year at the end.
            [_, month, day, time, year, ""] => (day, month, year, time),
            _ => return None,
        };
        if rest.next().is_some() {
            return None;
        }
        let month =
            (1..).zip(MONTHS).find_map(|(number, name)| (name == month).then_some(number))?;
        let year = match (number(year)?, year.len()) {
            // RFC 9110 wants these within 50 years of today; the year 70 is as near as it matters.
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
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(LAST_S);
        let today = seconds / DAY_S;
        // Both guesses are never late, and at most a few steps early.
        let mut year = 1970 + today / 366;
        while days(year + 1, 1, 1) <= today {
            year += 1;
        }
        let mut month = 1;
        while days(year, month + 1, 1) <= today {
            month += 1;
        }
        let day = today - days(year, month, 1) + 1;
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Days from 1970-01-01 to this date of the Gregorian calendar, from 1970 on.
///
/// `month` may be 13 for the January after.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    // A year that begins in March has its leap day last, and its months follow one straight line.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lead from 0000-03-01 to 1970-01-01.
    365 * year + leap_days + day_of_year - 719_468
}

/// Parses `hh:mm:ss`; a leap second counts as the second after it.
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
