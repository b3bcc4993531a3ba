//! The status server: HTTP for pages and scripts on the camera itself.
//!
//! It decides nothing: what is not part of the program goes to the loop as a [`Request`]. A port that another program owns is tried again while beats go on. Nobody else's
//! pages and no other machine is served; [`http_server`](crate::wire::http_server) checks that.
//!
//! ```text
//! Reading --head complete--> Asked --answer--> Answering --taken--> Lingering --end or time--> closed
//!    |                                          ^   |
//!    +-- part of the program, refused, 408 -----+   +-- not taken in time --> reset
//! ```
//!
//! What the kernel does not take of an answer at once is kept, one answer for each connection at most.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use self::answer::Body;
use self::connection::{Connection, Heard};
use super::local::{Allowance, Request, Tickets};
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::http_server::{Content, Refusal};
use crate::wire::outcome::Outcome;

mod answer;
mod connection;
mod route;
#[cfg(test)]
mod tests;
mod trouble;

pub use self::trouble::{Trouble, TroubleKind};

/// Most connections at a time; others wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 8;
/// Most of them that wait for the end of a beat, which may take 15 s.
const WAITING_MAX: usize = CONNECTIONS_MAX - 2;
/// How many tokens the server uses, from the first it is given.
pub const TOKENS: usize = 1 + CONNECTIONS_MAX;
/// Most connections that the kernel queues for us.
const QUEUE_MAX: i32 = 16;
/// Most connections accepted in one wake-up.
const ACCEPTS_MAX: usize = 4;
/// Room in the kernel for the usual answer, so that it need not be kept here.
const SEND_BUFFER: usize = 32 << 10;
/// How long the kernel keeps what a client does not take, after the connection was closed.
const ORPHAN_TIME: Duration = Duration::from_secs(10);
/// First and longest wait before the address is tried again.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Pause when there is no descriptor left for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_secs(1);

/// The status server. It never fails: what it cannot do is its [`Trouble`].
#[derive(Debug)]
pub struct StatusServer {
    registry: Registry,
    first: Token,
    listener: Listener,
    /// One per slot; their number never changes.
    connections: Vec<Option<Connection>>,
    tickets: Tickets,
    accepts: Allowance,
}

#[derive(Debug)]
enum Listener {
    /// Nothing is to be listened on, or it is refused.
    Off(Option<Trouble>),
    Listening {
        socket: TcpListener,
        address: SocketAddr,
        /// Whether the kernel's queue may hold connections that no edge will tell again.
        queued: bool,
        /// Not accepted from earlier.
        paused_until: Option<Instant>,
    },
    Retrying {
        trouble: Trouble,
        retry_at: Instant,
        wait: Duration,
    },
}

impl StatusServer {
    /// A server that listens nowhere, and will use [`TOKENS`] tokens from `first` on.
    ///
    /// # Errors
    ///
    /// No descriptor left for its own copy of `registry`.
    pub fn new(registry: &Registry, first: Token) -> io::Result<Self> {
        Ok(Self {
            registry: registry.try_clone()?,
            first,
            listener: Listener::Off(None),
            connections: (0..CONNECTIONS_MAX).map(|_| None).collect(),
            tickets: Tickets::of_status_server(),
            accepts: Allowance::new(Instant::default()),
        })
    }

    /// Listens on `address` from now on, or nowhere; an address in force stays untouched.
    pub fn listen(&mut self, address: Option<SocketAddr>, now: Instant) {
        if self.address() == address {
            return;
        }
        // The former socket is closed first: the new address may overlap it.
        self.listener = Listener::Off(None);
        let Some(address) = address else { return };
        if address.ip().is_loopback() {
            self.open(address, RETRY_WAITS.0, now);
        } else {
            let trouble = Trouble { address, kind: TroubleKind::NotLoopback };
            log::warn!("{trouble}");
            self.listener = Listener::Off(Some(trouble));
        }
    }

    /// Where it is to listen.
    const fn address(&self) -> Option<SocketAddr> {
        match self.listener {
            Listener::Off(None) => None,
            Listener::Listening { address, .. } => Some(address),
            Listener::Off(Some(trouble)) | Listener::Retrying { trouble, .. } => {
                Some(trouble.address)
            }
        }
    }

