//! How often beats come: the interval in force, and what the server was promised of the next one.

use core::time::Duration;

use super::Demand;
use crate::proto::rng::Rng;
use crate::proto::time::{Instant, micros};

words! {
    /// The source of the interval in force.
    pub enum IntervalSource {
        /// `heartbeat_interval`.
        Configuration = "configuration",
        /// The server's last word.
        Server = "server",
        /// `metered.interval_s`, as long as such an uplink is in use.
        Metered = "metered",
    }
}

impl Demand {
    /// Takes the server's word for the interval; true if it is another one than before.
    pub(crate) fn obey(&mut self, interval: Duration, now: Instant, rng: &mut Rng) -> bool {
        let former = self.interval();
        let is_new = self.server_interval.replace(interval) != Some(interval);
        self.follow_interval(former, now, rng);
        is_new && interval != former
    }

    /// Takes the least interval of the uplink that is in use now.
    pub(crate) fn meter(&mut self, interval: Option<Duration>, now: Instant, rng: &mut Rng) {
        let former = self.interval();
        self.metered_interval = interval;
        self.follow_interval(former, now, rng);
    }

    /// Has a running cycle go on with another interval. Many devices are given it at once, so the
    /// phase is drawn anew. What was promised by the former interval still holds.
    pub(super) fn follow_interval(&mut self, former: Duration, now: Instant, rng: &mut Rng) {
        if self.is_running() && self.interval() != former {
            self.cycle.start(self.interval(), now, rng);
            if self.promise.start_by() < self.cycle.due_at {
                self.promise.spread(self.exchange, now, rng);
            }
        }
    }

    /// Time between two ticks of the cycle.
    pub(crate) fn interval(&self) -> Duration {
        let wanted = self.server_interval.unwrap_or(self.configured_interval);
        self.metered_interval.map_or(wanted, |least| least.max(wanted))
    }

    /// Who has set the interval.
    pub(crate) fn interval_source(&self) -> IntervalSource {
        if self.metered_interval == Some(self.interval()) {
            IntervalSource::Metered
        } else if self.server_interval.is_some() {
            IntervalSource::Server
        } else {
            IntervalSource::Configuration
        }
    }

    /// When the cycle is due, or a beat because one was promised.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let promised = self.promise.start_by();
        self.cycle.due_at.map(|due_at| promised.map_or(due_at, |at| at.min(due_at)))
    }

    /// Longest time of an exchange with the server.
    pub(crate) const fn exchange(&self) -> Duration {
        self.exchange
    }

    /// The promise of a report that is written now: the next one comes within this time, in whole
    /// seconds.
    ///
    /// A tick of the cycle is never further away than an interval, and the exchange takes at most
    /// its time-out: name, connection, TLS and request. Where an interval is shorter than that, the
    /// beat before may last until after the tick. A change of uplink that passed a
    /// Retry-After does not end it.
    pub(crate) fn next_within(&self, now: Instant) -> Duration {
        let quiet = self.quiet_until(now).map_or(Duration::ZERO, |until| until - now);
        let before = if self.interval() < self.exchange { self.exchange } else { Duration::ZERO };
        let wait = self.interval().saturating_add(before).max(quiet);
        let most = wait.saturating_add(self.exchange);
        Duration::from_secs(micros(most).div_ceil(1_000_000))
    }

    /// A report is written: the next beat has to follow as it says.
    pub(crate) fn promise_next(&mut self, now: Instant) {
        self.promise.make(now + self.next_within(now).saturating_sub(self.exchange));
    }

    /// The server has answered a report.
    pub(crate) fn heard(&mut self) {
        self.promise.arrived();
    }
}
