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
        self.bury(now, actions);
        let gained = self.uplinks.iter().any(|uplink| is_new(uplink, &before));
        self.hastened |= gained;
        if let Some(reason) = reason.filter(|_| self.started) {
            Action::Note(Note::NetworkChanged(reason.clone())).push_to(actions);
            self.fresh.add(reason, now);
            self.abandon_unwritten(now, actions);
        }
        let wanted = !self.fresh.is_empty() || !self.retrying.is_empty() || !self.beat.is_idle();
        let unsure = self.reach.connectivity() == Connectivity::Offline || wanted;
        if (changed || gained) && unsure && self.has_way(now) {
            self.reach.restart(now, actions);
        }
    }

    /// Closes what the network took with it.
    fn bury(&mut self, now: Instant, actions: &mut Actions) {
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
        if !dead.is_empty() && self.race.tries().is_empty() {
            self.abandon(now, actions);
        }
        self.bury_owed(actions);
    }

    /// Whether a connection's interface is usable and its local address is still there.
    pub(super) fn lives(&self, via: Option<Name>, to: IpAddr, local: Option<IpAddr>) -> bool {
        let held = local.is_none_or(|local| self.links.is_own(local));
        let bound = via.is_none_or(|via| {
            self.uplinks.iter().any(|uplink| uplink.name == via && has_family(uplink, to))
        });
        held && bound
    }

    /// Puts a beat back to those that wait for evidence, without the connections it has.
    ///
    /// Started again at once, a flapping link would make a storm of connections: it takes a token of the network changes.
    pub(super) fn abandon(&mut self, now: Instant, actions: &mut Actions) {
        self.close_tries(actions);
        let Some(carried) = self.beat.carried().map(|carried| carried.take()) else { return };
        self.beat = Beat::Idle;
        self.retrying.merge(carried);
        let interval = self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.interval);
        self.retry_at = now + interval;
        self.hastened = true;
    }

    /// Starts over what no connection has written yet: the next one takes the new way.
    pub(super) fn abandon_unwritten(&mut self, now: Instant, actions: &mut Actions) {
        if !self.beat.is_idle() && !self.race.is_written() {
            self.abandon(now, actions);
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
