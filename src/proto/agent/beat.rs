//! One beat, from the moment it may start until it waits for an answer.

use core::net::IpAddr;
use core::time::Duration;

use super::Agent;
use super::paths::Lookup;
use super::wanted::Hold;
use crate::proto::event::{Action, Actions, Attempt, Failure, Stamps};
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
    pub(super) carried: Wants,
    pub(super) covers: u64,
    started_at: Instant,
    give_up_at: Instant,
    /// When another address may be tried beside the last one.
    pub(super) stagger_at: Option<Instant>,
    /// How often the nameservers were asked over other ways because they failed on the former ones.
    pub(super) name_turns: usize,
    pub(super) lookup: Option<Lookup>,
    pub(super) failure: Option<Failure>,
    /// What a server's Retry-After asked for, while others are still tried.
    pub(super) hold: Option<Hold>,
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
        self.give_owed_up(now, actions);
        let mut carried = self.fresh.take();
        carried.merge(self.retrying.take());
        self.hastened = false;
        // Asked in vain last time: over other ways this time.
        let failed =
            |state| matches!(state, resolve::State::Failed(it) if it != Failure::NoNameserver);
        if failed(self.resolver.state(now)) {
            self.name_turn = self.name_turn.wrapping_add(1);
        }
        self.race.forget_tried();
        if carried.is_cycle_only() {
            self.race.paths.retest(now);
        }
        let timeout =
            self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.request_timeout);
        self.beat = Beat::InFlight(Flight {
            carried,
            covers: self.seq.max(self.told),
            started_at: now,
            give_up_at: now + timeout,
            stagger_at: None,
            name_turns: 0,
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
            // Without any connection it was a name that was waited for.
            let nameless = self.race.tries().is_empty();
            let silent = if nameless { Failure::NameServerSilent } else { Failure::TimedOut };
            let failure = flight.failure.unwrap_or(silent);
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
        // An address that was named just now has no way before the kernel has told it.
        if !self.race.tries().is_empty() || self.routing.is_open() {
            return;
        }
        let failure = match (flight.failure, self.resolver.state(now)) {
            (_, resolve::State::Waiting) => return,
            // Another address may be named yet.
            (Some(_), resolve::State::Known) if self.resolver.is_refreshing() => return,
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
        let Some(via) = self.race.find(attempt).map(|open| open.via) else { return };
        // It has been silent for a while when the kernel is asked.
        let patience = self.race.patience(via);
        let slow_at = now + self.race.slow_after().saturating_sub(patience);
        let Some(open) = self.race.find(attempt) else { return };
        match (open.trust, acked) {
            (Trust::Asked | Trust::Judged, true) => open.trust = Trust::Acked(slow_at),
            (Trust::Asked, false) => {
                open.trust = Trust::Doubted;
                self.reach.doubt(false, now);
            }
            (Trust::Judged, false) => {
                self.race.remove(attempt);
                Action::CloseAttempt(attempt).push_to(actions);
            }
            (Trust::Until(_) | Trust::Doubted | Trust::Acked(_) | Trust::Slow, _) => {}
        }
    }
}
