use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::proto::link::Mac;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn link(index: u32, called: &str, running: bool) -> LinkEvent {
    let (index, name) = (LinkIndex(index), name(called));
    LinkEvent::Link { index, name, running, mac: None, permanent_mac: None }
}

fn address(index: u32, text: &str, usable: bool) -> LinkEvent {
    LinkEvent::Address { index: LinkIndex(index), address: ip(text), usable }
}

fn address_gone(index: u32, text: &str) -> LinkEvent {
    LinkEvent::AddressGone { index: LinkIndex(index), address: ip(text) }
}

/// A route written as `network/prefix gateway`, the gateway optional.
fn route(index: u32, text: &str, metric: u32) -> Route {
    let (network, gateway) = text.split_once(' ').map_or((text, None), |(a, b)| (a, Some(ip(b))));
    let (network, prefix) = network.split_once('/').unwrap();
    let (network, prefix) = (ip(network), prefix.parse().unwrap());
    Route { index: LinkIndex(index), network, prefix, metric, gateway }
}

fn routes_of(links: &Links, index: u32) -> Vec<Route, ROUTES_MAX> {
    links.by_index(LinkIndex(index)).unwrap().routes().copied().collect()
}

/// eth0 with an address, its network and a default route.
fn eth0() -> [LinkEvent; 4] {
    [
        link(2, "eth0", true),
        address(2, "192.168.1.20", true),
        LinkEvent::Route(route(2, "192.168.1.0/24", 0)),
        LinkEvent::Route(route(2, "0.0.0.0/0 192.168.1.1", 100)),
    ]
}

fn told(events: &[LinkEvent]) -> Links {
    let mut links = Links::new();
    for &event in events {
        links.apply(event);
    }
    links
}

#[test]
fn same_message_again_changes_nothing() {
    let mut links = Links::new();
    for event in eth0() {
        assert!(links.apply(event), "{event:?}");
        assert!(!links.apply(event), "{event:?}");
    }
}

#[test]
fn scan_message_without_hardware_addresses_changes_nothing() {
    let mut links = Links::new();
    let (index, name, mac) = (LinkIndex(3), name("wlan0"), Some(Mac([2, 0, 0, 0, 0, 1])));
    links.apply(LinkEvent::Link { index, name, running: true, mac, permanent_mac: mac });
    assert!(!links.apply(link(3, "wlan0", true)));
    assert_eq!(links.by_index(index).unwrap().permanent_mac, mac);
}

#[test]
fn every_fact_that_matters_is_a_change() {
    let mut links = told(&eth0());
    let mac = Some(Mac([2, 0, 0, 0, 0, 1]));
    let with = |mac, permanent_mac| LinkEvent::Link {
        index: LinkIndex(2),
        name: name("eth0"),
        running: true,
        mac,
        permanent_mac,
    };
    for event in [
        with(mac, None),
        with(mac, mac),
        link(2, "eth0", false),
        link(2, "lan0", false),
        address(2, "192.168.1.20", false),
        address(2, "192.168.1.21", true),
        address_gone(2, "192.168.1.21"),
        LinkEvent::Route(route(2, "0.0.0.0/0 192.168.1.1", 200)),
        LinkEvent::RouteGone(route(2, "0.0.0.0/0 192.168.1.1", 200)),
        LinkEvent::LinkGone { index: LinkIndex(2) },
    ] {
        assert!(links.apply(event), "{event:?}");
        assert!(!links.apply(event), "{event:?}");
    }
}

#[test]
fn tentative_address_counts_once_it_is_usable() {
    let mut links = told(&[link(2, "eth0", true)]);
    assert!(!links.apply(address(2, "2001:db8::20", false)));
    assert_eq!(links.by_index(LinkIndex(2)).unwrap().source(Family::V6), None);
    assert!(links.apply(address(2, "2001:db8::20", true)));
    assert_eq!(links.by_index(LinkIndex(2)).unwrap().source(Family::V6), Some(ip("2001:db8::20")));
    assert!(links.apply(address(2, "2001:db8::20", false)));
    assert!(!links.apply(address_gone(2, "2001:db8::20")));
}

