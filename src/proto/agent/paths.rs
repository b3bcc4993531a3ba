//! Which connection comes next: the ways to an address and their order, doubts, and whom to ask for names.
//!
//! The *ways* to an address, first to be tried first: the interfaces over which somebody has routed this
//! very address (a host route, the LAN of another card, a VPN), the uplinks in their order, each with a
//! socket bound to it, and last the kernel's own way, unbound. A way on which a connection has failed while
//! another delivered comes after all others, until the ways change or a re-test is due.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Agent;
use super::beat::Beat;
use crate::proto::event::{Action, Actions, Failure};
use crate::proto::link::{LinkIndex, Name};
use crate::proto::race::{DOUBT_MIN, Kept, STAGGER, Stage, TRIES_MAX, Trust};
use crate::proto::reach::Connectivity;
use crate::proto::resolve::{self, Families};
use crate::proto::routing::Family;
use crate::proto::settings::{NAMESERVERS_MAX, Nameserver};
use crate::proto::time::Instant;
use crate::proto::uplink::UPLINKS_MAX;

/// How long the nameservers of one uplink may be silent before another uplink's are asked.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// The ways to one address: the interface to bind to, or `None` for an unbound socket.
pub(super) type Ways = heapless::Vec<Option<Name>, { UPLINKS_MAX + 1 }>;

/// The beat waits for a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    since: Instant,
    /// When another uplink is asked.
    pub(super) move_at: Instant,
}

/// The next connection of a race.
pub(super) enum Candidate {
    /// The one kept from the last beat.
    Kept(Kept),
    /// A new one to this address, bound to this interface.
    New(SocketAddr, Option<Name>),
}

impl Agent {
    /// The ways to an address, best first; those that have failed are not told apart here.
    pub(super) fn ways(&self, to: IpAddr) -> Ways {
        let unbound = self.kernel_leads(to);
        let mut ways = Ways::new();
        if self.binds() && !self.routing.is_own(to) {
            let purposes = [true, false];
            let bound = purposes.iter().flat_map(|purpose| {
                let leads = move |uplink: &&_| {
                    let route = self.leads_out(uplink, to);
                    route.is_some_and(|it| self.routing.is_on_purpose(to, it) == *purpose)
                };
                self.uplinks.iter().filter(leads)
            });
            ways.extend(bound.map(|uplink| Some(uplink.name)));
        }
        if unbound {
            // Over an interface that is no uplink to it, the kernel sends on purpose.
            let out = self.routing.route(to, None).map(|route| route.index);
            let is_out = |via: &Option<Name>| {
                let uplink = via.and_then(|via| self.uplink(via));
                uplink.map(|uplink| uplink.index) == out
            };
            let place = if ways.iter().any(is_out) { ways.len() } else { 0 };
            ways.insert(place, None).expect("one place more than there are uplinks");
        }
        ways
    }

    /// The way that a new socket takes to an address; `None`: there is none.
    pub(super) fn way(&self, to: IpAddr) -> Option<Option<Name>> {
        let ways = self.ways(to);
        let failed = |via: &&Option<Name>| self.race.paths.has((**via, Family::of(to)));
        ways.iter().min_by_key(failed).copied()
    }

    /// Turns silence that has lasted too long into doubt, and has the kernel asked where it knows more.
    pub(super) fn doubt(&mut self, now: Instant, actions: &mut Actions) {
        let (mut unconnected, mut slow) = (false, false);
        for open in self.race.tries_mut() {
            match open.trust {
                Trust::Until(at) if at <= now && open.stage == Stage::Connecting => {
                    open.trust = Trust::Doubted;
                    unconnected = true;
                }
                Trust::Until(at) if at <= now => {
                    open.trust = Trust::Asked;
                    Action::CheckAcked(open.attempt).push_to(actions);
                }
                Trust::Acked(at) if at <= now => {
                    open.trust = Trust::Slow;
                    slow = true;
                }
                _ => {}
            }
        }
        if unconnected {
            self.reach.doubt(true, now);
            self.resolver.doubt(false);
        }
        if unconnected || slow {
            self.routing.want();
        }
    }

