//! A connection put aside on a link that has lost its carrier.
//!
//! Closing it would send a RST, and with that the kernel would ask for the gateway on a dead link
//! and wait out a second before it asks again (ndisc and arp: `retrans_time_ms`): a blip of the
//! carrier shorter than three seconds would cost the beat after it up to that second. So it stays
//! open, and nothing is sent on it.

use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;
use socket2::SockRef;

use crate::sys::readiness::unwatch;

/// A connection that is out of use. Dropping it resets it.
#[derive(Debug)]
pub struct Parked {
    /// Kept open, and never used.
    _stream: TcpStream,
}

impl Parked {
    /// `None` if it was not established: the kernel forgets such a one without a packet.
    pub(super) fn new(stream: TcpStream, registry: &Registry) -> Option<Self> {
        stream.peer_addr().ok()?;
        // Of bytes that are not acknowledged the kernel repeats what it must, once at most.
        let silenced = SockRef::from(&stream).set_tcp_user_timeout(Some(Duration::from_millis(1)));
        let forgotten = unwatch(registry, &stream);
        if let Err(error) = silenced.and(forgotten) {
            log::debug!("a connection could not be parked: {error}");
            return None;
        }
        Some(Self { _stream: stream })
    }
}
