//! The simulated kernel answers as Linux does.

use linkbeat_core::proto::link::ObjectChange;
use linkbeat_core::proto::route::{Route, RouteQuestion};

use super::*;

const ETH0: usize = 0;
const WLAN1: usize = 1;
const WLAN0: usize = 2;
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 10));
const NETWORK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24);

fn index(kernel: &Kernel, at: usize) -> LinkIndex {
    kernel.interfaces[at].index
}

fn unbound(kernel: &Kernel, to: IpAddr) -> Option<Route> {
    kernel.answer(RouteQuestion { to, bound: None })
}

fn bound(kernel: &Kernel, to: IpAddr, at: usize) -> Option<Route> {
    kernel.answer(RouteQuestion { to, bound: Some(index(kernel, at)) })
}

/// Place, prefix length and table of the route for an unbound packet.
fn way(kernel: &Kernel, to: IpAddr) -> Option<(usize, u8, u32)> {
    let route = unbound(kernel, to)?;
    Some((kernel.place(route.index)?, route.prefix, route.table))
}

fn announcements(events: &[LinkEvent]) -> Vec<Announcement> {
    let announced = |event: &LinkEvent| match event {
        LinkEvent::Announced(announcement) => Some(*announcement),
        _ => None,
    };
    events.iter().filter_map(announced).collect()
}

#[test]
fn lowest_metric_wins_and_bound_sockets_get_their_own_default() {
    let kernel = Kernel::new(false);
    let route = unbound(&kernel, SERVER).unwrap();
    assert_eq!((route.index, route.prefix, route.table), (index(&kernel, ETH0), 0, MAIN));
    assert_eq!((route.metric, route.local), (100, false));
    assert_eq!(route.gateway, Some("192.168.0.1".parse().unwrap()));
    assert_eq!(route.source, Some("192.168.0.10".parse().unwrap()));
    let route = bound(&kernel, SERVER, WLAN0).unwrap();
    assert_eq!((route.index, route.metric), (index(&kernel, WLAN0), 300));
    assert_eq!(route.source, Some("192.168.2.10".parse().unwrap()));
}

#[test]
fn longest_prefix_wins_and_is_hidden_from_sockets_bound_elsewhere() {
    let mut kernel = Kernel::new(false);
    drop(kernel.give_specific(WLAN0, NETWORK, true));
    assert_eq!(way(&kernel, SERVER), Some((WLAN0, 24, MAIN)));
    assert!(unbound(&kernel, SERVER).unwrap().is_on_purpose());
    assert_eq!(bound(&kernel, SERVER, ETH0).unwrap().prefix, 0);
    drop(kernel.give_specific(WLAN0, NETWORK, false));
    assert_eq!(unbound(&kernel, SERVER).unwrap().gateway, None);
    drop(kernel.drop_specific(NETWORK));
    assert_eq!(way(&kernel, SERVER), Some((ETH0, 0, MAIN)));
}

#[test]
fn own_addresses_are_local_except_for_sockets_bound_elsewhere() {
    let kernel = Kernel::new(false);
    let own = "192.168.0.10".parse().unwrap();
    for route in [unbound(&kernel, own), bound(&kernel, own, ETH0)] {
        let route = route.unwrap();
        assert!(route.local && route.table == 255);
        assert_eq!((route.prefix, route.source), (32, Some(own)));
    }
    let route = bound(&kernel, own, WLAN1).unwrap();
    assert!(!route.local && route.index == index(&kernel, WLAN1));
    let loopback = Ipv4Addr::LOCALHOST.into();
    assert!(unbound(&kernel, loopback).unwrap().local);
    assert!(!bound(&kernel, loopback, ETH0).unwrap().local);
}

