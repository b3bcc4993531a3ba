//! The life of a connection: it is opened, comes on, falls silent, ends.

use core::net::IpAddr;

use super::{Candidate, Choice, Delivery};
use crate::proto::event::{ATTEMPTS_MAX, Action, Actions, ConnectionId, Failure, Reason, Stamps};
use crate::proto::network::Network;
use crate::proto::race::{Attempt, Connection, Liveness, STAGGER, Stage};
use crate::proto::time::Instant;

impl Delivery {
    /// Turns silence that has lasted too long into doubt, and has the kernel asked where it knows
    /// more.
    pub(crate) fn doubt(&mut self, network: &mut Network, now: Instant, actions: &mut Actions) {
        let (mut unconnected, mut slow) = (false, false);
        for open in &mut self.race.attempts {
            match open.liveness {
                // Nothing is to be heard of it.
                _ if open.stage == Stage::Ready => {}
                Liveness::Until(at) if at <= now && open.stage == Stage::Connecting => {
                    open.liveness = Liveness::Suspect;
                    unconnected = true;
                }
                Liveness::Until(at) if at <= now => {
                    open.liveness = Liveness::Checking;
                    Action::CheckAcked(open.id).push_to(actions);
                }
                Liveness::Acked(at) if at <= now => {
                    open.liveness = Liveness::Slow;
                    slow = true;
                }
                _ => {}
            }
        }
        if unconnected {
            network.suspect_way(true, now);
        } else if slow {
            network.routing_mut().want();
        }
    }

    /// Opens every connection that is called for now.
    pub(crate) fn race_on(&mut self, network: &Network, now: Instant, actions: &mut Actions) {
        self.send_on_ready(now, actions);
        self.allowance.end_denial();
        self.make_room(network, now, actions);
        for _ in 0..ATTEMPTS_MAX {
            // Taken even if nothing comes of it: a deadline in the past would wake the process for
            // ever.
            let staggered = self.race.stagger_at.take_if(|at| *at <= now).is_some();
            let choice = Choice { delivery: self, network, now };
            let Some(next) = choice.next(staggered) else { break };
            if !self.open(next, network, now, actions) {
                break;
            }
        }
    }

    /// Gives up the oldest of a full race that has no answer and was sent nothing but its SYN, so
    /// that dead addresses do not keep a living one out, nor the kernel's own way.
    fn make_room(&mut self, network: &Network, now: Instant, actions: &mut Actions) {
        let race = &self.race;
        let stuck = race.attempts.is_full() && race.is_stuck();
        let more = !race.repeated || self.best(network, now).is_some();
        if !stuck || !more || !self.allowance.allows(now) {
            return;
        }
        let unheard = self.race.attempts.iter().find(|open| open.stage == Stage::Connecting);
        if let Some(id) = unheard.map(|open| open.id) {
            self.race.remove(id);
            Action::CloseConnection(id).push_to(actions);
        }
    }

    /// Opens a connection if one more is allowed, or takes the kept one up; says whether it did.
    pub(crate) fn open(
        &mut self,
        next: Candidate,
        network: &Network,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        let (to, via) = match next {
            Candidate::Kept(kept) => {
                self.race.kept.take();
                self.enter(kept, Stage::Writing, network, now);
                self.send(kept.id, actions);
                return true;
            }
            Candidate::New(to, via) | Candidate::Again(to, via) => (to, via),
        };
        if !self.allowance.take(now) {
            return false;
        }
        if matches!(next, Candidate::Again(..)) {
            self.race.repeated = true;
        }
        self.race.turns.mark(via, to.ip());
        let id = self.race.number();
        self.enter(Connection { id, via, to, local: None }, Stage::Connecting, network, now);
        self.race.stagger_at = Some(now + STAGGER);
        Action::Connect { id, to, via }.push_to(actions);
        true
    }

    /// Takes a connection into the race.
    fn enter(&mut self, connection: Connection, stage: Stage, network: &Network, now: Instant) {
        let Some(flight) = &self.flight else { return };
        let Connection { id, via, to, local } = connection;
        let event_at = flight.carried.since.unwrap_or(flight.started_at);
        let usable_at = event_at.max(network.usable_at()).min(now);
        let reused = stage != Stage::Connecting;
        // A kept connection needs no name.
        let named_at = if reused { usable_at } else { network.named_at(now) };
        let stamps = Stamps {
            event_at,
            usable_at,
            held: self.held.min(now - usable_at),
            resolved_at: named_at.max(usable_at).min(now),
            opened_at: now,
            connected_at: now,
            secured_at: now,
            written_at: now,
            replied_at: now,
        };
        let gateway = network.gateway(via, to.ip());
        let liveness = Liveness::Until(now + self.race.patience(via));
        let entry =
            Attempt { id, via, to, local, gateway, stage, liveness, reused, outages: 0, stamps };
        let entered = self.race.attempts.push(entry).is_ok();
        debug_assert!(entered, "whoever opens one sees to a free place");
    }

