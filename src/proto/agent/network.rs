//! What the agent makes of links and the kernel's answers, and what dies with them: the network epoch.
//!
//! A connection dies when its interface stops being usable or its local address goes; one that is not
//! established yet also when its gateway changes. Something added takes nothing away.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Agent;
use super::beat::Beat;
use crate::proto::event::{Action, Actions, Attempt, Note};
use crate::proto::link::{LinkEvent, Name};
use crate::proto::links::Link;
use crate::proto::race::{Stage, TRIES_MAX};
use crate::proto::reach::Connectivity;
use crate::proto::routing::{self, Destinations, Family, OWN_MAX, STAND_INS};
use crate::proto::time::Instant;
use crate::proto::uplink::{self, Uplink, Uplinks};

/// How long after a carrier came or went the kernel is asked whether that has changed its answers.
const CONFIRM: Duration = Duration::from_millis(50);

impl Agent {
    /// Takes in a message of the kernel about links and routing.
    ///
    /// What a link says is acted upon at once, by the answers at hand: the kernel's tables of routes do
    /// not follow a carrier. Of everything else the kernel is asked for the outcome.
    pub(super) fn link_told(&mut self, event: LinkEvent, now: Instant, actions: &mut Actions) {
        if let LinkEvent::Announced(announcement) = event {
            if self.routing.is_news(&announcement) {
                self.routing.want();
            }
            return;
        }
        let settings = self.settings.as_ref();
        let ignored = |name| settings.is_some_and(|settings| uplink::is_ignored(settings, name));
        let complete = !self.links.is_incomplete();
        let change = self.links.apply(event, ignored);
        if complete && self.links.is_incomplete() && self.dump != super::Dump::Repeated {
            Action::Note(Note::LinksLeftOut).push_to(actions);
        }
        if change.gained {
            self.hastened = true;
        }
        if !change.any && !change.gained {
            return;
        }
        // Routes may have gone with it, without a word of their own.
        self.routing.forget_heard();
        if self.settled && !self.routing.is_open() {
            self.network_changed(now, actions);
        }
        let known = |link: &Link| !link.running || self.routing.has_way(link.index);
        if self.links.iter().all(known) {
            // A carrier takes no route away; what is sent for it now comes first.
            self.routing.want_at(now + CONFIRM);
        } else {
            self.routing.want();
        }
        if self.links.wants_dump() && self.dump == super::Dump::None {
            self.order_dump(super::Dump::Ordered, actions);
        }
    }

    /// Takes the kernel's answers; the first ones after the first dump let beats begin.
    pub(super) fn routes_answered(
        &mut self,
        routes: &[routing::Route],
        now: Instant,
        actions: &mut Actions,
    ) {
        self.routing.answered(routes);
        self.settled |= self.dump == super::Dump::None;
        // Links may have changed since the question, whatever the answers are.
        if self.settled {
            self.network_changed(now, actions);
        }
    }

    /// Orders the question to the kernel that is due, for a destination that is new too.
    pub(super) fn ask_kernel(&mut self, now: Instant, actions: &mut Actions) {
        let (destinations, own) = self.destinations(now);
        self.routing.need(&destinations, &own);
        if self.routing.is_wanted() {
            self.routing.ask(destinations, own);
            Action::AskRoutes.push_to(actions);
        }
    }

    /// The same after all else, for what has come to pass meanwhile.
    pub(super) fn ask_kernel_again(&mut self, now: Instant, actions: &mut Actions) {
        if self.routing.is_wanted() {
            self.ask_kernel(now, actions);
        }
    }

