//! How the kernel would send where: the questions of the core, the kernel's answers, and when to ask again.
//!
//! The core models no routing table. It asks (rtnetlink(7), RTM_GETROUTE) for the few destinations
//! that matter, and asks again when the kernel announces something new, or a path has failed.
//!
//! ```text
//!           announced, failed, another destination        order to ask
//! Settled ----------------------------------------> Wanted -----------> Asked ---answers---> Settled
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::{Vec, VecView};

use super::link::LinkIndex;
use super::links::Links;
use super::race::TRIES_MAX;
use super::resolve;
use super::settings::{NAMESERVERS_MAX, PROBE_ADDRESSES_MAX};
use super::time::Instant;

/// Most destinations: addresses of the server, its last good one, those that connections go to, nameservers,
/// targets of the probe, and the stand-ins.
pub const DESTINATIONS_MAX: usize =
    resolve::ADDRESSES_MAX + 1 + OWN_MAX + NAMESERVERS_MAX + PROBE_ADDRESSES_MAX + STAND_INS.len();
/// Most local addresses: those of connections that race, of the one kept, of the late one, and the two that the
/// server was told.
pub const OWN_MAX: usize = TRIES_MAX + 4;
/// Most answers kept. Unbound ones come first, then those of the interfaces in the order of the questions.
pub const ROUTES_MAX: usize = 128;
/// Announcements remembered, to know a repeated one by.
const HEARD_MAX: usize = 64;

/// Addresses that only a default route leads to, asked about where the configuration has none of the
/// family. Nothing is ever sent there.
pub const STAND_INS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
];

/// Table `default` (RT_TABLE_DEFAULT): looked at after `main`.
const TABLE_DEFAULT: u32 = 253;
/// Table `main` (RT_TABLE_MAIN).
const TABLE_MAIN: u32 = 254;

/// Addresses that the kernel is asked about.
pub type Destinations = Vec<IpAddr, DESTINATIONS_MAX>;

/// Adds an address unless it is there already, or there is no room.
pub fn add(to: &mut VecView<IpAddr>, address: IpAddr) {
    let new = !to.contains(&address) && !to.is_full();
    to.extend(new.then_some(address));
}

/// How would packets to a destination leave?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The destination.
    pub to: IpAddr,
    /// Asked for a socket that is bound to this interface; `None`: for one that is not bound.
    pub bound: Option<LinkIndex>,
}

/// The kernel's answer to a [`Question`] that has one. No answer: no route, or one that rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What was asked.
    pub question: Question,
    /// The interface that packets leave by.
    pub index: LinkIndex,
    /// Whether they stay on the device: the destination is an address of its own.
    pub local: bool,
    /// The table in which the route was found (`RTA_TABLE`).
    pub table: u32,
    /// The length in bits of the route's prefix; 0 for a default route.
    pub prefix: u8,
    /// The kernel's metric: lower is preferred.
    pub metric: u32,
    /// Next hop, `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The address to send from; `None`: the kernel has none that is fit.
    pub source: Option<IpAddr>,
}

impl Route {
    /// Whether somebody has routed this very destination: by a route longer than a default, or by a
    /// rule that leads to a table of its own.
    #[must_use]
    pub const fn is_on_purpose(&self) -> bool {
        self.prefix > 0 || !matches!(self.table, TABLE_DEFAULT | TABLE_MAIN)
    }
}

/// A message of the kernel about an address, a route, a rule or a nexthop object.
///
/// What it says in detail does not matter, for the kernel is asked for the outcome; only whether it was
/// said before, so that a lease refreshed a thousand times costs no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Of a route, its network and prefix length: it matters to destinations in it only.
    pub network: Option<(IpAddr, u8)>,
    /// Digest of what makes the object this one and no other.
    pub object: u64,
    /// Digest of all that is said of it, without lifetimes and counters.
    pub state: u64,
    /// Something was removed or replaced, and perhaps more with it than is announced.
    pub gone: bool,
}

/// An address family. `Display` is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What the core knows of the kernel's routing, and whether it has to ask.
#[derive(Debug)]
pub struct Routing {
    destinations: Destinations,
    own: Vec<IpAddr, OWN_MAX>,
    routes: Vec<Route, ROUTES_MAX>,
    state: State,
    /// When the kernel is to be asked at the latest, whatever happens.
    later: Option<Instant>,
    /// What was announced since something was last removed: objects and their states.
    heard: Vec<(u64, u64), HEARD_MAX>,
    /// Which of them gives way to the next one that finds no room.
    next_out: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Settled,
    Wanted,
    Asked,
}

