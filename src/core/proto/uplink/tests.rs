use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::proto::link::LinkEvent;
use crate::proto::routing::tests::tables::{Entry, Tables};
use crate::proto::settings::{BucketSettings, MeteredSettings};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).unwrap()
}

fn settings() -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: true,
        auto_connect: true,
        server: None,
        interval: Duration::from_secs(30),
        interfaces: ["eth0", "wlan1", "wlan0"].map(name).into_iter().collect(),
        ignore_interfaces: ["lo", "docker*", "veth*", "br-*"].map(name).into_iter().collect(),
        bind_to_uplink: true,
        probe_addresses: Vec::new(),
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        recovery_spread: Duration::ZERO,
        metered: MeteredSettings { interfaces: Vec::new(), interval: Duration::from_secs(300) },
        standby_check: Duration::ZERO,
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: Vec::new(),
    }
}

/// A kernel in small: interfaces that come, go and change.
#[derive(Default)]
struct World {
    links: Links,
    tables: Tables,
    active: Active,
    starting: bool,
}

const INTERNET: [&str; 2] = ["8.8.8.8", "2001:4860:4860::8888"];

impl World {
    fn new(names: &[&str]) -> Self {
        let mut world = Self::default();
        for (number, called) in (1..).zip(names) {
            world.up(number, called, &format!("10.0.{number}.2"), 100);
        }
        world
    }

    fn link(&mut self, index: u32, called: &str, running: bool) {
        let (index, name) = (LinkIndex(index), name(called));
        let event = LinkEvent::Link { index, name, running, mac: None, permanent_mac: None };
        self.links.apply(event, |name| is_ignored(&settings(), name));
    }

    fn route(&mut self, index: u32, network: &str, prefix: u8, metric: u32) {
        self.tables.entries.push(Entry::new(index, network, prefix, metric));
    }

    /// A running interface with an address and a default route.
    fn up(&mut self, index: u32, called: &str, address: &str, metric: u32) {
        self.link(index, called, true);
        self.tables.drop_address(address);
        self.tables.address(index, address);
        self.tables.entries.retain(|it| it.index != LinkIndex(index));
        let default = if ip(address).is_ipv4() { "0.0.0.0" } else { "::" };
        self.route(index, default, 0, metric);
    }

    fn gone(&mut self, index: u32) {
        let index = LinkIndex(index);
        self.links.apply(LinkEvent::LinkGone { index }, |_| false);
        self.tables.entries.retain(|it| it.index != index);
        self.tables.addresses.retain(|(it, _)| *it != index);
    }

    fn rank_for(&self, settings: &Settings, server: &[&str]) -> Uplinks {
        self.ask(settings, server).0
    }

    fn ask(&self, settings: &Settings, server: &[&str]) -> (Uplinks, Routing) {
        let server: std::vec::Vec<_> = server.iter().map(|text| ip(text)).collect();
        let internet = INTERNET.map(ip);
        let mut routing = Routing::default();
        let all = server.iter().chain(&internet).copied().collect();
        routing.ask(all, self.active.addresses().collect());
        let answer = |question| self.tables.answer(question);
        let routes: std::vec::Vec<_> = routing.questions(&self.links).filter_map(answer).collect();
        routing.answered(&routes);
        (rank(&self.links, &routing, settings, &server, &internet), routing)
    }

    fn rank(&self) -> Uplinks {
        self.rank_for(&settings(), &[])
    }

    fn names(&self) -> std::vec::Vec<String> {
        self.rank().iter().map(|uplink| uplink.name.to_string()).collect()
    }

    fn names_for(&self, server: &str) -> std::vec::Vec<String> {
        let uplinks = self.rank_for(&settings(), &[server]);
        uplinks.iter().map(|uplink| uplink.name.to_string()).collect()
    }

    fn reason(&mut self) -> Option<String> {
        self.reason_with(&settings())
    }

    fn reason_with(&mut self, settings: &Settings) -> Option<String> {
        let (uplinks, routing) = self.ask(settings, &[]);
        let reason = self.active.follow(&uplinks, &routing, settings, self.starting);
        reason.map(|reason| reason.to_string())
    }
}

#[test]
fn listed_interfaces_come_in_their_order_then_the_rest_by_metric() {
    let mut world = World::default();
    world.up(1, "usb1", "10.0.1.2", 50);
    world.up(2, "wlan0", "10.0.2.2", 10);
    world.up(3, "usb0", "10.0.3.2", 20);
    world.up(4, "eth0", "10.0.4.2", 900);
    world.up(5, "wlan1", "10.0.5.2", 500);
    assert_eq!(world.names(), ["eth0", "wlan1", "wlan0", "usb0", "usb1"]);
}

