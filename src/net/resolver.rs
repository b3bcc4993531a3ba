//! DNS over UDP and TCP: one socket per question, and the files that say whom to ask.
//!
//! ```text
//! UDP, EDNS --FORMERR--> UDP --truncated--> TCP --> result      (dropped: forgotten)
//!      |                                     ^
//!      +-------------truncated---------------+
//! ```
//!
//! A socket of its own gives every question a random source port besides its random number
//! (RFC 5452 §4), and being connected lets only the nameserver answer and shows the ICMP errors
//! that a rejecting router or a host without a nameserver sends. The case of the letters is random
//! as well; a nameserver that does not keep it is asked once more, in lower case and with another
//! number. No wrong answer ends a question: how long to wait is the core's.
//!
//! A name of the link (`.local`) is asked for like any other, but at a group instead of a
//! nameserver: a one-shot query of multicast DNS (RFC 6762 §5.1), which is answered to the port
//! that it came from.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::Interest;
use mio::net::{TcpStream, UdpSocket};
use socket2::{Domain, Protocol, Socket, Type};

use super::dial::{self, unless_blocked};
use crate::sys::{bind, clock, failure_of};
use linkbeat_core::proto::event::{Answer, Failure, Transport};
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::dns::{self, ANSWER_MAX, LENGTH_BYTES, Question};

mod files;

pub use self::files::SettingsReader;

#[cfg(test)]
mod tests;

/// Most wrong answers, the guesses of an attacker (RFC 5452 §9.2), that one wake-up reads.
const WRONG_MAX: u8 = 16;

/// A question under way. Dropping it forgets it.
#[derive(Debug)]
pub struct QuerySocket {
    to: SocketAddr,
    via: Option<InterfaceName>,
    question: Question,
    id: u16,
    opened_at: Instant,
    channel: QueryChannel,
}

#[derive(Debug)]
enum QueryChannel {
    Udp {
        socket: UdpSocket,
        edns: bool,
        /// Whether the answer has to keep the case of the letters.
        mixed: bool,
    },
    /// The first `length` bytes of `answer` are there.
    Tcp { stream: TcpStream, asked: bool, answer: Vec<u8>, length: usize },
}

/// The progress of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum QueryProgress {
    /// No answer came yet.
    Waiting,
    /// Only wrong answers came yet: look again, without waiting for a readiness.
    Spent,
    /// The question is asked again over another socket: have that one watched.
    Moved,
    /// The result; the query is to be dropped.
    Done(Result<Answer, Failure>),
}

