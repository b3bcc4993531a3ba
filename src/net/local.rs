//! The server of local clients: HTTP for pages and scripts, lines for helpers and the command line.
//!
//! One server with two protocols and a listening socket for each: the status server's, on TCP or a
//! Unix socket, and the trigger socket. Each has a limit of clients of its own, so that a crowd at
//! one does not lock out the other. The server decides nothing: what needs the agent is handed out
//! as a [`Request`], whose id names it in the answer. A status address that another program uses is
//! tried again while beats go on. Pages of other sites and other machines are not served;
//! [`http_server`](linkbeat_core::wire::http_server) checks that.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use mio::{Registry, Token};

use self::clients::{Clients, TokenOwner};
use self::http::guard::{Gate, Guard};
use self::listener::Port;
use self::request::Event;
use crate::error::Error;
use crate::sys::tcp_table;
use linkbeat_core::proto::event::{RequestId, TriggerAnswer};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::http_server::{Content, Refusal};
use linkbeat_core::wire::outcome::Outcome;

mod client;
mod clients;
mod http;
mod lines;
mod listener;
mod request;
mod socket_file;
mod stream;
#[cfg(test)]
mod tests;
mod throttle;

pub use self::clients::{GUESTS_MAX, HELPERS_MAX, HTTP_CLIENTS_MAX, Protocol};
pub use self::listener::Listen;
#[cfg(test)]
pub(crate) use self::listener::describe;
pub use self::request::{Ask, Request, WAIT_MAX};

/// The place where scripts and the page of the reference expect the status server.
const USUAL_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000));
/// The place of the status server beside the program to which that port belongs.
const USUAL_SOCKET: &str = "/run/linkbeat/http.sock";
/// Most connections accepted in one wake-up.
const ACCEPTS_MAX: usize = 4;
/// The request of a write to an eventfd: a beat, and no answer.
const RING: Request = Request { id: None, ask: Ask::Trigger(None) };

/// The server. It never fails after its start: what it cannot do is among [`errors`](Self::errors).
pub struct LocalServer {
    /// The listening socket for lines.
    lines: Port,
    /// The listening socket for HTTP.
    http: Port,
    /// Which HTTP clients are let in.
    gate: Gate,
    /// Whether another program was seen on the usual port. It may be back at any moment, and would
    /// end if the port was taken.
    port_is_taken: bool,
    /// The clients of both protocols.
    clients: Clients,
    /// The last request that was handed out.
    last_id: RequestId,
}

impl LocalServer {
    /// A server that listens nowhere. It uses [`Protocol::tokens`] tokens from `lines` on, and from
    /// `http` on.
    ///
    /// # Errors
    ///
    /// No descriptor left for its own copy of `registry`.
    pub fn new(registry: &Registry, lines: Token, http: Token) -> io::Result<Self> {
        Ok(Self {
            lines: Port::new(Protocol::Lines, lines),
            http: Port::new(Protocol::Http, http),
            gate: Gate::Loopback,
            port_is_taken: false,
            clients: Clients::new(registry.try_clone()?, [lines, http]),
            last_id: RequestId(0),
        })
    }

    /// The place of HTTP if nobody has chosen one: at the usual port, but on a Unix socket
    /// beside the web manager, and from the moment on when another program is seen on that port.
    pub fn usual_place(&mut self, has_manager: bool) -> Listen {
        let own = match self.http_address() {
            Some(Listen::Address(address)) => Some(*address),
            Some(Listen::Socket(_)) | None => None,
        };
        self.port_is_taken |= tcp_table::is_listening(USUAL_PORT.port(), own);
        if has_manager || self.port_is_taken {
            Listen::Socket(USUAL_SOCKET.into())
        } else {
            Listen::Address(USUAL_PORT)
        }
    }

    /// The place where HTTP is to be served since [`listen_http`](Self::listen_http).
    pub const fn http_place(&self) -> Option<&Listen> {
        self.http.listen.as_ref()
    }

    /// The place where HTTP is served.
    pub fn http_address(&self) -> Option<&Listen> {
        self.http.address()
    }

