use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::proto::link::Name;

/// Waits up to two seconds for something to read.
fn wait(socket: &RouteSocket) {
    let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "the kernel says nothing");
}

/// Reads until the kernel has answered.
fn hear_until(socket: &mut RouteSocket, budget: usize, end: Heard) -> Vec<Heard> {
    let mut all = Vec::new();
    while !all.contains(&end) {
        wait(socket);
        while !socket.drain(budget, |heard| all.push(heard)) {}
    }
    all
}

fn has_loopback(all: &[Heard]) -> bool {
    let loopback = Name::new("lo").unwrap();
    all.iter().any(
        |heard| matches!(heard, Heard::Event(LinkEvent::Link { name, .. }) if *name == loopback),
    )
}

#[test]
fn dump_lists_the_loopback_and_ends() {
    let mut socket = RouteSocket::new().unwrap();
    socket.start_dump().unwrap();
    let all = hear_until(&mut socket, 16, Heard::Dumped);
    assert!(has_loopback(&all));
    assert_eq!(all.last(), Some(&Heard::Dumped));
}

#[test]
fn budget_of_one_datagram_misses_nothing() {
    let mut socket = RouteSocket::new().unwrap();
    socket.start_dump().unwrap();
    assert!(!socket.drain(1, |_| {}));
    let all = hear_until(&mut socket, 1, Heard::Dumped);
    assert_eq!(all.iter().filter(|&&heard| heard == Heard::Dumped).count(), 1);
}

#[test]
fn dump_ordered_twice_starts_anew_and_ends_once() {
    let mut socket = RouteSocket::new().unwrap();
    for _ in 0..3 {
        socket.start_dump().unwrap();
    }
    let all = hear_until(&mut socket, 16, Heard::Dumped);
    assert!(!all.contains(&Heard::Lost));
    assert_eq!(all.iter().filter(|&&heard| heard == Heard::Dumped).count(), 1);
}
