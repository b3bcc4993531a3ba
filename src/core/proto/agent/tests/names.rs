//! Over which ways a name is asked for.

use super::*;

/// How long a beat waits for its connection where nobody answers over eth0, and over wlan1 a nameserver knows the
/// bare name and none with a search domain.
fn wait_beside_a_dead_eth0(search: &str) -> Option<Duration> {
    let mut bench = Bench::with(&named());
    bench.up(WLAN1);
    let nameservers = [Nameserver { address: PROBE.ip(), scope: None }].into_iter().collect();
    let search = search.try_into().expect("short");
    let resolver = ResolverSettings { nameservers, search, ..Default::default() };
    bench.input(Input::ResolverChanged(&resolver));
    let start = bench.now;
    let mut orders = bench.actions.clone();
    while bench.now - start < ms(120_000) {
        while let Some(action) = orders.pop() {
            match action {
                Action::Connect { .. } => return Some(bench.now - start),
                Action::SendQuery { query, via, search, .. } if via == Some(link_name(WLAN1)) => {
                    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 60 };
                    orders.extend_from_slice(bench.input(match search {
                        Some(_) => Input::QueryFailed(query, Failure::NameNotFound),
                        None => Input::QueryAnswered(query, &answer),
                    }));
                }
                Action::OpenProbe { probe, via, .. } if via == Some(link_name(WLAN1)) => {
                    orders.extend_from_slice(bench.input(Input::ProbeAnswered(probe)));
                }
                _ => {}
            }
        }
        bench.now = bench.now.max(bench.agent.next_deadline(bench.now).expect("it goes on"));
        orders.extend_from_slice(bench.input(Input::Deadline));
    }
    None
}

#[test]
fn search_domains_keep_no_name_from_being_found_beside_a_dead_uplink() {
    for search in ["", "a", "a b", "a b c", "a b c d", "a b c d e"] {
        let waited = wait_beside_a_dead_eth0(search);
        assert!(waited.is_some_and(|it| it <= ms(1_100)), "{search:?}: {waited:?}");
    }
}

/// A name of the link, on a LAN that has no way out.
fn closed_lan(bind_to_uplink: bool) -> Bench {
    let host = Host::Name("nvr.local".try_into().expect("a name"));
    let server = Some(Server { host, port: 443 });
    let mut bench = Bench::unconfigured(Instant::from_micros(1_000_000));
    let nameservers = [crate::proto::settings::MULTICAST].into_iter().collect();
    let resolver = ResolverSettings { nameservers, ..Default::default() };
    bench.input(Input::ResolverChanged(&resolver));
    bench.input(Input::Configured(&Settings { server, bind_to_uplink, ..settings() }));
    bench.input(Input::LinksLost);
    for index in [ETH0, WLAN1] {
        bench.link(index, true);
        let network = format!("192.168.{index}.0");
        bench.tables.entries.push(Entry::new(index.into(), &network, 24, 0));
        bench.address(index, 10);
    }
    bench
}

/// Over what each question goes out until a beat ends.
fn asked_over(bench: &mut Bench) -> Vec<Option<InterfaceName>> {
    bench.input(Input::LinksDumped);
    let first = bench.actions.clone();
    let later = bench.pass(ms(9_000));
    let via = |action: &Action| match action {
        Action::SendQuery { via, .. } => Some(*via),
        _ => None,
    };
    first.iter().chain(&later).filter_map(via).collect()
}

#[test]
fn a_name_of_the_link_is_asked_for_on_every_link_of_a_lan_without_a_way_out() {
    let mut bench = closed_lan(true);
    let asked = asked_over(&mut bench);
    for link in [ETH0, WLAN1] {
        assert!(asked.contains(&Some(link_name(link))), "{asked:?}");
    }
    let query = bench.query().expect("a question");
    let address = local(LinkIndex(WLAN1.into()), 77);
    let answer = Answer { addresses: [address].into_iter().collect(), ttl_s: 120 };
    bench.input(Input::QueryAnswered(query, &answer));
    assert_eq!(bench.connects().first().map(|it| it.1), Some(Some(link_name(WLAN1))));
}

