use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;

use super::*;
use crate::sys::readiness::watch;

const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(50);

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Waits at most `limit` for the result.
fn result(probe: &mut ProbeSocket, limit: Duration) -> Option<Result<(), Failure>> {
    let mut poll = Poll::new().unwrap();
    watch(poll.registry(), probe, Token(0), Interest::WRITABLE).unwrap();
    let mut events = Events::with_capacity(1);
    loop {
        if let Some(result) = probe.on_ready() {
            return Some(result);
        }
        poll.poll(&mut events, Some(limit)).unwrap();
        if events.is_empty() {
            return None;
        }
    }
}

#[test]
fn a_listening_target_answers() {
    let (_listener, address) = listen();
    let mut probe = ProbeSocket::open(address, None).unwrap();
    assert_eq!(result(&mut probe, PATIENCE), Some(Ok(())));
}

#[test]
fn a_closed_port_is_a_refusal_and_no_answer() {
    let (listener, address) = listen();
    drop(listener);
    let mut probe = ProbeSocket::open(address, None).unwrap();
    assert_eq!(result(&mut probe, PATIENCE), Some(Err(Failure::Refused)));
}

#[test]
fn a_black_hole_has_no_result() {
    let hole = BlackHole::new();
    let mut probe = ProbeSocket::open(hole.address, None).unwrap();
    assert_eq!(result(&mut probe, SILENCE), None);
}

#[test]
fn a_target_that_answers_and_resets_has_answered() {
    let (listener, address) = listen();
    let mut probe = ProbeSocket::open(address, None).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    socket2::SockRef::from(&accepted).set_linger(Some(Duration::ZERO)).unwrap();
    drop(accepted);
    assert_eq!(result(&mut probe, PATIENCE), Some(Ok(())));
}

#[test]
fn an_answered_probe_ends_with_a_reset() {
    let (listener, address) = listen();
    let mut probe = ProbeSocket::open(address, None).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    assert_eq!(result(&mut probe, PATIENCE), Some(Ok(())));
    drop(probe);
    let error = accepted.read(&mut [0; 1]).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::CONNRESET));
}

#[test]
fn a_probe_through_a_missing_interface_fails_at_once() {
    let (_listener, address) = listen();
    let probe = ProbeSocket::open(address, InterfaceName::new("gone0"));
    assert_eq!(probe.unwrap_err(), Failure::NoInterface);
}

/// A listener whose queue is full: Linux drops further SYNs (listen(2)).
struct BlackHole {
    address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let kind = socket2::Type::STREAM;
        let listener = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let queued = vec![TcpStream::connect(address).unwrap()];
        Self { address, _listener: listener, _queued: queued }
    }
}
