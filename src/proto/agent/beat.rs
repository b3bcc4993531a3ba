//! One beat, from the moment it may start to its acknowledgement or the end of its round.

use core::net::IpAddr;
use core::time::Duration;

use super::paths::Lookup;
use super::wanted::Hold;
use super::{Agent, is_of_the_network};
use crate::proto::event::{Action, Actions, Attempt, Failure, Note, Reply, Stamps};
use crate::proto::race::{Kept, Stage, Trust, Try};
use crate::proto::resolve;
use crate::proto::schedule::Wants;
use crate::proto::time::Instant;

/// The life of one beat; the connections themselves are in the race.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one per process, and the core does not allocate")]
pub(super) enum Beat {
    Idle,
    InFlight(Flight),
}

/// A beat under way.
#[derive(Debug)]
pub(super) struct Flight {
    carried: Wants,
    covers: u64,
    started_at: Instant,
    give_up_at: Instant,
    /// When another address may be tried beside the last one.
    pub(super) stagger_at: Option<Instant>,
    /// Whose nameservers are asked, counted from the best uplink.
    pub(super) name_turn: usize,
    pub(super) lookup: Option<Lookup>,
    failure: Option<Failure>,
    /// What a server's Retry-After asked for, while others are still tried.
    hold: Option<Hold>,
}

impl Beat {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    pub(super) const fn carried(&mut self) -> Option<&mut Wants> {
        match self {
            Self::Idle => None,
            Self::InFlight(flight) => Some(&mut flight.carried),
        }
    }

    pub(super) const fn covers(&self) -> Option<u64> {
        match self {
            Self::Idle => None,
            Self::InFlight(flight) => Some(flight.covers),
        }
    }

    pub(super) const fn failure(&self) -> Option<Failure> {
        match self {
            Self::Idle => None,
            Self::InFlight(flight) => flight.failure,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::InFlight(flight) => {
                let lookup = flight.lookup.map(|lookup| lookup.move_at);
                flight.stagger_at.into_iter().chain(lookup).chain([flight.give_up_at]).min()
            }
        }
    }
}

