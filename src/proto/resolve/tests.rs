mod random;
mod table;

use super::known::in_order;
use super::*;
use crate::proto::event::Action;
use crate::proto::settings::HostName;

const BOTH: Families = Families { v4: true, v6: true };
const V4: Families = Families { v4: true, v6: false };
const SEVEN: [&str; 7] =
    ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3", "2001:db8::2", "192.0.2.4", "192.0.2.5"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<IpAddr> {
    texts.into_iter().map(ip).collect()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A resolver, its clock, and what it asked for and has not taken back.
struct Bench {
    resolver: Resolver,
    now: Instant,
    open: Vec<Asked>,
    sent: usize,
    families: Families,
    via: Vec<(IpAddr, Option<Name>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    query: Query,
    to: IpAddr,
    via: Option<Name>,
    kind: RecordKind,
    search: Option<u8>,
}

/// Settings with these nameservers and search domains.
fn settings(nameservers: &[&str], search: &[&str]) -> ResolverSettings {
    ResolverSettings {
        nameservers: nameservers
            .iter()
            .map(|text| Nameserver { address: ip(text), scope: None })
            .collect(),
        search: search.iter().map(|text| HostName::try_from(*text).unwrap()).collect(),
        hosts: heapless::Vec::new(),
    }
}

fn server(name: &str) -> Server {
    let host = match name.parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(HostName::try_from(name).unwrap()),
    };
    Server { host, port: 443 }
}

impl Bench {
    /// A name to look up at three nameservers.
    fn new() -> Self {
        Self::with("meeting.example.com", &settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[]))
    }

    fn with(name: &str, settings: &ResolverSettings) -> Self {
        let mut bench = Self {
            resolver: Resolver::new(),
            now: Instant::from_micros(1_000_000_000),
            open: Vec::new(),
            sent: 0,
            families: BOTH,
            via: Vec::new(),
        };
        bench.call(|resolver, _, actions| {
            resolver.server(&server(name), actions);
            resolver.configure(settings, actions)
        });
        bench
    }

    /// Calls the resolver and performs its orders.
    fn call<R>(&mut self, call: impl FnOnce(&mut Resolver, Instant, &mut Actions) -> R) -> R {
        let mut actions = Actions::new();
        let result = call(&mut self.resolver, self.now, &mut actions);
        assert!(actions.len() <= RESOLVE_ACTIONS_MAX, "{actions:?}");
        for action in actions {
            match action {
                Action::SendQuery { query, to, via, kind, search } => {
                    assert_eq!(to.port(), 53);
                    assert!(self.open.iter().all(|asked| asked.query != query));
                    self.open.push(Asked { query, to: to.ip(), via, kind, search });
                    self.sent += 1;
                    assert!(self.open.len() <= QUERIES_MAX);
                }
                Action::CloseQuery(query) => {
                    let at = self.open.iter().position(|asked| asked.query == query);
                    self.open.remove(at.expect("only open queries are closed"));
                }
                other => panic!("{other:?}"),
            }
        }
        result
    }

    fn resolve(&mut self) {
        self.resolve_ahead(Duration::ZERO);
    }

    fn resolve_ahead(&mut self, ahead: Duration) {
        let (families, via) = (self.families, self.via.clone());
        self.call(|resolver, now, actions| {
            let via = |server: &Nameserver| match via.iter().find(|(ip, _)| *ip == server.address) {
                Some((_, via)) => Some(*via),
                None if via.is_empty() => Some(None),
                None => None,
            };
            resolver.resolve(via, families, ahead, now, actions);
        });
    }

    fn wait(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(at) = self.resolver.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.call(Resolver::tick);
            let next = self.resolver.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "the deadline does not move");
        }
        self.now = until;
    }

    /// The open query to this nameserver for this kind.
    fn find(&self, to: &str, kind: RecordKind) -> Query {
        let found = self.open.iter().rfind(|asked| asked.to == ip(to) && asked.kind == kind);
        found.unwrap_or_else(|| panic!("{to} was not asked for {kind:?}: {:?}", self.open)).query
    }

    fn end(&mut self, query: Query) {
        self.open.retain(|asked| asked.query != query);
    }

    fn answer(&mut self, to: &str, kind: RecordKind, addresses: &[&str], ttl_s: u32) -> bool {
        let query = self.find(to, kind);
        self.end(query);
        let addresses = addresses.iter().map(|text| ip(text)).collect();
        self.call(|resolver, now, actions| {
            resolver.answered(query, &Answer { addresses, ttl_s }, now, actions)
        })
    }

    fn fail(&mut self, to: &str, kind: RecordKind, failure: Failure) {
        let query = self.find(to, kind);
        self.end(query);
        self.call(|resolver, now, actions| resolver.failed(query, failure, now, actions));
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.resolver.addresses(self.now).to_vec()
    }

    fn state(&self) -> State {
        self.resolver.state(self.now)
    }

    fn fallback(&self) -> Option<IpAddr> {
        self.resolver.fallback(self.now)
    }

    /// The nameservers with open queries, with the kind.
    fn asked(&self) -> Vec<(IpAddr, RecordKind)> {
        self.open.iter().map(|asked| (asked.to, asked.kind)).collect()
    }
}

