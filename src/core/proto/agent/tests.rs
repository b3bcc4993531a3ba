use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

mod beats;
mod connectivity;
mod goodbye;
mod identity;
mod inputs;
mod interval;
mod late;
mod names;
mod outages;
mod paths;
mod promise;
mod rounds;
mod services;
mod standby;
mod steps;
mod triggers;
mod unbound;
mod waits;

use super::*;
use crate::proto::event::{
    Acknowledged, Action, Answer, ConnectionId, Failure, Note, ProbeId, QueryId, Reason, Reply,
    RequestId, TriggerAnswer,
};
use crate::proto::link::{Announcement, InterfaceName, LinkEvent, LinkIndex, ObjectChange};
use crate::proto::race::Attempt;
use crate::proto::reach::Connectivity;
use crate::proto::route::Route;
use crate::proto::routing::ROUTES_MAX;
use crate::proto::routing::tests::tables::{Entry, Tables};
use crate::proto::settings::{
    BucketSettings, Host, MeteredSettings, Nameserver, ResolverSettings, Server,
};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
const PROBE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), 53);
const ETH0: u8 = 2;
const WLAN1: u8 = 3;

fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).expect("a name")
}

fn link_name(index: u8) -> InterfaceName {
    name(if index == ETH0 { "eth0" } else { "wlan1" })
}

/// Settings with a server that has a name.
fn named() -> Settings {
    let host = Host::Name("api.example.org".try_into().expect("a name"));
    Settings { server: Some(Server { host, port: 443 }), ..settings() }
}

fn settings() -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: true,
        auto_connect: true,
        server: Some(Server { host: Host::Address(SERVER), port: 443 }),
        interval: Duration::from_secs(30),
        interfaces: ["eth0", "wlan1", "wlan0"].map(name).into_iter().collect(),
        ignore_interfaces: ["lo"].map(name).into_iter().collect(),
        bind_to_uplink: true,
        probe_addresses: [PROBE].into_iter().collect(),
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        recovery_spread: Duration::ZERO,
        metered: MeteredSettings {
            interfaces: heapless::Vec::new(),
            interval: Duration::from_secs(300),
        },
        standby_check: Duration::ZERO,
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: heapless::Vec::new(),
    }
}

/// The agent with a clock that a test moves.
struct Bench {
    agent: Agent,
    now: Instant,
    actions: Vec<Action>,
    tables: Tables,
    /// How often the kernel was asked.
    asked: u32,
}

impl Bench {
    /// Configured, with eth0 up: the start-up beat is being connected.
    fn new() -> Self {
        Self::with(&settings())
    }

    fn unconfigured(now: Instant) -> Self {
        let (actions, tables) = (vec![], Tables::default());
        Self { agent: Agent::new(7, now), now, actions, tables, asked: 0 }
    }

    fn with(settings: &Settings) -> Self {
        let now = Instant::from_micros(1_000_000);
        let mut bench = Self::unconfigured(now);
        bench.input(Input::Configured(settings));
        bench.start_cycle();
        bench.input(Input::LinksLost);
        bench.up(ETH0);
        bench.input(Input::LinksDumped);
        bench
    }

    /// The same, with the start-up beat acknowledged and its connection closed.
    fn idle() -> Self {
        let mut bench = Self::new();
        bench.deliver(false);
        bench
    }

    fn input(&mut self, input: Input<'_>) -> &[Action] {
        let mut actions: Vec<Action> = self.agent.handle(input, self.now).into_iter().collect();
        // As the loop does: the kernel answers before anything else is read.
        while let Some(at) = actions.iter().position(|action| *action == Action::AskRoutes) {
            actions.remove(at);
            self.asked += 1;
            let answer = |question| self.tables.answer(question);
            let routes: Vec<Route> = self.agent.questions().filter_map(answer).collect();
            actions.extend(self.agent.handle(Input::Routes(&routes), self.now));
        }
        self.actions = actions;
        &self.actions
    }

    fn up(&mut self, index: u8) {
        self.link(index, true);
        self.address(index, 10);
        let mut entry = Entry::new(index.into(), "0.0.0.0", 0, 100 * u32::from(index));
        entry.gateway = Some(local(LinkIndex(index.into()), 1));
        if !self.tables.entries.contains(&entry) {
            self.tables.entries.push(entry);
        }
        let actions = self.actions.clone();
        self.announce(false);
        self.actions.splice(0..0, actions);
    }

    /// The kernel announces that its tables have changed.
    fn announce(&mut self, gone: bool) {
        let state = u64::try_from(self.tables.entries.len() + self.tables.addresses.len());
        let state = state.expect("a small number") + 1;
        let change = if gone { ObjectChange::Removed } else { ObjectChange::Set };
        let announcement = Announcement { network: None, object: 1, state, change };
        self.input(Input::Link(LinkEvent::Announced(announcement)));
    }

    fn link(&mut self, index: u8, running: bool) {
        let event = LinkEvent::Link {
            index: LinkIndex(index.into()),
            name: link_name(index),
            running,
            mac: None,
            permanent_mac: None,
        };
        self.input(Input::Link(event));
    }