    /// Everything that is to be reached, and the local addresses that connections depend on.
    fn destinations(&self, now: Instant) -> (Destinations, heapless::Vec<IpAddr, OWN_MAX>) {
        let (mut to, mut own) = (Destinations::new(), heapless::Vec::new());
        let mut depend = |via, remote: SocketAddr, local: Option<IpAddr>| {
            routing::add(&mut to, remote.ip());
            // The address that the kernel would take anew needs no question of its own.
            if let Some(local) = local.filter(|local| !self.is_source(via, remote.ip(), *local)) {
                routing::add(&mut own, local);
            }
        };
        self.race.tries().iter().for_each(|open| depend(open.via, open.to, open.local));
        self.race.kept().into_iter().for_each(|kept| depend(kept.via, kept.to, kept.local));
        if let Some(late) = self.owed.as_ref().map(|owed| owed.late()) {
            depend(late.via, late.to, late.local);
        }
        let current = |ip: IpAddr| self.first().and_then(|uplink| uplink.source(Family::of(ip)));
        for told in self.active.addresses().filter(|told| current(*told) != Some(*told)) {
            routing::add(&mut own, told);
        }
        self.server_addresses(now).into_iter().for_each(|ip| routing::add(&mut to, ip));
        self.resolver.last_good().into_iter().for_each(|ip| routing::add(&mut to, ip));
        self.resolver.nameservers().for_each(|server| routing::add(&mut to, server.address));
        self.internet().into_iter().for_each(|ip| routing::add(&mut to, ip));
        (to, own)
    }

    /// What a default route leads to: the targets of the probe, or else addresses that stand for them.
    fn internet(&self) -> Destinations {
        let mut to = Destinations::new();
        for probe in self.settings.iter().flat_map(|settings| &settings.probe_addresses) {
            routing::add(&mut to, probe.ip());
        }
        for ip in STAND_INS {
            if to.iter().all(|probe| Family::of(*probe) != Family::of(ip)) {
                routing::add(&mut to, ip);
            }
        }
        to
    }

    /// Compares the uplinks with what they were, and acts on what is a change.
    pub(super) fn network_changed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        let server = self.server_addresses(now);
        let internet = self.internet();
        let uplinks = uplink::rank(&self.links, &self.routing, settings, &server, &internet);
        let reason = self.active.follow(&uplinks, &self.routing, settings, self.seq == 1);
        let before = core::mem::replace(&mut self.uplinks, uplinks);
        let first = |uplinks: &Uplinks| uplinks.first().map(|uplink| (uplink.index, uplink.name));
        let ((was, from), (is, to)) = (first(&before).unzip(), first(&self.uplinks).unzip());
        let changed = was != is;
        if changed {
            self.usable_at = now;
            self.race.forget_round_trips();
            let lost = self.uplinks.iter().all(|uplink| Some(uplink.index) != was);
            // One that was removed and made anew is the same to people.
            if from != to {
                Action::Note(Note::UplinkChanged { from, to, lost }).push_to(actions);
            }
        } else if let Some((from, to)) = from.zip(to).filter(|(from, to)| from != to) {
            Action::Note(Note::UplinkRenamed { from, to }).push_to(actions);
        }
        for lost in
            before.iter().filter(|lost| self.uplinks.iter().all(|now| now.name != lost.name))
        {
            self.resolver.link_lost(lost.name, actions);
        }
        let bereft = self.bury(actions);
        let gained = self.uplinks.iter().any(|uplink| is_new(uplink, &before));
        self.hastened |= gained;
        if before != self.uplinks {
            self.ways_changed();
        }
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

