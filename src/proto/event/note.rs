//! What the core tells people, logs, waiting helpers and the history: facts, never orders.

use super::{Failure, Reason};
use crate::proto::link::Name;
use crate::proto::routing::Family;
use crate::proto::services::ServiceName;
use crate::proto::time::Instant;

/// When each step of a beat happened; a step that was not needed has the time of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// The event that asked for the beat was seen.
    pub event_at: Instant,
    /// An uplink was usable.
    pub usable_at: Instant,
    /// A server address was known.
    pub resolved_at: Instant,
    /// TCP established.
    pub connected_at: Instant,
    /// TLS established.
    pub secured_at: Instant,
    /// Request with the kernel.
    pub written_at: Instant,
    /// Answer read.
    pub replied_at: Instant,
}

/// A fact worth telling; never an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The active uplink changed.
    UplinkChanged {
        /// The former one.
        from: Option<Name>,
        /// The present one.
        to: Option<Name>,
        /// Whether the former one is no longer usable.
        lost: bool,
    },
    /// The active uplink has another name, and is the same interface.
    UplinkRenamed {
        /// The former name.
        from: Name,
        /// The present one.
        to: Name,
    },
    /// The network changed in a way the server is told at once.
    NetworkChanged(Reason),
    /// The gateway of this uplink answers again.
    GatewayBack(Name),
    /// Connections on this path did not deliver while one on another did: others are tried before it.
    PathFailed {
        /// The interface it is bound to; `None`: the kernel's own way.
        via: Option<Name>,
        /// The family of the server's address.
        family: Family,
        /// The interface that delivered.
        instead: Option<Name>,
    },
    /// There are more interfaces than the agent keeps: one left out cannot become an uplink.
    LinksLeftOut,
    /// A service on the device does not answer any more, or has not yet.
    ServiceLost(ServiceName),
    /// A service on the device answers again.
    ServiceRecovered(ServiceName),
    /// Online to offline.
    ConnectivityLost,
    /// Offline to online.
    ConnectivityRestored,
    /// A trigger was newly set.
    TriggerSet,
    /// A trigger came while a beat was wanted that covers it.
    TriggerMerged,
    /// The server acknowledged beat `seq`.
    BeatAcknowledged {
        /// Beat counter since start.
        seq: u64,
        /// Triggers that were told this number or a lower one are covered.
        covers: u64,
        /// Why it was sent.
        reason: Reason,
        /// Uplink it went over.
        via: Option<Name>,
        /// HTTP status, 2xx.
        status: u16,
        /// Its steps.
        stamps: Stamps,
        /// First since start, or first after a failure.
        recovered: bool,
    },
    /// A round of attempts of beat `seq` ended without an acknowledgement.
    BeatFailed {
        /// Beat counter since start.
        seq: u64,
        /// Triggers that were told this number or a lower one waited for it.
        covers: u64,
        /// Why it was sent.
        reason: Reason,
        /// What happened to the last attempt.
        failure: Failure,
        /// When the same beat is tried again; `None`: the server's word is final, the cycle goes on.
        retry_at: Option<Instant>,
        /// False if the last round failed in the same way.
        news: bool,
    },
}
