//! A plain connection to a server that says anything in any pieces, hangs up or goes silent: it ends
//! as the same pieces end in a [`Response`] without a socket, no byte is sent twice, and a reader
//! that is flooded stops.

#![cfg_attr(not(test), no_main)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use linkbeat::net::connection::{Connection, Progress, RECEIVED_MAX};
use linkbeat::sys::readiness::watch;
use linkbeat_core::proto::event::{Failure, Reply};
use linkbeat_core::proto::history::Counters;
use linkbeat_core::wire::request::REQUEST_MAX;
use linkbeat_core::wire::response::{self, Response, greeting};
use linkbeat_fuzz::Bytes;
use mio::{Events, Interest, Poll, Token};
use rustix::net::sockopt::set_socket_linger;

/// Longest wait for what the kernel has been given already.
const PATIENCE: Duration = Duration::from_secs(8);
/// Most bytes that one call of a connection may read: sixteen times its buffer.
const READ_MAX: u64 = 16 * 4096;
/// Most requests on one connection here.
const EXCHANGES: usize = 3;
/// What a server usually says, so that the fuzzer need not find it.
const PARTS: [&[u8]; 8] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 4\r\n\r\n",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
];

static LISTENER: LazyLock<TcpListener> =
    LazyLock::new(|| TcpListener::bind("127.0.0.1:0").expect("a listener"));

/// A connection with its part of the event loop, and the server's end.
struct Pair {
    poll: Poll,
    connection: Connection,
    response: Response,
    server: TcpStream,
    /// Bytes that the connection has read, and all that it was sent.
    read: u64,
    sent: u64,
}

impl Pair {
    fn open() -> Self {
        let to: SocketAddr = LISTENER.local_addr().expect("an address");
        let connection = Connection::open(to, None, None).expect("a socket");
        let (server, _) = LISTENER.accept().expect("a connection");
        server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // No port is left in TIME-WAIT.
        set_socket_linger(&server, Some(Duration::ZERO)).expect("an option");
        let poll = Poll::new().expect("epoll");
        let interest = Interest::READABLE | Interest::WRITABLE;
        watch(poll.registry(), &connection, Token(0), interest).expect("registered");
        Self { poll, connection, response: Response::new(), server, read: 0, sent: 0 }
    }

    /// One call, and what it read.
    fn call(&mut self) -> Result<Progress, Failure> {
        let progress = self.connection.on_ready(&mut self.response);
        let mut counters = Counters::default();
        self.connection.count(&mut counters);
        let read = counters.received_bytes;
        assert!(read <= READ_MAX, "{read} bytes in one call");
        self.read += read;
        progress
    }

    fn wait(&mut self) {
        let mut events = Events::with_capacity(4);
        // The fuzzer has an alarm clock.
        let is_interrupted = |error: std::io::Error| error.kind() == ErrorKind::Interrupted;
        while self.poll.poll(&mut events, Some(PATIENCE)).is_err_and(is_interrupted) {}
        assert!(!events.is_empty(), "nothing happens");
    }

    /// The next step; `Drained` when everything that was sent is read.
    fn step(&mut self) -> Result<Progress, Failure> {
        loop {
            match self.call()? {
                Progress::Drained if self.read < self.sent => self.wait(),
                Progress::Spent => {}
                progress => return Ok(progress),
            }
        }
    }

    /// The next step, which is to come.
    fn next(&mut self) -> Result<Progress, Failure> {
        loop {
            match self.step()? {
                Progress::Drained => self.wait(),
                progress => return Ok(progress),
            }
        }
    }

    /// Has the server say something, and the connection read it.
    fn say(&mut self, piece: &[u8]) -> Result<Progress, Failure> {
        self.server.write_all(piece).expect("it fits the kernel's buffers");
        self.sent += piece.len() as u64;
        self.step()
    }

    /// Sends a request, which arrives whole and once.
    fn request(&mut self, length: usize) {
        let request: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        self.connection.write(&request);
        assert_eq!(self.next(), Ok(Progress::Written));
        let mut heard = vec![0; length];
        self.server.read_exact(&mut heard).expect("the request");
        assert!(heard == request);
        assert!(self.connection.is_busy());
    }
}

/// A piece of what the server says.
fn piece(bytes: &mut Bytes<'_>) -> Vec<u8> {
    match bytes.byte() {
        kind @ 0..=63 => PARTS[usize::from(kind) % PARTS.len()].to_vec(),
        kind @ 64..=95 => {
            let part = PARTS[usize::from(kind) % PARTS.len()];
            part[..bytes.below(part.len())].to_vec()
        }
        96..=103 => vec![bytes.byte(); usize::from(bytes.short() % 4096)],
        _ => (0..=bytes.below(40)).map(|_| bytes.byte()).collect(),
    }
}

