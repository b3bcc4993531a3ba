//! The wall clock, and whether it is to be believed.
//!
//! A device without a battery for its clock starts in 1970, or when it was last shut down. But some
//! times have passed for certain: that of the build, and that at which a file was last written. A
//! third has passed in all likelihood: the one that a verified server gave as its own, which goes
//! on with the clock since boot. The latest of them is the *floor*. A clock below it is not set,
//! and the floor stands in for it where that is better than nothing. The system's clock is never
//! set here.
//!
//! ```text
//!   Unset --reads the floor or later, or the kernel vouches--> Set
//!     ^                                                         |
//!     +------------- reads earlier, nobody vouches -------------+
//! ```
//!
//! Servers are wrong, too. What one says counts for nothing against a clock that the kernel calls
//! synchronised ([`Reading::synchronised`]), is forgotten when a server says otherwise, and never
//! refuses a certificate that is valid by a possible reading of the clock ([`Floors`]).

use core::time::Duration;

use super::time::Instant;

#[cfg(test)]
mod tests;

/// How far behind the floor a clock still counts as set, in seconds: no two clocks agree.
pub const SLACK_S: u64 = 300;
/// How long after the build the date of a file is believed, in seconds (ten years).
///
/// A file written while the clock was wrong by decades would keep every certificate from being
/// valid.
pub const FILES_BELIEVED_S: u64 = 10 * 365 * 86_400;
/// How long a server's date, not repeated, makes certificates expire where the clock is impossible.
///
/// A wrong date may outdate the certificate of the very server that would contradict it.
pub const DATE_EXPIRES_FOR: Duration = Duration::from_secs(3600);

/// A reading of the system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Seconds since 1970 UTC.
    pub unix_s: u64,
    /// Whether the kernel says that NTP or the like keeps the clock.
    pub synchronised: bool,
}

words! {
    /// The source of a floor.
    pub enum Source {
        /// The program was built then.
        Build = "build",
        /// A file of the configuration, or that of the history, was last written then.
        File = "file",
        /// A server said so over a verified connection.
        Server = "server",
    }
}

/// A time that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Seconds since 1970 UTC.
    pub unix_s: u64,
    /// How that is known.
    pub source: Source,
}

/// Whether a clock that reads `unix_s` is at or after `floor_s`, the slack granted.
const fn allows(floor_s: u64, unix_s: u64) -> bool {
    unix_s.saturating_add(SLACK_S) >= floor_s
}

/// By which times certificates are judged, in seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floors {
    /// Earlier it cannot be: this program was built then.
    pub built_s: u64,
    /// Earlier it is not, unless a file was written while the clock was ahead.
    pub certain_s: u64,
    /// Earlier it is not if the last server is right; the same if that says nothing.
    pub likely_s: u64,
}

impl Floors {
    /// By which time a chain is judged first while the clock reads `unix_s`: by the clock, if it may
    /// be right. The date of a file cannot make a certificate expire that is valid by the clock.
    pub const fn first_s(self, unix_s: u64) -> u64 {
        if allows(self.built_s, unix_s) { unix_s } else { self.likely_s }
    }

    /// The earliest time by which a chain is judged again that is not yet valid by the clock, which
    /// reads `unix_s`.
    pub const fn again_s(self, unix_s: u64) -> u64 {
        if allows(self.certain_s, unix_s) { unix_s } else { self.likely_s }
    }

    /// Whether a clock that reads `unix_s` is right. If it is late, a chain that is not yet valid
    /// is judged again when it begins, because what exists has been issued.
    pub const fn allow(self, unix_s: u64) -> bool {
        allows(self.likely_s, unix_s)
    }
}

/// A change that [`WallClock::update`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTransition {
    /// The clock is set now.
    Set,
    /// The clock is not set, or no longer.
    Unset,
}

/// The wall clock, and the evidence about it.
#[derive(Debug, Clone)]
pub struct WallClock {
    built_s: u64,
    file_s: u64,
    /// A server's date, and when it came.
    date: Option<(u64, Instant)>,
    /// Whether the kernel called the clock synchronised since it last jumped.
    synchronised: bool,
    unset_since: Option<Instant>,
}