#[test]
fn route_outlives_the_carrier_but_not_the_administrator() {
    let mut links = told(&eth0());
    links.apply(link(2, "eth0", false));
    assert_eq!(routes_of(&links, 2).len(), 2);
    assert!(links.apply(LinkEvent::RoutesGone { index: LinkIndex(2) }));
    assert!(routes_of(&links, 2).is_empty());
    assert!(!links.apply(LinkEvent::RoutesGone { index: LinkIndex(2) }));
}

#[test]
fn last_ipv4_address_takes_the_ipv4_routes_with_it() {
    let mut links = told(&eth0());
    let v6 = route(2, "::/0 fe80::1", 1024);
    links.apply(LinkEvent::Route(v6));
    assert!(links.apply(address_gone(2, "192.168.1.20")));
    assert_eq!(routes_of(&links, 2), [v6]);
    assert!(!links.wants_dump());
}

#[test]
fn one_of_two_ipv4_addresses_gone_leaves_routes_in_doubt() {
    let mut links = told(&eth0());
    links.apply(address(2, "192.168.1.21", true));
    links.apply(address_gone(2, "192.168.1.20"));
    assert_eq!(routes_of(&links, 2).len(), 2);
    assert!(links.wants_dump());
    links.start_dump();
    assert!(!links.wants_dump());
}

#[test]
fn interface_gone_takes_everything_along_and_its_index_starts_afresh() {
    let mut links = told(&eth0());
    assert!(links.apply(LinkEvent::LinkGone { index: LinkIndex(2) }));
    assert_eq!(links.iter().count(), 0);
    assert!(links.apply(link(2, "wwan0", true)));
    let wwan0 = links.by_name(name("wwan0")).unwrap();
    assert_eq!((wwan0.addresses().count(), wwan0.routes().count()), (0, 0));
}

#[test]
fn renamed_interface_keeps_addresses_and_routes() {
    let mut links = told(&eth0());
    assert!(links.apply(link(2, "lan0", true)));
    assert!(links.by_name(name("eth0")).is_none());
    let lan0 = links.by_name(name("lan0")).unwrap();
    assert_eq!((lan0.addresses().count(), lan0.routes().count()), (1, 2));
}

#[test]
fn name_belongs_to_the_interface_told_last() {
    let mut links = told(&eth0());
    assert!(links.apply(link(7, "eth0", true)));
    assert_eq!(links.by_name(name("eth0")).unwrap().index, LinkIndex(7));
    assert!(links.by_index(LinkIndex(2)).is_none());
    assert!(links.wants_dump());
    assert!(links.apply(link(2, "old0", true)));
    assert_eq!(routes_of(&links, 2).len(), 2);
}

#[test]
fn address_and_route_before_their_interface_wait_for_it() {
    let [link, rest @ ..] = eth0();
    let mut links = Links::new();
    links.start_dump();
    for event in rest {
        assert!(!links.apply(event));
    }
    assert_eq!(links.iter().count(), 0);
    assert!(links.apply(link));
    assert!(!links.finish_dump());
    let eth0 = links.by_name(name("eth0")).unwrap();
    assert_eq!((eth0.addresses().count(), eth0.routes().count()), (1, 2));
}

#[test]
fn what_waits_for_an_interface_that_never_came_ends_with_the_dump() {
    let mut links = told(&eth0()[1..]);
    links.start_dump();
    assert!(!links.finish_dump());
    assert!(links.apply(link(2, "eth0", true)));
    assert_eq!(links.by_index(LinkIndex(2)).unwrap().addresses().count(), 0);
}

#[test]
fn dump_finds_every_lost_removal() {
    for lost in 0..4 {
        let mut links = told(&eth0());
        links.start_dump();
        for event in eth0().into_iter().take(lost) {
            assert!(!links.apply(event));
        }
        assert!(links.finish_dump(), "{lost}");
        assert!(!links.finish_dump());
    }
}

