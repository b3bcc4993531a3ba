//! The wall clock, and whether it is to be believed.
//!
//! A device without a battery for its clock starts in 1970, or when it was last shut down. But some
//! times have certainly passed: that of the build, that at which a file was last written, and the
//! one that a verified server gave as its own, which goes on with the clock since boot. The latest of
//! them is the *floor*. A clock below it is not set, and the floor stands in for it where that is
//! better than nothing. Nobody sets the system's clock here.
//!
//! ```text
//!   Unset --reads the floor or later--> Set
//!     ^                                  |
//!     +-------- reads earlier -----------+
//! ```

use super::time::Instant;

#[cfg(test)]
mod tests;

/// How far behind the floor a clock still counts as set, in seconds: no two clocks agree.
pub const SLACK_S: u64 = 300;
/// How long after the build the date of a file is believed, in seconds (ten years).
///
/// A file written while the clock was wrong by decades would keep every certificate from being valid.
pub const FILES_BELIEVED_S: u64 = 10 * 365 * 86_400;

/// Where a floor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The program was built then.
    Build,
    /// A file of the configuration, or that of the history, was last written then.
    File,
    /// A server said so over a verified connection.
    Server,
}

impl Source {
    /// The word in the JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::File => "file",
            Self::Server => "server",
        }
    }
}

/// A time that has certainly passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Seconds since 1970 UTC.
    pub unix_s: u64,
    /// How that is known.
    pub source: Source,
}

impl Floor {
    /// Whether a clock that reads `unix_s` is set.
    #[must_use]
    pub const fn allows(self, unix_s: u64) -> bool {
        unix_s.saturating_add(SLACK_S) >= self.unix_s
    }
}

/// What [`WallClock::look`] found to be otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The clock is set now.
    Set,
    /// It is not, or no longer.
    Unset,
}

/// What is known of the wall clock.
#[derive(Debug)]
pub struct WallClock {
    built_s: u64,
    file_s: u64,
    /// A server's date, and when it came.
    date: Option<(u64, Instant)>,
    unset_since: Option<Instant>,
}

impl WallClock {
    /// A clock that is taken for set until it is looked at. `built_s` is when the program was built,
    /// in seconds since 1970.
    #[must_use]
    pub const fn new(built_s: u64) -> Self {
        Self { built_s, file_s: 0, date: None, unset_since: None }
    }

    /// Forgets the times of files, which are to be read again: one that was written while the clock was
    /// ahead is put right by writing it once more.
    pub const fn forget_files(&mut self) {
        self.file_s = 0;
    }

    /// Takes the time at which a file was last written; false if that is too late to be believed.
    pub const fn file_written(&mut self, unix_s: u64) -> bool {
        let believed = unix_s <= self.built_s.saturating_add(FILES_BELIEVED_S);
        if believed && unix_s > self.file_s {
            self.file_s = unix_s;
        }
        believed
    }

    /// Takes the date of an answer that came at `now` over a verified connection.
    pub const fn server_said(&mut self, unix_s: u64, now: Instant) {
        self.date = Some((unix_s, now));
    }

    /// The time by the last server's date, if there was one.
    fn server_s(&self, now: Instant) -> Option<u64> {
        self.date.map(|(date_s, at)| date_s.saturating_add((now - at).as_secs()))
    }

    /// The latest time that has certainly passed.
    #[must_use]
    pub fn floor(&self, now: Instant) -> Floor {
        let build = Floor { unix_s: self.built_s, source: Source::Build };
        let file = Floor { unix_s: self.file_s, source: Source::File };
        let server = self.server_s(now).map(|unix_s| Floor { unix_s, source: Source::Server });
        let known = [Some(build), Some(file), server].into_iter().flatten();
        known.max_by_key(|floor| floor.unix_s).unwrap_or(build)
    }

    /// Compares the clock, which reads `unix_s`, with the floor.
    pub fn look(&mut self, unix_s: u64, now: Instant) -> Option<Turn> {
        match (self.floor(now).allows(unix_s), self.unset_since) {
            (true, Some(_)) => {
                self.unset_since = None;
                Some(Turn::Set)
            }
            (false, None) => {
                self.unset_since = Some(now);
                Some(Turn::Unset)
            }
            (true, None) | (false, Some(_)) => None,
        }
    }

    /// Since when the clock is known not to be set; `None` while it is.
    #[must_use]
    pub const fn unset_since(&self) -> Option<Instant> {
        self.unset_since
    }

    /// The best guess at the time while the clock reads `unix_s`: the server's if that is known to be
    /// better.
    #[must_use]
    pub fn best(&self, unix_s: u64, now: Instant) -> u64 {
        match (self.unset_since, self.floor(now)) {
            (Some(_), Floor { unix_s: server_s, source: Source::Server }) => server_s,
            (Some(_) | None, _) => unix_s,
        }
    }

    /// Whether the date of an answer goes beyond what the clock, which reads `unix_s`, or the floor
    /// stood for when its certificate was verified: then the certificate has to be valid at that
    /// date too, for the date to be believed.
    #[must_use]
    pub fn is_bold(&self, date_s: u64, unix_s: u64, now: Instant) -> bool {
        date_s > unix_s.max(self.floor(now).unix_s).saturating_add(SLACK_S)
    }
}
