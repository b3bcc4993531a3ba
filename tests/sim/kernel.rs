//! The simulated kernel: interfaces with addresses, routes and rules, and the announcements of
//! their changes.
//!
//! It behaves as measured on Linux 6.18 (`ip monitor`, `ip route get`). Whether a change is
//! announced or silent matters as much as the state. Route lookups are in [`lookup`].

mod lookup;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linkbeat_core::proto::link::{
    Announcement, InterfaceName, LinkEvent, LinkIndex, Mac, Neighbour, ObjectChange,
};

use lookup::{Entry, Rule, is_link_local};

/// The uplinks of a camera.
pub(crate) const NAMES: [&str; 3] = ["eth0", "wlan1", "wlan0"];
/// Bridge of containers, an interface that the agent is configured to ignore.
pub(crate) const DOCKER: usize = 3;
/// A tunnel over the uplinks.
pub(crate) const TUNNEL: usize = 4;
/// A card that the configuration does not list, with a LAN behind it and no route further.
pub(crate) const LAN: usize = 5;
/// The loopback interface.
const LOOPBACK: usize = 6;
/// Number of interfaces, present or not.
pub(crate) const PLACES: usize = 7;
const ALL_NAMES: [&str; PLACES] = ["eth0", "wlan1", "wlan0", "docker0", "tun0", "lan9", "lo"];

/// An address on no card, which unnumbered uplinks use.
const BORROWED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// Table `main`.
pub(crate) const MAIN: u32 = 254;
/// Table `default`, which is searched after `main`.
pub(crate) const DEFAULT: u32 = 253;
/// The table that some network managers use for default routes.
pub(crate) const MANAGED: u32 = 100;
/// The table of a tunnel that takes all traffic.
pub(crate) const TUNNELLED: u32 = 51_820;

/// State of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Duplicate address detection is running.
    Tentative,
    Preferred,
    /// The address is chosen only if there is no other one.
    Deprecated,
}

/// The tables of the default routes, and the rules for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Table main, the kernel's default.
    Main,
    /// A separate table, used for all traffic.
    Managed,
    /// A separate table, used only for sockets bound to an uplink.
    BoundOnly,
    /// A separate table, used only for traffic from an uplink's address.
    FromOwn,
    /// Table `default`.
    Default,
}

/// How a tunnel takes all traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tunnel {
    /// A default route in a separate table, and rules around table main (wg-quick).
    Ruled,
    /// Two routes of prefix length 1 in table main, more specific than a default route.
    Halves,
}

/// One interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) index: LinkIndex,
    pub(crate) name: InterfaceName,
    /// Whether it is plugged in.
    pub(crate) present: bool,
    /// Administratively up.
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<(Ipv6Addr, Stage)>,
    place: usize,
}

impl Interface {
    fn new(place: usize) -> Self {
        let index = if place == LOOPBACK { 1 } else { 2 + u32::try_from(place).unwrap() };
        Self {
            index: LinkIndex(index),
            name: InterfaceName::new(ALL_NAMES[place]).unwrap(),
            present: place < NAMES.len() || place == LOOPBACK,
            up: true,
            carrier: true,
            v4: (place != LOOPBACK).then(|| v4(place, 10)),
            v6: None,
            place,
        }
    }

    /// Whether packets can leave. The agent calls this running.
    pub(crate) fn runs(&self) -> bool {
        self.up && self.carrier
    }

