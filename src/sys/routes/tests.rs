use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use linkbeat_core::proto::link::LinkIndex;

/// The index of the loopback in every namespace.
const LO: LinkIndex = LinkIndex(1);

fn to(address: impl Into<IpAddr>) -> RouteQuestion {
    RouteQuestion { to: address.into(), bound: None }
}

fn loopback(last: u8) -> RouteQuestion {
    to(Ipv4Addr::new(127, 0, 0, last))
}

fn ask(asker: &mut RouteAsker, questions: &[RouteQuestion]) -> Vec<Route> {
    let mut routes = Vec::new();
    asker.ask(questions.iter().copied(), None, true, &mut routes).unwrap();
    routes
}

#[test]
fn loopback_is_local() {
    let mut asker = RouteAsker::new().unwrap();
    let routes = ask(&mut asker, &[loopback(1)]);
    let [route] = routes[..] else { panic!("{routes:?}") };
    assert_eq!((route.question, route.index, route.local), (loopback(1), LO, true));
    assert_eq!(route.source, Some(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn nothing_asked_is_nothing_sent() {
    let mut asker = RouteAsker::new().unwrap();
    assert!(ask(&mut asker, &[]).is_empty());
    assert_eq!(asker.seq, 0);
}

#[test]
fn answers_come_in_order_over_any_number_of_chunks() {
    let mut asker = RouteAsker::new().unwrap();
    for count in [1, 15, 16, 17, 32, 100] {
        let questions: Vec<RouteQuestion> = (1..=count).map(loopback).collect();
        let answered = ask(&mut asker, &questions);
        let answered: Vec<RouteQuestion> = answered.iter().map(|route| route.question).collect();
        assert_eq!(answered, questions);
    }
}

#[test]
fn what_has_no_route_is_left_out() {
    let mut asker = RouteAsker::new().unwrap();
    let bound =
        |address: IpAddr| RouteQuestion { to: address, bound: Some(LinkIndex(0x7fff_fff0)) };
    // No such interface, in between; and an address that is never routed.
    let questions = [
        loopback(1),
        bound(Ipv4Addr::new(127, 0, 0, 2).into()),
        bound(Ipv6Addr::LOCALHOST.into()),
        to(Ipv4Addr::BROADCAST),
        loopback(3),
    ];
    let routes = ask(&mut asker, &questions);
    let answered: Vec<RouteQuestion> = routes.iter().map(|route| route.question).collect();
    assert_eq!(answered, [loopback(1), loopback(3)]);
}

#[test]
fn routes_of_an_earlier_question_are_replaced() {
    let mut asker = RouteAsker::new().unwrap();
    let mut routes = Vec::new();
    for last in [1, 2] {
        asker.ask([loopback(last)].into_iter(), None, true, &mut routes).unwrap();
        assert_eq!(routes.len(), 1);
        assert_eq!(routes[0].question, loopback(last));
    }
}

#[test]
fn answers_left_in_the_queue_are_not_taken_for_others() {
    let mut asker = RouteAsker::new().unwrap();
    let chunk: Chunk = from_fn(|_| Some(Asked { question: loopback(9), source: None, port: None }));
    asker.send(&chunk).unwrap();
    let questions = [loopback(1), to(Ipv4Addr::BROADCAST)];
    let routes = ask(&mut asker, &questions);
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].source, Some(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn numbers_wrap_around() {
    let mut asker = RouteAsker::new().unwrap();
    asker.seq = u32::MAX - 5;
    let questions: Vec<RouteQuestion> = (1..=16).map(loopback).collect();
    assert_eq!(ask(&mut asker, &questions).len(), 16);
}

#[test]
fn chunk_is_asked_again_after_an_overflow() {
    let mut asker = RouteAsker::new().unwrap();
    let chunk: Chunk = from_fn(|_| Some(Asked { question: loopback(9), source: None, port: None }));
    // More answers than the queue holds, and nobody reads them.
    while asker.receive(0, &mut Outcomes::default()).is_ok() {
        for _ in 0..1000 {
            asker.send(&chunk).unwrap();
        }
    }
    for _ in 0..1000 {
        asker.send(&chunk).unwrap();
    }
    let questions: Vec<RouteQuestion> = (1..=16).map(loopback).collect();
    // What is left is more than one exchange reads, so the first attempts may find nothing.
    let mut routes = Vec::new();
    while routes.len() < questions.len() {
        asker.ask(questions.iter().copied(), None, true, &mut routes).ok();
    }
    assert_eq!(routes.len(), questions.len());
}

#[test]
fn buffers_do_not_grow() {
    let mut asker = RouteAsker::new().unwrap();
    let capacity = asker.request.capacity();
    let questions = [RouteQuestion { to: Ipv6Addr::LOCALHOST.into(), bound: Some(LO) }; 32];
    ask(&mut asker, &questions);
    assert_eq!(asker.request.capacity(), capacity);
}
