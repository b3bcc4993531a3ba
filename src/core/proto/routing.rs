//! Which way the kernel would send packets: the questions of the core, the kernel's answers, and
//! when to ask again.
//!
//! The core models no routing table. It asks (rtnetlink(7), RTM_GETROUTE) for the few destinations
//! that matter, and asks again when the kernel announces something new, or a path has failed.
//!
//! ```text
//!           announced, failed, another destination        order to ask
//! Settled ---------------------------------------> Wanted -------------> Asked --answers--> Settled
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::{Vec, VecView};

use super::event::ATTEMPTS_MAX;
use super::link::{Announcement, LinkIndex, ObjectChange};
use super::links::Links;
use super::resolve;
use super::route::{Route, RouteQuestion};
use super::settings::{NAMESERVERS_MAX, PROBE_ADDRESSES_MAX};
use super::time::Instant;

/// Most destinations: addresses of the server, its last good one, those that connections go to,
/// nameservers, targets of the probe, and the stand-ins.
pub(super) const DESTINATIONS_MAX: usize =
    resolve::ADDRESSES_MAX + 1 + OWN_MAX + NAMESERVERS_MAX + PROBE_ADDRESSES_MAX + STAND_INS.len();
/// Most local addresses: those of connections that race, of the one kept, of the late one, and the
/// two that were reported to the server.
pub(super) const OWN_MAX: usize = ATTEMPTS_MAX + 4;
/// Most answers kept. Unbound ones come first, then those of the interfaces in the order of the
/// questions.
pub const ROUTES_MAX: usize = 128;
/// Announcements remembered, to know a repeated one by.
const ANNOUNCED_MAX: usize = 64;

/// Addresses that only a default route leads to, asked about where the configuration has none of
/// the family. Nothing is ever sent there.
pub(super) const STAND_INS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
];

/// Addresses that the kernel is asked about.
pub(super) type Destinations = Vec<IpAddr, DESTINATIONS_MAX>;

/// Adds an address unless it is there already, or there is no room.
pub(super) fn add(to: &mut VecView<IpAddr>, address: IpAddr) {
    let new = !to.contains(&address) && !to.is_full();
    to.extend(new.then_some(address));
}

/// What the core knows of the kernel's routing, and whether it has to ask.
#[derive(Debug, Default)]
pub(super) struct Routing {
    destinations: Destinations,
    own: Vec<IpAddr, OWN_MAX>,
    routes: Vec<Route, ROUTES_MAX>,
    /// The kernel gave more answers than are kept.
    left_out: bool,
    state: AskState,
    /// When the kernel is to be asked at the latest, whatever happens.
    later: Option<Instant>,
    /// The announcements since something was last removed: objects and their states.
    announced: Vec<(u64, u64), ANNOUNCED_MAX>,
    /// Which of them gives way to the next one that finds no room.
    next_out: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AskState {
    #[default]
    Settled,
    Wanted,
    Asked,
}

impl Routing {
    /// Whether an announcement may change an answer: it was not made before, and a destination is
    /// concerned.
    pub(super) fn is_news(&mut self, announcement: &Announcement) -> bool {
        let Announcement { network, object, state, change } = *announcement;
        let concerned =
            |network, prefix| self.destinations.iter().any(|&to| contains(network, prefix, to));
        if network.is_some_and(|(network, prefix)| !concerned(network, prefix)) {
            return false;
        }
        if announcement.removes_a_route() {
            // What went with it is missing in the answer.
            self.announced.retain(|(known, _)| *known != object);
            return true;
        }
        if change != ObjectChange::Set {
            self.forget_announcements();
            return true;
        }
        if let Some(known) = self.announced.iter_mut().find(|(known, _)| *known == object) {
            return core::mem::replace(&mut known.1, state) != state;
        }
        if let Err(new) = self.announced.push((object, state)) {
            self.next_out = (self.next_out + 1) % ANNOUNCED_MAX;
            self.announced.swap_remove(self.next_out);
            self.announced.extend([new]);
        }
        true
    }

    /// Takes the next announcement of everything for news: something went away, and what went with
    /// it may come back in the same words.
    pub(super) fn forget_announcements(&mut self) {
        self.announced.clear();
    }

    /// The answers may be others than the last ones.
    pub(super) fn want(&mut self) {
        self.later = None;
        if self.state == AskState::Settled {
            self.state = AskState::Wanted;
        }
    }

