//! A socket of rtnetlink(7) for neighbours alone, open only while the core waits for one.
//!
//! The kernel reports neighbours with every cycle, so the socket of links, addresses and routes
//! does not join their group. Nothing is dumped: what is missed here, a probe finds out. Some
//! emulators of system calls cannot receive these messages, which ends the socket and nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::bind;
use rustix::net::netlink::SocketAddrNetlink;

use super::netlink::{open, receive};
use linkbeat_core::proto::link::Neighbour;
use linkbeat_core::wire::rtnetlink::{MessageKind, messages};

/// Largest datagram, in bytes: one neighbour with its times and its counters takes 100.
const DATAGRAM_MAX: usize = 1024;

/// RTMGRP_NEIGH.
const GROUPS: u32 = 0x4;

/// The socket. Readable when the kernel has reported a neighbour.
#[derive(Debug)]
pub struct NeighbourSocket(OwnedFd);

impl NeighbourSocket {
    /// Opens the socket; what happens from now on is queued.
    ///
    /// # Errors
    ///
    /// What socket(2) and bind(2) say.
    pub fn open() -> io::Result<Self> {
        let fd = open()?;
        bind(&fd, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(fd))
    }

    /// Reads at most `budget` datagrams and reports the neighbours in them. True if nothing is
    /// left; false: call it again soon, no new readiness will come.
    ///
    /// # Errors
    ///
    /// recv(2)'s, other than that there is nothing, that the queue has overflowed, or that a
    /// message was too long: drop the socket.
    pub fn drain(
        &self,
        budget: usize,
        mut on_neighbour: impl FnMut(Neighbour),
    ) -> io::Result<bool> {
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..budget {
            match receive(&self.0, &mut buffer) {
                Ok(datagram) => {
                    for message in messages(datagram).flatten() {
                        if let MessageKind::Neighbour(neighbour) = message.kind {
                            on_neighbour(neighbour);
                        }
                    }
                }
                Err(Errno::WOULDBLOCK) => return Ok(true),
                Err(Errno::NOBUFS | Errno::MSGSIZE) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(false)
    }
}

impl AsFd for NeighbourSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
