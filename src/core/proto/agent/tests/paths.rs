use super::*;

/// A beat is due, and the server has so many addresses, none of which answers.
fn bench_with_addresses(count: u8) -> Bench {
    let mut bench = Bench::with(&named());
    let hosts = (10..10 + count).map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)));
    let resolver = ResolverSettings { hosts: hosts.collect(), ..Default::default() };
    bench.input(Input::ResolverChanged(&resolver));
    bench
}

#[test]
fn a_silent_path_is_doubted_and_another_uplink_raced() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (black_hole, via) = bench.connect().expect("a connection");
    assert_eq!(via, Some(name("eth0")));
    bench.pass(ms(300));
    let (detour, via) = bench.connect().expect("a second connection");
    assert_eq!(via, Some(name("wlan1")));
    assert!(bench.probe().is_some(), "doubt starts the probing");
    assert_eq!(bench.establish(detour).1, 2);
    bench.reply(detour, 200, false);
    assert!(bench.actions.contains(&Action::CloseConnection(black_hole)));
}

#[test]
fn a_beat_without_a_connection_sleeps_until_a_name_is_known() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let query = bench.query().expect("a question");
    let addresses = [SERVER].into_iter().collect();
    bench.input(Input::QueryAnswered(query, &Answer { addresses, ttl_s: 10 }));
    bench.deliver(false);
    // The name has expired: the last good address is tried beside the lookup, and fails.
    bench.pass(ms(30_000));
    let (id, _) = bench.connect().expect("the last good address");
    bench.input(Input::ConnectionFailed(id, Failure::Refused));
    bench.pass(ms(1_000));
}

#[test]
fn a_server_that_acknowledges_and_is_slow_is_waited_for() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (id, ..) = bench.write();
    assert!(bench.pass(ms(300)).contains(&Action::CheckAcked(id)));
    bench.input(Input::AckChecked(id, true));
    bench.pass(ms(1_699));
    assert_eq!((bench.connect(), bench.probe()), (None, None));
    bench.reply(id, 200, false);
    assert!(matches!(bench.notes().as_slice(), [Note::BeatAcknowledged { .. }]));
}

#[test]
fn what_acknowledges_and_does_not_answer_costs_two_seconds_once() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (id, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(id, true));
    bench.pass(ms(1_700));
    let (detour, via) = bench.connect().expect("another way");
    assert_eq!((via, bench.probe()), (Some(name("wlan1")), None));
    assert_eq!(bench.establish(detour).1, 2, "the same beat");
    bench.reply(detour, 200, false);
    for _ in 0..3 {
        bench.pass(ms(2_000));
        bench.trigger();
        assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("wlan1"))));
        bench.deliver(false);
    }
    bench.link(WLAN1, false);
    bench.link(WLAN1, true);
    bench.trigger();
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))), "the ways changed");
}

/// Lets time pass until the cycle begins a beat; returns the way that it takes first.
fn next_of_the_cycle(bench: &mut Bench) -> Option<InterfaceName> {
    for _ in 0..300 {
        bench.pass(ms(100));
        if let Some((_, via)) = bench.connect() {
            return via;
        }
    }
    panic!("no beat within the interval");
}

/// The beat under way gets nowhere over eth0 and is delivered over wlan1.
fn deliver_beside_a_silent_eth0(bench: &mut Bench) {
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
    bench.pass(ms(300));
    let (detour, via) = bench.connect().expect("another way");
    assert_eq!(via, Some(name("wlan1")));
    bench.establish(detour);
    bench.reply(detour, 200, false);
}

#[test]
fn a_failed_path_is_tried_in_its_old_place_by_the_first_of_the_cycle_after_a_minute_and_then_two() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    deliver_beside_a_silent_eth0(&mut bench);
    for wait_s in [60, 120] {
        let failed_at = bench.now;
        let mut next = next_of_the_cycle(&mut bench);
        while next == Some(name("wlan1")) && bench.now < failed_at + ms(300_000) {
            bench.deliver(false);
            next = next_of_the_cycle(&mut bench);
        }
        let waited_s = (bench.now - failed_at).as_secs();
        assert!((wait_s - 1..wait_s + 30).contains(&waited_s), "{waited_s} s for {wait_s} s");
        deliver_beside_a_silent_eth0(&mut bench);
    }
    // Whoever asks for a beat has no time for that, however late it is.
    for _ in 0..20 {
        bench.start_cycle();
        bench.pass(ms(20_000));
        bench.trigger();
        assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("wlan1"))));
        bench.deliver(false);
    }
    for _ in 0..3 {
        assert_eq!(next_of_the_cycle(&mut bench), Some(name("eth0")));
        bench.deliver(false);
    }
}

