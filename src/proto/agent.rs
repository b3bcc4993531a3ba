//! The agent: every decision, in one place that owns no socket and no clock.
//!
//! ```text
//!            want, way out, gate open                     2xx, or a final answer
//!   Idle ------------------------------> InFlight ---------------------------------> Idle
//!     ^                                      |
//!     +---- retrying, hastened by evidence --+ no connection left, or out of time
//! ```
//!
//! [`handle`](Agent::handle) takes what happened and answers with orders, first to be performed
//! first. Every input is followed by the same four steps ([`advance`](Agent::advance)): the cycle ticks, a beat
//! starts if one is wanted and allowed, the race goes on, the probes go on. The rooms: `beat` (one
//! `seq` from start to end), `network` (links, uplinks, what dies with them), `view` (what people are shown).

mod beat;
mod network;
mod view;

pub use view::View;

use core::time::Duration;

use self::beat::{Beat, Hold};
use super::backoff::Backoff;
use super::event::{Action, Actions, Failure, Input, Note, Reason, Ticket, TriggerAnswer, Word};
use super::links::Links;
use super::moderation::Bucket;
use super::race::Race;
use super::reach::{Connectivity, Finding, Reach};
use super::resolve::Resolver;
use super::rng::Rng;
use super::schedule::{Cycle, Wants};
use super::settings::Settings;
use super::time::Instant;
use super::uplink::{Active, Uplinks};

/// The whole state of the core.
#[derive(Debug)]
pub struct Agent {
    settings: Option<Settings>,
    rng: Rng,
    // The network.
    links: Links,
    uplinks: Uplinks,
    active: Active,
    usable_at: Instant,
    settled: bool,
    resolver: Resolver,
    reach: Reach,
    // What is wanted.
    cycle: Cycle,
    started: bool,
    fresh: Wants,
    retrying: Wants,
    told: u64,
    triggers: Bucket,
    changes: Bucket,
    // What is under way.
    seq: u64,
    beat: Beat,
    race: Race,
    backoff: Backoff,
    retry_at: Instant,
    hastened: bool,
    hold: Option<Hold>,
    last_failure: Option<Failure>,
    rounds_failed: u32,
    delivered: bool,
}

/// Whether a beat may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Nothing is wanted, or there is no way out: only an input can change that.
    Closed,
    /// Not before this instant (now, or in the future).
    From(Instant),
}

impl Agent {
    /// An agent that knows nothing and waits for its first [`Input::Configured`].
    ///
    /// `seed` feeds the jitter; two devices must not have the same one.
    #[must_use]
    pub fn new(seed: u64, now: Instant) -> Self {
        let unlimited = super::settings::BucketSettings { burst: 1, every: Duration::ZERO };
        Self {
            settings: None,
            rng: Rng::new(seed),
            links: Links::new(),
            uplinks: Uplinks::new(),
            active: Active::new(),
            usable_at: now,
            settled: false,
            resolver: Resolver::new(),
            reach: Reach::new(),
            cycle: Cycle::default(),
            started: false,
            fresh: Wants::default(),
            retrying: Wants::default(),
            told: 0,
            triggers: Bucket::new(unlimited, now),
            changes: Bucket::new(unlimited, now),
            seq: 1,
            beat: Beat::Idle,
            race: Race::new(),
            backoff: Backoff::new(),
            retry_at: now,
            hastened: false,
            hold: None,
            last_failure: None,
            rounds_failed: 0,
            delivered: false,
        }
    }