use RecordKind::{A, Aaaa};

#[test]
fn both_kinds_are_asked_at_once_and_the_first_nameserver_first() {
    let mut bench = Bench::new();
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A), (ip("10.0.0.1"), Aaaa)]);
    assert_eq!(bench.state(), State::Waiting);
}

#[test]
fn only_kinds_of_usable_families_are_asked() {
    let mut bench = Bench::new();
    bench.families = V4;
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A)]);
}

#[test]
fn asking_twice_sends_once() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.resolve();
    assert_eq!(bench.sent, 2);
}

#[test]
fn silent_nameserver_gets_300_ms_before_the_next_is_asked_too() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.wait(ms(299));
    assert_eq!(bench.sent, 2);
    bench.wait(ms(1));
    assert_eq!(bench.sent, 4);
    assert!(bench.asked().contains(&(ip("10.0.0.1"), A)), "the first may still answer");
    bench.wait(ms(300));
    assert_eq!(bench.sent, 6);
}

#[test]
fn nameserver_that_fails_is_followed_by_the_next_at_once() {
    for failure in [Failure::NameServerFailed, Failure::Unreachable, Failure::Refused] {
        let mut bench = Bench::new();
        bench.resolve();
        bench.fail("10.0.0.1", A, failure);
        assert_eq!(bench.sent, 4, "{failure:?}");
        bench.fail("10.0.0.1", Aaaa, failure);
        assert_eq!(bench.sent, 4, "the second word of the same nameserver is no news");
        bench.fail("10.0.0.2", A, failure);
        assert_eq!(bench.sent, 6);
    }
}

#[test]
fn first_answer_of_each_kind_wins() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.wait(ms(300));
    assert!(bench.answer("10.0.0.2", Aaaa, &["2001:db8::1"], 60));
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A), (ip("10.0.0.2"), A)]);
    assert!(bench.answer("10.0.0.1", A, &["192.0.2.1"], 60));
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.addresses(), ips(["2001:db8::1", "192.0.2.1"]));
    assert_eq!(bench.state(), State::Known);
    assert_eq!(bench.resolver.next_deadline(), None);
}

#[test]
fn answer_to_a_forgotten_query_changes_nothing() {
    let mut bench = Bench::new();
    bench.resolve();
    let query = bench.find("10.0.0.1", A);
    bench.call(|resolver, _, actions| resolver.close_all(actions));
    let answer = Answer { addresses: [ip("192.0.2.1")].into_iter().collect(), ttl_s: 60 };
    assert!(!bench.call(|resolver, now, actions| resolver.answered(query, &answer, now, actions)));
    bench.call(|resolver, now, actions| {
        resolver.failed(query, Failure::NameNotFound, now, actions);
    });
    assert_eq!(bench.state(), State::Waiting);
    assert_eq!(bench.sent, 2);
}

