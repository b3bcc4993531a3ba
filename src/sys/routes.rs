//! A socket of rtnetlink(7) that asks the kernel where packets would go, and waits for no answer.
//!
//! The kernel answers within sendmsg(2): what is not in the queue afterwards does not come. So a
//! socket of its own, in no group and not polled, asks and reads in one go. A datagram holds few
//! enough requests that their answers always fit into the queue.

use std::array::from_fn;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};

use super::addresses;
use super::netlink::{open, receive};
use linkbeat_core::proto::link::LinkIndex;
use linkbeat_core::proto::route::{Route, RouteQuestion};
use linkbeat_core::wire::rtnetlink::{Form, Found, QUESTION_MAX, addressed, answers};
use linkbeat_core::wire::rtnetlink::{emit_address_dump, emit_question, guess, route};

/// Most questions in a datagram, of two requests each.
const CHUNK_MAX: usize = 16;

/// Most addresses of an interface from which a question is put.
const SOURCES_MAX: usize = 4;

/// The two forms of a question, in the order of their requests.
const FORMS: [Form; 2] = [Form::Matching, Form::Resolved];

/// Most reads after a datagram was sent: its answers, and as many that an earlier error has left.
const READS_MAX: usize = 2 * CHUNK_MAX * FORMS.len();

/// Largest datagram, in bytes: the kernel makes one for each answer, and none larger than a page.
const DATAGRAM_MAX: usize = 8 * 1024;

/// A question, and what is said of the packets besides.
#[derive(Debug, Clone, Copy)]
struct Asked {
    question: RouteQuestion,
    /// The address that they come from.
    source: Option<IpAddr>,
    /// The port of TCP that they go to.
    port: Option<u16>,
}

/// The questions in one datagram.
type Chunk = [Option<Asked>; CHUNK_MAX];

/// The answers for each place of a chunk.
type Outcomes = [[Option<Found>; FORMS.len()]; CHUNK_MAX];

/// The socket and its buffers.
#[derive(Debug)]
pub struct RouteAsker {
    /// The socket.
    fd: OwnedFd,
    /// Number of the latest request.
    seq: u32,
    /// Room for one datagram of questions.
    request: Vec<u8>,
    /// Room for one datagram of answers.
    answer: Box<[u8]>,
}