#[test]
fn a_slow_server_behind_one_uplink_is_asked_once() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(id, true));
    bench.pass(ms(9_000));
    assert_eq!((bench.connect(), bench.probe()), (None, None));
}

#[test]
fn a_kept_connection_that_is_not_answered_is_replaced_beside_it() {
    let mut bench = Bench::idle();
    bench.trigger();
    bench.deliver(true);
    bench.pass(ms(2_000));
    bench.trigger();
    let (kept, ..) = bench.report().expect("a report");
    bench.input(Input::Written(kept));
    bench.pass(ms(300));
    bench.input(Input::AckChecked(kept, true));
    bench.pass(ms(1_700));
    let (new, via) = bench.connect().expect("a new connection");
    assert_eq!(via, Some(name("eth0")));
    assert_eq!(bench.establish(new).0, new, "a second copy");
    // Both are slow: it is the server.
    bench.pass(ms(300));
    bench.input(Input::AckChecked(new, true));
    bench.pass(ms(2_000));
    assert_eq!(bench.connect(), None);
    bench.reply(new, 200, true);
    assert!(matches!(bench.notes().as_slice(), [Note::BeatAcknowledged { .. }]));
    bench.trigger();
    let way = bench.report().map(|(id, ..)| id);
    assert_eq!(way, Some(new), "the path is not blamed");
}

#[test]
fn a_server_with_many_addresses_leaves_room_for_the_other_uplink() {
    for count in 1..=8 {
        let mut bench = bench_with_addresses(count);
        bench.up(WLAN1);
        bench.pass(ms(300));
        let detour = bench.connects().pop().expect("a connection");
        assert_eq!(detour.1, Some(name("wlan1")), "{count} addresses");
    }
}

#[test]
fn addresses_race_a_quarter_of_a_second_apart() {
    let mut bench = bench_with_addresses(3);
    assert_eq!(bench.connects().len(), 1);
    bench.pass(ms(249));
    assert_eq!(bench.connect(), None);
    bench.pass(ms(1));
    assert_eq!(bench.connects()[0].2.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
    bench.pass(ms(250));
    assert_eq!(bench.connects()[0].2.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 12)));
}

#[test]
fn a_refused_address_is_followed_by_the_next_at_once_and_then_by_the_other_uplink() {
    let mut bench = bench_with_addresses(2);
    bench.up(WLAN1);
    let mut seen = vec![];
    bench.actions = vec![];
    let mut id = ConnectionId(1);
    for _ in 0..3 {
        bench.fail(id, Failure::Refused);
        let [(next, via, to)] = bench.connects()[..] else { panic!("no connection") };
        seen.push((via, to.ip().to_string()));
        id = next;
    }
    let expected = [("eth0", "203.0.113.11"), ("wlan1", "203.0.113.10"), ("wlan1", "203.0.113.11")];
    assert_eq!(seen, expected.map(|(via, to)| (Some(name(via)), to.to_owned())));
    bench.fail(id, Failure::Refused);
    assert!(matches!(bench.notes()[..], [Note::BeatFailed { failure: Failure::Refused, .. }]));
}

#[test]
fn without_another_way_a_silent_syn_is_repeated_once() {
    let mut bench = Bench::idle();
    bench.trigger();
    bench.pass(ms(299));
    assert_eq!(bench.connect(), None);
    bench.pass(ms(1));
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None), "as the kernel would send it");
    bench.pass(ms(9_000));
    assert_eq!(bench.connect(), None, "the kernel repeats them both");
}

