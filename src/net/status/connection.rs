//! One connection to the status server, from accept to close.

use std::fmt::Write as _;
use std::io::{self, IoSlice, Read, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use heapless::{String, Vec};
use mio::net::TcpStream;

use crate::net::local::{Ask, Asked, Request};
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::http_server::{self, ANSWER_HEAD_MAX, AnswerHead, HEAD_MAX, Method, Refusal};
use crate::wire::outcome::{self, Outcome};

/// Longest time for a head to arrive, and for a client to take its answer and go.
const PATIENCE: Duration = Duration::from_secs(2);
/// Room for an [`Outcome`] with the server's answer in it.
const OUTCOME_MAX: usize = 4096;
/// Bytes of one read.
const READ_MAX: usize = 1024;
/// Most reads of what a client sends after its request: a body, and requests nobody will answer.
const LINGER_READS_MAX: u8 = 64;

/// The connection is over: to be dropped.
#[derive(Debug)]
pub(super) struct Over;

/// What a readiness brought.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing for others.
    Nothing,
    /// A request to be handed out by [`Connection::ask`].
    Ask(Route),
    /// The connection is over.
    End,
}

/// What is asked, and how the answer is to be given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    what: What,
    head_only: bool,
}

impl Route {
    /// Whether the client wants to know the end of a beat.
    pub(super) const fn waits(self) -> bool {
        matches!(self.what, What::Trigger { wait: true })
    }
}

#[derive(Debug, Clone, Copy)]
enum What {
    Status,
    Preview,
    Trigger { wait: bool },
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    phase: Phase,
    deadline: Instant,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "eight connections at most, and no allocation")]
enum Phase {
    Reading(Vec<u8, HEAD_MAX>),
    Asked {
        asked: Asked,
        head_only: bool,
    },
    /// Answered. Closing while bytes of the client are unread would make the kernel reset the
    /// connection, and the answer could be lost (RFC 9112 §9.6).
    Lingering {
        reads: u8,
    },
}

impl Connection {
    pub(super) fn new(stream: TcpStream, now: Instant) -> Self {
        Self { stream, phase: Phase::Reading(Vec::new()), deadline: now + PATIENCE }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn has(&self, ticket: Ticket) -> bool {
        matches!(&self.phase, Phase::Asked { asked, .. } if asked.has(ticket))
    }

    #[cfg(test)]
    pub(super) fn send_buffer_size(&self) -> io::Result<usize> {
        socket2::SockRef::from(&self.stream).send_buffer_size()
    }

    pub(super) fn is_covered(&self, covers: u64) -> bool {
        matches!(&self.phase, Phase::Asked { asked, .. } if asked.is_covered(covers))
    }

    /// Whether the client waits for the end of a beat.
    pub(super) fn waits(&self) -> bool {
        matches!(&self.phase, Phase::Asked { asked, .. } if asked.waits())
    }

    pub(super) fn on_ready(&mut self, now: Instant) -> Heard {
        let heard = match self.phase {
            Phase::Reading(_) => self.read(now),
            // Whoever shuts its sending side down may still wait for the answer.
            Phase::Asked { .. } => Ok(Heard::Nothing),
            Phase::Lingering { .. } => self.linger().map(|()| Heard::Nothing),
        };
        heard.unwrap_or(Heard::End)
    }

    /// Reads as much of the head as there is.
    fn read(&mut self, now: Instant) -> Result<Heard, Over> {
        let Phase::Reading(head) = &mut self.phase else { return Ok(Heard::Nothing) };
        let mut buffer = [0; READ_MAX];
        let mut ended = false;
        while let Some(read) = read(&mut self.stream, &mut buffer)? {
            let room = head.capacity() - head.len();
            head.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default())
                .expect("no more is taken than there is room for");
            ended = read == 0;
            if ended || head.is_full() {
                break;
            }
        }
        let route = match http_server::parse(head) {
            Ok(None) if ended => return Err(Over),
            Ok(None) => return Ok(Heard::Nothing),
            Ok(Some(request)) => route(&request),
            Err(refusal) => Err(refusal),
        };
        match route {
            Ok(route) => Ok(Heard::Ask(route)),
            Err(refusal) => self.refuse(refusal, now).map(|()| Heard::Nothing),
        }
    }

    /// Waits for the answer to a request from now on.
    pub(super) fn ask(&mut self, route: Route, ticket: Ticket, now: Instant) -> Request {
        let (ask, wait) = match route.what {
            What::Status => (Ask::Status, false),
            What::Preview => (Ask::Preview, false),
            What::Trigger { wait } => (Ask::Trigger(None), wait),
        };
        let asked = Asked::new(ticket, wait, now);
        self.deadline = asked.give_up_at();
        self.phase = Phase::Asked { asked, head_only: route.head_only };
        Request { ticket, ask }
    }