    /// Serves HTTP there from now on, or nowhere, and asks for `token` over TCP; a socket in force
    /// stays untouched. A failure is logged, and tried again later.
    pub fn listen_http(&mut self, listen: Option<&Listen>, token: Option<&str>, now: Instant) {
        self.gate = match (listen, token) {
            (Some(Listen::Socket(_)), _) => Gate::File,
            (Some(Listen::Address(address)), Some(token)) => {
                let port = address.port();
                // Sessions stay valid while token and port are the same.
                match std::mem::replace(&mut self.gate, Gate::Loopback) {
                    Gate::Guarded(guard) if guard.has(token, port) => Gate::Guarded(guard),
                    _ => Gate::Guarded(Box::new(Guard::new(token.to_owned(), port))),
                }
            }
            (None, _) | (_, None) => Gate::Loopback,
        };
        if let Some(listen) = listen.filter(|listen| token.is_none() && listen.is_open()) {
            self.http.refuse(listen);
        } else {
            let opened = self.http.listen(listen.cloned(), &self.clients.registry, now);
            take_opened(&mut self.http, opened, &mut self.clients);
        }
    }

    /// Serves lines at `path` from now on, or nowhere. A socket that is in place stays untouched;
    /// the former one is closed with its clients as soon as there is another. A failure is logged,
    /// and tried again later.
    pub fn listen_lines(&mut self, path: Option<&Path>, now: Instant) {
        if let Err(error) = self.begin_lines(path, now) {
            self.lines.report(&error);
        }
    }

    /// As [`listen_lines`](Self::listen_lines), at the start of the agent.
    ///
    /// # Errors
    ///
    /// Another agent has the socket.
    pub fn begin_lines(&mut self, path: Option<&Path>, now: Instant) -> Result<(), Error> {
        let listen = path.map(|path| Listen::Socket(path.to_path_buf()));
        let opened = self.lines.listen(listen, &self.clients.registry, now);
        if let Err(error @ Error::AlreadyRunning { .. }) = opened {
            return Err(error);
        }
        take_opened(&mut self.lines, opened, &mut self.clients);
        Ok(())
    }

    /// Opens again the Unix sockets whose files are gone; once per cycle is enough.
    pub fn poll_files(&mut self, now: Instant) {
        for port in [&mut self.lines, &mut self.http] {
            let opened = port.poll_file(&self.clients.registry, now);
            take_opened(port, opened, &mut self.clients);
        }
    }

    /// Why a socket does not listen although it should; for people.
    pub fn errors(&self) -> impl Iterator<Item = &String> {
        [&self.http, &self.lines].into_iter().filter_map(|port| port.error.as_ref())
    }

    /// Does what the readiness of `token` allows; the request that is complete now, if any.
    ///
    /// Tokens of others are ignored, and so is a readiness that was none.
    #[must_use]
    pub fn on_ready(&mut self, token: Token, now: Instant) -> Option<Request> {
        let (slot, is_eventfd) = match self.clients.locate(token)? {
            TokenOwner::Client { slot, is_eventfd } => (slot, is_eventfd),
            TokenOwner::Listener(protocol) => {
                self.accept(protocol, now);
                let is_lines = protocol == Protocol::Lines;
                return (is_lines && std::mem::take(&mut self.clients.rung)).then_some(RING);
            }
        };
        let (gate, mut event) = (&mut self.gate, Event::Nothing);
        self.clients.update(slot, &mut |client, registry| {
            event = client.on_ready(is_eventfd, gate, registry, now)?;
            Ok(())
        });
        match event {
            Event::Nothing => None,
            Event::Rung => Some(RING),
            Event::Ask { wait: true, .. }
                if Protocol::of(slot) == Protocol::Http && self.clients.is_full_of_waiting() =>
            {
                self.clients.update(slot, &mut |client, _| client.refuse(Refusal::Crowded, now));
                None
            }
            Event::Ask { ask, wait } => {
                let id = RequestId(self.last_id.0.wrapping_add(1));
                self.last_id = id;
                self.clients.get_mut(slot)?.begin_request(id, wait, now);
                Some(Request { id: Some(id), ask })
            }
        }
    }

