//! One TCP connection to the server, plain or TLS, from connect to close.
//!
//! ```text
//! Connecting --SYN-ACK--> Securing --handshake--> Idle --write--> Writing --sent--> AwaitingReply
//!                         (plain: at once)          ^                                     |
//!                                                   +--------------- answer --------------+
//! ```
//!
//! The kernel's readiness is a hint, seen once per edge: [`Connection::on_ready`] is to be called
//! until it says [`Progress::Drained`], and it does in one wake-up all that can be done. It stops
//! at each step for the caller to act on: the request that is written on [`Progress::Secured`]
//! leaves in one segment with the end of the handshake, or even with its beginning where early data
//! is to be had: then `Secured` follows `Connected` at once. An idle connection that closes, or
//! speaks without being asked, is a failure at once and not at the next beat.

mod channel;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;
use rustls::HandshakeKind;
use socket2::SockRef;

use self::channel::{Channel, ReplyBytes};
use super::dial;
use super::tls::{Client, Pulled, TlsSession};
use crate::sys::failure_of;
use crate::sys::readiness::unwatch;
use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::history::Counters;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::wire::request::REQUEST_MAX;
use linkbeat_core::wire::response::Response;

/// Most bytes received from the last request (or the connect) to the next, TLS records included.
///
/// Room for the largest certificate chain that rustls takes and the largest heads and body, and
/// half as much again for the records that they come in.
pub const RECEIVED_MAX: usize = 384 << 10;
/// Most reads in one call, so that one peer cannot keep the loop to itself.
const READS_MAX: usize = 16;
/// How long the kernel goes on alone with what a closed connection has not delivered (tcp(7)
/// `TCP_USER_TIMEOUT`): its goodbye.
///
/// An open one has no such limit. An upload that fills the line makes round trips jump to seconds,
/// and a request that has arrived would be killed before its ACK is back, and sent again. How long
/// to wait is for the core to say, which sees at once that ACKs are missing, and tries another path
/// meanwhile.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How far [`Connection::on_ready`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// TCP is established. Call again.
    Connected,
    /// TLS is established or takes early data, or was not wanted: [`Connection::write`] may follow.
    /// Call again.
    Secured,
    /// The whole request is with the kernel. Call again.
    Written,
    /// The answer is complete. The connection is idle if [`Response::reply`] says keep-alive; if
    /// not, close it. Call again.
    Replied,
    /// The socket is drained: wait for the next readiness.
    Drained,
    /// There is more, but others wait: call again without waiting for a readiness.
    Spent,
}

/// A connection. Dropping it resets it; see [`close`](Self::close) for the polite end.
pub struct Connection {
    /// The socket.
    stream: TcpStream,
    /// The request and the answer on it, in the open or in TLS records.
    channel: Channel,
    /// How far it is.
    phase: ConnectionPhase,
    /// The address it is connected from.
    local: SocketAddr,
    /// The address it is connected to.
    remote: SocketAddr,
    /// Bytes received since the last request, or the connect.
    received: usize,
    /// Bytes that the kernel took and [`count`](Self::count) has not counted, TLS records included.
    uncounted_sent: u64,
    /// Bytes that arrived and were not counted.
    uncounted_received: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
    Connecting,
    Securing,
    Idle,
    /// A request waits for the handshake.
    Held,
    Writing,
    AwaitingReply,
}

impl Connection {
    /// Starts to connect to `to`, through the interface `via` if given; without `tls`, bytes travel in
    /// the open.
    ///
    /// Have it watched for reading and writing next.
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once: no route, no such interface, no descriptor.
    pub fn open(
        to: SocketAddr,
        via: Option<InterfaceName>,
        tls: Option<Client>,
    ) -> Result<Self, Failure> {
        let stream = dial::dial(to, via)?;
        // After the SYN: the key share is made while it travels.
        let channel = Channel::new(tls.map(TlsSession::new).transpose()?);
        let local = stream.local_addr().map_err(|error| failure_of(&error))?;
        Ok(Self {
            stream,
            channel,
            phase: ConnectionPhase::Connecting,
            local,
            remote: to,
            received: 0,
            uncounted_sent: 0,
            uncounted_received: 0,
        })
    }

    /// The address it is connected from.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address it is connected to.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Queues a request; [`on_ready`](Self::on_ready) next, which sends it.
    ///
    /// # Panics
    ///
    /// If the connection is not secured and idle, or `request` is over [`REQUEST_MAX`].
    pub fn write(&mut self, request: &[u8]) {
        assert!(
            self.phase == ConnectionPhase::Idle,
            "one request at a time, on a secured connection"
        );
        assert!(request.len() <= REQUEST_MAX, "a request fits its buffer");
        self.phase = if self.channel.write(request) {
            ConnectionPhase::Writing
        } else {
            ConnectionPhase::Held
        };
        self.received = 0;
    }

    /// Does what can be done, up to the next step that the caller wants to know of.
    ///
    /// `response` is this connection's own; it begins anew when a request has been written.
    ///
    /// # Errors
    ///
    /// The connection is over: drop it.
    pub fn on_ready(&mut self, response: &mut Response) -> Result<Progress, Failure> {
        self.advance(response).map_err(|failure| match &self.channel.tls {
            None => failure,
            Some(session) => session.explain(failure),
        })
    }

