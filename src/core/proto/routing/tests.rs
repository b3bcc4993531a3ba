pub(crate) mod tables;

use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use self::tables::{Entry, Tables};
use super::*;
use crate::proto::link::{InterfaceName, LinkEvent, ObjectChange};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const SERVER: &str = "203.0.113.10";

/// eth0 with an address and a default route, and the kernel asked about the server.
fn asked() -> (Routing, Tables, Links) {
    let (mut tables, mut links) = (Tables::default(), Links::default());
    let (index, name) = (LinkIndex(2), InterfaceName::new("eth0").unwrap());
    let event = LinkEvent::Link { index, name, running: true, mac: None, permanent_mac: None };
    links.apply(event, |_| false);
    tables.address(2, "10.0.0.2");
    tables.entries.push(Entry::new(2, "0.0.0.0", 0, 100));
    let mut routing = Routing::default();
    ask(&mut routing, &tables, &links);
    (routing, tables, links)
}

/// True if an answer was another one.
fn ask(routing: &mut Routing, tables: &Tables, links: &Links) -> bool {
    routing.ask([ip(SERVER)].into_iter().collect(), Vec::new());
    let answer = |question| tables.answer(question);
    let routes: std::vec::Vec<_> = routing.questions(links).filter_map(answer).collect();
    routing.answered(&routes)
}

fn announcement(network: Option<(&str, u8)>, object: u64, state: u64, gone: bool) -> Announcement {
    let network = network.map(|(network, prefix)| (ip(network), prefix));
    let change = if gone { ObjectChange::Removed } else { ObjectChange::Set };
    Announcement { network, object, state, change }
}

#[test]
fn what_was_said_before_is_no_news() {
    let (mut routing, ..) = asked();
    let lease = announcement(None, 7, 1, false);
    assert!(routing.is_news(&lease));
    assert!(!routing.is_news(&lease));
    assert!(routing.is_news(&announcement(None, 7, 2, false)), "deprecated");
    assert!(routing.is_news(&lease), "preferred again");
}

#[test]
fn removed_route_makes_no_news_of_other_words() {
    let (mut routing, ..) = asked();
    let default = |gone| announcement(Some(("0.0.0.0", 0)), 7, 1, gone);
    let address = announcement(None, 8, 1, false);
    assert!(routing.is_news(&default(false)) && routing.is_news(&address));
    assert!(routing.is_news(&default(true)));
    assert!(!routing.is_news(&address), "its lease is renewed");
    assert!(routing.is_news(&default(false)), "it is set again");
}

#[test]
fn after_something_went_away_the_same_words_are_news() {
    let (mut routing, tables, links) = asked();
    let default = announcement(Some(("0.0.0.0", 0)), 7, 1, false);
    assert!(routing.is_news(&default));
    assert!(routing.is_news(&announcement(None, 8, 1, true)), "its address");
    assert!(routing.is_news(&default), "it went with the address, without a word");
    assert!(!routing.is_news(&default));
    let nothing = Tables::default();
    assert!(ask(&mut routing, &nothing, &links));
    assert!(routing.is_news(&default), "the kernel had stopped to use it");
    assert!(ask(&mut routing, &tables, &links));
    assert!(!ask(&mut routing, &tables, &links), "the same answer");
}

#[test]
fn route_that_leads_to_no_destination_is_no_news() {
    let (mut routing, ..) = asked();
    for gone in [false, true] {
        assert!(!routing.is_news(&announcement(Some(("198.51.100.0", 24)), 1, 1, gone)));
        assert!(routing.is_news(&announcement(Some(("203.0.113.0", 24)), 1, 1, gone)));
    }
}

#[test]
fn thousands_of_routes_that_lead_nowhere_are_not_remembered() {
    let (mut routing, ..) = asked();
    let lease = announcement(None, 7, 1, false);
    routing.is_news(&lease);
    for object in 0..5_000 {
        assert!(!routing.is_news(&announcement(Some(("198.51.100.0", 24)), object, 1, true)));
    }
    assert!(!routing.is_news(&lease));
}

#[test]
fn kernel_is_asked_again_for_a_new_destination_only() {
    let (mut routing, ..) = asked();
    routing.need(&[ip(SERVER)], &[]);
    assert!(!routing.is_wanted());
    routing.need(&[], &[]);
    assert!(!routing.is_wanted());
    routing.need(&[ip("203.0.113.11")], &[]);
    assert!(routing.is_wanted() && routing.is_open());
}

#[test]
fn one_order_to_ask_at_a_time() {
    let (mut routing, ..) = asked();
    routing.want();
    routing.ask(Destinations::new(), Vec::new());
    routing.want();
    assert!(!routing.is_wanted() && routing.is_open());
    routing.answered(&[]);
    assert!(!routing.is_open());
}

#[test]
fn address_is_lost_only_by_the_kernels_word() {
    let (mut routing, tables, links) = asked();
    assert!(!routing.is_lost(ip("10.0.0.2")), "never asked about");
    let own: Vec<_, OWN_MAX> = [ip("10.0.0.2"), ip("10.0.0.9")].into_iter().collect();
    routing.ask(Destinations::new(), own);
    assert!(!routing.is_lost(ip("10.0.0.9")), "not answered yet");
    let answer = |question| tables.answer(question);
    let routes: std::vec::Vec<_> = routing.questions(&links).filter_map(answer).collect();
    routing.answered(&routes);
    assert!(routing.is_own(ip("10.0.0.2")) && !routing.is_lost(ip("10.0.0.2")));
    assert!(routing.is_lost(ip("10.0.0.9")));
}

#[test]
fn loopback_and_nothing_at_all_are_our_own() {
    let routing = Routing::default();
    for own in ["127.0.0.53", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
        assert!(routing.is_own(ip(own)), "{own}");
    }
    assert!(!routing.is_own(ip("10.0.0.2")));
}

#[test]
fn more_answers_than_fit_leave_the_first_ones() {
    let (mut routing, tables, _) = asked();
    let route = tables.answer(RouteQuestion { to: ip(SERVER), bound: None }).unwrap();
    assert!(routing.answered(&std::vec![route; ROUTES_MAX + 1]));
    assert_eq!(routing.iter().count(), ROUTES_MAX);
}

proptest! {
    #[test]
    fn network_contains_what_agrees_in_its_prefix(
        network in any::<u128>(), ip in any::<u128>(), prefix in 0_u8..=128, same in 0_u32..=128,
    ) {
        let mask = |bits: u32| u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let ip = (network & mask(same)) | (ip & !mask(same));
        let agree = |bits: u32| (network ^ ip) & mask(bits) == 0;
        let v6 = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_assert_eq!(contains(v6(network), prefix, v6(ip)), agree(prefix.into()));
        let high = |bits: u128| u32::try_from(bits >> 96).unwrap();
        let v4 = |bits| IpAddr::V4(Ipv4Addr::from_bits(high(bits)));
        let prefix = prefix.min(32);
        prop_assert_eq!(contains(v4(network), prefix, v4(ip)), agree(prefix.into()));
        prop_assert!(!contains(v4(network), prefix, v6(ip)));
    }
}
