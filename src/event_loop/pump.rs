//! Connections to the server: moved on as far as they go, each step fed to the core.

use super::{CONNECTION_FIRST, EventLoop, RTNETLINK};
use crate::net::connection::Progress;
use crate::net::tls::{Hint, TlsSession};
use crate::sys::clock;
use linkbeat_core::proto::event::{ConnectionId, Failure, Input};
use linkbeat_core::wire::date::Utc;

/// Most rounds of questions after one visit. An answer may lead to another question, but not for
/// ever.
const ROUNDS_MAX: usize = 4;
/// Most steps of one connection in one visit.
const STEPS_MAX: usize = 32;

impl EventLoop {
    /// Does at once what a visit has led to: pumps connections that were given a report, and asks
    /// the kernel what the core wants to know.
    pub(super) fn follow_up(&mut self) {
        for round in 0.. {
            while let Some(slot) = self.pump_now.pop() {
                self.pump(slot);
            }
            if !self.routes_wanted {
                return;
            }
            if round == ROUNDS_MAX {
                self.again.push(RTNETLINK);
                return;
            }
            self.routes_wanted = false;
            let mut routes = Vec::new();
            let (port, binds) = (self.agent.server_port(), self.agent.binds());
            let asked = self.route_asker.ask(self.agent.questions(), port, binds, &mut routes);
            if asked.is_err() {
                routes.clear();
            }
            self.links_retry.routes_asked(asked, self.now);
            self.feed(Input::Routes(&routes));
        }
    }

    /// Moves a connection as far as it goes, and feeds the core each step.
    pub(super) fn pump(&mut self, slot: usize) {
        for _ in 0..STEPS_MAX {
            let counters = &mut self.reporter.history.counters;
            let Some((id, step)) = self.sessions.step(slot, self.now, counters) else {
                return;
            };
            // TLS takes its time: the stamps distinguish the steps of a beat within one wake-up.
            self.now = clock::now();
            match step {
                Ok(Progress::Drained) => {
                    self.pump_now.retain(|pump_now| *pump_now != slot);
                    return;
                }
                Ok(Progress::Spent) => break,
                Ok(Progress::Connected) => self.feed(Input::Connected(id)),
                Ok(Progress::Secured) => self.feed(Input::Secured(id)),
                Ok(Progress::Written) => self.feed(Input::Written(id)),
                Ok(Progress::Replied) => self.take_reply(id),
                Err(failure) => self.take_failure(id, failure),
            }
        }
        self.again.push(CONNECTION_FIRST + slot);
    }

    fn take_reply(&mut self, id: ConnectionId) {
        let Some((connection, response)) = self.sessions.find(id) else { return };
        let config = &self.setup.config;
        let asked = config.settings.server.as_ref().map(|server| &server.host);
        let mut reply = response.reply(asked, self.wall.best(self.now));
        let hint = connection.tls().and_then(|tls| tls.hint(reply.status, response.body()));
        match hint {
            Some(Hint::Failure(failure)) => {
                reply.failure = Some(Failure::Tls(failure));
                self.reporter.remark(format_args!("HTTP {}", reply.status));
            }
            Some(Hint::Words(words)) => self.reporter.remark(words),
            None => {}
        }
        if let Some(location) = response.location().filter(|text| !config.contains_token(text)) {
            self.reporter.remark(location);
        }
        match (reply.failure, str::from_utf8(response.body())) {
            (None, _) => {
                if let Some(Err(unusable)) = response.interval() {
                    self.reporter.ignore_interval(unusable);
                }
                self.reporter.keep_answer(response.body(), |text| config.contains_token(text));
            }
            (Some(Failure::NotAccepted), Ok(why)) if !config.contains_token(why) => {
                self.reporter.remark(why);
            }
            (Some(_), _) => {}
        }
        if let (Some(Utc(date_s)), Some(tls)) = (response.date(), connection.tls())
            && tls.is_secured()
        {
            self.wall.learn_date(date_s, |date_s| tls.is_valid_at(date_s), self.now);
        }
        if !reply.keep_alive {
            self.sessions.close(id);
        } else if reply.failure.is_none() {
            self.sessions.note_acknowledged(id);
        }
        self.feed(Input::Replied(id, reply));
    }

    fn take_failure(&mut self, id: ConnectionId, failure: Failure) {
        if let Some((connection, _)) = self.sessions.find(id) {
            let place = connection.remote();
            match connection.tls().and_then(TlsSession::detail) {
                Some(detail) => self.reporter.remark(format_args!("{place}: {detail}")),
                None => self.reporter.remark(place),
            }
        }
        self.sessions.drop_failed(id);
        self.feed(Input::ConnectionFailed(id, failure));
    }
}
