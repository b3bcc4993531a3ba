//! One connection to the status server, from accept to close.

use std::fmt::Write as _;
#[cfg(test)]
use std::io;
use std::time::Duration;

use heapless::Vec;

use super::answer::{Body, Head, Rest};
use super::guard::Gate;
use super::route::{Route, What, route};
use super::stream::Stream;
use crate::net::local::{Ask, Asked, Request};
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::http_server::{
    self, ANSWER_HEAD_MAX, AnswerHead, Content, Extra, HEAD_MAX, Method, Refusal,
};
use crate::wire::outcome::{self, Outcome};

/// Longest time for a head to arrive, and for a client to go when it has its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time for a client to take an answer that the kernel has no room for: 50 KB at 5 KB/s.
const TAKING_MAX: Duration = Duration::from_secs(10);
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
    Ask(What),
    /// The connection is over.
    End,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    phase: Phase,
    /// Whether the answer is to come without its body.
    head_only: bool,
    deadline: Instant,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "eight connections at most, and no allocation")]
enum Phase {
    Reading(Vec<u8, HEAD_MAX>),
    Asked(Asked),
    /// The kernel has no room for the rest of the answer; the client has to read first.
    Answering(Rest),
    /// Answered. Closing while bytes of the client are unread would make the kernel reset the
    /// connection, and the answer could be lost (RFC 9112 §9.6).
    Lingering {
        reads: u8,
    },
}

impl Connection {
    pub(super) fn new(stream: Stream, now: Instant) -> Self {
        let phase = Phase::Reading(Vec::new());
        Self { stream, phase, head_only: false, deadline: now + PATIENCE }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn has(&self, ticket: Ticket) -> bool {
        matches!(&self.phase, Phase::Asked(asked) if asked.has(ticket))
    }

    #[cfg(test)]
    pub(super) fn send_buffer_size(&self) -> io::Result<usize> {
        self.stream.send_buffer_size()
    }

    #[cfg(test)]
    pub(super) const fn is_answering(&self) -> bool {
        matches!(self.phase, Phase::Answering(_))
    }

    pub(super) fn is_covered(&self, covers: u64) -> bool {
        matches!(&self.phase, Phase::Asked(asked) if asked.is_covered(covers))
    }

    /// Whether the client waits for the end of a beat.
    pub(super) fn waits(&self) -> bool {
        matches!(&self.phase, Phase::Asked(asked) if asked.waits())
    }

    pub(super) fn on_ready(&mut self, gate: &mut Gate, now: Instant) -> Heard {
        let heard = match self.phase {
            Phase::Reading(_) => self.read(gate, now),
            // Whoever shuts its sending side down may still wait for the answer.
            Phase::Asked(_) => Ok(Heard::Nothing),
            Phase::Answering(_) => self.go_on(now).map(|()| Heard::Nothing),
            Phase::Lingering { .. } => self.linger().map(|()| Heard::Nothing),
        };
        heard.unwrap_or(Heard::End)
    }

    /// Reads as much of the request as there is, and answers it if nobody else has to.
    fn read(&mut self, gate: &mut Gate, now: Instant) -> Result<Heard, Over> {
        let Phase::Reading(bytes) = &mut self.phase else { return Ok(Heard::Nothing) };
        let mut buffer = [0; READ_MAX];
        let mut ended = false;
        while let Some(read) = self.stream.read(&mut buffer).map_err(|_| Over)? {
            let room = bytes.capacity() - bytes.len();
            bytes
                .extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default())
                .expect("no more is taken than there is room for");
            ended = read == 0;
            if ended || bytes.is_full() {
                break;
            }
        }
        let route = http_server::parse(bytes, gate.names()).and_then(|request| {
            let Some(request) = request else { return Ok(None) };
            self.head_only = request.method == Method::Head;
            route(&request, gate, self.stream.peer(), now)
        });
        match route {
            Ok(None) if ended => return Err(Over),
            Ok(None) if bytes.is_full() => self.refuse(Refusal::BodyTooLarge, now),
            Ok(None) => Ok(()),
            Ok(Some(Route::Ask(what))) => return Ok(Heard::Ask(what)),
            Ok(Some(Route::Show(status, document, extra))) => {
                self.reply(status, &document.content, extra, Body::Fixed(document.body), now)
            }
            Ok(Some(Route::Same(content))) => {
                self.reply(304, &content, Extra::Nothing, Body::Fixed(&[]), now)
            }
            Ok(Some(Route::Go(path))) => {
                self.reply(303, &Content::JSON, Extra::Location(path), Body::Fixed(&[]), now)
            }
            Ok(Some(Route::LoggedIn(session))) => {
                let extra = Extra::Session(&session, "/");
                self.reply(303, &Content::JSON, extra, Body::Fixed(&[]), now)
            }
            Err(refusal) => self.refuse(refusal, now),
        }
        .map(|()| Heard::Nothing)
    }

