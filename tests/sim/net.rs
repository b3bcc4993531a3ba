//! The network beyond the interfaces: paths, servers and nameservers, and TCP as kernels implement
//! it.
//!
//! Every packet is an event. Its path decides when it is sent, and again when it arrives, whether
//! it is carried, lost or rejected. Lost packets are repeated as kernels do.

mod names;
mod paths;
mod tcp;

pub(crate) use names::{NOBODY, ROUTER};
pub(crate) use paths::Flow;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkbeat_core::proto::event::{
    Answer, CheckId, ConnectionId, Failure, ProbeId, QueryId, Reply, RequestId, TlsFailure,
};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::link::{LinkEvent, Neighbour};
use linkbeat_core::proto::rng::Rng;
use linkbeat_core::proto::route::Route;
use linkbeat_core::proto::settings::{ResolverSettings, Settings};
use linkbeat_core::proto::time::Instant;

use names::Asked;
use tcp::{Back, Socket, Tcp};

use super::kernel::{Kernel, PLACES};
use super::wall::Wall;

/// An input from the loop to the core: an `Input` with owned data.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Deadline,
    Link(LinkEvent),
    LinksLost,
    LinksDumped,
    Routes(Vec<Route>),
    Neighbour(Neighbour),
    ClockSet,
    Configured(Box<Settings>),
    ResolverChanged(Box<ResolverSettings>),
    Triggered(Option<Word>, RequestId),
    Probed(ProbeId, Result<(), Failure>),
    CheckFinished(CheckId, Result<(), Failure>),
    Queried(QueryId, Result<Answer, Failure>),
    Opened(ConnectionId, IpAddr),
    Connected(ConnectionId),
    Secured(ConnectionId),
    Written(ConnectionId),
    AckChecked(ConnectionId, bool),
    Replied(ConnectionId, Reply),
    Failed(ConnectionId, Failure),
}

/// Behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// Responds after this time.
    Slow(Duration),
    /// Reads the request and never responds.
    Mute,
    /// Accepts the connection and never answers the handshake.
    Hanging,
    /// The machine is off: no packet comes back.
    Silent,
    Refusing,
    Status(u16, Option<Duration>),
    /// A captive portal responds, or the server does not accept the beat.
    Declining(Failure),
    /// Fails in the middle of its response.
    Breaking(Failure),
    BadTls(TlsFailure),
}

/// Behaviour of the nameservers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NameMood {
    Right,
    Slow(Duration),
    Silent,
    Failing(Failure),
    /// Give an address where the server is not, with this TTL; `None` is a short one.
    Wrong(IpAddr, Option<Duration>),
}

/// Behaviour of the probe targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ProbeMood {
    Answering,
    Silent,
    Refusing,
}

/// The state of the outside world.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) flows: [Flow; PLACES],
    pub(crate) round_trips: [Duration; PLACES],
    pub(crate) mood: Mood,
    pub(crate) names: NameMood,
    pub(crate) probes: ProbeMood,
    /// Addresses of the server.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether the server uses plain HTTP.
    pub(crate) plain: bool,
    /// How long the server keeps a connection open; `None` if it allows one request only.
    pub(crate) keep_alive: Option<Duration>,
    /// The interval that the server sets with every answer.
    pub(crate) interval: Option<Duration>,
    /// Result of a service check; `None` if there is no answer.
    pub(crate) service: Option<Result<(), Failure>>,
    /// No file descriptor is left.
    pub(crate) exhausted: bool,
}

impl Outside {
    /// The addresses that nameservers return.
    pub(crate) fn named(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|ip| !ip.is_loopback())
    }
}

/// A report that the server has received.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request {
    pub(crate) seq: u64,
    /// Number of the action that sent it.
    pub(crate) order: u64,
    /// What it promises.
    pub(crate) next_within: Duration,
}

/// What a receiver believes: it hears again within this time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belief {
    pub(crate) at: Instant,
    pub(crate) within: Duration,
}

/// A future event.
#[derive(Debug)]
enum Event {
    Syn(Socket, u32),
    SynThere(Socket),
    SynAck(Socket),
    Refuse(Socket, Failure),
    Written(ConnectionId),
    Segment(ConnectionId, u32, u32),
    SegmentThere(ConnectionId, u32),
    Ack(ConnectionId, u32),
    Answer(ConnectionId, u32, u32, Back),
    AnswerHere(ConnectionId, u32, Back),
    IdleClose(ConnectionId, u32),
    QueryThere(QueryId),
    QueryBack(QueryId, Result<Answer, Failure>),
    Notify(LinkEvent),
    Dump(u32),
    Weather,
}

