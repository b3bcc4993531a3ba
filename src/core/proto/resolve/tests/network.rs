//! Links that are lost and networks that are back, in the middle of a lookup.

use super::*;

#[test]
fn lost_link_drops_its_queries_and_asks_elsewhere() {
    let (eth0, wlan0) = (InterfaceName::new("eth0"), InterfaceName::new("wlan0"));
    let mut bench = Bench::new();
    bench.via = vec![(ip("10.0.0.1"), eth0), (ip("10.0.0.2"), wlan0)];
    bench.resolve();
    bench.wait(ms(300));
    assert_eq!(bench.open.len(), 4);
    bench.call(|resolver, _, actions| resolver.link_lost(eth0.unwrap(), actions));
    assert_eq!(bench.asked(), [(ip("10.0.0.2"), A), (ip("10.0.0.2"), Aaaa)]);
    bench.via = vec![(ip("10.0.0.1"), wlan0), (ip("10.0.0.2"), wlan0)];
    bench.resolve();
    let last = *bench.open.last().unwrap();
    assert_eq!((last.to, last.via), (ip("10.0.0.1"), wlan0));
}

#[test]
fn link_lost_and_back_is_asked_again() {
    let mut bench = Bench::new();
    let eth0 = InterfaceName::new("eth0");
    bench.via = vec![(ip("10.0.0.1"), eth0)];
    bench.resolve();
    bench.call(|resolver, _, actions| resolver.link_lost(eth0.unwrap(), actions));
    assert_eq!(bench.asked(), []);
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A), (ip("10.0.0.1"), Aaaa)]);
}

#[test]
fn new_path_is_used_at_once_in_the_middle_of_a_rest() {
    let mut bench = Bench::new();
    bench.via = vec![(ip("10.0.0.1"), InterfaceName::new("eth0"))];
    bench.resolve();
    bench.wait(ms(500));
    let sent = bench.sent;
    bench.via.push((ip("10.0.0.2"), InterfaceName::new("wlan0")));
    bench.resolve();
    assert_eq!(bench.sent, sent + 2);
    bench.wait(ms(600 + 1000));
    bench.resolve();
    assert_eq!(bench.sent, sent + 6, "the rest after a local change is a short one");
}

#[test]
fn nothing_more_is_sent_over_a_lost_link() {
    let (eth0, wlan0) = (InterfaceName::new("eth0"), InterfaceName::new("wlan0"));
    let mut bench = Bench::with("api", &settings(&["10.0.0.1", "10.0.0.2"], &["lan"]));
    bench.via = vec![(ip("10.0.0.1"), eth0), (ip("10.0.0.2"), wlan0)];
    bench.resolve();
    bench.wait(ms(300));
    bench.call(|resolver, _, actions| resolver.link_lost(eth0.unwrap(), actions));
    bench.fail("10.0.0.2", A, Failure::NameNotFound);
    bench.fail("10.0.0.2", Aaaa, Failure::NameNotFound); // the next candidate would be asked about
    assert_eq!(bench.asked(), []);
}

#[test]
fn network_that_is_back_ends_the_rest() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    for _ in 0..20 {
        bench.resolve();
        bench.wait(s(1));
    }
    bench.resolve();
    bench.wait(ms(301));
    let sent = bench.sent;
    bench.resolver.network_back();
    bench.resolve();
    assert_eq!(bench.sent, sent + 2);
    bench.wait(ms(1300));
    bench.resolve();
    assert_eq!(bench.sent, sent + 4, "and the next rest is a short one");
}

#[test]
fn queries_are_never_more_than_their_most() {
    let mut bench = Bench::new();
    for _ in 0..2_000 {
        bench.resolver.network_back();
        bench.resolve();
        bench.wait(ms(10)); // the bench asserts the bound
    }
    assert_eq!(bench.open.len(), QUERIES_MAX);
    let oldest = bench.open.iter().map(|asked| asked.query.0).min().unwrap();
    assert_eq!(usize::try_from(oldest).unwrap(), bench.sent - QUERIES_MAX, "the newest are kept");
}

#[test]
fn late_a_waits_for_no_aaaa_that_cannot_come() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    bench.resolve();
    bench.wait(ms(310));
    bench.fail("10.0.0.1", Aaaa, Failure::NameServerFailed);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
}

#[test]
fn empty_answer_of_an_abandoned_lookup_does_not_stop_the_next() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 5);
    bench.wait(s(5)); // AAAA counts as empty for a minute
    bench.resolve();
    bench.answer("10.0.0.1", A, &[], 60);
    bench.call(|resolver, _, actions| resolver.close_all(actions));
    bench.resolve();
    assert_eq!(bench.open.len(), 2);
}
