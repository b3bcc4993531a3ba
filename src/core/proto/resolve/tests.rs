mod memory;
mod network;
mod random;
mod search;
mod table;
mod transport;

use super::known::in_order;
use super::*;
use crate::proto::event::Action;
use crate::proto::settings::{ANSWER_WAIT, HostName, MULTICAST};

/// Most actions that one call orders: every open query closed, and one asked per family.
const ACTIONS_OF_A_CALL: usize = QUERIES_MAX + 2;

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

/// Brings a bench into a state.
type Arrange = fn(&mut Bench);

/// A resolver, its clock, and what it asked for and has not taken back.
struct Bench {
    resolver: Resolver,
    now: Instant,
    open: Vec<Asked>,
    sent: usize,
    families: Families,
    via: Vec<(IpAddr, Option<InterfaceName>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    query: QueryId,
    to: IpAddr,
    via: Option<InterfaceName>,
    family: Family,
    search: Option<u8>,
    transport: Transport,
}

/// Settings with these nameservers and search domains.
fn settings(nameservers: &[&str], search: &[&str]) -> ResolverSettings {
    ResolverSettings {
        nameservers: nameservers
            .iter()
            .map(|text| Nameserver { address: ip(text), scope: None })
            .collect(),
        search: search.join(" ").as_str().try_into().unwrap(),
        ..ResolverSettings::default()
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
        assert!(actions.len() <= ACTIONS_OF_A_CALL, "{actions:?}");
        for action in actions {
            match action {
                Action::SendQuery { query, to, via, family, search, transport } => {
                    let multicast = to.ip() == MULTICAST.address;
                    assert_eq!(to.port(), if multicast { 5353 } else { 53 });
                    assert!(self.open.iter().all(|asked| asked.query != query));
                    self.open.push(Asked { query, to: to.ip(), via, family, search, transport });
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
        let (families, via) = (self.families, self.via.clone());
        self.call(|resolver, now, actions| {
            let via = |server: &Nameserver| match via.iter().find(|(ip, _)| *ip == server.address) {
                Some((_, via)) => Some(*via),
                None if via.is_empty() => Some(None),
                None => None,
            };
            resolver.resolve(via, families, now, actions);
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

    /// The open query to this nameserver for this family.
    fn find(&self, to: &str, family: Family) -> QueryId {
        let found = self.open.iter().rfind(|asked| asked.to == ip(to) && asked.family == family);
        found.unwrap_or_else(|| panic!("{to} was not asked for {family:?}: {:?}", self.open)).query
    }

    fn end(&mut self, query: QueryId) {
        self.open.retain(|asked| asked.query != query);
    }

    fn answer(&mut self, to: &str, family: Family, addresses: &[&str], ttl_s: u32) -> bool {
        let query = self.find(to, family);
        self.end(query);
        let addresses = addresses.iter().map(|text| ip(text)).collect();
        self.call(|resolver, now, actions| {
            resolver.answered(query, &Answer { addresses, ttl_s }, now, actions)
        })
    }

    fn fail(&mut self, to: &str, family: Family, failure: Failure) {
        let query = self.find(to, family);
        self.end(query);
        self.call(|resolver, now, actions| resolver.failed(query, failure, now, actions));
    }

    /// An address has acknowledged a beat now.
    fn good(&mut self, address: &str) {
        self.resolver.good(ip(address), self.now);
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

    /// The nameservers with open queries, with the family.
    fn asked(&self) -> Vec<(IpAddr, Family)> {
        self.open.iter().map(|asked| (asked.to, asked.family)).collect()
    }
}

use Family::{V4 as A, V6 as Aaaa};

#[test]
fn both_families_are_asked_at_once_and_the_first_nameserver_first() {
    let mut bench = Bench::new();
    bench.resolve();
    assert_eq!(bench.asked(), [(ip("10.0.0.1"), A), (ip("10.0.0.1"), Aaaa)]);
    assert_eq!(bench.state(), State::Waiting);
}

#[test]
fn only_usable_families_are_asked() {
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
fn first_answer_of_each_family_wins() {
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
    assert_eq!(bench.resolver.resolved_at, Some(bench.now));
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
    assert_eq!(bench.resolver.resolved_at, Some(bench.now));
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
    let order = in_order(&all, None);
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
    let order = in_order(&all, Some(ip("2001:db8::2")));
    let front: Vec<_> = order.iter().take(4).copied().collect();
    assert_eq!(front, ips(["2001:db8::2", "2001:db8::1", "192.0.2.1", "192.0.2.2"]));
    let order = in_order(&all, Some(ip("192.0.2.99")));
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
fn mapped_literal_address_is_one_of_ipv4() {
    let bench = Bench::with("::ffff:192.0.2.7", &settings(&["10.0.0.1"], &[]));
    assert_eq!(bench.addresses(), ips(["192.0.2.7"]));
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
    let wlan0 = InterfaceName::new("wlan0");
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
    bench.fail("10.0.0.1", Aaaa, Failure::NameNotFound);
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.sent, 2);
    assert_eq!(bench.state(), State::Failed(Failure::NameNotFound));
}

/// What a nameserver may make of one family.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Address,
    Empty,
    NoName,
    Failed,
    Refused,
    Silent,
}

impl Bench {
    fn hear(&mut self, family: Family, word: Word) {
        let address = if family == A { "192.0.2.1" } else { "2001:db8::1" };
        match word {
            Word::Address => drop(self.answer("10.0.0.1", family, &[address], 60)),
            Word::Empty => drop(self.answer("10.0.0.1", family, &[], 60)),
            Word::NoName => self.fail("10.0.0.1", family, Failure::NameNotFound),
            Word::Failed => self.fail("10.0.0.1", family, Failure::NameServerFailed),
            Word::Refused => self.fail("10.0.0.1", family, Failure::Refused),
            Word::Silent => {}
        }
    }
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
