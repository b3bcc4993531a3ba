//! The connections to the server, each with the answer it is receiving.

use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};

use super::CONNECTION_FIRST;
use super::slots::Slots;
use crate::net::connection::{Connection, Handshake, Parked, Progress, Security, Traffic};
use crate::proto::event::{Attempt, Failure};
use crate::proto::history::Counters;
use crate::proto::link::Name;
use crate::proto::race::TRIES_MAX;
use crate::sys;
use crate::wire::response::Response;

/// Most connections at once: those of a race, and the one kept.
pub(super) const SESSIONS_MAX: usize = TRIES_MAX + 1;

type Session = (Connection, Response);

/// Most connections that are parked; the oldest is closed for a new one.
const PARKED_MAX: usize = 8;

/// The connections to the server.
#[derive(Default)]
pub(super) struct Sessions {
    open: Slots<Attempt, Session, SESSIONS_MAX>,
    parked: heapless::Vec<Parked, PARKED_MAX>,
}

impl Sessions {
    /// Opens a connection and returns its local address.
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once.
    pub(super) fn open(
        &mut self,
        registry: &Registry,
        attempt: Attempt,
        to: SocketAddr,
        via: Option<Name>,
        security: Security,
    ) -> Result<IpAddr, Failure> {
        let slot = self.open.free();
        let mut connection = Connection::open(to, via, security)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(connection.source(), Token(CONNECTION_FIRST + slot), interest)
            .map_err(|error| sys::failure_of(&error))?;
        let local = connection.local().ip();
        self.open.put(slot, attempt, (connection, Response::new()));
        Ok(local)
    }

    /// Queues a request on a connection that is secured and idle; its slot is to be pumped next.
    pub(super) fn write(&mut self, attempt: Attempt, request: &[u8]) -> Option<usize> {
        let (slot, session) = self.open.find(attempt)?;
        session.0.write(request);
        Some(slot)
    }

    /// Moves a connection one step and counts what it did; `None` when there is nothing at this slot.
    pub(super) fn step(
        &mut self,
        slot: usize,
        counters: &mut Counters,
    ) -> Option<(Attempt, Result<Progress, Failure>)> {
        let (attempt, session) = self.open.at(slot)?;
        let (connection, response) = session;
        let step = connection.on_ready(response);
        let Traffic { sent, received, handshake } = connection.take_traffic();
        counters.sent_bytes += sent;
        counters.received_bytes += received;
        counters.connections += u64::from(step == Ok(Progress::Connected));
        counters.full_handshakes += u64::from(handshake == Some(Handshake::Full));
        counters.resumptions += u64::from(handshake == Some(Handshake::Resumed));
        Some((attempt, step))
    }

    /// The connection of an attempt, and its answer.
    pub(super) fn find(&mut self, attempt: Attempt) -> Option<(&Connection, &Response)> {
        let (_, session) = self.open.find(attempt)?;
        Some((&session.0, &session.1))
    }

    /// Ends a connection, with a goodbye unless a request is under way: one that is given up shall not be
    /// delivered by the kernel alone when it has long been sent again.
    pub(super) fn close(&mut self, attempt: Attempt) {
        if let Some((connection, _)) = self.open.take(attempt).filter(|(it, _)| !it.is_busy()) {
            connection.close();
        }
    }

    /// Takes a connection out of use and sends nothing; it stays open until [`close_parked`](Self::close_parked).
    pub(super) fn park(&mut self, registry: &Registry, attempt: Attempt) {
        let Some((connection, _)) = self.open.take(attempt) else { return };
        let Some(parked) = connection.park(registry) else { return };
        if self.parked.is_full() {
            drop(self.parked.remove(0));
        }
        assert!(self.parked.push(parked).is_ok(), "a place was made for it");
    }

    /// Ends the connections that were parked.
    pub(super) fn close_parked(&mut self) {
        self.parked.clear();
    }

    /// Ends all connections with a goodbye, the parked ones without.
    pub(super) fn close_all(&mut self) {
        self.close_parked();
        self.open.drain().for_each(|session| session.0.close());
    }

    /// Drops a connection that is over.
    pub(super) fn drop_failed(&mut self, attempt: Attempt) {
        drop(self.open.take(attempt));
    }
}

#[cfg(test)]
mod tests;
