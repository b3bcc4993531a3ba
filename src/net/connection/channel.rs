//! The request and the answer on a connection, in the open or in TLS records.

use std::io::{Read, Write};

use heapless::Vec;
use mio::net::TcpStream;

use crate::net::dial::unless_blocked;
use crate::net::tls::{Pulled, TlsSession};
use linkbeat_core::proto::event::Failure;
use linkbeat_core::wire::request::REQUEST_MAX;
use linkbeat_core::wire::response::{self, Response};

/// Most bytes in one read; rustls reads as much.
const READ_MAX: usize = 4096;
/// The status of a request that the server would not act on because it was early data (RFC 8470).
const TOO_EARLY: u16 = 425;

/// The destination of the server's bytes.
pub(super) struct ReplyBytes<'a> {
    /// Whether a request waits for its answer.
    pub(super) expected: bool,
    /// Whether the answer is complete.
    pub(super) complete: bool,
    /// The answer.
    pub(super) response: &'a mut Response,
}

impl ReplyBytes<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // A server that closes an idle connection may say so first (408 of RFC 9110 §15.5.9).
        if !self.expected {
            return Err(response::greeting(bytes));
        }
        self.complete = self.response.feed(bytes)? == response::Progress::Complete;
        Ok(())
    }
}

/// The session of TLS, and what is in the open.
pub(super) struct Channel {
    /// Plain bytes that the kernel has not yet taken.
    unsent: Vec<u8, REQUEST_MAX>,
    /// The session, where bytes travel in TLS records.
    pub(super) tls: Option<TlsSession>,
}

impl Channel {
    pub(super) const fn new(tls: Option<TlsSession>) -> Self {
        Self { unsent: Vec::new(), tls }
    }

    /// Whether the server has shown who it is, where it has to.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.as_ref().is_none_or(TlsSession::is_secured)
    }

    /// Whether a request may be queued.
    pub(super) fn takes_request(&mut self) -> bool {
        self.tls.as_mut().is_none_or(TlsSession::takes_request)
    }

    /// Queues a request; false: it waits for the handshake.
    pub(super) fn write(&mut self, request: &[u8]) -> bool {
        if let Some(session) = &mut self.tls {
            return session.write(request);
        }
        self.unsent.extend_from_slice(request).expect("REQUEST_MAX is its size");
        true
    }

    /// Whether the answer led to the request being queued once more.
    pub(super) fn repeats(&mut self, response: &Response) -> bool {
        let reply = response.reply(None, 0);
        let session = self.tls.as_mut().filter(|_| reply.status == TOO_EARLY);
        session.is_some_and(|session| session.repeat(reply.keep_alive))
    }

    /// Sends what is queued and counts its bytes; true when all is with the kernel.
    pub(super) fn flush(
        &mut self,
        stream: &mut TcpStream,
        count: &mut u64,
    ) -> Result<bool, Failure> {
        if let Some(session) = &mut self.tls {
            return session.flush(stream, count);
        }
        while !self.unsent.is_empty() {
            match unless_blocked(|| stream.write(&self.unsent))? {
                None => return Ok(false),
                Some(0) => return Err(Failure::Closed),
                Some(sent) => {
                    *count += sent as u64;
                    drop(self.unsent.drain(..sent));
                }
            }
        }
        Ok(true)
    }

    /// Reads once, and feeds what arrived to the response.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        answer: &mut ReplyBytes<'_>,
    ) -> Result<Pulled, Failure> {
        let Some(session) = &mut self.tls else { return read_plain(stream, answer) };
        let pulled = session.pull(stream);
        // What came before a bad record is as good as without it.
        loop {
            let plaintext = session.plaintext();
            if plaintext.is_empty() {
                return pulled;
            }
            answer.feed(plaintext)?;
            let length = plaintext.len();
            session.consume(length);
        }
    }
}

fn read_plain(stream: &mut TcpStream, answer: &mut ReplyBytes<'_>) -> Result<Pulled, Failure> {
    let mut buffer = [0; READ_MAX];
    match unless_blocked(|| stream.read(&mut buffer))? {
        None => Ok(Pulled::Nothing),
        // TCP has no other way to say so.
        Some(0) => Ok(Pulled::End { announced: true }),
        Some(bytes) => {
            answer.feed(buffer.get(..bytes).unwrap_or_default())?;
            Ok(Pulled::Bytes(bytes))
        }
    }
}