fn shown(response: &Response) -> (Reply, Vec<u8>, Option<String>) {
    let location = response.location().map(str::to_owned);
    (response.reply(None, 0), response.body().to_vec(), location)
}

/// How an exchange ended.
enum Ended {
    /// With an answer.
    Replied,
    /// With the connection.
    Over,
}

/// What the server says to one request, and what comes of it.
fn exchange(pair: &mut Pair, bytes: &mut Bytes<'_>) -> Ended {
    let mut other = Response::new();
    loop {
        let (came, expected) = match bytes.byte() % 16 {
            // The server hangs up.
            0 => {
                pair.server.shutdown(std::net::Shutdown::Write).expect("shut down");
                (pair.next(), other.eof(true).map(|()| Progress::Replied))
            }
            // The server goes silent: the loop takes what there is, if it is worth something.
            1 => {
                let cut = pair.connection.cut_answer(&mut pair.response);
                let worth =
                    if other.eof(false).is_ok() { Progress::Replied } else { Progress::Spent };
                (Ok(cut), Ok(worth))
            }
            _ if bytes.is_empty() => (Ok(Progress::Drained), Ok(Progress::Drained)),
            _ => {
                let piece = piece(bytes);
                let expected = other.feed(&piece).map(|progress| match progress {
                    response::Progress::Complete => Progress::Replied,
                    response::Progress::Partial => Progress::Drained,
                });
                (pair.say(&piece), expected)
            }
        };
        assert_eq!(came, expected);
        match came {
            Ok(Progress::Replied) => {
                assert_eq!(shown(&pair.response), shown(&other));
                return Ended::Replied;
            }
            Ok(Progress::Drained) if !bytes.is_empty() => {}
            _ => return Ended::Over,
        }
    }
}

/// A server that does not stop: the connection does.
fn flood(pair: &mut Pair, piece: &[u8]) {
    pair.server.set_nonblocking(true).expect("a socket");
    let flood = piece.repeat(1 + 65_536 / piece.len().max(1));
    let most = RECEIVED_MAX as u64 + READ_MAX;
    while pair.read <= most {
        match pair.server.write(&flood) {
            Ok(written) => pair.sent += written as u64,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        match pair.call() {
            Ok(Progress::Drained | Progress::Spent) => {}
            Ok(Progress::Replied) | Err(_) => return,
            Ok(progress) => panic!("{progress:?}"),
        }
    }
    panic!("{} bytes of an answer", pair.read);
}

linkbeat_fuzz::target!(|data| {
    linkbeat_fuzz::fail_writes_instead_of_dying();
    let mut bytes = Bytes::new(data);
    let mut pair = Pair::open();
    assert_eq!(pair.next(), Ok(Progress::Connected));
    assert_eq!(pair.next(), Ok(Progress::Secured));
    let is_flood = bytes.byte() == 255;
    for _ in 0..EXCHANGES {
        pair.request(usize::from(bytes.short()) % (REQUEST_MAX + 1));
        if is_flood {
            let piece = [piece(&mut bytes), vec![bytes.byte()]].concat();
            return flood(&mut pair, &piece);
        }
        let keep_alive = match exchange(&mut pair, &mut bytes) {
            Ended::Replied => pair.response.reply(None, 0).keep_alive,
            Ended::Over => false,
        };
        if !keep_alive {
            break;
        }
        assert!(!pair.connection.is_busy());
        assert_eq!(pair.step(), Ok(Progress::Drained), "an idle connection is quiet");
        if bytes.byte() % 8 == 0 {
            // It speaks without being asked.
            let piece = [piece(&mut bytes), vec![bytes.byte()]].concat();
            assert_eq!(pair.say(&piece), Err(greeting(&piece)));
            break;
        }
    }
    // A polite end is no reset, and a drop is one.
    let Pair { connection, mut server, read, sent, .. } = pair;
    let is_polite = bytes.bool();
    if is_polite {
        connection.close()
    } else {
        drop(connection)
    }
    if read == sent {
        let mut heard = Vec::new();
        let end = server.read_to_end(&mut heard).map_err(|error| error.kind());
        let expected = if is_polite { Ok(0) } else { Err(ErrorKind::ConnectionReset) };
        assert_eq!(end, expected, "{heard:?}");
    }
});
