//! DNS over UDP: one socket per question, and the files that say whom to ask.
//!
//! A socket of its own gives every question a random source port besides its random number
//! (RFC 5452 §4), and being connected lets only the nameserver answer and shows the ICMP errors
//! that a rejecting router or a host without a nameserver sends. How long to wait is the core's.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use mio::event::Source;
use mio::net::UdpSocket;
use rustix::fs::{Mode, OFlags, open};
use socket2::{Domain, Protocol, Socket, Type};

use crate::proto::event::{Answer, Failure};
use crate::proto::link::Name;
use crate::proto::settings::{Host, ResolverSettings};
use crate::sys::{bind, clock, failure_of};
use crate::wire::dns::{ANSWER_MAX, Question};
use crate::wire::resolv_conf;

#[cfg(test)]
mod tests;

/// Most wrong answers to one question. More of them are somebody guessing (RFC 5452 §9.2), and this
/// also bounds what one wake-up reads.
const WRONG_MAX: u8 = 16;
/// Most that is read of a file, in bytes; what follows is not looked at.
const FILE_SIZE_MAX: usize = 64 * 1024;

/// A question under way. Dropping it forgets it.
#[derive(Debug)]
pub struct QuerySocket {
    socket: UdpSocket,
    question: Question,
    id: u16,
    wrong: u8,
}

impl QuerySocket {
    /// Sends the question to the nameserver `to`, through the interface `via` if given; a
    /// link-local nameserver needs one.
    ///
    /// Register [`source`](Self::source) for readability next.
    ///
    /// # Errors
    ///
    /// Whatever the kernel knows at once: no route, no such interface, no descriptor.
    pub fn open(to: SocketAddr, via: Option<Name>, question: Question) -> Result<Self, Failure> {
        let [high, low, ..] = clock::seed().to_ne_bytes();
        let id = u16::from_ne_bytes([high, low]);
        let ask = || {
            let kind = Type::DGRAM.nonblocking().cloexec();
            let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::UDP))?;
            if let Some(name) = via {
                bind::to_interface(&socket, name)?;
            }
            socket.connect(&to.into())?;
            socket.send(question.emit(id).as_ref())?;
            Ok(UdpSocket::from_std(socket.into()))
        };
        let socket = ask().map_err(|error: io::Error| failure_of(&error))?;
        Ok(Self { socket, question, id, wrong: 0 })
    }

    /// The result, `None` while there is none; the query is to be dropped after it.
    ///
    /// Reads until the socket is empty: at most 16 wrong answers in the whole life of the query.
    #[must_use]
    pub fn on_ready(&mut self) -> Option<Result<Answer, Failure>> {
        let mut buffer = [0; ANSWER_MAX];
        while self.wrong < WRONG_MAX {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let answer = self.question.parse_answer(self.id, bytes);
                    if answer.is_some() {
                        return answer;
                    }
                    self.wrong += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(failure_of(&error))),
            }
        }
        Some(Err(Failure::NameServerFailed))
    }

    /// What to register with the poll.
    pub fn source(&mut self) -> &mut impl Source {
        &mut self.socket
    }
}

/// Reads resolv.conf(5) and hosts(5), the latter for the name `host` if it is one.
///
/// A file that does not exist is an empty one: before DHCP has spoken that is normal. So is one
/// that cannot be read, with a warning.
#[must_use]
pub fn read_settings(resolv_conf: &Path, hosts: &Path, host: Option<&Host>) -> ResolverSettings {
    let mut settings = resolv_conf::parse(&content(resolv_conf));
    if let Some(Host::Name(name)) = host {
        settings.hosts = resolv_conf::hosts(&content(hosts), name);
    }
    settings
}

fn content(path: &Path) -> Vec<u8> {
    match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                log::warn!("read {}: {error}", path.display());
            }
            Vec::new()
        }
    }
}

/// Reads the whole lines among the first [`FILE_SIZE_MAX`] bytes.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO without a writer would hold up an open(2) that may block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX);
    if file.take(limit).read_to_end(&mut bytes)? == FILE_SIZE_MAX {
        // Half a name would be another one.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(whole);
    }
    Ok(bytes)
}
