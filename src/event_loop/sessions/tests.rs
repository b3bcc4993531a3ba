use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use mio::Poll;

use super::*;
use linkbeat_core::proto::history::History;

const START: Instant = Instant::from_micros(1_000_000);

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
        let (poll, sessions) = (Poll::new().unwrap(), Sessions::new(0));
        Self { poll, sessions, listener, peers: vec![] }
    }

    fn open(&mut self) -> ConnectionId {
        let id = ConnectionId(u32::try_from(self.peers.len()).unwrap());
        let to = self.listener.local_addr().unwrap();
        let registry = self.poll.registry();
        let order = Order { id, to, via: None };
        let opened = self.sessions.open(registry, order, None, START).unwrap();
        assert!(opened.is_some(), "nothing waits for random numbers without TLS");
        let (peer, _) = self.listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        self.peers.push(peer);
        id
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
        let id = bench.open();
        bench.sessions.park(bench.poll.registry(), id);
        assert!(bench.sessions.find(id).is_none());
    }
    let mut expected = vec![ErrorKind::WouldBlock; PARKED_MAX];
    assert_eq!(bench.seen(), expected);
    let id = bench.open();
    bench.sessions.park(bench.poll.registry(), id);
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
    let mut counters = History::new(0).counters;
    let (busy, idle) = (bench.open(), bench.open());
    for (slot, id) in [busy, idle].into_iter().enumerate() {
        for expected in [Progress::Connected, Progress::Secured] {
            let step = bench.sessions.step(slot, START, &mut counters);
            assert_eq!(step, Some((id, Ok(expected))));
        }
    }
    bench.sessions.write(busy, b"POST /");
    assert_eq!(bench.sessions.step(0, START, &mut counters), Some((busy, Ok(Progress::Written))));
    bench.sessions.close(busy);
    bench.sessions.close(idle);
    assert_eq!(end(&mut bench.peers[0]), Err(ErrorKind::ConnectionReset));
    assert_eq!(end(&mut bench.peers[1]), Ok(()));
}

#[test]
fn an_answer_whose_body_stalls_is_taken_without_it_and_ends_the_connection() {
    let mut bench = Bench::new();
    let mut counters = History::new(0).counters;
    for (head, failure) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"ok\": false", None),
        ("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f", None),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", Some(Failure::Status(404))),
        // Of a page no more than its beginning is needed.
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", Some(Failure::Portal(200))),
        // Some call everything a page.
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{\"ok\"", None),
    ] {
        let id = bench.open();
        let mut step =
            |bench: &mut Bench, now| bench.sessions.step(0, now, &mut counters).unwrap().1;
        while step(&mut bench, START) != Ok(Progress::Secured) {}
        bench.sessions.write(id, b"POST /");
        assert_eq!(step(&mut bench, START), Ok(Progress::Written));
        assert_eq!(bench.sessions.next_deadline(), None);
        bench.peers.last_mut().unwrap().write_all(head.as_bytes()).unwrap();
        while !bench.sessions.find(id).unwrap().1.awaits_optional_body() {
            assert_eq!(step(&mut bench, START), Ok(Progress::Drained));
        }
        let due = START + BODY_PATIENCE;
        assert_eq!(bench.sessions.next_deadline(), Some(due), "{head}");
        let before = START + (BODY_PATIENCE - Duration::from_micros(1));
        assert!(bench.sessions.overdue(before).is_empty());
        assert_eq!(step(&mut bench, before), Ok(Progress::Drained), "{head}");
        assert_eq!(bench.sessions.overdue(due).as_slice(), [0]);
        assert_eq!(step(&mut bench, due), Ok(Progress::Replied), "{head}");
        assert_eq!(bench.sessions.next_deadline(), None);
        let reply = bench.sessions.find(id).unwrap().1.reply(None, 0);
        assert_eq!((reply.failure, reply.keep_alive), (failure, false), "{head}");
        bench.sessions.close(id);
        assert_eq!(end(bench.peers.last_mut().unwrap()), Ok(()), "{head}");
    }
}

#[test]
fn answer_that_only_its_head_calls_a_page_is_waited_for_as_any() {
    let mut bench = Bench::new();
    let mut counters = History::new(0).counters;
    let id = bench.open();
    let mut step = |bench: &mut Bench, now| bench.sessions.step(0, now, &mut counters).unwrap().1;
    while step(&mut bench, START) != Ok(Progress::Secured) {}
    bench.sessions.write(id, b"POST /");
    assert_eq!(step(&mut bench, START), Ok(Progress::Written));
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n";
    bench.peers[0].write_all(head).unwrap();
    while bench.sessions.find(id).unwrap().1.reply(None, 0).status == 0 {
        assert_eq!(step(&mut bench, START), Ok(Progress::Drained));
    }
    assert_eq!(bench.sessions.next_deadline(), None);
    let late = START + BODY_PATIENCE * 5;
    assert_eq!(step(&mut bench, late), Ok(Progress::Drained));
    bench.peers[0].write_all(b"{\"ok\":true}").unwrap();
    while step(&mut bench, late) != Ok(Progress::Replied) {}
    let reply = bench.sessions.find(id).unwrap().1.reply(None, 0);
    assert_eq!((reply.failure, reply.keep_alive), (None, true));
}

#[test]
fn report_says_what_is_known_only_on_its_connection_and_by_the_same_configuration() {
    let mut bench = Bench::new();
    let (id, other) = (bench.open(), bench.open());
    let one = Identity { mac: None, address: Some([192, 0, 2, 1].into()), public: None };
    let moved = Identity { address: None, ..one };
    assert!(!bench.sessions.note_sent(id, one));
    assert!(!bench.sessions.note_sent(id, one), "not acknowledged");
    bench.sessions.note_acknowledged(id);
    assert!(bench.sessions.note_sent(id, one));
    assert!(!bench.sessions.note_sent(other, one));
    assert!(!bench.sessions.note_sent(id, moved));
    bench.sessions.note_acknowledged(id);
    bench.sessions.forget_written();
    assert!(!bench.sessions.note_sent(id, moved), "another configuration");
}
