//! The wall clock: looked at before it is believed, and heard when it jumps.

use super::{EventLoop, Verdict};
use crate::net::tls::Times;
use crate::proto::event::{Attempt, Input};
use crate::proto::history::Change;
use crate::proto::time::Instant;
use crate::proto::wall::{Floor, Source, Turn, WallClock};
use crate::sys::clock;
use crate::sys::timerfd::ClockWatch;
use crate::wire::date::Utc;

/// When this program was built, in seconds since 1970 UTC.
const BUILT_S: &str = env!("LINKBEAT_BUILT_S");

/// The clock, and who has to know of it.
#[derive(Debug)]
pub(super) struct Wall {
    clock: WallClock,
    /// `None` where the kernel cannot tell: then a jump shows at the next look.
    pub(super) watch: Option<ClockWatch>,
    /// Those by which certificates are judged.
    pub(super) times: Times,
    /// Whether it was set since the history was last told.
    was_set: bool,
}

impl Wall {
    pub(super) fn new() -> Self {
        let watch = ClockWatch::new();
        let watch = watch.inspect_err(|error| log::debug!("the clock cannot be watched: {error}"));
        let built_s = BUILT_S.parse().expect("the build script writes a number");
        Self {
            clock: WallClock::new(built_s),
            watch: watch.ok(),
            times: Times::default(),
            was_set: false,
        }
    }

    /// Looks at the clock: once per beat, jump and question, because it may be slewed unheard.
    pub(super) fn look(&mut self, now: Instant) {
        let unix_s = clock::unix_seconds();
        let floor = self.clock.floor(now);
        self.times.floor.set(floor);
        match self.clock.look(unix_s, now) {
            None => {}
            Some(Turn::Set) => {
                log::info!("[Clock] the clock is set: {}", Utc(unix_s));
                self.was_set = true;
            }
            Some(Turn::Unset) => log::warn!(
                "[Clock] the clock is not set: it says {}, and {}; until it is set, certificates are \
                 judged by the latter, and beats carry no timestamp",
                Utc(unix_s),
                Known(floor)
            ),
        }
    }

    /// What the clock reads if it is set.
    pub(super) fn timestamp(&mut self, now: Instant) -> Option<Utc> {
        self.look(now);
        self.clock.unset_since().is_none().then(|| Utc(clock::unix_seconds()))
    }

    /// The best guess at the time, in seconds since 1970 UTC.
    pub(super) fn best(&self, now: Instant) -> u64 {
        self.clock.best(clock::unix_seconds(), now)
    }

    /// Since when the clock is not set, and what is known instead.
    pub(super) fn unset(&self, now: Instant) -> Option<(Instant, Floor)> {
        self.clock.unset_since().map(|since| (since, self.clock.floor(now)))
    }
}

/// How a floor is known, for the log.
struct Known(Floor);

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = Utc(self.0.unix_s);
        match self.0.source {
            Source::Build => write!(f, "this program was built {date}"),
            Source::File => write!(f, "a file of the configuration was written {date}"),
            Source::Server => write!(f, "the server says {date}"),
        }
    }
}

impl EventLoop {
    /// Tells the history that the clock was set, whoever has seen it first.
    pub(super) fn date_history(&mut self) {
        if std::mem::take(&mut self.wall.was_set) {
            self.journal.history.turn(Change::ClockSet, self.now);
        }
    }

    /// The clock was set, or may have been: what failed for the time of a certificate may fare better.
    pub(super) fn hear_clock(&mut self) {
        if self.wall.watch.as_ref().is_some_and(ClockWatch::drain) {
            self.wall.look(self.now);
            self.feed(Input::ClockSet);
        }
    }

    /// Reads the configuration, and what its files tell of the time.
    pub(super) fn load(&mut self) -> Verdict {
        let verdict = self.setup.load(&mut self.watch, &self.wall.times);
        self.wall.clock.forget_files();
        for (file, written_s) in self.setup.written() {
            if !self.wall.clock.file_written(written_s) {
                log::warn!(
                    "[Clock] {} was written {}, which is not believed: `touch` it when the clock is right",
                    file.display(),
                    Utc(written_s)
                );
            }
        }
        self.wall.look(self.now);
        verdict
    }

    /// Takes the date of an answer as the least that the time can be, if a verified server said so.
    ///
    /// A server whose clock is wrong by years would outdate its own certificate for us: such a date is
    /// believed only where the certificate is valid at that date too.
    pub(super) fn learn_date(&mut self, attempt: Attempt) {
        let Some((connection, response)) = self.sessions.find(attempt) else { return };
        let Some(Utc(date_s)) = response.date().filter(|_| connection.is_verified()) else {
            return;
        };
        let bold = self.wall.clock.is_bold(date_s, clock::unix_seconds(), self.now);
        if bold && !connection.is_valid_at(date_s) {
            log::debug!("[Clock] the server's date {} is not believed", Utc(date_s));
            return;
        }
        self.wall.clock.server_said(date_s, self.now);
        self.wall.look(self.now);
    }
}
