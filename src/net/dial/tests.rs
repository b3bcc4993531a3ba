use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Dials and waits for the outcome.
fn wait_for(to: SocketAddr, via: Option<InterfaceName>) -> Result<TcpStream, Failure> {
    let mut stream = dial(to, via)?;
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut stream, Token(0), Interest::WRITABLE).unwrap();
    let mut events = Events::with_capacity(1);
    loop {
        if let Some(outcome) = outcome(&stream) {
            return outcome.map(|()| stream);
        }
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "the kernel says nothing");
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_dialled_socket_sends_at_once_and_never_waits() {
    let (_listener, address) = listen();
    let stream = wait_for(address, None).unwrap();
    let socket = SockRef::from(&stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.nonblocking().unwrap());
    let flags = rustix::io::fcntl_getfd(&stream).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(!socket.keepalive().unwrap());
    assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
}

#[test]
fn a_dialled_socket_is_bound_to_the_interface_it_was_given() {
    let (_listener, address) = listen();
    let stream = wait_for(address, InterfaceName::new("lo")).unwrap();
    assert_eq!(SockRef::from(&stream).device().unwrap().as_deref(), Some(&b"lo"[..]));
}

#[test]
fn an_interface_that_is_not_there_fails_at_once() {
    let (_listener, address) = listen();
    assert_eq!(dial(address, InterfaceName::new("gone0")).unwrap_err(), Failure::NoInterface);
}

#[test]
fn a_port_without_a_listener_refuses() {
    let (listener, address) = listen();
    drop(listener);
    assert_eq!(wait_for(address, None).unwrap_err(), Failure::Refused);
}

#[test]
fn an_address_that_needs_a_scope_and_has_none_is_unreachable() {
    let link_local = SocketAddr::from((Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 9));
    assert_eq!(dial(link_local, None).unwrap_err(), Failure::Unreachable);
}

#[test]
fn an_interrupted_read_is_repeated_and_a_blocked_one_is_not() {
    let mut answers = [Err(Errno::INTR.into()), Ok(7), Err(Errno::AGAIN.into())].into_iter();
    let mut next = || answers.next().unwrap();
    assert_eq!(unless_blocked(&mut next), Ok(Some(7)));
    assert_eq!(unless_blocked(&mut next), Ok(None));
}
