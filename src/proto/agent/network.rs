//! What the agent makes of links and uplinks, and what dies with them: the network epoch.
//!
//! A connection dies when its interface stops being usable or its local address goes; one that is not
//! established yet also when its route changes. Something added takes nothing away.

use core::net::IpAddr;
use core::time::Duration;

use super::Agent;
use super::beat::Beat;
use crate::proto::event::{Action, Actions, Attempt, Note};
use crate::proto::link::Name;
use crate::proto::links::Family;
use crate::proto::race::{Stage, TRIES_MAX};
use crate::proto::reach::Connectivity;
use crate::proto::resolve;
use crate::proto::settings::{PROBE_ADDRESSES_MAX, Settings};
use crate::proto::time::Instant;
use crate::proto::uplink::{self, Uplink, Uplinks};

/// Addresses that make a link without a default route an uplink.
type Destinations = heapless::Vec<IpAddr, { PROBE_ADDRESSES_MAX + resolve::ADDRESSES_MAX }>;

impl Agent {
    /// Compares the uplinks with what they were, and acts on what is a change.
    pub(super) fn network_changed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        let uplinks = uplink::rank(&self.links, settings, &self.destinations(settings, now));
        let reason = self.active.follow(&uplinks, &self.links, settings, self.seq == 1);
        let before = core::mem::replace(&mut self.uplinks, uplinks);
        let changed =
            before.first().map(|uplink| uplink.name) != self.first().map(|uplink| uplink.name);
        if changed {
            self.usable_at = now;
            self.race.forget_round_trips();
            let name = |uplinks: &Uplinks| uplinks.first().map(|uplink| uplink.name);
            let (from, to) = (name(&before), name(&self.uplinks));
            let lost = self.uplinks.iter().all(|uplink| Some(uplink.name) != from);
            Action::Note(Note::UplinkChanged { from, to, lost }).push_to(actions);
        }
        for lost in
            before.iter().filter(|lost| self.uplinks.iter().all(|now| now.name != lost.name))
        {
            self.resolver.link_lost(lost.name, actions);
        }
        let bereft = self.bury(actions);
        let gained = self.uplinks.iter().any(|uplink| is_new(uplink, &before));
        self.hastened |= gained;
        let reason = reason.filter(|_| self.started);
        if let Some(reason) = &reason {
            Action::Note(Note::NetworkChanged(reason.clone())).push_to(actions);
            self.tell(reason.clone(), now);
        }
        if (bereft || reason.is_some()) && !self.race.is_written() {
            self.regroup(now, actions);
        }
        let wanted = !self.fresh.is_empty() || !self.retrying.is_empty() || !self.beat.is_idle();
        let unsure = self.reach.connectivity() == Connectivity::Offline || wanted;
        let moved = changed || self.first().is_some_and(|uplink| is_new(uplink, &before));
        if moved && unsure && self.has_way(now) {
            self.reach.restart(now, actions);
        }
    }

    /// Closes what the network took with it; true if the beat under way has no connection left.
    fn bury(&mut self, actions: &mut Actions) -> bool {
        let mut dead = heapless::Vec::<Attempt, TRIES_MAX>::new();
        for open in self.race.tries() {
            let rerouted = open.stage == Stage::Connecting
                && self.gateway(open.via, open.to.ip()) != open.gateway;
            if rerouted || !self.lives(open.via, open.to.ip(), open.local) {
                dead.extend([open.attempt]);
            }
        }
        for attempt in &dead {
            self.race.remove(*attempt);
            Action::CloseAttempt(*attempt).push_to(actions);
        }
        let kept = self.race.kept().copied();
        if kept.is_some_and(|kept| !self.lives(kept.via, kept.to.ip(), kept.local)) {
            self.close_kept(actions);
        }
        self.bury_owed(actions);
        !dead.is_empty() && self.race.tries().is_empty()
    }

    /// Whether a connection's interface is usable and its local address is still there.
    pub(super) fn lives(&self, via: Option<Name>, to: IpAddr, local: Option<IpAddr>) -> bool {
        let held = local.is_none_or(|local| self.links.is_own(local));
        let bound = via.is_none_or(|via| {
            self.uplinks.iter().any(|uplink| uplink.name == via && has_family(uplink, to))
        });
        held && bound
    }

    /// Has the beat under way start over on the ways that there are now, if a token allows it.
    ///
    /// Without one it goes on with what it has, or with paths of this round that it has not tried: a
    /// flapping link may neither make a storm of connections nor stop the beats of the others.
    fn regroup(&mut self, now: Instant, actions: &mut Actions) {
        let Some(carried) = self.beat.carried() else { return };
        let reserve = u32::from(!carried.has_uplink_change());
        if self.changes.take(reserve, now) {
            self.restart_race(now, actions);
        } else if self.race.tries().is_empty() && self.best(now).is_none() {
            self.abandon(now);
        }
    }

    /// Puts the beat under way back to those that wait for evidence.
    fn abandon(&mut self, now: Instant) {
        let Some(carried) = self.beat.carried().map(|carried| carried.take()) else { return };
        self.beat = Beat::Idle;
        self.retrying.merge(carried);
        let interval = self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.interval);
        self.retry_at = now + interval;
        self.hastened = true;
    }

    /// Closes every connection of the beat under way: the next ones take the best ways.
    pub(super) fn restart_race(&mut self, now: Instant, actions: &mut Actions) {
        self.close_tries(actions);
        self.race.forget_tried();
        self.prolong(now);
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.stagger_at = None;
        }
    }

    pub(super) fn close_tries(&mut self, actions: &mut Actions) {
        while let Some(attempt) = self.race.tries().first().map(|open| open.attempt) {
            self.race.remove(attempt);
            Action::CloseAttempt(attempt).push_to(actions);
        }
    }

    pub(super) fn close_kept(&mut self, actions: &mut Actions) {
        if let Some(kept) = self.race.take_kept() {
            Action::CloseAttempt(kept.attempt).push_to(actions);
        }
    }

    /// Ways out, best first; the last one, `None`, is the kernel's own choice for our own addresses and unbound sockets.
    pub(super) fn ways(&self) -> impl Iterator<Item = Option<&Uplink>> {
        self.uplinks.iter().map(Some).chain([None])
    }

    /// Whether a way is the one for a destination.
    pub(super) fn leads_to(&self, settings: &Settings, way: Option<&Uplink>, to: IpAddr) -> bool {
        let unbound = !settings.bind_to_uplink || self.links.is_own(to);
        way.map_or(unbound, |uplink| !unbound && has_family(uplink, to))
    }

    /// Whether a beat could leave the device at all.
    pub(super) fn has_way(&self, now: Instant) -> bool {
        let Some(settings) = &self.settings else { return false };
        !self.uplinks.is_empty()
            || !settings.bind_to_uplink
            || self.resolver.addresses(now).iter().any(|to| self.links.is_own(*to))
    }

    /// The uplink in use.
    pub(super) fn first(&self) -> Option<&Uplink> {
        self.uplinks.first()
    }

    /// The name of the interface that has this address.
    pub(super) fn holder(&self, address: Option<IpAddr>) -> Option<Name> {
        self.links.holder(address?).map(|link| link.name)
    }

    /// The gateway that packets to `to` pass on this interface.
    pub(super) fn gateway(&self, via: Option<Name>, to: IpAddr) -> Option<IpAddr> {
        let family = Family::of(to);
        let defaults = self
            .links
            .by_name(via?)?
            .routes()
            .filter(|route| route.prefix == 0 && Family::of(route.network) == family);
        defaults.min_by_key(|route| route.metric)?.gateway
    }

    fn destinations(&self, settings: &Settings, now: Instant) -> Destinations {
        let mut destinations = Destinations::new();
        destinations.extend(settings.probe_addresses.iter().map(|to| to.ip()));
        destinations.extend(self.resolver.addresses(now));
        destinations
    }
}

fn has_family(uplink: &Uplink, to: IpAddr) -> bool {
    match to {
        IpAddr::V4(_) => uplink.v4.is_some(),
        IpAddr::V6(_) => uplink.v6.is_some(),
    }
}

/// Whether an uplink can do something that it, or its predecessor, could not do before.
fn is_new(uplink: &Uplink, before: &Uplinks) -> bool {
    before.iter().find(|former| former.name == uplink.name).is_none_or(|former| {
        (uplink.v4.is_some() && uplink.v4 != former.v4)
            || (uplink.v6.is_some() && uplink.v6 != former.v6)
    })
}
