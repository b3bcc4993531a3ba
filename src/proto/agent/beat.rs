//! One beat, from the moment it may start to its acknowledgement or the end of its round.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::{Agent, is_of_the_network};
use crate::proto::event::{Action, Actions, Attempt, Failure, Note, Reply, Stamps};
use crate::proto::link::Name;
use crate::proto::links::{Family, Links};
use crate::proto::race::{DOUBT_MIN, Kept, STAGGER, Stage, TRIES_MAX, Trust, Try};
use crate::proto::reach::Targets;
use crate::proto::resolve::{self, Families};
use crate::proto::schedule::Wants;
use crate::proto::settings::{Nameserver, Settings};
use crate::proto::time::Instant;
use crate::proto::uplink::{self, Uplink};

/// Longest a server's Retry-After is obeyed.
const HOLD_MAX: Duration = Duration::from_secs(900);
/// How long the nameservers of one uplink may be silent before another uplink's are asked.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

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
    stagger_at: Option<Instant>,
    name_turn: usize,
    name_due_at: Instant,
    failure: Option<Failure>,
}

/// A server asked for quiet (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) until: Instant,
    /// Whether a change of uplink has used the one exception.
    pub(super) passed: bool,
}

/// Which path the next connection of a race takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The best one left.
    Best,
    /// Another address on the path of the last one.
    Beside(Option<Name>),
    /// A path that is not doubted, if there is one.
    Detour,
}

/// The next connection of a race.
enum Candidate {
    /// The one kept from the last beat.
    Kept(Kept),
    /// A new one to this address, bound to this interface.
    New(SocketAddr, Option<Name>),
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
                let soon =
                    flight.stagger_at.map_or(flight.give_up_at, |at| at.min(flight.give_up_at));
                Some(soon.min(flight.name_due_at))
            }
        }
    }
}

