//! What travels on a connection, in the open or in TLS records.

use std::io::{Read, Write};

use heapless::Vec;
use mio::net::TcpStream;

use super::REQUEST_MAX;
use crate::net::dial::unless_blocked;
use crate::net::tls::{Pulled, Session};
use crate::proto::event::Failure;
use crate::wire::response::{self, Response};

/// Most bytes in one read; rustls reads as much.
const READ_MAX: usize = 4096;
/// The status of a request that the server would not act on because it was early data (RFC 8470).
const TOO_EARLY: u16 = 425;

/// A connection's bytes.
#[expect(clippy::large_enum_variant, reason = "four connections at most, and no allocation")]
pub(super) enum Channel {
    /// With the bytes that the kernel has not yet taken.
    Plain(Vec<u8, REQUEST_MAX>),
    Tls(Session),
}

/// Where the server's bytes go.
pub(super) struct Answer<'a> {
    pub(super) expected: bool,
    pub(super) complete: bool,
    pub(super) response: &'a mut Response,
}

impl Answer<'_> {
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // A server that closes an idle connection may say so first (408 of RFC 9110 §15.5.9).
        if !self.expected {
            return Err(Failure::Closed);
        }
        self.complete = self.response.feed(bytes)? == response::Progress::Complete;
        Ok(())
    }
}

impl Channel {
    /// Whether the server has shown who it is, where it has to.
    pub(super) fn is_secured(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(session) => session.is_secured(),
        }
    }

    /// Whether a request may be queued.
    pub(super) fn takes_request(&mut self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(session) => session.takes_request(),
        }
    }

    /// Queues a request; false: it waits for the handshake.
    pub(super) fn write(&mut self, request: &[u8]) -> bool {
        match self {
            Self::Plain(unsent) => {
                unsent.extend_from_slice(request).expect("REQUEST_MAX is its size");
                true
            }
            Self::Tls(session) => session.write(request),
        }
    }

    /// Whether the answer led to the request being queued once more.
    pub(super) fn repeats(&mut self, response: &Response) -> bool {
        let reply = response.reply(None, 0);
        match self {
            Self::Tls(session) if reply.status == TOO_EARLY => session.repeat(reply.keep_alive),
            Self::Tls(_) | Self::Plain(_) => false,
        }
    }

    /// Sends what is queued and counts its bytes; true when all is with the kernel.
    pub(super) fn flush(
        &mut self,
        stream: &mut TcpStream,
        count: &mut u64,
    ) -> Result<bool, Failure> {
        let unsent = match self {
            Self::Plain(unsent) => unsent,
            Self::Tls(session) => return session.flush(stream, count),
        };
        while !unsent.is_empty() {
            match unless_blocked(|| stream.write(unsent))? {
                None => return Ok(false),
                Some(0) => return Err(Failure::Closed),
                Some(sent) => {
                    *count += sent as u64;
                    drop(unsent.drain(..sent));
                }
            }
        }
        Ok(true)
    }

    /// Reads once, and has what came heard.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        answer: &mut Answer<'_>,
    ) -> Result<Pulled, Failure> {
        let session = match self {
            Self::Plain(_) => return read_plain(stream, answer),
            Self::Tls(session) => session,
        };
        let pulled = session.pull(stream)?;
        loop {
            let plaintext = session.plaintext();
            if plaintext.is_empty() {
                return Ok(pulled);
            }
            answer.hear(plaintext)?;
            let heard = plaintext.len();
            session.consume(heard);
        }
    }
}

fn read_plain(stream: &mut TcpStream, answer: &mut Answer<'_>) -> Result<Pulled, Failure> {
    let mut buffer = [0; READ_MAX];
    match unless_blocked(|| stream.read(&mut buffer))? {
        None => Ok(Pulled::Nothing),
        // TCP has no other way to say so.
        Some(0) => Ok(Pulled::End { announced: true }),
        Some(bytes) => {
            answer.hear(buffer.get(..bytes).unwrap_or_default())?;
            Ok(Pulled::Bytes(bytes))
        }
    }
}