#[test]
fn complete_dump_changes_nothing() {
    let mut links = told(&eth0());
    for _ in 0..3 {
        links.start_dump();
        assert!(eth0().into_iter().all(|event| !links.apply(event)));
        assert!(!links.finish_dump());
    }
}

#[test]
fn interrupted_dump_started_again_counts_from_its_second_start() {
    let mut links = told(&eth0());
    links.start_dump();
    for event in eth0() {
        links.apply(event);
    }
    links.start_dump();
    links.apply(eth0()[0]);
    assert!(links.finish_dump());
    assert_eq!(routes_of(&links, 2).len(), 0);
}

#[test]
fn news_during_a_dump_survive_it() {
    let mut links = told(&eth0());
    links.start_dump();
    links.apply(link(9, "wwan0", true));
    links.apply(address(9, "10.0.0.2", true));
    for event in eth0() {
        links.apply(event);
    }
    assert!(!links.finish_dump());
    assert_eq!(links.iter().count(), 2);
}

#[test]
fn replacing_route_takes_the_place_of_the_old_one_on_any_interface() {
    let mut links = told(&eth0());
    links.apply(link(3, "wlan0", true));
    let new = route(3, "0.0.0.0/0 10.0.0.1", 100);
    assert!(links.apply(LinkEvent::RouteReplaced(new)));
    assert_eq!(routes_of(&links, 2), [route(2, "192.168.1.0/24", 0)]);
    assert_eq!(routes_of(&links, 3), [new]);
    assert!(!links.apply(LinkEvent::RouteReplaced(new)));
    assert!(!links.wants_dump());
}

#[test]
fn replacement_of_one_among_several_waits_for_a_dump() {
    let mut links = told(&eth0());
    links.apply(link(3, "wlan0", true));
    links.apply(LinkEvent::Route(route(3, "0.0.0.0/0 10.0.0.1", 100)));
    assert!(links.apply(LinkEvent::RouteReplaced(route(3, "0.0.0.0/0 10.0.0.9", 100))));
    assert_eq!((routes_of(&links, 2).len(), routes_of(&links, 3).len()), (2, 2));
    assert!(links.wants_dump());
}

#[test]
fn loopback_and_every_address_of_an_interface_are_our_own() {
    let mut links = told(&eth0());
    links.apply(address(2, "fe80::20", false));
    for own in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "192.168.1.20", "fe80::20"] {
        assert!(links.is_own(ip(own)), "{own}");
    }
    assert!(links.is_own(ip("::ffff:192.168.1.20")) && links.is_own(ip("::ffff:127.0.0.1")));
    for other in ["192.168.1.1", "128.0.0.1", "::2", "fe80::21"] {
        assert!(!links.is_own(ip(other)), "{other}");
    }
    assert_eq!(links.holder(ip("192.168.1.20")).unwrap().name, name("eth0"));
    assert!(links.holder(ip("127.0.0.1")).is_none());
}

#[test]
fn source_is_the_first_usable_address_that_routers_forward() {
    let cases: [(&[&str], Option<&str>, Option<&str>); 6] = [
        (&[], None, None),
        (&["127.0.0.1", "::1"], None, None),
        (&["169.254.7.7", "fe80::7"], Some("169.254.7.7"), None),
        (&["169.254.7.7", "10.0.0.7", "10.0.0.8"], Some("10.0.0.7"), None),
        (&["fe80::7", "fd00::7", "2001:db8::7"], None, Some("fd00::7")),
        (&["2001:db8::7", "192.0.2.7"], Some("192.0.2.7"), Some("2001:db8::7")),
    ];
    for (addresses, v4, v6) in cases {
        let mut links = told(&[link(2, "eth0", true)]);
        for text in addresses {
            links.apply(address(2, text, true));
        }
        let eth0 = links.by_index(LinkIndex(2)).unwrap();
        assert_eq!(eth0.source(Family::V4), v4.map(ip), "{addresses:?}");
        assert_eq!(eth0.source(Family::V6), v6.map(ip), "{addresses:?}");
    }
}

