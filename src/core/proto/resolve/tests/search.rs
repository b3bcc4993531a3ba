//! Families and candidates: whose word counts, and what is asked next.

use super::*;

/// RFC 4074 §4: nameservers that answer rubbish about one family, in both orders.
#[test]
fn address_of_one_family_counts_whatever_is_said_of_the_other() {
    use Word::{Address, Empty, Failed, NoName, Refused, Silent};
    for other in [Address, Empty, NoName, Failed, Refused, Silent] {
        for (good, bad) in [(A, Aaaa), (Aaaa, A)] {
            for order in [[(good, Address), (bad, other)], [(bad, other), (good, Address)]] {
                let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
                bench.resolve();
                for (family, word) in order {
                    bench.wait(ms(10));
                    bench.hear(family, word);
                }
                bench.wait(ms(50));
                let described = format!("{order:?}");
                assert_eq!(bench.state(), State::Known, "{described}");
                assert_eq!(
                    bench.addresses().len(),
                    1 + usize::from(other == Address),
                    "{described}"
                );
                // It is settled: the other family is not asked for again within its minute.
                bench.wait(ms(300));
                bench.resolve();
                bench.wait(s(40));
                bench.resolve();
                assert_eq!((bench.sent, bench.state()), (2, State::Known), "{described}");
            }
        }
    }
}