#[test]
fn a_path_of_600_ms_is_not_doubted_once_it_is_known() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    let slow = |bench: &mut Bench| {
        let (id, _) = bench.connect().expect("a connection");
        bench.now = bench.now + ms(600);
        bench.input(Input::Connected(id));
        bench.input(Input::Secured(id));
        bench.input(Input::Written(id));
        // The line sleeps, and wakes up with the first packet.
        bench.now = bench.now + ms(60);
        bench.reply(id, 200, false);
    };
    bench.trigger();
    slow(&mut bench);
    bench.trigger();
    let (id, _) = bench.connect().expect("a connection");
    bench.pass(ms(1_199));
    assert_eq!((bench.connect(), bench.probe()), (None, None));
    bench.pass(ms(1));
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("wlan1"))));
    assert!(!bench.actions.contains(&Action::CloseConnection(id)));
}

#[test]
fn a_stuck_kept_connection_is_renewed_on_its_uplink_and_raced_on_the_other() {
    let mut bench = Bench::new();
    bench.deliver(true);
    bench.up(WLAN1);
    bench.trigger();
    let (kept, ..) = bench.report().expect("the kept connection is used");
    bench.input(Input::Written(kept));
    bench.pass(ms(300));
    assert!(bench.actions.contains(&Action::CheckAcked(kept)));
    bench.input(Input::AckChecked(kept, false));
    let ways: Vec<_> = bench.connects().iter().map(|(_, via, _)| *via).collect();
    assert_eq!(ways, [Some(name("eth0")), Some(name("wlan1"))]);
}

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced_in_the_same_input() {
    let mut bench = Bench::new();
    bench.deliver(true);
    bench.trigger();
    let (kept, ..) = bench.report().expect("the kept connection is used");
    bench.input(Input::Written(kept));
    bench.fail(kept, Failure::Reset);
    assert!(bench.connect().is_some());
}

#[test]
fn a_beat_written_to_a_former_server_does_not_count() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (former, ..) = bench.write();
    let host = Host::Address(Ipv4Addr::new(203, 0, 113, 99).into());
    let elsewhere = Settings { server: Some(Server { host, port: 443 }), ..settings() };
    bench.input(Input::Configured(&elsewhere));
    assert!(bench.actions.contains(&Action::CloseConnection(former)));
    assert_eq!(bench.connects()[0].2.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 99)));
}

#[test]
fn a_beat_on_its_way_is_not_disturbed_by_another_interval() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.input(Input::Configured(&Settings { interval: ms(5_000), ..settings() }));
    assert!(!bench.actions.contains(&Action::CloseConnection(id)));
    bench.reply(id, 200, false);
    assert_eq!(bench.deliver(false).1, Reason::ConfigChanged);
    bench.pass(ms(5_000));
    assert!(bench.connect().is_some());
}

#[test]
fn route_that_returns_within_100_ms_was_never_away() {
    let default = |change| {
        let network = Some((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0));
        let announcement = Announcement { network, object: 7, state: 7, change };
        LinkEvent::Announced(announcement)
    };
    for (returns, expected) in [(true, None), (false, Some(Some(name("wlan1"))))] {
        let mut bench = Bench::idle();
        bench.up(WLAN1);
        let tables = bench.tables.clone();
        bench.tables.entries.retain(|entry| entry.index != LinkIndex(ETH0.into()));
        let asked = bench.asked;
        bench.input(Input::Link(default(ObjectChange::Removed)));
        assert_eq!(bench.pass(ms(99)), []);
        assert_eq!(bench.asked, asked);
        if returns {
            bench.tables = tables;
            bench.input(Input::Link(default(ObjectChange::Set)));
            assert_eq!(bench.asked, asked + 1, "at once");
        }
        bench.pass(ms(1));
        assert_eq!(bench.connect().map(|(_, via)| via), expected);
    }
}

#[test]
fn a_name_that_expires_while_the_server_is_slow_is_no_reason_to_doubt() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let query = bench.query().expect("a question");
    let addresses = [SERVER].into_iter().collect();
    bench.input(Input::QueryAnswered(query, &Answer { addresses, ttl_s: 0 }));
    bench.deliver(false);
    bench.trigger();
    let (id, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(id, true));
    bench.pass(ms(9_000));
    assert_eq!(bench.probe(), None);
}

