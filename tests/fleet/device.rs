//! One device of the fleet: the real core, with a network in which a connection takes one round
//! trip.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{
    Action, Answer, ConnectionId, Failure, Input, ProbeId, QueryId, Reply,
};
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::{Host, Nameserver, ResolverSettings, Server, Settings};
use linkbeat_core::proto::time::Instant;

use crate::plain::{LOCAL, default_route, settings};
use crate::receiver::Beat;
use crate::server::{Fate, Load, Server as Backend};

/// Waits of the kernel between the SYNs of a connection that lives 10 s (since Linux 6.5).
const SYN_WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How long an address of the server's name counts, in seconds.
const TTL_S: u32 = 60;

/// Something that will happen to a device.
#[derive(Debug, Clone)]
enum Coming {
    Established(ConnectionId),
    Answered(ConnectionId, Reply),
    Failed(ConnectionId, Failure),
    ProbeAnswered(ProbeId),
    ProbeFailed(ProbeId, Failure),
    /// The kernel repeats a SYN, the so many-th time.
    SynAgain(ConnectionId, usize),
    ProbeSynAgain(ProbeId, SocketAddr),
    Named(QueryId, Family),
}

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    agent: Agent,
    /// The device key.
    pub(crate) key: usize,
    /// This boot.
    boot_id: u64,
    round_trip: Duration,
    /// When it did something last.
    now: Instant,
    coming: Vec<(Instant, Coming)>,
    /// Its connections.
    open: Vec<(ConnectionId, IpAddr)>,
    /// The keys of the server that its TLS ticket was made with.
    ticket: Option<u32>,
    /// Connections that it opened since this was emptied, and their SYNs that nobody answered.
    pub(crate) attempts: (u32, u32),
    /// Cut off: what it sends vanishes.
    pub(crate) cut_off: bool,
    /// Without power: it does nothing any more.
    pub(crate) dead: bool,
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
            now,
            coming: Vec::new(),
            open: Vec::new(),
            ticket: None,
            attempts: (0, 0),
            cut_off: false,
            dead: false,
            heard_at: None,
        };
        let host = Host::Name("api.example.org".try_into().expect("a name"));
        let named = server.named.then_some(Server { host, port: 443 });
        let settings =
            Settings { recovery_spread, server: named.or(settings().server), ..settings() };
        device.input(Input::Configured(&settings), now, server, load);
        let nameserver = Nameserver { address: [9, 9, 9, 9].into(), scope: None };
        let nameservers = [nameserver].into_iter().collect();
        let resolver = ResolverSettings { nameservers, ..ResolverSettings::default() };
        device.input(Input::ResolverChanged(&resolver), now, server, load);
        device.input(Input::LinksLost, now, server, load);
        let (index, name) = (LinkIndex(2), InterfaceName::new("eth0").expect("a name"));
        let link = LinkEvent::Link { index, name, running: true, mac: None, permanent_mac: None };
        device.input(Input::Link(link), now, server, load);
        device.input(Input::LinksDumped, now, server, load);
        device
    }

    /// Does all that is due before `end`.
    pub(crate) fn run_until(&mut self, end: Instant, server: &Backend, load: &mut Load) {
        while let Some(at) = self.next_at()
            && at < end
        {
            self.now = at;
            self.step(at, server, load);
        }
    }

    /// When something is to be done for it next.
    fn next_at(&self) -> Option<Instant> {
        let coming = self.coming.iter().map(|(at, _)| *at).min();
        let next = coming.into_iter().chain(self.agent.next_deadline(self.now)).min();
        next.filter(|_| !self.dead).map(|at| at.max(self.now))
    }

    /// Does what is due.
    fn step(&mut self, now: Instant, server: &Backend, load: &mut Load) {
        while let Some(due) = self.coming.iter().position(|(at, _)| *at <= now) {
            let (_, coming) = self.coming.remove(due);
            match coming {
                Coming::Established(id) => {
                    load.handshake(self.ticket == Some(server.ticket_keys), now);
                    self.ticket = Some(server.ticket_keys);
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
                    self.forget(id);
                    self.input(Input::ConnectionFailed(id, failure), now, server, load);
                }
                Coming::SynAgain(id, n) => self.syn(id, n, now, server, load),
                Coming::ProbeSynAgain(id, to) => self.probe_syn((id, to), true, now, server, load),
                Coming::Named(id, kind) => {
                    let addresses = server.addresses.iter().copied();
                    let addresses = addresses.filter(|_| kind == Family::V4).collect();
                    let answer = Answer { addresses, ttl_s: TTL_S };
                    self.input(Input::QueryAnswered(id, &answer), now, server, load);
                }
                Coming::ProbeAnswered(id) => {
                    self.input(Input::ProbeAnswered(id), now, server, load);
                }
                Coming::ProbeFailed(id, failure) => {
                    self.input(Input::ProbeFailed(id, failure), now, server, load);
                }
            }
        }
        if self.agent.next_deadline(now).is_some_and(|at| at <= now) {
            self.input(Input::Deadline, now, server, load);
        }
    }

    /// Feeds the core, and performs the resulting actions.
    fn input(&mut self, input: Input<'_>, now: Instant, server: &Backend, load: &mut Load) {
        let actions = self.agent.handle(input, now);
        for action in &actions {
            match *action {
                Action::AskRoutes => {
                    let routes: heapless::Vec<_, 32> =
                        self.agent.questions().filter_map(default_route).collect();
                    self.input(Input::Routes(&routes), now, server, load);
                }
                Action::Connect { id, to, .. } => {
                    self.open.push((id, to.ip()));
                    self.attempts.0 += 1;
                    self.input(Input::Opened(id, LOCAL), now, server, load);
                    self.syn(id, 0, now, server, load);
                }
                Action::SendQuery { query, family, .. } if !self.cut_off => {
                    load.question(now);
                    self.coming.push((now + self.round_trip, Coming::Named(query, family)));
                }
                Action::CloseQuery(query) => self.coming.retain(
                    |(_, coming)| !matches!(coming, Coming::Named(it, _) if *it == query),
                ),
                Action::SendReport { id, seq, .. } => {
                    self.input(Input::Written(id), now, server, load);
                    self.send(id, seq, now, server, load);
                }
                Action::OpenProbe { probe, to, .. } => {
                    self.probe_syn((probe, to), false, now, server, load);
                }
                Action::CheckAcked(id) => {
                    let acked = !self.cut_off && server.fate_at(self.peer(id)) != Fate::Silent;
                    self.input(Input::AckChecked(id, acked), now, server, load);
                }
                Action::CloseConnection(id) => self.forget(id),
                Action::CloseProbe(id) => self.coming.retain(|(_, coming)| {
                    !matches!(coming, Coming::ProbeAnswered(it) | Coming::ProbeFailed(it, _) | Coming::ProbeSynAgain(it, _) if *it == id)
                }),
                _ => {}
            }
        }
    }

    /// The other end of a connection.
    fn peer(&self, id: ConnectionId) -> IpAddr {
        let open = self.open.iter().find(|(it, _)| *it == id);
        open.map(|(_, to)| *to).expect("an open connection")
    }

    /// A connection has ended.
    fn forget(&mut self, id: ConnectionId) {
        self.open.retain(|(it, _)| *it != id);
        self.coming.retain(|(_, coming)| match coming {
            Coming::Established(it)
            | Coming::Answered(it, _)
            | Coming::Failed(it, _)
            | Coming::SynAgain(it, _) => *it != id,
            Coming::ProbeAnswered(_)
            | Coming::ProbeFailed(..)
            | Coming::ProbeSynAgain(..)
            | Coming::Named(..) => true,
        });
    }

    /// The SYN of a connection, or the n-th repetition of it.
    fn syn(&mut self, id: ConnectionId, n: usize, now: Instant, server: &Backend, load: &mut Load) {
        let at = now + self.round_trip;
        let fate = server.fate_at(self.peer(id));
        if !self.cut_off && matches!(fate, Fate::Silent | Fate::Refusing) {
            self.attempts.1 += 1;
            load.syn_in_vain(n > 0, now);
        }
        match fate {
            _ if self.cut_off => self.repeat_syn(id, n, now),
            Fate::Silent => self.repeat_syn(id, n, now),
            Fate::Refusing => self.coming.push((at, Coming::Failed(id, Failure::Refused))),
            Fate::Well | Fate::Overloaded { .. } => {
                load.connection(now);
                self.coming.push((at, Coming::Established(id)));
            }
        }
    }

    fn repeat_syn(&mut self, id: ConnectionId, n: usize, now: Instant) {
        let wait = SYN_WAITS.get(n);
        self.coming.extend(wait.map(|wait| (now + *wait, Coming::SynAgain(id, n + 1))));
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
        let reply = match server.fate_at(self.peer(id)) {
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

    /// The SYN of a probe, or its one repetition.
    fn probe_syn(
        &mut self,
        (probe, to): (ProbeId, SocketAddr),
        again: bool,
        now: Instant,
        server: &Backend,
        load: &mut Load,
    ) {
        let at = now + self.round_trip;
        let is_server = to.port() != 53;
        let fate = if is_server { server.fate_at(to.ip()) } else { Fate::Well };
        let vanishes = self.cut_off || fate == Fate::Silent;
        if !self.cut_off && matches!(fate, Fate::Silent | Fate::Refusing) {
            load.syn_in_vain(again, now);
        }
        if vanishes && !again {
            self.coming.push((now + SYN_WAITS[0], Coming::ProbeSynAgain(probe, to)));
        } else if fate == Fate::Refusing {
            self.coming.push((at, Coming::ProbeFailed(probe, Failure::Refused)));
        } else if !vanishes {
            if is_server {
                load.connection(now);
            }
            self.coming.push((at, Coming::ProbeAnswered(probe)));
        }
    }
}
