//! Shared code of the fuzz targets: reads the fuzzer's bytes as numbers, addresses and links.
//!
//! It is written by hand instead of derived, so that the meaning of a byte does not change with a
//! type. Names and addresses come from small sets, so that they repeat.

// The targets are modules of the test, and name this crate as they do as programs.
#[cfg(test)]
extern crate self as linkbeat_fuzz;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Once};

pub use libfuzzer_sys;

use linkbeat_core::proto::link::{
    Announcement, InterfaceName, LinkEvent, LinkIndex, Mac, ObjectChange,
};
use linkbeat_core::proto::route::{Route, RouteQuestion};

#[cfg(test)]
mod corpus;

/// Defines a target: a program of the fuzzer, or in a test the function `target`.
#[macro_export]
macro_rules! target {
    (|$data:ident| $body:block) => {
        #[cfg(not(test))]
        $crate::libfuzzer_sys::fuzz_target!(|$data: &[u8]| $body);

        #[cfg(test)]
        pub(super) fn target($data: &[u8]) $body
    };
}

/// A directory for the files of a target, in memory if that can be had, to avoid writes to a disk.
#[must_use]
pub fn directory(target: &str) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let directory = parent.join(format!("linkbeat-fuzz-{target}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the files");
    directory
}

/// Lets a write to a socket whose other end is gone fail, as the runtime of Rust does: a fuzzer is
/// begun by C++, and would be killed.
pub fn fail_writes_instead_of_dying() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::default())
            .expect("a handler");
    });
}

/// The remaining bytes. After the last one all bytes are zero.
#[derive(Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Reads from `bytes`, first to last.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no bytes remain.
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

    /// Reads a byte as a boolean, true half of the time.
    pub fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Reads a byte as a number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Reads a number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Reads a number of any magnitude from two bytes; large ones end in zero bits.
    pub fn log(&mut self) -> u64 {
        u64::from(self.byte()) << (self.byte() % 56)
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// The value that `read` reads, or `None`.
    pub fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| read(self))
    }

    /// An address from a small set with every kind of address.
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

    /// An interface name of a camera or its configuration.
    pub fn name(&mut self) -> InterfaceName {
        let names = ["eth0", "wlan0", "wlan1", "usb0", "lo", "docker0", "wlan*", "averylongname00"];
        InterfaceName::new(self.pick(&names)).expect("a name")
    }

    /// A hardware address, globally unique or not.
    pub fn mac(&mut self) -> Mac {
        Mac([self.byte(), 0, 0, 0, 0, self.byte()])
    }

    /// An interface index.
    pub fn index(&mut self) -> LinkIndex {
        LinkIndex(u32::from(self.byte() % 40))
    }

    /// A possible answer of the kernel to a question, or none.
    pub fn answer(&mut self, question: RouteQuestion) -> Option<Route> {
        let index = question.bound.unwrap_or_else(|| self.index());
        self.maybe(|bytes| Route {
            question,
            index,
            local: question.bound.is_none() && bytes.byte() % 16 == 0,
            table: bytes.pick(&[254, 254, 254, 253, 100]),
            prefix: bytes.pick(&[0, 0, 0, 1, 24, 32]),
            metric: bytes.pick(&[0, 100, 600, 20_100]),
            gateway: bytes.maybe(Self::ip),
            source: bytes.maybe(Self::ip),
        })
    }

    /// An announcement about one of a few objects in one of a few states.
    pub fn announcement(&mut self) -> Announcement {
        Announcement {
            network: self.maybe(|bytes| {
                let network = bytes.ip();
                (network, bytes.byte() % if network.is_ipv4() { 33 } else { 129 })
            }),
            object: u64::from(self.byte() % 40),
            state: u64::from(self.byte() % 3),
            change: [ObjectChange::Set, ObjectChange::Replaced, ObjectChange::Removed]
                [usize::from(self.byte() % 3)],
        }
    }

    /// Any link event, in any order.
    pub fn link_event(&mut self) -> LinkEvent {
        match self.byte() % 4 {
            0 | 1 => LinkEvent::Link {
                index: self.index(),
                name: self.name(),
                running: self.bool(),
                mac: self.maybe(Self::mac),
                permanent_mac: self.maybe(Self::mac),
            },
            2 => LinkEvent::LinkGone { index: self.index() },
            _ => LinkEvent::Announced(self.announcement()),
        }
    }
}
