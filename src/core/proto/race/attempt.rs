//! One connection of the race: how far it has come, and what its silence means.

use core::net::{IpAddr, SocketAddr};

use super::Path;
use crate::proto::event::{ConnectionId, Stamps};
use crate::proto::link::InterfaceName;
use crate::proto::route::Family;
use crate::proto::time::Instant;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// SYN sent.
    Connecting,
    /// TCP established, TLS under way.
    Securing,
    /// Ready, while another connection carries the report: one copy is enough as long as nothing
    /// speaks against that one.
    Ready,
    /// The report is being written.
    Writing,
    /// The report is with the kernel.
    AwaitingReply,
}

/// The meaning of a connection's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Silent for a while, which is usual until then.
    Until(Instant),
    /// The kernel was asked whether the peer has acknowledged.
    Checking,
    /// The same, for the last time: the network works, so a connection without an ACK is stuck.
    LastCheck,
    /// The peer does not acknowledge: the path may be dead.
    Suspect,
    /// The peer has acknowledged everything: it may think until then.
    Acked(Instant),
    /// The server takes longer than usual: another way is tried beside this one.
    Slow,
}

impl Liveness {
    /// Whether nothing is to be expected soon.
    pub(crate) const fn is_doubtful(self) -> bool {
        matches!(self, Self::Suspect | Self::Slow)
    }
}

/// One connection of the race.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The number of the connection.
    pub id: ConnectionId,
    /// The interface it is bound to.
    pub via: Option<InterfaceName>,
    /// The server address.
    pub to: SocketAddr,
    /// The local address, once the kernel has chosen it.
    pub local: Option<IpAddr>,
    /// The gateway of its route when it was opened.
    pub gateway: Option<IpAddr>,
    /// How far it has come.
    pub stage: Stage,
    /// The meaning of its silence.
    pub liveness: Liveness,
    /// Whether an earlier beat was delivered over it: its silence may be its own, not that of the
    /// path.
    pub reused: bool,
    /// Up to which number its report contains outages.
    pub outages: u32,
    /// When each step happened; a step still to come has the time of the one before it.
    pub stamps: Stamps,
}

impl Attempt {
    /// The connection itself.
    pub(crate) const fn connection(&self) -> Connection {
        let Self { id, via, to, local, .. } = *self;
        Connection { id, via, to, local }
    }

    /// The way it takes.
    pub(crate) const fn path(&self) -> Path {
        (self.via, Family::of(self.to.ip()))
    }
}

/// A connection: where it goes and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    /// The number of the connection.
    pub id: ConnectionId,
    /// The interface it is bound to.
    pub via: Option<InterfaceName>,
    /// The server address.
    pub to: SocketAddr,
    /// The local address, once the kernel has chosen it.
    pub local: Option<IpAddr>,
}
