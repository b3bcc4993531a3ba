//! A TCP connect that does not wait: what connections and probes have in common.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::sys::{addresses, bind, failure_of};
use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::link::InterfaceName;

#[cfg(test)]
mod tests;

/// Starts to connect to `to`, through the interface `via` if given.
///
/// The socket is non-blocking and close-on-exec, sends small writes at once, and forgets what it
/// has not delivered when it is dropped (`SO_LINGER` 0): a peer that was given up gets one RST
/// instead of retransmissions of data that is not wanted any more.
///
/// # Errors
///
/// Whatever the kernel knows at once: no route, no such interface, no descriptor.
pub(super) fn dial(to: SocketAddr, via: Option<InterfaceName>) -> Result<TcpStream, Failure> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let start = |from: Option<SocketAddr>| {
        let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))?;
        if let Some(name) = via {
            bind::to_interface(&socket, name)?;
        }
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&to.into()) {
            // connect(2): EINPROGRESS is the normal answer, and after EINTR the attempt goes on.
            Err(error) if is_under_way(&error) => Ok(socket),
            connected => connected.map(|()| socket),
        }
    };
    let started = from_any_source(to.ip(), via, start);
    started.map(|socket| TcpStream::from_std(socket.into())).map_err(|error| failure_of(&error))
}

/// Connects with the source address that the kernel takes and, where it finds no route from that
/// one, from each other IPv6 address of the interface.
pub(super) fn from_any_source<T>(
    to: IpAddr,
    via: Option<InterfaceName>,
    connect: impl Fn(Option<SocketAddr>) -> io::Result<T>,
) -> io::Result<T> {
    connect(None).or_else(|error| {
        let unrouted = Errno::from_io_error(&error) == Some(Errno::NETUNREACH);
        let own = if unrouted && to.is_ipv6() && via.is_some() { addresses::own() } else { vec![] };
        let mut sources = own.iter().filter(|own| Some(own.name) == via);
        sources
            .find_map(|own| connect(Some(SocketAddr::new(own.address.into(), 0))).ok())
            .ok_or(error)
    })
}

fn is_under_way(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::INTR))
}

/// How the connect ended, `None` while it is under way.
///
/// Readiness is a hint: only the kernel's pending error and the peer's address show the end
/// (connect(2), getpeername(2)).
pub(super) fn outcome(stream: &TcpStream) -> Option<Result<(), Failure>> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(failure_of(&error))),
    }
    match stream.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        Err(error) => Some(Err(failure_of(&error))),
    }
}

/// Runs a read or write that may be interrupted; `None` when it would have to wait.
pub(super) fn unless_blocked(
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Result<Option<usize>, Failure> {
    loop {
        match operation() {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure_of(&error)),
        }
    }
}