    fn address(&mut self, index: u8, host: u8) {
        let index = LinkIndex(index.into());
        let address = (index, local(index, host));
        if !self.tables.addresses.contains(&address) {
            self.tables.addresses.push(address);
        }
        self.announce(false);
    }

    /// The resolver's files name this nameserver.
    fn nameserver(&mut self, address: IpAddr) {
        let nameservers = [Nameserver { address, scope: None }].into_iter().collect();
        let settings = ResolverSettings { nameservers, ..Default::default() };
        self.input(Input::ResolverChanged(&settings));
    }

    fn drop_address(&mut self, index: u8, host: u8) {
        let index = LinkIndex(index.into());
        let address = (index, local(index, host));
        self.tables.addresses.retain(|it| *it != address);
        self.announce(true);
    }

    /// Has the cycle tick an interval from now.
    fn start_cycle(&mut self) {
        self.agent.demand.set_phase(self.now + ms(30_000));
    }

    /// Lets time pass, deadline by deadline; returns every action on the way.
    fn pass(&mut self, wait: Duration) -> Vec<Action> {
        let end = self.now + wait;
        let mut all = vec![];
        let mut steps = 0;
        while let Some(at) = self.agent.next_deadline(self.now).filter(|at| *at <= end) {
            assert!(at >= self.now || steps == 0, "a deadline in the past");
            steps += 1;
            assert!(steps < 100_000, "the agent spins");
            self.now = self.now.max(at);
            all.extend(self.input(Input::Deadline).iter().cloned());
        }
        self.now = end;
        self.actions.clone_from(&all);
        all
    }

    /// The connection of this number, while it races.
    fn attempt(&self, id: ConnectionId) -> Option<&Attempt> {
        self.agent.delivery.race().attempts.iter().find(|open| open.id == id)
    }

    fn connect(&self) -> Option<(ConnectionId, Option<InterfaceName>)> {
        self.actions.iter().find_map(|action| match action {
            Action::Connect { id, via, .. } => Some((*id, *via)),
            _ => None,
        })
    }

    fn report(&self) -> Option<(ConnectionId, u64, Reason)> {
        self.actions.iter().find_map(|action| match action {
            Action::SendReport { id, seq, reason } => Some((*id, *seq, reason.clone())),
            _ => None,
        })
    }

    fn connects(&self) -> Vec<(ConnectionId, Option<InterfaceName>, SocketAddr)> {
        let connect = |action: &Action| match action {
            Action::Connect { id, to, via } => Some((*id, *via, *to)),
            _ => None,
        };
        self.actions.iter().filter_map(connect).collect()
    }

    fn fail(&mut self, id: ConnectionId, failure: Failure) {
        self.input(Input::ConnectionFailed(id, failure));
    }

    fn last_probe(&self) -> Option<ProbeId> {
        self.actions.iter().rev().find_map(|action| match action {
            Action::OpenProbe { probe, .. } => Some(*probe),
            _ => None,
        })
    }

    fn probe(&self) -> Option<ProbeId> {
        self.actions.iter().find_map(|action| match action {
            Action::OpenProbe { probe, .. } => Some(*probe),
            _ => None,
        })
    }

    fn query(&self) -> Option<QueryId> {
        self.actions.iter().find_map(|action| match action {
            Action::SendQuery { query, .. } => Some(*query),
            _ => None,
        })
    }

    fn answer(&self) -> Option<TriggerAnswer> {
        self.actions.iter().find_map(|action| match action {
            Action::AnswerTrigger(_, answer) => Some(*answer),
            _ => None,
        })
    }

    fn notes(&self) -> Vec<Note> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Note(note) => Some(note.clone()),
                _ => None,
            })
            .collect()
    }

    /// Takes the connection under way up to the written report.
    fn write(&mut self) -> (ConnectionId, u64, Reason) {
        let (id, _) = self.connect().expect("a connection under way");
        self.establish(id)
    }

    fn establish(&mut self, id: ConnectionId) -> (ConnectionId, u64, Reason) {
        let via = self.attempt(id).and_then(|open| open.via);
        let index = if via == Some(link_name(WLAN1)) { WLAN1 } else { ETH0 };
        self.input(Input::Opened(id, local(LinkIndex(index.into()), 10)));
        self.input(Input::Connected(id));
        self.input(Input::Secured(id));
        let report = self.report().expect("a report");
        self.input(Input::Written(id));
        report
    }

    /// Has the connection under way deliver its beat; returns number and reason.
    fn deliver(&mut self, keep_alive: bool) -> (u64, Reason) {
        let (id, seq, reason) = self.write();
        self.reply(id, 200, keep_alive);
        (seq, reason)
    }

    fn reply(&mut self, id: ConnectionId, status: u16, keep_alive: bool) {
        let reply = Reply { keep_alive, ..Reply::of(status) };
        self.input(Input::Replied(id, reply));
    }

    fn trigger(&mut self) {
        self.input(Input::Triggered { word: None, request: Some(RequestId(1)) });
    }
}

fn local(index: LinkIndex, host: u8) -> IpAddr {
    let net = u8::try_from(index.0).expect("a small index");
    IpAddr::V4(Ipv4Addr::new(192, 168, net, host))
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