    /// Whether this is an address of the interface.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.up
            && (self.v4.map(IpAddr::V4) == Some(ip)
                || self.usable_v6().map(IpAddr::V6) == Some(ip)
                || self.link_local().map(IpAddr::V6) == Some(ip))
    }

    fn usable_v6(&self) -> Option<Ipv6Addr> {
        self.v6.filter(|(_, stage)| *stage != Stage::Tentative).map(|(v6, _)| v6)
    }

    /// The link-local address; the tunnel and the loopback have none.
    fn link_local(&self) -> Option<Ipv6Addr> {
        let place = u16::try_from(self.place).unwrap();
        let own = !matches!(self.place, TUNNEL | LOOPBACK);
        own.then(|| Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, place, 0xB827))
    }

    fn metric(&self) -> u32 {
        100 * (1 + u32::try_from(self.place).unwrap())
    }

    fn link(&self) -> LinkEvent {
        let last = u8::try_from(self.place).unwrap();
        let mac = !matches!(self.place, TUNNEL | LOOPBACK);
        LinkEvent::Link {
            index: self.index,
            name: self.name,
            running: self.runs(),
            mac: mac.then_some(Mac([0xB8, 0x27, 0xEB, 0, 0, last])),
            permanent_mac: None,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = (IpAddr, Stage)> {
        let v4 = self.v4.map(|v4| (IpAddr::V4(v4), Stage::Preferred));
        let v6 = self.v6.map(|(v6, stage)| (IpAddr::V6(v6), stage));
        v4.into_iter().chain(v6)
    }
}

/// The address of a host in the network of a place.
fn v4(place: usize, host: u8) -> Ipv4Addr {
    let third = u8::try_from(place).unwrap();
    match place {
        DOCKER => Ipv4Addr::new(172, 17, 0, host),
        TUNNEL => Ipv4Addr::new(10, 8, 0, host),
        LAN => Ipv4Addr::new(10, 9, 0, host),
        _ => Ipv4Addr::new(192, 168, third, host),
    }
}

fn v6(place: usize, host: u8) -> Ipv6Addr {
    let place = u16::try_from(place).unwrap();
    Ipv6Addr::new(0x2001, 0xDB8, 0, place, 0, 0, 0, host.into())
}

/// The link-local address of a router at a place.
fn router_v6(place: usize, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, u16::try_from(place).unwrap(), host.into())
}

/// The place of the local network that this address belongs to; `None` for public addresses.
pub(crate) fn home(ip: IpAddr) -> Option<usize> {
    match ip {
        IpAddr::V4(v4) => match v4.octets() {
            [192, 168, place, _] if usize::from(place) < NAMES.len() => Some(place.into()),
            [172, 17, ..] => Some(DOCKER),
            [10, 8, ..] => Some(TUNNEL),
            [10, 9, ..] => Some(LAN),
            _ => None,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0xFE80, _, _, _, _, _, place, _] | [0x2001, 0xDB8, 0, place, ..] => Some(place.into()),
            _ => None,
        },
    }
    .filter(|place| *place < PLACES)
}

/// The state of the kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) interfaces: Vec<Interface>,
    /// Whether the agent watches neighbours.
    pub(crate) watched: bool,
    /// A firewall blocks all traffic outside the tunnel.
    pub(crate) kill_switch: bool,
    policy: Policy,
    /// Configured routes. Connected routes follow from the addresses.
    routes: Vec<Entry>,
    rules: Vec<Rule>,
    next_index: u32,
}

impl Kernel {
    /// Creates eth0, wlan1 and wlan0; the latter two without a carrier if `single`.
    pub(crate) fn new(single: bool) -> Self {
        let mut kernel = Self {
            interfaces: (0..PLACES).map(Interface::new).collect(),
            watched: false,
            kill_switch: false,
            policy: Policy::Main,
            routes: vec![],
            rules: vec![],
            next_index: 10,
        };
        for at in 0..NAMES.len() {
            kernel.interfaces[at].carrier = at == 0 || !single;
            drop(kernel.give_route(at, 1));
        }
        kernel
    }