#[test]
fn crowd_of_ipv6_addresses_cannot_keep_the_first_ipv4_one_out() {
    let mut links = told(&[link(2, "eth0", true), address(2, "fe80::1", true)]);
    for host in 1..20 {
        links.apply(address(2, &format!("2001:db8::{host}"), true));
    }
    assert!(links.apply(address(2, "192.0.2.1", true)));
    let eth0 = links.by_index(LinkIndex(2)).unwrap();
    assert_eq!(eth0.addresses().count(), ADDRESSES_MAX);
    assert_eq!(eth0.source(Family::V4), Some(ip("192.0.2.1")));
    assert_eq!(eth0.source(Family::V6), Some(ip("2001:db8::1")));
    assert!(!links.wants_dump());
}

#[test]
fn deprecated_addresses_give_way_to_usable_ones() {
    let mut links = told(&[link(2, "eth0", true)]);
    for host in 1..20 {
        links.apply(address(2, &format!("2001:db8::{host}"), false));
    }
    assert!(links.apply(address(2, "2001:db8::99", true)));
    let eth0 = links.by_index(LinkIndex(2)).unwrap();
    assert_eq!(eth0.source(Family::V6), Some(ip("2001:db8::99")));
}

#[test]
fn default_route_finds_room_among_a_hundred_others() {
    let mut links = told(&[link(2, "eth0", true)]);
    for host in 0..100 {
        links.apply(LinkEvent::Route(route(2, &format!("10.0.{host}.0/24"), 0)));
    }
    let default = route(2, "0.0.0.0/0 10.0.0.1", u32::MAX);
    assert!(links.apply(LinkEvent::Route(default)));
    let routes = routes_of(&links, 2);
    assert!(routes.len() == ROUTES_MAX && routes.contains(&default));
    assert!(!links.wants_dump());
    // Room is made: what was left out is worth asking for.
    links.apply(LinkEvent::RouteGone(default));
    assert!(links.wants_dump());
}

#[test]
fn link_local_and_multicast_networks_take_no_room() {
    let mut links = told(&[link(2, "eth0", true)]);
    for network in ["fe80::/64", "ff00::/8", "224.0.0.0/4"] {
        assert!(!links.apply(LinkEvent::Route(route(2, network, 256))));
    }
    assert!(routes_of(&links, 2).is_empty());
}

#[test]
fn interface_without_room_is_asked_for_once_another_is_gone() {
    let mut links = Links::new();
    for index in 1..=33 {
        assert_eq!(links.apply(link(index, &format!("veth{index}"), true)), index <= 32);
    }
    assert_eq!(links.iter().count(), LINKS_MAX);
    assert!(!links.wants_dump());
    assert!(links.apply(LinkEvent::LinkGone { index: LinkIndex(5) }));
    assert!(links.wants_dump());
}

/// What lookups can see, in no particular order.
fn content(links: &Links) -> BTreeSet<String> {
    let mut content = BTreeSet::new();
    for link in links.iter() {
        let Link { index, name, running, mac, permanent_mac, .. } = link;
        content.insert(format!("{index:?} {name} {running} {mac:?} {permanent_mac:?}"));
        content.extend(link.addresses().map(|address| format!("{index:?} {address:?}")));
        content.extend(link.routes().map(|route| format!("{route:?}")));
    }
    content
}

/// The part of `content` whose change is told.
fn usable(content: &BTreeSet<String>) -> BTreeSet<String> {
    content.iter().filter(|line| !line.ends_with("usable: false }")).cloned().collect()
}

fn any_route(links: u32) -> impl Strategy<Value = Route> {
    let network = prop::sample::select(vec![
        ("0.0.0.0", 0),
        ("10.0.0.0", 8),
        ("192.168.1.0", 24),
        ("::", 0),
        ("fe80::", 64),
    ]);
    let gateway = prop::sample::select(vec![None, Some("10.0.0.1"), Some("fe80::1")]);
    (1..links, network, 0_u32..3, gateway).prop_map(
        |(index, (network, prefix), metric, gateway)| {
            let (index, network, gateway) = (LinkIndex(index), ip(network), gateway.map(ip));
            Route { index, network, prefix, metric, gateway }
        },
    )
}

