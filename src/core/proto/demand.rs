//! The demand for beats, and when the next one may start: the cycle, pending reasons, moderation,
//! back-off, Retry-After.
//!
//! It knows nothing of the network and of connections: whether a beat could leave the device, and
//! what becomes of one that has started, is said by the agent.

mod pace;
mod recovery;

use core::time::Duration;

pub use self::pace::IntervalSource;
use super::backoff::Backoff;
use super::event::Reason;
use super::moderation::{Bucket, RetryAfter};
use super::promise::Promise;
use super::rng::Rng;
use super::schedule::{Cycle, PendingReasons};
use super::settings::Settings;
use super::time::Instant;

/// The reasons for the next beat, and the waits before it.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// Asks for a beat every interval. It runs from the first request on, while beats may be sent
    /// at all.
    cycle: Cycle,
    /// The interval of the configuration.
    configured_interval: Duration,
    /// The interval that the server has set, which counts instead.
    server_interval: Option<Duration>,
    /// The least interval on the uplink in use, if that is metered.
    metered_interval: Option<Duration>,
    /// The promise in the last reports.
    promise: Promise,
    /// Longest time of an exchange with it.
    exchange: Duration,
    /// Reasons that no beat carries yet.
    fresh: PendingReasons,
    /// Reasons of the beat whose last round failed.
    retrying: PendingReasons,
    /// The highest number that a trigger was promised to be covered by.
    promised_seq: u64,
    /// Moderates what the device itself asks for.
    triggers: Bucket,
    /// Moderates what changes of the network ask for.
    changes: Bucket,
    /// The wait after the next failed round.
    backoff: Backoff,
    /// When the failed beat is tried again, by the back-off.
    retry_at: Instant,
    /// Something local has changed: the failed beat may be tried before `retry_at`, for a token.
    retry_early: bool,
    /// The last Retry-After of a server.
    retry_after: Option<RetryAfter>,
    /// Longest wait that a recovery draws from.
    recovery_spread: Duration,
    /// Until when a recovery holds back what the device does not ask for itself.
    spread_until: Option<Instant>,
    /// Something local has changed since the last attempt that failed or was acknowledged.
    has_changed: bool,
    /// The last beat is wanted, which waits for nothing.
    last_beat: bool,
}

impl Demand {
    /// Takes another configuration. What `another_server` said counts no more.
    pub(super) fn configure(
        &mut self,
        settings: &Settings,
        another_server: bool,
        now: Instant,
        rng: &mut Rng,
    ) {
        let former = self.interval();
        self.configured_interval = settings.interval;
        self.exchange = settings.request_timeout;
        if another_server {
            self.server_interval = None;
            self.retry_after = None;
            self.promise = Promise::default();
        }
        self.follow_interval(former, now, rng);
        self.triggers.configure(settings.trigger_bucket, now);
        self.changes.configure(settings.network_bucket, now);
        if self.recovery_spread != settings.recovery_spread {
            self.recovery_spread = settings.recovery_spread;
            self.spread_until = None;
        }
    }

    /// Whether the cycle runs: a beat was asked for, and beats may be sent.
    pub(super) const fn is_running(&self) -> bool {
        self.cycle.due_at.is_some()
    }

    /// Whether a beat is wanted that is not under way.
    pub(super) const fn is_pending(&self) -> bool {
        self.last_beat || !self.fresh.is_empty() || self.is_retrying()
    }

    /// Whether the last round failed and its beat is still to be delivered.
    pub(super) const fn is_retrying(&self) -> bool {
        !self.retrying.is_empty()
    }

    /// Whether a trigger waits.
    pub(super) const fn has_trigger(&self) -> bool {
        self.fresh.trigger.is_some() || self.retrying.trigger.is_some()
    }

    /// Why the next beat will be sent, if it is already wanted.
    pub(super) fn reason(&self) -> Option<Reason> {
        let waiting = [&self.fresh, &self.retrying].into_iter().find(|reasons| !reasons.is_empty());
        waiting.map(|reasons| reasons.reason())
    }

    /// Wants a beat.
    pub(super) fn add(&mut self, reason: Reason, now: Instant) {
        self.fresh.add(reason, now);
    }

