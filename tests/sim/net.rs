//! What lies beyond the interfaces: paths, servers and nameservers, and TCP as a kernel does it.
//!
//! Every packet is an event. Its path decides when it is sent, and again when it arrives, whether
//! it is carried, lost or rejected; what is lost is sent again when a kernel would.

mod names;
mod paths;
mod tcp;

pub(crate) use names::{NOBODY, ROUTER};
pub(crate) use paths::Flow;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkbeat::proto::event::{
    Answer, Attempt, Failure, Probe, Query, Reply, Ticket, TlsFailure, Word,
};
use linkbeat::proto::link::{LinkEvent, Neighbour};
use linkbeat::proto::rng::Rng;
use linkbeat::proto::routing::Route;
use linkbeat::proto::services::Look;
use linkbeat::proto::settings::{ResolverSettings, Settings};
use linkbeat::proto::time::Instant;

use names::Asked;
use tcp::{Back, Socket, Tcp};

use super::kernel::{Kernel, PLACES};
use super::wall::Wall;

/// Something the loop tells the core: an `Input` that owns what it says.
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
    Triggered(Option<Word>, Ticket),
    Probed(Probe, Result<(), Failure>),
    Looked(Look, Result<(), Failure>),
    Queried(Query, Result<Answer, Failure>),
    Opened(Attempt, IpAddr),
    Connected(Attempt),
    Secured(Attempt),
    Written(Attempt),
    AckChecked(Attempt, bool),
    Replied(Attempt, Reply),
    Failed(Attempt, Failure),
}

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// Answers after a while.
    Slow(Duration),
    /// Takes the request and never answers.
    Mute,
    /// Takes the connection and never answers the handshake.
    Hanging,
    /// Is off: no packet comes back.
    Silent,
    Refusing,
    Status(u16, Option<Duration>),
    /// Somebody answers in its place, or it says no: not a beat is delivered.
    Declining(Failure),
    /// Fails in the middle of its answer.
    Breaking(Failure),
    BadTls(TlsFailure),
}

/// What nameservers do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NameMood {
    Right,
    Slow(Duration),
    Silent,
    Failing(Failure),
    /// Name an address where the server is not, to be remembered for so long; `None`: a short while.
    Wrong(IpAddr, Option<Duration>),
}

/// What the targets of the probe do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ProbeMood {
    Answering,
    Silent,
    Refusing,
}

/// The state of the world outside.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) flows: [Flow; PLACES],
    pub(crate) round_trips: [Duration; PLACES],
    pub(crate) mood: Mood,
    pub(crate) names: NameMood,
    pub(crate) probes: ProbeMood,
    /// Where the server listens.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether it is plain HTTP.
    pub(crate) plain: bool,
    /// Whether the server allows another request on the same connection, and for how long.
    pub(crate) keep_alive: Option<Duration>,
    /// What a service on the device does with a look; `None`: nothing.
    pub(crate) service: Option<Result<(), Failure>>,
    /// The device has no descriptor left.
    pub(crate) exhausted: bool,
}

impl Outside {
    /// The addresses that nameservers know.
    pub(crate) fn named(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|ip| !ip.is_loopback())
    }
}

/// A report that the server has taken in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request {
    pub(crate) seq: u64,
    /// Number of the order to send it.
    pub(crate) order: u64,
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    Syn(Socket, u32),
    SynThere(Socket),
    SynAck(Socket),
    Refuse(Socket, Failure),
    Written(Attempt),
    Segment(Attempt, u32, u32),
    SegmentThere(Attempt, u32),
    Ack(Attempt, u32),
    Answer(Attempt, u32, u32, Back),
    AnswerHere(Attempt, u32, Back),
    IdleClose(Attempt, u32),
    QueryThere(Query),
    QueryBack(Query, Result<Answer, Failure>),
    Notify(LinkEvent),
    Dump(u32),
    Weather,
}

