//! One interface with its addresses and routes.

use core::net::IpAddr;

use heapless::Vec;

use crate::proto::link::{LinkIndex, Mac, Name, Route};

/// Most addresses known of an interface.
///
/// Of more, the first usable one of each family stays before other routable, local and unusable.
pub const ADDRESSES_MAX: usize = 8;
/// Most routes known of an interface; of more, the shortest prefixes and lowest metrics stay.
pub const ROUTES_MAX: usize = 16;

/// An address family.
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

/// One address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The local address.
    pub ip: IpAddr,
    /// False for tentative, duplicate and deprecated ones.
    pub usable: bool,
}

/// Something the kernel told, and whether the present dump has named it.
#[derive(Debug, Clone)]
struct Told<T> {
    it: T,
    named: bool,
}

impl<T> Told<T> {
    const fn new(it: T) -> Self {
        Self { it, named: true }
    }
}

/// One interface.
#[derive(Debug, Clone)]
pub struct Link {
    /// The kernel's number.
    pub index: LinkIndex,
    /// Its name.
    pub name: Name,
    /// Whether it can carry packets.
    pub running: bool,
    /// Hardware address in use.
    pub mac: Option<Mac>,
    /// Permanent hardware address.
    pub permanent_mac: Option<Mac>,
    addresses: Vec<Told<Address>, ADDRESSES_MAX>,
    routes: Vec<Told<Route>, ROUTES_MAX>,
    pub(super) doubt: Doubt,
    pub(super) named: bool,
}

impl Link {
    pub(super) fn new(index: LinkIndex) -> Self {
        Self {
            index,
            name: Name::default(),
            running: false,
            mac: None,
            permanent_mac: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            doubt: Doubt::None,
            named: false,
        }
    }

    /// Its addresses, usable or not, in the order in which they appeared.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.addresses.iter().map(|told| told.it)
    }

    /// Its routes, in no particular order; link-local and multicast networks are left out.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|told| &told.it)
    }

    /// The address of `family` to go out with: the first usable one that routers forward.
    ///
    /// An IPv4 link-local address (169.254/16, RFC 3927) is given if there is no better one: it
    /// serves a neighbour. IPv6 link-local ones never are: without an interface they mean nothing.
    #[must_use]
    pub fn source(&self, family: Family) -> Option<IpAddr> {
        let usable = || self.addresses().filter(|address| address.usable).map(|address| address.ip);
        usable().filter(|&ip| Family::of(ip) == family).find(|&ip| is_routable(ip)).or_else(|| {
            let is_local = |ip: &IpAddr| matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
            usable().filter(|_| family == Family::V4).find(is_local)
        })
    }

    /// Whether this is a usable address of the interface.
    #[must_use]
    pub fn has_usable(&self, ip: IpAddr) -> bool {
        self.addresses().any(|address| address.ip == ip && address.usable)
    }

    /// Whether the kernel has told its name: until then it is only a place for what came early.
    pub(super) fn is_known(&self) -> bool {
        self.name != Name::default()
    }

    pub(super) fn put_address(&mut self, ip: IpAddr, usable: bool) -> bool {
        if let Some(told) = self.addresses.iter_mut().find(|told| told.it.ip == ip) {
            let changed = told.it.usable != usable;
            *told = Told::new(Address { ip, usable });
            return changed;
        }
        let new = Address { ip, usable };
        if self.addresses.is_full() {
            self.doubt.left_out();
            let worths = self.addresses().map(|address| self.worth(address)).enumerate();
            match worths.min_by_key(|&(_, worth)| worth) {
                Some((place, worth)) if worth < self.worth(new) => self.addresses.remove(place),
                _ => return false,
            };
        }
        self.addresses.push(Told::new(new)).is_ok() && usable
    }

    /// How much an address deserves its place in a full table.
    fn worth(&self, address: Address) -> u8 {
        match (address.usable, self.source(Family::of(address.ip))) {
            (false, _) => 0,
            (true, _) if !is_routable(address.ip) => 1,
            (true, Some(source)) if is_routable(source) && source != address.ip => 2,
            (true, _) => 3,
        }
    }

    pub(super) fn drop_address(&mut self, ip: IpAddr) -> bool {
        let Some(place) = self.addresses.iter().position(|told| told.it.ip == ip) else {
            return false;
        };
        let usable = self.addresses.remove(place).it.usable;
        self.doubt.room_made();
        if ip.is_ipv6() {
            return usable;
        }
        let routes = self.routes.len();
        if !self.addresses().any(|address| address.ip.is_ipv4()) {
            // With the last IPv4 address the kernel drops the IPv4 routes, most without a word.
            self.routes.retain(|told| told.it.network.is_ipv6());
        } else if self.routes().any(|route| route.network.is_ipv4()) {
            // Older kernels drop those with the address as preferred source without a word too.
            self.doubt = Doubt::Stale;
        }
        usable || self.routes.len() != routes
    }

    pub(super) fn put_route(&mut self, route: Route) -> bool {
        if let Some(told) = self.routes.iter_mut().find(|told| told.it == route) {
            told.named = true;
            return false;
        }
        if self.routes.is_full() {
            self.doubt.left_out();
            let last = self.routes().enumerate().max_by_key(|(_, route)| order(route));
            match last {
                Some((place, last)) if order(&route) < order(last) => self.routes.remove(place),
                _ => return false,
            };
        }
        self.routes.push(Told::new(route)).is_ok()
    }

    pub(super) fn drop_routes(&mut self, gone: impl Fn(&Route) -> bool) -> bool {
        let routes = self.routes.len();
        self.routes.retain(|told| !gone(&told.it));
        let changed = self.routes.len() != routes;
        if changed {
            self.doubt.room_made();
        }
        changed
    }

    pub(super) fn unmark(&mut self) {
        self.named = false;
        self.doubt = Doubt::None;
        self.addresses.iter_mut().for_each(|told| told.named = false);
        self.routes.iter_mut().for_each(|told| told.named = false);
    }

    pub(super) fn sweep(&mut self) -> bool {
        let before = self.addresses.len() + self.routes.len();
        let lost = |told: &Told<Address>| !told.named && told.it.usable;
        let changed = self.addresses.iter().any(lost) || self.routes.iter().any(|told| !told.named);
        self.addresses.retain(|told| told.named);
        self.routes.retain(|told| told.named);
        if self.addresses.len() + self.routes.len() != before {
            self.doubt.room_made();
        }
        changed
    }
}

/// Whether the table may differ from the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It does not.
    None,
    /// Something found no room: there is nothing to gain from asking until some is made.
    Crowded,
    /// It may: only a dump can tell.
    Stale,
}

impl Doubt {
    pub(super) fn left_out(&mut self) {
        if *self == Self::None {
            *self = Self::Crowded;
        }
    }

    pub(super) fn room_made(&mut self) {
        if *self == Self::Crowded {
            *self = Self::Stale;
        }
    }
}

/// Whether routers forward packets from `ip`: not loopback, link-local, multicast or unspecified.
fn is_routable(ip: IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !(local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

/// The order in which routes deserve their place in a full table, first best.
fn order(route: &Route) -> impl Ord + use<> {
    (route.prefix, route.metric, route.network, route.gateway)
}
