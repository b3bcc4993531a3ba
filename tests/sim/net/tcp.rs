//! TCP between two kernels and a server, for probes and connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkbeat_core::proto::event::{ConnectionId, Failure, ProbeId, Reply, TlsFailure};
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::time::Instant;

use super::names::ROUTER;
use super::paths::{Fate, NEIGHBOUR_WAIT, Way};
use super::{Belief, Event, Flow, Mood, Net, News, ProbeMood, Request};

/// First wait before a SYN is repeated. It doubles each time.
const SYN_WAIT: Duration = Duration::from_secs(1);
/// Shortest wait before a segment is repeated. It doubles each time.
const SEGMENT_WAIT: Duration = Duration::from_millis(200);
/// Most repetitions of a server's response.
const ANSWERS_MAX: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Socket {
    Probe(ProbeId),
    ConnectionId(ConnectionId),
}

/// One TCP socket.
#[derive(Debug)]
pub(super) struct Tcp {
    to: SocketAddr,
    local: IpAddr,
    way: Way,
    pub(super) connecting: bool,
    /// The peer has forgotten the connection; true if it answers with a reset.
    pub(super) forgotten: Option<bool>,
    /// Number of the current message: 1 is the handshake, requests follow.
    flight: u32,
    arrived: bool,
    pub(super) acked: bool,
    answered: bool,
    request: Option<Request>,
}

/// The response of a server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Back {
    Hello,
    Reply(Reply),
    Failure(Failure),
}

/// The machine that accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Peer {
    /// The owner of the address.
    Owner,
    /// A captive portal, which redirects with this status.
    Portal(u16),
    /// A middlebox that acknowledges everything and never responds.
    Accelerator,
}

impl Net {
    fn fate_of(&mut self, socket: Socket) -> Fate {
        let Some(tcp) = self.sockets.get(&socket) else { return Fate::Lost };
        let (way, local, to) = (tcp.way, tcp.local, tcp.to.ip());
        self.fate(way, local, to)
    }

    /// # Errors
    ///
    /// Failures that the kernel reports immediately.
    pub(crate) fn open_probe(
        &mut self,
        probe: ProbeId,
        to: SocketAddr,
        via: Option<InterfaceName>,
        now: Instant,
    ) -> Result<(), Failure> {
        self.open(Socket::Probe(probe), to, via, now).map(|_| ())
    }

    /// Returns the local address.
    ///
    /// # Errors
    ///
    /// Failures that the kernel reports immediately.
    pub(crate) fn connect(
        &mut self,
        id: ConnectionId,
        to: SocketAddr,
        via: Option<InterfaceName>,
        now: Instant,
    ) -> Result<IpAddr, Failure> {
        self.open(Socket::ConnectionId(id), to, via, now)
    }