    /// Writes the report on a connection that is ready: what is asked for later is not in it.
    fn send(&mut self, id: ConnectionId, actions: &mut Actions) {
        let Some(flight) = &self.flight else { return };
        let reason = flight.carried.reason();
        if let Some(open) = self.race.find(id) {
            open.outages = self.outages;
        }
        Action::SendReport { id, seq: self.seq, reason }.push_to(actions);
    }

    /// The kernel sends from this address.
    pub(crate) fn opened(&mut self, id: ConnectionId, local: IpAddr) {
        if let Some(open) = self.race.find(id) {
            open.local = Some(local);
        } else if let Some(late) = self.late(id) {
            late.local = Some(local);
        }
    }

    /// TCP is established; true if the connection races for the beat under way.
    pub(crate) fn connected(&mut self, id: ConnectionId, now: Instant) -> bool {
        let Some(open) = self.race.find_at(id, Stage::Connecting) else {
            if let Some(late) = self.late(id) {
                late.stage = Stage::Securing;
            }
            return false;
        };
        let (via, round_trip) = (open.via, now - open.stamps.opened_at);
        open.stage = Stage::Securing;
        open.stamps = Stamps { connected_at: now, secured_at: now, written_at: now, ..open.stamps };
        self.race.measure(via, round_trip);
        self.reset_liveness(id, now);
        true
    }

    /// TLS is established: the report is written unless another connection carries it, or the
    /// reason for another beat is returned.
    pub(crate) fn secured(
        &mut self,
        id: ConnectionId,
        now: Instant,
        actions: &mut Actions,
    ) -> Option<Reason> {
        let Some(open) = self.race.find_at(id, Stage::Securing) else {
            return self.resend_on_late(id, actions);
        };
        open.stage = Stage::Ready;
        open.stamps = Stamps { secured_at: now, written_at: now, ..open.stamps };
        // It has answered: what was thought of its silence is over.
        self.reset_liveness(id, now);
        self.send_on_ready(now, actions);
        None
    }

    /// Writes the report on the oldest connection that is ready, if no other one carries it.
    fn send_on_ready(&mut self, now: Instant, actions: &mut Actions) {
        if self.race.is_carrying() {
            return;
        }
        let ready = self.race.attempts.iter_mut().find(|open| open.stage == Stage::Ready);
        if let Some(open) = ready {
            open.stage = Stage::Writing;
            let id = open.id;
            self.reset_liveness(id, now);
            self.send(id, actions);
        }
    }

    /// The whole request is with the kernel.
    pub(crate) fn written(&mut self, id: ConnectionId, now: Instant) {
        if let Some(open) = self.race.find_at(id, Stage::Writing) {
            open.stage = Stage::AwaitingReply;
            open.stamps = Stamps { written_at: now, ..open.stamps };
            self.reset_liveness(id, now);
        }
    }

    /// Something came back, or something new was sent: the connection may be silent for a while.
    fn reset_liveness(&mut self, id: ConnectionId, now: Instant) {
        let Some(via) = self.race.find(id).map(|open| open.via) else { return };
        let until = now + self.race.patience(via);
        if let Some(open) = self.race.find(id) {
            open.liveness = Liveness::Until(until);
        }
    }

    /// Whether the peer has acknowledged every byte.
    pub(crate) fn ack_checked(
        &mut self,
        id: ConnectionId,
        acked: bool,
        network: &mut Network,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(via) = self.race.find(id).map(|open| open.via) else { return };
        // It has been silent for a while when the kernel is asked.
        let patience = self.race.patience(via);
        let slow_at = now + self.race.slow_after().saturating_sub(patience);
        let Some(open) = self.race.find(id) else { return };
        match (open.liveness, acked) {
            (Liveness::Checking | Liveness::LastCheck, true) => {
                open.liveness = Liveness::Acked(slow_at);
            }
            (Liveness::Checking, false) => {
                open.liveness = Liveness::Suspect;
                network.reach_mut().doubt(false, now);
            }
            (Liveness::LastCheck, false) => {
                self.race.remove(id);
                Action::CloseConnection(id).push_to(actions);
            }
            (Liveness::Until(_) | Liveness::Suspect | Liveness::Acked(_) | Liveness::Slow, _) => {}
        }
    }

    /// Keeps an answered connection for the next beat.
    pub(crate) fn keep(&mut self, winner: &Attempt, actions: &mut Actions) {
        if let Some(former) = self.race.keep(winner) {
            Action::CloseConnection(former).push_to(actions);
        }
    }

    /// A portal answers on this path, for every one of these addresses.
    pub(crate) fn met_portal(
        &mut self,
        open: &Attempt,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) {
        self.race.paths.lose(open.path());
        for ip in addresses {
            self.race.turns.mark(open.via, ip);
        }
    }

    /// A connection has ended; the reason for another beat, if it was the late one.
    pub(crate) fn other_failed(&mut self, id: ConnectionId, failure: Failure) -> Option<Reason> {
        self.race.kept_failed(id);
        self.late_failed(id, failure)
    }

    /// A connection of the race has failed; returns how far it had come.
    pub(crate) fn attempt_failed(&mut self, id: ConnectionId, failure: Failure) -> Option<Stage> {
        let lost = self.race.remove(id)?;
        self.race.paths.lose(lost.path());
        self.note_failure(failure, None);
        Some(lost.stage)
    }
}