impl Agent {
    /// Takes up everything that is wanted as one beat.
    pub(super) fn start(&mut self, now: Instant) {
        self.pay(now);
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
            name_due_at: now + NAME_PATIENCE,
            failure: None,
        });
    }

    /// Moves the race on: gives up, doubts, starts the next connection, ends the round.
    pub(super) fn drive(&mut self, now: Instant, actions: &mut Actions) {
        let Beat::InFlight(flight) = &self.beat else { return };
        if flight.give_up_at <= now {
            let failure = flight.failure.unwrap_or(Failure::TimedOut);
            self.fail_round(failure, None, now, actions);
            return;
        }
        self.doubt(now, actions);
        self.ask_for_names(now, actions);
        for _ in 0..TRIES_MAX {
            let Some(next) = self.next_kind(now) else { break };
            if !self.open_next(next, now, actions) {
                break;
            }
        }
        self.end_if_stuck(now, actions);
    }

    fn doubt(&mut self, now: Instant, actions: &mut Actions) {
        let mut doubted = false;
        for open in self.race.tries_mut() {
            if matches!(open.trust, Trust::Until(at) if at <= now) {
                if open.stage == Stage::Connecting {
                    open.trust = Trust::Doubted;
                } else {
                    open.trust = Trust::Asked;
                    Action::CheckAcked(open.attempt).push_to(actions);
                }
            }
            doubted |= open.trust == Trust::Doubted;
        }
        if doubted {
            self.reach.doubt(now);
        }
    }

    /// Keeps the resolver going while the server's addresses are unknown, over another uplink when one stays silent.
    fn ask_for_names(&mut self, now: Instant, actions: &mut Actions) {
        let Beat::InFlight(flight) = &mut self.beat else { return };
        let Some(settings) = &self.settings else { return };
        let waiting = self.resolver.state(now) == resolve::State::Waiting;
        if waiting && now - flight.started_at >= DOUBT_MIN {
            self.reach.doubt(now);
        }
        if flight.name_due_at <= now {
            flight.name_due_at = now + NAME_PATIENCE;
            if waiting {
                let former = uplink_at(&self.uplinks, flight.name_turn).map(|uplink| uplink.name);
                flight.name_turn = flight.name_turn.wrapping_add(1);
                let next = uplink_at(&self.uplinks, flight.name_turn).map(|uplink| uplink.name);
                if let Some(former) = former.filter(|_| former != next) {
                    self.resolver.link_lost(former, actions);
                }
            }
        }
        let uplink = uplink_at(&self.uplinks, flight.name_turn);
        let families = families(settings.bind_to_uplink.then_some(uplink).flatten());
        let links = &self.links;
        let via = |to: &Nameserver| way_to(settings, links, uplink, to);
        self.resolver.resolve(via, families, settings.interval, now, actions);
    }

    /// Whether another connection is called for now, and of which kind.
    fn next_kind(&mut self, now: Instant) -> Option<Next> {
        let Beat::InFlight(flight) = &mut self.beat else { return None };
        // Taken even if nothing comes of it: a deadline that stays in the past would wake us for ever.
        let staggered = flight.stagger_at.take_if(|at| *at <= now).is_some();
        if self.race.is_full() {
            return None;
        }
        let Some(last) = self.race.tries().last() else { return Some(Next::Best) };
        if staggered && self.race.is_connecting() {
            return Some(Next::Beside(last.via));
        }
        self.race.is_doubted().then_some(Next::Detour)
    }

    fn open_next(&mut self, next: Next, now: Instant, actions: &mut Actions) -> bool {
        match self.candidate(next, now) {
            None => return false,
            Some(Candidate::Kept(kept)) => {
                self.race.take_kept();
                self.take_up(&kept, now, actions);
            }
            Some(Candidate::New(to, via)) => {
                self.race.mark_tried(via, to.ip());
                let attempt = self.race.number();
                let trust = Trust::Until(now + self.race.patience());
                self.enter(attempt, via, to, None, Stage::Connecting, trust, now);
                if let Beat::InFlight(flight) = &mut self.beat {
                    flight.stagger_at = Some(now + STAGGER);
                }
                Action::Connect { attempt, to, via }.push_to(actions);
            }
        }
        true
    }

    /// Sends the report on the connection kept from the last beat: no round trip in front.
    fn take_up(&mut self, kept: &Kept, now: Instant, actions: &mut Actions) {
        let trust = Trust::Until(now + self.race.patience());
        let Kept { attempt, via, to, local } = *kept;
        self.enter(attempt, via, to, local, Stage::Writing, trust, now);
        self.send(attempt, actions);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a Try, named once")]
    fn enter(
        &mut self,
        attempt: Attempt,
        via: Option<Name>,
        to: SocketAddr,
        local: Option<IpAddr>,
        stage: Stage,
        trust: Trust,
        now: Instant,
    ) {
        let Beat::InFlight(flight) = &self.beat else { return };
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
        let entry = Try { attempt, via, to, local, gateway, stage, trust, opened_at: now, stamps };
        let entered = self.race.enter(entry);
        debug_assert!(entered, "next_kind saw a free place");
    }

    fn send(&self, attempt: Attempt, actions: &mut Actions) {
        let Beat::InFlight(flight) = &self.beat else { return };
        let reason = flight.carried.reason();
        Action::SendReport { attempt, seq: self.seq, reason }.push_to(actions);
    }

    /// The next path of the race, by rank of the uplink, then by order of the addresses.
    fn candidate(&self, next: Next, now: Instant) -> Option<Candidate> {
        let busy = |via| self.race.tries().iter().any(|open| open.via == via);
        match next {
            Next::Best => self.best_of(now, |_| true),
            Next::Beside(path) => self.best_of(now, |via| via == path),
            Next::Detour => self.best_of(now, |via| !busy(via)).or_else(|| self.best_of(now, busy)),
        }
    }

    fn best_of(&self, now: Instant, allowed: impl Fn(Option<Name>) -> bool) -> Option<Candidate> {
        let settings = self.settings.as_ref()?;
        let port = settings.server.as_ref()?.port;
        let mut addresses = self.resolver.addresses(now);
        addresses.extend(self.resolver.fallback(now));
        for way in self.ways() {
            let path = way.map(|uplink| uplink.name);
            if !allowed(path) {
                continue;
            }
            if let Some(kept) = self.race.kept().filter(|kept| kept.via == path) {
                return Some(Candidate::Kept(*kept));
            }
            let untried =
                |ip: &IpAddr| self.leads_to(settings, way, *ip) && !self.race.was_tried(path, *ip);
            if let Some(ip) = addresses.iter().copied().find(untried) {
                return Some(Candidate::New(SocketAddr::new(ip, port), path));
            }
        }
        None
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
        self.fail_round(failure, None, now, actions);
    }

    pub(super) fn opened(&mut self, attempt: Attempt, local: IpAddr) {
        if let Some(open) = self.race.find(attempt) {
            open.local = Some(local);
        }
    }

    pub(super) fn connected(&mut self, attempt: Attempt, now: Instant, actions: &mut Actions) {
        let patience = self.race.patience();
        let Some(open) = self.race.find(attempt) else { return };
        let round_trip = now - open.opened_at;
        open.stage = Stage::Securing;
        open.trust = Trust::Until(now + patience.max(round_trip * 2));
        open.stamps = Stamps { connected_at: now, secured_at: now, written_at: now, ..open.stamps };
        self.race.measure(round_trip);
        self.outside_answered(false, now, actions);
        self.reach.network_answers(now, &mut self.rng, actions);
    }

    pub(super) fn secured(&mut self, attempt: Attempt, now: Instant, actions: &mut Actions) {
        let patience = self.race.patience();
        let Some(open) = self.race.find(attempt) else { return };
        open.stage = Stage::Writing;
        open.trust = Trust::Until(now + patience);
        open.stamps = Stamps { secured_at: now, written_at: now, ..open.stamps };
        self.send(attempt, actions);
    }

    pub(super) fn written(&mut self, attempt: Attempt, now: Instant) {
        let patience = self.race.patience();
        let Some(open) = self.race.find(attempt) else { return };
        open.stage = Stage::AwaitingReply;
        open.trust = Trust::Until(now + patience);
        open.stamps = Stamps { written_at: now, ..open.stamps };
    }

    pub(super) fn ack_checked(&mut self, attempt: Attempt, acked: bool) {
        if let Some(open) = self.race.find(attempt).filter(|open| open.trust == Trust::Asked) {
            open.trust = if acked { Trust::Acked } else { Trust::Doubted };
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
        self.outside_answered(acknowledged, now, actions);
        self.reach.stop(actions);
        if reply.keep_alive
            && let Some(former) = self.race.keep(&winner)
        {
            Action::CloseAttempt(former).push_to(actions);
        }
        if acknowledged {
            self.acknowledged(&winner, reply.status, now, actions);
        } else if self.race.tries().is_empty() {
            self.fail_round(Failure::Status(reply.status), Some(reply), now, actions);
        } else if let Beat::InFlight(flight) = &mut self.beat {
            // Another path is still under way: a portal on this one may not speak for the server.
            flight.failure = Some(Failure::Status(reply.status));
        }
    }

    fn acknowledged(&mut self, winner: &Try, status: u16, now: Instant, actions: &mut Actions) {
        self.close_tries(actions);
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
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
            recovered: self.last_failure.is_some() || !self.delivered,
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
    fn fail_round(
        &mut self,
        failure: Failure,
        reply: Option<Reply>,
        now: Instant,
        actions: &mut Actions,
    ) {
        self.close_tries(actions);
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
        let Some(settings) = &self.settings else { return };
        let retry_at = if is_final(failure) {
            self.seq += 1;
            self.backoff.reset();
            self.cycle.restart(now, settings.interval);
            None
        } else {
            self.retry_at = now + self.backoff.advance(settings.interval, &mut self.rng);
            self.retrying.merge(flight.carried.clone());
            if let Some(asked) = reply.and_then(|reply| reply.retry_after) {
                // A server may ask for more seconds than a sum of two waits can hold.
                let asked = asked.min(HOLD_MAX);
                let wait = (asked + self.rng.fraction(asked / 10)).min(HOLD_MAX);
                self.hold = Some(Hold { until: now + wait, passed: false });
            }
            Some(self.hold.map_or(self.retry_at, |hold| hold.until.max(self.retry_at)))
        };
        if !matches!(failure, Failure::Status(_)) && !is_of_the_network(failure) {
            self.reach.stop(actions);
        }
        Action::Note(Note::BeatFailed {
            seq: if is_final(failure) { self.seq - 1 } else { self.seq },
            covers: flight.covers,
            reason: flight.carried.reason(),
            failure,
            retry_at,
            news: self.last_failure != Some(failure),
        })
        .push_to(actions);
        self.last_failure = Some(failure);
        self.rounds_failed = self.rounds_failed.saturating_add(1);
    }

    pub(super) fn attempt_failed(&mut self, attempt: Attempt, failure: Failure, now: Instant) {
        if self.race.kept().is_some_and(|kept| kept.attempt == attempt) {
            self.race.take_kept();
        }
        let Some(lost) = self.race.remove(attempt) else { return };
        if lost.stage == Stage::Connecting && is_of_the_network(failure) {
            self.reach.doubt(now);
        }
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(failure);
        }
    }

    /// The network answers again: what is stuck is replaced, what waits is sent.
    pub(super) fn heal(&mut self, now: Instant, actions: &mut Actions) {
        if self.beat.is_idle() {
            self.hastened |= !self.retrying.is_empty();
            return;
        }
        let mut stuck = heapless::Vec::<(Attempt, Option<Name>), TRIES_MAX>::new();
        stuck.extend(
            self.race
                .tries()
                .iter()
                .filter(|open| matches!(open.trust, Trust::Doubted | Trust::Asked))
                .map(|open| (open.attempt, open.via)),
        );
        for (attempt, _) in &stuck {
            self.race.remove(*attempt);
            Action::CloseAttempt(*attempt).push_to(actions);
        }
        self.race.forget_tried();
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.name_due_at = now + NAME_PATIENCE;
        }
        self.resolver.network_back();
    }

    /// Sends the probes that are due, over the way out that the beat takes.
    pub(super) fn probe(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        if !self.reach.is_probing() {
            return;
        }
        if !self.has_way(now) || (self.beat.is_idle() && self.retrying.is_empty()) {
            self.reach.stop(actions);
            return;
        }
        let uplink = uplink_at(&self.uplinks, 0);
        let Families { v4, v6 } = families(settings.bind_to_uplink.then_some(uplink).flatten());
        let links = &self.links;
        let server = self.resolver.last_good().zip(settings.server.as_ref());
        let targets = Targets {
            internet: &settings.probe_addresses,
            v4,
            v6,
            server: server.map(|(ip, server)| SocketAddr::new(ip, server.port)),
            via: |to| uplink.and_then(|uplink| uplink::via(settings, links, uplink, to)),
        };
        self.reach.tick(&targets, settings.probe_timeout, now, &mut self.rng, actions);
    }
}

