//! Which connection comes next: the ways to an address and their order, and doubts.
//!
//! A way on which a connection has failed while another delivered comes after all others, until the
//! ways change or a re-test is due.

use core::net::{IpAddr, SocketAddr};

use super::Delivery;
use crate::proto::event::Failure;
use crate::proto::link::InterfaceName;
use crate::proto::network::{Network, Ways};
use crate::proto::race::{Attempt, Connection, Liveness};
use crate::proto::route::Family;
use crate::proto::time::Instant;

/// The key by which paths are compared: their turn in rounds that fail, whether they have failed
/// while others delivered, whether they are not taken on purpose, the place of the uplink, and that
/// of the address.
type Key = (Option<usize>, bool, bool, usize, usize);

/// The next connection of a race.
pub(crate) enum Candidate {
    /// The one kept from the last beat.
    Kept(Connection),
    /// A new one to this address, bound to this interface.
    New(SocketAddr, Option<InterfaceName>),
    /// A path for the second time in this round.
    Again(SocketAddr, Option<InterfaceName>),
}

/// All that the choice of the next connection depends on. It chooses, and changes nothing.
pub(super) struct Choice<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) network: &'a Network,
    pub(super) now: Instant,
}

impl Choice<'_> {
    /// The connection that is called for now; `staggered`: the last one has had its time.
    pub(super) fn next(&self, staggered: bool) -> Option<Candidate> {
        let race = &self.delivery.race;
        if race.attempts.is_full() {
            return None;
        }
        let Some(last) = race.attempts.last() else {
            return self.best().or_else(|| self.last_resort());
        };
        let beside = last.via;
        let busy = |via| race.attempts.iter().any(|open| open.via == via);
        let stale = race.stale_path().and_then(|path| self.best_of(&|via, _| via == path));
        let detour = || {
            // Where one family of an interface is mute, its other one is less likely to do better
            // than another interface is.
            let elsewhere =
                self.best_of(&|via, to| self.is_detour(via, to) && !self.is_slow(via, to));
            elsewhere.or_else(|| self.best_of(&|via, to| self.is_detour(via, to)))
        };
        if let Some(next) = stale.or_else(|| race.is_doubted().then(detour)?) {
            return Some(next);
        }
        if race.is_silent() {
            return self.best_of(&|via, _| busy(via)).or_else(|| self.again());
        }
        if race.is_stuck() {
            // A balancer may have lost the server behind a connection, and have another one.
            let anew = race.unanswered_path().and_then(|path| self.best_of(&|via, _| via == path));
            return self.again().or(anew);
        }
        let racing = staggered && race.is_connecting();
        racing.then(|| self.best_of(&|via, _| via == beside))?
    }

    /// Whether a connection on this way avoids what those under way suffer from.
    ///
    /// Of one that is not even acknowledged, the way is doubted. One that is acknowledged and not
    /// answered was perhaps acknowledged by a box on the line, whoever sends over it: another
    /// interface or family is needed then.
    fn is_detour(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        let line = |via, to| (self.network.interface(via, to), Family::of(to));
        self.delivery.race.attempts.iter().all(|open| match open.liveness {
            Liveness::Slow => line(open.via, open.to.ip()) != line(via, to),
            _ => open.via != via,
        })
    }

    /// Whether a connection over the same interface is acknowledged and not answered.
    fn is_slow(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        let network = self.network;
        let interface = network.interface(via, to);
        self.delivery.race.attempts.iter().any(|open| {
            open.liveness == Liveness::Slow
                && network.interface(open.via, open.to.ip()) == interface
        })
    }

    /// A silent path a second time, once in a round: its one SYN may have been lost. It goes the
    /// kernel's own way, which may be open where a bound socket hears no answer. Addresses take
    /// turns there. The one that acknowledged the last beat comes first: what is named since may be
    /// wrong.
    fn again(&self) -> Option<Candidate> {
        if self.delivery.race.repeated {
            return None;
        }
        let network = self.network;
        let (good, turns) = (network.resolver().last_good(), &self.delivery.race.turns);
        let second = |open: &Attempt| {
            let (to, ip) = (open.to, open.to.ip());
            let unbound = network.kernel_leads(ip) && !self.is_slow(None, ip);
            let bound = network.binds() && network.leads(open.via, ip);
            let via = if unbound { None } else { Some(open.via).filter(|_| bound)? };
            let rank = (turns.was_tried(via, ip), turns.turn(via, ip), good != Some(ip));
            Some((rank, Candidate::Again(to, via)))
        };
        let silent =
            self.delivery.race.attempts.iter().filter(|it| it.liveness == Liveness::Suspect);
        silent.filter_map(second).min_by_key(|(rank, _)| *rank).map(|(_, again)| again)
    }

    /// The kernel's own way, once in a round, when every bound one has failed in a manner that may
    /// be due to its being bound.
    fn last_resort(&self) -> Option<Candidate> {
        let failure = self.delivery.flight.as_ref().and_then(|flight| flight.failure);
        if !failure.is_some_and(Failure::may_be_due_to_binding) {
            return None;
        }
        let ip = self.delivery.race.turns.first().filter(|ip| self.network.kernel_leads(*ip))?;
        let new = !self.delivery.race.turns.was_tried(None, ip) && !self.delivery.race.repeated;
        new.then_some(Candidate::Again(self.network.resolver().server_at(ip), None))
    }

    /// The best path left.
    pub(super) fn best(&self) -> Option<Candidate> {
        self.best_of(&|_, _| true)
    }

    /// The best of the paths left that are allowed: by what is known of the path, then by the order
    /// of the ways, then by that of the addresses. A connection that is kept comes before a new one
    /// on its way.
    fn best_of(
        &self,
        allowed: &dyn Fn(Option<InterfaceName>, IpAddr) -> bool,
    ) -> Option<Candidate> {
        let mut best: Option<(Key, Candidate)> = None;
        let mut offer = |key, candidate| {
            if best.as_ref().is_none_or(|(other, _)| key < *other) {
                best = Some((key, candidate));
            }
        };
        if let Some(kept) = self.delivery.race.kept.filter(|kept| allowed(kept.via, kept.to.ip())) {
            offer(self.key(kept.via, kept.to.ip(), 0), Candidate::Kept(kept));
        }
        for (place, ip) in (1..).zip(self.network.server_addresses(self.now)) {
            let ways = self.network.ways(ip);
            for &via in &ways {
                if allowed(via, ip)
                    && !self.delivery.race.turns.was_tried(via, ip)
                    && (via.is_some() || self.is_unbound_called_for(&ways, ip))
                {
                    let new = Candidate::New(self.network.resolver().server_at(ip), via);
                    offer(self.key(via, ip, place), new);
                }
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// The key by which paths are ordered, the lowest first.
    fn key(&self, via: Option<InterfaceName>, to: IpAddr, place: usize) -> Key {
        let network = self.network;
        let turn = self.delivery.race.turns.turn(via, to);
        let failed = self.delivery.race.paths.has((via, Family::of(to)));
        let rank = network.uplinks().iter().position(|uplink| Some(uplink.name) == via);
        let on_purpose = network.is_on_purpose(via, to);
        (turn, failed, !on_purpose, rank.unwrap_or(usize::MAX), place)
    }

    /// Whether the kernel's own way is more than a repetition: it is the first or the only one, or
    /// a bound socket has failed on another, or on each of them for a whole round.
    fn is_unbound_called_for(&self, ways: &Ways, to: IpAddr) -> bool {
        let mut bound = ways.iter().filter(|via| via.is_some());
        let suspect = self.delivery.last.failure().is_some_and(Failure::may_be_due_to_binding);
        let failed =
            |via: &Option<InterfaceName>| self.delivery.race.paths.has((*via, Family::of(to)));
        ways.first() == Some(&None)
            || bound.clone().any(failed)
            || (suspect && bound.all(|via| self.delivery.race.turns.turn(*via, to).is_some()))
    }
}