    /// The interfaces that are plugged in.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(|it| it.present)
    }

    pub(crate) fn by_index(&self, index: LinkIndex) -> Option<&Interface> {
        self.present().find(|it| it.index == index)
    }

    pub(crate) fn by_name(&self, name: InterfaceName) -> Option<&Interface> {
        self.present().find(|it| it.name == name)
    }

    /// The place of an interface.
    pub(crate) fn place(&self, index: LinkIndex) -> Option<usize> {
        self.by_index(index).map(|it| it.place)
    }

    /// Whether packets to `ip` never leave the device.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.present().any(|it| it.has(ip))
    }

    /// The dump of all links. There is no dump of anything else.
    pub(crate) fn list(&self) -> Vec<LinkEvent> {
        let mut present: Vec<_> = self.present().collect();
        present.sort_by_key(|it| it.index);
        present.into_iter().map(Interface::link).collect()
    }

    // ----- Links.

    /// Unplugs or plugs the cable. Address and routes stay.
    pub(crate) fn set_carrier(&mut self, at: usize, carrier: bool) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.carrier = carrier;
        vec![it.link()]
    }

    /// Sets the interface up or down. Going down removes IPv4 routes silently and announces the
    /// removal of IPv6. Coming up restores the connected routes only.
    pub(crate) fn set_up(&mut self, at: usize, up: bool) -> Vec<LinkEvent> {
        let former = std::mem::replace(&mut self.interfaces[at].up, up);
        let it = &self.interfaces[at];
        let mut events = vec![it.link()];
        if !up {
            events.push(down_announced(it.index));
            events.extend(self.drop_v6(at));
            self.forget_routes(at);
        } else if !former {
            events.extend(self.connected(at).map(|entry| entry.announced(false)));
        }
        events
    }

    /// Unplugs the interface from the bus. Everything on it disappears.
    pub(crate) fn vanish(&mut self, at: usize) -> Vec<LinkEvent> {
        let mut events = self.drop_v6(at);
        events.extend(self.drop_address(at));
        self.forget_routes(at);
        let it = &mut self.interfaces[at];
        it.present = false;
        events.extend([LinkEvent::LinkGone { index: it.index }, down_announced(it.index)]);
        events
    }

    /// Restores everything that is missing. An interface that was unplugged gets a new index.
    pub(crate) fn restore(&mut self, at: usize) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        if !it.present {
            it.index = LinkIndex(self.next_index);
            self.next_index += 1;
        }
        it.present = true;
        it.name = InterfaceName::new(ALL_NAMES[at]).unwrap();
        it.carrier = true;
        let mut events = self.set_up(at, true);
        if self.interfaces[at].v4.is_none() {
            events.extend(self.give_address(at, 10));
        }
        let gateway = self.default_of(at, true).and_then(|entry| entry.gateway);
        if at < NAMES.len() && gateway.is_none() {
            events.extend(self.give_route(at, 1));
        }
        events
    }

    /// Restores the state of a camera without any changes by others.
    pub(crate) fn tidy(&mut self) -> Vec<LinkEvent> {
        let mut events = self.close_tunnel();
        events.extend(self.set_policy(Policy::Main));
        for at in [DOCKER, LAN] {
            if self.interfaces[at].present {
                events.extend(self.vanish(at));
            }
        }
        events.extend(self.remove_routes(|entry| entry.prefix > 0));
        for at in 0..NAMES.len() {
            events.extend(self.restore(at));
        }
        events.extend(self.drop_address(LOOPBACK));
        events
    }

    pub(crate) fn rename(&mut self, at: usize, name: &str) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.name = InterfaceName::new(name).unwrap();
        vec![it.link()]
    }

    // ----- Addresses.

    pub(crate) fn drop_address(&mut self, at: usize) -> Vec<LinkEvent> {
        let network = self.connected(at).find(|entry| entry.network.is_ipv4());
        let it = &mut self.interfaces[at];
        let (index, Some(address)) = (it.index, it.v4.take()) else { return vec![] };
        // With the last address the kernel silently removes all other IPv4 routes.
        self.routes.retain(|entry| entry.index != index || !entry.network.is_ipv4());
        let event = address_announced(index, address.into(), Stage::Preferred, true);
        [event].into_iter().chain(network.map(|entry| entry.announced(true))).collect()
    }

    /// Sets the address, replacing a former one.
    pub(crate) fn give_address(&mut self, at: usize, host: u8) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        let (index, address) = (it.index, v4(at, host));
        let former = it.v4.replace(address);
        let mut events = vec![address_announced(index, address.into(), Stage::Preferred, false)];
        let added = self.connected(at).find(|entry| entry.network.is_ipv4());
        events.extend(added.filter(|_| former.is_none()).map(|entry| entry.announced(false)));
        if let Some(former) = former.filter(|former| *former != address) {
            events.push(address_announced(index, former.into(), Stage::Preferred, true));
        }
        events
    }

    /// Moves the address to the loopback interface. The default route remains, and packets are sent
    /// from that address.
    pub(crate) fn unnumber(&mut self, at: usize) -> Vec<LinkEvent> {
        if !self.interfaces[at].up {
            return vec![];
        }
        let mut events = self.drop_address(at);
        let lo = &mut self.interfaces[LOOPBACK];
        lo.v4 = Some(BORROWED);
        events.push(address_announced(lo.index, BORROWED.into(), Stage::Preferred, false));
        let entry = Entry { gateway: None, ..self.new_default(at, true, 0) };
        events.extend(self.set_route(entry));
        events
    }

    /// A router announces an IPv6 prefix. The address begins in this stage.
    pub(crate) fn give_v6(&mut self, at: usize, host: u8, stage: Stage) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        if !it.up || !it.present {
            return vec![];
        }
        let (index, address) = (it.index, v6(at, host));
        let former = it.v6.replace((address, stage));
        let mut events = vec![address_announced(index, address.into(), stage, false)];
        if let Some((former, _)) = former.filter(|(former, _)| *former != address) {
            events.push(address_announced(index, former.into(), Stage::Preferred, true));
        }
        if former.is_none() {
            events.extend(
                self.connected(at).filter(is_global_v6).map(|entry| entry.announced(false)),
            );
        }
        events.extend(self.set_route(self.new_default(at, false, 1)));
        events
    }

    pub(crate) fn drop_v6(&mut self, at: usize) -> Vec<LinkEvent> {
        let index = self.interfaces[at].index;
        let mut events: Vec<_> =
            self.connected(at).filter(is_global_v6).map(|entry| entry.announced(true)).collect();
        events.extend(self.remove_routes(|entry| entry.index == index && entry.network.is_ipv6()));
        let former = self.interfaces[at].v6.take();
        events.extend(former.map(|(v6, stage)| address_announced(index, v6.into(), stage, true)));
        events
    }

    /// The lifetime of the router advertisement ends. The kernel stops using the route, but
    /// announces its removal only at the next garbage collection.
    pub(crate) fn expire_v6(&mut self, at: usize) {
        let index = self.interfaces[at].index;
        self.routes
            .retain(|entry| entry.index != index || entry.network.is_ipv4() || entry.prefix > 0);
    }

    // ----- Routes and rules.

    /// Removes the default route of an interface.
    pub(crate) fn drop_route(&mut self, at: usize) -> Vec<LinkEvent> {
        let former = self.default_of(at, true);
        self.remove_routes(|entry| Some(*entry) == former)
    }

    /// Sets a default route through the gateway with this last byte.
    pub(crate) fn give_route(&mut self, at: usize, gateway: u8) -> Vec<LinkEvent> {
        let it = &self.interfaces[at];
        if it.v4.is_none() || !it.up || !it.present {
            return vec![];
        }
        self.set_route(self.new_default(at, true, gateway))
    }

    /// Adds a route to a network over this interface, on the link or via its gateway.
    pub(crate) fn give_specific(
        &mut self,
        at: usize,
        (network, prefix): (IpAddr, u8),
        by_gateway: bool,
    ) -> Vec<LinkEvent> {
        let it = &self.interfaces[at];
        let (index, ready) = (it.index, it.present && it.up);
        let sound = if network.is_ipv4() { it.v4.is_some() } else { it.v6.is_some() };
        if !ready || !sound {
            return vec![];
        }
        let gateway: IpAddr =
            if network.is_ipv4() { v4(at, 1).into() } else { router_v6(at, 1).into() };
        let (table, metric, gateway) = (MAIN, it.metric(), by_gateway.then_some(gateway));
        self.set_route(Entry { table, network, prefix, metric, gateway, index })
    }

    /// Removes all routes to this network except connected ones.
    pub(crate) fn drop_specific(&mut self, (network, prefix): (IpAddr, u8)) -> Vec<LinkEvent> {
        self.remove_routes(|entry| (entry.network, entry.prefix) == (network, prefix))
    }

    /// Moves the default routes and the rules as the policy requires.
    pub(crate) fn set_policy(&mut self, policy: Policy) -> Vec<LinkEvent> {
        let (former, table) = (self.table(), policy.table());
        self.policy = policy;
        let is_default =
            |entry: &Entry| entry.prefix == 0 && entry.table == former && former != table;
        let moved: Vec<_> = self.routes.iter().filter(|it| is_default(it)).copied().collect();
        let mut events = self.remove_routes(is_default);
        for entry in moved {
            events.extend(self.set_route(Entry { table, ..entry }));
        }
        events.extend(self.set_rules(|rule| rule.priority > 100, policy.rules()));
        events
    }

    /// Opens the tunnel, which takes all traffic.
    pub(crate) fn open_tunnel(&mut self, how: Tunnel) -> Vec<LinkEvent> {
        let mut events = self.restore(TUNNEL);
        let index = self.interfaces[TUNNEL].index;
        let entry = |table, network: [u8; 4], prefix| {
            let network = IpAddr::V4(network.into());
            Entry { table, network, prefix, metric: 0, gateway: None, index }
        };
        match how {
            Tunnel::Ruled => {
                events.extend(self.set_route(entry(TUNNELLED, [0; 4], 0)));
                events.extend(self.set_rules(|rule| !rule.is_of_tunnel(), Rule::of_tunnel()));
            }
            Tunnel::Halves => {
                events.extend(self.set_route(entry(MAIN, [0; 4], 1)));
                events.extend(self.set_route(entry(MAIN, [128, 0, 0, 0], 1)));
            }
        }
        events
    }

    /// Closes the tunnel and removes its rules.
    pub(crate) fn close_tunnel(&mut self) -> Vec<LinkEvent> {
        self.kill_switch = false;
        let mut events = self.set_rules(|rule| !rule.is_of_tunnel(), vec![]);
        if self.interfaces[TUNNEL].present {
            events.extend(self.vanish(TUNNEL));
        }
        events
    }

    /// Replaces the rules that `stays` does not keep.
    fn set_rules(&mut self, stays: impl Fn(&Rule) -> bool, new: Vec<Rule>) -> Vec<LinkEvent> {
        let former = std::mem::take(&mut self.rules);
        let (stay, go): (Vec<_>, Vec<_>) = former.into_iter().partition(|rule| stays(rule));
        let events: Vec<_> = go
            .iter()
            .filter(|rule| !new.contains(rule))
            .map(|rule| rule.announced(true))
            .chain(new.iter().filter(|rule| !go.contains(rule)).map(|rule| rule.announced(false)))
            .collect();
        self.rules = stay.into_iter().chain(new).collect();
        self.rules.sort();
        events
    }

    /// Adds a route, replacing one to the same network with the same metric.
    fn set_route(&mut self, entry: Entry) -> Vec<LinkEvent> {
        let former = self.routes.iter().position(|known| known.has_place_of(&entry));
        match former {
            Some(at) if self.routes[at] == entry => vec![entry.announced(false)],
            // NLM_F_REPLACE: the replaced route has no message of its own.
            Some(at) => {
                self.routes[at] = entry;
                vec![entry.announced_as(false, true)]
            }
            None => {
                self.routes.push(entry);
                vec![entry.announced(false)]
            }
        }
    }

    fn remove_routes(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<LinkEvent> {
        let (gone, left) = std::mem::take(&mut self.routes).into_iter().partition(|it| which(it));
        self.routes = left;
        let gone: Vec<Entry> = gone;
        gone.iter().map(|entry| entry.announced(true)).collect()
    }

    /// Removes the routes of an interface without announcements.
    fn forget_routes(&mut self, at: usize) {
        let index = self.interfaces[at].index;
        self.routes.retain(|entry| entry.index != index);
    }

    const fn table(&self) -> u32 {
        self.policy.table()
    }

    /// The connected routes of an interface.
    fn connected(&self, at: usize) -> impl Iterator<Item = Entry> + use<> {
        self.interfaces[at].connected().into_iter().flatten()
    }

    /// The default route of an interface in this address family.
    fn default_of(&self, at: usize, v4: bool) -> Option<Entry> {
        let index = self.interfaces[at].index;
        let is_it = |entry: &&Entry| {
            entry.index == index && entry.prefix == 0 && entry.network.is_ipv4() == v4
        };
        self.routes.iter().find(is_it).copied()
    }

    fn new_default(&self, at: usize, ipv4: bool, gateway: u8) -> Entry {
        let it = &self.interfaces[at];
        let (network, gateway): (IpAddr, IpAddr) = if ipv4 {
            (Ipv4Addr::UNSPECIFIED.into(), v4(at, gateway).into())
        } else {
            (Ipv6Addr::UNSPECIFIED.into(), router_v6(at, gateway).into())
        };
        let (table, metric, index) = (self.table(), it.metric(), it.index);
        Entry { table, network, prefix: 0, metric, gateway: Some(gateway), index }
    }

    // ----- Neighbours, and redundant messages.

    /// The announcement for the IPv4 gateway, if neighbours are watched.
    pub(crate) fn gateway(&self, at: usize, answers: bool) -> Option<Neighbour> {
        let address = self.default_of(at, true).filter(|_| self.watched)?.gateway?;
        Some(Neighbour { index: self.interfaces[at].index, address, answers })
    }

    /// Repeats the messages of an interface: the link, and its addresses and routes with new
    /// lifetimes.
    pub(crate) fn repeat(&self, at: usize) -> Vec<LinkEvent> {
        [self.interfaces[at].link()].into_iter().chain(self.refresh(at)).collect()
    }

    /// Repeats the messages of the addresses and routes of an interface.
    pub(crate) fn refresh(&self, at: usize) -> Vec<LinkEvent> {
        let it = &self.interfaces[at];
        let addresses =
            it.addresses().map(|(ip, stage)| address_announced(it.index, ip, stage, false));
        let own = self.routes.iter().filter(|entry| entry.index == it.index).copied();
        addresses
            .chain(self.connected(at).chain(own).map(|entry| entry.announced(false)))
            .filter(|_| it.present)
            .collect()
    }
}