/// The uplink whose turn it is, counted from the best one.
fn uplink_at(uplinks: &[Uplink], turn: usize) -> Option<&Uplink> {
    uplinks.get(turn.checked_rem(uplinks.len())?)
}

/// Which families the way out has; the kernel's own choice may have both.
fn families(uplink: Option<&Uplink>) -> Families {
    uplink.map_or(Families { v4: true, v6: true }, |uplink| Families {
        v4: uplink.v4.is_some(),
        v6: uplink.v6.is_some(),
    })
}

/// The interface over which a nameserver can be asked; `None`: not at all now.
fn way_to(
    settings: &Settings,
    links: &Links,
    uplink: Option<&Uplink>,
    to: &Nameserver,
) -> Option<Option<Name>> {
    if to.scope.is_some() {
        return Some(to.scope);
    }
    if !settings.bind_to_uplink || links.is_own(to.address) {
        return Some(None);
    }
    uplink.filter(|uplink| uplink.source(Family::of(to.address)).is_some()).map(|up| Some(up.name))
}

/// Whether the server's word is final: asked again, it would answer the same (WIRE.md §1).
const fn is_final(failure: Failure) -> bool {
    match failure {
        Failure::Status(408 | 425 | 429 | 500..=599) => false,
        Failure::Status(_) => true,
        _ => false,
    }
}
