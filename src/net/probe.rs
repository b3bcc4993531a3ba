//! One reachability probe: a TCP connect, and nothing after it.
//!
//! ```text
//! open --SYN-ACK--> answered     --RST, ICMP, no route--> failed     (dropped: forgotten)
//! ```
//!
//! An answered probe costs four packets: SYN, SYN-ACK, ACK, and the RST of dropping it. A
//! polite end would be two or three more (FIN, ACK or FIN-ACK, ACK) and a port in TIME_WAIT for a
//! minute; the target has seen no byte, so there is nothing to be polite about. A probe dropped
//! unanswered sends nothing.
//!
//! The kernel repeats an unanswered SYN every second (RFC 6298 §5.5 doubles the wait; since Linux
//! 6.5 it does so only after four repetitions). `TCP_SYNCNT` cannot go below one, so what bounds
//! the packets is when the core drops the probe: one that lives 2 s costs two SYNs.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use mio::net::TcpStream;

use super::dial;
use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::link::InterfaceName;

#[cfg(test)]
mod tests;

/// A probe under way. Dropping it ends it.
#[derive(Debug)]
pub struct ProbeSocket(TcpStream);

impl ProbeSocket {
    /// Sends a SYN to `to`, through the interface `via` if given.
    ///
    /// Have it watched for writability next.
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once: no route, no such interface, no descriptor.
    pub fn open(to: SocketAddr, via: Option<InterfaceName>) -> Result<Self, Failure> {
        dial::dial(to, via).map(Self)
    }

    /// The result, `None` while there is none; the probe is to be dropped after it.
    ///
    /// # Errors
    ///
    /// Why there was no SYN-ACK, inside the `Some`.
    #[must_use]
    pub fn on_ready(&self) -> Option<Result<(), Failure>> {
        match dial::outcome(&self.0)? {
            // A reset before the SYN-ACK reads as "refused": this one came after it (RFC 9293
            // §3.10.7.4), so the path was proven before the target lost interest.
            Err(Failure::Reset) => Some(Ok(())),
            result => Some(result),
        }
    }
}

impl AsFd for ProbeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
