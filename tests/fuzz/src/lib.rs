//! What the fuzz targets share: bytes of the fuzzer, read as numbers, addresses and links.
//!
//! Written by hand instead of derived, so that what a byte means stays put when a type changes, and
//! so that names and addresses come from worlds small enough to meet again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linkbeat::proto::link::{LinkEvent, LinkIndex, Mac, Name, Route};

/// The bytes that are left. After the last one everything is zero.
#[derive(Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Reads from `bytes`, first to last.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether none are left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Of one byte: true half of the time.
    pub fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Of one byte: a number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Of two bytes: any size of number, large ones without their last digits.
    pub fn log(&mut self) -> u64 {
        u64::from(self.byte()) << (self.byte() % 56)
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// The value that `read` makes, or nothing.
    pub fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| read(self))
    }

    /// An address from a small world of every kind of address there is.
    pub fn ip(&mut self) -> IpAddr {
        let host = self.byte();
        let v6 = |first, last| Ipv6Addr::new(first, 0xdb8, 0, 0, 0, 0, 0, last).into();
        match host >> 5 {
            0 => Ipv4Addr::new(127, 0, 0, host & 3).into(),
            1 => Ipv4Addr::new(169, 254, 0, host & 3).into(),
            2 => Ipv4Addr::new(8, 8, 8, host & 3).into(),
            3 => v6(0xfe80, u16::from(host & 3)),
            4 => v6(0x2001, u16::from(host & 3)),
            5 => [
                Ipv4Addr::UNSPECIFIED.into(),
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::LOCALHOST.into(),
                Ipv4Addr::BROADCAST.into(),
                Ipv4Addr::new(8, 8, 8, 8).to_ipv6_mapped().into(),
            ][usize::from(host & 31) % 5],
            _ => Ipv4Addr::new(192, 168, host >> 4 & 1, host & 7).into(),
        }
    }

    /// An interface name that a camera, or its configuration, may have.
    pub fn name(&mut self) -> Name {
        let names = ["eth0", "wlan0", "wlan1", "usb0", "lo", "docker0", "wlan*", "averylongname00"];
        Name::new(self.pick(&names)).expect("a name")
    }

    /// A hardware address, given by a manufacturer or not.
    pub fn mac(&mut self) -> Mac {
        Mac([self.byte(), 0, 0, 0, 0, self.byte()])
    }

    /// The number of an interface.
    pub fn index(&mut self) -> LinkIndex {
        LinkIndex(u32::from(self.byte() % 40))
    }

    /// A route of some interface, a default route half of the time.
    pub fn route(&mut self) -> Route {
        let index = self.index();
        let mut network = self.ip();
        let mut prefix = 0;
        if self.bool() {
            network = match network {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
        } else {
            prefix = self.byte() % if network.is_ipv4() { 33 } else { 129 };
        }
        let metric = u32::from(self.byte() % 4) * 100;
        Route { index, network, prefix, metric, gateway: self.maybe(Self::ip) }
    }

    /// Anything that the kernel may tell of a link, in no order that it would.
    pub fn link_event(&mut self) -> LinkEvent {
        match self.byte() % 9 {
            0 | 1 => LinkEvent::Link {
                index: self.index(),
                name: self.name(),
                running: self.bool(),
                mac: self.maybe(Self::mac),
                permanent_mac: self.maybe(Self::mac),
            },
            2 => LinkEvent::LinkGone { index: self.index() },
            3 => {
                LinkEvent::Address { index: self.index(), address: self.ip(), usable: self.bool() }
            }
            4 => LinkEvent::AddressGone { index: self.index(), address: self.ip() },
            5 => LinkEvent::Route(self.route()),
            6 => LinkEvent::RouteReplaced(self.route()),
            7 => LinkEvent::RouteGone(self.route()),
            _ => LinkEvent::RoutesGone { index: self.index() },
        }
    }
}