#[test]
fn lost_carrier_keeps_routes_and_setting_a_link_down_removes_them() {
    let mut kernel = Kernel::new(false);
    assert_eq!(kernel.set_carrier(ETH0, false).len(), 1);
    assert_eq!(way(&kernel, SERVER), Some((ETH0, 0, MAIN)));
    assert!(bound(&kernel, SERVER, ETH0).is_some());
    let events = kernel.set_up(ETH0, false);
    assert_eq!(announcements(&events).len(), 1, "IPv4 routes go without a word of their own");
    assert_eq!(bound(&kernel, SERVER, ETH0), None);
    assert_eq!(way(&kernel, SERVER), Some((WLAN1, 0, MAIN)));
    // The network returns with the address, the default route does not.
    let announced = announcements(&kernel.set_up(ETH0, true));
    let network = ("192.168.0.0".parse().unwrap(), 24);
    assert!(
        announced.iter().any(|it| it.network == Some(network) && it.change == ObjectChange::Set)
    );
    assert_eq!(bound(&kernel, SERVER, ETH0), None);
    assert!(bound(&kernel, "192.168.0.1".parse().unwrap(), ETH0).is_some());
}

#[test]
fn removed_address_removes_routes_and_announces_only_its_network() {
    let mut kernel = Kernel::new(false);
    let announced = announcements(&kernel.drop_address(ETH0));
    assert_eq!(announced.len(), 2);
    assert!(announced.iter().all(|it| it.change == ObjectChange::Removed));
    assert!(announced.iter().all(|it| it.network.is_none_or(|(_, prefix)| prefix == 24)));
    assert_eq!(bound(&kernel, SERVER, ETH0), None);
}

#[test]
fn interface_without_an_address_borrows_that_of_the_loopback() {
    let mut kernel = Kernel::new(false);
    drop(kernel.unnumber(ETH0));
    let route = bound(&kernel, SERVER, ETH0).unwrap();
    assert_eq!((route.gateway, route.source), (None, Some(IpAddr::V4(BORROWED))));
    let it = &kernel.interfaces[ETH0];
    assert!(kernel.answers_to(it, BORROWED.into(), SERVER));
    assert!(!kernel.answers_to(&kernel.interfaces[WLAN1], BORROWED.into(), SERVER));
    drop(kernel.tidy());
    assert_eq!(bound(&kernel, SERVER, ETH0).unwrap().source, Some("192.168.0.10".parse().unwrap()));
}

#[test]
fn tentative_address_is_no_source_and_deprecated_one_the_last_choice() {
    let mut kernel = Kernel::new(false);
    assert_eq!(bound(&kernel, SERVER_V6, ETH0), None);
    drop(kernel.give_v6(ETH0, 10, Stage::Tentative));
    assert_eq!(bound(&kernel, SERVER_V6, ETH0).unwrap().source, None);
    // Linux then chooses a link-local source, which routers do not forward.
    assert!(kernel.source(index(&kernel, ETH0), SERVER_V6).is_some_and(is_link_local));
    drop(kernel.give_v6(ETH0, 10, Stage::Deprecated));
    let own = Some("2001:db8::a".parse().unwrap());
    assert_eq!(bound(&kernel, SERVER_V6, ETH0).unwrap().source, own);
    // RFC 6724: an address of another interface is better than a deprecated one.
    drop(kernel.give_v6(WLAN1, 10, Stage::Preferred));
    let other = Some("2001:db8:0:1::a".parse().unwrap());
    assert_eq!(bound(&kernel, SERVER_V6, ETH0).unwrap().source, other);
    drop(kernel.give_v6(ETH0, 10, Stage::Preferred));
    assert_eq!(bound(&kernel, SERVER_V6, ETH0).unwrap().source, own);
}

