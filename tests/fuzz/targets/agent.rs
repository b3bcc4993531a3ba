//! The core with arbitrary inputs: it does not panic or spin, and its actions stay within the
//! limits of the real loop.
//!
//! The target tracks sockets as the loop does (`src/event_loop`): they are open until they are
//! closed or reported as ended. After an input that the real loop would never send, only the limits
//! are checked.

#![cfg_attr(not(test), no_main)]

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{
    ATTEMPTS_MAX, Action, Answer, CheckId, ConnectionId, Failure, Input, ProbeId, QueryId, Reply,
    RequestId, TlsFailure,
};
use linkbeat_core::proto::label::{ServiceName, Word};
use linkbeat_core::proto::link::Neighbour;
use linkbeat_core::proto::reach::OUTSTANDING_MAX;
use linkbeat_core::proto::resolve::QUERIES_MAX;
use linkbeat_core::proto::settings::{
    BucketSettings, Host, HostName, Nameserver, ResolverSettings, SERVICES_MAX, Server,
    ServiceSettings, Settings,
};
use linkbeat_core::proto::time::Instant;
use linkbeat_fuzz::Bytes;

/// Most calls that one event may cause without progress of time: every path of a beat, every
/// nameserver and every probe failing at once, twice over.
const CALLS_MAX: u32 = 200;
/// Most wake-ups in a row without progress of time: one may end a round, and the next begin
/// another.
const WAKE_UPS_MAX: u32 = 3;
/// Longer than any uptime. Later instants would saturate.
const LATEST: u64 = 1 << 60;

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Connecting,
    Securing,
    Idle,
    Writing,
    AwaitingReply,
}

struct Loop<'a> {
    bytes: Bytes<'a>,
    agent: Agent,
    now: Instant,
    attempts: Vec<(ConnectionId, Stage)>,
    probes: Vec<ProbeId>,
    queries: Vec<QueryId>,
    checks: Vec<CheckId>,
    outcomes: VecDeque<Input<'static>>,
    /// Whether the real loop could have sent every input so far.
    sound: bool,
    /// The failure of opening a socket, if it fails.
    broken: Option<Failure>,
    requests: u32,
    /// Route queries are pending.
    asked: bool,
}