#[test]
fn a_waits_50_ms_for_aaaa() {
    let mut bench = Bench::new();
    bench.resolve();
    assert!(bench.answer("10.0.0.1", A, &["192.0.2.1"], 60));
    assert!(bench.addresses().is_empty());
    bench.wait(ms(49));
    assert_eq!(bench.state(), State::Waiting);
    bench.wait(ms(1));
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
    assert_eq!(bench.resolver.resolved_at(), Some(bench.now));
}

#[test]
fn a_waits_for_no_aaaa_that_was_not_asked_or_is_already_there() {
    let mut bench = Bench::new();
    bench.families = V4;
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));

    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(ms(20));
    bench.answer("10.0.0.1", Aaaa, &[], 0);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
    assert_eq!(bench.resolver.resolved_at(), Some(bench.now));
}

#[test]
fn aaaa_is_used_at_once() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    assert_eq!(bench.addresses(), ips(["2001:db8::1"]));
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.addresses(), ips(["2001:db8::1", "192.0.2.1"]));
}

#[test]
fn families_take_turns_ipv6_first_and_the_good_address_before_all() {
    let all = ips(SEVEN);
    let order = in_order(all.iter(), None);
    assert_eq!(
        order.to_vec(),
        ips([
            "2001:db8::1",
            "192.0.2.1",
            "2001:db8::2",
            "192.0.2.2",
            "192.0.2.3",
            "192.0.2.4",
            "192.0.2.5"
        ])
    );
    let order = in_order(all.iter(), Some(ip("2001:db8::2")));
    let front: Vec<_> = order.iter().take(4).copied().collect();
    assert_eq!(front, ips(["2001:db8::2", "2001:db8::1", "192.0.2.1", "192.0.2.2"]));
    let order = in_order(all.iter(), Some(ip("192.0.2.99")));
    assert_eq!(order.len(), 7, "an address that no answer names is not added");
}

#[test]
fn literal_address_needs_no_lookup() {
    let mut bench = Bench::with("192.0.2.7", &settings(&["10.0.0.1"], &[]));
    bench.resolve();
    assert_eq!(bench.sent, 0);
    assert_eq!(bench.addresses(), ips(["192.0.2.7"]));
    assert_eq!(bench.state(), State::Known);
}

#[test]
fn hosts_file_comes_before_dns() {
    let mut with_hosts = settings(&["10.0.0.1"], &[]);
    with_hosts.hosts = ips(["192.0.2.7", "2001:db8::7"]).into_iter().collect();
    let mut bench = Bench::with("meeting.example.com", &with_hosts);
    bench.resolve();
    assert_eq!(bench.sent, 0);
    assert_eq!(bench.addresses(), ips(["2001:db8::7", "192.0.2.7"]));
}

#[test]
fn nobody_to_ask_is_a_failure_that_says_why() {
    let mut bench = Bench::with("meeting.example.com", &settings(&[], &[]));
    bench.resolve();
    assert_eq!(bench.state(), State::Failed(Failure::NoNameserver));

    let mut bench = Bench::new();
    bench.via = vec![(ip("10.9.9.9"), None)];
    bench.resolve();
    assert_eq!(bench.state(), State::Failed(Failure::NameServerSilent));
    bench.via.clear();
    bench.resolve();
    assert_eq!(bench.state(), State::Waiting, "a nameserver that becomes reachable is asked");
    assert_eq!(bench.sent, 2);
}

#[test]
fn unreachable_nameserver_is_skipped_and_the_others_are_bound() {
    let wlan0 = Name::new("wlan0");
    let mut bench = Bench::new();
    bench.via = vec![(ip("10.0.0.2"), wlan0)];
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.2"), A), (ip("10.0.0.2"), Aaaa)]);
    assert!(bench.open.iter().all(|asked| asked.via == wlan0));
}

#[test]
fn passes_in_vain_are_repeated_with_growing_rests_while_asked_for() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    let start = bench.now;
    let mut passes = Vec::new();
    for _ in 0..25_000 {
        let sent = bench.sent;
        bench.resolve();
        if bench.sent > sent {
            passes.push((bench.now - start).as_millis());
        }
        bench.wait(ms(1));
    }
    // Each pass is 300 ms of patience, then the rest.
    assert_eq!(passes, [0, 1300, 3600, 7900, 13200, 18500, 23800]);
}

