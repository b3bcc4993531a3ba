//! One HTTP client, from accept to close.
//!
//! ```text
//! Reading --request--> (waits for the answer) --answer--> Answering --taken--> Lingering --> closed
//!    |                                                     ^   |
//!    +-- part of the program, refused, 408 ----------------+   +-- not taken in time --> reset
//! ```
//!
//! The part of an answer that the kernel does not take at once is kept, one answer for each client
//! at most.

use std::fmt::Write as _;
use std::net::Shutdown;
use std::time::Duration;

use heapless::String;
use mio::{Interest, Registry, Token};

use super::request::Event;
use super::stream::{Closed, Stream};
use crate::sys::readiness::watch;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::http_server::{
    self, ANSWER_HEAD_MAX, AnswerHead, Content, Extra, HEAD_MAX, Method, Refusal,
};
use linkbeat_core::wire::outcome::{self, Outcome};

mod form;
pub(super) mod guard;
mod route;

use self::guard::{Gate, SESSION_TIME};
use self::route::{HttpRoute, route};

/// Longest time for a head to arrive, and for a client to close when it has its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Shortest time for the same, however many others want to connect.
const GRACE: Duration = Duration::from_millis(250);
/// Longest time for a client to take an answer that the kernel has no room for: 50 KB at 5 KB/s.
const TAKING_MAX: Duration = Duration::from_secs(10);
/// Room for an [`Outcome`] with the server's answer and the whole exchange in it.
const OUTCOME_MAX: usize = 4096;
/// Bytes of one read.
const READ_MAX: usize = 1024;
/// Most reads of what a client sends after its request: a body, and requests that are not answered.
const LINGER_READS_MAX: u8 = 64;

/// A client of the status server.
#[derive(Debug)]
pub(super) struct HttpClient {
    /// The connection.
    pub(super) stream: Stream,
    /// How far the request is.
    phase: HttpPhase,
    /// Whether the answer is to come without its body.
    head_only: bool,
    /// Whether the answer to a trigger is to show the whole exchange.
    debug: bool,
    /// When the phase began.
    begun_at: Instant,
    /// When it ends at the latest, unless the request waits for its answer:
    /// [`on_deadline`](Self::on_deadline).
    pub(super) deadline: Instant,
}

#[derive(Debug)]
enum HttpPhase {
    /// The request arrives, or is complete and waits for its answer.
    Reading(Vec<u8>),
    /// The kernel has no room for the rest of the answer; the client has to read first.
    Answering { answer: Vec<u8>, sent: usize },
    /// Answered. Closing while bytes of the client are unread would make the kernel reset the
    /// connection, and the answer could be lost (RFC 9112 §9.6).
    Lingering { reads: u8 },
}

