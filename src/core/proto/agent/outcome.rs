//! How a beat ends: by an answer, by the failure of a connection, or by that of a whole round.

use core::net::IpAddr;

use super::Agent;
use crate::proto::delivery::Last;
use crate::proto::event::{
    Acknowledged, Action, Actions, ConnectionId, Failure, Note, Reply, Stamps,
};
use crate::proto::moderation::RetryAfter;
use crate::proto::race::{Attempt, Stage};
use crate::proto::reach::budget::SLOW;
use crate::proto::time::Instant;

impl Agent {
    pub(super) fn replied(
        &mut self,
        id: ConnectionId,
        reply: Reply,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(winner) = self.delivery.race_mut().remove(id) else { return };
        self.outages.outside_answered(self.network.reach().has_missed());
        let restored = self.on_answer_from_outside(reply.failure.is_none(), now, actions);
        self.network.reach_mut().stop(actions);
        if let Some(failure @ Failure::Portal(_)) = reply.failure {
            self.met_portal(&winner, reply.keep_alive, failure, now, actions);
            return;
        }
        self.demand.heard();
        self.delivery.heard();
        // While another path is under way, a portal on this one may not speak for the server.
        let goes_on = reply.failure.is_some() && !self.delivery.race().attempts.is_empty();
        if goes_on {
            self.delivery.race_mut().turns.mark(winner.via, winner.to.ip());
        }
        match (reply.keep_alive, goes_on) {
            (true, true) => Action::CloseConnection(id).push_to(actions),
            (true, false) => self.delivery.keep(&winner, actions),
            (false, _) => {}
        }
        let Some(failure) = reply.failure else {
            self.acknowledged(&winner, reply.status, restored, now, actions);
            if let Some(interval) =
                reply.interval.filter(|it| self.demand.obey(*it, now, &mut self.rng))
            {
                Action::Note(Note::IntervalSet(interval)).push_to(actions);
            }
            return;
        };
        let asked = reply.retry_after.filter(|asked| !asked.is_zero());
        let retry_after = asked.map(|asked| RetryAfter::new(asked, now, &mut self.rng));
        self.delivery.note_failure(failure, retry_after);
        if !goes_on {
            self.delivery.race_mut().forget_tried();
            self.fail_round(failure, now, actions);
        }
    }

    /// A portal answers on this path, for every address and until people log in: another path may
    /// do better, and ends the round if there is none.
    fn met_portal(
        &mut self,
        open: &Attempt,
        keep_alive: bool,
        failure: Failure,
        now: Instant,
        actions: &mut Actions,
    ) {
        if keep_alive {
            Action::CloseConnection(open.id).push_to(actions);
        }
        // Unbound, other addresses may leave by another interface.
        let line = |ip| self.network.interface(open.via, ip);
        let of_the_line = |ip: &IpAddr| line(*ip) == line(open.to.ip());
        let addresses = self.network.server_addresses(now).into_iter().filter(of_the_line);
        self.delivery.met_portal(open, addresses);
        self.delivery.note_failure(failure, None);
        self.network.resolver_mut().doubt(false);
    }

    fn acknowledged(
        &mut self,
        winner: &Attempt,
        status: u16,
        restored: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(flight) = self.end_beat(now) else { return };
        let until = self.give_up_at(now);
        let again = self.delivery.won(&flight, winner, &self.network, until, now, actions);
        again.into_iter().for_each(|reason| self.demand.add(reason, now));
        self.network.resolver_mut().good(winner.to.ip(), now);
        let via = self.network.interface(winner.via, winner.to.ip());
        if let Some((via, from)) = via.zip(winner.local) {
            self.network.reported(via, from);
        }
        let stamps = Stamps { replied_at: now, ..winner.stamps };
        let beat = Acknowledged {
            seq: self.delivery.seq(),
            reason: flight.carried.reason(),
            via,
            status,
            stamps,
        };
        let recovered = restored || self.delivery.last() != Last::Acknowledged;
        let covers = flight.covers;
        Action::Note(Note::BeatAcknowledged { beat, covers, recovered }).push_to(actions);
        self.delivery.acknowledged();
        self.demand.acknowledged();
        self.outages.acknowledged(winner.outages, now);
        self.network.standby_mut().acknowledged(winner.stamps.opened_at);
    }

    /// Ends a round without an acknowledgement; the same beat is tried again unless the answer is
    /// final.
    pub(super) fn fail_round(&mut self, failure: Failure, now: Instant, actions: &mut Actions) {
        if let Some(round_at) = self.delivery.round_at() {
            self.delivery.race_mut().cut_short(round_at, now);
        }
        self.delivery.close_attempts(actions);
        let Some(flight) = self.end_beat(now) else { return };
        let (seq, covers, reason) = (self.delivery.seq(), flight.covers, flight.carried.reason());
        let round_at = flight.started_at;
        let retry_at = if failure.is_final() {
            self.demand.refused();
            self.says_goodbye = false;
            None
        } else {
            // Nothing but a beat finds out that people have logged in.
            let portal = failure.is_portal(self.delivery.last().was_acknowledged());
            let interval = self.demand.interval();
            let longest = if portal { interval.min(SLOW) } else { interval };
            let (carried, asked) = (flight.carried, flight.retry_after);
            let retry_at = self.demand.retry(carried, longest, asked, now, &mut self.rng);
            self.says_goodbye &= self.demand.wants_last_beat();
            Some(retry_at)
        };
        // Probes go on, unless the failure itself shows that the network carries.
        if failure.is_an_answer() {
            self.network.reach_mut().stop(actions);
        }
        let news = self.delivery.last().failure() != Some(failure);
        Action::Note(Note::BeatFailed { seq, covers, reason, failure, retry_at, news })
            .push_to(actions);
        self.delivery.failed(failure);
        self.outages.round_failed(failure, round_at);
    }

    pub(super) fn connection_failed(&mut self, id: ConnectionId, failure: Failure, now: Instant) {
        if let Some(reason) = self.delivery.other_failed(id, failure) {
            self.demand.add(reason, now);
        }
        if let Some(stage) = self.delivery.attempt_failed(id, failure) {
            let unconnected = stage == Stage::Connecting && failure.is_of_the_network();
            // What answered there may not be the server, nor the kernel's last answer still be
            // right.
            self.network.suspect_way(unconnected, now);
        }
    }
}
