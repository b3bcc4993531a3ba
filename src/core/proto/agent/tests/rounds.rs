//! Rounds that fail: who has the next turn, and what is remembered of the last.

use super::*;
use crate::proto::reach::budget::CONNECTIONS_HOUR;

/// The round ends without an answer, and the next one begins.
fn next_round(bench: &mut Bench) -> (ConnectionId, Option<InterfaceName>, SocketAddr) {
    loop {
        let deadline = bench.agent.next_deadline(bench.now).expect("a beat is to be sent");
        bench.now = deadline;
        let failed =
            |bench: &Bench| bench.notes().iter().any(|it| matches!(it, Note::BeatFailed { .. }));
        bench.input(Input::Deadline);
        if failed(bench) {
            break;
        }
    }
    while bench.connects().is_empty() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a beat is to be sent");
        bench.input(Input::Deadline);
    }
    bench.connects()[0]
}

#[test]
fn each_round_that_fails_lets_those_go_first_that_had_no_turn() {
    // Time for two of them in a round, and a third that is opened at its end.
    let mut bench = Bench::with(&Settings { request_timeout: ms(560), ..named() });
    let hosts = (10..14).map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))).collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    let host = |host, via| (IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)), via);
    let turn = |(_, via, to): (_, _, SocketAddr)| (to.ip(), via);
    let eth0 = Some(name("eth0"));
    assert_eq!(turn(bench.connects()[0]), host(10, eth0));
    assert_eq!(turn(next_round(&mut bench)), host(12, eth0));
    assert_eq!(turn(next_round(&mut bench)), host(10, None), "every bound one has failed");
    bench.pass(ms(250));
    assert_eq!(turn(bench.connects()[0]), host(11, None));
    let (id, ..) = bench.connects()[0];
    bench.establish(id);
    bench.reply(id, 200, false);
    bench.pass(ms(2_000));
    bench.trigger();
    assert_eq!(turn(bench.connects()[0]), host(11, eth0), "what has delivered, over the uplink");
}

#[test]
fn connection_cut_short_by_the_end_of_a_round_goes_first_in_the_next_one() {
    // An answer may take 300 ms, and an address is tried every 250 ms.
    let mut bench = Bench::with(&Settings { request_timeout: ms(400), ..named() });
    let hosts = (10..14).map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))).collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    assert_eq!(next_round(&mut bench).2.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
}

#[test]
fn round_shorter_than_patience_lets_each_address_go_first() {
    let mut bench = Bench::with(&Settings { request_timeout: ms(200), ..named() });
    let hosts: Vec<_> = (10..14).map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))).collect();
    let hosts_file = hosts.iter().copied().collect();
    let resolver = ResolverSettings { hosts: hosts_file, ..Default::default() };
    bench.input(Input::ResolverChanged(&resolver));
    let mut first = vec![bench.connects()[0].2.ip()];
    first.extend((1..hosts.len()).map(|_| next_round(&mut bench).2.ip()));
    assert_eq!(first, hosts);
}

#[test]
fn path_that_had_less_than_half_of_a_round_goes_first_in_the_next_one() {
    let mut bench = Bench::with(&Settings { request_timeout: ms(3_000), ..settings() });
    // Its round trip of a second and more is known, so that it is doubted after two seconds only.
    let (id, _) = bench.connect().expect("a connection");
    bench.now = bench.now + ms(1_200);
    bench.establish(id);
    bench.now = bench.now + ms(1_200);
    bench.reply(id, 200, false);
    bench.up(WLAN1);
    bench.pass(ms(10_000));
    bench.trigger();
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
    assert_eq!(next_round(&mut bench).1, Some(name("wlan1")), "it had one second");
}

/// Connections of an hour with a server of so many addresses that answers nothing.
fn silent_hour(addresses: u8, then: impl FnOnce(&mut Bench) -> usize) -> (usize, usize) {
    let mut bench = Bench::with(&named());
    bench.up(WLAN1);
    let hosts = (10..10 + addresses).map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)));
    let hosts = hosts.collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    let count = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Connect { .. })).count()
    };
    let first = count(&bench.pass(ms(60_000)));
    let hour = first + count(&bench.pass(ms(3_540_000)));
    assert!(hour <= usize::try_from(CONNECTIONS_HOUR).unwrap(), "{hour}");
    (first, then(&mut bench))
}

