//! The connections to the server, each with the answer it is receiving.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::slots::Slots;
use crate::net::connection::{Connection, Progress};
use crate::net::tls::Client;
use crate::sys::random;
use linkbeat_core::proto::agent::Identity;
use linkbeat_core::proto::event::{ATTEMPTS_MAX, ConnectionId, Failure};
use linkbeat_core::proto::history::Counters;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::response::Response;

/// Most connections at once: those of a race, and the one kept.
pub(super) const SESSIONS_MAX: usize = ATTEMPTS_MAX + 1;

/// Longest wait for the rest of an answer whose status is known already; well before the beat would
/// count as slow and go over another path too.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Wait between two questions whether the kernel's random generator is ready.
const RANDOM_RETRY: Duration = Duration::from_secs(1);

/// A connection and its answer.
struct Session {
    /// The connection.
    connection: Connection,
    /// The answer that is being received.
    response: Response,
    /// When the rest of the answer is given up.
    body_until: Option<Instant>,
    /// The interface in the last report under the configuration in force.
    sent: Option<Identity>,
    /// The interface in the last acknowledged report.
    acknowledged: Option<Identity>,
}

/// The text of status and log while connections are held.
pub(super) const WAITS_FOR_RANDOM: &str = "TLS waits for the kernel's random generator";

/// Most connections that are parked; the oldest is closed for a new one.
const PARKED_MAX: usize = 8;

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// A connection that is to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The number of the connection.
    pub id: ConnectionId,
    /// The address of the server.
    pub to: SocketAddr,
    /// The interface to bind to.
    pub via: Option<InterfaceName>,
}

/// The connections to the server.
///
/// TLS needs random numbers, and its library waits for the kernel's generator, shortly after boot.
/// The loop must not: connections with TLS are held here until it is ready.
pub(super) struct Sessions {
    /// The sessions in use.
    open: Slots<ConnectionId, Session, SESSIONS_MAX>,
    /// Those that were put aside.
    parked: heapless::Vec<TcpStream, PARKED_MAX>,
    /// Those that wait for random numbers.
    held: heapless::Vec<Order, SESSIONS_MAX>,
    /// When the kernel is asked again whether it has them; `None` while nothing waits.
    random_at: Option<Instant>,
    /// Whether it had them once, and so has them for good.
    random: bool,
}

impl Sessions {
    /// No connections; their tokens will be those from `first` on.
    pub(super) fn new(first: usize) -> Self {
        Self {
            open: Slots::new(first),
            parked: heapless::Vec::new(),
            held: heapless::Vec::new(),
            random_at: None,
            random: false,
        }
    }

    /// Opens a connection and returns its local address; `None` if it is held until the kernel's
    /// random generator is ready, see [`take_held`](Self::take_held).
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once.
    pub(super) fn open(
        &mut self,
        registry: &Registry,
        order: Order,
        tls: Option<Client>,
        now: Instant,
    ) -> Result<Option<IpAddr>, Failure> {
        let Order { id, to, via } = order;
        if tls.is_some() && !self.has_random() {
            self.held.push(order).map_err(|_| Failure::Exhausted)?;
            if self.random_at.is_none() {
                log::warn!("[Meeting] {WAITS_FOR_RANDOM}");
            }
            self.random_at.get_or_insert(now + RANDOM_RETRY);
            return Ok(None);
        }
        let connection = Connection::open(to, via, tls)?;
        let local = connection.local().ip();
        let session = Session {
            connection,
            response: Response::new(),
            body_until: None,
            sent: None,
            acknowledged: None,
        };
        self.open.open(registry, id, session, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Some(local))
    }

    /// The connections that were held, if they need not be any longer.
    pub(super) fn take_held(&mut self, now: Instant) -> heapless::Vec<Order, SESSIONS_MAX> {
        if self.random_at.take_if(|at| *at <= now).is_none() {
            return heapless::Vec::new();
        }
        if !self.has_random() {
            self.random_at = Some(now + RANDOM_RETRY);
            return heapless::Vec::new();
        }
        log::info!("[Meeting] the kernel's random generator is ready");
        core::mem::take(&mut self.held)
    }