impl QuerySocket {
    /// Asks the nameserver `to`, through the interface `via` if given; a link-local nameserver
    /// needs one.
    ///
    /// Have it watched for its [`interest`](Self::interest) next.
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once: no route, no such interface, no descriptor.
    pub fn open(
        to: SocketAddr,
        via: Option<InterfaceName>,
        mut question: Question,
        transport: Transport,
        now: Instant,
    ) -> Result<Self, Failure> {
        let id = random_id();
        // The next pass does without both: something on the way may not let such questions through.
        let edns = transport == Transport::UdpEdns && !to.ip().is_multicast();
        let mixed = edns;
        if mixed {
            question.mix_case(clock::seed());
        }
        let ask = |from: Option<SocketAddr>| {
            let kind = Type::DGRAM.nonblocking().cloexec();
            let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::UDP))?;
            if let Some(name) = via {
                bind::to_interface(&socket, name)?;
            }
            if let Some(from) = from {
                socket.bind(&from.into())?;
            }
            if to.ip().is_multicast() {
                // Whoever has the name answers, from an address of its own.
                socket.send_to(question.emit(id, edns).as_ref(), &to.into())?;
            } else {
                socket.connect(&to.into())?;
                socket.send(question.emit(id, edns).as_ref())?;
            }
            Ok(UdpSocket::from_std(socket.into()))
        };
        let channel = if transport == Transport::Tcp && !to.ip().is_multicast() {
            QueryChannel::tcp(to, via)?
        } else {
            let socket =
                dial::from_any_source(to.ip(), via, ask).map_err(|error| failure_of(&error))?;
            QueryChannel::Udp { socket, edns, mixed }
        };
        Ok(Self { to, via, question, id, opened_at: now, channel })
    }

    /// Whether this is the same question to the same nameserver.
    pub fn asks(&self, to: SocketAddr, via: Option<InterfaceName>, question: &Question) -> bool {
        self.question.is_same(question) && self.via == via && self.to == to
    }

    /// Whether it was opened so long ago that another port is to be tried: a router may have tied
    /// this one to a line that is dead.
    pub fn is_older_than(&self, wait: Duration, now: Instant) -> bool {
        now >= self.opened_at + wait
    }

    /// Asks once more over the same socket, with the same number; false if that cannot be.
    pub fn ask_again(&mut self, transport: Transport) -> bool {
        let QueryChannel::Udp { socket, edns, mixed } = &mut self.channel else { return false };
        *edns = transport == Transport::UdpEdns;
        if !*edns {
            *mixed = false;
            self.question.lower_case();
        }
        // One to a group is not connected, and is asked anew.
        let message = self.question.emit(self.id, *edns);
        unless_blocked(|| socket.send(message.as_ref())).is_ok()
    }

    /// Reads the answer as far as it is there.
    ///
    /// Reads until the socket is empty or 16 wrong answers have come over UDP, and one answer over
    /// TCP.
    pub fn on_ready(&mut self) -> QueryProgress {
        let read = match self.channel {
            QueryChannel::Udp { .. } => self.read_udp(),
            QueryChannel::Tcp { .. } => self.read_tcp(),
        };
        read.unwrap_or_else(|failure| QueryProgress::Done(Err(failure)))
    }

    fn read_udp(&mut self) -> Result<QueryProgress, Failure> {
        let Self { to, via, question, id, .. } = self;
        let mut buffer = [0; ANSWER_MAX];
        for _ in 0..WRONG_MAX {
            let QueryChannel::Udp { socket, edns, mixed } = &mut self.channel else { break };
            let read = unless_blocked(|| socket.recv(&mut buffer))?;
            let Some(length) = read else { return Ok(QueryProgress::Waiting) };
            let bytes = buffer.get(..length).unwrap_or_default();
            match question.parse_answer(*id, bytes) {
                Some(_) if *mixed && !question.is_repeated(bytes) => {
                    *mixed = false;
                    *id = random_id();
                    question.lower_case();
                    unless_blocked(|| socket.send(question.emit(*id, *edns).as_ref()))?;
                }
                Some(Err(_)) if *edns && dns::is_without_edns(bytes) => {
                    *edns = false;
                    unless_blocked(|| socket.send(question.emit(*id, false).as_ref()))?;
                }
                Some(Err(_)) if dns::is_truncated(bytes) && !to.ip().is_multicast() => {
                    self.channel = QueryChannel::tcp(*to, *via)?;
                    return Ok(QueryProgress::Moved);
                }
                Some(result) => return result.map(done),
                None => {}
            }
        }
        Ok(QueryProgress::Spent)
    }

    fn read_tcp(&mut self) -> Result<QueryProgress, Failure> {
        let Self { question, id, channel, .. } = self;
        let QueryChannel::Tcp { stream, asked, answer, length } = channel else {
            return Ok(QueryProgress::Waiting);
        };
        if !*asked {
            let Some(connected) = dial::outcome(stream) else { return Ok(QueryProgress::Waiting) };
            connected?;
            let question = question.emit(*id, false);
            let length = u16::try_from(question.as_ref().len()).unwrap_or_default();
            let message = [&length.to_be_bytes(), question.as_ref()].concat();
            // What a socket that has sent nothing does not take whole, no nameserver will.
            if unless_blocked(|| stream.write(&message))? != Some(message.len()) {
                return Err(Failure::NameServerFailed);
            }
            *asked = true;
        }
        loop {
            let rest = answer.get_mut(*length..).unwrap_or_default();
            match unless_blocked(|| stream.read(rest))? {
                None => return Ok(QueryProgress::Waiting),
                Some(0) => return Err(Failure::NameServerFailed),
                Some(bytes) => *length += bytes,
            }
            let received = answer.get_mut(..*length).unwrap_or_default();
            if let Some(message) = dns::first_message(received) {
                let result = question.parse_answer(*id, message);
                return result.unwrap_or(Err(Failure::NameServerFailed)).map(done);
            }
        }
    }

    /// The interest to register: a socket over TCP is written to when it is connected.
    pub const fn interest(&self) -> Interest {
        match self.channel {
            QueryChannel::Udp { .. } => Interest::READABLE,
            QueryChannel::Tcp { .. } => Interest::READABLE.add(Interest::WRITABLE),
        }
    }
}

impl AsFd for QuerySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.channel {
            QueryChannel::Udp { socket, .. } => socket.as_fd(),
            QueryChannel::Tcp { stream, .. } => stream.as_fd(),
        }
    }
}

/// A number that nobody can predict.
fn random_id() -> u16 {
    let [high, low, ..] = clock::seed().to_ne_bytes();
    u16::from_ne_bytes([high, low])
}

fn done(answer: Answer) -> QueryProgress {
    QueryProgress::Done(Ok(answer))
}

impl QueryChannel {
    fn tcp(to: SocketAddr, via: Option<InterfaceName>) -> Result<Self, Failure> {
        let stream = dial::dial(to, via)?;
        Ok(Self::Tcp {
            stream,
            asked: false,
            answer: vec![0; LENGTH_BYTES + ANSWER_MAX],
            length: 0,
        })
    }
}
