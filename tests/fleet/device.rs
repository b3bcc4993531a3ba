//! One device of the fleet: the real core, with a network in which a connection takes one round
//! trip.

use std::net::SocketAddr;
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{Action, ConnectionId, Failure, Input, ProbeId, Reply};
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::settings::Settings;
use linkbeat_core::proto::time::Instant;

use crate::plain::{LOCAL, SERVER, default_route, settings};
use crate::receiver::Beat;
use crate::server::{Fate, Load, Server as Backend};

/// Something that will happen to a device.
#[derive(Debug, Clone)]
enum Coming {
    Established(ConnectionId),
    Answered(ConnectionId, Reply),
    Failed(ConnectionId, Failure),
    ProbeAnswered(ProbeId),
    ProbeFailed(ProbeId, Failure),
}

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    agent: Agent,
    /// The device key.
    key: usize,
    /// This boot.
    boot_id: u64,
    round_trip: Duration,
    coming: Vec<(Instant, Coming)>,
    /// Cut off: what it sends vanishes.
    pub(crate) cut_off: bool,
    /// When a beat of it was acknowledged first since this was emptied.
    pub(crate) heard_at: Option<Instant>,
}

impl Device {
    /// Boots: the core with its own seed.
    pub(crate) fn boot(
        key: usize,
        seed: u64,
        (round_trip, recovery_spread): (Duration, Duration),
        now: Instant,
        server: &Backend,
        load: &mut Load,
    ) -> Self {
        let agent = Agent::new(seed, now);
        let mut device = Self {
            agent,
            key,
            boot_id: seed,
            round_trip,
            coming: Vec::new(),
            cut_off: false,
            heard_at: None,
        };
        let settings = Settings { recovery_spread, ..settings() };
        device.input(Input::Configured(&settings), now, server, load);
        device.input(Input::LinksLost, now, server, load);
        let (index, name) = (LinkIndex(2), InterfaceName::new("eth0").expect("a name"));
        let link = LinkEvent::Link { index, name, running: true, mac: None, permanent_mac: None };
        device.input(Input::Link(link), now, server, load);
        device.input(Input::LinksDumped, now, server, load);
        device
    }

    /// When something is to be done for it next.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let coming = self.coming.iter().map(|(at, _)| *at).min();
        coming.into_iter().chain(self.agent.next_deadline(now)).min().map(|at| at.max(now))
    }

    /// Does what is due.
    pub(crate) fn step(&mut self, now: Instant, server: &Backend, load: &mut Load) {
        while let Some(due) = self.coming.iter().position(|(at, _)| *at <= now) {
            let (_, coming) = self.coming.remove(due);
            match coming {
                Coming::Established(id) => {
                    self.input(Input::Connected(id), now, server, load);
                    self.input(Input::Secured(id), now, server, load);
                }
                Coming::Answered(id, reply) => {
                    if reply.failure.is_none() {
                        self.heard_at.get_or_insert(now);
                    }
                    self.input(Input::Replied(id, reply), now, server, load);
                }
                Coming::Failed(id, failure) => {
                    self.input(Input::ConnectionFailed(id, failure), now, server, load);
                }
                Coming::ProbeAnswered(id) => {
                    self.input(Input::ProbeAnswered(id), now, server, load);
                }
                Coming::ProbeFailed(id, failure) => {
                    self.input(Input::ProbeFailed(id, failure), now, server, load);
                }
            }
        }
        self.input(Input::Deadline, now, server, load);
    }

    /// Feeds the core, and performs the resulting actions.
    fn input(&mut self, input: Input<'_>, now: Instant, server: &Backend, load: &mut Load) {
        let actions = self.agent.handle(input, now);
        for action in actions {
            match action {
                Action::AskRoutes => {
                    let routes: heapless::Vec<_, 8> =
                        self.agent.questions().filter_map(default_route).collect();
                    self.input(Input::Routes(&routes), now, server, load);
                }
                Action::Connect { id, .. } => self.connect(id, now, server, load),
                Action::SendReport { id, seq, .. } => {
                    self.input(Input::Written(id), now, server, load);
                    self.send(id, seq, now, server, load);
                }
                Action::OpenProbe { probe, to, .. } => self.probe(probe, to, now, server, load),
                Action::CheckAcked(id) => {
                    let acked = !self.cut_off && server.fate != Fate::Silent;
                    self.input(Input::AckChecked(id, acked), now, server, load);
                }
                Action::CloseConnection(id) => self.forget(id),
                Action::CloseProbe(id) => self.coming.retain(|(_, coming)| {
                    !matches!(coming, Coming::ProbeAnswered(it) | Coming::ProbeFailed(it, _) if *it == id)
                }),
                _ => {}
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        self.coming.retain(|(_, coming)| match coming {
            Coming::Established(it) | Coming::Answered(it, _) | Coming::Failed(it, _) => *it != id,
            Coming::ProbeAnswered(_) | Coming::ProbeFailed(..) => true,
        });
    }

    fn connect(&mut self, id: ConnectionId, now: Instant, server: &Backend, load: &mut Load) {
        self.input(Input::Opened(id, LOCAL), now, server, load);
        if self.cut_off {
            return;
        }
        let at = now + self.round_trip;
        match server.fate {
            Fate::Silent => load.syn_in_vain(now),
            Fate::Refusing => {
                load.syn_in_vain(now);
                self.coming.push((at, Coming::Failed(id, Failure::Refused)));
            }
            Fate::Well | Fate::Overloaded { .. } => {
                load.connection(now);
                self.coming.push((at, Coming::Established(id)));
            }
        }
    }

    fn send(
        &mut self,
        id: ConnectionId,
        seq: u64,
        now: Instant,
        server: &Backend,
        load: &mut Load,
    ) {
        if self.cut_off {
            return;
        }
        let at = now + self.round_trip;
        let reply = match server.fate {
            Fate::Silent => return,
            Fate::Refusing => {
                // Its end took the connections that were kept.
                self.coming.push((at, Coming::Failed(id, Failure::Reset)));
                return;
            }
            Fate::Well => Reply { keep_alive: true, interval: server.interval, ..Reply::of(200) },
            Fate::Overloaded { retry_after } => {
                Reply { keep_alive: true, retry_after, ..Reply::of(503) }
            }
        };
        let next_within = self.agent.next_within(now);
        let beat = Beat { key: self.key, boot_id: self.boot_id, seq, next_within };
        load.request(beat, reply.retry_after, now);
        self.coming.push((at, Coming::Answered(id, reply)));
    }

    fn probe(
        &mut self,
        probe: ProbeId,
        to: SocketAddr,
        now: Instant,
        server: &Backend,
        load: &mut Load,
    ) {
        if self.cut_off {
            return;
        }
        let at = now + self.round_trip;
        let coming = match server.fate {
            _ if to.ip() != SERVER => Coming::ProbeAnswered(probe),
            Fate::Silent => return load.syn_in_vain(now),
            Fate::Refusing => {
                load.syn_in_vain(now);
                Coming::ProbeFailed(probe, Failure::Refused)
            }
            Fate::Well | Fate::Overloaded { .. } => {
                load.connection(now);
                Coming::ProbeAnswered(probe)
            }
        };
        self.coming.push((at, coming));
    }
}
