//! What is remembered: answers, doubts, and the good address.

use super::*;

#[test]
fn ttl_counts_within_5_seconds_and_an_hour() {
    for (ttl_s, life) in [(0, 5), (60, 60), (86_400, 3600)] {
        let mut bench = Bench::new();
        bench.families = V4;
        bench.resolve();
        bench.answer("10.0.0.1", A, &["192.0.2.1"], ttl_s);
        bench.wait(s(life) - ms(1));
        bench.resolve();
        assert_eq!((bench.sent, bench.addresses().len()), (1, 1), "{ttl_s}");
        bench.wait(ms(1));
        assert!(bench.addresses().is_empty(), "{ttl_s}");
        bench.resolve();
        assert_eq!(bench.sent, 2, "{ttl_s}");
    }
}

#[test]
fn what_is_doubted_is_asked_anew_and_stays_usable() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(30));
    bench.resolve();
    assert_eq!(bench.sent, 2, "nothing is asked ahead of need");
    bench.resolver.doubt(false);
    bench.resolve();
    assert_eq!(bench.sent, 4);
    assert_eq!(bench.addresses().len(), 2, "what is known stays usable");
    bench.answer("10.0.0.1", A, &["192.0.2.2"], 60);
    assert_eq!(bench.addresses(), ips(["2001:db8::1", "192.0.2.2"]));
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::2"], 60);
    bench.wait(s(40));
    assert_eq!(bench.addresses(), ips(["2001:db8::2", "192.0.2.2"]));
}

#[test]
fn doubt_within_five_seconds_of_an_answer_is_no_storm() {
    let mut bench = Bench::new();
    bench.families = V4;
    for _ in 0..4_000 {
        bench.resolver.doubt(false);
        bench.resolve();
        if !bench.open.is_empty() {
            bench.answer("10.0.0.1", A, &["192.0.2.1"], 1);
        }
        bench.wait(ms(1));
    }
    assert_eq!(bench.sent, 1);
}

#[test]
fn refresh_in_vain_leaves_what_is_known() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(40));
    bench.resolver.doubt(true);
    bench.resolve();
    bench.wait(ms(300));
    assert_eq!(bench.state(), State::Known);
    assert_eq!(bench.addresses().len(), 2);
    bench.resolve();
    assert_eq!(bench.sent, 4, "and rests as any other");
}

#[test]
fn refresh_of_one_family_leaves_the_other_as_it_is() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 300);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(60));
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.2"], 60);
    bench.wait(ms(300));
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.addresses(), ips(["2001:db8::1", "192.0.2.2"]));
}

#[test]
fn nameserver_that_answered_last_is_asked_first() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.wait(ms(300));
    bench.answer("10.0.0.2", Aaaa, &["2001:db8::1"], 60);
    bench.resolve();
    assert_eq!(bench.sent, 4, "the new order is no reason to start again");
    bench.answer("10.0.0.2", A, &["192.0.2.1"], 60);
    bench.wait(s(60));
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.2"), A), (ip("10.0.0.2"), Aaaa)]);
    bench.wait(ms(300));
    assert!(bench.asked().contains(&(ip("10.0.0.1"), A)), "then in the order of the file");
    let elsewhere = settings(&["10.0.0.1", "10.0.0.2"], &[]);
    bench.call(|resolver, _, actions| resolver.configure(&elsewhere, actions));
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A), (ip("10.0.0.1"), Aaaa)], "another network");
}

#[test]
fn good_address_is_a_fallback_after_300_ms_of_silence() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    bench.answer("10.0.0.1", A, &[], 60);
    bench.good("192.0.2.1");
    bench.wait(s(60));
    assert_eq!(bench.fallback(), None, "the name has moved");
    bench.resolve();
    bench.wait(ms(299));
    assert_eq!(bench.fallback(), None);
    bench.wait(ms(1));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
    bench.answer("10.0.0.2", Aaaa, &["2001:db8::1"], 60);
    assert_eq!(bench.fallback(), None, "not needed once an answer is there");
}

#[test]
fn good_address_is_a_fallback_at_once_if_an_expired_answer_named_it() {
    let mut bench = Bench::new();
    bench.families = V4;
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.good("192.0.2.1");
    assert_eq!(bench.fallback(), None);
    bench.wait(s(60));
    bench.resolve();
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
    bench.answer("10.0.0.1", A, &["192.0.2.2"], 60);
    bench.wait(s(60));
    bench.resolve();
    assert_eq!(bench.fallback(), None, "the name has moved");
    bench.wait(ms(300));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")), "better than nothing");
}

#[test]
fn expired_answer_vouches_for_a_day_after_the_last_acknowledgement() {
    let mut bench = Bench::new();
    bench.families = V4;
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(7 * 86_400));
    bench.good("192.0.2.1"); // over a connection that was kept for a week
    bench.wait(s(86_400) - ms(1));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
    bench.wait(ms(1));
    assert_eq!(bench.fallback(), None);
}

#[test]
fn good_address_is_never_lost_to_dns() {
    let mut bench = Bench::new();
    bench.good("192.0.2.1");
    bench.resolve();
    bench.fail("10.0.0.1", A, Failure::NameNotFound);
    bench.fail("10.0.0.1", Aaaa, Failure::NameNotFound);
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
    bench.wait(s(3600));
    bench.resolve();
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")), "not even for 300 ms");
    bench.call(|resolver, _, actions| resolver.configure(&settings(&[], &[]), actions));
    bench.resolve();
    assert_eq!(bench.state(), State::Failed(Failure::NoNameserver));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
}

#[test]
fn changed_settings_drop_queries_and_answers_but_not_the_good_address() {
    let mut bench = Bench::new();
    bench.good("192.0.2.1");
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    let same = settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[]);
    assert!(!bench.call(|resolver, _, actions| resolver.configure(&same, actions)));
    assert_eq!(bench.open.len(), 1, "no news drops nothing");
    let other = settings(&["10.0.0.9"], &[]);
    assert!(bench.call(|resolver, _, actions| resolver.configure(&other, actions)));
    assert_eq!(bench.resolver.resolved_at, None);
    assert_eq!(bench.asked(), []);
    assert!(bench.addresses().is_empty());
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.9"), A), (ip("10.0.0.9"), Aaaa)]);
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")), "whatever DNS does at that moment");
}

#[test]
fn another_host_forgets_everything_but_the_hosts_file_read_for_it() {
    let mut with_hosts = settings(&["10.0.0.1"], &[]);
    with_hosts.hosts = ips(["192.0.2.7"]).into_iter().collect();
    let mut bench = Bench::with("meeting.example.com", &with_hosts);
    bench.good("192.0.2.7");
    bench.call(|resolver, _, actions| {
        let other_port = Server { port: 80, ..server("meeting.example.com") };
        resolver.server(&other_port, actions);
    });
    assert_eq!(bench.state(), State::Known, "another port is the same host");
    bench.call(|resolver, _, actions| {
        let _news = resolver.configure(&settings(&["10.0.0.1"], &[]), actions);
        resolver.server(&server("other.example.com"), actions);
    });
    assert!(bench.addresses().is_empty());
    bench.resolve();
    bench.wait(s(1));
    assert_eq!(bench.fallback(), None);
}
