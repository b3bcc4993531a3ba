//! The orders of the core, performed: one arm for each, no decision in any.

use std::net::SocketAddr;

use mio::{Interest, Token};

use super::{EventLoop, LOOK_FIRST, NEIGHBOURS, PROBE_FIRST, QUERY_FIRST, listen};
use crate::error::Error;
use crate::net::probe::ProbeSocket;
use crate::net::resolver::QuerySocket;
use crate::proto::event::{Action, Attempt, Failure, Input, Probe, Query, Reason, RecordKind};
use crate::proto::link::Name;
use crate::proto::services::Look;
use crate::proto::settings::{Host, Server};
use crate::sys::neighbours::NeighbourSocket;
use crate::sys::{self, acked};
use crate::wire::dns::Question;
use crate::wire::request::REQUEST_MAX;

impl EventLoop {
    /// Feeds the core and performs what it orders, and what that leads to at once.
    pub(super) fn feed(&mut self, input: Input<'_>) {
        let actions = self.agent.handle(input, self.now);
        actions.into_iter().for_each(|action| self.perform(action));
        while let Some(outcome) = self.outcomes.pop_front() {
            let actions = self.agent.handle(outcome, self.now);
            actions.into_iter().for_each(|action| self.perform(action));
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::DumpLinks => {
                if let Err(error) = self.routes.start_dump() {
                    log::error!("the kernel refuses to list the links: {error}");
                }
            }
            Action::AskRoutes => self.routing.wanted = true,
            Action::WatchNeighbours(wanted) => {
                self.neighbours = wanted.then(|| self.open_neighbours()).flatten();
            }
            Action::OpenProbe { probe, to, via } => {
                if let Err(failure) = self.open_probe(probe, to, via) {
                    self.outcomes.push_back(Input::ProbeFailed(probe, failure));
                }
            }
            Action::OpenLook { look, to } => {
                if let Err(failure) = self.open_look(look, to) {
                    self.outcomes.push_back(Input::ServiceFailed(look, failure));
                }
            }
            Action::CloseLook(look) => drop(self.looks.take(look)),
            Action::CloseProbe(probe) => drop(self.probes.take(probe)),
            Action::SendQuery { query, to, via, kind, search } => {
                if let Err(failure) = self.open_query(query, to, via, kind, search) {
                    self.outcomes.push_back(Input::QueryFailed(query, failure));
                }
            }
            Action::CloseQuery(query) => drop(self.queries.take(query)),
            Action::Connect { attempt, to, via } => {
                self.wall.look(self.now);
                let security = self.setup.security();
                let opened = self.sessions.open(self.poll.registry(), attempt, to, via, security);
                self.outcomes.push_back(match opened {
                    Ok(local) => Input::Opened(attempt, local),
                    Err(failure) => Input::AttemptFailed(attempt, failure),
                });
            }
            Action::SendReport { attempt, seq, reason } => self.send(attempt, seq, &reason),
            Action::CheckAcked(attempt) => {
                let ends = self.sessions.find(attempt).map(|(c, _)| (c.local(), c.remote()));
                // Not known is not acknowledged: it costs one connection more, the other way costs the beat.
                let acked = ends.and_then(|(local, remote)| acked::all_acked(local, remote));
                self.outcomes.push_back(Input::AckChecked(attempt, acked.unwrap_or(false)));
            }
            Action::CloseAttempt(attempt) => self.sessions.close(attempt),
            Action::ParkAttempt(attempt) => self.sessions.park(self.poll.registry(), attempt),
            Action::CloseParked => self.sessions.close_parked(),
            Action::AnswerTrigger(ticket, answer) => self.answer(ticket, answer),
            Action::Note(note) => {
                self.journal.record(&note, self.now);
                self.settle(&note);
            }
        }
    }

    /// Without it, gateways that are back are found by the probes alone.
    fn open_neighbours(&self) -> Option<NeighbourSocket> {
        let opened = NeighbourSocket::open().map_err(Error::system("open rtnetlink socket"));
        opened
            .and_then(|socket| listen(&self.poll, &socket, NEIGHBOURS).map(|()| socket))
            .inspect_err(|error| log::debug!("neighbours cannot be listened to: {error}"))
            .ok()
    }

    fn open_probe(
        &mut self,
        probe: Probe,
        to: SocketAddr,
        via: Option<Name>,
    ) -> Result<(), Failure> {
        let slot = self.probes.free();
        let mut socket = ProbeSocket::open(to, via)?;
        let registry = self.poll.registry();
        registry
            .register(socket.source(), Token(PROBE_FIRST + slot), Interest::WRITABLE)
            .map_err(|error| sys::failure_of(&error))?;
        self.probes.put(slot, probe, socket);
        Ok(())
    }

    /// A service is looked at from the device itself, whatever the uplink.
    fn open_look(&mut self, look: Look, to: SocketAddr) -> Result<(), Failure> {
        let slot = self.looks.free();
        let mut socket = ProbeSocket::open(to, None)?;
        let registry = self.poll.registry();
        registry
            .register(socket.source(), Token(LOOK_FIRST + slot), Interest::WRITABLE)
            .map_err(|error| sys::failure_of(&error))?;
        self.looks.put(slot, look, socket);
        Ok(())
    }

    fn open_query(
        &mut self,
        query: Query,
        to: SocketAddr,
        via: Option<Name>,
        kind: RecordKind,
        search: Option<u8>,
    ) -> Result<(), Failure> {
        let search = search.and_then(|place| self.resolver.search.get(usize::from(place)));
        let Some(Server { host: Host::Name(name), .. }) = &self.setup.config.settings.server else {
            return Err(Failure::NameNotFound);
        };
        let question = Question::new(name, search, kind).ok_or(Failure::NameNotFound)?;
        let slot = self.queries.free();
        let mut socket = QuerySocket::open(to, via, question)?;
        let registry = self.poll.registry();
        registry
            .register(socket.source(), Token(QUERY_FIRST + slot), Interest::READABLE)
            .map_err(|error| sys::failure_of(&error))?;
        self.queries.put(slot, query, socket);
        Ok(())
    }

    fn send(&mut self, attempt: Attempt, seq: u64, reason: &Reason) {
        let mut buffer = [0; REQUEST_MAX];
        let Some(length) = self.compose(attempt, seq, reason, &mut buffer) else {
            return;
        };
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(slot) = self.sessions.write(attempt, request) {
            self.stirred.push(slot);
        }
    }
}
