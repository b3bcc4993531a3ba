//! What is asked for, and when it may start: configuration, triggers, moderation, back-off, Retry-After.

use core::time::Duration;

use super::Agent;
use super::beat::Beat;
use crate::proto::event::{
    Action, Actions, Failure, Note, Reason, Ticket, TlsFailure, TriggerAnswer, Word,
};
use crate::proto::rng::Rng;
use crate::proto::schedule::Wants;
use crate::proto::settings::Settings;
use crate::proto::time::Instant;
use crate::proto::uplink;

/// Longest a server's Retry-After is obeyed.
const HOLD_MAX: Duration = Duration::from_secs(900);

/// Whether a beat may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Nothing is wanted, or there is no way out: only an input can change that.
    Closed,
    /// Not before this instant (now, or in the future).
    From(Instant),
}

/// A server asked for quiet (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) until: Instant,
    /// Whether a change of uplink has used the one exception.
    passed: bool,
}

impl Hold {
    /// Quiet for `asked`, and up to a tenth more: a fleet shall not come back in one moment.
    pub(super) fn new(asked: Duration, now: Instant, rng: &mut Rng) -> Self {
        // A server may ask for more seconds than a sum of two waits can hold.
        let asked = asked.min(HOLD_MAX);
        let wait = (asked + rng.fraction(asked / 10)).min(HOLD_MAX);
        Self { until: now + wait, passed: false }
    }
}

impl Agent {
    pub(super) fn tick(&mut self, now: Instant) {
        let Some(settings) = &self.settings else { return };
        let Some(due_at) = self.cycle.tick(now, settings.interval) else { return };
        // A beat that is under way or being retried is the beat of this tick as well.
        if self.beat.is_idle() && self.retrying.is_empty() {
            self.fresh.add(Reason::Interval, due_at);
        }
    }

    pub(super) fn configured(&mut self, settings: &Settings, now: Instant, actions: &mut Actions) {
        let former = self.settings.replace(settings.clone());
        self.triggers.configure(settings.trigger_bucket, now);
        self.changes.configure(settings.network_bucket, now);
        self.services.configure(&settings.services, now, actions);
        self.close_kept(actions);
        // The ways to the nameservers may be others now.
        self.resolver.close_all(actions);
        if former.as_ref().is_none_or(|former| former.server != settings.server) {
            self.hold = None;
            // An answer of the former server would be taken for one of the new one.
            self.restart_race(now, actions);
            if let Some(server) = &settings.server {
                self.resolver.server(server, actions);
            }
        }
        if !self.race.is_written() {
            self.restart_race(now, actions);
        }
        if !settings.enabled || settings.server.is_none() {
            self.fall_silent(actions);
        } else if self.started {
            self.cycle.hurry(now + settings.interval);
            self.tell(Reason::ConfigChanged, now);
        } else if settings.auto_connect || former.is_some() {
            // Without auto_connect the first configuration only says where beats would go.
            let first = self.seq == 1;
            self.begin(if first { Reason::Startup } else { Reason::ConfigChanged }, now);
        }
        let ignored = |settings: &Settings| settings.ignore_interfaces.clone();
        if former.as_ref().map(ignored) != Some(ignored(settings)) {
            self.links.forget(|name| uplink::is_ignored(settings, name));
            if self.settled {
                // Those that were ignored till now are in no table.
                self.order_dump(super::Dump::Ordered, actions);
            }
        }
        if self.settled {
            self.network_changed(now, actions);
        }
    }

    /// Wants the server to be told: by the beat under way, if nothing of it is written yet.
    pub(super) fn tell(&mut self, reason: Reason, now: Instant) {
        match self.beat.carried().filter(|_| !self.race.is_written()) {
            Some(carried) => carried.add(reason, now),
            None => self.fresh.add(reason, now),
        }
    }

    /// The first want: from here on the cycle runs.
    fn begin(&mut self, reason: Reason, now: Instant) {
        if let Some(settings) = self.settings.as_ref().filter(|_| !self.started) {
            self.started = true;
            self.cycle.restart(now, settings.interval);
        }
        self.fresh.add(reason, now);
    }

    /// Switched off, or nowhere to send to: nothing is wanted and nothing stays open.
    fn fall_silent(&mut self, actions: &mut Actions) {
        self.started = false;
        self.cycle.stop();
        self.close_tries(actions);
        self.close_kept(actions);
        self.close_owed(actions);
        self.beat = Beat::Idle;
        self.fresh = Wants::default();
        self.retrying = Wants::default();
        self.backoff.reset();
        self.resolver.close_all(actions);
    }