    fn accept(&mut self, protocol: Protocol, now: Instant) {
        let port = match protocol {
            Protocol::Lines => &mut self.lines,
            Protocol::Http => &mut self.http,
        };
        port.on_readable();
        for _ in 0..ACCEPTS_MAX {
            // HTTP clients are soon gone, so others may wait; a helper may stay for ever.
            let room_at = self.clients.room_at();
            if protocol == Protocol::Http && room_at.is_none_or(|at| now < at) {
                return;
            }
            let Some(stream) = port.accept(now) else { return };
            let slot = match protocol {
                Protocol::Lines => self.clients.free(protocol),
                Protocol::Http => self.clients.make_room(stream.peer, now),
            };
            match (slot, protocol) {
                (Some(slot), _) => self.clients.greet(slot, stream, now),
                (None, Protocol::Lines) => self.clients.turn_away(stream),
                // Its address has its share, and is owed the answers.
                (None, Protocol::Http) => {}
            }
        }
    }

    /// The tokens to call [`on_ready`](Self::on_ready) with in the next wake-up, which must then
    /// not wait. Ask before every wait: an answer or a deadline makes room for queued connections,
    /// and after an answer or a pause there may be lines that were read long ago.
    pub fn pending(&self, now: Instant) -> impl Iterator<Item = Token> {
        let lines = (self.clients.rung || self.lines.is_pending()).then_some(self.lines.token);
        let has_room = self.clients.room_at().is_some_and(|at| at <= now);
        let http = (self.http.is_pending() && has_room).then_some(self.http.token);
        lines.into_iter().chain(http).chain(self.clients.pending())
    }

    /// Takes the core's answer to a trigger. An id that no client waits for is ignored.
    pub fn on_answer(
        &mut self,
        id: RequestId,
        answer: TriggerAnswer,
        now: Instant,
        utc: impl Fn(Instant) -> Utc,
    ) {
        self.clients.update_waiting(id, &mut |client, _| client.on_answer(answer, now, &utc));
    }

    /// Answers the clients that wait for a beat that covers triggers up to `covers`.
    pub fn finish_waiting(&mut self, covers: u64, outcome: &Outcome<'_>, now: Instant) {
        self.clients.update_all(&mut |client, _| client.finish_waiting(covers, outcome, now));
    }

    /// Answers a request other than a trigger with `status` (200, or 503) and a body of any length.
    pub fn reply(
        &mut self,
        id: RequestId,
        status: u16,
        content: &Content,
        body: &[u8],
        now: Instant,
    ) {
        self.clients.update_waiting(id, &mut |client, _| client.reply(status, content, body, now));
    }

    /// When [`on_deadline`](Self::on_deadline) is due, or there is room for a queued connection.
    pub fn next_deadline(&self) -> Option<Instant> {
        let ports = [&self.lines, &self.http].into_iter().filter_map(Port::next_deadline);
        let room_at = self.http.is_pending().then(|| self.clients.room_at()).flatten();
        ports.chain(self.clients.next_deadline()).chain(room_at).min()
    }

    /// Ends what took too long, ends pauses, and tries again what is due.
    pub fn on_deadline(&mut self, now: Instant) {
        self.clients.update_all(&mut |client, registry| client.on_deadline(now, registry));
        for port in [&mut self.lines, &mut self.http] {
            let opened = port.on_deadline(&self.clients.registry, now);
            take_opened(port, opened, &mut self.clients);
        }
    }
}

/// Closes the line clients of a former socket if there is another, or logs why there is none.
fn take_opened(port: &mut Port, opened: Result<bool, Error>, clients: &mut Clients) {
    match opened {
        Ok(true) if port.protocol == Protocol::Lines => {
            Protocol::Lines.slots().for_each(|slot| clients.close(slot));
        }
        Ok(_) => {}
        Err(error) => port.report(&error),
    }
}
