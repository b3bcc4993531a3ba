//! The target of probes: accepts TCP connections and sends nothing.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustix::net::{Shutdown, shutdown};

use crate::clock;
use crate::journal::Journal;

/// One accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The time of the accept, on the clock of [`clock::boot_us`].
    pub at_us: u64,
    /// The address of the client.
    pub peer: SocketAddr,
}

/// A running acceptor. Dropping it closes its listeners.
pub struct Acceptor {
    accepted: Journal<Accepted>,
    listeners: Vec<Arc<TcpListener>>,
}

impl Acceptor {
    /// Starts to accept on these listeners.
    #[must_use]
    pub fn start(listeners: Vec<TcpListener>) -> Self {
        let accepted = Journal::default();
        let serve = |listener| {
            let listener: Arc<TcpListener> = Arc::new(listener);
            let (ours, journal) = (Arc::clone(&listener), accepted.clone());
            thread::spawn(move || {
                while let Ok((_, peer)) = ours.accept() {
                    journal.push(Accepted { at_us: clock::boot_us(), peer });
                }
            });
            listener
        };
        let listeners = listeners.into_iter().map(serve).collect();
        Self { accepted, listeners }
    }

    /// The journal of accepted connections.
    #[must_use]
    pub fn accepted(&self) -> Journal<Accepted> {
        self.accepted.clone()
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        for listener in &self.listeners {
            // shutdown(2) of a listening socket makes its accept(2) return.
            shutdown(listener, Shutdown::Both).ok();
        }
    }
}