    pub(super) fn triggered(
        &mut self,
        word: Option<Word>,
        ticket: Ticket,
        now: Instant,
        actions: &mut Actions,
    ) {
        let answer = match &self.settings {
            Some(settings) if !settings.enabled => TriggerAnswer::Disabled,
            Some(Settings { server: Some(_), .. }) => self.accept(word, now, actions),
            Some(_) | None => TriggerAnswer::Unconfigured,
        };
        if ticket != Ticket(0) {
            Action::AnswerTrigger(ticket, answer).push_to(actions);
        }
    }

    fn accept(&mut self, word: Option<Word>, now: Instant, actions: &mut Actions) -> TriggerAnswer {
        let reason = Reason::Triggered(word);
        if let Some(carried) = self.beat.carried().filter(|_| !self.race.is_written()) {
            let set = !carried.has_trigger();
            carried.add(reason, now);
            return answer(set, self.seq, actions);
        }
        let set = !self.fresh.has_trigger() && !self.retrying.has_trigger();
        self.begin(reason, now);
        // What is in no report of the beat under way is not among those that it covers.
        let seq = self.beat.covers().map_or(self.seq, |covers| covers + 1);
        self.told = self.told.max(seq);
        match self.gate(now) {
            Gate::From(until) if until > now => {
                Action::Note(trigger_note(set)).push_to(actions);
                TriggerAnswer::Held { seq, set, until }
            }
            Gate::From(_) | Gate::Closed => answer(set, seq, actions),
        }
    }

    /// When the beat that is wanted may start.
    pub(super) fn gate(&self, now: Instant) -> Gate {
        let wanted = !self.fresh.is_empty() || !self.retrying.is_empty();
        if !wanted || !self.settled || !self.has_way(now) {
            return Gate::Closed;
        }
        let change = self.fresh.has_uplink_change().then(|| self.changes.token_at(0, now));
        if let Some(hold) = self.hold.filter(|hold| hold.until > now) {
            let through = change.filter(|_| !hold.passed);
            return Gate::From(through.map_or(hold.until, |at| at.min(hold.until)));
        }
        let waiting = !self.retrying.is_empty();
        let cycle = (self.fresh.has_cycle() && !waiting).then_some(now);
        let local = self.has_evidence().then(|| self.changes.token_at(1, now));
        let trigger = self.fresh.has_request().then(|| self.triggers.token_at(0, now));
        let retry = waiting.then_some(self.retry_at.max(now));
        let soonest = [change, cycle, local, trigger, retry].into_iter().flatten().min();
        soonest.map_or(Gate::Closed, Gate::From)
    }

    /// Whether something local has changed, so that the next attempt may fare better than the last.
    fn has_evidence(&self) -> bool {
        self.fresh.has_local_change() || (!self.retrying.is_empty() && self.hastened)
    }

    /// A certificate that was not valid by the clock before may be by the clock now.
    pub(super) fn clock_set(&mut self) {
        self.hastened |= self.beat.failure().or(self.last_failure).is_some_and(is_of_the_time);
    }

    /// Pays for the beat that starts, with the token that let it through.
    ///
    /// Evidence that is paid for makes the back-off start anew: a link that flaps beside a server
    /// that fails may not turn it off.
    pub(super) fn pay(&mut self, now: Instant) {
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.until > now) {
            hold.passed = true;
        }
        let evidence = (self.fresh.has_uplink_change() && self.changes.take(0, now))
            || (self.has_evidence() && self.changes.take(1, now));
        if evidence {
            self.backoff.reset();
        }
        let waiting = !self.retrying.is_empty();
        let free = if waiting { self.retry_at <= now } else { self.fresh.has_cycle() };
        let paid = evidence || free || (self.fresh.has_request() && self.triggers.take(0, now));
        debug_assert!(paid, "the gate saw a token");
    }
}

/// Whether a failure says that a certificate is not valid by the clock here.
const fn is_of_the_time(failure: Failure) -> bool {
    matches!(failure, Failure::Tls(TlsFailure::NotYetValid | TlsFailure::Expired))
}

fn answer(set: bool, seq: u64, actions: &mut Actions) -> TriggerAnswer {
    Action::Note(trigger_note(set)).push_to(actions);
    if set { TriggerAnswer::Set { seq } } else { TriggerAnswer::Pending { seq } }
}

const fn trigger_note(set: bool) -> Note {
    if set { Note::TriggerSet } else { Note::TriggerMerged }
}
