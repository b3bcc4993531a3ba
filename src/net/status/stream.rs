//! One connection's bytes, whichever way it came.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use socket2::SockRef;

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// From an address.
    Tcp(TcpStream, IpAddr),
    /// From this device.
    Unix(UnixStream),
}

impl Stream {
    /// From which address it came.
    pub(super) const fn peer(&self) -> IpAddr {
        match self {
            Self::Tcp(_, peer) => *peer,
            Self::Unix(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream, _) => stream,
            Self::Unix(stream) => stream,
        }
    }

    pub(super) fn end_sending(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Makes the end of it a reset, which drops what the kernel still has for the other side.
    pub(super) fn will_reset(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            // unix(7): what was sent is with the other side already.
            Self::Unix(_) => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn send_buffer_size(&self) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => SockRef::from(stream).send_buffer_size(),
            Self::Unix(stream) => SockRef::from(stream).send_buffer_size(),
        }
    }

    /// Reads once: 0 bytes at the end, `None` when it would have to wait.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        patiently(|| match self {
            Self::Tcp(stream, _) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        })
    }

    /// Writes once: how much of both the kernel took, `None` when it would have to wait.
    pub(super) fn write(&mut self, head: &[u8], body: &[u8]) -> io::Result<Option<usize>> {
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        patiently(|| match self {
            Self::Tcp(stream, _) => stream.write_vectored(&parts),
            Self::Unix(stream) => stream.write_vectored(&parts),
        })
    }
}

fn patiently(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