#[test]
fn a_group_is_asked_unbound_where_the_kernel_has_a_way_to_it() {
    for bind in [true, false] {
        let mut bench = closed_lan(bind);
        bench.tables.entries.push(Entry::new(ETH0.into(), "224.0.0.0", 4, 0));
        let asked = asked_over(&mut bench);
        assert!(asked.contains(&None), "bound {bind}: {asked:?}");
        assert_eq!(asked.iter().any(Option::is_some), bind, "{asked:?}");
    }
}

#[test]
fn a_link_without_an_address_or_a_carrier_is_asked_nothing() {
    let mut bench = closed_lan(true);
    bench.drop_address(ETH0, 10);
    let asked = asked_over(&mut bench);
    assert!(!asked.is_empty() && asked.iter().all(|via| *via == Some(link_name(WLAN1))));
    bench.link(WLAN1, false);
    assert!(asked_over(&mut bench).is_empty());
}

#[test]
fn an_address_named_anew_after_a_failure_is_tried_in_the_same_beat_and_the_last_good_one_too() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let answer = |host| Answer {
        addresses: [IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))].into_iter().collect(),
        ttl_s: 3600,
    };
    let query = bench.query().expect("a question");
    bench.input(Input::QueryAnswered(query, &answer(10)));
    bench.deliver(false);
    bench.pass(ms(10_000));
    bench.trigger();
    let (id, _) = bench.connect().expect("the address that is known for an hour");
    bench.fail(id, Failure::Refused);
    let query = bench.query().expect("the question once more");
    bench.input(Input::QueryAnswered(query, &answer(11)));
    let [(id, _, to)] = bench.connects()[..] else { panic!("no connection") };
    assert_eq!(to.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
    bench.fail(id, Failure::Refused);
    assert!(matches!(bench.notes()[..], [Note::BeatFailed { .. }]));
    while bench.connect().is_none() {
        bench.pass(ms(1));
    }
    let [(id, _, to)] = bench.connects()[..] else { panic!("no connection") };
    assert_eq!(
        to.ip(),
        SERVER,
        "the last good one, whatever the name says: its turn is the oldest"
    );
    bench.fail(id, Failure::Refused);
    let [(.., to)] = bench.connects()[..] else { panic!("no connection") };
    assert_eq!(to.ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
}

#[test]
fn a_lookup_without_an_answer_moves_to_the_other_uplink() {
    let mut bench = Bench::with(&named());
    bench.up(WLAN1);
    bench.nameserver("9.9.9.9".parse().expect("an address"));
    let way = |bench: &Bench| {
        bench.actions.iter().rev().find_map(|action| match action {
            Action::SendQuery { via, .. } => Some(*via),
            _ => None,
        })
    };
    assert_eq!(way(&bench), Some(Some(name("eth0"))));
    bench.pass(ms(999));
    assert_eq!(way(&bench), None);
    bench.pass(ms(1));
    assert_eq!(way(&bench), Some(Some(name("wlan1"))));
}

#[test]
fn a_nameserver_that_appears_starts_the_waiting_beat_at_once() {
    let mut bench = Bench::with(&named());
    let failure = Failure::NoNameserver;
    assert!(
        matches!(bench.notes()[..], [.., Note::BeatFailed { failure: it, .. }] if it == failure)
    );
    bench.pass(ms(10));
    assert_eq!(bench.query(), None);
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    assert!(bench.query().is_some(), "{:?}", bench.actions);
}

#[test]
fn a_dead_gateway_costs_its_doubt_and_no_lookup_over_the_same_way() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let query = bench.query().expect("a question");
    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 3600 };
    bench.input(Input::QueryAnswered(query, &answer));
    bench.deliver(true);
    bench.up(WLAN1);
    // A lease was renewed, and the file has other nameservers since.
    bench.nameserver(PROBE.ip());
    bench.trigger();
    let (kept, ..) = bench.report().expect("over the kept connection");
    bench.input(Input::Written(kept));
    bench.pass(ms(300));
    bench.input(Input::AckChecked(kept, false));
    let ways: Vec<_> = bench.connects().iter().map(|(_, via, _)| *via).collect();
    assert_eq!(ways, [Some(name("eth0")), Some(name("wlan1"))]);
}

