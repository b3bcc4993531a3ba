//! What lies beyond the interfaces: paths, servers and nameservers, and TCP as a kernel does it.
//!
//! Every packet is an event. Its path decides when it is sent, and again when it arrives, whether
//! it is carried, lost or rejected; what is lost is sent again when a kernel would.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use linkbeat::proto::event::{
    Answer, Attempt, Failure, Probe, Query, RecordKind, Reply, Ticket, TlsFailure, Word,
};
use linkbeat::proto::link::{LinkEvent, LinkIndex, Name, Neighbour};
use linkbeat::proto::rng::Rng;
use linkbeat::proto::services::Look;
use linkbeat::proto::settings::{ResolverSettings, Settings};
use linkbeat::proto::time::Instant;

use super::kernel::{Interface, Kernel};
use super::wall::Wall;
use super::weather::pick;

/// First wait before a SYN is sent again; doubled each time.
const SYN_WAIT: Duration = Duration::from_secs(1);
/// How long sent bytes may go without an ACK (`TCP_USER_TIMEOUT`).
const ACK_TIMEOUT: Duration = Duration::from_secs(1);
/// Shortest wait before other bytes are sent again; doubled each time.
const SEGMENT_WAIT: Duration = Duration::from_millis(200);
/// Most times that a server repeats an answer.
const ANSWERS_MAX: u32 = 6;

/// Something the loop tells the core: an `Input` that owns what it says.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Deadline,
    Link(LinkEvent),
    LinksLost,
    LinksDumped,
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

/// What an interface's uplink does to packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Flow {
    Open,
    /// Drops all, silently.
    Silent,
    /// Rejects all: with a TCP reset for `Refused`, else by ICMP.
    Rejecting(Failure),
    /// A captive portal: answers every TCP connection itself.
    Portal,
    /// Loses this many of a hundred packets.
    Lossy(u64),
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
    /// Name an address where nobody is.
    Wrong,
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
    pub(crate) flows: [Flow; 3],
    pub(crate) round_trips: [Duration; 3],
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

/// Where a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Inside,
    Out(LinkIndex),
}

