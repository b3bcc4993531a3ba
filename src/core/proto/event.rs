//! The inputs and actions of the core: the contract between [`Agent`](super) and the loop.

mod failure;
mod note;

pub use self::failure::{FAILURES, Failure, TlsFailure};
pub use self::note::{Acknowledged, Note, Stamps};

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use super::label::{ServiceName, Word};
use super::link::{InterfaceName, LinkEvent, Neighbour};
use super::route::{Family, Route};
use super::settings::{ResolverSettings, Settings};
use super::time::Instant;

/// Most addresses taken from one DNS answer.
pub const ANSWER_ADDRESSES_MAX: usize = 8;
/// Most connections of one beat at once.
pub const ATTEMPTS_MAX: usize = 4;

/// One numbered connection to the server, from connect to close, kept-alive time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// One numbered reachability probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u32);

/// One numbered DNS question to one nameserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// One numbered request of a local client, which waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// One numbered check of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u32);

/// Why a beat is sent. `Display` is the text of the `reason` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The cycle.
    Interval,
    /// The first beat after start.
    Startup,
    /// The configuration changed.
    ConfigChanged,
    /// A local helper asked, with its own word where it gave one.
    Triggered(Option<Word>),
    /// Offline, then online again on the same uplink.
    Restored,
    /// A service on the device answers again.
    ServiceRecovered(ServiceName),
    /// The same uplink has another address.
    AddressChanged,
    /// A lower interface took over, or any after none.
    FailoverTo(InterfaceName),
    /// A higher interface became active again.
    Priority(InterfaceName),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval => f.write_str("interval"),
            Self::Startup => f.write_str("startup"),
            Self::ConfigChanged => f.write_str("config_changed"),
            Self::Triggered(None) => f.write_str("trigger"),
            Self::Triggered(Some(word)) => write!(f, "trigger:{}", word.as_str()),
            Self::Restored => f.write_str("connectivity_restored"),
            Self::ServiceRecovered(name) => write!(f, "{name}_recovered"),
            Self::AddressChanged => f.write_str("address_changed"),
            Self::FailoverTo(name) => write!(f, "failover_to_{name}"),
            Self::Priority(name) => write!(f, "{name}_priority"),
        }
    }
}

/// The answer of the server, reduced to the facts that decisions need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Why the beat does not count as delivered; `None`: it is acknowledged.
    pub failure: Option<Failure>,
    /// `Retry-After`, seconds or date, as a wait from now (RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
    /// `interval_s` in the body: the interval from now on; counts if the beat is acknowledged.
    pub interval: Option<Duration>,
    /// Whether the connection may carry another request (RFC 9112 §9.3).
    pub keep_alive: bool,
}

impl Reply {
    /// An answer that says nothing but its status, on a connection that ends with it.
    pub const fn of(status: u16) -> Self {
        let failure = match status {
            200..=299 => None,
            _ => Some(Failure::Status(status)),
        };
        Self { status, failure, retry_after: None, interval: None, keep_alive: false }
    }
}

