//! The device's side of the network: interfaces with addresses and routes, and what the kernel tells of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linkbeat::proto::link::{LinkEvent, LinkIndex, Mac, Name, Neighbour, Route};

/// The interfaces of a camera.
pub(crate) const NAMES: [&str; 3] = ["eth0", "wlan1", "wlan0"];

/// One interface, as the kernel has it.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) index: LinkIndex,
    pub(crate) name: Name,
    /// False while it is unplugged from the bus.
    pub(crate) present: bool,
    /// Administratively up.
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    pub(crate) v4: Option<Ipv4Addr>,
    /// The address, and whether it has passed duplicate detection.
    pub(crate) v6: Option<(Ipv6Addr, bool)>,
    /// Last byte of the gateway of the default route.
    pub(crate) route_v4: Option<u8>,
    pub(crate) route_v6: Option<u8>,
    place: u8,
}

impl Interface {
    fn new(place: u8, index: u32, name: &str) -> Self {
        Self {
            index: LinkIndex(index),
            name: Name::new(name).unwrap(),
            present: true,
            up: true,
            carrier: true,
            v4: Some(v4(place, 10)),
            v6: None,
            route_v4: Some(1),
            route_v6: None,
            place,
        }
    }

    /// Whether packets can leave: what the agent calls running.
    pub(crate) fn runs(&self) -> bool {
        self.up && self.carrier
    }

    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.v4.map(IpAddr::V4) == Some(ip)
            || self.v6.is_some_and(|(v6, usable)| usable && IpAddr::V6(v6) == ip)
    }

    /// The address that the kernel would send from towards this family, if it has a default route.
    pub(crate) fn source(&self, v4: bool) -> Option<IpAddr> {
        let source = if v4 {
            self.route_v4.and(self.v4).map(IpAddr::V4)
        } else {
            self.route_v6.and(self.v6).filter(|(_, usable)| *usable).map(|(v6, _)| IpAddr::V6(v6))
        };
        source.filter(|_| self.up)
    }

    fn link(&self) -> LinkEvent {
        LinkEvent::Link {
            index: self.index,
            name: self.name,
            running: self.runs(),
            mac: Some(Mac([0xB8, 0x27, 0xEB, 0, 0, self.place])),
            permanent_mac: None,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = LinkEvent> {
        let index = self.index;
        let v4 = self.v4.map(|v4| (IpAddr::V4(v4), true));
        let v6 = self.v6.map(|(v6, usable)| (IpAddr::V6(v6), usable));
        let told = move |(address, usable)| LinkEvent::Address { index, address, usable };
        v4.into_iter().chain(v6).map(told)
    }

    fn routes(&self) -> impl Iterator<Item = LinkEvent> {
        let v4 = self.route_v4.map(|gateway| self.default_v4(gateway));
        let v6 = self.route_v6.map(|gateway| self.default_v6(gateway));
        v4.into_iter().chain(v6).map(LinkEvent::Route)
    }

    fn default_v4(&self, gateway: u8) -> Route {
        Route {
            index: self.index,
            network: Ipv4Addr::UNSPECIFIED.into(),
            prefix: 0,
            metric: self.metric(),
            gateway: Some(v4(self.place, gateway).into()),
        }
    }

    fn default_v6(&self, gateway: u8) -> Route {
        let gateway = Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, self.place.into(), gateway.into());
        Route {
            index: self.index,
            network: Ipv6Addr::UNSPECIFIED.into(),
            prefix: 0,
            metric: self.metric(),
            gateway: Some(gateway.into()),
        }
    }

    pub(crate) fn metric(&self) -> u32 {
        100 * (1 + u32::from(self.place))
    }
}

fn v4(place: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, place, host)
}

fn v6(place: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xDB8, 0, place.into(), 0, 0, 0, host.into())
}

/// All interfaces, and the messages about them that wait to be read.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) interfaces: Vec<Interface>,
    /// Whether the agent listens to neighbours.
    pub(crate) watched: bool,
    next_index: u32,
}

impl Kernel {
    /// eth0, wlan1 and wlan0, the latter two without a carrier if `single`.
    pub(crate) fn new(single: bool) -> Self {
        let mut interfaces: Vec<_> = (0..)
            .zip(NAMES)
            .map(|(place, name)| Interface::new(place, 2 + u32::from(place), name))
            .collect();
        for other in interfaces.iter_mut().skip(1).filter(|_| single) {
            other.carrier = false;
        }
        Self { interfaces, watched: false, next_index: 10 }
    }