    fn open(
        &mut self,
        socket: Socket,
        to: SocketAddr,
        via: Option<InterfaceName>,
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
            arrived: false,
            acked: false,
            answered: false,
            request: None,
        };
        self.sockets.insert(socket, tcp);
        self.put(now, Event::Syn(socket, 0));
        if way == Way::OnLink {
            self.put(now + NEIGHBOUR_WAIT, Event::Refuse(socket, Failure::Unreachable));
        }
        Ok(local)
    }

    pub(crate) fn close_probe(&mut self, probe: ProbeId) {
        self.sockets.remove(&Socket::Probe(probe));
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.sockets.remove(&Socket::ConnectionId(id));
    }

    fn connecting(&self, socket: Socket) -> bool {
        self.sockets.get(&socket).is_some_and(|tcp| tcp.connecting)
    }

    pub(super) fn syn(&mut self, socket: Socket, n: u32, at: Instant) {
        if !self.connecting(socket) {
            return;
        }
        match socket {
            Socket::Probe(_) => self.packets.probes += 1,
            Socket::ConnectionId(_) => self.packets.syns += 1,
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

    pub(super) fn syn_there(&mut self, socket: Socket, at: Instant) {
        let Some(tcp) = self.sockets.get(&socket).filter(|tcp| tcp.connecting) else { return };
        let (to, peer) = (tcp.to, self.peer(tcp));
        let Fate::Carried(wait) = self.fate_of(socket) else { return };
        let back = match self.listens(to, peer) {
            None => return,
            Some(true) => Event::SynAck(socket),
            Some(false) => Event::Refuse(socket, Failure::Refused),
        };
        self.put(at + wait, back);
    }

    /// The machine that receives the segments of a connection.
    fn peer(&self, tcp: &Tcp) -> Peer {
        match self.flow_of(tcp.way) {
            Some(Flow::Portal(status)) => Peer::Portal(status),
            Some(_) if self.accelerates(tcp.way, tcp.to.ip()) => Peer::Accelerator,
            _ => Peer::Owner,
        }
    }

    /// Whether the port is open; false if the connection is refused. `None` if no machine answers.
    fn listens(&self, to: SocketAddr, peer: Peer) -> Option<bool> {
        if peer != Peer::Owner || (to.ip() == ROUTER && to.port() != 53) {
            return Some(peer != Peer::Owner);
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

    pub(super) fn syn_ack(&mut self, socket: Socket, at: Instant) {
        let Fate::Carried(_) = self.fate_of(socket) else { return };
        let Some(tcp) = self.sockets.get_mut(&socket).filter(|tcp| tcp.connecting) else { return };
        tcp.connecting = false;
        match socket {
            Socket::Probe(probe) => {
                // SYN-ACK, ACK, and the reset of the immediate close.
                self.packets.probes += 3;
                self.sockets.remove(&socket);
                self.news.push(News::Probed(probe, Ok(())));
            }
            Socket::ConnectionId(id) => {
                self.news.push(News::Connected(id));
                if self.outside.plain {
                    self.news.push(News::Secured(id));
                } else {
                    self.take_off(id, None, at);
                }
            }
        }
    }

    pub(super) fn refuse(&mut self, socket: Socket, failure: Failure) {
        if !self.connecting(socket) {
            return;
        }
        self.sockets.remove(&socket);
        match socket {
            Socket::Probe(probe) => {
                self.packets.probes += 1;
                self.news.push(News::Probed(probe, Err(failure)));
            }
            Socket::ConnectionId(id) => self.news.push(News::Failed(id, failure)),
        }
    }

    /// Sends a message over an established connection.
    fn take_off(&mut self, id: ConnectionId, request: Option<Request>, at: Instant) {
        // Bytes to a closed connection are accepted until its end has been read.
        let Some(tcp) = self.sockets.get_mut(&Socket::ConnectionId(id)) else { return };
        tcp.flight += 1;
        tcp.arrived = false;
        tcp.acked = false;
        tcp.answered = false;
        tcp.request = request;
        let flight = tcp.flight;
        self.put(at, Event::Segment(id, flight, 0));
    }

    pub(crate) fn send_report(&mut self, id: ConnectionId, request: Request, now: Instant) {
        self.take_off(id, Some(request), now);
        self.put(now + Duration::from_micros(20), Event::Written(id));
    }

    pub(crate) fn all_acked(&self, id: ConnectionId) -> bool {
        let tcp = self.sockets.get(&Socket::ConnectionId(id));
        tcp.is_some_and(|tcp| !tcp.connecting && (tcp.acked || tcp.flight == 0))
    }

    /// The connection, if this message is still the current one.
    pub(super) fn under_way(&mut self, id: ConnectionId, flight: u32) -> Option<&mut Tcp> {
        let tcp = self.sockets.get_mut(&Socket::ConnectionId(id))?;
        (tcp.flight == flight && !tcp.answered).then_some(tcp)
    }

    pub(super) fn fail(&mut self, id: ConnectionId, failure: Failure) {
        if self.sockets.remove(&Socket::ConnectionId(id)).is_some() {
            self.news.push(News::Failed(id, failure));
        }
    }

    pub(super) fn segment(&mut self, id: ConnectionId, flight: u32, n: u32, at: Instant) {
        if self.under_way(id, flight).is_none_or(|tcp| tcp.acked) {
            return;
        }
        let wait = self.segment_wait() * 2_u32.pow(n.min(6));
        self.put(at + wait, Event::Segment(id, flight, n + 1));
        match self.fate_of(Socket::ConnectionId(id)) {
            Fate::Carried(wait) => self.put(at + wait, Event::SegmentThere(id, flight)),
            Fate::Rejected(Failure::Refused) => self.fail(id, Failure::Reset),
            Fate::Rejected(_) | Fate::Lost => {}
        }
    }

    fn segment_wait(&self) -> Duration {
        let slowest = self.outside.round_trips.iter().max().copied().unwrap_or_default();
        SEGMENT_WAIT.max(slowest * 3 / 2)
    }

    pub(super) fn segment_there(&mut self, id: ConnectionId, flight: u32, at: Instant) {
        let socket = Socket::ConnectionId(id);
        let Fate::Carried(wait) = self.fate_of(socket) else { return };
        let Some(tcp) = self.sockets.get(&socket) else { return };
        let peer = self.peer(tcp);
        let moved = peer == Peer::Owner && !self.outside.addresses.contains(&tcp.to.ip());
        let mood = match peer {
            Peer::Owner => self.outside.mood,
            Peer::Portal(status) if self.outside.plain => Mood::Declining(Failure::Portal(status)),
            Peer::Portal(_) => Mood::BadTls(TlsFailure::UnknownIssuer),
            Peer::Accelerator => Mood::Hanging,
        };
        let Some(tcp) = self.under_way(id, flight) else { return };
        if let Some(aloud) = tcp.forgotten {
            if aloud {
                self.put(at + wait, Event::AnswerHere(id, flight, Back::Failure(Failure::Reset)));
            }
            return;
        }
        if mood == Mood::Silent || moved {
            return;
        }
        let first = !std::mem::replace(&mut tcp.arrived, true);
        let request = tcp.request;
        if mood == Mood::Refusing {
            self.put(at + wait, Event::AnswerHere(id, flight, Back::Failure(Failure::Reset)));
            return;
        }
        self.put(at + wait, Event::Ack(id, flight));
        if first && let Some((thinking, back)) = self.serve(mood, request, at) {
            self.put(at + thinking, Event::Answer(id, flight, 0, back));
        }
    }

    /// The server receives a message. Returns its response and the time until then.
    fn serve(
        &mut self,
        mood: Mood,
        request: Option<Request>,
        at: Instant,
    ) -> Option<(Duration, Back)> {
        let soon = Duration::from_millis(2);
        let Some(request) = request else {
            return match mood {
                Mood::Hanging => None,
                Mood::BadTls(failure) => Some((soon, Back::Failure(Failure::Tls(failure)))),
                _ => Some((soon, Back::Hello)),
            };
        };
        // A server that asks the device to wait knows that it does, for up to twice as long.
        if let Mood::Status(_, Some(asked)) = mood {
            self.asked_until = at + (asked * 2).min(Duration::from_secs(1800));
        }
        if !matches!(mood, Mood::Declining(Failure::Portal(_))) {
            let within = request.next_within + (self.asked_until - at);
            self.beliefs.push(Belief { at, within });
        }
        let keep_alive = self.outside.keep_alive.is_some();
        let interval = self.outside.interval;
        let reply = |status, retry_after| {
            Back::Reply(Reply { retry_after, interval, keep_alive, ..Reply::of(status) })
        };
        match mood {
            Mood::Well | Mood::Slow(_) => {
                let thinking = if let Mood::Slow(wait) = mood { wait } else { soon };
                let back = reply(200, None);
                self.taken.push(request);
                Some((thinking, back))
            }
            Mood::Status(status, retry_after) => Some((soon, reply(status, retry_after))),
            Mood::Declining(failure) => {
                let status = if let Failure::Portal(status) = failure { status } else { 200 };
                let declined = Reply { failure: Some(failure), keep_alive, ..Reply::of(status) };
                Some((soon, Back::Reply(declined)))
            }
            Mood::Breaking(failure) => Some((soon, Back::Failure(failure))),
            Mood::BadTls(failure) => Some((soon, Back::Failure(Failure::Tls(failure)))),
            Mood::Mute | Mood::Hanging | Mood::Silent | Mood::Refusing => None,
        }
    }

    pub(super) fn answer(
        &mut self,
        id: ConnectionId,
        flight: u32,
        n: u32,
        back: Back,
        at: Instant,
    ) {
        if self.under_way(id, flight).is_none() || n > ANSWERS_MAX {
            return;
        }
        let wait = self.segment_wait() * 2_u32.pow(n);
        self.put(at + wait, Event::Answer(id, flight, n + 1, back));
        if self.outside.mood == Mood::Silent {
            return;
        }
        if let Fate::Carried(wait) = self.fate_of(Socket::ConnectionId(id)) {
            self.put(at + wait, Event::AnswerHere(id, flight, back));
        }
    }

    pub(super) fn answer_here(&mut self, id: ConnectionId, flight: u32, back: Back, at: Instant) {
        let Fate::Carried(_) = self.fate_of(Socket::ConnectionId(id)) else { return };
        let Some(tcp) = self.under_way(id, flight) else { return };
        tcp.answered = true;
        tcp.acked = true;
        match back {
            Back::Hello => match self.wall.verdict(at) {
                None => self.news.push(News::Secured(id)),
                Some(failure) => self.fail(id, Failure::Tls(failure)),
            },
            Back::Reply(reply) => {
                if !self.outside.plain {
                    self.wall.hear_date(at);
                }
                self.news.push(News::Replied(id, reply));
                match self.outside.keep_alive.filter(|_| reply.keep_alive) {
                    Some(idle) => self.put(at + idle, Event::IdleClose(id, flight)),
                    None if reply.keep_alive => {}
                    None => self.close(id),
                }
            }
            Back::Failure(failure) => self.fail(id, failure),
        }
    }

    /// The server closes an idle connection.
    pub(super) fn idle_close(&mut self, id: ConnectionId, flight: u32) {
        let socket = Socket::ConnectionId(id);
        let Some(tcp) = self.sockets.get_mut(&socket).filter(|tcp| tcp.flight == flight) else {
            return;
        };
        tcp.forgotten = tcp.forgotten.or(Some(true));
        if let Fate::Carried(_) = self.fate_of(socket) {
            self.fail(id, Failure::Closed);
        }
    }
}
