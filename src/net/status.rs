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

use mio::{Interest, Registry, Token};

use self::answer::Body;
use self::connection::{Connection, Heard};
use self::guard::{Gate, Guard};
use self::listener::Listener;
use super::local::{Allowance, Request, Tickets};
use crate::config::{Listen, Secret};
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::http_server::{Content, Extra, Refusal};
use crate::wire::outcome::Outcome;

mod answer;
mod connection;
mod form;
mod guard;
mod listener;
mod route;
mod stream;
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
/// Most connections accepted in one wake-up.
const ACCEPTS_MAX: usize = 4;
/// The status server. It never fails: what it cannot do is its [`Trouble`].
#[derive(Debug)]
pub struct StatusServer {
    registry: Registry,
    first: Token,
    listener: Listener,
    gate: Gate,
    /// One per slot; their number never changes.
    connections: Vec<Option<Connection>>,
    tickets: Tickets,
    accepts: Allowance,
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
            gate: Gate::Loopback,
            connections: (0..CONNECTIONS_MAX).map(|_| None).collect(),
            tickets: Tickets::of_status_server(),
            accepts: Allowance::new(Instant::default()),
        })
    }

    /// Listens there from now on, or nowhere, and asks for `token` over TCP; a socket in force stays
    /// untouched.
    pub fn listen(&mut self, listen: Option<&Listen>, token: Option<&Secret>, now: Instant) {
        let is_served = listen.is_none_or(|listen| token.is_some() || !listen.is_open());
        let in_force = self.listener.place() == listen && !self.listener.is_refused();
        self.gate = match (listen, token) {
            (Some(Listen::Socket(_)), _) => Gate::File,
            (_, None) => Gate::Loopback,
            // Who logged in stays so while the token is the same.
            (_, Some(token)) => match std::mem::replace(&mut self.gate, Gate::Loopback) {
                Gate::Guarded(guard) if guard.has(token) => Gate::Guarded(guard),
                _ => Gate::Guarded(Box::new(Guard::new(token.clone()))),
            },
        };
        if in_force && is_served {
            return;
        }
        // The former socket is closed first: the new address may overlap it.
        self.listener = Listener::Off(None);
        let Some(listen) = listen.cloned() else { return };
        self.listener = if is_served {
            Listener::open(listen, &self.registry, self.first, now)
        } else {
            let trouble = Trouble { listen, kind: TroubleKind::NoToken };
            log::warn!("{trouble}");
            Listener::Off(Some(trouble))
        };
    }

    /// Sees to it that a Unix socket is found at its place; once per cycle is enough.
    pub fn look(&mut self, now: Instant) {
        self.listener.look(&self.registry, self.first, now);
    }

    /// The address in use, with the port that the kernel chose if 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.listener.local_address()
    }

    /// Why it does not listen although it should; for people.
    #[must_use]
    pub const fn trouble(&self) -> Option<&Trouble> {
        self.listener.trouble()
    }

    /// Does what the readiness of `token` allows; the request that is complete now, if any.
    ///
    /// Tokens of others are ignored, and so is a readiness that was none.
    #[must_use]
    pub fn on_ready(&mut self, token: Token, now: Instant) -> Option<Request> {
        let slot = match token.0.checked_sub(self.first.0)? {
            0 => {
                self.listener.knock();
                self.accept(now);
                return None;
            }
            offset => offset - 1,
        };
        match self.connections.get_mut(slot)?.as_mut()?.on_ready(&mut self.gate, now) {
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
            let Some(slot) = self.connections.iter().position(Option::is_none) else { return };
            let Some(mut stream) = self.listener.accept(&mut self.accepts, now) else { return };
            let token = Token(self.first.0 + 1 + slot);
            // Writable only matters when an answer did not fit, and costs nothing before.
            let interest = Interest::READABLE | Interest::WRITABLE;
            match self.registry.register(stream.source(), token, interest) {
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
        let room = self.connections.iter().any(Option::is_none);
        (room && self.listener.is_pending()).then_some(self.first)
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
        if connection.reply(status, content, Extra::Nothing, Body::Made(body), now).is_err() {
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
        let connections = self.connections.iter().flatten().map(Connection::deadline);
        connections.chain(self.listener.next_deadline()).min()
    }

    /// Ends what took too long, and tries again what is due.
    pub fn on_deadline(&mut self, now: Instant) {
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            if now >= connection.deadline() && connection.on_deadline(now).is_err() {
                *place = None;
            }
        }
        self.listener.on_deadline(&self.registry, self.first, now);
    }
}