    /// Whether connections wait for the kernel's random generator, or did in the last second.
    pub(super) const fn wait_for_random(&self) -> bool {
        self.random_at.is_some()
    }

    fn has_random(&mut self) -> bool {
        self.random = self.random || random::is_ready();
        self.random
    }

    /// Queues a request on a connection that is secured and idle; its slot is to be pumped next.
    pub(super) fn write(&mut self, id: ConnectionId, request: &[u8]) -> Option<usize> {
        let (slot, session) = self.open.find(id)?;
        session.connection.write(request);
        Some(slot)
    }

    /// Notes what the report says that is to be written; true if one that said the same was
    /// acknowledged before.
    pub(super) fn note_sent(&mut self, id: ConnectionId, identity: Identity) -> bool {
        let Some((_, session)) = self.open.find(id) else { return false };
        session.sent = Some(identity);
        session.acknowledged == session.sent
    }

    /// The report that was written last is acknowledged.
    pub(super) fn note_acknowledged(&mut self, id: ConnectionId) {
        if let Some((_, session)) = self.open.find(id) {
            session.acknowledged = session.sent;
        }
    }

    /// The configuration is another: no report that was written says the same as the next.
    pub(super) fn forget_written(&mut self) {
        for session in self.open.iter_mut() {
            (session.sent, session.acknowledged) = (None, None);
        }
    }

    /// Moves a connection one step and counts what it did; `None` when there is nothing at this
    /// slot.
    ///
    /// The rest of an answer that does not come is given up:
    /// [`next_deadline`](Self::next_deadline).
    pub(super) fn step(
        &mut self,
        slot: usize,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<(ConnectionId, Result<Progress, Failure>)> {
        let (id, session) = self.open.at(slot)?;
        let Session { connection, response, body_until, .. } = session;
        let mut step = connection.on_ready(response);
        if !response.awaits_optional_body() {
            *body_until = None;
        } else if *body_until.get_or_insert(now + BODY_PATIENCE) <= now && step.is_ok() {
            *body_until = None;
            step = Ok(connection.cut_answer(response));
        }
        connection.count(counters);
        counters.connections += u64::from(step == Ok(Progress::Connected));
        Some((id, step))
    }

    /// When the rest of an answer is to be given up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let bodies = self.open.iter().filter_map(|(_, session)| session.body_until);
        bodies.chain(self.random_at).min()
    }

    /// The slots whose answer is to be given up.
    pub(super) fn overdue(&self, now: Instant) -> heapless::Vec<usize, SESSIONS_MAX> {
        let due = |session: &Session| session.body_until.is_some_and(|until| until <= now);
        self.open.iter().filter(|(_, session)| due(session)).map(|(slot, _)| slot).collect()
    }

    /// The connection of an attempt, and its answer.
    pub(super) fn find(&mut self, id: ConnectionId) -> Option<(&Connection, &Response)> {
        let (_, session) = self.open.find(id)?;
        Some((&session.connection, &session.response))
    }

    /// Ends a connection, with a goodbye unless a request is under way: the kernel shall not
    /// deliver one that was given up and sent again.
    pub(super) fn close(&mut self, id: ConnectionId) {
        self.held.retain(|order| order.id != id);
        if let Some(session) = self.open.take(id).filter(|it| !it.connection.is_busy()) {
            session.connection.close();
        }
    }

    /// Takes a connection out of use and sends nothing; it stays open until
    /// [`close_parked`](Self::close_parked).
    pub(super) fn park(&mut self, registry: &Registry, id: ConnectionId) {
        self.held.retain(|order| order.id != id);
        let Some(session) = self.open.take(id) else { return };
        let Some(parked) = session.connection.park(registry) else { return };
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
        self.open.drain().for_each(|session| session.connection.close());
    }

    /// Drops a connection that is over.
    pub(super) fn drop_failed(&mut self, id: ConnectionId) {
        drop(self.open.take(id));
    }
}

#[cfg(test)]
mod tests;
