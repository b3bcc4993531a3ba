//! What the agent shows of itself: for status, for the payload, for the logs. Reads, never decides.

use core::net::IpAddr;

use heapless::Vec;

use super::{Agent, Gate};
use crate::proto::event::{Failure, Reason};
use crate::proto::link::{LinkIndex, Mac, Name};
use crate::proto::links::{IGNORED_MAX, Link};
use crate::proto::race::Path;
use crate::proto::reach::Connectivity;
use crate::proto::routing::Family;
use crate::proto::services::Service;
use crate::proto::time::Instant;
use crate::proto::uplink::{self, Uplink};

/// Why no interface leads out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is none, besides the loopback.
    NoInterface,
    /// The best one has no carrier.
    NoCarrier(Name),
    /// Those that run are ignored.
    Ignored(Vec<Name, IGNORED_MAX>),
    /// The best one runs, and has no route to this address of the server, or to anything, or no address to send from.
    NoRoute(LinkIndex, Name, Option<IpAddr>),
}

/// The state of the agent at one moment.
#[derive(Debug)]
pub struct View<'a> {
    /// Whether the outside is reachable.
    pub connectivity: Connectivity,
    /// Since when.
    pub connectivity_since: Instant,
    /// Whether the network answers while the server does not.
    pub server_silent: bool,
    /// Usable uplinks, best first; the first one is in use.
    pub uplinks: &'a [Uplink],
    /// What stands in the way of one, while there is none.
    pub obstacle: Option<Obstacle>,
    /// Paths that are tried last, because connections on them fail while others deliver.
    pub failed_paths: &'a [Path],
    /// Whether there are more interfaces than the agent keeps.
    pub links_left_out: bool,
    /// Since when the first one is.
    pub uplink_since: Instant,
    /// The number of the beat that is under way or comes next.
    pub seq: u64,
    /// Whether a beat is under way.
    pub in_flight: bool,
    /// Why the next beat will be sent, if it is already wanted.
    pub pending: Option<Reason>,
    /// When the wanted beat may start, if it has to wait and may.
    pub waits_until: Option<Instant>,
    /// A server's Retry-After, while it lasts.
    pub held_until: Option<Instant>,
    /// When the cycle is due.
    pub due_at: Option<Instant>,
    /// Why the last round failed, `None` after an acknowledgement.
    pub failure: Option<Failure>,
    /// Rounds that failed since the last acknowledgement.
    pub rounds_failed: u32,
    /// The services that are looked at.
    pub services: &'a [Service],
    /// Probes sent since start.
    pub probes_sent: u64,
    /// Connections opened since start.
    pub connects: u64,
}

impl Agent {
    /// The state at `now`.
    #[must_use]
    pub fn view(&self, now: Instant) -> View<'_> {
        let waiting = [&self.fresh, &self.retrying].into_iter().find(|wants| !wants.is_empty());
        View {
            connectivity: self.reach.connectivity(),
            connectivity_since: self.reach.since(),
            server_silent: self.reach.is_server_silent(),
            uplinks: &self.uplinks,
            obstacle: self.obstacle(now),
            failed_paths: self.race.paths.all(),
            links_left_out: self.links.is_incomplete(),
            uplink_since: self.usable_at,
            seq: self.seq,
            in_flight: !self.beat.is_idle(),
            pending: waiting.map(|wants| wants.reason()),
            waits_until: match self.gate(now) {
                Gate::From(at) if at > now => Some(at),
                Gate::From(_) | Gate::Closed => None,
            },
            held_until: self.hold.map(|hold| hold.until).filter(|until| *until > now),
            due_at: self.cycle.due_at(),
            failure: self.last_failure,
            rounds_failed: self.rounds_failed,
            services: self.services.all(),
            probes_sent: self.reach.sent(),
            connects: self.race.opened(),
        }
    }

    fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        if !self.uplinks.is_empty() || !self.settled {
            return None;
        }
        let ranked = |link: &&Link| {
            let settings = self.settings.as_ref();
            settings.map_or(usize::MAX, |settings| uplink::place(settings, link.name))
        };
        let taken =
            self.routing.iter().find(|route| route.question.bound.is_none() && !route.local);
        let taken = taken.filter(|route| self.links.by_index(route.index).is_none());
        let running = self.links.iter().filter(|link| link.running).min_by_key(ranked);
        let ignored: Vec<Name, IGNORED_MAX> = self.links.ignored().map(|(_, name)| name).collect();
        if !ignored.is_empty() && (taken.is_some() || running.is_none()) {
            return Some(Obstacle::Ignored(ignored));
        }
        let to = self.server_addresses(now).first().copied();
        let no_route = running.map(|link| Obstacle::NoRoute(link.index, link.name, to));
        let down = self.links.iter().min_by_key(ranked).map(|link| Obstacle::NoCarrier(link.name));
        Some(no_route.or(down).unwrap_or(Obstacle::NoInterface))
    }

    /// Hardware address of the interface that a beat from `local` goes out of, else of the uplink in
    /// use; and the uplink's own address.
    #[must_use]
    pub fn identity(&self, local: Option<IpAddr>) -> (Option<Mac>, Option<IpAddr>) {
        let uplink = self.first();
        let holder = local.filter(|local| !local.is_loopback());
        let leaves = |local| self.routing.iter().find(|it| it.source == Some(local) && !it.local);
        let index = holder.and_then(leaves).map(|route| route.index);
        let index = index.or_else(|| uplink.map(|uplink| uplink.index));
        let link = index.and_then(|index| self.links.by_index(index));
        let source = |family| uplink.and_then(|uplink| uplink.source(family));
        (link.and_then(|link| link.mac), source(Family::V4).or_else(|| source(Family::V6)))
    }

    /// The permanent, universally administered hardware address of the interface with the lowest index that has one.
    ///
    /// It names a device that was given no key (WIRE.md §2), so it must not depend on which interface is up.
    #[must_use]
    pub fn device_mac(&self) -> Option<Mac> {
        self.links.device_mac()
    }
}
