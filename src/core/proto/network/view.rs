//! The view of the network for people. Reads, never decides.

use core::net::IpAddr;

use heapless::Vec;

use super::Network;
use crate::proto::global::is_global;
use crate::proto::link::{InterfaceName, LinkIndex, Mac};
use crate::proto::links::{IGNORED_MAX, Link};
use crate::proto::settings::Settings;
use crate::proto::time::Instant;
use crate::proto::uplink;

/// Why no interface leads out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is none, besides the loopback.
    NoInterface,
    /// The best one has no carrier.
    NoCarrier(InterfaceName),
    /// All links that run are ignored.
    Ignored(Vec<InterfaceName, IGNORED_MAX>),
    /// The best one runs, and has no route to this address of the server, or to anything, or no
    /// address to send from.
    NoRoute(LinkIndex, InterfaceName, Option<IpAddr>),
}

/// A description of the interface that a beat leaves from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Hardware address of that interface, else of the uplink in use.
    pub mac: Option<Mac>,
    /// The address of the uplink in use.
    pub address: Option<IpAddr>,
    /// An address of that interface by which the whole internet reaches the device.
    pub public: Option<IpAddr>,
}

impl Network {
    /// The obstacle to an uplink, while there is none.
    pub(crate) fn obstacle(&self, settings: &Settings, now: Instant) -> Option<Obstacle> {
        if !self.uplinks.is_empty() || !self.is_complete() {
            return None;
        }
        let ranked = |link: &&Link| uplink::priority(settings, link.name);
        let taken =
            self.routing.iter().find(|route| route.question.bound.is_none() && !route.local);
        let taken = taken.filter(|route| self.links.by_index(route.index).is_none());
        let running = self.links.iter().filter(|link| link.running).min_by_key(ranked);
        let ignored: Vec<InterfaceName, IGNORED_MAX> =
            self.links.ignored().map(|(_, name)| name).collect();
        if !ignored.is_empty() && (taken.is_some() || running.is_none()) {
            return Some(Obstacle::Ignored(ignored));
        }
        let to = self.server_addresses(now).first().copied();
        let no_route = running.map(|link| Obstacle::NoRoute(link.index, link.name, to));
        let down = self.links.iter().min_by_key(ranked).map(|link| Obstacle::NoCarrier(link.name));
        Some(no_route.or(down).unwrap_or(Obstacle::NoInterface))
    }

    /// Describes the interface that a beat from `local` leaves from.
    pub(crate) fn identity(&self, local: Option<IpAddr>) -> Identity {
        let uplink = self.first();
        let holder = local.filter(|local| !local.is_loopback());
        let leaves = |local| self.routing.iter().find(|it| it.source == Some(local) && !it.local);
        let index = holder.and_then(leaves).map(|route| route.index);
        let index = index.or_else(|| uplink.map(|uplink| uplink.index));
        let link = index.and_then(|index| self.links.by_index(index));
        let leaving = self.uplinks.iter().find(|uplink| Some(uplink.index) == index);
        let is_public = |address: &IpAddr| is_global(*address);
        Identity {
            mac: link.and_then(|link| link.mac),
            address: uplink.and_then(|uplink| uplink.sources().next()),
            public: holder.filter(is_public).or_else(|| leaving?.sources().find(is_public)),
        }
    }

    /// Whether there are more interfaces, or ways over them, than are kept.
    pub(crate) const fn is_incomplete(&self) -> bool {
        self.links.is_incomplete() || self.routing.is_incomplete()
    }

    /// The address that names a device without a key (WIRE.md §2).
    pub(crate) fn device_mac(&self) -> Option<Mac> {
        self.links.device_mac()
    }
}
