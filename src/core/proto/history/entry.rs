//! The entries of the history: one for each beat and one for each turn of events.

use crate::proto::event::{Failure, Reason, Stamps};
use crate::proto::label::ServiceName;
use crate::proto::link::InterfaceName;
use crate::proto::time::{Instant, micros};

/// One number for each entry, growing over beats and transitions together, in the order they came.
pub type Id = u32;

words! {
    /// The kinds of reason, whatever the words of helpers are.
    pub enum Class {
        /// The cycle.
        Interval = "interval",
        /// The first beat after start.
        Startup = "startup",
        /// The configuration changed.
        Config = "config",
        /// A local helper asked.
        Trigger = "trigger",
        /// Offline, then online again.
        Restored = "restored",
        /// The uplink has another address.
        Address = "address",
        /// A lower interface took over, or any after none.
        Failover = "failover",
        /// A higher interface became active again.
        Priority = "priority",
        /// A service on the device answers again.
        Service = "service",
    }
}

impl Class {
    /// The class of a reason.
    pub const fn of(reason: &Reason) -> Self {
        match reason {
            Reason::Interval => Self::Interval,
            Reason::Startup => Self::Startup,
            Reason::ConfigChanged => Self::Config,
            Reason::Triggered(_) => Self::Trigger,
            Reason::Restored => Self::Restored,
            Reason::AddressChanged => Self::Address,
            Reason::FailoverTo(_) => Self::Failover,
            Reason::Priority(_) => Self::Priority,
            Reason::ServiceRecovered(_) => Self::Service,
        }
    }
}

/// A beat that ended, or a round of attempts at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatRecord {
    /// The number of the entry.
    pub id: Id,
    /// When it ended.
    pub at: Instant,
    /// Beat counter of the agent.
    pub seq: u64,
    /// Why it was sent.
    pub reason: Reason,
    /// Uplink it went over; `None` too for a round that failed, which may have tried several.
    pub via: Option<InterfaceName>,
    /// How it ended.
    pub outcome: BeatOutcome,
}

/// How a beat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatOutcome {
    /// The server acknowledged it.
    Acknowledged {
        /// HTTP status, 2xx.
        status: u16,
        /// When each step was done.
        steps: Steps,
    },
    /// The beat was not delivered.
    Failed(Failure),
}

/// The steps of a beat in microseconds from the event that asked for it; the longest that fits
/// is 71 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Steps {
    /// An uplink was usable.
    pub usable_us: u32,
    /// A server address was known.
    pub resolved_us: u32,
    /// TCP established.
    pub connected_us: u32,
    /// TLS established.
    pub secured_us: u32,
    /// Request with the kernel.
    pub written_us: u32,
    /// Answer read.
    pub replied_us: u32,
}

impl Steps {
    /// The steps of these stamps.
    pub fn of(stamps: &Stamps) -> Self {
        let since = |at: Instant| u32::try_from(micros(at - stamps.event_at)).unwrap_or(u32::MAX);
        Self {
            usable_us: since(stamps.usable_at),
            resolved_us: since(stamps.resolved_at),
            connected_us: since(stamps.connected_at),
            secured_us: since(stamps.secured_at),
            written_us: since(stamps.written_at),
            replied_us: since(stamps.replied_at),
        }
    }
}

/// A turn of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The number of the entry.
    pub id: Id,
    /// When.
    pub at: Instant,
    /// Which.
    pub change: Change,
}

/// A kind of transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The agent started.
    Started,
    /// Another uplink is in use.
    Uplink {
        /// The former one.
        from: Option<InterfaceName>,
        /// The present one.
        to: Option<InterfaceName>,
    },
    /// Online to offline.
    Offline,
    /// Offline to online.
    Online,
    /// Beats fail from now on, at first for this reason.
    Failing(Failure),
    /// Beats are acknowledged from now on.
    Beating,
    /// The wall clock is right from now on.
    ClockSet,
    /// A service on the device does not answer from now on.
    ServiceDown(ServiceName),
    /// A service answers again.
    ServiceUp(ServiceName),
    /// An uplink in reserve was tested, and is another than before.
    Standby {
        /// The uplink.
        uplink: InterfaceName,
        /// Whether the server is reached over it.
        works: bool,
    },
}

impl Change {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Uplink { .. } => "uplink",
            Self::Offline => "offline",
            Self::Online => "online",
            Self::Failing(_) => "failing",
            Self::Beating => "beating",
            Self::ClockSet => "clock_set",
            Self::ServiceDown(_) => "service_down",
            Self::ServiceUp(_) => "service_up",
            Self::Standby { works: true, .. } => "standby_ok",
            Self::Standby { works: false, .. } => "standby_dead",
        }
    }
}
