//! The table of interfaces with their addresses and routes, as the kernel last told them.
//!
//! It compares state and does not count events: an event changes something or nothing, and the
//! caller is told which. It does not judge interfaces; [`uplink`](super::uplink) does.
//!
//! ```text
//!   start_dump ----- apply, apply, ... ----- finish_dump      what the dump did not name is gone,
//!    unmarks all      marks what is named     sweeps           whichever message about it was lost
//! ```
//!
//! An address or a route may arrive before its interface does: it waits in an entry without a name,
//! which no lookup shows, until the interface is told or a dump ends without it.

use core::net::IpAddr;

use heapless::Vec;

use super::link::{LinkEvent, LinkIndex, Name, Route};
use interface::Doubt;
pub use interface::{ADDRESSES_MAX, Address, Family, Link, ROUTES_MAX};

mod interface;

/// Most interfaces known; later ones are left out until one of the former is gone.
pub const LINKS_MAX: usize = 32;

/// All interfaces.
#[derive(Debug, Clone)]
pub struct Links {
    links: Vec<Link, LINKS_MAX>,
    doubt: Doubt,
}

impl Links {
    /// No interface is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { links: Vec::new(), doubt: Doubt::None }
    }

    /// Takes in one message, and says whether it changed a name, a running state, a hardware
    /// address, a usable address or a route.
    ///
    /// What was known already, refreshed lifetimes and scan messages change nothing.
    pub fn apply(&mut self, event: LinkEvent) -> bool {
        match event {
            LinkEvent::Link { index, name, running, mac, permanent_mac } => {
                let taken = self.take_name(index, name);
                self.ensure(index);
                let changed = self.change(index, |link| {
                    let before = (link.name, link.running, link.mac, link.permanent_mac);
                    link.named = true;
                    link.name = name;
                    link.running = running;
                    // A scan message names none, and no interface loses the one it has.
                    link.mac = mac.or(link.mac);
                    link.permanent_mac = permanent_mac.or(link.permanent_mac);
                    before != (link.name, link.running, link.mac, link.permanent_mac)
                });
                changed || taken
            }
            LinkEvent::LinkGone { index } => self.remove(|link| link.index == index),
            LinkEvent::Address { index, address, usable } => {
                self.ensure(index);
                self.change(index, |link| link.put_address(address, usable))
            }
            LinkEvent::AddressGone { index, address } => {
                self.change(index, |link| link.drop_address(address))
            }
            LinkEvent::Route(route) => self.put_route(route),
            LinkEvent::RouteReplaced(route) => {
                let changed = self.replace_route(route);
                self.put_route(route) || changed
            }
            LinkEvent::RouteGone(route) => {
                self.change(route.index, |link| link.drop_routes(|known| *known == route))
            }
            LinkEvent::RoutesGone { index } => {
                self.change(index, |link| link.drop_routes(|_| true))
            }
        }
    }

    /// A dump begins: until [`finish_dump`](Self::finish_dump), what is named is marked.
    ///
    /// An interrupted dump is simply started again.
    pub fn start_dump(&mut self) {
        self.doubt = Doubt::None;
        self.links.iter_mut().for_each(Link::unmark);
    }

    /// The dump is complete: what was not named since it began is gone. True if that changed any.
    pub fn finish_dump(&mut self) -> bool {
        let changed = self.remove(|link| !link.named);
        self.links.iter_mut().fold(changed, |changed, link| link.sweep() || changed)
    }

    /// Whether only a dump can tell the state.
    ///
    /// Some changes have no message, and what found no room is known to the kernel alone.
    /// [`start_dump`](Self::start_dump) answers it. What arises during a dump asks for another one.
    #[must_use]
    pub fn wants_dump(&self) -> bool {
        self.doubt == Doubt::Stale || self.links.iter().any(|link| link.doubt == Doubt::Stale)
    }

    /// The interfaces, in the order in which they appeared.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.is_known())
    }

    /// The interface of this name.
    #[must_use]
    pub fn by_name(&self, name: Name) -> Option<&Link> {
        self.iter().find(|link| link.name == name)
    }

    /// The interface of this number.
    #[must_use]
    pub fn by_index(&self, index: LinkIndex) -> Option<&Link> {
        self.iter().find(|link| link.index == index)
    }

    /// The interface that has this address, usable or not.
    #[must_use]
    pub fn holder(&self, ip: IpAddr) -> Option<&Link> {
        let ip = ip.to_canonical();
        self.iter().find(|link| link.addresses().any(|address| address.ip == ip))
    }

    /// Whether packets to `ip` stay here: loopback, unspecified, or an interface's address.
    #[must_use]
    pub fn is_own(&self, ip: IpAddr) -> bool {
        let canonical = ip.to_canonical();
        canonical.is_loopback() || canonical.is_unspecified() || self.holder(canonical).is_some()
    }

    fn ensure(&mut self, index: LinkIndex) {
        if self.links.iter().any(|link| link.index == index) {
            return;
        }
        if self.links.push(Link::new(index)).is_err() {
            self.doubt.left_out();
        }
    }

    fn change(&mut self, index: LinkIndex, change: impl FnOnce(&mut Link) -> bool) -> bool {
        let link = self.links.iter_mut().find(|link| link.index == index);
        link.is_some_and(|link| change(link) && link.is_known())
    }

    fn remove(&mut self, gone: impl Fn(&Link) -> bool) -> bool {
        let before = self.links.len();
        let changed = self.iter().any(&gone);
        self.links.retain(|link| !gone(link));
        if self.links.len() != before {
            self.doubt.room_made();
        }
        changed
    }

    /// Takes `name` from any other interface, which is gone or renamed by a message that was lost.
    fn take_name(&mut self, index: LinkIndex, name: Name) -> bool {
        let other = self.links.iter_mut().find(|link| link.index != index && link.name == name);
        other.is_some_and(|other| {
            other.name = Name::default();
            other.doubt = Doubt::Stale;
            true
        })
    }

    fn put_route(&mut self, route: Route) -> bool {
        if !leads_to_a_server(route.network) {
            return false;
        }
        self.ensure(route.index);
        self.change(route.index, |link| link.put_route(route))
    }

    /// Removes the route that `new` took the place of, on whichever interface it was.
    ///
    /// The kernel replaces one route (IPv4: the first of those with this network and metric). Where
    /// several qualify, all stay until a dump has told which.
    fn replace_route(&mut self, new: Route) -> bool {
        let key = |route: &Route| (route.network, route.prefix, route.metric);
        let rivals =
            || self.links.iter().flat_map(Link::routes).filter(|&old| key(old) == key(&new));
        let (first, others) = (rivals().next().copied(), rivals().skip(1).count());
        match (first, others) {
            (Some(old), 0) if old != new => {
                self.change(old.index, |link| link.drop_routes(|route| *route == old))
            }
            (_, 0) => false,
            (_, 1..) => {
                self.doubt = Doubt::Stale;
                false
            }
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a server could be behind a route to `network`; IPv6 brings some that lead to none.
fn leads_to_a_server(network: IpAddr) -> bool {
    let local = matches!(network, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !(local || network.is_multicast())
}

#[cfg(test)]
mod tests;