/// A camera without an uplink to bind to, which knows its server by name when the way there goes:
/// what is left is a LAN.
/// `ignored`: eth0 is, else sockets are not bound.
fn way_out_lost(ignored: bool, nameserver: IpAddr) -> Bench {
    let ignore_interfaces = ["lo", if ignored { "eth0" } else { "docker0" }].map(name);
    let ignore_interfaces = ignore_interfaces.into_iter().collect();
    let settings = Settings { bind_to_uplink: ignored, ignore_interfaces, ..named() };
    let mut bench = Bench::with(&settings);
    bench.tables.entries.push(Entry::new(ETH0.into(), "192.168.2.0", 24, 0));
    let gateway = Some(local(LinkIndex(ETH0.into()), 1));
    bench.tables.entries.push(Entry { gateway, ..Entry::new(ETH0.into(), "203.0.113.0", 24, 0) });
    bench.announce(false);
    bench.nameserver(nameserver);
    let query = bench.query().expect("a question");
    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 3600 };
    bench.input(Input::QueryAnswered(query, &answer));
    bench.deliver(false);
    bench.tables.entries.retain(|entry| entry.gateway.is_none());
    bench.announce(true);
    bench
}

#[test]
fn name_is_asked_for_anew_where_the_known_addresses_lead_nowhere() {
    let near = local(LinkIndex(ETH0.into()), 77);
    for ignored in [false, true] {
        let mut bench = way_out_lost(ignored, local(LinkIndex(ETH0.into()), 1));
        assert_eq!(bench.agent.network.reach().connectivity(), Connectivity::Offline);
        let lost_at = bench.now;
        while bench.query().is_none() {
            bench.now = bench.agent.next_deadline(bench.now).expect("the next beat");
            assert!(bench.now - lost_at <= ms(30_000), "not with the next beat");
            bench.input(Input::Deadline);
            assert_eq!(bench.notes(), []);
        }
        let query = bench.query().expect("a question");
        let answer = Answer { addresses: [near].into_iter().collect(), ttl_s: 3600 };
        bench.input(Input::QueryAnswered(query, &answer));
        let [(id, None, to)] = bench.connects()[..] else { panic!("{:?}", bench.actions) };
        assert_eq!(to.ip(), near);
        bench.establish(id);
    }
}

#[test]
fn nameserver_on_the_device_is_asked_nothing_while_nothing_outside_can_be_reached() {
    let mut bench = way_out_lost(false, Ipv4Addr::LOCALHOST.into());
    bench.link(ETH0, false);
    let actions = bench.pass(ms(300_000));
    assert!(!actions.iter().any(|it| matches!(it, Action::SendQuery { .. })), "{actions:?}");
    let obstacle = bench.agent.view(bench.now).obstacle;
    assert!(matches!(obstacle, Some(Obstacle::NoCarrier(_))), "{obstacle:?}");
}

/// The bound way of a question.
fn asked_via(action: &Action) -> Option<InterfaceName> {
    match action {
        Action::SendQuery { via, .. } => *via,
        _ => None,
    }
}

fn is_failed(action: &Action) -> bool {
    matches!(action, Action::Note(Note::BeatFailed { .. }))
}

/// A beat to a name that is known since the last one, with wlan1 in reserve.
fn beat_to_a_known_name() -> Bench {
    let mut bench = Bench::with(&named());
    bench.nameserver("9.9.9.9".parse().expect("an address"));
    let query = bench.query().expect("a question");
    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 3600 };
    bench.input(Input::QueryAnswered(query, &answer));
    bench.deliver(false);
    bench.up(WLAN1);
    bench.pass(ms(10_000));
    bench.trigger();
    bench
}