#[test]
fn a_portal_on_one_uplink_sends_the_beat_over_the_next_and_is_asked_once_in_a_round() {
    let mut bench = bench_with_addresses(3);
    bench.up(WLAN1);
    let id = ConnectionId(1);
    bench.establish(id);
    let failure = Some(Failure::Portal(302));
    bench.input(Input::Replied(id, Reply { failure, keep_alive: true, ..Reply::of(302) }));
    assert!(bench.actions.contains(&Action::CloseConnection(id)));
    let (next, via) = bench.connect().expect("another way");
    assert_eq!(via, Some(name("wlan1")));
    bench.establish(next);
    bench.input(Input::Replied(next, Reply { failure, ..Reply::of(302) }));
    assert!(matches!(bench.notes()[..], [Note::BeatFailed { failure: Failure::Portal(302), .. }]));
}

/// Connections over two uplinks that are ready at the same time; the first one carries the report.
fn ready_at_once() -> (Bench, ConnectionId, ConnectionId) {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (first, _) = bench.connect().expect("a connection");
    bench.pass(ms(300));
    let (second, _) = bench.connect().expect("a detour");
    bench.establish(first);
    bench.input(Input::Connected(second));
    bench.input(Input::Secured(second));
    assert_eq!(bench.report(), None, "one copy is enough");
    (bench, first, second)
}

#[test]
fn one_copy_of_a_report_is_written_while_its_connection_is_well() {
    let (mut bench, first, second) = ready_at_once();
    bench.pass(ms(600));
    bench.input(Input::AckChecked(first, true));
    assert_eq!(bench.report(), None, "the server thinks");
    bench.pass(ms(1_399));
    assert_eq!((bench.report(), bench.connect()), (None, None));
    bench.reply(first, 200, false);
    assert!(bench.actions.contains(&Action::CloseConnection(second)));
    assert!(bench.agent.view(bench.now).failed_paths.is_empty(), "it was not even asked");
}

#[test]
fn a_second_copy_is_written_at_once_where_the_first_one_gets_nowhere() {
    let (mut bench, first, second) = ready_at_once();
    bench.fail(first, Failure::Reset);
    assert_eq!(bench.report().map(|(id, seq, _)| (id, seq)), Some((second, 2)));
    let (mut bench, first, second) = ready_at_once();
    bench.pass(ms(600));
    bench.input(Input::AckChecked(first, false));
    assert_eq!(bench.report().map(|(id, seq, _)| (id, seq)), Some((second, 2)));
    let (mut bench, first, second) = ready_at_once();
    bench.pass(ms(600));
    bench.input(Input::AckChecked(first, true));
    bench.pass(ms(1_400));
    assert_eq!(bench.report().map(|(id, seq, _)| (id, seq)), Some((second, 2)));
}

#[test]
fn a_connection_that_became_ready_after_a_doubt_is_no_failed_path() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (first, _) = bench.connect().expect("a connection");
    bench.input(Input::Opened(first, local(LinkIndex(ETH0.into()), 10)));
    bench.input(Input::Connected(first));
    bench.pass(ms(700));
    bench.input(Input::AckChecked(first, false));
    let (second, via) = bench.connect().expect("another one, on doubt");
    assert_eq!(via, Some(name("wlan1")));
    bench.establish(second);
    bench.input(Input::Secured(first));
    assert_eq!(bench.report(), None, "the other one carries it");
    bench.reply(second, 200, false);
    assert!(bench.agent.view(bench.now).failed_paths.is_empty(), "its handshake was slow");
}

#[test]
fn silent_round_repeats_the_address_that_acknowledged_the_last_beat() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let answer = |address: IpAddr| Answer { addresses: [address].into_iter().collect(), ttl_s: 5 };
    let query = bench.query().expect("a question");
    bench.input(Input::QueryAnswered(query, &answer(SERVER)));
    bench.deliver(false);
    bench.pass(ms(10_000));
    bench.trigger();
    // The name is a portal's by now.
    let query = bench.query().expect("the question once more");
    let portal = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));
    bench.deliver(false);
    bench.input(Input::QueryAnswered(query, &Answer { ttl_s: 3600, ..answer(portal) }));
    bench.pass(ms(10_000));
    bench.trigger();
    let mut opened = bench.connects();
    assert_eq!(opened[0].2.ip(), portal);
    for action in bench.pass(ms(2_000)) {
        if let Action::Connect { id, to, via } = action {
            opened.push((id, via, to));
        }
    }
    let unbound: Vec<_> = opened.iter().filter(|it| it.1.is_none()).map(|it| it.2.ip()).collect();
    assert_eq!(unbound, [SERVER], "{opened:?}");
}
