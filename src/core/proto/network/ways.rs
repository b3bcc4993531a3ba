//! How a destination is reached: the ways to an address and their order.
//!
//! The *ways* to an address, first to be tried first: the interfaces over which an administrator
//! has routed this very address (a host route, the LAN of another card, a VPN), the uplinks in
//! their order, each with a socket bound to it, and last the kernel's own way, unbound.

use core::net::IpAddr;

use super::{Network, routing};
use crate::proto::link::InterfaceName;
use crate::proto::links::Link;
use crate::proto::resolve::{ADDRESSES_MAX, Families};
use crate::proto::route::{Family, Route};
use crate::proto::time::Instant;
use crate::proto::uplink::{self, UPLINKS_MAX, Uplink};

/// The ways to one address: the interface to bind to, or `None` for an unbound socket.
pub(crate) type Ways = heapless::Vec<Option<InterfaceName>, { UPLINKS_MAX + 1 }>;

/// Addresses of the server, first to be tried first.
pub(crate) type ServerAddresses = heapless::Vec<IpAddr, { ADDRESSES_MAX + 1 }>;

impl Network {
    /// The ways to an address, best first, whether connections on them have failed or not.
    pub(crate) fn ways(&self, to: IpAddr) -> Ways {
        let unbound = self.kernel_leads(to);
        let mut ways = Ways::new();
        if self.binds && to.is_multicast() {
            ways.extend(self.links_to(to).take(UPLINKS_MAX).map(Some));
        } else if self.binds && !self.routing.is_own(to) {
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
            let is_out = |via: &Option<InterfaceName>| {
                let uplink = via.and_then(|via| self.uplink(via));
                uplink.map(|uplink| uplink.index) == out
            };
            let place = if ways.iter().any(is_out) { ways.len() } else { 0 };
            assert!(ways.insert(place, None).is_ok(), "one place more than there are uplinks");
        }
        ways
    }

    /// Whether sockets are bound to the uplink.
    pub(crate) const fn binds(&self) -> bool {
        self.binds
    }

    /// Whether a way leads to a destination now.
    pub(crate) fn leads(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        match via {
            Some(via) => self.uplink(via).is_some_and(|it| self.leads_out(it, to).is_some()),
            None => self.kernel_leads(to),
        }
    }

    /// How a socket bound to this uplink would send to `to`; `None`: it could not.
    fn leads_out(&self, uplink: &Uplink, to: IpAddr) -> Option<&Route> {
        // The uplinks are those of the kernel's last answers, and its report of a carrier or of
        // another name may be newer.
        let link = self.links.by_index(uplink.index)?;
        if !link.running || link.name != uplink.name {
            return None;
        }
        uplink::leads_out(&self.routing, to, uplink.index)
    }

    /// The links on which a group can be asked: no route leads there, but every link with an
    /// address does, uplinks first.
    fn links_to(&self, group: IpAddr) -> impl Iterator<Item = InterfaceName> {
        let uplinks = self.uplinks.iter().filter_map(|uplink| self.links.by_index(uplink.index));
        let others = self.links.iter().filter(|link| self.uplink(link.name).is_none());
        let leads =
            move |link: &&Link| uplink::leads_out(&self.routing, group, link.index).is_some();
        uplinks.chain(others).filter(|link| link.running).filter(leads).map(|link| link.name)
    }

    /// Whether an unbound socket reaches `to`: by an interface that runs, and that is ignored only
    /// where an administrator has routed this destination over it.
    pub(crate) fn kernel_leads(&self, to: IpAddr) -> bool {
        if self.routing.is_own(to) {
            return true;
        }
        let Some(route) = self.routing.route(to, None).filter(|it| it.source.is_some()) else {
            return false;
        };
        match self.links.by_index(route.index) {
            Some(link) => link.running,
            None => route.is_on_purpose() || !self.binds,
        }
    }

    /// Whether a beat could leave the device at all, or its name be asked for.
    pub(crate) fn has_way(&self, now: Instant) -> bool {
        let bound = self.binds && !self.uplinks.is_empty();
        let good = self.resolver.last_good();
        bound
            || good.is_some_and(|good| self.kernel_leads(good))
            || self.has_way_to_server(now)
            || (self.server_addresses(now).is_empty() && self.has_way_to_nameserver())
    }

