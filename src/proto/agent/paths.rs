//! Which connection comes next: the order of uplinks and addresses, doubts, and whom to ask for names.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Agent;
use super::beat::Beat;
use crate::proto::event::{Action, Actions};
use crate::proto::link::Name;
use crate::proto::links::{Family, Links};
use crate::proto::race::{DOUBT_MIN, Kept, STAGGER, Stage, TRIES_MAX, Trust};
use crate::proto::resolve::{self, Families};
use crate::proto::settings::{Nameserver, Settings};
use crate::proto::time::Instant;
use crate::proto::uplink::Uplink;

/// How long the nameservers of one uplink may be silent before another uplink's are asked.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

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
    /// Turns silence that has lasted too long into doubt, and has the kernel asked where it knows more.
    pub(super) fn doubt(&mut self, now: Instant, actions: &mut Actions) {
        let mut doubted = false;
        for open in self.race.tries_mut() {
            if matches!(open.trust, Trust::Until(at) if at <= now) {
                if open.stage == Stage::Connecting {
                    open.trust = Trust::Doubted;
                    doubted = true;
                } else {
                    open.trust = Trust::Asked;
                    Action::CheckAcked(open.attempt).push_to(actions);
                }
            }
        }
        if doubted {
            self.reach.doubt(true, now);
        }
    }

    /// Keeps the resolver going while the server's addresses are unknown, over another uplink when one stays silent.
    pub(super) fn ask_for_names(&mut self, now: Instant, actions: &mut Actions) {
        let Beat::InFlight(flight) = &mut self.beat else { return };
        let Some(settings) = &self.settings else { return };
        if self.resolver.state(now) == resolve::State::Waiting {
            let new = Lookup { since: now, move_at: now + NAME_PATIENCE };
            let lookup = flight.lookup.get_or_insert(new);
            if now - lookup.since >= DOUBT_MIN && self.race.is_silent() {
                self.reach.doubt(false, now);
            }
            if lookup.move_at <= now {
                lookup.move_at = now + NAME_PATIENCE;
                let former = uplink_at(&self.uplinks, flight.name_turn).map(|uplink| uplink.name);
                flight.name_turn = flight.name_turn.wrapping_add(1);
                let next = uplink_at(&self.uplinks, flight.name_turn).map(|uplink| uplink.name);
                if let Some(former) = former.filter(|_| former != next) {
                    self.resolver.link_lost(former, actions);
                }
            }
        } else {
            flight.lookup = None;
        }
        let uplink = uplink_at(&self.uplinks, flight.name_turn);
        let families = families(uplink.filter(|_| settings.bind_to_uplink));
        let links = &self.links;
        let via = |to: &Nameserver| way_to(settings, links, uplink, to);
        self.resolver.resolve(via, families, settings.interval, now, actions);
    }

    /// Opens every connection that is called for now.
    pub(super) fn race_on(&mut self, now: Instant, actions: &mut Actions) {
        self.make_room(now, actions);
        for _ in 0..TRIES_MAX {
            let Some(next) = self.next(now) else { break };
            self.open(next, now, actions);
        }
    }

    /// Gives up the oldest of a full race of dead addresses, so that they do not keep a living one out.
    fn make_room(&mut self, now: Instant, actions: &mut Actions) {
        let race = &self.race;
        let stuck = race.is_full() && race.is_silent() && race.is_connecting();
        if !stuck || self.best(now).is_none() {
            return;
        }
        if let Some(attempt) = self.race.tries().first().map(|open| open.attempt) {
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
        let Some(last) = race.tries().last() else { return self.best(now) };
        let beside = last.via;
        let busy = |via| race.tries().iter().any(|open| open.via == via);
        let stale = race.stale_path().and_then(|path| self.best_of(now, |via| via == path));
        let detour = || self.best_of(now, |via| !busy(via)).filter(|_| race.is_doubted());
        if let Some(next) = stale.or_else(detour) {
            return Some(next);
        }
        if race.is_silent() {
            let next = self.best_of(now, busy);
            return next.or_else(|| self.repeat());
        }
        let racing = staggered && race.is_connecting();
        self.best_of(now, |via| via == beside).filter(|_| racing)
    }

    /// The first path a second time, once in a round: its one SYN may have been lost.
    fn repeat(&mut self) -> Option<Candidate> {
        let settings = self.settings.as_ref()?;
        let (to, via) = self.race.tries().first().map(|open| (open.to, open.via))?;
        let way = self.ways().find(|way| way.map(|uplink| uplink.name) == via)?;
        let leads = self.leads_to(settings, way, to.ip());
        (leads && self.race.repeat()).then_some(Candidate::New(to, via))
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

    /// The best path left, by rank of the uplink, then by order of the addresses.
    pub(super) fn best(&self, now: Instant) -> Option<Candidate> {
        self.best_of(now, |_| true)
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
}

/// The uplink whose turn it is, counted from the best one.
fn uplink_at(uplinks: &[Uplink], turn: usize) -> Option<&Uplink> {
    uplinks.get(turn.checked_rem(uplinks.len())?)
}

/// Which families the way out has; the kernel's own choice may have both.
pub(super) fn families(uplink: Option<&Uplink>) -> Families {
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