#[test]
fn within_one_pattern_the_metric_decides_then_the_number() {
    let mut world = World::default();
    for (index, called, metric) in [(9, "wlan7", 30), (8, "wlan8", 30), (7, "wlan9", 20)] {
        world.up(index, called, &format!("10.0.{index}.2"), metric);
    }
    let mut settings = settings();
    settings.interfaces = [name("wlan?")].into_iter().collect();
    let ranked = world.rank_for(&settings, &[]);
    let names: std::vec::Vec<_> = ranked.iter().map(|uplink| uplink.name).collect();
    assert_eq!(names, ["wlan9", "wlan8", "wlan7"].map(name));
}

#[test]
fn ignored_and_loopback_interfaces_are_never_uplinks() {
    let mut world = World::new(&["docker0", "veth12ab", "br-0f", "lo"]);
    assert!(world.rank().is_empty());
    world.up(9, "eth0", "10.0.9.2", 0);
    assert_eq!(world.names(), ["eth0"]);
}

#[test]
fn demoted_interface_comes_after_all_others() {
    let mut world = World::new(&["eth0", "usb0"]);
    world.up(1, "eth0", "10.0.1.2", 20_100);
    assert_eq!(world.names(), ["usb0", "eth0"]);
}

#[test]
fn equals_by_pattern_and_metric_follow_the_kernel() {
    let mut world = World::default();
    world.up(1, "usb0", "10.0.1.2", 100);
    world.up(2, "usb1", "10.0.2.2", 100);
    world.tables.entries.rotate_left(1);
    assert_eq!(world.names(), ["usb1", "usb0"]);
}

#[test]
fn interface_that_the_server_is_routed_over_on_purpose_is_the_first() {
    let mut world = World::new(&["eth0", "wlan1", "tun0"]);
    world.route(2, "10.5.0.0", 24, 0);
    assert_eq!(world.names_for("10.5.0.5"), ["wlan1", "eth0", "tun0"], "its own network");
    assert_eq!(world.names_for("10.6.0.5"), ["eth0", "wlan1", "tun0"]);
    world.route(1, "10.5.0.0", 24, 10);
    assert_eq!(
        world.names_for("10.5.0.5"),
        ["eth0", "wlan1", "tun0"],
        "both: the operator's order"
    );
    world.link(1, "eth0", false);
    assert_eq!(world.names_for("10.5.0.5"), ["wlan1", "tun0"], "no carrier is no way");
    let table = Entry { table: 51_820, ..Entry::new(3, "0.0.0.0", 0, 0) };
    world.tables.entries.push(table);
    assert_eq!(world.names_for("10.6.0.5"), ["tun0", "wlan1"], "a table of its own");
}

#[test]
fn best_eight_of_many_stay() {
    let mut world = World::default();
    for index in 1..=20 {
        world.up(index, &format!("usb{index}"), &format!("10.0.{index}.2"), 100 - index);
    }
    let metrics: std::vec::Vec<_> = world.rank().iter().map(|uplink| uplink.metric).collect();
    assert_eq!(metrics, [80, 81, 82, 83, 84, 85, 86, 87]);
}

/// What makes an interface usable: addresses, routes, and the server.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, u8)], &'a str, Option<&'a str>, Option<&'a str>);

#[test]
fn family_is_usable_with_an_address_and_a_route_that_leads_on() {
    let cases: [Case<'_>; 9] = [
        (&["10.0.0.2"], &[], "192.0.2.1", None, None),
        (&[], &[("0.0.0.0", 0)], "192.0.2.1", None, None),
        (&["10.0.0.2"], &[("0.0.0.0", 0)], "192.0.2.1", Some("10.0.0.2"), None),
        (&["10.0.0.2"], &[("::", 0)], "192.0.2.1", None, None),
        (&["10.0.0.2", "2001:db8::2"], &[("::", 0)], "192.0.2.1", None, Some("2001:db8::2")),
        // A network of its own serves if the server is in it.
        (&["10.0.0.2"], &[("10.0.0.0", 24)], "10.0.1.9", None, None),
        (&["10.0.0.2"], &[("10.0.0.0", 24)], "10.0.0.9", Some("10.0.0.2"), None),
        (&["fd00::2"], &[("fd00::", 64)], "fd00::9", None, Some("fd00::2")),
        // Halves of the whole, as VPN clients set them.
        (&["10.0.0.2"], &[("0.0.0.0", 1), ("128.0.0.0", 1)], "192.0.2.1", Some("10.0.0.2"), None),
    ];
    for (addresses, routes, server, v4, v6) in cases {
        let mut world = World::default();
        world.link(2, "eth0", true);
        addresses.iter().for_each(|address| world.tables.address(2, address));
        routes.iter().for_each(|&(network, prefix)| world.route(2, network, prefix, 0));
        let uplinks = world.rank_for(&settings(), &[server]);
        let sources: std::vec::Vec<_> = uplinks.iter().flat_map(Uplink::sources).collect();
        let expected: std::vec::Vec<_> = v4.into_iter().chain(v6).map(ip).collect();
        assert_eq!(sources, expected, "{addresses:?} {routes:?}");
        assert_eq!(uplinks.len(), usize::from(v4.or(v6).is_some()));
        world.link(2, "eth0", false);
        assert!(world.rank_for(&settings(), &[server]).is_empty());
    }
}