#[test]
fn rules_lead_to_default_routes_in_other_tables() {
    let mut kernel = Kernel::new(false);
    let announced = announcements(&kernel.set_policy(Policy::Managed));
    // Three routes are removed and three added, and two rules are added.
    assert_eq!(announced.len(), 8);
    assert_eq!(announced.iter().filter(|it| it.network.is_none()).count(), 2);
    assert_eq!(way(&kernel, SERVER), Some((ETH0, 0, MANAGED)));
    assert_eq!(bound(&kernel, SERVER, WLAN1).unwrap().table, MANAGED);
    assert_eq!(way(&kernel, "192.168.2.1".parse().unwrap()), Some((WLAN0, 24, MAIN)));
    drop(kernel.set_policy(Policy::BoundOnly));
    assert_eq!(way(&kernel, SERVER), None);
    assert_eq!(bound(&kernel, SERVER, WLAN1).unwrap().table, MANAGED);
    drop(kernel.set_policy(Policy::FromOwn));
    assert_eq!(way(&kernel, SERVER), None);
    assert_eq!(bound(&kernel, SERVER, WLAN1).unwrap().table, MANAGED);
    drop(kernel.set_policy(Policy::Default));
    assert_eq!(way(&kernel, SERVER), Some((ETH0, 0, DEFAULT)));
    assert!(!unbound(&kernel, SERVER).unwrap().is_on_purpose());
    assert_eq!(announcements(&kernel.set_policy(Policy::Default)), []);
}

#[test]
fn tunnel_takes_unbound_traffic_outside_the_networks_of_table_main() {
    let mut kernel = Kernel::new(false);
    let eth0 = Some(index(&kernel, ETH0));
    drop(kernel.open_tunnel(Tunnel::Ruled));
    assert_eq!(way(&kernel, SERVER), Some((TUNNEL, 0, TUNNELLED)));
    assert!(unbound(&kernel, SERVER).unwrap().is_on_purpose());
    assert_eq!(bound(&kernel, SERVER, ETH0).unwrap().table, MAIN);
    assert_eq!(way(&kernel, "192.168.1.1".parse().unwrap()), Some((WLAN1, 24, MAIN)));
    assert_eq!(kernel.underlay(), eth0);
    drop(kernel.close_tunnel());
    assert_eq!(way(&kernel, SERVER), Some((ETH0, 0, MAIN)));
    drop(kernel.open_tunnel(Tunnel::Halves));
    assert_eq!(way(&kernel, SERVER), Some((TUNNEL, 1, MAIN)));
    assert_eq!(kernel.underlay(), eth0);
}

#[test]
fn repeated_announcements_have_the_same_digests() {
    let mut kernel = Kernel::new(false);
    drop(kernel.give_v6(ETH0, 10, Stage::Preferred));
    let first = kernel.refresh(ETH0);
    assert_eq!(first, kernel.refresh(ETH0));
    let objects: std::collections::BTreeSet<_> =
        announcements(&first).iter().map(|it| it.object).collect();
    assert_eq!(objects.len(), first.len(), "each object has a digest of its own");
    // Two addresses, their networks and the link's, and two default routes.
    assert_eq!(first.len(), 7);
    let [known] = kernel.give_route(ETH0, 1)[..] else { panic!() };
    assert!(first.contains(&known));
    let [LinkEvent::Announced(replaced)] = kernel.give_route(ETH0, 254)[..] else { panic!() };
    let LinkEvent::Announced(known) = known else { panic!() };
    assert_eq!(replaced.object, known.object);
    assert!(replaced.state != known.state && replaced.change == ObjectChange::Replaced);
}

#[test]
fn dump_lists_links_only() {
    let mut kernel = Kernel::new(false);
    drop(kernel.restore(DOCKER));
    let links = kernel.list();
    assert_eq!(links.len(), 5);
    assert!(links.iter().all(|event| matches!(event, LinkEvent::Link { .. })));
}

#[test]
fn public_addresses_belong_to_no_local_network() {
    assert_eq!(home(SERVER), None);
    assert_eq!(home(SERVER_V6), None);
    let places = [("192.168.1.1", WLAN1), ("172.17.0.2", DOCKER), ("10.9.0.80", LAN)];
    for (address, place) in places {
        assert_eq!(home(address.parse().unwrap()), Some(place), "{address}");
    }
    assert_eq!(home(router_v6(WLAN0, 1).into()), Some(WLAN0));
}
