//! The bytes of one local client, over TCP or a Unix socket.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr};

use socket2::Socket;

use crate::net::dial::unless_blocked;

/// The connection is over and has to be dropped.
#[derive(Debug)]
pub(super) struct Closed;

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Stream {
    /// The socket, non-blocking.
    pub(super) socket: Socket,
    /// The client's address, an IPv4-mapped one as IPv4; the loopback's for a Unix socket.
    pub(super) peer: IpAddr,
}

impl Stream {
    /// Takes the next connection from the queue of a listening socket.
    pub(super) fn accept(listener: &Socket) -> io::Result<Self> {
        let (socket, peer) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let peer =
            peer.as_socket().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.ip().to_canonical());
        Ok(Self { socket, peer })
    }

    /// Whether there are bytes that nobody has read.
    pub(super) fn has_unread(&self) -> bool {
        self.socket.peek(&mut [MaybeUninit::uninit()]).is_ok_and(|bytes| bytes > 0)
    }

    /// Reads once: 0 bytes at the end, `None` when it would have to wait.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Closed> {
        unless_blocked(|| self.socket.read(buffer)).map_err(|_| Closed)
    }

    /// Writes once; returns how much of both the kernel took.
    pub(super) fn write(&mut self, head: &[u8], body: &[u8]) -> Result<usize, Closed> {
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        let written = unless_blocked(|| self.socket.write_vectored(&parts));
        written.map(Option::unwrap_or_default).map_err(|_| Closed)
    }
}