/// What becomes of a packet.
enum Fate {
    Carried(Duration),
    Lost,
    Rejected(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Socket {
    Probe(Probe),
    Attempt(Attempt),
}

/// A report that the server has taken in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request {
    pub(crate) seq: u64,
    /// Number of the order to send it.
    pub(crate) order: u64,
}

/// One TCP socket.
#[derive(Debug)]
struct Tcp {
    to: SocketAddr,
    local: IpAddr,
    way: Way,
    connecting: bool,
    /// The other end has forgotten the connection: says so with a reset, or not at all.
    forgotten: Option<bool>,
    /// Number of the message under way: 1 is the handshake, the requests follow.
    flight: u32,
    sent_at: Instant,
    arrived: bool,
    acked: bool,
    answered: bool,
    request: Option<Request>,
}

#[derive(Debug)]
struct Asked {
    to: SocketAddr,
    local: IpAddr,
    way: Way,
    kind: RecordKind,
}

/// What a server sends back.
#[derive(Debug, Clone, Copy)]
enum Back {
    Hello,
    Reply(Reply),
    Failure(Failure),
}

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
    DumpPart(u32, u8),
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
            Event::DumpPart(dump, part) => self.dump_part(dump, part, at),
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
        self.put(now + Duration::from_micros(100), Event::DumpPart(self.dump, 0));
    }

    /// The kernel could not finish a dump consistently.
    pub(crate) fn interrupt_dump(&mut self) {
        if std::mem::take(&mut self.dumping) {
            self.dump += 1;
            self.lost_told = true;
            self.news.push(News::LinksLost);
        }
    }

    fn dump_part(&mut self, dump: u32, part: u8, at: Instant) {
        if dump != self.dump {
            return;
        }
        if let Some(until) = self.deaf_until.filter(|until| at < *until) {
            // sys::netlink defers a dump until the queue was read empty.
            self.put(until, Event::DumpPart(dump, 0));
        } else if part < 3 {
            self.news.extend(self.kernel.list(part).into_iter().map(News::Link));
            self.put(at + Duration::from_micros(200), Event::DumpPart(dump, part + 1));
        } else {
            self.dumping = false;
            self.news.push(News::LinksDumped);
        }
    }

    // ----- Paths.

    /// The way of a new socket and its local address, or why there is none.
    fn route(&self, to: IpAddr, via: Option<Name>) -> Result<(Way, IpAddr), Failure> {
        if self.outside.exhausted {
            return Err(Failure::Exhausted);
        }
        if let Some(via) = via {
            let it = self.kernel.by_name(via).ok_or(Failure::NoInterface)?;
            let local = it.source(to.is_ipv4()).ok_or(Failure::Unreachable)?;
            return Ok((Way::Out(it.index), local));
        }
        if self.kernel.is_own(to) {
            return Ok((Way::Inside, to));
        }
        let usable = |it: &&Interface| it.source(to.is_ipv4()).is_some();
        let best = self.kernel.present().filter(usable).min_by_key(|it| it.metric());
        let best = best.ok_or(Failure::Unreachable)?;
        Ok((Way::Out(best.index), best.source(to.is_ipv4()).ok_or(Failure::Unreachable)?))
    }

    /// What becomes of a packet between `local` and `to`, in either direction.
    fn fate(&mut self, way: Way, local: IpAddr, to: IpAddr) -> Fate {
        let Way::Out(index) = way else { return Fate::Carried(Duration::from_micros(50)) };
        let Some(it) = self.kernel.by_index(index) else { return Fate::Lost };
        if !it.runs() || !it.has(local) || self.kernel.is_own(to) {
            return Fate::Lost;
        }
        let place = self.kernel.interfaces.iter().position(|it| it.index == index).unwrap();
        let half = self.outside.round_trips[place] / 2;
        let jitter = self.rng.fraction(half / 4);
        match self.outside.flows[place] {
            Flow::Open | Flow::Portal => Fate::Carried(half + jitter),
            Flow::Silent => Fate::Lost,
            Flow::Rejecting(failure) => Fate::Rejected(failure),
            Flow::Lossy(percent) if self.rng.below(100) < percent => Fate::Lost,
            Flow::Lossy(_) => Fate::Carried(half + jitter),
        }
    }

    fn is_portal(&self, way: Way) -> bool {
        let Way::Out(index) = way else { return false };
        let place = self.kernel.interfaces.iter().position(|it| it.index == index);
        place.is_some_and(|place| self.outside.flows[place] == Flow::Portal)
    }

    fn fate_of(&mut self, socket: Socket) -> Fate {
        let Some(tcp) = self.sockets.get(&socket) else { return Fate::Lost };
        let (way, local, to) = (tcp.way, tcp.local, tcp.to.ip());
        self.fate(way, local, to)
    }

    // ----- TCP: probes and connections.

    /// # Errors
    ///
    /// What the kernel knows at once.
    pub(crate) fn open_probe(
        &mut self,
        probe: Probe,
        to: SocketAddr,
        via: Option<Name>,
        now: Instant,
    ) -> Result<(), Failure> {
        self.open(Socket::Probe(probe), to, via, now).map(|_| ())
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// What the kernel knows at once.
    pub(crate) fn connect(
        &mut self,
        attempt: Attempt,
        to: SocketAddr,
        via: Option<Name>,
        now: Instant,
    ) -> Result<IpAddr, Failure> {
        self.open(Socket::Attempt(attempt), to, via, now)
    }

    fn open(
        &mut self,
        socket: Socket,
        to: SocketAddr,
        via: Option<Name>,
        now: Instant,
    ) -> Result<IpAddr, Failure> {
        let (way, local) = self.route(to.ip(), via)?;
        let tcp = Tcp {
            to,
            local,
            way,
            connecting: true,
            forgotten: None,
            flight: 0,
            sent_at: now,
            arrived: false,
            acked: false,
            answered: false,
            request: None,
        };
        self.sockets.insert(socket, tcp);
        self.put(now, Event::Syn(socket, 0));
        Ok(local)
    }

    pub(crate) fn close_probe(&mut self, probe: Probe) {
        self.sockets.remove(&Socket::Probe(probe));
    }

    pub(crate) fn close(&mut self, attempt: Attempt) {
        self.sockets.remove(&Socket::Attempt(attempt));
    }

    fn connecting(&self, socket: Socket) -> bool {
        self.sockets.get(&socket).is_some_and(|tcp| tcp.connecting)
    }

    fn syn(&mut self, socket: Socket, n: u32, at: Instant) {
        if !self.connecting(socket) {
            return;
        }
        match socket {
            Socket::Probe(_) => self.packets.probes += 1,
            Socket::Attempt(_) => self.packets.syns += 1,
        }
        self.put(at + SYN_WAIT * 2_u32.pow(n.min(6)), Event::Syn(socket, n + 1));
        match self.fate_of(socket) {
            Fate::Carried(wait) => self.put(at + wait, Event::SynThere(socket)),
            Fate::Rejected(failure) => {
                self.put(at + Duration::from_millis(1), Event::Refuse(socket, failure));
            }
            Fate::Lost => {}
        }
    }

    fn syn_there(&mut self, socket: Socket, at: Instant) {
        let Some(tcp) = self.sockets.get(&socket).filter(|tcp| tcp.connecting) else { return };
        let (to, way) = (tcp.to, tcp.way);
        let Fate::Carried(wait) = self.fate_of(socket) else { return };
        let back = match self.listens(to, way) {
            None => return,
            Some(true) => Event::SynAck(socket),
            Some(false) => Event::Refuse(socket, Failure::Refused),
        };
        self.put(at + wait, back);
    }

    /// Whether somebody listens there (false: the machine refuses); `None`: nobody is there.
    fn listens(&self, to: SocketAddr, way: Way) -> Option<bool> {
        if self.is_portal(way) {
            return Some(true);
        }
        if self.outside.addresses.contains(&to.ip()) {
            return match self.outside.mood {
                Mood::Silent => None,
                Mood::Refusing => Some(false),
                _ => Some(true),
            };
        }
        if to.port() != 53 {
            return None;
        }
        match self.outside.probes {
            ProbeMood::Answering => Some(true),
            ProbeMood::Silent => None,
            ProbeMood::Refusing => Some(false),
        }
    }

    fn syn_ack(&mut self, socket: Socket, at: Instant) {
        let Fate::Carried(_) = self.fate_of(socket) else { return };
        let Some(tcp) = self.sockets.get_mut(&socket).filter(|tcp| tcp.connecting) else { return };
        tcp.connecting = false;
        match socket {
            Socket::Probe(probe) => {
                // SYN-ACK, ACK, and the reset of dropping it.
                self.packets.probes += 3;
                self.sockets.remove(&socket);
                self.news.push(News::Probed(probe, Ok(())));
            }
            Socket::Attempt(attempt) => {
                self.news.push(News::Connected(attempt));
                if self.outside.plain {
                    self.news.push(News::Secured(attempt));
                } else {
                    self.take_off(attempt, None, at);
                }
            }
        }
    }

    fn refuse(&mut self, socket: Socket, failure: Failure) {
        if !self.connecting(socket) {
            return;
        }
        self.sockets.remove(&socket);
        match socket {
            Socket::Probe(probe) => {
                self.packets.probes += 1;
                self.news.push(News::Probed(probe, Err(failure)));
            }
            Socket::Attempt(attempt) => self.news.push(News::Failed(attempt, failure)),
        }
    }

    /// Sends a message over an established connection.
    fn take_off(&mut self, attempt: Attempt, request: Option<Request>, at: Instant) {
        // One whose end has not been read yet takes the bytes and forgets them.
        let Some(tcp) = self.sockets.get_mut(&Socket::Attempt(attempt)) else { return };
        tcp.flight += 1;
        tcp.sent_at = at;
        tcp.arrived = false;
        tcp.acked = false;
        tcp.answered = false;
        tcp.request = request;
        let flight = tcp.flight;
        self.put(at, Event::Segment(attempt, flight, 0));
    }

    pub(crate) fn send_report(&mut self, attempt: Attempt, request: Request, now: Instant) {
        self.take_off(attempt, Some(request), now);
        self.put(now + Duration::from_micros(20), Event::Written(attempt));
    }

    pub(crate) fn all_acked(&self, attempt: Attempt) -> bool {
        let tcp = self.sockets.get(&Socket::Attempt(attempt));
        tcp.is_some_and(|tcp| !tcp.connecting && (tcp.acked || tcp.flight == 0))
    }

    /// The connection, if this message is still the one under way.
    fn under_way(&mut self, attempt: Attempt, flight: u32) -> Option<&mut Tcp> {
        let tcp = self.sockets.get_mut(&Socket::Attempt(attempt))?;
        (tcp.flight == flight && !tcp.answered).then_some(tcp)
    }

    fn fail(&mut self, attempt: Attempt, failure: Failure) {
        if self.sockets.remove(&Socket::Attempt(attempt)).is_some() {
            self.news.push(News::Failed(attempt, failure));
        }
    }

    fn segment(&mut self, attempt: Attempt, flight: u32, n: u32, at: Instant) {
        let Some(tcp) = self.under_way(attempt, flight).filter(|tcp| !tcp.acked) else { return };
        if n > 0 && at - tcp.sent_at >= ACK_TIMEOUT {
            self.fail(attempt, Failure::TimedOut);
            return;
        }
        let wait = self.segment_wait() * 2_u32.pow(n.min(6));
        self.put(at + wait, Event::Segment(attempt, flight, n + 1));
        match self.fate_of(Socket::Attempt(attempt)) {
            Fate::Carried(wait) => self.put(at + wait, Event::SegmentThere(attempt, flight)),
            Fate::Rejected(Failure::Refused) => self.fail(attempt, Failure::Reset),
            Fate::Rejected(_) | Fate::Lost => {}
        }
    }

    fn segment_wait(&self) -> Duration {
        let slowest = self.outside.round_trips.iter().max().copied().unwrap_or_default();
        SEGMENT_WAIT.max(slowest * 3 / 2)
    }

    fn segment_there(&mut self, attempt: Attempt, flight: u32, at: Instant) {
        let socket = Socket::Attempt(attempt);
        let Fate::Carried(wait) = self.fate_of(socket) else { return };
        let portal = self.sockets.get(&socket).is_some_and(|tcp| self.is_portal(tcp.way));
        let mood = if portal { Mood::BadTls(TlsFailure::UnknownIssuer) } else { self.outside.mood };
        let moved = {
            let Some(tcp) = self.sockets.get(&socket) else { return };
            !portal && !self.outside.addresses.contains(&tcp.to.ip())
        };
        let Some(tcp) = self.under_way(attempt, flight) else { return };
        if let Some(aloud) = tcp.forgotten {
            if aloud {
                self.put(
                    at + wait,
                    Event::AnswerHere(attempt, flight, Back::Failure(Failure::Reset)),
                );
            }
            return;
        }
        if mood == Mood::Silent || moved {
            return;
        }
        let first = !std::mem::replace(&mut tcp.arrived, true);
        let request = tcp.request;
        if mood == Mood::Refusing {
            self.put(at + wait, Event::AnswerHere(attempt, flight, Back::Failure(Failure::Reset)));
            return;
        }
        self.put(at + wait, Event::Ack(attempt, flight));
        if first && let Some((thinking, back)) = self.serve(mood, request) {
            self.put(at + thinking, Event::Answer(attempt, flight, 0, back));
        }
    }

    /// The server takes a message in: what it will answer, and after how long.
    fn serve(&mut self, mood: Mood, request: Option<Request>) -> Option<(Duration, Back)> {
        let soon = Duration::from_millis(2);
        let Some(request) = request else {
            return match mood {
                Mood::Hanging => None,
                Mood::BadTls(failure) => Some((soon, Back::Failure(Failure::Tls(failure)))),
                _ => Some((soon, Back::Hello)),
            };
        };
        let reply = |status, retry_after| {
            Back::Reply(Reply {
                status,
                retry_after,
                keep_alive: self.outside.keep_alive.is_some(),
            })
        };
        match mood {
            Mood::Well | Mood::Slow(_) => {
                let thinking = if let Mood::Slow(wait) = mood { wait } else { soon };
                let back = reply(200, None);
                self.taken.push(request);
                Some((thinking, back))
            }
            Mood::Status(status, retry_after) => Some((soon, reply(status, retry_after))),
            Mood::Breaking(failure) => Some((soon, Back::Failure(failure))),
            Mood::BadTls(failure) => Some((soon, Back::Failure(Failure::Tls(failure)))),
            Mood::Mute | Mood::Hanging | Mood::Silent | Mood::Refusing => None,
        }
    }

    fn answer(&mut self, attempt: Attempt, flight: u32, n: u32, back: Back, at: Instant) {
        if self.under_way(attempt, flight).is_none() || n > ANSWERS_MAX {
            return;
        }
        let wait = self.segment_wait() * 2_u32.pow(n);
        self.put(at + wait, Event::Answer(attempt, flight, n + 1, back));
        if self.outside.mood == Mood::Silent {
            return;
        }
        if let Fate::Carried(wait) = self.fate_of(Socket::Attempt(attempt)) {
            self.put(at + wait, Event::AnswerHere(attempt, flight, back));
        }
    }

    fn answer_here(&mut self, attempt: Attempt, flight: u32, back: Back, at: Instant) {
        let Fate::Carried(_) = self.fate_of(Socket::Attempt(attempt)) else { return };
        let Some(tcp) = self.under_way(attempt, flight) else { return };
        tcp.answered = true;
        tcp.acked = true;
        match back {
            Back::Hello => match self.wall.verdict(at) {
                None => self.news.push(News::Secured(attempt)),
                Some(failure) => self.fail(attempt, Failure::Tls(failure)),
            },
            Back::Reply(reply) => {
                if !self.outside.plain {
                    self.wall.hear_date(at);
                }
                self.news.push(News::Replied(attempt, reply));
                match self.outside.keep_alive.filter(|_| reply.keep_alive) {
                    Some(idle) => self.put(at + idle, Event::IdleClose(attempt, flight)),
                    None if reply.keep_alive => {}
                    None => self.close(attempt),
                }
            }
            Back::Failure(failure) => self.fail(attempt, failure),
        }
    }

    /// The server closes a connection that nobody used for a while.
    fn idle_close(&mut self, attempt: Attempt, flight: u32) {
        let socket = Socket::Attempt(attempt);
        let Some(tcp) = self.sockets.get_mut(&socket).filter(|tcp| tcp.flight == flight) else {
            return;
        };
        tcp.forgotten = tcp.forgotten.or(Some(true));
        if let Fate::Carried(_) = self.fate_of(socket) {
            self.fail(attempt, Failure::Closed);
        }
    }

    // ----- Names.

    /// # Errors
    ///
    /// What the kernel knows at once.
    pub(crate) fn ask(
        &mut self,
        query: Query,
        to: SocketAddr,
        via: Option<Name>,
        kind: RecordKind,
        now: Instant,
    ) -> Result<(), Failure> {
        let (way, local) = self.route(to.ip(), via)?;
        self.packets.queries += 1;
        self.queries.insert(query, Asked { to, local, way, kind });
        match self.fate(way, local, to.ip()) {
            Fate::Carried(wait) => self.put(now + wait, Event::QueryThere(query)),
            Fate::Rejected(failure) => {
                self.put(now + Duration::from_millis(1), Event::QueryBack(query, Err(failure)));
            }
            Fate::Lost => {}
        }
        Ok(())
    }

    pub(crate) fn forget_query(&mut self, query: Query) {
        self.queries.remove(&query);
    }

    fn query_there(&mut self, query: Query, at: Instant) {
        let Some(asked) = self.queries.get(&query) else { return };
        let (way, local, to, kind) = (asked.way, asked.local, asked.to.ip(), asked.kind);
        let Fate::Carried(wait) = self.fate(way, local, to) else { return };
        let of_kind = |ip: &&IpAddr| ip.is_ipv4() == (kind == RecordKind::A);
        let outside = |ip: &&IpAddr| !ip.is_loopback();
        let ttl_s = pick(&mut self.rng, &[0, 1, 30, 300]);
        let right = Answer {
            addresses: self
                .outside
                .addresses
                .iter()
                .filter(of_kind)
                .filter(outside)
                .copied()
                .collect(),
            ttl_s,
        };
        let (thinking, result) = match self.outside.names {
            NameMood::Right => (Duration::from_millis(1), Ok(right)),
            NameMood::Slow(wait) => (wait, Ok(right)),
            NameMood::Silent => return,
            NameMood::Failing(failure) => (Duration::from_millis(1), Err(failure)),
            NameMood::Wrong => {
                let nobody = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));
                let addresses = [nobody].into_iter().filter(|ip| of_kind(&ip)).collect();
                (Duration::from_millis(1), Ok(Answer { addresses, ttl_s }))
            }
        };
        self.put(at + thinking + wait, Event::QueryBack(query, result));
    }

    fn query_back(&mut self, query: Query, result: Result<Answer, Failure>) {
        let Some(asked) = self.queries.get(&query) else { return };
        let (way, local, to) = (asked.way, asked.local, asked.to.ip());
        if let Fate::Lost = self.fate(way, local, to) {
            return;
        }
        self.packets.queries += 1;
        self.queries.remove(&query);
        self.news.push(News::Queried(query, result));
    }
}
