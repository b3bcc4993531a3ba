//! One round of attempts at a beat, from the moment it may start until it waits for an answer.

use super::Agent;
use crate::proto::delivery::Flight;
use crate::proto::event::{Actions, ConnectionId};
use crate::proto::time::Instant;

impl Agent {
    /// Takes up everything that is wanted as one beat.
    pub(super) fn start(&mut self, now: Instant, actions: &mut Actions) {
        let evidence = self.demand.may_fare_better();
        let carried = self.demand.start(now);
        let covers = self.demand.covers(self.delivery.seq());
        self.delivery.give_up_late(now, actions);
        self.network.begin_names(self.delivery.last().failure().is_some(), now);
        self.outages.round_began();
        let (usable_at, give_up_at) = (self.network.usable_at(), self.give_up_at(now));
        self.delivery.begin(carried, evidence, covers, usable_at, give_up_at, now);
    }

    /// Ends the beat under way, and all that waits for it.
    pub(super) fn end_beat(&mut self, now: Instant) -> Option<Flight> {
        self.network.end_name_wait();
        self.says_goodbye &= self.demand.wants_last_beat();
        self.delivery.end(now)
    }

    /// When a request that begins now is given up.
    pub(super) fn give_up_at(&self, now: Instant) -> Instant {
        now + self.demand.exchange()
    }

    /// Gives the beat the whole time of a request once more: what was before it was no time at all.
    pub(super) fn extend_deadline(&mut self, now: Instant) {
        self.delivery.extend(self.give_up_at(now));
        self.network.end_name_wait();
    }

    /// Moves the race on: gives up, doubts, starts the next connection, ends the round.
    pub(super) fn drive(&mut self, now: Instant, actions: &mut Actions) {
        if self.delivery.is_idle() {
            return;
        }
        if let Some(failure) = self.delivery.timed_out(now) {
            self.fail_round(failure, now, actions);
            return;
        }
        self.delivery.doubt(&mut self.network, now, actions);
        self.ask_for_names(now, actions);
        self.delivery.race_on(&self.network, now, actions);
        if let Some(failure) = self.delivery.stuck(&self.network, now) {
            self.fail_round(failure, now, actions);
        }
    }

    /// Keeps the resolver going while the server's addresses are unknown or in doubt.
    pub(super) fn ask_for_names(&mut self, now: Instant, actions: &mut Actions) {
        // A nameserver that is new has no way before the kernel has reported it.
        if self.network.routing().is_open() || self.delivery.is_idle() {
            return;
        }
        // Nothing is resolved ahead of need: where the connection fails after all, the last good
        // address is tried beside the lookup.
        if self.delivery.race().is_carried() {
            self.network.end_name_wait();
            return;
        }
        let silent = self.delivery.race().is_silent();
        let failing = silent || self.delivery.failure().is_some();
        self.network.ask_for_names(silent, failing, now, actions);
    }

    pub(super) fn connected(&mut self, id: ConnectionId, now: Instant, actions: &mut Actions) {
        if self.delivery.connected(id, now) {
            self.outages.outside_answered(self.network.reach().has_missed());
            let restored = self.on_answer_from_outside(false, now, actions);
            self.network.reach_mut().server_connects(now, &mut self.rng, actions);
            if restored {
                self.hold_back(true, now, actions);
            }
        }
    }

    pub(super) fn secured(&mut self, id: ConnectionId, now: Instant, actions: &mut Actions) {
        if let Some(reason) = self.delivery.secured(id, now, actions) {
            self.demand.add(reason, now);
        }
    }
}