#[test]
fn addresses_do_not_multiply_the_connections_to_a_silent_server() {
    let later = |bench: &mut Bench| {
        let actions = bench.pass(ms(3_600_000));
        actions.iter().filter(|action| matches!(action, Action::Connect { .. })).count()
    };
    let (few, many) = (silent_hour(4, later), silent_hour(8, later));
    assert!(many.0 > few.0, "the first minute tries them all: {many:?} {few:?}");
    assert!(many.1 <= few.1 + 1, "{many:?} {few:?}");
}

#[test]
fn an_answer_makes_a_silent_server_one_that_is_not() {
    silent_hour(8, |bench| {
        let (id, ..) = next_round(bench);
        bench.establish(id);
        bench.reply(id, 500, false);
        let opened = bench.pass(ms(45_000));
        let opened = opened.iter().filter(|it| matches!(it, Action::Connect { .. })).count();
        assert!(opened > 8, "{opened}");
        opened
    });
}

#[test]
fn an_answer_of_the_server_is_no_reason_to_go_another_way() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (id, ..) = bench.write();
    bench.reply(id, 503, false);
    while bench.connects().is_empty() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a retry");
        bench.input(Input::Deadline);
    }
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
}

#[test]
fn a_socket_is_not_bound_any_more_when_the_operator_has_said_so() {
    for bind_to_uplink in [true, false] {
        let mut bench = Bench::idle();
        bench.up(WLAN1);
        bench.link(WLAN1, false);
        // Unbound, packets to the server would leave by the card that is down.
        bench.tables.entries.push(Entry::new(WLAN1.into(), "203.0.113.0", 24, 0));
        bench.announce(false);
        bench.trigger();
        let (written, ..) = bench.write();
        bench.input(Input::Configured(&Settings { bind_to_uplink, ..settings() }));
        let mut opened = bench.pass(ms(300));
        opened.extend_from_slice(bench.input(Input::AckChecked(written, false)));
        let bound = |action: &Action| matches!(action, Action::Connect { via: Some(_), .. });
        assert_eq!(opened.iter().any(bound), bind_to_uplink);
    }
}

#[test]
fn more_ways_than_are_kept_are_reported_once() {
    let mut bench = Bench::idle();
    let route = bench.agent.network.routing().iter().copied().next().expect("a way");
    let mut routes = vec![route; ROUTES_MAX];
    let notes = |actions: &Actions| {
        actions.iter().filter(|it| **it == Action::Note(Note::LinksLeftOut)).count()
    };
    assert_eq!(notes(&bench.agent.handle(Input::Routes(&routes), bench.now)), 0);
    assert!(!bench.agent.view(bench.now).links_left_out);
    routes.push(route);
    let mut times = 0;
    for _ in 0..3 {
        let actions = bench.agent.handle(Input::Routes(&routes), bench.now);
        times += notes(&actions);
        assert!(bench.agent.view(bench.now).links_left_out);
    }
    assert_eq!(times, 1);
}

#[test]
fn portal_on_one_interface_says_nothing_of_an_unbound_path_over_another() {
    let mut bench = Bench::with(&Settings { bind_to_uplink: false, ..named() });
    bench.up(WLAN1);
    let other = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
    bench.tables.entries.push(Entry::new(WLAN1.into(), "198.51.100.0", 24, 0));
    let hosts = [other, SERVER].into_iter().collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    let (id, _, to) = bench.connects()[0];
    assert_eq!(to.ip(), other);
    bench.establish(id);
    let failure = Some(Failure::Portal(200));
    bench.input(Input::Replied(id, Reply { failure, ..Reply::of(200) }));
    assert_eq!(bench.connects().first().map(|it| it.2.ip()), Some(SERVER), "{:?}", bench.actions);
}