    /// Wants a beat, and starts the cycle if it does not run.
    pub(super) fn begin(&mut self, reason: Reason, now: Instant, rng: &mut Rng) {
        if !self.is_running() {
            self.cycle.start(self.interval(), now, rng);
        }
        self.fresh.add(reason, now);
    }

    /// Whether the device itself asks for the next beat.
    fn asks_itself(&self) -> bool {
        self.fresh.is_local() || self.retrying.is_local()
    }

    /// Lets the cycle go on; a beat that is under way or being retried is the beat of its tick as
    /// well. What was promised waits for no back-off and no spread. True if the cycle ticked.
    pub(super) fn tick(&mut self, idle: bool, now: Instant) -> bool {
        let promised = self.promise.take_due(self.exchange, now);
        if promised {
            self.spread_until = None;
            self.retry_at = self.retry_at.min(now);
        }
        let tick = self.cycle.tick(now, self.interval());
        let due_at = tick.or(promised.then_some(now));
        if let Some(due_at) = due_at.filter(|_| idle && !self.is_retrying()) {
            self.fresh.add(Reason::Interval, due_at);
        }
        tick.is_some()
    }

    /// Wants nothing any more, and stops the cycle.
    pub(super) fn clear(&mut self) {
        self.cycle = Cycle::default();
        self.promise = Promise::default();
        self.fresh = PendingReasons::default();
        self.retrying = PendingReasons::default();
        self.backoff.reset();
        self.spread_until = None;
        self.has_changed = false;
        self.last_beat = false;
    }

    /// Wants the last beat, with whatever waits for one.
    pub(super) const fn want_last_beat(&mut self) {
        self.last_beat = true;
    }

    /// Whether the last beat is wanted and has not started.
    pub(super) const fn wants_last_beat(&self) -> bool {
        self.last_beat
    }

    /// Promises a trigger that the beat of this number covers it; returns the number.
    pub(super) fn promise(&mut self, seq: u64) -> u64 {
        self.promised_seq = self.promised_seq.max(seq);
        seq
    }

    /// The number up to which triggers are covered by the beat `seq` if it starts now.
    pub(super) fn covers(&self, seq: u64) -> u64 {
        seq.max(self.promised_seq)
    }

    /// When the beat that is wanted may start, given that one could leave the device; `None`:
    /// nothing is wanted.
    pub(super) fn start_at(&self, now: Instant) -> Option<Instant> {
        if self.last_beat {
            return Some(now);
        }
        let change = self.fresh.uplink.is_some().then(|| self.changes.token_at(0, now));
        if let Some(asked) = self.retry_after.filter(|asked| asked.until > now) {
            let through = change.filter(|_| !asked.passed);
            return Some(through.map_or(asked.until, |at| at.min(asked.until)));
        }
        if let Some(until) = self.held_back_until(now) {
            return Some(until);
        }
        let cycle = self.is_free_by_cycle().then_some(now);
        let local = self.has_evidence().then(|| self.changes.token_at(1, now));
        let trigger = self.fresh.has_request().then(|| self.triggers.token_at(0, now));
        let retry = self.is_retrying().then_some(self.retry_at.max(now));
        [change, cycle, local, trigger, retry].into_iter().flatten().min()
    }

    /// Whether the cycle asks, and nothing failed that it would have to wait for.
    const fn is_free_by_cycle(&self) -> bool {
        self.fresh.has_cycle() && !self.is_retrying()
    }

    /// Whether something local has changed, so that the next attempt may fare better than the last.
    const fn has_evidence(&self) -> bool {
        self.fresh.has_local_change() || (self.is_retrying() && self.retry_early)
    }

    /// Whether a beat that starts now may fare better than the one before.
    pub(super) const fn may_fare_better(&self) -> bool {
        self.fresh.uplink.is_some() || self.has_evidence()
    }

    /// Hands every reason to the beat that starts, and takes the token that lets it through.
    pub(super) fn start(&mut self, now: Instant) -> PendingReasons {
        if core::mem::take(&mut self.last_beat) {
            // Nothing may wait for one.
            self.fresh.add(Reason::Interval, now);
        } else {
            self.take_token(now);
        }
        self.retry_early = false;
        let mut carried = core::mem::take(&mut self.fresh);
        carried.merge(core::mem::take(&mut self.retrying));
        carried
    }

