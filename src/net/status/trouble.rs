//! Why the status server does not listen.

use std::fmt;
use std::io;

use rustix::io::Errno;

use crate::config::Listen;

/// What keeps the status server from listening. `Display` says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where it was to listen.
    pub listen: Listen,
    /// What is in the way.
    pub kind: TroubleKind,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// Other machines could connect, and would not be asked for a token.
    NoToken,
    /// Another program listens there.
    InUse,
    /// The address is none of this device's.
    NoSuchAddress,
    /// The port is privileged.
    Denied,
    /// No descriptor or no memory, most likely.
    Other(Errno),
    /// The Unix socket cannot be made, for this reason.
    Socket(String),
}

impl TroubleKind {
    /// The meaning of an error of bind(2) or listen(2).
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error).unwrap_or(Errno::IO) {
            Errno::ADDRINUSE => Self::InUse,
            Errno::ADDRNOTAVAIL => Self::NoSuchAddress,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            errno => Self::Other(errno),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listen = &self.listen;
        write!(f, "status server: ")?;
        match &self.kind {
            TroubleKind::NoToken => write!(
                f,
                "{listen} is not a loopback address and is not served: set status_token as well, \
                 or another status_listen"
            ),
            TroubleKind::InUse => write!(
                f,
                "{listen} is in use by another program: \
                 stop that, or set status_listen to another port or to \"\""
            ),
            TroubleKind::NoSuchAddress => {
                write!(f, "{listen} is no address of this device: change status_listen")
            }
            TroubleKind::Denied => {
                write!(f, "{listen} may not be used: set status_listen to a port above 1023")
            }
            TroubleKind::Other(errno) => write!(f, "listen on {listen}: {errno}"),
            TroubleKind::Socket(reason) => write!(f, "{listen}: {reason}"),
        }
    }
}