    /// Keeps the resolver going while the server's addresses are unknown or in doubt, over other ways when
    /// the nameservers stay silent on the first ones.
    pub(super) fn ask_for_names(&mut self, now: Instant, actions: &mut Actions) {
        // A nameserver that is new has no way before the kernel has told it.
        if self.routing.is_open() {
            return;
        }
        let Beat::InFlight(flight) = &mut self.beat else { return };
        let interval = self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.interval);
        let mut next_turn = false;
        match self.resolver.state(now) {
            resolve::State::Waiting => {
                let new = Lookup { since: now, move_at: now + NAME_PATIENCE };
                let lookup = flight.lookup.get_or_insert(new);
                if now - lookup.since >= DOUBT_MIN && self.race.is_silent() {
                    self.reach.doubt(false, now);
                }
                if lookup.move_at <= now {
                    lookup.move_at = now + NAME_PATIENCE;
                    next_turn = true;
                }
            }
            // Refused or unreachable on these ways: the others are tried before the beat fails for it.
            resolve::State::Failed(_) => next_turn = true,
            resolve::State::Known => flight.lookup = None,
        }
        if next_turn {
            self.ask_elsewhere(now);
        }
        let hop = |it: &Nameserver| (it.address, self.way_to_nameserver(it));
        let hops: heapless::Vec<_, NAMESERVERS_MAX> =
            self.resolver.nameservers().map(hop).collect();
        let via = |to: &Nameserver| hops.iter().find(|(it, _)| *it == to.address)?.1;
        let families = self.families();
        self.resolver.resolve(via, families, interval, now, actions);
    }

    /// Has the nameservers asked over the next of their ways.
    ///
    /// Where they fail on one, that is at once, until a beat has been through them all; but with the next beat
    /// while offline: a network that rejects everything would be asked as often as it rejects.
    fn ask_elsewhere(&mut self, now: Instant) {
        let failed = matches!(self.resolver.state(now), resolve::State::Failed(_));
        let offline = self.reach.connectivity() == Connectivity::Offline;
        let ways = self.resolver.nameservers().map(|it| self.ways(it.address).len()).max();
        let Beat::InFlight(flight) = &mut self.beat else { return };
        let mut at_once = true;
        if failed {
            flight.lookup = None;
            flight.name_turns += 1;
            at_once = !offline && ways.is_some_and(|ways| flight.name_turns < ways);
        }
        if at_once && ways.is_some_and(|ways| ways > 1) {
            self.name_turn = self.name_turn.wrapping_add(1);
            self.resolver.network_back();
        }
    }

    /// Over which way a nameserver is asked at present; `None`: over none.
    fn way_to_nameserver(&self, to: &Nameserver) -> Option<Option<Name>> {
        if let Some(scope) = to.scope {
            return Some(Some(self.scoped(scope)));
        }
        let ways = self.ways(to.address);
        ways.get(self.name_turn.checked_rem(ways.len())?).copied()
    }

    /// The interface that a zone names, which may do so by its number (RFC 4007 §11.2).
    fn scoped(&self, zone: Name) -> Name {
        let numbered = || self.links.by_index(LinkIndex(zone.as_str().parse().ok()?));
        let link = self.links.by_name(zone).or_else(numbered);
        link.map_or(zone, |link| link.name)
    }

    /// Which families anything can be reached in; both, while nothing can.
    fn families(&self) -> Families {
        let leads = |family| {
            let bound = |index| self.links.by_index(index).is_some_and(|link| link.running);
            let leads = |route: &crate::proto::routing::Route| match route.question.bound {
                Some(index) => route.source.is_some() && !route.local && bound(index),
                None => !route.local && self.kernel_leads(route.question.to),
            };
            self.routing.iter().any(|it| Family::of(it.question.to) == family && leads(it))
        };
        match (leads(Family::V4), leads(Family::V6)) {
            (false, false) => Families { v4: true, v6: true },
            (v4, v6) => Families { v4, v6 },
        }
    }

    /// Opens every connection that is called for now.
    pub(super) fn race_on(&mut self, now: Instant, actions: &mut Actions) {
        self.make_room(now, actions);
        for _ in 0..TRIES_MAX {
            let Some(next) = self.next(now) else { break };
            self.open(next, now, actions);
        }
    }

    /// Gives up the oldest of a full race that nobody answers and that was sent nothing but its SYN, so that
    /// dead addresses do not keep a living one out, nor the kernel's own way.
    fn make_room(&mut self, now: Instant, actions: &mut Actions) {
        let race = &self.race;
        let stuck = race.is_full() && race.is_silent();
        if !stuck || (race.is_repeated() && self.best(now).is_none()) {
            return;
        }
        let unheard = self.race.tries().iter().find(|open| open.stage == Stage::Connecting);
        if let Some(attempt) = unheard.map(|open| open.attempt) {
            self.race.remove(attempt);
            Action::CloseAttempt(attempt).push_to(actions);
        }
    }

    fn next(&mut self, now: Instant) -> Option<Candidate> {
        let Beat::InFlight(flight) = &mut self.beat else { return None };
        // Taken even if nothing comes of it: a deadline that stays in the past would wake us for ever.
        let staggered = flight.stagger_at.take_if(|at| *at <= now).is_some();
        let race = &self.race;
        if race.is_full() {
            return None;
        }
        let Some(last) = race.tries().last() else {
            return self.best(now).or_else(|| self.last_resort());
        };
        let beside = last.via;
        let busy = |via| race.tries().iter().any(|open| open.via == via);
        let of = |allowed: &dyn Fn(Option<Name>, IpAddr) -> bool| self.best_of(now, allowed);
        let stale = race.stale_path().and_then(|path| of(&|via, _| via == path));
        let detour = || {
            // Where one family of an interface is mute, its other one is less likely to do better than
            // another interface is.
            let elsewhere = of(&|via, to| self.is_detour(via, to) && !self.is_slow(via, to));
            elsewhere.or_else(|| of(&|via, to| self.is_detour(via, to)))
        };
        if let Some(next) = stale.or_else(|| race.is_doubted().then(detour)?) {
            return Some(next);
        }
        if race.is_silent() {
            return of(&|via, _| busy(via)).or_else(|| self.repeat());
        }
        if race.is_stuck() {
            return self.repeat();
        }
        let racing = staggered && race.is_connecting();
        racing.then(|| of(&|via, _| via == beside))?
    }

    /// Whether a connection on this way avoids what those under way suffer from.
    ///
    /// Of one that is not even acknowledged, the way is doubted. One that is acknowledged and not answered
    /// was perhaps acknowledged by a box on the line, whoever sends over it: another interface or family is
    /// needed then.
    fn is_detour(&self, via: Option<Name>, to: IpAddr) -> bool {
        let line = |via, to| (self.interface(via, to), Family::of(to));
        self.race.tries().iter().all(|open| match open.trust {
            Trust::Slow => line(open.via, open.to.ip()) != line(via, to),
            _ => open.via != via,
        })
    }

    /// Whether a connection over the same interface is acknowledged and not answered.
    fn is_slow(&self, via: Option<Name>, to: IpAddr) -> bool {
        let interface = self.interface(via, to);
        self.race.tries().iter().any(|open| {
            open.trust == Trust::Slow && self.interface(open.via, open.to.ip()) == interface
        })
    }

    /// The first silent path a second time, once in a round: its one SYN may have been lost. It goes the
    /// kernel's own way, which may be open where a bound socket hears no answer.
    fn repeat(&mut self) -> Option<Candidate> {
        let silent = self.race.tries().iter().find(|open| open.trust == Trust::Doubted)?;
        let (to, via) = (silent.to, silent.via);
        let unbound = self.kernel_leads(to.ip()) && !self.is_slow(None, to.ip());
        let bound = Some(via).filter(|via| self.leads(*via, to.ip()));
        let via = if unbound { None } else { bound? };
        self.race.repeat().then_some(Candidate::New(to, via))
    }

    /// The kernel's own way, once in a round, when every bound one has failed in a manner that may be due to
    /// its being bound.
    fn last_resort(&mut self) -> Option<Candidate> {
        let suspect = matches!(
            self.beat.failure(),
            Some(Failure::Denied | Failure::NoInterface | Failure::Unreachable | Failure::TimedOut)
        );
        if !suspect {
            return None;
        }
        let port = self.settings.as_ref()?.server.as_ref()?.port;
        let ip = self.race.first_tried().filter(|ip| self.kernel_leads(*ip))?;
        let new = !self.race.was_tried(None, ip) && self.race.repeat();
        new.then_some(Candidate::New(SocketAddr::new(ip, port), None))
    }

    pub(super) fn open(&mut self, next: Candidate, now: Instant, actions: &mut Actions) {
        match next {
            Candidate::Kept(kept) => {
                self.race.take_kept();
                self.enter(kept, Stage::Writing, now);
                self.send(kept.attempt, actions);
            }
            Candidate::New(to, via) => {
                self.race.mark_tried(via, to.ip());
                let attempt = self.race.number();
                self.enter(Kept { attempt, via, to, local: None }, Stage::Connecting, now);
                if let Beat::InFlight(flight) = &mut self.beat {
                    flight.stagger_at = Some(now + STAGGER);
                }
                Action::Connect { attempt, to, via }.push_to(actions);
            }
        }
    }

    /// The best path left.
    pub(super) fn best(&self, now: Instant) -> Option<Candidate> {
        self.best_of(now, &|_, _| true)
    }

    /// The best of the paths left that are allowed: by what is known of the path, then by the order of the
    /// ways, then by that of the addresses. A connection that is kept comes before a new one on its way.
    fn best_of(
        &self,
        now: Instant,
        allowed: &dyn Fn(Option<Name>, IpAddr) -> bool,
    ) -> Option<Candidate> {
        let port = self.settings.as_ref()?.server.as_ref()?.port;
        let mut best: Option<((bool, bool, usize, usize), Candidate)> = None;
        let mut offer = |key, candidate| {
            if best.as_ref().is_none_or(|(other, _)| key < *other) {
                best = Some((key, candidate));
            }
        };
        if let Some(kept) = self.race.kept().filter(|kept| allowed(kept.via, kept.to.ip())) {
            offer(self.key(kept.via, kept.to.ip(), 0), Candidate::Kept(*kept));
        }
        for (place, ip) in (1..).zip(self.server_addresses(now)) {
            let ways = self.ways(ip);
            for &via in &ways {
                if allowed(via, ip)
                    && !self.race.was_tried(via, ip)
                    && (via.is_some() || self.is_unbound_called_for(&ways, ip))
                {
                    let new = Candidate::New(SocketAddr::new(ip, port), via);
                    offer(self.key(via, ip, place), new);
                }
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// What a path is compared by, the lowest first.
    fn key(&self, via: Option<Name>, to: IpAddr, place: usize) -> (bool, bool, usize, usize) {
        let on_purpose = self.route(via, to).is_some_and(|it| self.routing.is_on_purpose(to, it));
        let rank = self.uplinks.iter().position(|uplink| Some(uplink.name) == via);
        let failed = self.race.paths.has((via, Family::of(to)));
        (failed, !on_purpose, rank.unwrap_or(usize::MAX), place)
    }

    /// Whether the kernel's own way is more than a repetition: it is the first or the only one, or a bound
    /// socket has failed on another.
    fn is_unbound_called_for(&self, ways: &Ways, to: IpAddr) -> bool {
        let failed =
            |via: &Option<Name>| via.is_some() && self.race.paths.has((*via, Family::of(to)));
        ways.first() == Some(&None) || ways.iter().any(failed)
    }
}