    /// Takes what happened at `now` and returns what to do, in order.
    ///
    /// `now` never goes back. Results of attempts, probes and queries that were given up are dropped.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Actions {
        let mut actions = Actions::new();
        let out = &mut actions;
        match input {
            Input::Deadline => {}
            Input::Link(event) => {
                let changed = self.links.apply(event);
                if self.links.wants_dump() {
                    self.dump(out);
                }
                if changed && self.settled {
                    self.network_changed(now, out);
                }
            }
            Input::LinksLost => self.dump(out),
            Input::LinksDumped => {
                let changed = self.links.finish_dump();
                if changed || !self.settled {
                    self.settled = true;
                    self.network_changed(now, out);
                }
            }
            Input::Configured(settings) => self.configured(settings, now, out),
            Input::ResolverChanged(settings) => {
                if self.resolver.configure(settings, out) {
                    self.hasten();
                }
            }
            Input::Triggered { word, ticket } => self.triggered(word, ticket, now, out),
            Input::ProbeAnswered(probe) => {
                if let Some(finding) = self.reach.answered(probe, now, &mut self.rng, out) {
                    self.outside_answered(false, now, out);
                    if finding == Finding::Healed {
                        self.heal(now, out);
                    }
                }
            }
            Input::ProbeFailed(probe, failure) => self.reach.failed(probe, failure, now),
            // Whether it is of use shows in the addresses.
            Input::QueryAnswered(query, answer) => {
                self.resolver.answered(query, answer, now, out);
            }
            Input::QueryFailed(query, failure) => self.resolver.failed(query, failure, now, out),
            Input::Opened(attempt, local) => self.opened(attempt, local),
            Input::Connected(attempt) => self.connected(attempt, now, out),
            Input::Secured(attempt) => self.secured(attempt, now, out),
            Input::Written(attempt) => self.written(attempt, now),
            Input::AckChecked(attempt, acked) => self.ack_checked(attempt, acked),
            Input::Replied(attempt, reply) => self.replied(attempt, reply, now, out),
            Input::AttemptFailed(attempt, failure) => self.attempt_failed(attempt, failure, now),
        }
        self.advance(now, out);
        actions
    }

    /// When to call [`handle`](Self::handle) with [`Input::Deadline`] if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let start = match self.gate(now) {
            Gate::From(at) if self.beat.is_idle() => Some(at),
            Gate::From(_) | Gate::Closed => None,
        };
        [
            self.cycle.due_at(),
            start,
            self.beat.next_deadline(),
            self.race.next_deadline(),
            self.reach.next_deadline(),
            self.resolver.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn advance(&mut self, now: Instant, actions: &mut Actions) {
        self.tick(now);
        self.resolver.tick(now, actions);
        if self.beat.is_idle() && self.gate(now) == Gate::From(now) {
            self.start(now);
        }
        self.drive(now, actions);
        self.probe(now, actions);
        self.judge(now, actions);
    }

    fn dump(&mut self, actions: &mut Actions) {
        self.links.start_dump();
        Action::DumpLinks.push_to(actions);
    }

    fn tick(&mut self, now: Instant) {
        let Some(settings) = &self.settings else { return };
        let Some(due_at) = self.cycle.tick(now, settings.interval) else { return };
        // A beat that is under way or being retried is the beat of this tick as well.
        if self.beat.is_idle() && self.retrying.is_empty() {
            self.fresh.add(Reason::Interval, due_at);
        }
    }

    fn configured(&mut self, settings: &Settings, now: Instant, actions: &mut Actions) {
        let former = self.settings.replace(settings.clone());
        self.triggers.configure(settings.trigger_bucket, now);
        self.changes.configure(settings.network_bucket, now);
        self.close_kept(actions);
        // The ways to the nameservers may be others now.
        self.resolver.close_all(actions);
        if former.as_ref().is_none_or(|former| former.server != settings.server) {
            self.hold = None;
            if let Some(server) = &settings.server {
                self.resolver.server(server, actions);
            }
        }
        self.abandon_unwritten(now, actions);
        if !settings.enabled || settings.server.is_none() {
            self.fall_silent(actions);
        } else if !self.started {
            // Without auto_connect the first configuration only says where beats would go.
            if settings.auto_connect || former.is_some() {
                let first = self.seq == 1;
                self.begin(if first { Reason::Startup } else { Reason::ConfigChanged }, now);
            }
        } else {
            self.backoff.reset();
            self.cycle.hurry(now + settings.interval);
            self.fresh.add(Reason::ConfigChanged, now);
        }
        if self.settled {
            self.network_changed(now, actions);
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
        self.beat = Beat::Idle;
        self.fresh = Wants::default();
        self.retrying = Wants::default();
        self.reach.stop(actions);
        self.resolver.close_all(actions);
    }

    fn triggered(
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
                if set {
                    Action::Note(Note::TriggerSet).push_to(actions);
                }
                TriggerAnswer::Held { seq, until }
            }
            Gate::From(_) | Gate::Closed => answer(set, seq, actions),
        }
    }

    /// Something outside answered; `delivered` if the answer was to a beat.
    fn outside_answered(&mut self, delivered: bool, now: Instant, actions: &mut Actions) {
        if !self.reach.online(now) {
            return;
        }
        Action::Note(Note::ConnectivityRestored).push_to(actions);
        if delivered || !self.started {
            return;
        }
        match self.beat.carried() {
            Some(carried) => carried.add(Reason::Restored, now),
            None => self.fresh.add(Reason::Restored, now),
        }
    }

    /// Decides whether the device is offline, from the probes and the last beat together.
    fn judge(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        let probes = !settings.probe_addresses.is_empty();
        let stranded =
            self.settled && self.reach.connectivity() == Connectivity::Online && !self.has_way(now);
        let refused = self.reach.is_refused(probes)
            && self.beat.failure().or(self.last_failure).is_some_and(is_of_the_network);
        if (stranded || refused || self.reach.is_silent()) && self.reach.offline(now) {
            Action::Note(Note::ConnectivityLost).push_to(actions);
        }
    }

    /// A local change is evidence that the next attempt may fare better: no back-off stands in its way.
    fn hasten(&mut self) {
        self.backoff.reset();
        self.hastened = true;
    }

    /// When the beat that is wanted may start.
    fn gate(&self, now: Instant) -> Gate {
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
        let local = self.fresh.has_local_change() || (waiting && self.hastened);
        let local = local.then(|| self.changes.token_at(1, now));
        let trigger = self.fresh.has_trigger().then(|| self.triggers.token_at(0, now));
        let retry = waiting.then_some(self.retry_at.max(now));
        let soonest = [change, cycle, local, trigger, retry].into_iter().flatten().min();
        soonest.map_or(Gate::Closed, Gate::From)
    }

    /// Pays for the beat that starts, with the token that let it through.
    fn pay(&mut self, now: Instant) {
        let waiting = !self.retrying.is_empty();
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.until > now) {
            hold.passed = true;
        }
        let free = if waiting { self.retry_at <= now } else { self.fresh.has_cycle() };
        if free {
            return;
        }
        let local = self.fresh.has_local_change() || (waiting && self.hastened);
        let paid = (self.fresh.has_uplink_change() && self.changes.take(0, now))
            || (local && self.changes.take(1, now))
            || (self.fresh.has_trigger() && self.triggers.take(0, now));
        debug_assert!(paid, "the gate saw a token");
    }
}

fn answer(set: bool, seq: u64, actions: &mut Actions) -> TriggerAnswer {
    if set {
        Action::Note(Note::TriggerSet).push_to(actions);
        TriggerAnswer::Set { seq }
    } else {
        TriggerAnswer::Pending { seq }
    }
}

/// Whether a failure says that packets do not get through, rather than that somebody refuses us.
const fn is_of_the_network(failure: Failure) -> bool {
    match failure {
        Failure::Refused | Failure::Unreachable | Failure::TimedOut | Failure::NoInterface => true,
        Failure::Reset
        | Failure::Closed
        | Failure::Denied
        | Failure::Exhausted
        | Failure::Tls(_)
        | Failure::Malformed
        | Failure::TooLarge
        | Failure::Status(_)
        | Failure::NameNotFound
        | Failure::NameServerFailed
        | Failure::NoNameserver => false,
    }
}

#[cfg(test)]
mod tests;