impl Routing {
    /// Nothing is known, and nothing asked.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            destinations: Vec::new(),
            own: Vec::new(),
            routes: Vec::new(),
            state: State::Settled,
            later: None,
            heard: Vec::new(),
            next_out: 0,
        }
    }

    /// Whether an announcement may change an answer: it was not made before, and a destination is concerned.
    pub fn is_news(&mut self, announcement: &Announcement) -> bool {
        let Announcement { network, object, state, gone } = *announcement;
        let concerned =
            |network, prefix| self.destinations.iter().any(|&to| contains(network, prefix, to));
        if network.is_some_and(|(network, prefix)| !concerned(network, prefix)) {
            return false;
        }
        if gone {
            self.forget_heard();
            return true;
        }
        if let Some(known) = self.heard.iter_mut().find(|(known, _)| *known == object) {
            return core::mem::replace(&mut known.1, state) != state;
        }
        if let Err(new) = self.heard.push((object, state)) {
            self.next_out = (self.next_out + 1) % HEARD_MAX;
            self.heard.swap_remove(self.next_out);
            self.heard.extend([new]);
        }
        true
    }

    /// Takes the next announcement of everything for news: something went away, and what went with it
    /// may come back in the same words.
    pub fn forget_heard(&mut self) {
        self.heard.clear();
    }

    /// The answers may be others than the last ones.
    pub fn want(&mut self) {
        self.later = None;
        if self.state == State::Settled {
            self.state = State::Wanted;
        }
    }

    /// The same, but nothing depends on it at once.
    pub fn want_at(&mut self, at: Instant) {
        self.later = Some(self.later.map_or(at, |later| later.min(at)));
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.later
    }

    /// Wants at last what was wanted for now.
    pub fn tick(&mut self, now: Instant) {
        if self.later.is_some_and(|at| at <= now) {
            self.want();
        }
    }

    /// Wants an answer for each of these, if one of them was not asked for last time.
    pub fn need(&mut self, destinations: &[IpAddr], own: &[IpAddr]) {
        let new = destinations.iter().any(|to| !self.destinations.contains(to))
            || own.iter().any(|ip| !self.own.contains(ip));
        if new {
            self.want();
        }
    }

    /// Whether the kernel has not answered yet what it was, or is to be, asked.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Settled
    }

    /// Whether an order to ask is due; there is none before it was answered.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.state == State::Wanted
    }

    /// The order to ask is given, for these.
    pub fn ask(&mut self, destinations: Destinations, own: Vec<IpAddr, OWN_MAX>) {
        self.state = State::Asked;
        self.destinations = destinations;
        self.own = own;
    }

    /// What the kernel is to be asked: every destination for an unbound socket and for one bound to each
    /// interface, and every address of our own whether it still is one.
    pub fn questions<'a>(&'a self, links: &'a Links) -> impl Iterator<Item = Question> + 'a {
        let unbound = self.destinations.iter().chain(&self.own);
        let unbound = unbound.map(|&to| Question { to, bound: None });
        let bound = links.iter().flat_map(|link| {
            let bound = Some(link.index);
            self.destinations.iter().map(move |&to| Question { to, bound })
        });
        unbound.chain(bound)
    }

    /// Takes the kernel's answers; true if one is another than before.
    pub fn answered(&mut self, routes: &[Route]) -> bool {
        self.state = State::Settled;
        let routes = routes.get(..ROUTES_MAX).unwrap_or(routes);
        if self.routes == routes {
            return false;
        }
        if self.routes.iter().any(|route| !routes.contains(route)) {
            self.forget_heard();
        }
        self.routes = routes.iter().copied().collect();
        true
    }

    /// Whether the kernel knows a way out of this interface, by its last word.
    #[must_use]
    pub fn has_way(&self, bound: LinkIndex) -> bool {
        self.routes.iter().any(|route| route.question.bound == Some(bound))
    }

    /// How packets to this destination leave, from a socket bound to this interface or to none.
    #[must_use]
    pub fn route(&self, to: IpAddr, bound: Option<LinkIndex>) -> Option<&Route> {
        self.routes.iter().find(|route| route.question == Question { to, bound })
    }

    /// Every answer.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Whether packets to `ip` stay on this device: loopback, unspecified, or an address that is its own.
    #[must_use]
    pub fn is_own(&self, ip: IpAddr) -> bool {
        let canonical = ip.to_canonical();
        canonical.is_loopback()
            || canonical.is_unspecified()
            || self.route(ip, None).is_some_and(|route| route.local)
    }

    /// Whether `ip` was an address of this device and is none any more, by the kernel's last word.
    #[must_use]
    pub fn is_lost(&self, ip: IpAddr) -> bool {
        let known = self.own.contains(&ip) && !self.is_open();
        known && !self.is_own(ip)
    }

    /// Whether the kernel would send to `to` by `route`, or by another one that is as good to it.
    ///
    /// That is so on purpose: by a route longer than a default one, or in a table of its own.
    #[must_use]
    pub fn is_on_purpose(&self, to: IpAddr, route: &Route) -> bool {
        let key = |route: &Route| (route.table, route.prefix);
        let own_way = self.route(to, None).filter(|own_way| own_way.is_on_purpose());
        own_way.is_some_and(|own_way| key(own_way) == key(route))
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether `ip` lies in the network of this prefix length.
fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    // What differs, shifted down to the bits that must not; a shift by all bits leaves none.
    let host_bits = |bits: u32| bits.saturating_sub(u32::from(prefix));
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let differing = network.to_bits() ^ ip.to_bits();
            differing.checked_shr(host_bits(u32::BITS)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let differing = network.to_bits() ^ ip.to_bits();
            differing.checked_shr(host_bits(u128::BITS)).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
pub(super) mod tests;