fn any_event(links: u32) -> impl Strategy<Value = LinkEvent> {
    let index = (1..links).prop_map(LinkIndex);
    let addresses = vec!["10.0.0.2", "10.0.0.3", "169.254.1.1", "fe80::2", "2001:db8::2"];
    let address = prop::sample::select(addresses).prop_map(ip);
    let names = (0..links).prop_map(|number| name(&format!("if{number}")));
    let mac = (0_u8..3).prop_map(|last| Some(Mac([2, 0, 0, 0, 0, last])));
    prop_oneof![
        4 => (index.clone(), names, any::<bool>(), mac.clone(), mac).prop_map(
            |(index, name, running, mac, permanent_mac)| {
                LinkEvent::Link { index, name, running, mac, permanent_mac }
            }
        ),
        1 => index.clone().prop_map(|index| LinkEvent::LinkGone { index }),
        4 => (index.clone(), address.clone(), any::<bool>())
            .prop_map(|(index, address, usable)| LinkEvent::Address { index, address, usable }),
        2 => (index.clone(), address)
            .prop_map(|(index, address)| LinkEvent::AddressGone { index, address }),
        4 => any_route(links).prop_map(LinkEvent::Route),
        1 => any_route(links).prop_map(LinkEvent::RouteReplaced),
        2 => any_route(links).prop_map(LinkEvent::RouteGone),
        1 => index.prop_map(|index| LinkEvent::RoutesGone { index }),
    ]
}

/// The messages of a dump of this state: links, addresses, routes.
fn dump(links: &Links) -> std::vec::Vec<LinkEvent> {
    let mut events = std::vec::Vec::new();
    for link in links.iter() {
        let &Link { index, name, running, mac, permanent_mac, .. } = link;
        events.push(LinkEvent::Link { index, name, running, mac, permanent_mac });
    }
    for link in links.iter() {
        for Address { ip, usable } in link.addresses() {
            events.push(LinkEvent::Address { index: link.index, address: ip, usable });
        }
    }
    events.extend(links.iter().flat_map(Link::routes).map(|&route| LinkEvent::Route(route)));
    events
}

/// Feeds a whole dump, and says whether it changed anything.
fn dumped(links: &mut Links, dump: &[LinkEvent]) -> bool {
    links.start_dump();
    let named = dump.iter().filter(|&&event| links.apply(event)).count();
    links.finish_dump() || named > 0
}

proptest! {
    #[test]
    fn any_events_stay_within_bounds_and_changes_are_told(
        events in prop::collection::vec(any_event(50), 0..300),
    ) {
        let mut links = Links::new();
        for event in events {
            let before = content(&links);
            let changed = links.apply(event);
            prop_assert_eq!(changed, usable(&before) != usable(&content(&links)));
            prop_assert!(links.iter().count() <= LINKS_MAX);
            let names: BTreeSet<Name> = links.iter().map(|link| link.name).collect();
            prop_assert_eq!(names.len(), links.iter().count());
        }
    }

    #[test]
    fn dump_after_any_loss_equals_a_fresh_table(
        events in prop::collection::vec((any_event(8), any::<bool>()), 0..200),
    ) {
        let (mut kernel, mut links) = (Links::new(), Links::new());
        for (event, lost) in events {
            kernel.apply(event);
            if !lost {
                links.apply(event);
            }
        }
        let (dump, before) = (dump(&kernel), content(&links));
        let mut changed = dumped(&mut links, &dump);
        if links.wants_dump() {
            changed |= dumped(&mut links, &dump);
        }
        prop_assert!(!links.wants_dump());
        prop_assert_eq!(content(&links), content(&kernel));
        prop_assert!(changed || usable(&before) == usable(&content(&links)));
        prop_assert!(!dumped(&mut links, &dump));
    }
}