/// A useful DNS answer to one query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Addresses in the order of the answer, CNAME chain followed; empty: the name has none of this
    /// kind.
    pub addresses: Vec<IpAddr, ANSWER_ADDRESSES_MAX>,
    /// Smallest TTL along the chain, in seconds; for an empty answer the negative TTL (RFC 2308
    /// §5).
    pub ttl_s: u32,
}

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP, as every nameserver understands it.
    Udp,
    /// UDP, and the answer may be a large one (EDNS, RFC 6891).
    UdpEdns,
    /// TCP (RFC 7766).
    Tcp,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The deadline passed (or nothing happened at all: it is always safe).
    Deadline,
    /// The kernel reported a link, in a dump or by itself.
    Link(LinkEvent),
    /// Link messages may have been lost, or a dump was interrupted: answered with
    /// [`Action::DumpLinks`].
    LinksLost,
    /// The dump ordered last is complete: what it did not name is gone.
    LinksDumped,
    /// The kernel's answers to all questions of
    /// [`Agent::questions`](super::agent::Agent::questions); what is missing has no way out.
    Routes(&'a [Route]),
    /// The kernel reported a neighbour; only after [`Action::WatchNeighbours`].
    Neighbour(Neighbour),
    /// The wall clock was set: what was wrong with the time may be right now.
    ClockSet,
    /// A configuration came into force (the first one included).
    Configured(&'a Settings),
    /// The parsed content of resolv.conf or hosts (for the server's name) is known or changed.
    ResolverChanged(&'a ResolverSettings),
    /// A helper asks for a beat.
    Triggered {
        /// The word of the client.
        word: Option<Word>,
        /// The request to answer.
        request: Option<RequestId>,
    },
    /// The agent is being stopped: one last beat is sent at once, if it is likely to arrive. See
    /// [`Agent::says_goodbye`](super::agent::Agent::says_goodbye).
    Stopping,
    /// A probe's SYN was answered with SYN-ACK.
    ProbeAnswered(ProbeId),
    /// A probe ended otherwise.
    ProbeFailed(ProbeId, Failure),
    /// A service on the device answered a check.
    ServiceAnswered(CheckId),
    /// A service does not answer.
    ServiceFailed(CheckId, Failure),
    /// A nameserver answered.
    QueryAnswered(QueryId, &'a Answer),
    /// A nameserver did not answer usefully.
    QueryFailed(QueryId, Failure),
    /// The attempt's connect(2) is under way from this local address.
    Opened(ConnectionId, IpAddr),
    /// The TCP connection is established.
    Connected(ConnectionId),
    /// TLS is established, or was not wanted: the attempt can carry a report.
    Secured(ConnectionId),
    /// The whole request is with the kernel.
    Written(ConnectionId),
    /// Answer to [`Action::CheckAcked`]: whether the peer has acknowledged every byte sent.
    AckChecked(ConnectionId, bool),
    /// The whole answer is read. The attempt lives on if `keep_alive`, else the loop has closed it.
    Replied(ConnectionId, Reply),
    /// The attempt ended, in use or kept; the loop has closed it.
    ConnectionFailed(ConnectionId, Failure),
}

/// Most actions that one input can cause; more would be a bug of the core.
pub const ACTIONS_MAX: usize = 64;

/// The orders that answer one input, first to be performed first.
pub type Actions = Vec<Action, ACTIONS_MAX>;

/// Something to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the kernel for all links, addresses and routes; end with [`Input::LinksDumped`].
    DumpLinks,
    /// Put the [questions](super::agent::Agent::questions) to the kernel when the news at hand has
    /// all been fed, and answer with [`Input::Routes`].
    AskRoutes,
    /// Listen to the kernel's reports of neighbours, or stop listening: there are some in every
    /// cycle, and online the process should not wake up for them.
    WatchNeighbours(bool),
    /// Connect a probe socket, bound to `via` if given.
    OpenProbe {
        /// The number of the probe.
        probe: ProbeId,
        /// Target.
        to: SocketAddr,
        /// Interface to bind to.
        via: Option<InterfaceName>,
    },
    /// Close a probe socket; its result is no longer wanted.
    CloseProbe(ProbeId),
    /// Connect to a service on the device, and close at once; answer with
    /// [`Input::ServiceAnswered`].
    OpenServiceCheck {
        /// The number of the check.
        check: CheckId,
        /// The service.
        to: SocketAddr,
    },
    /// Close a check; its result is no longer wanted.
    CloseServiceCheck(CheckId),
    /// Ask a nameserver for the server's name, qualified with a search domain if given
    /// ([`ResolverSettings::domains`] by position). A truncated answer is asked for again over TCP,
    /// and a nameserver that does not understand EDNS is asked without, as the same query.
    SendQuery {
        /// The number of the query.
        query: QueryId,
        /// The nameserver.
        to: SocketAddr,
        /// Interface to bind to.
        via: Option<InterfaceName>,
        /// Which records.
        family: Family,
        /// Which search domain to append.
        search: Option<u8>,
        /// How the question travels first.
        transport: Transport,
    },
    /// Forget a query.
    CloseQuery(QueryId),
    /// Open a connection to the server: TCP, then TLS for `https`.
    Connect {
        /// The number of the connection.
        id: ConnectionId,
        /// Server address.
        to: SocketAddr,
        /// Interface to bind to.
        via: Option<InterfaceName>,
    },
    /// Write the report of beat `seq` on an established connection.
    SendReport {
        /// Connection, secured and idle.
        id: ConnectionId,
        /// Beat counter since start.
        seq: u64,
        /// Why.
        reason: Reason,
    },
    /// Find out whether the peer has acknowledged all bytes; answer with [`Input::AckChecked`].
    CheckAcked(ConnectionId),
    /// Close a connection, whatever its state.
    CloseConnection(ConnectionId),
    /// Take a connection out of use without sending anything: its link has lost its carrier, and
    /// what is sent there makes the kernel ask for the gateway in vain and wait for a second before
    /// it asks again.
    ParkConnection(ConnectionId),
    /// Close what was parked: the carrier is back, and its gateway is known.
    CloseParked,
    /// Answer a helper at once.
    AnswerTrigger(RequestId, TriggerAnswer),
    /// A fact for people, logs, waiting helpers and the history.
    Note(Note),
}

impl Action {
    /// Appends the order to `actions`.
    ///
    /// # Panics
    ///
    /// If [`ACTIONS_MAX`] is passed: every part of the core orders a bounded number of things.
    pub fn push_to(self, actions: &mut Actions) {
        assert!(actions.push(self).is_ok(), "ACTIONS_MAX covers every input");
    }
}

/// The immediate answer to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerAnswer {
    /// Newly set: beat `seq` will cover it.
    Set {
        /// The beat that covers it.
        seq: u64,
    },
    /// A beat that covers it was already pending.
    Pending {
        /// The beat that covers it.
        seq: u64,
    },
    /// Remembered, but not sent before `until` (Retry-After or moderation).
    Held {
        /// The beat that covers it.
        seq: u64,
        /// Newly set; else one was already pending.
        set: bool,
        /// Not sent earlier.
        until: Instant,
    },
    /// `enabled` is false: not remembered.
    Disabled,
    /// There is no server or no device key yet: not remembered.
    Unconfigured,
}
