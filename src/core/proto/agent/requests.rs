//! Requests for a beat: by the cycle, the configuration, local helpers, the clock.

use super::Agent;
use crate::proto::event::{Action, Actions, Failure, Note, Reason, RequestId, TriggerAnswer};
use crate::proto::label::Word;
use crate::proto::reach::Connectivity;
use crate::proto::settings::Settings;
use crate::proto::time::Instant;

impl Agent {
    pub(super) fn tick(&mut self, now: Instant) {
        if self.demand.tick(self.delivery.is_idle(), now) {
            self.outages.fell_due();
        }
    }

    pub(super) fn configured(&mut self, settings: &Settings, now: Instant, actions: &mut Actions) {
        let former = self.settings.replace(settings.clone());
        let another_server = former.as_ref().is_none_or(|former| former.server != settings.server);
        self.demand.configure(settings, another_server, now, &mut self.rng);
        self.network.configure(settings, now, actions);
        // The answers depend on the server's port, and on whether sockets are bound.
        self.network.routing_mut().want();
        self.meter(now);
        self.delivery.close_kept(actions);
        // The ways to the nameservers may be others now.
        self.network.resolver_mut().close_all(actions);
        if another_server {
            // An answer of the former server would be taken for one of the new one.
            self.restart_race(now, actions);
            if let Some(server) = &settings.server {
                self.network.resolver_mut().server(server, actions);
            }
        }
        if !self.delivery.race().is_written() {
            self.restart_race(now, actions);
        }
        if !settings.enabled || settings.server.is_none() {
            self.fall_silent(now, actions);
        } else if self.demand.is_running() {
            self.request_beat(Reason::ConfigChanged, now);
        } else if settings.auto_connect || former.is_some() {
            // Without auto_connect the first configuration only says where beats would go.
            let first = self.delivery.seq() == 1;
            let reason = if first { Reason::Startup } else { Reason::ConfigChanged };
            self.begin(reason, now);
        }
        let ignored = |settings: &Settings| settings.ignore_interfaces.clone();
        if former.as_ref().map(ignored) != Some(ignored(settings)) {
            self.network.ignore(settings, actions);
        }
        if self.network.is_complete() {
            self.network_changed(now, actions);
        }
    }

    /// Has the last beat start at once, unless the server has refused the one before or asked to
    /// wait, or there is no way to it.
    ///
    /// A beat under way goes first if it is written already.
    pub(super) fn stopping(&mut self, now: Instant) {
        let refused = self.delivery.last().failure().is_some_and(Failure::is_final);
        let quiet = self.demand.quiet_until(now).is_some();
        let offline = self.network.reach().connectivity() == Connectivity::Offline;
        let wanted = self.demand.is_running() && !refused && !quiet && !offline;
        if wanted && self.network.has_way(now) {
            self.says_goodbye = true;
            if self.delivery.unwritten().is_none() {
                self.demand.want_last_beat();
            }
        }
    }

    /// Wants a beat, and starts the cycle if it does not run: an outage that lasts begins to count.
    fn begin(&mut self, reason: Reason, now: Instant) {
        let starts = !self.demand.is_running();
        self.demand.begin(reason, now, &mut self.rng);
        if starts && self.network.reach().connectivity() == Connectivity::Offline {
            self.outages.lost(self.network.first().is_some(), None, now);
        }
    }

    /// Wants a beat: the one under way, if nothing of it is written yet.
    pub(super) fn request_beat(&mut self, reason: Reason, now: Instant) {
        match self.delivery.unwritten() {
            Some(carried) => carried.add(reason, now),
            None => self.demand.add(reason, now),
        }
    }

    /// Switched off, or nowhere to send to: nothing is wanted and nothing stays open.
    fn fall_silent(&mut self, now: Instant, actions: &mut Actions) {
        self.demand.clear();
        self.delivery.close_attempts(actions);
        self.delivery.close_kept(actions);
        self.delivery.close_late(actions);
        self.end_beat(now);
        self.outages.end(now);
        self.delivery.forget_held();
        self.network.resolver_mut().close_all(actions);
    }

    pub(super) fn triggered(
        &mut self,
        word: Option<Word>,
        request: Option<RequestId>,
        now: Instant,
        actions: &mut Actions,
    ) {
        let answer = match &self.settings {
            Some(settings) if !settings.enabled => TriggerAnswer::Disabled,
            Some(Settings { server: Some(_), .. }) => {
                self.accept(Reason::Triggered(word), now, actions)
            }
            Some(_) | None => TriggerAnswer::Unconfigured,
        };
        if let Some(request) = request {
            Action::AnswerTrigger(request, answer).push_to(actions);
        }
    }

    fn accept(&mut self, reason: Reason, now: Instant, actions: &mut Actions) -> TriggerAnswer {
        let (set, seq, until);
        if let Some(carried) = self.delivery.unwritten() {
            set = carried.trigger.is_none();
            carried.add(reason, now);
            (seq, until) = (self.delivery.seq(), None);
        } else {
            set = !self.demand.has_trigger();
            self.begin(reason, now);
            // What is in no report of the beat under way is not among those that it covers.
            seq = self.demand.promise(self.delivery.next_seq());
            until = self.start_at(now).filter(|until| *until > now);
        }
        if set {
            self.outages.fell_due();
        }
        Action::Note(if set { Note::TriggerSet } else { Note::TriggerMerged }).push_to(actions);
        match (until, set) {
            (Some(until), _) => TriggerAnswer::Held { seq, set, until },
            (None, true) => TriggerAnswer::Set { seq },
            (None, false) => TriggerAnswer::Pending { seq },
        }
    }

    /// A certificate that was not valid by the clock before may be by the clock now.
    pub(super) fn clock_set(&mut self) {
        if self.delivery.failure().is_some_and(Failure::is_of_the_time) {
            self.demand.retry_early();
        }
    }
}