impl Policy {
    const fn table(self) -> u32 {
        match self {
            Self::Main => MAIN,
            Self::Managed | Self::BoundOnly | Self::FromOwn => MANAGED,
            Self::Default => DEFAULT,
        }
    }

    fn rules(self) -> Vec<Rule> {
        let rule =
            |bound, from| Rule { priority: 100, table: MANAGED, bound, from, no_default: false };
        let names = NAMES.map(InterfaceName::new);
        let managed = match self {
            Self::Main | Self::Default => return vec![],
            Self::Managed => vec![rule(None, None)],
            Self::BoundOnly => names.map(|name| rule(name, None)).into(),
            Self::FromOwn => names.map(|name| rule(None, name)).into(),
        };
        // Networks of table main come first, so that neighbours stay reachable.
        let main = Rule { priority: 90, table: MAIN, bound: None, from: None, no_default: true };
        [main].into_iter().chain(managed).collect()
    }
}

fn is_global_v6(entry: &Entry) -> bool {
    entry.network.is_ipv6() && !is_link_local(entry.network)
}

/// A digest of an object's identity or of its state.
fn digest(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A link that is down counts as an announcement, because the removal of its routes has none.
fn down_announced(index: LinkIndex) -> LinkEvent {
    let object = digest(("link", index));
    let change = ObjectChange::Removed;
    LinkEvent::Announced(Announcement { network: None, object, state: 0, change })
}

fn address_announced(index: LinkIndex, address: IpAddr, stage: Stage, gone: bool) -> LinkEvent {
    let object = digest(("address", index, address));
    let change = if gone { ObjectChange::Removed } else { ObjectChange::Set };
    LinkEvent::Announced(Announcement { network: None, object, state: digest(stage), change })
}

/// A route to an irrelevant network, as a routing daemon adds many of them.
pub(crate) fn noise(number: u16, gone: bool) -> LinkEvent {
    let [third, fourth] = number.to_be_bytes();
    let network = IpAddr::V4(Ipv4Addr::new(100, 64 + third, fourth, 0));
    let gateway = Some(v4(0, 1).into());
    let (table, prefix, metric, index) = (MAIN, 24, 20, LinkIndex(2));
    Entry { table, network, prefix, metric, gateway, index }.announced(gone)
}