impl HttpClient {
    pub(super) fn new(
        stream: Stream,
        token: Token,
        registry: &Registry,
        now: Instant,
    ) -> std::io::Result<Self> {
        // Writable only matters when an answer did not fit, and costs nothing before.
        watch(registry, &stream.socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let phase = HttpPhase::Reading(Vec::new());
        let deadline = now + PATIENCE;
        Ok(Self { stream, phase, head_only: false, debug: false, begun_at: now, deadline })
    }

    /// From when on the connection may make room for another: its request is incomplete, as far as
    /// it has come, or its answer taken.
    pub(super) fn spare_at(&self) -> Option<Instant> {
        let waits = matches!(self.phase, HttpPhase::Reading(_) | HttpPhase::Lingering { .. });
        (waits && !self.stream.has_unread()).then(|| self.begun_at + GRACE)
    }

    #[cfg(test)]
    pub(super) fn send_buffer_size(&self) -> std::io::Result<usize> {
        self.stream.socket.send_buffer_size()
    }

    #[cfg(test)]
    pub(super) const fn is_answering(&self) -> bool {
        matches!(self.phase, HttpPhase::Answering { .. })
    }

    /// Does what the readiness of a client allows that does not wait for its answer.
    pub(super) fn on_ready(&mut self, gate: &mut Gate, now: Instant) -> Result<Event, Closed> {
        match self.phase {
            HttpPhase::Reading(_) => return self.read(gate, now),
            HttpPhase::Answering { .. } => self.send_rest(now)?,
            HttpPhase::Lingering { .. } => self.linger()?,
        }
        Ok(Event::Nothing)
    }

    /// Reads as much of the request as there is, and answers it if that needs nothing of the agent.
    fn read(&mut self, gate: &mut Gate, now: Instant) -> Result<Event, Closed> {
        let HttpPhase::Reading(head) = &mut self.phase else { return Ok(Event::Nothing) };
        let mut buffer = [0; READ_MAX];
        let mut ended = false;
        while let Some(read) = self.stream.read(&mut buffer)? {
            let taken = read.min(HEAD_MAX - head.len());
            head.extend_from_slice(buffer.get(..taken).unwrap_or_default());
            ended = read == 0;
            if ended || head.len() == HEAD_MAX {
                break;
            }
        }
        let is_full = head.len() == HEAD_MAX;
        let route = http_server::parse(head, gate.names()).and_then(|request| {
            let Some(request) = request else { return Ok(None) };
            self.head_only = request.method == Method::Head;
            self.debug = request.path == route::DEBUG;
            route(&request, gate, self.stream.peer, now)
        });
        match route {
            Ok(None) if ended => return Err(Closed),
            Ok(None) if is_full => self.refuse(Refusal::BodyTooLarge, now)?,
            Ok(None) => {}
            Ok(Some(HttpRoute::Ask { ask, wait })) => return Ok(Event::Ask { ask, wait }),
            Ok(Some(HttpRoute::Answer { status, content, extra, body })) => {
                self.reply(status, &content, extra, body, now)?;
            }
            Ok(Some(HttpRoute::Session(session))) => {
                let port = gate.port();
                let extra = match &session {
                    Some(value) => {
                        let max_age_s = SESSION_TIME.as_secs();
                        Extra::Cookie { port, value, max_age_s, location: "/" }
                    }
                    None => Extra::Cookie { port, value: "", max_age_s: 0, location: "/login" },
                };
                self.reply(303, &Content::JSON, extra, &[], now)?;
            }
            Err(refusal) => self.refuse(refusal, now)?,
        }
        Ok(Event::Nothing)
    }

    /// Answers with the outcome of a trigger.
    pub(super) fn finish(&mut self, outcome: &Outcome<'_>, now: Instant) -> Result<(), Closed> {
        let mut body = [0; OUTCOME_MAX];
        let (status, emitted) = if self.debug {
            (200, outcome.emit_debug(&mut body))
        } else {
            (outcome.http_status(), outcome.emit(&mut body))
        };
        let body = body.get(..emitted.map_err(|_| Closed)?).unwrap_or_default();
        self.reply(status, &Content::JSON, Extra::Nothing, body, now)
    }

    /// Answers with the reason why the request is not served.
    pub(super) fn refuse(&mut self, refusal: Refusal, now: Instant) -> Result<(), Closed> {
        let mut body = [0; ANSWER_HEAD_MAX];
        let length = outcome::emit_error(&refusal, &mut body).map_err(|_| Closed)?;
        let body = body.get(..length).unwrap_or_default();
        self.reply(refusal.status(), &Content::JSON, refusal.extra(), body, now)
    }

    /// Sends as much of an answer as the kernel takes, which mostly is all, and keeps the rest.
    pub(super) fn reply(
        &mut self,
        status: u16,
        content: &Content,
        extra: Extra<'_>,
        body: &[u8],
        now: Instant,
    ) -> Result<(), Closed> {
        let mut head = String::<ANSWER_HEAD_MAX>::new();
        let fields = AnswerHead { status, content: *content, length: body.len(), extra };
        write!(head, "{fields}").map_err(|_| Closed)?;
        let body = if self.head_only { &[] } else { body };
        let sent = self.stream.write(head.as_bytes(), body)?;
        if sent == head.len() + body.len() {
            return self.begin_lingering(now);
        }
        self.phase = HttpPhase::Answering { answer: [head.as_bytes(), body].concat(), sent };
        self.deadline = now + TAKING_MAX;
        self.send_rest(now)
    }

    /// Sends more of the answer, until the kernel takes no more for now.
    fn send_rest(&mut self, now: Instant) -> Result<(), Closed> {
        let HttpPhase::Answering { answer, sent } = &mut self.phase else { return Ok(()) };
        while let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest, &[])? {
                0 => return Ok(()),
                taken => *sent += taken,
            }
        }
        self.begin_lingering(now)
    }

    /// Ends our side, and reads what the client still sends.
    fn begin_lingering(&mut self, now: Instant) -> Result<(), Closed> {
        self.stream.socket.shutdown(Shutdown::Write).map_err(|_| Closed)?;
        self.phase = HttpPhase::Lingering { reads: 0 };
        self.begun_at = now;
        self.deadline = now + PATIENCE;
        self.linger()
    }

    /// Drops what the client still sends, until it ends too.
    fn linger(&mut self) -> Result<(), Closed> {
        let HttpPhase::Lingering { reads } = &mut self.phase else { return Ok(()) };
        let mut buffer = [0; READ_MAX];
        while let Some(read) = self.stream.read(&mut buffer)? {
            *reads += 1;
            if read == 0 || *reads >= LINGER_READS_MAX {
                return Err(Closed);
            }
        }
        Ok(())
    }

    /// Ends a phase that took too long.
    pub(super) fn on_deadline(&mut self, now: Instant) -> Result<(), Closed> {
        match &self.phase {
            _ if now < self.deadline => Ok(()),
            HttpPhase::Reading(head) if !head.is_empty() => self.refuse(Refusal::TimedOut, now),
            HttpPhase::Answering { .. } => {
                // What the kernel still has to send would outlive the connection: over TCP the drop is to
                // reset it. Over a Unix socket that is in the client's queue already (unix(7)).
                if let Err(error) = self.stream.socket.set_linger(Some(Duration::ZERO)) {
                    log::debug!("reset a connection to the status server: {error}");
                }
                Err(Closed)
            }
            // Browsers open connections that they may need later: no request, no answer.
            HttpPhase::Reading(_) | HttpPhase::Lingering { .. } => Err(Closed),
        }
    }
}