#[test]
fn an_hour_of_silence_costs_3700_questions_at_most() {
    let mut bench = Bench::new();
    for _ in 0..36_000 {
        bench.resolve();
        bench.wait(ms(100));
    }
    assert!((3_600..=3_700).contains(&bench.sent), "{}", bench.sent);
}

#[test]
fn lookup_nobody_asks_for_again_ends() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.wait(s(60));
    assert_eq!(bench.sent, 6);
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.resolver.next_deadline(), None);
    assert_eq!(bench.state(), State::Failed(Failure::NameServerSilent));
}

#[test]
fn slow_answer_counts_after_the_pass_is_over() {
    let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
    bench.resolve();
    bench.wait(ms(900));
    assert_eq!(bench.state(), State::Waiting, "not failed while an answer may come");
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    assert_eq!(bench.state(), State::Known);
    assert_eq!(bench.resolver.next_deadline(), None);
}

#[test]
fn every_nameserver_failing_is_known_at_once() {
    let mut bench = Bench::new();
    bench.resolve();
    for to in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        bench.fail(to, A, Failure::NameServerFailed);
        bench.fail(to, Aaaa, Failure::NameServerFailed);
    }
    assert_eq!(bench.state(), State::Failed(Failure::NameServerFailed));
    bench.resolve();
    assert_eq!(bench.sent, 6, "not asked again before the rest is over");
    bench.wait(s(1));
    bench.resolve();
    assert_eq!(bench.sent, 8);
}

#[test]
fn name_that_does_not_exist_is_not_asked_elsewhere() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.fail("10.0.0.1", A, Failure::NameNotFound);
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.state(), State::Failed(Failure::NameNotFound));
}

#[test]
fn name_without_any_address_is_not_found() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", A, &[], 300);
    assert_eq!(bench.state(), State::Waiting);
    bench.answer("10.0.0.1", Aaaa, &[], 300);
    assert_eq!(bench.state(), State::Failed(Failure::NameNotFound));
}

#[test]
fn silence_about_one_family_does_not_keep_asking() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 300);
    bench.wait(s(2));
    assert_eq!(bench.asked(), []);
    let sent = bench.sent;
    bench.resolve();
    bench.wait(s(50));
    bench.resolve();
    assert_eq!(bench.sent, sent, "empty for a minute");
    bench.wait(s(10));
    bench.resolve();
    assert_eq!(bench.sent, sent + 2);
    assert_eq!(bench.state(), State::Known, "the other family is still good");
}

#[test]
fn single_label_is_tried_with_each_search_domain_then_bare() {
    let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan", "example.com"]));
    bench.resolve();
    let search = |bench: &Bench| {
        bench.open.iter().map(|asked| asked.search).collect::<heapless::Vec<_, 4>>()
    };
    assert_eq!(search(&bench), [Some(0), Some(0)]);
    bench.fail("10.0.0.1", A, Failure::NameNotFound);
    assert_eq!(search(&bench), [Some(1), Some(1)]);
    bench.answer("10.0.0.1", A, &[], 60);
    bench.answer("10.0.0.1", Aaaa, &[], 60);
    assert_eq!(search(&bench), [None, None]);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.answer("10.0.0.1", Aaaa, &[], 60);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
}

#[test]
fn search_ends_with_the_first_domain_that_has_an_address() {
    let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan", "example.com"]));
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &[], 60);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.sent, 2);
}

#[test]
fn name_with_a_dot_is_asked_as_it_is() {
    let mut bench = Bench::with("api.example.com", &settings(&["10.0.0.1"], &["lan"]));
    bench.resolve();
    assert!(bench.open.iter().all(|asked| asked.search.is_none()));
}

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
fn answer_that_would_expire_is_refreshed_ahead() {
    let mut bench = Bench::new();
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(30));
    bench.resolve_ahead(s(29));
    assert_eq!(bench.sent, 2);
    bench.resolve_ahead(s(30));
    assert_eq!(bench.sent, 4);
    assert_eq!(bench.addresses().len(), 2, "what is known stays usable");
    bench.answer("10.0.0.1", A, &["192.0.2.2"], 60);
    assert_eq!(bench.addresses(), ips(["2001:db8::1", "192.0.2.2"]));
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::2"], 60);
    bench.wait(s(40));
    assert_eq!(bench.addresses(), ips(["2001:db8::2", "192.0.2.2"]));
}