impl Loop<'_> {
    fn feed(&mut self, input: Input<'_>) {
        self.handle(input);
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls < CALLS_MAX, "no end of orders");
            if let Some(outcome) = self.outcomes.pop_front() {
                self.handle(outcome);
            } else if core::mem::take(&mut self.asked) {
                let questions: Vec<_> = self.agent.questions().collect();
                let routes = questions.into_iter().filter_map(|it| self.bytes.answer(it));
                let routes: Vec<_> = routes.collect();
                self.handle(Input::Routes(&routes));
            } else {
                break;
            }
        }
        let view = self.agent.view(self.now);
        assert!(view.uplink_since <= self.now && view.connectivity_since <= self.now);
        let _device = (self.agent.device_mac(), self.agent.identity(None));
    }

    fn handle(&mut self, input: Input<'_>) {
        trace(|| format!("{:?} > {input:?}", self.now));
        for action in self.agent.handle(input, self.now) {
            trace(|| format!("  < {action:?}"));
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::OpenProbe { probe, .. } => {
                assert!(self.probes.len() < OUTSTANDING_MAX, "too many probes");
                match self.broken {
                    Some(failure) => self.outcomes.push_back(Input::ProbeFailed(probe, failure)),
                    None => self.probes.push(probe),
                }
            }
            Action::CloseProbe(probe) => self.probes.retain(|open| *open != probe),
            Action::SendQuery { query, .. } => {
                assert!(self.queries.len() < QUERIES_MAX, "too many queries");
                match self.broken {
                    Some(failure) => self.outcomes.push_back(Input::QueryFailed(query, failure)),
                    None => self.queries.push(query),
                }
            }
            Action::OpenServiceCheck { check, .. } => {
                assert!(self.checks.len() < SERVICES_MAX, "too many looks");
                match self.broken {
                    Some(failure) => self.outcomes.push_back(Input::ServiceFailed(check, failure)),
                    None => self.checks.push(check),
                }
            }
            Action::CloseServiceCheck(look) => self.checks.retain(|open| *open != look),
            Action::CloseQuery(query) => self.queries.retain(|open| *open != query),
            Action::Connect { id, .. } => {
                assert!(self.attempts.len() <= ATTEMPTS_MAX, "too many connections");
                self.outcomes.push_back(match self.broken {
                    Some(failure) => Input::ConnectionFailed(id, failure),
                    None => {
                        self.attempts.push((id, Stage::Connecting));
                        Input::Opened(id, self.bytes.ip())
                    }
                });
            }
            Action::SendReport { id, .. } => {
                let sound = self.sound;
                let stage = self.stage(id);
                assert!(!sound || stage.as_deref() == Some(&Stage::Idle), "report on {stage:?}");
                if let Some(stage) = stage {
                    *stage = Stage::Writing;
                }
            }
            Action::CheckAcked(id) => {
                assert!(!self.sound || self.stage(id).is_some(), "asks about the closed");
                self.outcomes.push_back(Input::AckChecked(id, self.bytes.bool()));
            }
            Action::CloseConnection(id) | Action::ParkConnection(id) => {
                assert!(!self.sound || self.stage(id).is_some(), "closed twice");
                self.attempts.retain(|(open, _)| *open != id);
            }
            Action::AskRoutes => self.asked = true,
            Action::DumpLinks
            | Action::CloseParked
            | Action::WatchNeighbours(_)
            | Action::AnswerTrigger(..)
            | Action::Note(_) => {}
        }
    }

    fn stage(&mut self, id: ConnectionId) -> Option<&mut Stage> {
        self.attempts.iter_mut().find(|(open, _)| *open == id).map(|(_, stage)| stage)
    }

    /// Executes one event.
    fn step(&mut self) {
        match self.bytes.byte() {
            0..=39 => self.pass(),
            40..=59 => {
                let event = self.bytes.link_event();
                self.feed(Input::Link(event));
            }
            60..=79 => self.bring_up(),
            80..=81 => self.feed(Input::LinksLost),
            82 => self.feed(Input::ClockSet),
            83..=89 => self.feed(Input::LinksDumped),
            90..=94 => {
                let (index, address) = (self.bytes.index(), self.bytes.ip());
                let answers = self.bytes.bool();
                self.feed(Input::Neighbour(Neighbour { index, address, answers }));
            }
            95..=104 => {
                let settings = settings(&mut self.bytes);
                self.feed(Input::Configured(&settings));
            }
            105..=112 => {
                let settings = resolver(&mut self.bytes);
                self.feed(Input::ResolverChanged(&settings));
            }
            113..=125 => {
                let word =
                    self.bytes.maybe(|bytes| Word::new(bytes.pick(&["door", "a"]))).flatten();
                self.requests += 1;
                let request = self.bytes.bool().then_some(RequestId(self.requests));
                self.feed(Input::Triggered { word, request });
            }
            126..=140 => self.end_probe(),
            141..=155 => self.end_query(),
            156..=235 => self.move_connection(),
            246..=248 => self.end_look(),
            236..=245 => self.broken = self.bytes.maybe(failure),
            _ => self.mislead(),
        }
    }

    /// Advances the time, to the next deadline or by any amount. A deadline in between is handled
    /// late.
    fn pass(&mut self) {
        let deadline = self.agent.next_deadline(self.now);
        self.now = match (self.bytes.byte(), deadline) {
            (0..=191, Some(at)) => self.now.max(at),
            (192..=223, _) => self.now + Duration::from_millis(self.bytes.short().into()),
            _ => self.now + Duration::from_micros(self.bytes.log()),
        };
        self.now = self.now.min(Instant::from_micros(LATEST));
        for _ in 0..WAKE_UPS_MAX {
            self.feed(Input::Deadline);
            if self.agent.next_deadline(self.now).is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("spins at {:?}", self.now);
    }

    /// Adds a running interface.
    fn bring_up(&mut self) {
        use linkbeat_core::proto::link::LinkEvent;
        let (index, name) = (self.bytes.index(), self.bytes.name());
        let mac = self.bytes.maybe(Bytes::mac);
        let event = LinkEvent::Link { index, name, running: true, mac, permanent_mac: mac };
        self.feed(Input::Link(event));
    }

    fn end_probe(&mut self) {
        if self.probes.is_empty() {
            return;
        }
        let probe = self.probes.remove(self.bytes.below(self.probes.len()));
        let input = match self.bytes.maybe(failure) {
            None => Input::ProbeAnswered(probe),
            Some(failure) => Input::ProbeFailed(probe, failure),
        };
        self.feed(input);
    }

    fn end_look(&mut self) {
        if let Some(look) = self.checks.pop() {
            let result = self.bytes.maybe(failure);
            self.feed(match result {
                None => Input::ServiceAnswered(look),
                Some(failure) => Input::ServiceFailed(look, failure),
            });
        }
    }

    fn end_query(&mut self) {
        if self.queries.is_empty() {
            return;
        }
        let query = self.queries.remove(self.bytes.below(self.queries.len()));
        let mut answer = Answer::default();
        match self.bytes.maybe(failure) {
            None => {
                answer.ttl_s = u32::try_from(self.bytes.log()).unwrap_or(u32::MAX);
                let count = self.bytes.below(9);
                answer.addresses.extend((0..count).map(|_| self.bytes.ip()));
                self.feed(Input::QueryAnswered(query, &answer));
            }
            Some(failure) => self.feed(Input::QueryFailed(query, failure)),
        }
    }

    /// Advances a connection by one step, or ends it.
    fn move_connection(&mut self) {
        if self.attempts.is_empty() {
            return;
        }
        let place = self.bytes.below(self.attempts.len());
        let (id, stage) = self.attempts[place];
        if self.bytes.byte() >= 192 {
            self.attempts.remove(place);
            let failure = failure(&mut self.bytes);
            return self.feed(Input::ConnectionFailed(id, failure));
        }
        let (stage, input) = match stage {
            Stage::Connecting => (Stage::Securing, Input::Connected(id)),
            Stage::Securing => (Stage::Idle, Input::Secured(id)),
            Stage::Idle => return,
            Stage::Writing => (Stage::AwaitingReply, Input::Written(id)),
            Stage::AwaitingReply => {
                let reply = reply(&mut self.bytes);
                if !reply.keep_alive {
                    self.attempts.remove(place);
                    return self.feed(Input::Replied(id, reply));
                }
                (Stage::Idle, Input::Replied(id, reply))
            }
        };
        self.attempts[place].1 = stage;
        self.feed(input);
    }

    /// Sends an input that no loop would send: steps out of order, or results of closed sockets.
    fn mislead(&mut self) {
        self.sound = false;
        let number = u32::from(self.bytes.byte());
        let (id, probe, query) = (ConnectionId(number), ProbeId(number), QueryId(number));
        let input = match self.bytes.below(10) {
            0 => Input::Opened(id, self.bytes.ip()),
            1 => Input::Connected(id),
            2 => Input::Secured(id),
            3 => Input::Written(id),
            4 => Input::AckChecked(id, self.bytes.bool()),
            5 => {
                let reply = reply(&mut self.bytes);
                self.attempts.retain(|(open, _)| *open != id || reply.keep_alive);
                Input::Replied(id, reply)
            }
            6 => {
                self.attempts.retain(|(open, _)| *open != id);
                Input::ConnectionFailed(id, failure(&mut self.bytes))
            }
            7 => {
                self.probes.retain(|open| *open != probe);
                Input::ProbeAnswered(probe)
            }
            8 => {
                self.probes.retain(|open| *open != probe);
                Input::ProbeFailed(probe, failure(&mut self.bytes))
            }
            _ => {
                self.queries.retain(|open| *open != query);
                Input::QueryFailed(query, failure(&mut self.bytes))
            }
        };
        self.feed(input);
    }
}

