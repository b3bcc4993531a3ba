//! Whom to ask first, how, and for how long.

use super::*;

#[test]
fn nameservers_take_turns_where_they_shall() {
    let mut settings = settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[]);
    settings.rotate = true;
    let mut bench = Bench::with("meeting.example.com", &settings);
    bench.families = V4;
    let mut first = Vec::new();
    for _ in 0..4 {
        bench.resolve();
        let to = bench.open[0].to;
        first.push(to);
        bench.answer(&to.to_string(), A, &["192.0.2.1"], 5);
        bench.wait(s(5));
    }
    assert_eq!(first, ips(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]));
}

#[test]
fn silence_is_asked_again_without_edns_and_then_with_it() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    bench.families = V4;
    let mut used = Vec::new();
    for wait in [1300, 2300, 4300] {
        bench.resolve();
        used.push(bench.open.last().unwrap().transport);
        bench.wait(ms(wait));
    }
    assert_eq!(used, [Transport::UdpEdns, Transport::Udp, Transport::UdpEdns]);
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 5);
    bench.wait(s(5));
    bench.resolve();
    assert_eq!(bench.open[0].transport, Transport::Udp, "what was answered is asked for again");
}

#[test]
fn every_question_goes_over_tcp_where_it_shall() {
    let mut settings = settings(&["10.0.0.1"], &[]);
    settings.tcp = true;
    let mut bench = Bench::with("meeting.example.com", &settings);
    for _ in 0..20 {
        bench.resolve();
        bench.wait(s(1));
    }
    assert!(bench.sent > 8);
    assert!(bench.open.iter().all(|asked| asked.transport == Transport::Tcp));
}

#[test]
fn answer_counts_for_as_long_as_the_settings_say() {
    for wait in [8, 30] {
        let mut settings = settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[]);
        settings.answer_wait = s(wait);
        for (late, counts) in [(s(wait) - ms(1), true), (s(wait), false)] {
            let mut bench = Bench::with("meeting.example.com", &settings);
            bench.families = V4;
            bench.resolve();
            let first = bench.open[0].query;
            bench.wait(late);
            assert_eq!(bench.open.iter().any(|asked| asked.query == first), counts, "{late:?}");
        }
    }
}

/// A satellite, or a forwarder that asks four others first.
#[test]
fn link_is_asked_first_whoever_answered_last() {
    let mut settings = settings(&["10.0.0.1"], &[]);
    settings.nameservers.insert(0, MULTICAST).unwrap();
    let mut bench = Bench::with("camera.local", &settings);
    for _ in 0..2 {
        bench.resolve();
        assert_eq!(bench.asked(), [(MULTICAST.address, A), (MULTICAST.address, Aaaa)]);
        bench.wait(ms(300));
        bench.wait(ms(1_300));
        bench.resolve();
        bench.wait(ms(300));
        bench.fail("10.0.0.1", A, Failure::NameNotFound);
        bench.fail("10.0.0.1", Aaaa, Failure::NameNotFound);
        assert_eq!(bench.state(), State::Failed(Failure::NameNotFound));
        bench.wait(s(3));
    }
}

#[test]
fn denial_of_a_nameserver_ends_no_question_to_the_link_before_its_time() {
    for servers in [&["10.0.0.1"][..], &["10.0.0.1", "10.0.0.2"]] {
        let mut settings = settings(servers, &[]);
        settings.nameservers.insert(0, MULTICAST).unwrap();
        let mut bench = Bench::with("camera.local", &settings);
        bench.resolve();
        for server in servers {
            bench.wait(ms(300));
            bench.fail(server, A, Failure::NameNotFound);
            bench.answer(server, Aaaa, &[], 60);
        }
        assert_eq!(bench.state(), State::Waiting);
        bench.wait(ms(300));
        bench.answer("224.0.0.251", A, &["192.0.2.1"], 120);
        bench.wait(ms(50));
        assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
    }
}

#[test]
fn nameserver_that_knows_a_name_of_the_link_is_believed_at_once() {
    let mut settings = settings(&["10.0.0.1"], &[]);
    settings.nameservers.insert(0, MULTICAST).unwrap();
    let mut bench = Bench::with("camera.local", &settings);
    bench.resolve();
    bench.wait(ms(300));
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(ms(50));
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
}

#[test]
fn nameserver_that_takes_six_seconds_counts() {
    for count in 1..=3 {
        let servers = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let mut bench = Bench::with("meeting.example.com", &settings(&servers[..count], &[]));
        bench.resolve();
        let first: Vec<_> = bench.open.iter().map(|asked| asked.query).collect();
        for _ in 0..600 {
            bench.wait(ms(10));
            bench.resolve();
        }
        for query in first {
            assert!(bench.open.iter().any(|asked| asked.query == query), "{count} nameservers");
        }
    }
}