    /// Those that are plugged in.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(|it| it.present)
    }

    pub(crate) fn by_index(&self, index: LinkIndex) -> Option<&Interface> {
        self.present().find(|it| it.index == index)
    }

    pub(crate) fn by_name(&self, name: Name) -> Option<&Interface> {
        self.present().find(|it| it.name == name)
    }

    /// Whether packets to `ip` never leave the device.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.present().any(|it| it.has(ip))
    }

    /// One part of a dump: links, addresses, routes.
    pub(crate) fn list(&self, part: u8) -> Vec<LinkEvent> {
        match part {
            0 => self.present().map(Interface::link).collect(),
            1 => self.present().flat_map(Interface::addresses).collect(),
            _ => self.present().flat_map(Interface::routes).collect(),
        }
    }

    /// The cable is pulled or plugged: address and routes stay.
    pub(crate) fn set_carrier(&mut self, at: usize, carrier: bool) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.carrier = carrier;
        vec![it.link()]
    }

    /// Down and up by administration: the IPv4 routes go without a word, IPv6 goes aloud.
    pub(crate) fn set_up(&mut self, at: usize, up: bool) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.up = up;
        let mut told = vec![it.link()];
        if !up {
            told.push(LinkEvent::RoutesGone { index: it.index });
            it.route_v4 = None;
            it.route_v6 = None;
            told.extend(drop_v6(it));
        }
        told
    }

    pub(crate) fn drop_address(&mut self, at: usize) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        let Some(address) = it.v4.take() else { return vec![] };
        // The kernel removes the IPv4 routes too, without saying so.
        it.route_v4 = None;
        vec![LinkEvent::AddressGone { index: it.index, address: address.into() }]
    }

    pub(crate) fn give_address(&mut self, at: usize, host: u8) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        let former = it.v4.replace(v4(it.place, host));
        let mut told = vec![];
        told.extend(it.addresses().next());
        if let Some(former) = former.filter(|former| Some(*former) != it.v4) {
            told.push(LinkEvent::AddressGone { index: it.index, address: former.into() });
        }
        told
    }

    pub(crate) fn drop_route(&mut self, at: usize) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.route_v4
            .take()
            .map(|gateway| LinkEvent::RouteGone(it.default_v4(gateway)))
            .into_iter()
            .collect()
    }

    pub(crate) fn give_route(&mut self, at: usize, gateway: u8) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        if it.v4.is_none() || !it.up {
            return vec![];
        }
        let former = it.route_v4.replace(gateway);
        let route = it.default_v4(gateway);
        vec![match former {
            Some(former) if former != gateway => LinkEvent::RouteReplaced(route),
            _ => LinkEvent::Route(route),
        }]
    }

    /// A router announces IPv6; the address is tentative first.
    pub(crate) fn give_v6(&mut self, at: usize, host: u8, usable: bool) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        if !it.up {
            return vec![];
        }
        it.v6 = Some((v6(it.place, host), usable));
        it.route_v6 = Some(1);
        it.addresses()
            .skip(usize::from(it.v4.is_some()))
            .chain([LinkEvent::Route(it.default_v6(1))])
            .collect()
    }

    pub(crate) fn drop_v6(&mut self, at: usize) -> Vec<LinkEvent> {
        drop_v6(&mut self.interfaces[at])
    }

    /// What is told of the IPv4 gateway, if anybody listens.
    pub(crate) fn gateway(&self, at: usize, answers: bool) -> Option<Neighbour> {
        let it = &self.interfaces[at];
        let gateway = it.route_v4.filter(|_| self.watched)?;
        Some(Neighbour { index: it.index, address: v4(it.place, gateway).into(), answers })
    }

    /// The interface is unplugged from the bus, with all it had.
    pub(crate) fn vanish(&mut self, at: usize) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.present = false;
        it.v4 = None;
        it.v6 = None;
        it.route_v4 = None;
        it.route_v6 = None;
        vec![LinkEvent::LinkGone { index: it.index }]
    }

    /// Whatever it lacks comes back; what was unplugged has a new number.
    pub(crate) fn restore(&mut self, at: usize) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        if !it.present {
            it.index = LinkIndex(self.next_index);
            self.next_index += 1;
        }
        it.present = true;
        it.name = Name::new(NAMES[at]).unwrap();
        it.up = true;
        it.carrier = true;
        let mut told = vec![it.link()];
        if it.v4.is_none() {
            it.v4 = Some(v4(it.place, 10));
            told.extend(it.addresses().next());
        }
        if it.route_v4.is_none() {
            it.route_v4 = Some(1);
            told.push(LinkEvent::Route(it.default_v4(1)));
        }
        told
    }

    pub(crate) fn rename(&mut self, at: usize, name: &str) -> Vec<LinkEvent> {
        let it = &mut self.interfaces[at];
        it.name = Name::new(name).unwrap();
        vec![it.link()]
    }

    /// Messages that say nothing new.
    pub(crate) fn repeat(&self, at: usize) -> Vec<LinkEvent> {
        let it = &self.interfaces[at];
        [it.link()].into_iter().chain(it.addresses()).chain(it.routes()).collect()
    }
}

fn drop_v6(it: &mut Interface) -> Vec<LinkEvent> {
    let index = it.index;
    let route = it.route_v6.take().map(|gateway| LinkEvent::RouteGone(it.default_v6(gateway)));
    let address = it.v6.take().map(|(v6, _)| LinkEvent::AddressGone { index, address: v6.into() });
    route.into_iter().chain(address).collect()
}
