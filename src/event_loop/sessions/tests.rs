use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use mio::Poll;

use super::*;
use crate::proto::history::History;

/// Connections and the other ends of them, in order.
struct Bench {
    poll: Poll,
    sessions: Sessions,
    listener: TcpListener,
    peers: Vec<TcpStream>,
}

impl Bench {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (poll, sessions) = (Poll::new().unwrap(), Sessions::default());
        Self { poll, sessions, listener, peers: vec![] }
    }

    fn open(&mut self) -> Attempt {
        let attempt = Attempt(u32::try_from(self.peers.len()).unwrap());
        let to = self.listener.local_addr().unwrap();
        let registry = self.poll.registry();
        self.sessions.open(registry, attempt, to, None, Security::Plain).unwrap();
        let (peer, _) = self.listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        self.peers.push(peer);
        attempt
    }

    /// How the connections look from the other side.
    fn seen(&mut self) -> Vec<ErrorKind> {
        self.peers.iter_mut().map(|peer| peer.read(&mut [0]).unwrap_err().kind()).collect()
    }
}

#[test]
fn parked_connections_are_silent_until_there_are_too_many_or_all_are_closed() {
    let mut bench = Bench::new();
    for _ in 0..PARKED_MAX {
        let attempt = bench.open();
        bench.sessions.park(bench.poll.registry(), attempt);
        assert!(bench.sessions.find(attempt).is_none());
    }
    let mut expected = vec![ErrorKind::WouldBlock; PARKED_MAX];
    assert_eq!(bench.seen(), expected);
    let attempt = bench.open();
    bench.sessions.park(bench.poll.registry(), attempt);
    expected[0] = ErrorKind::ConnectionReset;
    expected.push(ErrorKind::WouldBlock);
    assert_eq!(bench.seen(), expected);
    bench.peers.remove(0);
    bench.sessions.close_parked();
    assert_eq!(bench.seen(), [ErrorKind::ConnectionReset; PARKED_MAX]);
}

#[test]
fn nothing_is_left_parked_at_the_end() {
    let mut bench = Bench::new();
    let (parked, _open) = (bench.open(), bench.open());
    bench.sessions.park(bench.poll.registry(), parked);
    bench.sessions.close_all();
    assert_eq!(bench.peers[0].read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// The end that a peer sees, after whatever was sent before.
fn end(peer: &mut TcpStream) -> Result<(), ErrorKind> {
    peer.set_nonblocking(false).unwrap();
    peer.read_to_end(&mut vec![]).map(|_| ()).map_err(|error| error.kind())
}

#[test]
fn a_request_that_is_given_up_ends_with_a_reset_and_an_idle_connection_with_a_goodbye() {
    let mut bench = Bench::new();
    let mut counters = *History::new(0).counters();
    let (busy, idle) = (bench.open(), bench.open());
    for (slot, attempt) in [busy, idle].into_iter().enumerate() {
        for expected in [Progress::Connected, Progress::Secured] {
            let step = bench.sessions.step(slot, &mut counters);
            assert_eq!(step, Some((attempt, Ok(expected))));
        }
    }
    bench.sessions.write(busy, b"POST /");
    assert_eq!(bench.sessions.step(0, &mut counters), Some((busy, Ok(Progress::Written))));
    bench.sessions.close(busy);
    bench.sessions.close(idle);
    assert_eq!(end(&mut bench.peers[0]), Err(ErrorKind::ConnectionReset));
    assert_eq!(end(&mut bench.peers[1]), Ok(()));
}