impl RouteAsker {
    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// What socket(2) says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: open()?,
            seq: 0,
            request: Vec::with_capacity(CHUNK_MAX * FORMS.len() * QUESTION_MAX),
            answer: vec![0; DATAGRAM_MAX].into_boxed_slice(),
        })
    }

    /// Puts the questions and replaces `routes` by the answers, in the same order. A question
    /// without an answer has no route.
    ///
    /// A route that only TCP to `port`, that of the server, may take counts for every destination.
    /// If the agent does not bind its sockets (`binds`), a route for the source address that the
    /// kernel chooses counts too.
    ///
    /// # Errors
    ///
    /// What send(2) and recv(2) say, twice in a row; `routes` is not complete then.
    pub fn ask(
        &mut self,
        questions: impl Iterator<Item = RouteQuestion>,
        port: Option<u16>,
        binds: bool,
        routes: &mut Vec<Route>,
    ) -> io::Result<()> {
        routes.clear();
        let mut questions = questions.fuse();
        loop {
            let asked = |question| Asked { question, source: None, port: None };
            let chunk: Chunk = from_fn(|_| questions.next().map(asked));
            let mut outcomes = Outcomes::default();
            if !self.exchange(&chunk, &mut outcomes)? {
                return Ok(());
            }
            let mut answered = chunk.iter().flatten().zip(&outcomes);
            let guesses: Chunk = from_fn(|_| {
                let (asked, outcome) = answered.next()?;
                Some(Asked { source: Some(guess(&asked.question, outcome)?), ..*asked })
            });
            self.exchange(&guesses, &mut outcomes)?;
            if port.is_some() {
                let to_server =
                    unanswered(&chunk, &outcomes, |asked| Some(Asked { port, ..*asked }));
                self.exchange(&to_server, &mut outcomes)?;
            }
            self.ask_from_sources(&chunk, &mut outcomes)?;
            if !binds {
                let unbound = unanswered(&chunk, &outcomes, |asked| {
                    let to = Some(asked.question.to).filter(IpAddr::is_ipv6)?;
                    let unbound = asked.question.bound.is_none();
                    let source = unbound.then(|| addresses::chosen_for(to)).flatten()?;
                    Some(Asked { source: Some(source), ..*asked })
                });
                self.exchange(&unbound, &mut outcomes)?;
            }
            let answered = chunk.iter().flatten().zip(&outcomes);
            routes.extend(answered.filter_map(|(asked, found)| route(asked.question, found)));
        }
    }

    /// Asks what has no route once more from the addresses of its interface, one after the other:
    /// in IPv6 there may be a route for one of them only.
    fn ask_from_sources(&mut self, chunk: &Chunk, outcomes: &mut Outcomes) -> Result<(), Errno> {
        let of_ipv6 = |asked: &Asked| Some(*asked).filter(|asked| asked.question.to.is_ipv6());
        if unanswered(chunk, outcomes, of_ipv6).iter().all(Option::is_none) {
            return Ok(());
        }
        let own = addresses::own();
        for turn in 0..SOURCES_MAX {
            let again = unanswered(chunk, outcomes, |asked| {
                let asked = of_ipv6(asked)?;
                let mut sources = own.iter().filter(|own| asked.question.bound == Some(own.index));
                Some(Asked { source: Some(sources.nth(turn)?.address.into()), ..asked })
            });
            if !self.exchange(&again, outcomes)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether an interface has an address that packets may leave the link with; false too if the
    /// kernel does not say.
    pub fn has_address(&mut self, index: LinkIndex) -> bool {
        self.seq = self.seq.wrapping_add(1);
        if retry_on_intr(|| send(&self.fd, &emit_address_dump(self.seq), SendFlags::empty()))
            .is_err()
        {
            return false;
        }
        let mut found = false;
        // A dump goes on as it is read; nothing is left in the queue for the next question.
        while let Ok(datagram) = receive(&self.fd, &mut self.answer) {
            found |= addressed(datagram).any(|it| it == index);
        }
        found
    }

    /// Asks a chunk, once more if that fails, and keeps the answers in its places of `outcomes`.
    /// False: there is nothing to ask.
    fn exchange(&mut self, chunk: &Chunk, outcomes: &mut Outcomes) -> Result<bool, Errno> {
        if chunk.iter().all(Option::is_none) {
            return Ok(false);
        }
        if self.attempt(chunk, outcomes).is_err() {
            // What the failure left in the queue would stand before the next answers.
            if let Ok(fd) = open() {
                self.fd = fd;
            }
            self.attempt(chunk, outcomes)?;
        }
        Ok(true)
    }

    fn attempt(&mut self, chunk: &Chunk, outcomes: &mut Outcomes) -> Result<(), Errno> {
        let first = self.send(chunk)?;
        self.receive(first, outcomes)
    }

    /// Sends the requests of a chunk; the number of the first one.
    fn send(&mut self, chunk: &Chunk) -> Result<u32, Errno> {
        let first = self.seq.wrapping_add(1);
        self.request.clear();
        for asked in chunk {
            for form in FORMS {
                self.seq = self.seq.wrapping_add(1);
                if let Some(Asked { question, source, port }) = asked {
                    emit_question(&mut self.request, question, *source, *port, form, self.seq);
                }
            }
        }
        retry_on_intr(|| send(&self.fd, &self.request, SendFlags::empty()))?;
        Ok(first)
    }

    /// Reads the queue empty and keeps the answers to the requests from the number `first` on.
    fn receive(&mut self, first: u32, outcomes: &mut Outcomes) -> Result<(), Errno> {
        // The kernel answers every request, with an error if there is no route.
        let mut read = Err(Errno::AGAIN);
        for _ in 0..READS_MAX {
            match receive(&self.fd, &mut self.answer) {
                Ok(datagram) => {
                    for answer in answers(datagram).flatten() {
                        let place = answer.seq.wrapping_sub(first);
                        let place = usize::try_from(place).unwrap_or(usize::MAX);
                        let outcome = outcomes.get_mut(place / FORMS.len());
                        if outcome.is_some() && read == Err(Errno::AGAIN) {
                            read = Ok(());
                        }
                        if let Some(found) = outcome.and_then(|it| it.get_mut(place % FORMS.len()))
                        {
                            *found = answer.found;
                        }
                    }
                }
                Err(Errno::WOULDBLOCK) => break,
                // An overflow lasts until the queue was read empty.
                Err(errno) => read = Err(errno),
            }
        }
        read
    }
}

/// What is left of a chunk without an answer, as it is to be asked `again`.
fn unanswered(
    chunk: &Chunk,
    outcomes: &Outcomes,
    again: impl Fn(&Asked) -> Option<Asked>,
) -> Chunk {
    from_fn(|place| {
        let (asked, outcome) = chunk.get(place)?.as_ref().zip(outcomes.get(place))?;
        again(asked).filter(|_| route(asked.question, outcome).is_none())
    })
}

#[cfg(test)]
mod tests;
