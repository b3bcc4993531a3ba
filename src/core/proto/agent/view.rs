//! The view of the agent for status, payload and logs. Reads, never decides.

use core::net::IpAddr;
use core::time::Duration;

use super::{Agent, Identity, IntervalSource, Obstacle};
use crate::proto::event::{Failure, Reason};
use crate::proto::link::Mac;
use crate::proto::outages::Outages;
use crate::proto::race::Path;
use crate::proto::reach::Connectivity;
use crate::proto::services::Service;
use crate::proto::standby::StandbyTests;
use crate::proto::time::Instant;
use crate::proto::uplink::{self, Uplink};

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
    /// The obstacle, while there is no uplink. `None` before there are settings, because they say
    /// which interface may be an uplink.
    pub obstacle: Option<Obstacle>,
    /// Paths that are tried last, because connections on them fail while others deliver.
    pub failed_paths: &'a [Path],
    /// Whether there are more interfaces, or ways over them, than the agent keeps.
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
    /// Time between two beats of the cycle.
    pub interval: Duration,
    /// The source of the interval.
    pub interval_source: IntervalSource,
    /// When the cycle is due.
    pub due_at: Option<Instant>,
    /// The last outage, and those that the server has not heard of.
    pub outages: &'a Outages,
    /// Why the last round failed, `None` after an acknowledgement.
    pub failure: Option<Failure>,
    /// Rounds that failed since the last acknowledgement.
    pub rounds_failed: u32,
    /// The tests of the uplinks in reserve.
    pub standby: &'a StandbyTests,
    /// The services that are looked at.
    pub services: &'a [Service],
    /// Probes sent since start.
    pub probes_sent: u64,
    /// Connections opened since start.
    pub connects: u64,
}

impl Agent {
    /// The state at `now`.
    pub fn view(&self, now: Instant) -> View<'_> {
        let Self { network, demand, delivery, outages, .. } = self;
        View {
            connectivity: network.reach().connectivity(),
            connectivity_since: network.reach().since(),
            server_silent: network.reach().is_server_silent(),
            uplinks: network.uplinks(),
            obstacle: self.settings.as_ref().and_then(|it| network.obstacle(it, now)),
            failed_paths: delivery.race().paths.all(),
            links_left_out: network.is_incomplete(),
            uplink_since: network.usable_at(),
            seq: delivery.seq(),
            in_flight: !delivery.is_idle(),
            pending: demand.reason(),
            waits_until: self.start_at(now).filter(|at| *at > now),
            held_until: demand.quiet_until(now),
            interval: demand.interval(),
            interval_source: demand.interval_source(),
            due_at: demand.due_at(),
            outages,
            failure: delivery.last().failure(),
            rounds_failed: delivery.last().rounds_failed(),
            standby: network.standby(),
            services: network.services().all(),
            probes_sent: network.reach().sent(),
            connects: delivery.race().opened(),
        }
    }

    /// Whether the uplink in use costs by the byte.
    pub fn is_metered(&self) -> bool {
        let in_use = self.settings.as_ref().zip(self.network.first());
        in_use.is_some_and(|(settings, uplink)| uplink::is_metered(settings, uplink.name))
    }

    /// The last outage, and those that the server has not heard of.
    pub const fn outages(&self) -> &Outages {
        &self.outages
    }

    /// The tests of the uplinks in reserve.
    pub const fn standby(&self) -> &StandbyTests {
        self.network.standby()
    }

    /// Takes back the outages of an earlier run, before any input.
    pub fn restore_outages(&mut self, outages: Outages) {
        self.outages = outages;
    }

    /// Describes the interface that a beat from `local` leaves from.
    pub fn identity(&self, local: Option<IpAddr>) -> Identity {
        self.network.identity(local)
    }

    /// The promise of a report that is written now: the next one comes within this time, in whole
    /// seconds, unless the device is dead or cut off.
    pub fn next_within(&self, now: Instant) -> Duration {
        self.demand.next_within(now)
    }

    /// The permanent, universally administered hardware address of the interface with the lowest
    /// index that has one.
    ///
    /// It names a device that was given no key (WIRE.md §2), so it must not depend on which
    /// interface is up.
    pub fn device_mac(&self) -> Option<Mac> {
        self.network.device_mac()
    }
}
