//! Why the status server does not listen.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

/// What keeps the status server from listening. `Display` says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What is in the way.
    pub kind: TroubleKind,
}

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Other machines could connect.
    NotLoopback,
    /// Another program listens there.
    InUse,
    /// The address is none of this device's.
    NoSuchAddress,
    /// The port is privileged.
    Denied,
    /// No descriptor or no memory, most likely.
    Other(Errno),
}

impl Trouble {
    /// The meaning of an error of bind(2) or listen(2).
    pub(super) fn new(address: SocketAddr, error: &io::Error) -> Self {
        let kind = match Errno::from_io_error(error).unwrap_or(Errno::IO) {
            Errno::ADDRINUSE => TroubleKind::InUse,
            Errno::ADDRNOTAVAIL => TroubleKind::NoSuchAddress,
            Errno::ACCESS | Errno::PERM => TroubleKind::Denied,
            errno => TroubleKind::Other(errno),
        };
        Self { address, kind }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        write!(f, "status server: ")?;
        match self.kind {
            TroubleKind::NotLoopback => write!(
                f,
                "{address} is not a loopback address and is not served: \
                 set status_listen to 127.0.0.1:{}",
                address.port(),
            ),
            TroubleKind::InUse => write!(
                f,
                "{address} is in use by another program: \
                 stop that, or set status_listen to another port or to \"\""
            ),
            TroubleKind::NoSuchAddress => {
                write!(f, "{address} is no address of this device: change status_listen")
            }
            TroubleKind::Denied => {
                write!(f, "{address} may not be used: set status_listen to a port above 1023")
            }
            TroubleKind::Other(errno) => write!(f, "listen on {address}: {errno}"),
        }
    }
}