/// Prints the steps of the input, if `TRACE` is set in the environment.
fn trace(step: impl FnOnce() -> String) {
    static WANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("TRACE").is_some());
    if *WANTED {
        eprintln!("{}", step());
    }
}

fn failure(bytes: &mut Bytes<'_>) -> Failure {
    bytes.pick(&[
        Failure::Refused,
        Failure::Unreachable,
        Failure::TimedOut,
        Failure::Reset,
        Failure::Closed,
        Failure::NoInterface,
        Failure::Denied,
        Failure::Exhausted,
        Failure::Tls(TlsFailure::NotYetValid),
        Failure::Tls(TlsFailure::ClientCertificateWanted),
        Failure::Malformed,
        Failure::Http2Only,
        Failure::TooLarge,
        Failure::NameNotFound,
        Failure::NameServerFailed,
        Failure::NameServerSilent,
        Failure::Portal(302),
        Failure::NotAccepted,
    ])
}

fn reply(bytes: &mut Bytes<'_>) -> Reply {
    let status = match bytes.byte() {
        0..=127 => 200,
        128..=200 => bytes.pick(&[301, 401, 404, 408, 425, 429, 500, 503, 0]),
        _ => bytes.short(),
    };
    let retry_after = bytes.maybe(Bytes::log).map(Duration::from_secs);
    let mut reply = Reply { retry_after, keep_alive: bytes.bool(), ..Reply::of(status) };
    if bytes.byte() < 32 {
        reply.failure = Some(bytes.pick(&[Failure::Portal(status), Failure::NotAccepted]));
    }
    reply
}