    /// Waits for the answer to a request from now on.
    pub(super) fn ask(&mut self, what: What, ticket: Ticket, now: Instant) -> Request {
        let (ask, wait) = match what {
            What::Status => (Ask::Status, false),
            What::Preview => (Ask::Preview, false),
            What::History { after } => (Ask::History { after }, false),
            What::Metrics => (Ask::Metrics, false),
            What::Trigger { wait } => (Ask::Trigger(None), wait),
        };
        let asked = Asked::new(ticket, wait, now);
        self.deadline = asked.give_up_at();
        self.phase = Phase::Asked(asked);
        Request { ticket, ask }
    }

    /// Takes the core's word; the last word for the client, unless it goes on waiting.
    pub(super) fn hear(
        &mut self,
        answer: TriggerAnswer,
        utc: impl Fn(Instant) -> Utc,
    ) -> Option<Outcome<'static>> {
        match &mut self.phase {
            Phase::Asked(asked) => asked.hear(answer, utc),
            Phase::Reading(_) | Phase::Answering(_) | Phase::Lingering { .. } => None,
        }
    }

    pub(super) fn end(&mut self, outcome: &Outcome<'_>, now: Instant) -> Result<(), Over> {
        let mut body = [0; OUTCOME_MAX];
        let length = outcome.emit(&mut body).map_err(|_| Over)?;
        let body = Body::Made(body.get(..length).unwrap_or_default());
        self.reply(outcome.http_status(), &Content::JSON, Extra::Nothing, body, now)
    }

    pub(super) fn reply(
        &mut self,
        status: u16,
        content: &Content,
        extra: Extra<'_>,
        body: Body<'_>,
        now: Instant,
    ) -> Result<(), Over> {
        let length = body.bytes().len();
        self.send(&AnswerHead { status, content: *content, length, extra }, body, now)
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, now: Instant) -> Result<(), Over> {
        let mut body = [0; ANSWER_HEAD_MAX];
        let length = outcome::emit_error(&refusal, &mut body).map_err(|_| Over)?;
        let body = Body::Made(body.get(..length).unwrap_or_default());
        self.reply(refusal.status(), &Content::JSON, refusal.extra(), body, now)
    }

    /// Sends as much of the answer as the kernel takes, which mostly is all, and keeps the rest.
    fn send(&mut self, head: &AnswerHead<'_>, body: Body<'_>, now: Instant) -> Result<(), Over> {
        let body = if self.head_only { Body::Fixed(&[]) } else { body };
        let mut text = Head::new();
        write!(text, "{head}").map_err(|_| Over)?;
        let sent = self.stream.write(text.as_bytes(), body.bytes()).map_err(|_| Over)?.unwrap_or(0);
        if sent == text.len() + body.bytes().len() {
            return self.finish(now);
        }
        self.phase = Phase::Answering(Rest { head: text, body: body.keep(), sent });
        self.deadline = now + TAKING_MAX;
        self.go_on(now)
    }

    /// Sends more of the answer, until the kernel takes no more for now.
    fn go_on(&mut self, now: Instant) -> Result<(), Over> {
        let Phase::Answering(rest) = &mut self.phase else { return Ok(()) };
        while let (head, body) = rest.parts()
            && !(head.is_empty() && body.is_empty())
        {
            let sent = self.stream.write(head, body).map_err(|_| Over)?;
            let Some(sent) = sent else { return Ok(()) };
            rest.sent += sent;
        }
        self.finish(now)
    }

    /// Ends our side and begins to linger.
    fn finish(&mut self, now: Instant) -> Result<(), Over> {
        self.stream.end_sending().map_err(|_| Over)?;
        self.phase = Phase::Lingering { reads: 0 };
        self.deadline = now + PATIENCE;
        self.linger()
    }

    /// Drops what the client still sends, until it ends too.
    fn linger(&mut self) -> Result<(), Over> {
        let Phase::Lingering { reads } = &mut self.phase else { return Ok(()) };
        let mut buffer = [0; READ_MAX];
        while let Some(read) = self.stream.read(&mut buffer).map_err(|_| Over)? {
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
            Phase::Asked(asked) => asked.give_up(now).ok_or(Over)?,
            Phase::Answering(_) => {
                // What the kernel still has for it would outlive the connection.
                if let Err(error) = self.stream.will_reset() {
                    log::debug!("reset a connection to the status server: {error}");
                }
                return Err(Over);
            }
            Phase::Lingering { .. } => return Err(Over),
        };
        self.end(&outcome, now)
    }
}