#[test]
fn metric_of_the_unusable_family_does_not_count() {
    let mut world = World::default();
    world.up(1, "usb0", "10.0.1.2", 300);
    world.route(1, "::", 0, 1);
    world.up(2, "usb1", "10.0.2.2", 200);
    assert_eq!(world.names(), ["usb1", "usb0"]);
}

#[test]
fn patterns_match_as_a_person_expects() {
    for (pattern, text, expected) in [
        ("eth0", "eth0", true),
        ("eth0", "eth01", false),
        ("eth01", "eth0", false),
        ("eth?", "eth0", true),
        ("eth?", "eth", false),
        ("eth?", "eth10", false),
        ("*", "wlan0", true),
        ("wl*", "wl", true),
        ("wl*", "wlp2s0", true),
        ("*0", "wlan0", true),
        ("*0", "wlan01", false),
        ("w*n*0", "wlann10", true),
        ("w*n*0", "wlann1", false),
        ("*a*a*a*a*a*a*ab", "aaaaaaaaaaaaaaa", false),
        ("?*?", "a", false),
        ("?*?", "ab", true),
        ("**", "x", true),
        ("br-*", "br-1a2b", true),
        ("br-*", "br0", false),
        ("ETH0", "eth0", false),
    ] {
        assert_eq!(matches(name(pattern), name(text)), expected, "{pattern} {text}");
    }
}