    fn advance(&mut self, response: &mut Response) -> Result<Progress, Failure> {
        if self.phase == ConnectionPhase::Connecting {
            return self.finish_connect();
        }
        for _ in 0..READS_MAX {
            match self.phase {
                ConnectionPhase::Securing if self.channel.takes_request() => {
                    self.phase = ConnectionPhase::Idle;
                    return Ok(Progress::Secured);
                }
                ConnectionPhase::Held if self.channel.is_secured() => {
                    self.phase = ConnectionPhase::Writing
                }
                _ => {}
            }
            let flushed = self.channel.flush(&mut self.stream, &mut self.uncounted_sent)?;
            if self.phase == ConnectionPhase::Writing {
                if !flushed {
                    return Ok(Progress::Drained);
                }
                *response = Response::new();
                self.phase = ConnectionPhase::AwaitingReply;
                return Ok(Progress::Written);
            }
            if let Some(progress) = self.read(response)? {
                return Ok(progress);
            }
        }
        Ok(Progress::Spent)
    }

    /// Takes the answer without what is missing of its body; the connection is not to be used
    /// again.
    pub fn cut_answer(&mut self, response: &mut Response) -> Progress {
        // Of an answer whose head is there nothing else can come of it.
        response
            .eof(false)
            .map_or(Progress::Spent, |()| self.take_answer(response).unwrap_or(Progress::Spent))
    }

    /// Whether a request is under way.
    pub fn is_busy(&self) -> bool {
        matches!(
            self.phase,
            ConnectionPhase::Held | ConnectionPhase::Writing | ConnectionPhase::AwaitingReply
        )
    }

    /// Ends the connection politely: `close_notify` for TLS, and FIN instead of RST.
    pub fn close(mut self) {
        if self.phase == ConnectionPhase::Connecting {
            return;
        }
        if let Some(session) = &mut self.channel.tls {
            session.say_goodbye();
        }
        let is_sent = self.channel.flush(&mut self.stream, &mut self.uncounted_sent).is_ok();
        let socket = SockRef::from(&self.stream);
        let limited = socket.set_tcp_user_timeout(Some(GOODBYE_TIMEOUT));
        if !is_sent || limited.and_then(|()| socket.set_linger(None)).is_err() {
            log::debug!("connection to {} could not be closed politely", self.remote);
        }
    }

    /// Puts the connection aside on a link that has lost its carrier: nothing is sent on it, and
    /// dropping the socket resets it. `None` if it was not established: the kernel forgets such a one
    /// without a packet.
    ///
    /// Closing it would send a RST, and with that the kernel would ask for the gateway on a dead link
    /// and wait out a second before it asks again (ndisc and arp: `retrans_time_ms`): a blip of the
    /// carrier shorter than three seconds would cost the beat after it up to that second.
    #[must_use]
    pub fn park(self, registry: &Registry) -> Option<TcpStream> {
        self.stream.peer_addr().ok()?;
        // Of bytes that are not acknowledged the kernel repeats what it must, once at most.
        let socket = SockRef::from(&self.stream);
        let silenced = socket.set_tcp_user_timeout(Some(Duration::from_millis(1)));
        if let Err(error) = silenced.and(unwatch(registry, &self.stream)) {
            log::debug!("a connection could not be parked: {error}");
            return None;
        }
        Some(self.stream)
    }

    /// The TLS session; `None` if bytes travel in the open.
    pub const fn tls(&self) -> Option<&TlsSession> {
        self.channel.tls.as_ref()
    }

    /// Counts bytes and handshakes since the last call, but not the goodbye of
    /// [`close`](Self::close).
    pub fn count(&mut self, counters: &mut Counters) {
        match self.channel.tls.as_mut().and_then(TlsSession::take_handshake) {
            Some(HandshakeKind::Resumed) => counters.resumptions += 1,
            Some(_) => counters.full_handshakes += 1,
            None => {}
        }
        counters.sent_bytes += std::mem::take(&mut self.uncounted_sent);
        counters.received_bytes += std::mem::take(&mut self.uncounted_received);
    }

    fn finish_connect(&mut self) -> Result<Progress, Failure> {
        let Some(outcome) = dial::outcome(&self.stream) else { return Ok(Progress::Drained) };
        outcome?;
        self.phase = ConnectionPhase::Securing;
        Ok(Progress::Connected)
    }

    /// Reads once. `None`: there may be more to do.
    fn read(&mut self, response: &mut Response) -> Result<Option<Progress>, Failure> {
        let mut answer = ReplyBytes {
            expected: self.phase == ConnectionPhase::AwaitingReply,
            complete: false,
            response,
        };
        let read = self.channel.read(&mut self.stream, &mut answer).and_then(|pulled| {
            if let Pulled::Bytes(bytes) = pulled {
                self.uncounted_received += bytes as u64;
                self.received += bytes;
            }
            if self.received > RECEIVED_MAX { Err(Failure::TooLarge) } else { Ok(pulled) }
        });
        let pulled = match read {
            Ok(pulled) => pulled,
            // What the status line has said stands, even if the rest is torn off or has no end.
            Err(_) if answer.expected && answer.response.eof(false).is_ok() => {
                return Ok(self.take_answer(response));
            }
            Err(failure) => return Err(failure),
        };
        if answer.complete {
            return Ok(self.take_answer(response));
        }
        match pulled {
            Pulled::Nothing => Ok(Some(Progress::Drained)),
            Pulled::Bytes(_) => Ok(None),
            Pulled::End { announced } if answer.expected => {
                response.eof(announced)?;
                Ok(self.take_answer(response))
            }
            Pulled::End { .. } => Err(Failure::Closed),
        }
    }

    /// Takes a complete answer; `None` if the request was queued once more because of it.
    fn take_answer(&mut self, response: &mut Response) -> Option<Progress> {
        if self.channel.repeats(response) {
            *response = Response::new();
            return None;
        }
        if self.channel.tls.as_ref().is_some_and(TlsSession::is_worn) {
            response.forbid_reuse();
        }
        self.phase = ConnectionPhase::Idle;
        Some(Progress::Replied)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