    /// Whether there is a way now and was none at the last change of the network.
    pub(crate) fn regains_way(&mut self, now: Instant) -> bool {
        let has_way = self.has_way(now);
        !core::mem::replace(&mut self.had_way, has_way) && has_way
    }

    /// Whether a round of attempts may come to something: there is a way, or the name is to be
    /// asked for where anything outside can be reached. The addresses that are known may be those
    /// of another network.
    pub(crate) fn is_worth_trying(&self, now: Instant) -> bool {
        let may_be_named = || self.resolver.is_by_dns() && self.has_way_to_nameserver();
        self.has_way(now) || (!self.reachable().is_empty() && may_be_named())
    }

    /// Whether an address that is known of the server can be reached.
    pub(super) fn has_way_to_server(&self, now: Instant) -> bool {
        self.server_addresses(now).iter().any(|to| !self.ways(*to).is_empty())
    }

    fn has_way_to_nameserver(&self) -> bool {
        self.resolver.nameservers().any(|it| !self.ways(it.address).is_empty())
    }

    /// The addresses of the server, the last good one behind those that are known.
    pub(crate) fn server_addresses(&self, now: Instant) -> ServerAddresses {
        let known = self.resolver.addresses(now);
        // A nameserver that names others may be wrong, or have been overtaken by a login at a
        // portal.
        let good = self.resolver.last_good().filter(|_| !known.is_empty());
        let mut addresses = ServerAddresses::new();
        known.into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        good.into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        self.resolver.fallback(now).into_iter().for_each(|ip| routing::add(&mut addresses, ip));
        addresses
    }

    /// The present and former addresses of the server, by which the uplinks are judged.
    pub(super) fn server(&self) -> ServerAddresses {
        let mut addresses = ServerAddresses::new();
        let known = self.resolver.last_known().into_iter().chain(self.resolver.last_good());
        known.for_each(|ip| routing::add(&mut addresses, ip));
        addresses
    }

    /// Which families are asked for: those in which anything can be reached; both, while nothing
    /// can.
    pub(super) fn families(&self) -> Families {
        let reachable = self.reachable();
        if reachable.is_empty() { Families { v4: true, v6: true } } else { reachable }
    }

    /// Which families anything outside can be reached in.
    fn reachable(&self) -> Families {
        let leads = |family| {
            let bound = |index| self.links.by_index(index).is_some_and(|link| link.running);
            let leads = |route: &Route| match route.question.bound {
                Some(index) => route.source.is_some() && !route.local && bound(index),
                None => !route.local && self.kernel_leads(route.question.to),
            };
            self.routing.iter().any(|it| Family::of(it.question.to) == family && leads(it))
        };
        Families { v4: leads(Family::V4), v6: leads(Family::V6) }
    }

    /// The uplinks, best first.
    pub(crate) fn uplinks(&self) -> &[Uplink] {
        &self.uplinks
    }

    /// Since when the uplink in use is the first one.
    pub(crate) const fn usable_at(&self) -> Instant {
        self.usable_at
    }

    /// The uplink in use.
    pub(crate) fn first(&self) -> Option<&Uplink> {
        self.uplinks.first()
    }

    /// The uplink of this name.
    pub(super) fn uplink(&self, name: InterfaceName) -> Option<&Uplink> {
        self.uplinks.iter().find(|uplink| uplink.name == name)
    }

    /// The name of the interface that packets to `to` leave by.
    pub(crate) fn interface(
        &self,
        via: Option<InterfaceName>,
        to: IpAddr,
    ) -> Option<InterfaceName> {
        let unbound = || self.links.name_of(self.routing.route(to, None)?.index);
        via.or_else(unbound)
    }

    /// The gateway that packets to `to` pass on this way.
    pub(crate) fn gateway(&self, via: Option<InterfaceName>, to: IpAddr) -> Option<IpAddr> {
        self.route(via, to)?.gateway
    }

    /// Whether the kernel would send to `to` on this way because an administrator has routed it
    /// there.
    pub(crate) fn is_on_purpose(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        self.route(via, to).is_some_and(|route| self.routing.is_on_purpose(to, route))
    }

    /// How packets to `to` leave on this way.
    pub(super) fn route(&self, via: Option<InterfaceName>, to: IpAddr) -> Option<&Route> {
        let bound = match via {
            Some(via) => Some(self.links.by_name(via)?.index),
            None => None,
        };
        self.routing.route(to, bound)
    }
}