/// Packets since the beginning in both directions, as the device sees them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Packets {
    pub(crate) probes: u64,
    pub(crate) syns: u64,
    pub(crate) queries: u64,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) kernel: Kernel,
    pub(crate) outside: Outside,
    pub(crate) packets: Packets,
    pub(crate) wall: Wall,
    /// Reports that the server acknowledged, in the order of arrival.
    pub(crate) taken: Vec<Request>,
    /// What it was promised with every report that it received, acknowledged or not.
    pub(crate) beliefs: Vec<Belief>,
    /// Until when it has asked the device to wait, at the latest.
    asked_until: Instant,
    /// Until this time the kernel's messages do not fit the socket buffer.
    pub(crate) deaf_until: Option<Instant>,
    loss_reported: bool,
    dump: u32,
    dumping: bool,
    rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    sockets: BTreeMap<Socket, Tcp>,
    queries: BTreeMap<QueryId, Asked>,
    news: Vec<News>,
}

impl Net {
    pub(crate) fn new(kernel: Kernel, outside: Outside, seed: u64) -> Self {
        Self {
            kernel,
            outside,
            packets: Packets::default(),
            wall: Wall::new(),
            taken: vec![],
            beliefs: vec![],
            asked_until: Instant::default(),
            deaf_until: None,
            loss_reported: false,
            dump: 0,
            dumping: false,
            rng: Rng::new(seed),
            events: BTreeMap::new(),
            next_event: 0,
            sockets: BTreeMap::new(),
            queries: BTreeMap::new(),
            news: vec![],
        }
    }

    /// Time of the next event.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Executes the next event. Returns the resulting inputs, and whether the weather is to change.
    pub(crate) fn step(&mut self) -> (Vec<News>, bool) {
        let Some(((at, _), event)) = self.events.pop_first() else { return (vec![], false) };
        let weather = matches!(event, Event::Weather);
        self.happen(event, at);
        (std::mem::take(&mut self.news), weather)
    }

    /// Suspends the device: all its events are delayed.
    pub(crate) fn suspend(&mut self, wait: Duration) {
        let events = std::mem::take(&mut self.events);
        self.events = events.into_iter().map(|((at, n), event)| ((at + wait, n), event)).collect();
    }

    /// Routers and servers forget every connection. They respond with a reset if `aloud`, or not at
    /// all.
    pub(crate) fn forget_connections(&mut self, aloud: bool) {
        for socket in self.sockets.values_mut().filter(|socket| !socket.connecting) {
            socket.forgotten = Some(aloud);
        }
    }

    pub(crate) fn plan_weather(&mut self, at: Instant) {
        self.put(at, Event::Weather);
    }

    fn put(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }

    fn happen(&mut self, event: Event, at: Instant) {
        match event {
            Event::Syn(socket, n) => self.syn(socket, n, at),
            Event::SynThere(socket) => self.syn_there(socket, at),
            Event::SynAck(socket) => self.syn_ack(socket, at),
            Event::Refuse(socket, failure) => self.refuse(socket, failure),
            Event::Written(id) => {
                if self.sockets.contains_key(&Socket::ConnectionId(id)) {
                    self.news.push(News::Written(id));
                }
            }
            Event::Segment(id, flight, n) => self.segment(id, flight, n, at),
            Event::SegmentThere(id, flight) => self.segment_there(id, flight, at),
            Event::Ack(id, flight) => {
                if let Some(tcp) = self.under_way(id, flight) {
                    tcp.acked = true;
                }
            }
            Event::Answer(id, flight, n, back) => self.answer(id, flight, n, back, at),
            Event::AnswerHere(id, flight, back) => self.answer_here(id, flight, back, at),
            Event::IdleClose(id, flight) => self.idle_close(id, flight),
            Event::QueryThere(query) => self.query_there(query, at),
            Event::QueryBack(query, result) => self.query_back(query, result),
            Event::Notify(event) => self.news.push(News::Link(event)),
            Event::Dump(dump) => self.list_links(dump, at),
            Event::Weather => {}
        }
    }

    // ----- The kernel's messages.

    /// The kernel announces changes, a moment later.
    pub(crate) fn notify(&mut self, events: Vec<LinkEvent>, now: Instant) {
        if self.deaf_until.is_some_and(|until| now < until) {
            if !events.is_empty() && !self.loss_reported {
                self.loss_reported = true;
                self.news.push(News::LinksLost);
            }
            return;
        }
        for event in events {
            self.put(now + Duration::from_micros(100), Event::Notify(event));
        }
    }

    /// The messages after a period without room for them.
    pub(crate) fn overheard(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn start_dump(&mut self, now: Instant) {
        self.loss_reported = false;
        self.dumping = true;
        self.dump += 1;
        self.put(now + Duration::from_micros(100), Event::Dump(self.dump));
    }

    /// The kernel cannot complete a dump consistently.
    pub(crate) fn interrupt_dump(&mut self) {
        if std::mem::take(&mut self.dumping) {
            self.dump += 1;
            self.loss_reported = true;
            self.news.push(News::LinksLost);
        }
    }

    fn list_links(&mut self, dump: u32, at: Instant) {
        if dump != self.dump {
            return;
        }
        if let Some(until) = self.deaf_until.filter(|until| at < *until) {
            // sys::netlink sends the dump request only when the queue is empty.
            self.put(until, Event::Dump(dump));
        } else {
            self.dumping = false;
            self.news.extend(self.kernel.list().into_iter().map(News::Link));
            self.news.push(News::LinksDumped);
        }
    }
}