    /// Wants the answers by `at`: nothing depends on them at once, or they may be the last ones again
    /// by then.
    pub(super) fn want_at(&mut self, at: Instant) {
        self.later = Some(self.later.map_or(at, |later| later.min(at)));
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.later
    }

    /// Wants at last what was wanted for now.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.later.is_some_and(|at| at <= now) {
            self.want();
        }
    }

    /// Wants an answer for each of these, if one of them was not asked for last time.
    pub(super) fn need(&mut self, destinations: &[IpAddr], own: &[IpAddr]) {
        let new = destinations.iter().any(|to| !self.destinations.contains(to))
            || own.iter().any(|ip| !self.own.contains(ip));
        if new {
            self.want();
        }
    }

    /// Whether the kernel has not answered yet what it was, or is to be, asked.
    pub(super) fn is_open(&self) -> bool {
        self.state != AskState::Settled
    }

    /// Whether an order to ask is due; there is none before it was answered.
    pub(super) fn is_wanted(&self) -> bool {
        self.state == AskState::Wanted
    }

    /// The order to ask is given, for these.
    pub(super) fn ask(&mut self, destinations: Destinations, own: Vec<IpAddr, OWN_MAX>) {
        self.state = AskState::Asked;
        self.destinations = destinations;
        self.own = own;
    }

    /// The questions for the kernel: every destination for an unbound socket and for one bound to
    /// each interface, and every address of our own whether it still is one.
    pub(super) fn questions<'a>(
        &'a self,
        links: &'a Links,
    ) -> impl Iterator<Item = RouteQuestion> + 'a {
        let unbound = self.destinations.iter().chain(&self.own);
        let unbound = unbound.map(|&to| RouteQuestion { to, bound: None });
        let bound = links.iter().flat_map(|link| {
            let bound = Some(link.index);
            self.destinations.iter().map(move |&to| RouteQuestion { to, bound })
        });
        unbound.chain(bound)
    }

    /// Takes the kernel's answers; true if one is another than before.
    pub(super) fn answered(&mut self, routes: &[Route]) -> bool {
        self.state = AskState::Settled;
        self.left_out = routes.len() > ROUTES_MAX;
        let routes = routes.get(..ROUTES_MAX).unwrap_or(routes);
        if self.routes == routes {
            return false;
        }
        if self.routes.iter().any(|route| !routes.contains(route)) {
            self.forget_announcements();
        }
        self.routes = routes.iter().copied().collect();
        true
    }

    /// Whether there was no room for an answer: some of the ways over the last interfaces are not
    /// known.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.left_out
    }

    /// Whether the kernel knows a way out of this interface, by its last answers.
    pub(super) fn has_way(&self, bound: LinkIndex) -> bool {
        self.routes.iter().any(|route| route.question.bound == Some(bound))
    }

    /// How packets to this destination leave, from a socket bound to this interface or to none.
    pub(super) fn route(&self, to: IpAddr, bound: Option<LinkIndex>) -> Option<&Route> {
        self.routes.iter().find(|route| route.question == RouteQuestion { to, bound })
    }

    /// Every answer.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Whether packets to `ip` stay on this device: loopback, unspecified, or an address that is
    /// its own.
    pub(super) fn is_own(&self, ip: IpAddr) -> bool {
        let canonical = ip.to_canonical();
        canonical.is_loopback()
            || canonical.is_unspecified()
            || self.route(ip, None).is_some_and(|route| route.local)
    }

    /// Whether `ip` was an address of this device and is none any more, by the kernel's last
    /// answers.
    pub(super) fn is_lost(&self, ip: IpAddr) -> bool {
        let known = self.own.contains(&ip) && !self.is_open();
        known && !self.is_own(ip)
    }

    /// Whether the kernel would send to `to` by `route`, or by another one that is as good to it.
    ///
    /// That is so on purpose: by a route longer than a default one, or in a table of its own.
    pub(super) fn is_on_purpose(&self, to: IpAddr, route: &Route) -> bool {
        let key = |route: &Route| (route.table, route.prefix);
        let own_way = self.route(to, None).filter(|own_way| own_way.is_on_purpose());
        own_way.is_some_and(|own_way| key(own_way) == key(route))
    }
}

/// Whether `ip` lies in the network of this prefix length.
fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    let common_bits = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (network.to_bits() ^ ip.to_bits()).leading_zeros(),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits() ^ ip.to_bits()).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    common_bits >= u32::from(prefix)
}

#[cfg(test)]
pub(super) mod tests;