#[test]
fn refresh_ahead_of_a_short_ttl_is_no_storm() {
    let mut bench = Bench::new();
    bench.families = V4;
    for _ in 0..4_000 {
        bench.resolve_ahead(s(30));
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
    bench.resolve_ahead(s(30));
    bench.wait(ms(300));
    assert_eq!(bench.state(), State::Known);
    assert_eq!(bench.addresses().len(), 2);
    bench.resolve_ahead(s(30));
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
    bench.resolver.good(ip("192.0.2.1"));
    assert_eq!(bench.fallback(), None);
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
    bench.resolver.good(ip("192.0.2.1"));
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
fn expired_answer_vouches_for_a_day() {
    let mut bench = Bench::new();
    bench.families = V4;
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.resolver.good(ip("192.0.2.1"));
    bench.wait(s(86_400 + 59));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
    bench.wait(s(1));
    assert_eq!(bench.fallback(), None);
}

#[test]
fn good_address_is_never_lost_to_dns() {
    let mut bench = Bench::new();
    bench.resolver.good(ip("192.0.2.1"));
    bench.resolve();
    bench.fail("10.0.0.1", A, Failure::NameNotFound);
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
    bench.resolver.good(ip("192.0.2.1"));
    bench.resolve();
    bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    let same = settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[]);
    assert!(!bench.call(|resolver, _, actions| resolver.configure(&same, actions)));
    assert_eq!(bench.open.len(), 1, "no news drops nothing");
    let other = settings(&["10.0.0.9"], &[]);
    assert!(bench.call(|resolver, _, actions| resolver.configure(&other, actions)));
    assert_eq!(bench.resolver.resolved_at(), None);
    assert_eq!(bench.asked(), []);
    assert!(bench.addresses().is_empty());
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.9"), A), (ip("10.0.0.9"), Aaaa)]);
    bench.wait(ms(300));
    assert_eq!(bench.fallback(), Some(ip("192.0.2.1")));
}

#[test]
fn another_host_forgets_everything_but_the_hosts_file_read_for_it() {
    let mut with_hosts = settings(&["10.0.0.1"], &[]);
    with_hosts.hosts = ips(["192.0.2.7"]).into_iter().collect();
    let mut bench = Bench::with("meeting.example.com", &with_hosts);
    bench.resolver.good(ip("192.0.2.7"));
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

#[test]
fn lost_link_drops_its_queries_and_asks_elsewhere() {
    let (eth0, wlan0) = (Name::new("eth0"), Name::new("wlan0"));
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
    let eth0 = Name::new("eth0");
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
    bench.via = vec![(ip("10.0.0.1"), Name::new("eth0"))];
    bench.resolve();
    bench.wait(ms(500));
    let sent = bench.sent;
    bench.via.push((ip("10.0.0.2"), Name::new("wlan0")));
    bench.resolve();
    assert_eq!(bench.sent, sent + 2);
    bench.wait(ms(600 + 1000));
    bench.resolve();
    assert_eq!(bench.sent, sent + 6, "the rest after a local change is a short one");
}

#[test]
fn nothing_more_is_sent_over_a_lost_link() {
    let (eth0, wlan0) = (Name::new("eth0"), Name::new("wlan0"));
    let mut bench = Bench::with("api", &settings(&["10.0.0.1", "10.0.0.2"], &["lan"]));
    bench.via = vec![(ip("10.0.0.1"), eth0), (ip("10.0.0.2"), wlan0)];
    bench.resolve();
    bench.wait(ms(300));
    bench.call(|resolver, _, actions| resolver.link_lost(eth0.unwrap(), actions));
    bench.fail("10.0.0.2", A, Failure::NameNotFound); // the next search domain would be asked
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
fn queries_are_never_more_than_twelve() {
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