impl Agent {
    /// Takes up everything that is wanted as one beat.
    pub(super) fn start(&mut self, now: Instant, actions: &mut Actions) {
        self.pay(now);
        self.close_owed(actions);
        let mut carried = self.fresh.take();
        carried.merge(self.retrying.take());
        self.hastened = false;
        self.race.forget_tried();
        let timeout =
            self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.request_timeout);
        self.beat = Beat::InFlight(Flight {
            carried,
            covers: self.seq.max(self.told),
            started_at: now,
            give_up_at: now + timeout,
            stagger_at: None,
            name_turn: 0,
            lookup: None,
            failure: None,
            hold: None,
        });
    }

    /// Gives the beat the whole time of a request once more: what was before it was no time at all.
    pub(super) fn prolong(&mut self, now: Instant) {
        let Beat::InFlight(flight) = &mut self.beat else { return };
        let Some(settings) = &self.settings else { return };
        flight.give_up_at = now + settings.request_timeout;
        flight.lookup = None;
    }

    /// Moves the race on: gives up, doubts, starts the next connection, ends the round.
    pub(super) fn drive(&mut self, now: Instant, actions: &mut Actions) {
        let Beat::InFlight(flight) = &self.beat else { return };
        if flight.give_up_at <= now {
            let failure = flight.failure.unwrap_or(Failure::TimedOut);
            self.fail_round(failure, now, actions);
            return;
        }
        self.doubt(now, actions);
        self.ask_for_names(now, actions);
        self.race_on(now, actions);
        self.end_if_stuck(now, actions);
    }

    /// Takes a connection into the race: a new one, or the one kept from an earlier beat.
    pub(super) fn enter(&mut self, connection: Kept, stage: Stage, now: Instant) {
        let Beat::InFlight(flight) = &self.beat else { return };
        let Kept { attempt, via, to, local } = connection;
        let event_at = flight.carried.since().unwrap_or(flight.started_at);
        let usable_at = event_at.max(self.usable_at).min(now);
        let stamps = Stamps {
            event_at,
            usable_at,
            resolved_at: now,
            connected_at: now,
            secured_at: now,
            written_at: now,
            replied_at: now,
        };
        let gateway = self.gateway(via, to.ip());
        let trust = Trust::Until(now + self.race.patience(via));
        let reused = stage != Stage::Connecting;
        let entry =
            Try { attempt, via, to, local, gateway, stage, trust, reused, opened_at: now, stamps };
        let entered = self.race.enter(entry);
        debug_assert!(entered, "whoever opens one sees to a free place");
    }

    /// Writes the report on a connection that is ready: what is asked for later is not in it.
    pub(super) fn send(&self, attempt: Attempt, actions: &mut Actions) {
        let Beat::InFlight(flight) = &self.beat else { return };
        let reason = flight.carried.reason();
        Action::SendReport { attempt, seq: self.seq, reason }.push_to(actions);
    }

    /// Ends the round when nothing is under way and nothing is left to try.
    fn end_if_stuck(&mut self, now: Instant, actions: &mut Actions) {
        let Beat::InFlight(flight) = &self.beat else { return };
        if !self.race.tries().is_empty() {
            return;
        }
        let failure = match (flight.failure, self.resolver.state(now)) {
            (_, resolve::State::Waiting) => return,
            (Some(failure), _) | (None, resolve::State::Failed(failure)) => failure,
            (None, resolve::State::Known) => Failure::Unreachable,
        };
        self.fail_round(failure, now, actions);
    }

    pub(super) fn opened(&mut self, attempt: Attempt, local: IpAddr) {
        if let Some(open) = self.race.find(attempt) {
            open.local = Some(local);
        } else if let Some(late) = self.late(attempt) {
            late.local = Some(local);
        }
    }

    pub(super) fn connected(&mut self, attempt: Attempt, now: Instant, actions: &mut Actions) {
        let Some(open) = self.race.find_at(attempt, Stage::Connecting) else {
            if let Some(late) = self.late(attempt) {
                late.stage = Stage::Securing;
            }
            return;
        };
        let (via, round_trip) = (open.via, now - open.opened_at);
        open.stage = Stage::Securing;
        open.stamps = Stamps { connected_at: now, secured_at: now, written_at: now, ..open.stamps };
        self.race.measure(via, round_trip);
        self.trust(attempt, now);
        self.outside_answered(false, now, actions);
        self.reach.server_connects(now, &mut self.rng, actions);
    }

    pub(super) fn secured(&mut self, attempt: Attempt, now: Instant, actions: &mut Actions) {
        if let Some(open) = self.race.find_at(attempt, Stage::Securing) {
            open.stage = Stage::Writing;
            open.stamps = Stamps { secured_at: now, written_at: now, ..open.stamps };
            self.trust(attempt, now);
            self.send(attempt, actions);
        } else if self.late(attempt).is_some() {
            self.settle_owed(now, actions);
        }
    }

    pub(super) fn written(&mut self, attempt: Attempt, now: Instant) {
        if let Some(open) = self.race.find_at(attempt, Stage::Writing) {
            open.stage = Stage::AwaitingReply;
            open.stamps = Stamps { written_at: now, ..open.stamps };
            self.trust(attempt, now);
        }
    }

    /// Something came back, or something new was sent: the connection may be silent for a while.
    fn trust(&mut self, attempt: Attempt, now: Instant) {
        let Some(via) = self.race.find(attempt).map(|open| open.via) else { return };
        let until = now + self.race.patience(via);
        if let Some(open) = self.race.find(attempt) {
            open.trust = Trust::Until(until);
        }
    }

    pub(super) fn ack_checked(
        &mut self,
        attempt: Attempt,
        acked: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(open) = self.race.find(attempt) else { return };
        match (open.trust, acked) {
            (Trust::Asked | Trust::Judged, true) => open.trust = Trust::Acked,
            (Trust::Asked, false) => {
                open.trust = Trust::Doubted;
                self.reach.doubt(false, now);
            }
            (Trust::Judged, false) => {
                self.race.remove(attempt);
                Action::CloseAttempt(attempt).push_to(actions);
            }
            (Trust::Until(_) | Trust::Doubted | Trust::Acked, _) => {}
        }
    }

    pub(super) fn replied(
        &mut self,
        attempt: Attempt,
        reply: Reply,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(winner) = self.race.remove(attempt) else { return };
        let acknowledged = matches!(reply.status, 200..=299);
        let restored = self.outside_answered(acknowledged, now, actions);
        self.reach.stop(actions);
        if reply.keep_alive
            && let Some(former) = self.race.keep(&winner)
        {
            Action::CloseAttempt(former).push_to(actions);
        }
        if acknowledged {
            self.acknowledged(&winner, reply.status, restored, now, actions);
            return;
        }
        let asked = reply.retry_after.filter(|asked| !asked.is_zero());
        let hold = asked.map(|asked| Hold::new(asked, now, &mut self.rng));
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(Failure::Status(reply.status));
            flight.hold = hold.or(flight.hold);
        }
        // While another path is under way, a portal on this one may not speak for the server.
        if self.race.tries().is_empty() {
            self.fail_round(Failure::Status(reply.status), now, actions);
        }
    }

    fn acknowledged(
        &mut self,
        winner: &Try,
        status: u16,
        restored: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
        self.owe(&flight.carried, winner, now);
        self.close_tries(actions);
        self.resolver.good(winner.to.ip());
        self.backoff.reset();
        self.hold = None;
        let stamps = Stamps { replied_at: now, ..winner.stamps };
        let reason = flight.carried.reason();
        Action::Note(Note::BeatAcknowledged {
            seq: self.seq,
            covers: flight.covers,
            via: winner.via.or_else(|| self.holder(winner.local)),
            status,
            stamps,
            recovered: restored || self.last_failure.is_some() || !self.delivered,
            reason,
        })
        .push_to(actions);
        self.last_failure = None;
        self.rounds_failed = 0;
        self.delivered = true;
        self.seq += 1;
        self.restart_cycle(&flight, stamps.written_at, now);
    }

    /// Every delivered beat restarts the interval, the cycle's own at the instant it was due, so that nothing drifts.
    fn restart_cycle(&mut self, flight: &Flight, written_at: Instant, now: Instant) {
        let Some(settings) = &self.settings else { return };
        let on_time = flight.carried.is_cycle_only().then(|| flight.carried.since()).flatten();
        let on_time = on_time.filter(|since| *since + settings.interval > now);
        self.cycle.restart(on_time.unwrap_or(written_at), settings.interval);
    }

    /// Ends a round without an acknowledgement; the same beat is tried again unless the answer is final.
    fn fail_round(&mut self, failure: Failure, now: Instant, actions: &mut Actions) {
        self.close_tries(actions);
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
        let Some(settings) = &self.settings else { return };
        let (seq, reason) = (self.seq, flight.carried.reason());
        let retry_at = if is_final(failure) {
            self.seq += 1;
            self.backoff.reset();
            self.cycle.restart(now, settings.interval);
            None
        } else {
            self.retry_at = now + self.backoff.advance(settings.interval, &mut self.rng);
            self.retrying.merge(flight.carried);
            self.hold = flight.hold.or(self.hold);
            Some(self.hold.map_or(self.retry_at, |hold| hold.until.max(self.retry_at)))
        };
        self.look_outside(failure, actions);
        let news = self.last_failure != Some(failure);
        let covers = flight.covers;
        Action::Note(Note::BeatFailed { seq, covers, reason, failure, retry_at, news })
            .push_to(actions);
        self.last_failure = Some(failure);
        self.rounds_failed = self.rounds_failed.saturating_add(1);
    }

    pub(super) fn attempt_failed(&mut self, attempt: Attempt, failure: Failure, now: Instant) {
        self.race.kept_failed(attempt);
        if self.late(attempt).is_some() {
            self.owed = None;
        }
        let Some(lost) = self.race.remove(attempt) else { return };
        if lost.stage == Stage::Connecting && is_of_the_network(failure) {
            self.reach.doubt(true, now);
        }
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(failure);
        }
    }
}

/// Whether the server's word is final: asked again, it would answer the same (WIRE.md §1).
const fn is_final(failure: Failure) -> bool {
    match failure {
        Failure::Status(408 | 425 | 429 | 500..=599) => false,
        Failure::Status(_) => true,
        _ => false,
    }
}