    /// Takes the core's word; the last word for the client, unless it goes on waiting.
    pub(super) fn hear(
        &mut self,
        answer: TriggerAnswer,
        utc: impl Fn(Instant) -> Utc,
    ) -> Option<Outcome<'static>> {
        match &mut self.phase {
            Phase::Asked { asked, .. } => asked.hear(answer, utc),
            Phase::Reading(_) | Phase::Lingering { .. } => None,
        }
    }

    pub(super) fn end(&mut self, outcome: &Outcome<'_>, now: Instant) -> Result<(), Over> {
        let mut body = [0; OUTCOME_MAX];
        let length = outcome.emit(&mut body).map_err(|_| Over)?;
        self.reply(outcome.http_status(), body.get(..length).unwrap_or_default(), now)
    }

    pub(super) fn reply(&mut self, status: u16, body: &[u8], now: Instant) -> Result<(), Over> {
        self.send(&AnswerHead { status, length: body.len(), allow: None }, body, now)
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, now: Instant) -> Result<(), Over> {
        let mut body = [0; ANSWER_HEAD_MAX];
        let length = outcome::emit_error(&refusal, &mut body).map_err(|_| Over)?;
        let allow = match refusal {
            Refusal::MethodNotAllowed { allow } => Some(allow),
            _ => None,
        };
        let head = AnswerHead { status: refusal.status(), length, allow };
        self.send(&head, body.get(..length).unwrap_or_default(), now)
    }

    /// Sends the whole answer at once, for which the kernel has room, and begins to linger.
    fn send(&mut self, head: &AnswerHead, body: &[u8], now: Instant) -> Result<(), Over> {
        let body = match self.phase {
            Phase::Asked { head_only: true, .. } => &[],
            _ => body,
        };
        let mut text = String::<ANSWER_HEAD_MAX>::new();
        write!(text, "{head}").map_err(|_| Over)?;
        let parts = [IoSlice::new(text.as_bytes()), IoSlice::new(body)];
        let sent = self.stream.write_vectored(&parts).map_err(|_| Over)?;
        if sent < text.len() + body.len() {
            return Err(Over);
        }
        self.stream.shutdown(Shutdown::Write).map_err(|_| Over)?;
        self.phase = Phase::Lingering { reads: 0 };
        self.deadline = now + PATIENCE;
        self.linger()
    }

    /// Drops what the client still sends, until it ends too.
    fn linger(&mut self) -> Result<(), Over> {
        let Phase::Lingering { reads } = &mut self.phase else { return Ok(()) };
        let mut buffer = [0; READ_MAX];
        while let Some(read) = read(&mut self.stream, &mut buffer)? {
            *reads += 1;
            if read == 0 || *reads >= LINGER_READS_MAX {
                return Err(Over);
            }
        }
        Ok(())
    }

    pub(super) fn on_deadline(&mut self, now: Instant) -> Result<(), Over> {
        let outcome = match &self.phase {
            // Browsers open connections that they may need later: no answer without a question.
            Phase::Reading(head) if head.is_empty() => return Err(Over),
            Phase::Reading(_) => return self.refuse(Refusal::TimedOut, now),
            Phase::Asked { asked, .. } => asked.give_up(now).ok_or(Over)?,
            Phase::Lingering { .. } => return Err(Over),
        };
        self.end(&outcome, now)
    }
}

fn route(request: &http_server::Request<'_>) -> Result<Route, Refusal> {
    let readable = |what| match request.method {
        Method::Get => Ok(Route { what, head_only: false }),
        Method::Head => Ok(Route { what, head_only: true }),
        Method::Post | Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD" }),
    };
    match request.path {
        "/api/meeting/status" => readable(What::Status),
        "/api/meeting/heartbeat/preview" => readable(What::Preview),
        "/api/meeting/heartbeat" if request.method == Method::Post => {
            let wait = !request.query.split('&').any(|parameter| parameter == "wait=0");
            Ok(Route { what: What::Trigger { wait }, head_only: false })
        }
        "/api/meeting/heartbeat" => Err(Refusal::MethodNotAllowed { allow: "POST" }),
        _ => Err(Refusal::NotFound),
    }
}

/// Reads once: 0 bytes at the end of the stream, `None` when it would have to wait.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>, Over> {
    loop {
        match stream.read(buffer) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Over),
        }
    }
}