    /// The address in use, with the port that the kernel chose if 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Listening { socket, .. } => socket.local_addr().ok(),
            Listener::Off(_) | Listener::Retrying { .. } => None,
        }
    }

    /// Why it does not listen although it should; for people.
    #[must_use]
    pub const fn trouble(&self) -> Option<Trouble> {
        match self.listener {
            Listener::Off(trouble) => trouble,
            Listener::Retrying { trouble, .. } => Some(trouble),
            Listener::Listening { .. } => None,
        }
    }

    fn open(&mut self, address: SocketAddr, wait: Duration, now: Instant) {
        let earlier = self.trouble();
        let opened = bind(address).and_then(|mut socket| {
            self.registry.register(&mut socket, self.first, Interest::READABLE).map(|()| socket)
        });
        self.listener = match opened {
            Ok(socket) => {
                log::info!("status server listens on {address}");
                Listener::Listening { socket, address, queued: false, paused_until: None }
            }
            Err(error) => {
                let trouble = Trouble::new(address, &error);
                if earlier != Some(trouble) {
                    log::warn!("{trouble}");
                }
                Listener::Retrying { trouble, retry_at: now + wait, wait }
            }
        };
    }

    /// Does what the readiness of `token` allows; the request that is complete now, if any.
    ///
    /// Tokens of others are ignored, and so is a readiness that was none.
    #[must_use]
    pub fn on_ready(&mut self, token: Token, now: Instant) -> Option<Request> {
        let slot = match token.0.checked_sub(self.first.0)? {
            0 => {
                self.accept(now);
                return None;
            }
            offset => offset - 1,
        };
        match self.connections.get_mut(slot)?.as_mut()?.on_ready(now) {
            Heard::Nothing => None,
            Heard::End => {
                self.close(slot);
                None
            }
            Heard::Ask(what) if what.waits() && self.is_crowded() => {
                if self.connections.get_mut(slot)?.as_mut()?.refuse(Refusal::Crowded, now).is_err()
                {
                    self.close(slot);
                }
                None
            }
            Heard::Ask(what) => {
                let ticket = self.tickets.draw();
                let connection = self.connections.get_mut(slot)?.as_mut()?;
                Some(connection.ask(what, ticket, now))
            }
        }
    }

    /// Whether as many wait for the end of a beat as may: others must still be heard.
    fn is_crowded(&self) -> bool {
        let waiting = self.connections.iter().flatten().filter(|connection| connection.waits());
        waiting.count() >= WAITING_MAX
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            let Listener::Listening { socket, queued, paused_until, .. } = &mut self.listener
            else {
                return;
            };
            *queued = true;
            let free = self.connections.iter().position(Option::is_none);
            let (Some(slot), None) = (free, *paused_until) else { return };
            let mut stream = match socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *queued = false;
                    return;
                }
                // accept(2): what befell one connection does not concern the next.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    log::debug!("accept on the status server: {error}");
                    *paused_until = Some(now + EXHAUSTED_WAIT);
                    return;
                }
            };
            *paused_until = self.accepts.take(now);
            let token = Token(self.first.0 + 1 + slot);
            // Writable only matters when an answer did not fit, and costs nothing before.
            let interest = Interest::READABLE | Interest::WRITABLE;
            match self.registry.register(&mut stream, token, interest) {
                Ok(()) => {
                    let place = self.connections.get_mut(slot).expect("a slot that was found");
                    *place = Some(Connection::new(stream, now));
                }
                Err(error) => log::debug!("watch a connection to the status server: {error}"),
            }
        }
    }

    /// The token to call [`on_ready`](Self::on_ready) with in the next wake-up, which must then not
    /// wait. Ask before every wait: an answer or a deadline can make room for who is queued.
    #[must_use]
    pub fn pending(&self) -> Option<Token> {
        let accepts =
            matches!(self.listener, Listener::Listening { queued: true, paused_until: None, .. });
        (accepts && self.connections.iter().any(Option::is_none)).then_some(self.first)
    }

    /// Takes the core's word about a trigger. Ignores what is not this server's.
    pub fn answer(
        &mut self,
        ticket: Ticket,
        answer: TriggerAnswer,
        now: Instant,
        utc: impl Fn(Instant) -> Utc,
    ) {
        let Some((slot, connection)) = self.find(ticket) else { return };
        if connection
            .hear(answer, utc)
            .is_some_and(|outcome| connection.end(&outcome, now).is_err())
        {
            self.close(slot);
        }
    }

    /// Tells everyone who waits for a beat that covers triggers up to `covers` how it ended.
    pub fn settle(&mut self, covers: u64, outcome: &Outcome<'_>, now: Instant) {
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            if connection.is_covered(covers) && connection.end(outcome, now).is_err() {
                *place = None;
            }
        }
    }

    /// Answers a request other than a trigger with `status` (200, or 503) and a body of any length.
    pub fn reply(
        &mut self,
        ticket: Ticket,
        status: u16,
        content: &Content,
        body: &[u8],
        now: Instant,
    ) {
        let Some((slot, connection)) = self.find(ticket) else { return };
        if connection.reply(status, content, Body::Made(body), now).is_err() {
            self.close(slot);
        }
    }

    fn find(&mut self, ticket: Ticket) -> Option<(usize, &mut Connection)> {
        let mut all = self.connections.iter_mut().enumerate();
        all.find_map(|(slot, place)| {
            place.as_mut().filter(|connection| connection.has(ticket)).map(|found| (slot, found))
        })
    }

    fn close(&mut self, slot: usize) {
        if let Some(place) = self.connections.get_mut(slot) {
            *place = None;
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let listener = match self.listener {
            Listener::Off(_) => None,
            Listener::Listening { paused_until, .. } => paused_until,
            Listener::Retrying { retry_at, .. } => Some(retry_at),
        };
        let connections = self.connections.iter().flatten().map(Connection::deadline);
        connections.chain(listener).min()
    }

    /// Ends what took too long, and tries again what is due.
    pub fn on_deadline(&mut self, now: Instant) {
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            if now >= connection.deadline() && connection.on_deadline(now).is_err() {
                *place = None;
            }
        }
        match &mut self.listener {
            Listener::Listening { paused_until, .. }
                if paused_until.is_some_and(|at| now >= at) =>
            {
                *paused_until = None;
            }
            Listener::Retrying { trouble, retry_at, wait } if now >= *retry_at => {
                let (address, wait) = (trouble.address, (*wait * 2).min(RETRY_WAITS.1));
                self.open(address, wait, now);
            }
            Listener::Listening { .. } | Listener::Off(_) | Listener::Retrying { .. } => {}
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // ip(7): connections of an earlier run in TIME_WAIT are no reason to refuse the port.
    socket.set_reuse_address(true)?;
    // tcp(7): accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(ORPHAN_TIME))?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE_MAX)?;
    Ok(TcpListener::from_std(socket.into()))
}