    /// The ways out are others: what was found out about the former ones counts no more.
    fn ways_changed(&mut self) {
        self.race.paths.forget();
        self.resolver.doubt(true);
        self.name_turn = 0;
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
            if let Some(open) = self.race.remove(*attempt) {
                // A SYN is repeated for as long as its socket lives, and nobody is to be told of its end.
                let quiet = open.stage > Stage::Connecting;
                self.close_or_park(*attempt, open.via.filter(|_| quiet), actions);
            }
        }
        let kept = self.race.kept().copied();
        if let Some(kept) = kept.filter(|kept| !self.lives(kept.via, kept.to.ip(), kept.local)) {
            self.race.take_kept();
            self.close_or_park(kept.attempt, kept.via, actions);
        }
        self.bury_owed(actions);
        !dead.is_empty() && self.race.tries().is_empty()
    }

    /// Whether a connection's way is still one and its local address is still there.
    pub(super) fn lives(&self, via: Option<Name>, to: IpAddr, local: Option<IpAddr>) -> bool {
        let lost = |local| !self.is_source(via, to, local) && self.routing.is_lost(local);
        self.leads(via, to) && !local.is_some_and(lost)
    }

    /// Whether the kernel would send from this address on this way.
    fn is_source(&self, via: Option<Name>, to: IpAddr, source: IpAddr) -> bool {
        self.route(via, to).is_some_and(|route| route.source == Some(source))
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

    /// Whether a way leads to a destination now.
    pub(super) fn leads(&self, via: Option<Name>, to: IpAddr) -> bool {
        match via {
            Some(via) => self.uplink(via).is_some_and(|it| self.leads_out(it, to).is_some()),
            None => self.kernel_leads(to),
        }
    }

    /// How a socket bound to this uplink would send to `to`; `None`: it could not.
    pub(super) fn leads_out(&self, uplink: &Uplink, to: IpAddr) -> Option<&routing::Route> {
        uplink::leads_out(&self.routing, to, uplink.index)
    }

    /// Whether an unbound socket reaches `to`: by an interface that runs, and that is ignored only where
    /// somebody has routed this destination over it.
    pub(super) fn kernel_leads(&self, to: IpAddr) -> bool {
        if self.routing.is_own(to) {
            return true;
        }
        let Some(route) = self.routing.route(to, None).filter(|it| it.source.is_some()) else {
            return false;
        };
        match self.links.by_index(route.index) {
            Some(link) => link.running,
            None => route.is_on_purpose() || !self.binds(),
        }
    }

    /// Whether sockets are bound to the uplink.
    pub(super) fn binds(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.bind_to_uplink)
    }

    /// Whether a beat could leave the device at all, or its name be asked for.
    pub(super) fn has_way(&self, now: Instant) -> bool {
        let bound = self.binds() && !self.uplinks.is_empty();
        let leads = |to: IpAddr| self.kernel_leads(to);
        let addresses = self.server_addresses(now);
        bound
            || addresses.iter().any(|to| leads(*to))
            || (addresses.is_empty() && self.resolver.nameservers().any(|it| leads(it.address)))
    }

    /// The addresses of the server, the last good one behind those that are known.
    pub(super) fn server_addresses(&self, now: Instant) -> ServerAddresses {
        let known = self.resolver.addresses(now);
        // A nameserver that names others may be wrong, or have been overtaken by a login at a portal.
        let good = self.resolver.last_good().filter(|_| !known.is_empty());
        let mut addresses = ServerAddresses::new();
        known.into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        good.into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        self.resolver.fallback(now).into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        addresses
    }

    /// The uplink in use.
    pub(super) fn first(&self) -> Option<&Uplink> {
        self.uplinks.first()
    }

    /// The uplink of this name.
    pub(super) fn uplink(&self, name: Name) -> Option<&Uplink> {
        self.uplinks.iter().find(|uplink| uplink.name == name)
    }

    /// The name of the interface that packets to `to` leave by.
    pub(super) fn interface(&self, via: Option<Name>, to: IpAddr) -> Option<Name> {
        let unbound = || self.links.name_of(self.routing.route(to, None)?.index);
        via.or_else(unbound)
    }

    /// The gateway that packets to `to` pass on this way.
    pub(super) fn gateway(&self, via: Option<Name>, to: IpAddr) -> Option<IpAddr> {
        self.route(via, to)?.gateway
    }

    pub(super) fn route(&self, via: Option<Name>, to: IpAddr) -> Option<&routing::Route> {
        let bound = match via {
            Some(via) => Some(self.links.by_name(via)?.index),
            None => None,
        };
        self.routing.route(to, bound)
    }
}

/// Addresses of the server, first to be tried first.
pub(super) type ServerAddresses =
    heapless::Vec<IpAddr, { crate::proto::resolve::ADDRESSES_MAX + 1 }>;

/// Whether an uplink can do something that it, or its predecessor, could not do before.
fn is_new(uplink: &Uplink, before: &Uplinks) -> bool {
    before.iter().find(|former| former.name == uplink.name).is_none_or(|former| {
        (uplink.v4.is_some() && uplink.v4 != former.v4)
            || (uplink.v6.is_some() && uplink.v6 != former.v6)
    })
}