#[test]
fn name_exists_for_nobody_only_if_both_kinds_say_so() {
    use Word::{Empty, Failed, NoName, Silent};
    for (first, second, failure) in [
        (NoName, NoName, Failure::NameNotFound),
        (NoName, Empty, Failure::NameNotFound),
        (Empty, NoName, Failure::NameNotFound),
        (NoName, Failed, Failure::NameServerFailed),
        (Failed, Empty, Failure::NameServerFailed),
        (NoName, Silent, Failure::NameServerSilent),
    ] {
        let mut bench = Bench::with("meeting.example.com", &settings(&["10.0.0.1"], &[]));
        bench.resolve();
        bench.hear(A, first);
        bench.hear(Aaaa, second);
        bench.wait(if second == Silent { ANSWER_WAIT } else { ms(1) });
        assert_eq!(bench.state(), State::Failed(failure), "{first:?} {second:?}");
    }
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

/// The names asked for until the nameserver has said this of each candidate: their search domains.
fn candidates(name: &str, settings: &ResolverSettings, failure: Failure) -> Vec<Option<u8>> {
    let mut bench = Bench::with(name, settings);
    bench.resolve();
    let mut asked = Vec::new();
    while let Some(search) = bench.open.last().map(|asked| asked.search) {
        asked.push(search);
        bench.fail("10.0.0.1", A, failure);
        bench.fail("10.0.0.1", Aaaa, failure);
    }
    let expected =
        if failure == Failure::NameNotFound { failure } else { Failure::NameServerFailed };
    assert_eq!(bench.state(), State::Failed(expected));
    asked
}

#[test]
fn name_is_tried_bare_first_or_last_as_its_dots_say() {
    for (name, ndots, expected) in [
        ("api", 1, [Some(0), Some(1), None]),
        ("api", 0, [None, Some(0), Some(1)]),
        ("api.internal", 1, [None, Some(0), Some(1)]),
        ("api.internal", 2, [Some(0), Some(1), None]),
        ("api.prod.internal", 2, [None, Some(0), Some(1)]),
        ("api.prod.internal", 15, [Some(0), Some(1), None]),
    ] {
        for failure in [Failure::NameNotFound, Failure::NameServerFailed] {
            let mut settings = settings(&["10.0.0.1"], &["lan", "example.com"]);
            settings.ndots = ndots;
            assert_eq!(candidates(name, &settings, failure), expected, "{name} {ndots}");
        }
    }
}

#[test]
fn thirty_two_search_domains_are_tried_and_the_bare_name() {
    let domains: Vec<String> = (0..32).map(|number| format!("d{number}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let settings = settings(&["10.0.0.1"], &domains);
    let asked = candidates("api", &settings, Failure::NameNotFound);
    assert_eq!(asked, (0..32).map(Some).chain([None]).collect::<Vec<_>>());
}

/// How many questions nameservers are asked in an hour that say this of every candidate, where each network that comes
/// back begins the search again.
fn questions_of_an_hour(domains: usize, failure: Failure) -> usize {
    let domains: Vec<String> = (0..domains).map(|number| format!("d{number}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let mut bench = Bench::with("api", &settings(&["10.0.0.1", "10.0.0.2"], &domains));
    for round in 0..360 {
        if round % 2 == 0 {
            bench.resolver.network_back();
        }
        bench.resolve();
        while let Some(asked) = bench.open.last().copied() {
            bench.fail(&asked.to.to_string(), asked.family, failure);
        }
        bench.wait(s(10));
    }
    bench.sent
}

#[test]
fn search_domains_add_392_candidates_an_hour_at_most() {
    for (failure, nameservers) in [(Failure::NameNotFound, 1), (Failure::NameServerFailed, 2)] {
        let bare = questions_of_an_hour(0, failure);
        for domains in [1, 2, 6, 31, 32] {
            let more = questions_of_an_hour(domains, failure) - bare;
            assert!(more <= 392 * 2 * nameservers, "{domains} {failure:?}: {more}");
            assert!(more >= 290 * 2 * nameservers, "{domains} {failure:?}: {more}");
        }
    }
}

#[test]
fn search_that_waits_for_its_turn_denies_nothing_and_ends() {
    let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan", "example.com"]));
    bench.families = V4;
    let mut waited = 0;
    for _ in 0..100 {
        bench.resolver.network_back();
        bench.resolve();
        let first = bench.sent;
        while !bench.open.is_empty() {
            bench.fail("10.0.0.1", A, Failure::NameNotFound);
        }
        waited += usize::from(bench.sent == first);
        assert_eq!(bench.sent - first, if bench.sent == first { 0 } else { 2 }, "all or none");
        bench.wait(s(5));
    }
    assert!((50..90).contains(&waited), "{waited}");
    bench.wait(s(20));
    bench.resolve();
    for _ in 0..2 {
        bench.fail("10.0.0.1", A, Failure::NameNotFound);
    }
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
}

#[test]
fn trouble_with_one_search_domain_stands_in_the_way_of_no_other() {
    for failure in [Failure::NameServerFailed, Failure::NameNotFound] {
        let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan", "example.com"]));
        bench.resolve();
        bench.fail("10.0.0.1", Aaaa, failure);
        bench.fail("10.0.0.1", A, failure);
        bench.fail("10.0.0.1", A, failure);
        bench.fail("10.0.0.1", Aaaa, failure);
        bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
        bench.answer("10.0.0.1", Aaaa, &[], 60);
        assert_eq!((bench.state(), bench.sent), (State::Known, 6), "{failure:?}");
        assert_eq!(bench.open, []);
    }
}

#[test]
fn silence_about_one_candidate_twice_leads_to_the_next_after_the_rest() {
    let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan"]));
    for wait in [1300, 2300, 0] {
        bench.resolve();
        bench.wait(ms(wait));
    }
    let searches: Vec<_> = bench.open.iter().map(|asked| asked.search).collect();
    let expected = [Some(0), Some(0), Some(0), Some(0), None, None];
    assert_eq!(searches, expected, "and the former may still answer");
    // A late address is one; late denials of another candidate are none of this one.
    let late: Vec<_> = bench.open.iter().filter(|asked| asked.search.is_some()).copied().collect();
    for Asked { query, family, .. } in late {
        bench.end(query);
        let addresses = (family == A).then(|| ip("192.0.2.1")).into_iter().collect();
        let answer = Answer { addresses, ttl_s: 60 };
        bench.call(|resolver, now, actions| resolver.answered(query, &answer, now, actions));
    }
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
    assert_eq!(bench.asked(), [], "what is asked about the other candidate is not needed");
}

#[test]
fn one_lost_packet_costs_no_candidate() {
    let mut bench = Bench::with("api.example.org", &settings(&["10.0.0.1"], &["lan"]));
    bench.families = V4;
    bench.resolve();
    bench.wait(ms(1300));
    bench.resolve();
    assert_eq!((bench.sent, bench.open.last().unwrap().search), (2, None));
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
}

#[test]
fn denial_of_the_last_candidate_denies_no_silent_one() {
    let mut bench = Bench::with("api.example.org", &settings(&["10.0.0.1"], &["lan"]));
    bench.families = V4;
    bench.resolve();
    bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    bench.wait(s(10));
    bench.resolver.doubt(true);
    for wait in [1300, 2300, 0] {
        bench.resolve();
        bench.wait(ms(wait));
    }
    assert_eq!(bench.open.last().unwrap().search, Some(0));
    bench.fail("10.0.0.1", A, Failure::NameNotFound);
    assert_eq!(bench.addresses(), ips(["192.0.2.1"]), "what is known stays");
    assert_eq!(bench.open.len(), 2, "and a late answer counts");
    bench.wait(s(4));
    bench.resolve();
    assert_eq!(bench.open.last().unwrap().search, None, "the search starts over");
}

/// Has candidates passed over in silence, up to the search domain.
fn passed_over() -> Bench {
    let mut bench = Bench::with("api.example.org", &settings(&["10.0.0.1"], &["lan"]));
    bench.families = V4;
    bench.via = vec![(ip("10.0.0.1"), InterfaceName::new("eth0"))];
    for wait in [1300, 2300, 0] {
        bench.resolve();
        bench.wait(ms(wait));
    }
    assert_eq!(bench.open.last().unwrap().search, Some(0));
    bench
}

#[test]
fn what_comes_new_is_asked_about_the_first_candidate_first() {
    let cases: [(&str, Arrange); 4] = [
        ("way", |bench| bench.via = vec![(ip("10.0.0.1"), InterfaceName::new("wlan0"))]),
        ("network", |bench| bench.resolver.network_back()),
        ("beat", |bench| bench.call(|resolver, _, actions| resolver.close_all(actions))),
        ("link", |bench| {
            let eth0 = InterfaceName::new("eth0").unwrap();
            bench.call(|resolver, _, actions| resolver.link_lost(eth0, actions));
        }),
    ];
    for (new, arrange) in cases {
        let mut bench = passed_over();
        let sent = bench.sent;
        arrange(&mut bench);
        bench.resolve();
        let last = bench.open.last().map(|asked| asked.search);
        assert_eq!((bench.sent, last), (sent + 1, Some(None)), "{new}");
    }
}

#[test]
fn known_address_stays_while_the_candidates_before_it_are_denied() {
    let mut bench = Bench::with("api", &settings(&["10.0.0.1"], &["lan"]));
    for round in 0..2 {
        bench.resolver.doubt(true);
        bench.resolve();
        bench.fail("10.0.0.1", A, Failure::NameNotFound);
        bench.fail("10.0.0.1", Aaaa, Failure::NameNotFound);
        assert_eq!(bench.addresses().len(), round, "the second time it is known");
        bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
        bench.answer("10.0.0.1", Aaaa, &[], 60);
        assert_eq!(bench.addresses(), ips(["192.0.2.1"]));
        bench.wait(s(10));
    }
}
