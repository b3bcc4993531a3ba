//! One local client of either protocol, and the request that it waits for.

use mio::Registry;

use super::http::HttpClient;
use super::http::guard::Gate;
use super::lines::LineClient;
use super::request::{Event, PendingRequest};
use super::stream::Closed;
use linkbeat_core::proto::event::{RequestId, TriggerAnswer};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::http_server::{Content, Extra, Refusal};
use linkbeat_core::wire::outcome::Outcome;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    /// The connection, in its protocol.
    pub(super) connection: ClientConnection,
    /// The request that the client waits for. Until its answer no other one is read.
    request: Option<PendingRequest>,
}

/// A connection in the protocol that it speaks.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "twenty-eight clients at most, and no allocation")]
pub(super) enum ClientConnection {
    /// Of the status server.
    Http(HttpClient),
    /// Of the trigger socket.
    Lines(LineClient),
}

impl Client {
    pub(super) const fn new(connection: ClientConnection) -> Self {
        Self { connection, request: None }
    }

    /// Does what a readiness allows: of the eventfd if `is_eventfd`, of the connection otherwise.
    pub(super) fn on_ready(
        &mut self,
        is_eventfd: bool,
        gate: &mut Gate,
        registry: &Registry,
        now: Instant,
    ) -> Result<Event, Closed> {
        let is_waiting = self.request.is_some();
        match &mut self.connection {
            ClientConnection::Lines(client) if is_eventfd => Ok(client.on_ring(now, registry)),
            ClientConnection::Lines(client) => {
                client.on_readable();
                if is_waiting { Ok(Event::Nothing) } else { client.on_line(now, registry) }
            }
            // A client that shuts its sending side down may still wait for the answer.
            ClientConnection::Http(_) if is_waiting => Ok(Event::Nothing),
            ClientConnection::Http(client) => client.on_ready(gate, now),
        }
    }

    /// Whether there may be a line that no readiness will announce.
    pub(super) const fn is_pending(&self) -> bool {
        self.request.is_none()
            && matches!(&self.connection, ClientConnection::Lines(client) if client.is_pending())
    }

    /// Has the client wait for the answer to a request.
    pub(super) fn begin_request(&mut self, id: RequestId, wait: bool, now: Instant) {
        self.request = Some(PendingRequest::new(id, wait, now));
    }

    pub(super) fn waits_for(&self, id: RequestId) -> bool {
        self.request.as_ref().is_some_and(|request| request.id == id)
    }

    /// Whether the client waits for the end of a beat.
    pub(super) fn waits_for_beat(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.wait)
    }

    /// The connection, if it is one of HTTP.
    pub(super) const fn http(&self) -> Option<&HttpClient> {
        match &self.connection {
            ClientConnection::Http(client) => Some(client),
            ClientConnection::Lines(_) => None,
        }
    }

    /// From when on an HTTP connection may make room for another one.
    pub(super) fn spare_at(&self) -> Option<Instant> {
        self.http().filter(|_| self.request.is_none()).and_then(HttpClient::spare_at)
    }

    /// Answers an HTTP request with the reason why it is not served.
    pub(super) fn refuse(&mut self, refusal: Refusal, now: Instant) -> Result<(), Closed> {
        match &mut self.connection {
            ClientConnection::Http(client) => client.refuse(refusal, now),
            ClientConnection::Lines(_) => Ok(()),
        }
    }

    /// Takes the core's answer to a trigger, which is the client's unless it waits for the beat.
    pub(super) fn on_answer(
        &mut self,
        answer: TriggerAnswer,
        now: Instant,
        utc: &dyn Fn(Instant) -> Utc,
    ) -> Result<(), Closed> {
        let outcome = self.request.as_mut().and_then(|request| request.on_answer(answer, utc));
        outcome.map_or(Ok(()), |outcome| self.finish(&outcome, now))
    }

    /// Answers a client that waits for a beat that covers triggers up to `covers`.
    pub(super) fn finish_waiting(
        &mut self,
        covers: u64,
        outcome: &Outcome<'_>,
        now: Instant,
    ) -> Result<(), Closed> {
        let is_covered = self.request.as_ref().is_some_and(|request| request.is_covered(covers));
        if is_covered { self.finish(outcome, now) } else { Ok(()) }
    }

    fn finish(&mut self, outcome: &Outcome<'_>, now: Instant) -> Result<(), Closed> {
        self.request = None;
        match &mut self.connection {
            ClientConnection::Http(client) => client.finish(outcome, now),
            ClientConnection::Lines(client) => client.say(outcome),
        }
    }

    /// Answers a request other than a trigger; the connection of a line client ends with it.
    pub(super) fn reply(
        &mut self,
        status: u16,
        content: &Content,
        body: &[u8],
        now: Instant,
    ) -> Result<(), Closed> {
        self.request = None;
        match &mut self.connection {
            ClientConnection::Http(client) => {
                client.reply(status, content, Extra::Nothing, body, now)
            }
            ClientConnection::Lines(client) => {
                if client.send(body).is_err() {
                    log::debug!("a helper did not take an answer of {} bytes", body.len());
                }
                Err(Closed)
            }
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match &self.connection {
            ClientConnection::Http(client) => self.request.is_none().then_some(client.deadline),
            ClientConnection::Lines(client) => client.deadline(),
        };
        own.into_iter().chain(self.request.as_ref().map(|request| request.give_up_at)).min()
    }

    /// Ends what took too long.
    pub(super) fn on_deadline(&mut self, now: Instant, registry: &Registry) -> Result<(), Closed> {
        if let Some(outcome) = self.request.as_ref().and_then(|request| request.give_up(now)) {
            self.finish(&outcome, now)?;
        }
        match &mut self.connection {
            ClientConnection::Http(_) if self.request.is_some() => Ok(()),
            ClientConnection::Http(client) => client.on_deadline(now),
            ClientConnection::Lines(client) => client.on_deadline(now, registry),
        }
    }

    /// Ends the watch, and says whether the eventfd was written to at the very end.
    pub(super) fn close(mut self, registry: &Registry) -> bool {
        match &mut self.connection {
            ClientConnection::Http(_) => false,
            ClientConnection::Lines(client) => {
                client.unwatch(registry);
                client.is_rung()
            }
        }
    }
}