#[test]
fn lookup_moves_to_the_other_uplink_a_second_after_the_known_addresses_failed() {
    let mut bench = beat_to_a_known_name();
    while !bench.actions.iter().any(is_failed) {
        bench.now = bench.agent.next_deadline(bench.now).expect("a beat under way");
        bench.input(Input::Deadline);
    }
    // In the second round what is known is asked for anew, over eth0 first or wlan1 first.
    let mut asked = bench.pass(ms(30_000)).into_iter();
    let first = asked.by_ref().find_map(|it| asked_via(&it)).expect("a question");
    let second = asked
        .take_while(|it| !is_failed(it))
        .find_map(|it| asked_via(&it).filter(|it| *it != first));
    assert!(second.is_some(), "both in the same round");
}

#[test]
fn lookup_moves_to_the_other_uplink_in_the_first_round_that_fails() {
    let mut bench = beat_to_a_known_name();
    let mut round = bench.actions.clone();
    round.extend(bench.pass(ms(30_000)));
    let round = round.iter().take_while(|it| !is_failed(it));
    let mut ways: Vec<_> = round.filter_map(asked_via).collect();
    ways.dedup();
    assert_eq!(ways.first_chunk(), Some(&[name("eth0"), name("wlan1")]));
}

#[test]
fn lookup_moves_to_the_other_uplink_where_the_known_addresses_lead_nowhere() {
    let mut bench = Bench::with(&named());
    bench.up(WLAN1);
    bench.nameserver("9.9.9.9".parse().expect("an address"));
    let query = bench.query().expect("a question");
    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 3600 };
    bench.input(Input::QueryAnswered(query, &answer));
    bench.deliver(false);
    bench.tables.entries.clear();
    for index in [ETH0, WLAN1] {
        for to in ["9.9.9.9", "8.8.8.8"] {
            bench.tables.entries.push(Entry::new(index.into(), to, 32, index.into()));
        }
    }
    bench.announce(true);
    bench.trigger();
    let mut asked = bench.actions.clone();
    asked.extend(bench.pass(ms(10_000)));
    let mut ways: Vec<_> = asked.iter().filter_map(asked_via).collect();
    ways.dedup();
    assert_eq!(ways.first_chunk(), Some(&[name("eth0"), name("wlan1")]), "{asked:?}");
}

#[test]
fn address_that_is_no_name_is_not_tried_where_it_leads_nowhere() {
    let mut bench = Bench::with(&Settings { bind_to_uplink: false, ..settings() });
    bench.deliver(false);
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    bench.tables.entries.clear();
    for to in ["192.168.2.0", "8.8.8.0"] {
        bench.tables.entries.push(Entry::new(ETH0.into(), to, 24, 0));
    }
    bench.announce(true);
    let actions = bench.pass(ms(300_000));
    assert!(!actions.iter().any(is_failed), "{actions:?}");
}

#[test]
fn way_that_returns_ends_the_wait_of_a_beat_that_was_tried_in_vain() {
    for ignored in [false, true] {
        let mut bench = way_out_lost(ignored, local(LinkIndex(ETH0.into()), 1));
        bench.pass(ms(100_000));
        let gateway = Some(local(LinkIndex(ETH0.into()), 1));
        let route = Entry { gateway, ..Entry::new(ETH0.into(), "203.0.113.0", 24, 0) };
        bench.tables.entries.push(route);
        bench.announce(false);
        assert!(bench.connect().is_some(), "ignored {ignored}: {:?}", bench.actions);
    }
}

#[test]
fn lookup_that_has_been_through_all_ways_goes_on_with_ever_longer_rests() {
    let mut bench = Bench::with(&named());
    bench.up(WLAN1);
    bench.nameserver("9.9.9.9".parse().expect("an address"));
    let began_at = bench.now;
    let mut asked = vec![];
    while bench.now - began_at < ms(9_000) {
        bench.now = bench.agent.next_deadline(bench.now).expect("a beat under way");
        bench.input(Input::Deadline);
        asked.extend(bench.actions.iter().filter_map(|it| match it {
            Action::SendQuery { via, .. } => Some((bench.now - began_at, *via)),
            _ => None,
        }));
    }
    let (eth0, wlan1) = (Some(name("eth0")), Some(name("wlan1")));
    // 300 ms for the only nameserver, then one second, then two.
    assert_eq!(
        asked,
        [(ms(1_000), wlan1), (ms(2_000), None), (ms(3_300), eth0), (ms(5_600), wlan1)]
    );
}
