//! The notes of the core to people, logs, waiting helpers and the history: facts, never orders.

use core::time::Duration;

use super::{Failure, Reason};
use crate::proto::label::ServiceName;
use crate::proto::link::InterfaceName;
use crate::proto::route::Family;
use crate::proto::time::Instant;

/// When each step of a beat happened; a step that was not needed has the time of the one before it.
///
/// What lies between the steps has names: from the event to `usable_at` the beat waits for an
/// uplink, until `resolved_at` for the server's name, and until `opened_at` it races: connections
/// that came to nothing were tried before. `held` is part of the latter two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// The event that asked for the beat was seen.
    pub event_at: Instant,
    /// An uplink was usable.
    pub usable_at: Instant,
    /// How long nothing was tried since then: for moderation, a back-off, a server's Retry-After or
    /// the end of the beat before.
    pub held: Duration,
    /// A server address was known.
    pub resolved_at: Instant,
    /// The connection that delivered it was opened, or the kept one taken up.
    pub opened_at: Instant,
    /// TCP established.
    pub connected_at: Instant,
    /// TLS established.
    pub secured_at: Instant,
    /// Request with the kernel.
    pub written_at: Instant,
    /// Answer read.
    pub replied_at: Instant,
}

/// A beat that the server acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Beat counter since start.
    pub seq: u64,
    /// Why it was sent.
    pub reason: Reason,
    /// Uplink it went over.
    pub via: Option<InterfaceName>,
    /// HTTP status, 2xx.
    pub status: u16,
    /// The steps of the beat.
    pub stamps: Stamps,
}

/// A fact for people; never an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The active uplink changed.
    UplinkChanged {
        /// The former one.
        from: Option<InterfaceName>,
        /// The present one.
        to: Option<InterfaceName>,
        /// Whether the former one is no longer usable.
        lost: bool,
    },
    /// The active uplink has another name, and is the same interface.
    UplinkRenamed {
        /// The former name.
        from: InterfaceName,
        /// The present one.
        to: InterfaceName,
    },
    /// The network changed in a way that is worth an immediate beat.
    NetworkChanged(Reason),
    /// The gateway of this uplink answers again.
    GatewayBack(InterfaceName),
    /// Connections on this path did not deliver while one on another did: others are tried before
    /// it.
    PathFailed {
        /// The interface it is bound to; `None`: the kernel's own way.
        via: Option<InterfaceName>,
        /// The family of the server's address.
        family: Family,
        /// The interface that delivered.
        instead: Option<InterfaceName>,
    },
    /// There are more interfaces, or ways over them, than the agent keeps: one left out cannot
    /// become an uplink.
    LinksLeftOut,
    /// A service on the device does not answer any more, or has not yet.
    ServiceLost(ServiceName),
    /// A service on the device answers again.
    ServiceRecovered(ServiceName),
    /// An uplink in reserve was tested: the server is reached over it, or is not any more.
    StandbyChanged {
        /// The uplink.
        uplink: InterfaceName,
        /// Whether it works.
        works: bool,
    },
    /// Online to offline.
    ConnectivityLost,
    /// Offline to online.
    ConnectivityRestored,
    /// The server has set the interval, which was another one before.
    IntervalSet(Duration),
    /// A trigger was newly set.
    TriggerSet,
    /// A trigger came while a beat was wanted that covers it.
    TriggerMerged,
    /// The server acknowledged a beat.
    BeatAcknowledged {
        /// The beat.
        beat: Acknowledged,
        /// Triggers that were promised this number or a lower one are covered.
        covers: u64,
        /// First since start, or first after a failure.
        recovered: bool,
    },
    /// A round of attempts of beat `seq` ended without an acknowledgement.
    BeatFailed {
        /// Beat counter since start.
        seq: u64,
        /// Triggers that were promised this number or a lower one waited for it.
        covers: u64,
        /// Why it was sent.
        reason: Reason,
        /// The failure of the last attempt.
        failure: Failure,
        /// When the same beat is tried again; `None`: the server's answer is final, the cycle goes
        /// on.
        retry_at: Option<Instant>,
        /// False if the last round failed in the same way.
        news: bool,
    },
}
