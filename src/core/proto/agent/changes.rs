//! The consequences of a change of the network for beats: the network epoch.
//!
//! A connection dies when its interface stops being usable or its local address goes; one that is
//! not established yet also when its gateway changes. Something added takes nothing away.

use super::Agent;
use crate::proto::event::{Action, Actions, Note};
use crate::proto::link::LinkEvent;
use crate::proto::reach::Connectivity;
use crate::proto::route::Route;
use crate::proto::time::Instant;

impl Agent {
    /// Takes in a message of the kernel about links and routing.
    ///
    /// What a link says is acted upon at once; of everything else the kernel is asked for the
    /// outcome.
    pub(super) fn link_reported(&mut self, event: LinkEvent, now: Instant, actions: &mut Actions) {
        if let LinkEvent::Announced(announcement) = event {
            self.network.announced(&announcement, now);
            return;
        }
        let change = self.network.link_changed(event, self.settings.as_ref(), actions);
        if change.gained {
            self.demand.retry_early();
        }
        if !change.any && !change.gained {
            return;
        }
        if self.network.is_complete() && !self.network.routing().is_open() {
            self.network_changed(now, actions);
        }
        self.network.confirm(now, actions);
    }

    /// Takes the kernel's answers.
    pub(super) fn routes_answered(
        &mut self,
        routes: &[Route],
        now: Instant,
        actions: &mut Actions,
    ) {
        self.network.routes_answered(routes, actions);
        // Links may have changed since the question, whatever the answers are.
        if self.network.is_complete() {
            self.network_changed(now, actions);
        }
    }

    /// Compares the uplinks with what they were, and acts on what is a change.
    pub(super) fn network_changed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        let change = self.network.follow(settings, self.delivery.seq() == 1, now, actions);
        if change.first {
            self.delivery.race_mut().forget_round_trips();
            self.delivery.forget_held();
        }
        let bereft = self.delivery.close_dead_connections(&mut self.network, actions);
        if self.network.regains_way(now) || change.gained {
            self.demand.retry_early();
        }
        if change.first {
            self.demand.spread_start(now, &mut self.rng);
        }
        if change.any {
            self.meter(now);
            self.delivery.forget_paths(now);
        }
        let reason = change.reason.filter(|_| self.demand.is_running());
        let news = reason.is_some();
        if let Some(reason) = reason {
            Action::Note(Note::NetworkChanged(reason.clone())).push_to(actions);
            self.request_beat(reason, now);
        }
        if (bereft || news) && !self.delivery.race().is_written() {
            self.restart_on_best_paths(now, actions);
        }
        let wanted = self.demand.is_pending() || !self.delivery.is_idle();
        let unsure = wanted || self.network.reach().connectivity() == Connectivity::Offline;
        if change.moved && unsure && self.network.has_way(now) {
            self.network.reach_mut().restart(now, actions);
        }
    }

    /// Has the cycle go at the pace of the uplink in use; without one it stays as it is.
    pub(super) fn meter(&mut self, now: Instant) {
        let Some(settings) = self.settings.as_ref().filter(|_| self.network.first().is_some())
        else {
            return;
        };
        let least = self.is_metered().then_some(settings.metered.interval);
        self.demand.meter(least, now, &mut self.rng);
    }

    /// Has the beat under way start over on the ways that there are now, if a token allows it.
    ///
    /// Without one it goes on with what it has, or with paths of this round that it has not tried:
    /// a flapping link may neither make a storm of connections nor stop the beats of the others.
    fn restart_on_best_paths(&mut self, now: Instant, actions: &mut Actions) {
        let Some(carried) = self.delivery.carried() else { return };
        let reserve = u32::from(carried.uplink.is_none());
        if self.demand.take_change_token(reserve, now) {
            self.restart_race(now, actions);
        } else if self.delivery.race().attempts.is_empty()
            && self.delivery.best(&self.network, now).is_none()
            && let Some(flight) = self.end_beat(now)
        {
            // It waits for evidence.
            self.demand.defer(flight.carried, now + self.demand.interval());
        }
    }

    /// Closes every connection of the beat under way: the next ones take the best ways.
    pub(super) fn restart_race(&mut self, now: Instant, actions: &mut Actions) {
        self.delivery.restart(now, actions);
        self.extend_deadline(now);
    }
}
