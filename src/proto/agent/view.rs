//! What the agent shows of itself: for status, for the payload, for the logs. Reads, never decides.

use core::net::IpAddr;

use super::{Agent, Gate};
use crate::proto::event::{Failure, Reason};
use crate::proto::link::Mac;
use crate::proto::links::Family;
use crate::proto::reach::Connectivity;
use crate::proto::services::Service;
use crate::proto::time::Instant;
use crate::proto::uplink::Uplink;

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

    /// Hardware address of the interface that a beat from `local` goes out of, else of the uplink in
    /// use; and the uplink's own address.
    #[must_use]
    pub fn identity(&self, local: Option<IpAddr>) -> (Option<Mac>, Option<IpAddr>) {
        let uplink = self.first();
        let holder = local.filter(|local| !local.is_loopback());
        let holder = holder.and_then(|local| self.links.holder(local));
        let link = holder.or_else(|| self.links.by_index(uplink?.index));
        let source = |family| uplink.and_then(|uplink| uplink.source(family));
        (link.and_then(|link| link.mac), source(Family::V4).or_else(|| source(Family::V6)))
    }

    /// The permanent, universally administered hardware address of the interface with the lowest index that has one.
    ///
    /// It names a device that was given no key (WIRE.md §2), so it must not depend on which interface is up.
    #[must_use]
    pub fn device_mac(&self) -> Option<Mac> {
        let candidates = self.links.iter().filter_map(|link| {
            let mac = link.permanent_mac.or(link.mac).filter(|mac| mac.is_universal())?;
            Some((link.index, mac))
        });
        candidates.min_by_key(|(index, _)| *index).map(|(_, mac)| mac)
    }
}
