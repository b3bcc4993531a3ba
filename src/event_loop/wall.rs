//! The wall clock: checked before it is believed, and watched for jumps.

use std::path::Path;
use std::time::Duration;

use crate::net::tls::Times;
use crate::sys::clock;
use crate::sys::timerfd::ClockWatch;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::proto::wall::{ClockTransition, Floor, Source, WallClock};
use linkbeat_core::wire::date::Utc;

/// Time of the build in seconds since 1970 UTC.
const BUILT_S: &str = env!("LINKBEAT_BUILT_S");

/// The largest jump that counts as slewing and not as setting.
const SLEW_MAX: Duration = Duration::from_millis(500);

/// The clock, and what depends on it.
#[derive(Debug)]
pub(super) struct Wall {
    /// The wall clock, and the evidence about it.
    clock: WallClock,
    /// `None` where the kernel cannot report jumps: then one shows at the next check.
    pub(super) watch: Option<ClockWatch>,
    /// The times that certificates are checked against.
    pub(super) times: Times,
    /// Whether it was set since [`take_was_set`](Self::take_was_set).
    was_set: bool,
    /// The date of boot that instants are given dates by.
    boot_date: Duration,
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
            boot_date: clock::boot_date(),
        }
    }

    /// Checks the clock: once per beat, jump and question, because a slewed clock makes no jump.
    pub(super) fn update(&mut self, now: Instant) {
        if self.watch.is_none() {
            self.clock.jumped();
        }
        let reading = clock::reading();
        let transition = self.clock.update(reading, now);
        self.times.floors.set(self.clock.floors(reading.unix_s, now));
        let says = Utc(reading.unix_s);
        match transition {
            None => {}
            Some(ClockTransition::Set) => {
                log::info!("[Clock] the clock is set: {says}");
                self.was_set = true;
            }
            Some(ClockTransition::Unset) => log::warn!(
                "[Clock] the clock is not set: it says {says}, and {}; beats carry no timestamp until it is",
                known(self.clock.floor(now))
            ),
        }
    }

    /// Whether the clock was set, or may have been; what the kernel said of it before is outdated.
    pub(super) fn on_ready(&mut self, now: Instant) -> bool {
        let is_set = self.watch.as_ref().is_some_and(ClockWatch::drain);
        if is_set {
            self.clock.jumped();
            self.update(now);
        }
        is_set
    }

    /// Whether the clock was set since the last call.
    pub(super) fn take_was_set(&mut self) -> bool {
        std::mem::take(&mut self.was_set)
    }

    /// Takes the times at which the files of the configuration were written, in place of earlier
    /// ones. A former server's date does not count for another.
    pub(super) fn learn_files<'a>(
        &mut self,
        files: impl Iterator<Item = (&'a Path, u64)>,
        is_other_server: bool,
        now: Instant,
    ) {
        if is_other_server {
            self.clock.forget_date();
        }
        self.clock.forget_files();
        for (file, written_s) in files {
            if !self.clock.file_written(written_s) {
                log::warn!(
                    "[Clock] {} was written {}, which is not believed: `touch` it when the clock is right",
                    file.display(),
                    Utc(written_s)
                );
            }
        }
        self.update(now);
    }

    /// Takes the date of a verified server's answer as the likely time.
    ///
    /// A server whose clock is wrong by years would outdate its own certificate for us: such a date
    /// is believed only where the certificate is valid at that date too.
    pub(super) fn learn_date(
        &mut self,
        date_s: u64,
        is_valid_at: impl FnOnce(u64) -> bool,
        now: Instant,
    ) {
        let bold = self.clock.is_bold(date_s, clock::unix_seconds(), now);
        if bold && !is_valid_at(date_s) {
            log::debug!("[Clock] the server's date {} is not believed", Utc(date_s));
            return;
        }
        self.clock.server_said(date_s, now);
        self.update(now);
    }

    /// The time, if the clock is set.
    pub(super) fn timestamp(&mut self, now: Instant) -> Option<Utc> {
        self.update(now);
        self.clock.unset_since().is_none().then(|| Utc(clock::unix_seconds()))
    }

    /// The date of boot since 1970 UTC, if the clock was set at the last [`update`](Self::update).
    ///
    /// Each reading of the two clocks differs by microseconds, and one that is slewed by more: the
    /// date stays as it is until the clock was set, so that an instant does not have two.
    pub(super) fn boot_date(&mut self) -> Option<Duration> {
        if self.clock.unset_since().is_some() {
            return None;
        }
        let date = clock::boot_date();
        if date.abs_diff(self.boot_date) >= SLEW_MAX {
            self.boot_date = date;
        }
        Some(self.boot_date)
    }

    /// The date of boot by the best estimate of the time, which is the clock if that is set.
    pub(super) fn best_boot_date(&mut self, now: Instant) -> Duration {
        let since_boot = Duration::from_micros(now.as_micros());
        let estimate = Duration::from_secs(self.best(now)).saturating_sub(since_boot);
        self.boot_date().unwrap_or(estimate)
    }

    /// The best estimate of the time, in seconds since 1970 UTC.
    pub(super) fn best(&self, now: Instant) -> u64 {
        self.clock.best(clock::unix_seconds(), now)
    }

    /// The date of `at` by the best estimate, to the nearest second.
    pub(super) fn date(&self, at: Instant, now: Instant) -> Utc {
        let seconds = |wait: Duration| (wait + Duration::from_millis(500)).as_secs();
        Utc((self.best(now) + seconds(at - now)).saturating_sub(seconds(now - at)))
    }

    /// Since when the clock has not been set, and the lower bound that is known; `None` if it is
    /// set.
    pub(super) fn unset(&self, now: Instant) -> Option<(Instant, Floor)> {
        self.clock.unset_since().map(|since| (since, self.clock.floor(now)))
    }
}

/// The source and value of a lower bound, for the log.
fn known(Floor { unix_s, source }: Floor) -> String {
    let date = Utc(unix_s);
    match source {
        Source::Build => format!("this program was built {date}"),
        Source::File => format!("a file of the configuration was written {date}"),
        Source::Server => format!("the server says {date}"),
    }
}