/// The definition of a match, without regard to its cost.
fn matches_by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', after @ ..], _) => {
            (0..=text.len()).any(|taken| matches_by_definition(after, &text[taken..]))
        }
        ([b'?', after @ ..], [_, tail @ ..]) => matches_by_definition(after, tail),
        ([wanted, after @ ..], [found, tail @ ..]) => {
            wanted == found && matches_by_definition(after, tail)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn match_agrees_with_its_definition(pattern in "[ab*?]{1,8}", text in "[ab]{1,8}") {
        let expected = matches_by_definition(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(matches(name(&pattern), name(&text)), expected);
    }
}

#[test]
fn first_uplink_at_start_is_no_news_but_later_it_is() {
    for (starting, expected) in [(true, None), (false, Some("failover_to_eth0"))] {
        let mut world = World { starting, ..World::default() };
        assert_eq!(world.reason(), None);
        world.up(1, "eth0", "10.0.1.2", 100);
        assert_eq!(world.reason().as_deref(), expected);
    }
}

/// Every pair of uplinks before and after a change, and what is reported to the server.
#[test]
fn reason_follows_from_the_uplinks_before_and_after() {
    let all = ["eth0", "wlan1", "wlan0"];
    for before in 0..8_u32 {
        for after in 0..8_u32 {
            let mut world = World::default();
            let mut set = |uplinks: u32| {
                for (index, called) in (0..).zip(all) {
                    let number = index + 1;
                    if uplinks & (1 << index) != 0 {
                        world.up(number, called, &format!("10.0.{number}.2"), 100);
                    } else {
                        world.gone(number);
                    }
                }
                world.reason()
            };
            set(before);
            let reason = set(after);
            let best = |uplinks: u32| all.get(uplinks.trailing_zeros() as usize).copied();
            let place = |uplinks: u32| uplinks.trailing_zeros();
            let expected = match (best(before), best(after)) {
                (_, None) => None,
                (None, Some(now)) => Some(format!("failover_to_{now}")),
                (Some(former), Some(now)) if former == now => None,
                (_, Some(now)) if place(after) < place(before) => Some(format!("{now}_priority")),
                (_, Some(now)) => Some(format!("failover_to_{now}")),
            };
            assert_eq!(reason, expected, "{before:03b} -> {after:03b}");
            assert_eq!(world.reason(), None, "reported once: {before:03b} -> {after:03b}");
        }
    }
}

#[test]
fn same_uplink_after_a_gap_is_a_failover() {
    let mut world = World::new(&["eth0"]);
    world.reason();
    world.link(1, "eth0", false);
    assert_eq!(world.reason(), None);
    world.link(1, "eth0", true);
    assert_eq!(world.reason().as_deref(), Some("failover_to_eth0"));
}

#[test]
fn vanished_unlisted_uplink_is_compared_by_its_last_metric() {
    for (metric, expected) in [(50, "usb1_priority"), (150, "failover_to_usb1")] {
        let mut world = World::default();
        world.up(1, "usb0", "10.0.1.2", 100);
        world.reason();
        world.gone(1);
        world.up(2, "usb1", "10.0.2.2", metric);
        assert_eq!(world.reason().as_deref(), Some(expected));
    }
}

#[test]
fn uplink_overtaken_by_a_changed_metric_yields_to_a_higher_one() {
    let mut world = World::default();
    world.up(1, "usb0", "10.0.1.2", 100);
    world.up(2, "usb1", "10.0.2.2", 200);
    world.reason();
    world.tables.entries.retain(|it| it.index != LinkIndex(1));
    world.route(1, "0.0.0.0", 0, 300);
    assert_eq!(world.reason().as_deref(), Some("usb1_priority"));
}

#[test]
fn present_settings_decide_what_is_above() {
    let mut world = World::new(&["eth0", "wlan0"]);
    world.reason();
    let mut reversed = settings();
    reversed.interfaces.reverse();
    assert_eq!(world.reason_with(&reversed).as_deref(), Some("wlan0_priority"));
    world.gone(2);
    assert_eq!(world.reason_with(&reversed).as_deref(), Some("failover_to_eth0"));
}

#[test]
fn renamed_uplink_is_the_same_one() {
    let mut world = World::new(&["eth0"]);
    world.reason();
    world.link(1, "lan0", true);
    assert_eq!(world.reason(), None);
}

#[test]
fn other_address_in_place_of_the_former_is_a_change() {
    let mut world = World::new(&["eth0"]);
    world.reason();
    world.tables.address(1, "10.0.1.3");
    assert_eq!(world.reason(), None, "one more address");
    world.tables.drop_address("10.0.1.2");
    assert_eq!(world.reason().as_deref(), Some("address_changed"));
    assert_eq!(world.reason(), None);
}

#[test]
fn second_family_is_no_news_but_the_loss_of_ipv4_is() {
    let mut world = World::new(&["eth0"]);
    world.reason();
    world.tables.address(1, "2001:db8::2");
    world.route(1, "::", 0, 1024);
    assert_eq!(world.reason(), None, "gained");
    world.tables.drop_address("10.0.1.2");
    assert_eq!(world.reason().as_deref(), Some("address_changed"), "lost");
    assert_eq!(world.reason(), None, "reported once");
    world.tables.address(1, "10.0.1.2");
    assert_eq!(world.reason(), None, "back as it was");
    world.tables.drop_address("2001:db8::2");
    assert_eq!(world.reason(), None, "IPv6 comes and goes");
}

#[test]
fn address_that_the_kernel_prefers_is_no_news_while_the_former_is_there() {
    let mut world = World::new(&["eth0"]);
    world.reason();
    world.tables.address(1, "10.0.1.3");
    world.tables.addresses.reverse();
    assert_eq!(world.rank()[0].sources().next(), Some(ip("10.0.1.3")));
    assert_eq!(world.reason(), None);
    world.tables.drop_address("10.0.1.2");
    assert_eq!(world.reason().as_deref(), Some("address_changed"));
}

#[test]
fn interface_that_leads_to_the_server_comes_before_one_that_leads_elsewhere() {
    let mut world = World::new(&["eth0", "wlan1"]);
    world.tables.entries.retain(|it| it.index != LinkIndex(1));
    world.route(1, "8.8.8.0", 24, 0);
    assert_eq!(world.names(), ["eth0", "wlan1"]);
    assert_eq!(world.names_for("203.0.113.10"), ["wlan1", "eth0"]);
}

#[test]
fn address_renewed_while_the_other_family_holds_is_a_change() {
    let mut world = World::new(&["eth0"]);
    world.tables.address(1, "2001:db8::2");
    world.route(1, "::", 0, 1024);
    world.reason();
    world.tables.drop_address("10.0.1.2");
    assert_eq!(world.reason().as_deref(), Some("address_changed"), "IPv4 is lost");
    world.tables.address(1, "10.0.1.9");
    assert_eq!(world.reason().as_deref(), Some("address_changed"));
}