    /// Takes the token that lets the beat through.
    ///
    /// A token for a local change makes the back-off start anew: a link that flaps beside a server
    /// that fails may not turn it off.
    fn take_token(&mut self, now: Instant) {
        if let Some(asked) = self.retry_after.as_mut().filter(|asked| asked.until > now) {
            asked.passed = true;
        }
        let evidence = (self.fresh.uplink.is_some() && self.changes.take(0, now))
            || (self.has_evidence() && self.changes.take(1, now));
        if evidence {
            self.backoff.reset();
        }
        let free = self.is_free_by_cycle() || (self.is_retrying() && self.retry_at <= now);
        let paid = evidence || free || (self.fresh.has_request() && self.triggers.take(0, now));
        debug_assert!(paid, "start_at saw a token");
    }

    /// Takes a token of network changes if more than `reserve` remain.
    #[must_use]
    pub(super) fn take_change_token(&mut self, reserve: u32, now: Instant) -> bool {
        self.changes.take(reserve, now)
    }

    /// The next attempt may fare better than the last: it need not wait for the back-off.
    pub(super) const fn retry_early(&mut self) {
        self.retry_early = true;
        self.has_changed = true;
    }

    /// A beat was acknowledged: nothing of the past holds the next one back.
    pub(super) fn acknowledged(&mut self) {
        self.backoff.reset();
        self.retry_after = None;
        self.spread_until = None;
        self.has_changed = false;
    }

    /// The server's answer was final: the next beat is that of the cycle.
    pub(super) fn refused(&mut self) {
        self.last_beat = false;
        self.backoff.reset();
        self.spread_until = None;
        self.has_changed = false;
    }

    /// The round of the beat that `carried` these reasons has failed; returns when it is tried
    /// again.
    ///
    /// `longest` bounds the back-off. `asked` is what a server asked for in this round.
    pub(super) fn retry(
        &mut self,
        carried: PendingReasons,
        longest: Duration,
        asked: Option<RetryAfter>,
        now: Instant,
        rng: &mut Rng,
    ) -> Instant {
        self.has_changed = false;
        let retry_at = now + self.backoff.advance(longest, rng);
        self.retry_at = self.promise.start_by().map_or(retry_at, |at| at.max(now).min(retry_at));
        self.retrying.merge(carried);
        self.retry_after = asked.or(self.retry_after);
        self.last_beat &= self.quiet_until(now).is_none();
        self.retry_after.map_or(self.retry_at, |asked| asked.until.max(self.retry_at))
    }

    /// The beat that `carried` these reasons has no way left: it waits for a local change, or until
    /// `retry_at`.
    pub(super) fn defer(&mut self, carried: PendingReasons, retry_at: Instant) {
        self.retrying.merge(carried);
        self.retry_at = retry_at;
        self.retry_early = true;
    }

    /// The beat that `carried` these reasons is tried again when a recovery lets it.
    pub(super) fn put_back(&mut self, carried: PendingReasons) {
        self.retrying.merge(carried);
    }

    /// Until when the server has asked for quiet, if that is not over.
    pub(super) fn quiet_until(&self, now: Instant) -> Option<Instant> {
        self.retry_after.map(|asked| asked.until).filter(|until| *until > now)
    }
}

#[cfg(test)]
impl Demand {
    /// Has the cycle tick at this instant, and from then on, if it runs.
    pub(super) fn set_phase(&mut self, tick_at: Instant) {
        self.cycle.due_at = self.cycle.due_at.map(|_| tick_at);
    }

    /// The next tick of the cycle.
    pub(super) fn phase(&self) -> Option<Instant> {
        self.cycle.due_at
    }

    /// When triggers have a token.
    pub(super) fn trigger_token_at(&self, now: Instant) -> Instant {
        self.triggers.token_at(0, now)
    }

    /// When changes of the network have a token.
    pub(super) fn change_token_at(&self, now: Instant) -> Instant {
        self.changes.token_at(0, now)
    }
}