impl WallClock {
    /// A clock that is taken for set until it is looked at. `built_s` is when the program was
    /// built, in seconds since 1970.
    pub const fn new(built_s: u64) -> Self {
        Self { built_s, file_s: 0, date: None, synchronised: false, unset_since: None }
    }

    /// Forgets the times of files, which are to be read again: one that was written while the clock
    /// was ahead is put right by writing it once more.
    pub const fn forget_files(&mut self) {
        self.file_s = 0;
    }

    /// Forgets what the server said: there is another one now.
    pub const fn forget_date(&mut self) {
        self.date = None;
    }

    /// Forgets that the kernel called the clock synchronised: it was set since.
    pub const fn jumped(&mut self) {
        self.synchronised = false;
    }

    /// Takes the time at which a file was last written; false if that is too late to be believed.
    pub const fn file_written(&mut self, unix_s: u64) -> bool {
        let believed = unix_s <= self.built_s.saturating_add(FILES_BELIEVED_S);
        if believed && unix_s > self.file_s {
            self.file_s = unix_s;
        }
        believed
    }

    /// Takes the date of an answer that came at `now` over a verified connection; the last one
    /// counts.
    pub const fn server_said(&mut self, unix_s: u64, now: Instant) {
        self.date = Some((unix_s, now));
    }

    /// The time by the last server's date, if there was one.
    fn server_s(&self, now: Instant) -> Option<u64> {
        self.date.map(|(date_s, at)| date_s.saturating_add((now - at).as_secs()))
    }

    /// The latest time that has passed for certain.
    fn certain(&self) -> Floor {
        if self.file_s > self.built_s {
            Floor { unix_s: self.file_s, source: Source::File }
        } else {
            Floor { unix_s: self.built_s, source: Source::Build }
        }
    }

    /// The latest time that has passed.
    pub fn floor(&self, now: Instant) -> Floor {
        let certain = self.certain();
        match self.server_s(now) {
            Some(unix_s) if unix_s >= certain.unix_s => Floor { unix_s, source: Source::Server },
            Some(_) | None => certain,
        }
    }

    /// By what certificates are judged while the clock reads `unix_s`.
    pub fn floors(&self, unix_s: u64, now: Instant) -> Floors {
        let certain = self.certain();
        let fresh = self.date.is_some_and(|(_, at)| now - at <= DATE_EXPIRES_FOR);
        let likely =
            if fresh || allows(certain.unix_s, unix_s) { self.floor(now) } else { certain };
        Floors { built_s: self.built_s, certain_s: certain.unix_s, likely_s: likely.unix_s }
    }

    /// Compares the clock with the floor, and forgets what a synchronised clock contradicts.
    pub fn update(&mut self, reading: Reading, now: Instant) -> Option<ClockTransition> {
        let unix_s = reading.unix_s;
        self.synchronised |= reading.synchronised;
        if self.synchronised && allows(self.built_s, unix_s) {
            if !allows(self.file_s, unix_s) {
                self.forget_files();
            }
            if !allows(self.server_s(now).unwrap_or_default(), unix_s) {
                self.forget_date();
            }
        }
        match (allows(self.floor(now).unix_s, unix_s), self.unset_since) {
            (true, Some(_)) => {
                self.unset_since = None;
                Some(ClockTransition::Set)
            }
            (false, None) => {
                self.unset_since = Some(now);
                Some(ClockTransition::Unset)
            }
            (true, None) | (false, Some(_)) => None,
        }
    }

    /// Since when the clock is known not to be set; `None` while it is.
    pub const fn unset_since(&self) -> Option<Instant> {
        self.unset_since
    }

    /// The best guess at the time while the clock reads `unix_s`: the server's if that is known to
    /// be better.
    pub fn best(&self, unix_s: u64, now: Instant) -> u64 {
        match (self.unset_since, self.floor(now)) {
            (Some(_), Floor { unix_s: server_s, source: Source::Server }) => server_s,
            (Some(_) | None, _) => unix_s,
        }
    }

    /// Whether the date of an answer goes beyond what the clock, which reads `unix_s`, or the floor
    /// stood for when its certificate was verified: then the certificate has to be valid at that
    /// date too, for the date to be believed.
    pub fn is_bold(&self, date_s: u64, unix_s: u64, now: Instant) -> bool {
        date_s > unix_s.max(self.floor(now).unix_s).saturating_add(SLACK_S)
    }
}
