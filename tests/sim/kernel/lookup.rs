//! Route lookups of the simulated kernel: RTM_GETROUTE, and the routes of sockets.
//!
//! It models these measured properties of Linux. The local table is searched first, but for a
//! socket bound to another interface it contains only addresses of that interface. A missing
//! carrier has no effect. An interface without an IPv4 address borrows one of another interface.
//! Without a suitable IPv6 address a link-local one is chosen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linkbeat_core::proto::link::{Announcement, InterfaceName, LinkEvent, LinkIndex, ObjectChange};
use linkbeat_core::proto::route::{Route, RouteQuestion};

use super::{DEFAULT, Interface, Kernel, LOOPBACK, MAIN, Stage, TUNNEL, TUNNELLED, digest};

/// Table `local`, with the addresses of the device.
const LOCAL: u32 = 255;

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) table: u32,
    pub(crate) network: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) metric: u32,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) index: LinkIndex,
}

impl Entry {
    fn holds(&self, ip: IpAddr) -> bool {
        let host_bits = |bits: u8| u32::from(bits.saturating_sub(self.prefix));
        match (self.network, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let differing = network.to_bits() ^ ip.to_bits();
                differing.checked_shr(host_bits(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let differing = network.to_bits() ^ ip.to_bits();
                differing.checked_shr(host_bits(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The identity of the route. IPv6 routes over two interfaces coexist.
    fn key(&self) -> impl PartialEq + std::hash::Hash + use<> {
        let index = self.network.is_ipv6().then_some(self.index);
        (self.table, self.network, self.prefix, self.metric, index)
    }

    pub(super) fn has_place_of(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Builds RTM_NEWROUTE or RTM_DELROUTE.
    pub(super) fn announced(&self, gone: bool) -> LinkEvent {
        self.announced_as(gone, false)
    }

    pub(super) fn announced_as(&self, gone: bool, replaces: bool) -> LinkEvent {
        LinkEvent::Announced(Announcement {
            network: Some((self.network, self.prefix)),
            object: digest(("route", self.key())),
            state: digest((self.index, self.gateway)),
            change: match (gone, replaces) {
                (true, _) => ObjectChange::Removed,
                (false, true) => ObjectChange::Replaced,
                (false, false) => ObjectChange::Set,
            },
        })
    }
}

/// A routing policy rule. Lower priorities come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule {
    pub(crate) priority: u32,
    pub(crate) table: u32,
    /// The rule applies only to sockets bound to this interface.
    pub(crate) bound: Option<InterfaceName>,
    /// The rule applies only to traffic from the IPv4 address of this interface.
    pub(crate) from: Option<InterfaceName>,
    /// Default routes in the table are skipped.
    pub(crate) no_default: bool,
}

impl Rule {
    /// The rules of a tunnel: table main without defaults, then the tunnel. The tunnel's own
    /// packets carry a mark that bypasses them; the agent sends no queries about those.
    pub(super) fn of_tunnel() -> Vec<Self> {
        vec![
            Self { priority: 32_764, table: MAIN, bound: None, from: None, no_default: true },
            Self { priority: 32_765, table: TUNNELLED, bound: None, from: None, no_default: false },
        ]
    }

    pub(super) fn is_of_tunnel(&self) -> bool {
        Self::of_tunnel().contains(self)
    }

    pub(super) fn announced(&self, gone: bool) -> LinkEvent {
        let object = digest(("rule", self));
        let change = if gone { ObjectChange::Removed } else { ObjectChange::Set };
        LinkEvent::Announced(Announcement { network: None, object, state: object, change })
    }
}

/// The route of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// The packet stays on the device.
    pub(crate) local: bool,
}

impl Kernel {
    /// The kernel's answer to one question; `None` without a route.
    ///
    /// It includes the steps of `sys::routes`: a bound socket without a route is looked up once
    /// more from the address that the kernel would use, and sources that cannot receive replies are
    /// dropped.
    pub(crate) fn answer(&self, question: RouteQuestion) -> Option<Route> {
        let RouteQuestion { to, bound } = question;
        let Found { entry, local } = self.way(to, bound)?;
        let source = if local { Some(to) } else { self.source(entry.index, to) };
        let fit = |source: &IpAddr| is_link_local(to) || !is_link_local(*source);
        Some(Route {
            question,
            index: if local { self.interfaces[LOOPBACK].index } else { entry.index },
            local,
            table: entry.table,
            prefix: entry.prefix,
            metric: entry.metric,
            gateway: entry.gateway,
            source: source.filter(fit),
        })
    }

    /// The route of a new socket. If a bound socket has none, the kernel repeats the lookup after
    /// it has chosen a source address (IPv4).
    pub(crate) fn way(&self, to: IpAddr, bound: Option<LinkIndex>) -> Option<Found> {
        let again = || {
            let from = self.source(bound?, to).filter(IpAddr::is_ipv4)?;
            self.lookup(to, bound, Some(from))
        };
        self.lookup(to, bound, None).or_else(again)
    }

    /// The route for packets of a socket from this source address.
    pub(crate) fn lookup(
        &self,
        to: IpAddr,
        bound: Option<LinkIndex>,
        from: Option<IpAddr>,
    ) -> Option<Found> {
        if let Some(entry) = self.local(to).filter(|it| bound.is_none_or(|to| to == it.index)) {
            return Some(Found { entry, local: true });
        }
        let bound_name = bound.and_then(|index| self.by_index(index)).map(|it| it.name);
        let address = |name| self.by_name(name)?.v4.map(IpAddr::V4);
        let last = [(32_766, MAIN), (32_767, DEFAULT)].map(|(priority, table)| Rule {
            priority,
            table,
            bound: None,
            from: None,
            no_default: false,
        });
        for rule in self.rules.iter().chain(&last) {
            let wrong_socket = rule.bound.is_some() && rule.bound != bound_name;
            let wrong_source =
                rule.from.is_some_and(|name| from.is_none() || address(name) != from);
            if wrong_socket || wrong_source {
                continue;
            }
            let found = self.search(rule.table, to, bound);
            if let Some(entry) = found.filter(|entry| entry.prefix > 0 || !rule.no_default) {
                return Some(Found { entry, local: false });
            }
        }
        None
    }

    /// The uplink of the tunnel's own packets, which bypass its rules.
    pub(crate) fn underlay(&self) -> Option<LinkIndex> {
        let tunnel = self.interfaces[TUNNEL].index;
        let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        [self.table(), MAIN]
            .into_iter()
            .find_map(|table| self.search_but(table, peer, |index| index != tunnel))
            .map(|entry| entry.index)
    }

    fn local(&self, to: IpAddr) -> Option<Entry> {
        let (index, prefix) = if to.is_loopback() {
            (self.interfaces[LOOPBACK].index, if to.is_ipv4() { 8 } else { 128 })
        } else {
            let holder = self.present().find(|it| it.has(to))?;
            (holder.index, if to.is_ipv4() { 32 } else { 128 })
        };
        Some(Entry { table: LOCAL, network: to, prefix, metric: 0, gateway: None, index })
    }

    /// The best route of one table.
    fn search(&self, table: u32, to: IpAddr, bound: Option<LinkIndex>) -> Option<Entry> {
        self.search_but(table, to, |index| bound.is_none_or(|bound| bound == index))
    }

    // Half of the time of the simulation is spent here.
    fn search_but(
        &self,
        table: u32,
        to: IpAddr,
        allowed: impl Fn(LinkIndex) -> bool,
    ) -> Option<Entry> {
        let mut best: Option<Entry> = None;
        let mut offer = |entry: &Entry| {
            let better = best.is_none_or(|best| {
                entry.prefix > best.prefix
                    || (entry.prefix == best.prefix && entry.metric < best.metric)
            });
            if better {
                best = Some(*entry);
            }
        };
        for entry in &self.routes {
            let fits = entry.table == table && allowed(entry.index) && entry.holds(to);
            if fits && self.by_index(entry.index).is_some_and(|it| it.up) {
                offer(entry);
            }
        }
        if table == MAIN {
            for it in self.interfaces.iter().filter(|it| allowed(it.index) && it.is_near(to)) {
                let connected = it.connected();
                connected.iter().flatten().filter(|entry| entry.holds(to)).for_each(&mut offer);
            }
        }
        best
    }
}

impl Interface {
    /// Whether one of its addresses has the first 24 bits of an IPv4 address, or the first 64 of an
    /// IPv6 address: a quick answer for the many that have not.
    fn is_near(&self, to: IpAddr) -> bool {
        match to {
            IpAddr::V4(to) => self.v4.is_some_and(|v4| (v4.to_bits() ^ to.to_bits()) >> 8 == 0),
            IpAddr::V6(to) if to.is_unicast_link_local() => true,
            IpAddr::V6(to) => {
                self.v6.is_some_and(|(v6, _)| (v6.to_bits() ^ to.to_bits()) >> 64 == 0)
            }
        }
    }

    /// The connected routes that follow from its addresses.
    pub(super) fn connected(&self) -> [Option<Entry>; 3] {
        if !self.present || !self.up || self.place == LOOPBACK {
            return [None; 3];
        }
        let entry = |network, prefix, metric| {
            let (table, gateway, index) = (MAIN, None, self.index);
            Entry { table, network, prefix, metric, gateway, index }
        };
        let v4 = self.v4.map(|v4| {
            let [a, b, c, _] = v4.octets();
            entry(IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), 24, 0)
        });
        let v6 = self.v6.map(|(v6, _)| {
            let [a, b, c, d, ..] = v6.segments();
            entry(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), 64, 256)
        });
        let scope = IpAddr::V6(Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 0));
        let link_local = self.link_local().map(|_| entry(scope, 64, 256));
        [v4, v6, link_local]
    }
}

impl Kernel {
    /// The source address for packets to `to`.
    pub(crate) fn source(&self, index: LinkIndex, to: IpAddr) -> Option<IpAddr> {
        let out = self.by_index(index)?;
        let mut others: Vec<&Interface> = self.present().filter(|it| it.up).collect();
        others.sort_by_key(|it| it.index);
        match to {
            IpAddr::V4(_) => {
                let borrowed = others.iter().find_map(|it| it.v4);
                out.v4.or(borrowed).map(IpAddr::V4)
            }
            IpAddr::V6(_) if is_link_local(to) => out.link_local().map(IpAddr::V6),
            IpAddr::V6(_) => {
                let fit = |it: &&&Interface| it.usable_v6().is_some();
                // RFC 6724 §5: rule 3 comes before rule 5.
                let order = |it: &&&Interface| {
                    let deprecated = it.v6.is_some_and(|(_, stage)| stage == Stage::Deprecated);
                    (deprecated, it.index != index)
                };
                let global =
                    others.iter().filter(fit).min_by_key(order).and_then(|it| it.usable_v6());
                let own = out.link_local();
                global.or(own).map(IpAddr::V6)
            }
        }
    }

    /// Whether replies from `to` to this address arrive through the interface: the address is its
    /// own, or a borrowed one that the network routes there.
    pub(crate) fn answers_to(&self, it: &Interface, address: IpAddr, to: IpAddr) -> bool {
        let borrowed = self.interfaces[LOOPBACK].v4.map(IpAddr::V4);
        let unnumbered = it.up && it.v4.is_none() && borrowed == Some(address);
        let fit = is_link_local(to) || !is_link_local(address);
        fit && (it.has(address) || unnumbered)
    }
}

pub(super) const fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