/// Packets since the beginning, both directions, as far as the device sees them.
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
    /// Reports the server acknowledged, in the order in which it took them in.
    pub(crate) taken: Vec<Request>,
    /// Until then, messages of the kernel find no room.
    pub(crate) deaf_until: Option<Instant>,
    lost_told: bool,
    dump: u32,
    dumping: bool,
    rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    sockets: BTreeMap<Socket, Tcp>,
    queries: BTreeMap<Query, Asked>,
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
            deaf_until: None,
            lost_told: false,
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

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets the next thing happen; returns what the loop reads of it, and whether it is time for
    /// the weather to change.
    pub(crate) fn step(&mut self) -> (Vec<News>, bool) {
        let Some(((at, _), event)) = self.events.pop_first() else { return (vec![], false) };
        let weather = matches!(event, Event::Weather);
        self.happen(event, at);
        (std::mem::take(&mut self.news), weather)
    }

    /// The device sleeps: nothing happens to it for a while.
    pub(crate) fn suspend(&mut self, wait: Duration) {
        let events = std::mem::take(&mut self.events);
        self.events = events.into_iter().map(|((at, n), event)| ((at + wait, n), event)).collect();
    }

    /// Routers and servers forget every connection; they answer with a reset, or not at all.
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
            Event::Written(attempt) => {
                if self.sockets.contains_key(&Socket::Attempt(attempt)) {
                    self.news.push(News::Written(attempt));
                }
            }
            Event::Segment(attempt, flight, n) => self.segment(attempt, flight, n, at),
            Event::SegmentThere(attempt, flight) => self.segment_there(attempt, flight, at),
            Event::Ack(attempt, flight) => {
                if let Some(tcp) = self.under_way(attempt, flight) {
                    tcp.acked = true;
                }
            }
            Event::Answer(attempt, flight, n, back) => self.answer(attempt, flight, n, back, at),
            Event::AnswerHere(attempt, flight, back) => self.answer_here(attempt, flight, back, at),
            Event::IdleClose(attempt, flight) => self.idle_close(attempt, flight),
            Event::QueryThere(query) => self.query_there(query, at),
            Event::QueryBack(query, result) => self.query_back(query, result),
            Event::Notify(event) => self.news.push(News::Link(event)),
            Event::Dump(dump) => self.list_links(dump, at),
            Event::Weather => {}
        }
    }

    // ----- The kernel's messages.

    /// The kernel tells of a change, a moment later.
    pub(crate) fn notify(&mut self, told: Vec<LinkEvent>, now: Instant) {
        if self.deaf_until.is_some_and(|until| now < until) {
            if !told.is_empty() && !self.lost_told {
                self.lost_told = true;
                self.news.push(News::LinksLost);
            }
            return;
        }
        for event in told {
            self.put(now + Duration::from_micros(100), Event::Notify(event));
        }
    }

    /// What was overheard while nobody could hear.
    pub(crate) fn overheard(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn start_dump(&mut self, now: Instant) {
        self.lost_told = false;
        self.dumping = true;
        self.dump += 1;
        self.put(now + Duration::from_micros(100), Event::Dump(self.dump));
    }

    /// The kernel could not finish a dump consistently.
    pub(crate) fn interrupt_dump(&mut self) {
        if std::mem::take(&mut self.dumping) {
            self.dump += 1;
            self.lost_told = true;
            self.news.push(News::LinksLost);
        }
    }

    fn list_links(&mut self, dump: u32, at: Instant) {
        if dump != self.dump {
            return;
        }
        if let Some(until) = self.deaf_until.filter(|until| at < *until) {
            // sys::netlink defers a dump until the queue was read empty.
            self.put(until, Event::Dump(dump));
        } else {
            self.dumping = false;
            self.news.extend(self.kernel.list().into_iter().map(News::Link));
            self.news.push(News::LinksDumped);
        }
    }
}
