//! The orders of the core, performed: one arm for each, no decision in any.

use mio::Interest;

use super::sessions::{Order, WAITS_FOR_RANDOM};
use super::{EventLoop, NEIGHBOURS, listen};
use crate::error::Error;
use crate::net::probe::ProbeSocket;
use crate::net::resolver::QuerySocket;
use crate::sys::neighbours::NeighbourSocket;
use crate::sys::tcp_table;
use linkbeat_core::proto::event::{Action, ConnectionId, Failure, Input, Reason};
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::{Host, Server};
use linkbeat_core::wire::dns::Question;
use linkbeat_core::wire::request::REQUEST_MAX;

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
            Action::DumpLinks => self.dump_links(),
            Action::AskRoutes => self.routes_wanted = true,
            Action::WatchNeighbours(wanted) => {
                self.neighbours = wanted.then(|| self.open_neighbours()).flatten();
            }
            Action::OpenProbe { probe, to, via } => {
                let registry = self.poll.registry();
                let opened = ProbeSocket::open(to, via).and_then(|socket| {
                    self.probes.open(registry, probe, socket, Interest::WRITABLE)
                });
                if let Err(failure) = opened {
                    self.outcomes.push_back(Input::ProbeFailed(probe, failure));
                }
            }
            Action::OpenServiceCheck { check, to } => {
                // From the device itself, whatever the uplink.
                let registry = self.poll.registry();
                let opened = ProbeSocket::open(to, None).and_then(|socket| {
                    self.checks.open(registry, check, socket, Interest::WRITABLE)
                });
                if let Err(failure) = opened {
                    self.outcomes.push_back(Input::ServiceFailed(check, failure));
                }
            }
            Action::CloseServiceCheck(check) => drop(self.checks.take(check)),
            Action::CloseProbe(probe) => drop(self.probes.take(probe)),
            Action::SendQuery { query, to, via, family, search, transport } => {
                let (registry, wait, now) =
                    (self.poll.registry(), self.resolver.answer_wait, self.now);
                let opened = self.question(family, search).and_then(|question| {
                    // Two of the same are twice as easy to answer for an attacker (RFC 5452 §5).
                    let same = |it: &QuerySocket| it.asks(to, via, &question);
                    self.queries.close_if(|it| same(it) && it.is_older_than(wait, now));
                    if self.queries.rename(query, |it| same(it) && it.ask_again(transport)) {
                        return Ok(());
                    }
                    let socket = QuerySocket::open(to, via, question, transport, now)?;
                    let interest = socket.interest();
                    self.queries.open(registry, query, socket, interest)
                });
                if let Err(failure) = opened {
                    self.outcomes.push_back(Input::QueryFailed(query, failure));
                }
            }
            Action::CloseQuery(query) => drop(self.queries.take(query)),
            Action::Connect { id, to, via } => self.connect(Order { id, to, via }),
            Action::SendReport { id, seq, reason } => self.send(id, seq, &reason),
            Action::CheckAcked(id) => {
                let ends = self.sessions.find(id).map(|(c, _)| (c.local(), c.remote()));
                // Not known is not acknowledged: it costs one connection more, the other way costs
                // the beat.
                let acked = ends.and_then(|(local, remote)| tcp_table::all_acked(local, remote));
                self.outcomes.push_back(Input::AckChecked(id, acked.unwrap_or(false)));
            }
            Action::CloseConnection(id) => self.sessions.close(id),
            Action::ParkConnection(id) => self.sessions.park(self.poll.registry(), id),
            Action::CloseParked => self.sessions.close_parked(),
            Action::AnswerTrigger(id, answer) => {
                self.local.on_answer(id, answer, self.now, |at| self.wall.date(at, self.now));
            }
            Action::Note(note) => {
                self.reporter.record(&note, self.now);
                self.finish_waiting(&note);
            }
        }
    }

    fn connect(&mut self, order: Order) {
        self.wall.update(self.now);
        let (registry, tls) = (self.poll.registry(), self.setup.tls.clone());
        match self.sessions.open(registry, order, tls, self.now) {
            Ok(Some(local)) => self.outcomes.push_back(Input::Opened(order.id, local)),
            Ok(None) => self.reporter.remark(WAITS_FOR_RANDOM),
            Err(failure) => self.outcomes.push_back(Input::ConnectionFailed(order.id, failure)),
        }
    }

    /// Opens the connections that had to wait for random numbers; their results are fed next.
    pub(super) fn connect_held(&mut self) {
        self.sessions.take_held(self.now).into_iter().for_each(|order| self.connect(order));
    }

    /// Without it, gateways that are back are found by the probes alone.
    fn open_neighbours(&self) -> Option<NeighbourSocket> {
        let opened = NeighbourSocket::open().map_err(Error::system("open rtnetlink socket"));
        opened
            .and_then(|socket| listen(&self.poll, [&socket], NEIGHBOURS).map(|()| socket))
            .inspect_err(|error| log::debug!("neighbours cannot be listened to: {error}"))
            .ok()
    }

    fn question(&self, family: Family, search: Option<u8>) -> Result<Question, Failure> {
        let search = search.and_then(|place| self.resolver.domains().nth(usize::from(place)));
        let Some(Server { host: Host::Name(name), .. }) = &self.setup.config.settings.server else {
            return Err(Failure::NameNotFound);
        };
        Question::new(name, search, family).ok_or(Failure::NameNotFound)
    }

    fn send(&mut self, id: ConnectionId, seq: u64, reason: &Reason) {
        let mut buffer = [0; REQUEST_MAX];
        let Some(length) = self.compose(id, seq, reason, &mut buffer) else {
            return;
        };
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(slot) = self.sessions.write(id, request) {
            self.pump_now.push(slot);
        }
    }
}