/// A configuration within the limits of its keys.
fn settings(bytes: &mut Bytes<'_>) -> Settings {
    let host = |bytes: &mut Bytes<'_>| match bytes.bool() {
        true => Host::Address(bytes.ip()),
        false => {
            let name = bytes.pick(&["camera.example", "camera", "localhost"]);
            Host::Name(HostName::try_from(name).expect("a name"))
        }
    };
    let bucket = |bytes: &mut Bytes<'_>| BucketSettings {
        burst: bytes.pick(&[1, 2, 5, 1_000]),
        every: Duration::from_millis(bytes.pick(&[0, 1, 2_000, 3_600_000])),
    };
    let mut settings = linkbeat::config::Config::default().settings;
    settings.enabled = bytes.byte() < 240;
    settings.auto_connect = bytes.byte() < 192;
    settings.server =
        (bytes.byte() < 240).then(|| Server { host: host(bytes), port: bytes.pick(&[443, 80]) });
    settings.interval = Duration::from_secs(bytes.pick(&[30, 1, 2, 86_400]));
    settings.bind_to_uplink = bytes.byte() < 192;
    let probes = bytes.below(9);
    if probes > 2 {
        settings.probe_addresses =
            (0..probes).map(|_| (bytes.ip(), bytes.pick(&[53, 443])).into()).collect();
    }
    settings.probe_timeout = Duration::from_millis(bytes.pick(&[2_000, 100, 60_000]));
    settings.request_timeout = Duration::from_millis(bytes.pick(&[10_000, 100, 300_000]));
    settings.trigger_bucket = bucket(bytes);
    settings.network_bucket = bucket(bytes);
    let services = bytes.below(SERVICES_MAX + 1);
    settings.services = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .into_iter()
        .take(services)
        .map(|name| ServiceSettings {
            name: ServiceName::new(name).expect("a name"),
            address: (bytes.ip(), 554).into(),
            interval: Duration::from_secs(bytes.pick(&[10, 1, 3_600])),
        })
        .collect();
    settings.recovery_spread = Duration::from_millis(bytes.pick(&[0, 5_000, 30_000]));
    settings.standby_check = Duration::from_secs(bytes.pick(&[0, 10, 86_400]));
    settings.metered.interfaces = bytes.maybe(Bytes::name).into_iter().collect();
    settings.metered.interval = Duration::from_secs(bytes.pick(&[300, 1, 86_400]));
    settings
}

fn resolver(bytes: &mut Bytes<'_>) -> ResolverSettings {
    let mut settings = ResolverSettings::default();
    for _ in 0..bytes.below(4) {
        let server = Nameserver { address: bytes.ip(), scope: bytes.maybe(Bytes::name) };
        settings.nameservers.push(server).expect("three fit");
    }
    settings.search = bytes.pick(&["", "lan", "lan example.org"]).try_into().expect("they fit");
    settings.ndots = bytes.byte() % 3;
    settings.rotate = bytes.bool();
    settings.tcp = bytes.bool();
    settings.answer_wait = Duration::from_secs(bytes.pick(&[10, 8, 30]));
    if bytes.byte() >= 192 {
        settings.hosts.extend((0..bytes.below(9)).map(|_| bytes.ip()));
    }
    settings
}

linkbeat_fuzz::target!(|data| {
    let mut bytes = Bytes::new(data);
    let now = Instant::from_micros(5_000_000);
    let mut agent = Loop {
        agent: Agent::new(bytes.byte().into(), now),
        bytes,
        now,
        attempts: Vec::new(),
        probes: Vec::new(),
        queries: Vec::new(),
        checks: Vec::new(),
        outcomes: VecDeque::new(),
        sound: true,
        broken: None,
        requests: 0,
        asked: false,
    };
    agent.feed(Input::LinksLost);
    let first = settings(&mut agent.bytes);
    agent.feed(Input::Configured(&first));
    while !agent.bytes.is_empty() {
        agent.step();
    }
});
