//! Encoding of route queries, and the routes that pairs of responses yield.

use std::net::IpAddr;

use super::*;
use crate::proto::route::{Route, RouteQuestion};

/// RTN_UNICAST, the type of most routes here.
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const CLONED: u32 = 0x200;

fn question(to: &str, bound: u32) -> RouteQuestion {
    RouteQuestion { to: to.parse().unwrap(), bound: (bound != 0).then_some(LinkIndex(bound)) }
}

fn found(datagram: &[u8]) -> Option<Found> {
    answered(datagram)[0].unwrap().found
}

/// `50 254/0 metric 100 via 192.0.2.1 from 192.0.2.2`: interface, table and prefix, then the
/// optional parts.
fn words(route: &Route) -> String {
    let mut words = format!("{} {}/{}", route.index.0, route.table, route.prefix);
    if route.metric != 0 {
        write!(words, " metric {}", route.metric).unwrap();
    }
    for (word, address) in [("via", route.gateway), ("from", route.source)] {
        if let Some(address) = address {
            write!(words, " {word} {address}").unwrap();
        }
    }
    words + if route.local { " local" } else { "" }
}

/// The route from the kernel's responses to both forms.
fn outcome(question: RouteQuestion, matching: &[u8], resolved: &[u8]) -> Option<String> {
    route(question, &[found(matching), found(resolved)]).as_ref().map(words)
}

#[test]
fn captured_responses_yield_the_routes_of_the_kernel() {
    for (name, to, bound, expected) in [
        ("4_default", "203.0.113.9", 0, "50 254/0 metric 100 via 192.0.2.1 from 192.0.2.2"),
        ("4_bound", "203.0.113.9", 50, "50 254/0 metric 100 via 192.0.2.1 from 192.0.2.2"),
        ("4_guess", "203.0.113.9", 51, ""),
        ("4_from_guess", "203.0.113.9", 51, "51 1000/0 via 198.51.100.1 from 198.51.100.2"),
        ("4_on_link", "192.0.2.77", 0, "50 254/24 from 192.0.2.2"),
        ("4_local", "192.0.2.2", 0, "1 255/32 from 192.0.2.2 local"),
        ("4_broadcast", "192.0.2.255", 0, ""),
        ("4_group", "224.0.0.251", 50, "50 0/32 from 192.0.2.2"),
        ("4_table", "203.0.115.9", 0, "51 1000/0 via 198.51.100.1 from 198.51.100.2"),
        ("4_multipath", "203.0.116.9", 0, "50 254/24 via 192.0.2.1 from 192.0.2.2"),
        ("4_via_ipv6", "203.0.117.9", 0, "50 254/24 via fe80::1 from 192.0.2.2"),
        ("4_blackhole", "203.0.118.9", 0, ""),
        ("4_object_only", "203.0.119.9", 0, "51 254/24 via 198.51.100.1 from 198.51.100.2"),
        ("6_default", "2001:db8:5::9", 0, "50 254/0 metric 200 via 2001:db8::1 from 2001:db8::2"),
        ("6_unrouted", "2001:db8:5::9", 51, ""),
        ("6_local", "2001:db8::2", 0, "1 255/128 from 2001:db8::2 local"),
        (
            "6_multipath",
            "2001:db8:6::9",
            0,
            "50 254/64 metric 1024 via 2001:db8::1 from 2001:db8::2",
        ),
        (
            "6_host",
            "2001:db8:7::7",
            0,
            "51 254/128 metric 1024 via 2001:db8:1::1 from 2001:db8:1::2",
        ),
    ] {
        let matching = vector(&format!("answer{name}_matching"));
        let resolved = vector(&format!("answer{name}_resolved"));
        let outcome = outcome(question(to, bound), &matching, &resolved);
        assert_eq!(outcome.as_deref().unwrap_or_default(), expected, "{name}");
    }
}

#[test]
fn queries_equal_the_vectors() {
    let mut out = Vec::new();
    emit_question(&mut out, &question("203.0.113.9", 0), None, None, Form::Matching, 7);
    assert_eq!(out, vector("request_question4"));
    out.clear();
    let source = Some("2001:db8::2".parse().unwrap());
    emit_question(&mut out, &question("2001:db8::9", 50), source, None, Form::Resolved, 8);
    assert_eq!(out, vector("request_question6"));
}

#[test]
fn protocol_and_port_follow_the_interface() {
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    let source = Some("2001:db8::2".parse().unwrap());
    emit_question(&mut plain, &question("2001:db8::9", 50), source, None, Form::Resolved, 8);
    emit_question(&mut out, &question("2001:db8::9", 50), source, Some(443), Form::Resolved, 8);
    assert_eq!(out.len(), QUESTION_MAX);
    assert_eq!(out[..4], u32::try_from(QUESTION_MAX).unwrap().to_ne_bytes());
    assert_eq!(out[4..plain.len()], plain[4..]);
    let attribute = |length: u16, kind: u16, value: [u8; 4]| {
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &value].concat()
    };
    let expected = [attribute(5, 27, [6, 0, 0, 0]), attribute(6, 29, [1, 187, 0, 0])].concat();
    assert_eq!(out[plain.len()..], expected);
}

#[test]
fn response_carries_the_number_of_its_query() {
    for name in ["answer4_default_matching", "answer4_guess_matching"] {
        assert_eq!(answered(&vector(name))[0].unwrap().seq, 7, "{name}");
    }
}

#[test]
fn bound_question_with_only_a_resolved_response_is_a_guess() {
    let answers = |name: &str| {
        ["matching", "resolved"].map(|form| found(&vector(&format!("answer4_{name}_{form}"))))
    };
    let bound = question("203.0.113.9", 51);
    assert_eq!(guess(&bound, &answers("guess")), Some("198.51.100.2".parse().unwrap()));
    assert_eq!(guess(&question("203.0.113.9", 0), &answers("guess")), None);
    assert_eq!(guess(&bound, &answers("from_guess")), None);
    assert_eq!(guess(&bound, &answers("blackhole")), None);
    assert_eq!(guess(&bound, &[None, None]), None);
    assert_eq!(guess(&question("224.0.0.251", 50), &answers("group")), None);
}

#[test]
fn single_response_yields_no_route() {
    let whole = found(&vector("answer4_default_matching"));
    assert!(whole.is_some());
    let question = question("203.0.113.9", 0);
    assert!(route(question, &[whole, whole]).is_some());
    assert_eq!(route(question, &[whole, None]), None);
    assert_eq!(route(question, &[None, whole]), None);
}

/// RTM_NEWROUTE as a kernel before 4.13 responds with it.
fn old(to: &str, kind: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let to: IpAddr = to.parse().unwrap();
    let (family, bits, flags) = if to.is_ipv4() { (2, 32, CLONED) } else { (10, 128, 0) };
    let mut body = vec![family, bits, 0, 0, 254, 0, 0, kind];
    body.extend(flags.to_ne_bytes());
    body.extend(attribute(1, &octets(to)));
    body.extend(attribute(15, &254_u32.to_ne_bytes()));
    body.extend(attributes.concat());
    message(RTM_NEWROUTE, 0, &body)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(kind: u16, address: &str) -> Vec<u8> {
    attribute(kind, &octets(address.parse().unwrap()))
}

fn through(index: u32) -> Vec<u8> {
    attribute(4, &index.to_ne_bytes())
}

#[test]
fn old_kernel_with_a_gateway_gives_a_default_route() {
    for (to, gateway, source) in
        [("203.0.113.9", "192.0.2.1", "192.0.2.2"), ("2001:db8::9", "fe80::1", "2001:db8::2")]
    {
        let answer = old(to, UNICAST, &[through(3), address(5, gateway), address(7, source)]);
        let expected = format!("3 254/0 via {gateway} from {source}");
        for bound in [0, 3] {
            let outcome = outcome(question(to, bound), &answer, &answer);
            assert_eq!(outcome.as_deref(), Some(&*expected));
        }
    }
}

#[test]
fn old_kernel_without_a_gateway_gives_a_route_or_a_guess() {
    let answer = old("192.0.2.9", UNICAST, &[through(3), address(7, "192.0.2.2")]);
    let outcome4 = |bound| outcome(question("192.0.2.9", bound), &answer, &answer);
    assert_eq!(outcome4(0).as_deref(), Some("3 254/32 from 192.0.2.2"));
    assert_eq!(outcome4(3), None);
    // IPv6 does not guess.
    let answer = old("2001:db8::9", UNICAST, &[through(3), address(7, "2001:db8::2")]);
    for bound in [0, 3] {
        let outcome = outcome(question("2001:db8::9", bound), &answer, &answer);
        assert_eq!(outcome.as_deref(), Some("3 254/128 from 2001:db8::2"));
    }
}

#[test]
fn hop_without_an_interface_yields_no_route() {
    let answer = old("203.0.113.9", UNICAST, &[address(5, "192.0.2.1")]);
    assert_eq!(outcome(question("203.0.113.9", 0), &answer, &answer), None);
}

#[test]
fn old_kernel_recognizes_its_own_addresses() {
    let answer = old("192.0.2.2", LOCAL, &[through(1), address(7, "192.0.2.2")]);
    let outcome = outcome(question("192.0.2.2", 0), &answer, &answer);
    assert_eq!(outcome.as_deref(), Some("1 254/32 from 192.0.2.2 local"));
}

#[test]
fn rejecting_and_broadcast_routes_yield_no_route() {
    // RTN_UNSPEC, RTN_BROADCAST to RTN_THROW, and an unknown type.
    for kind in [0, 3, 4, 5, 6, 7, 8, 9, 200] {
        let answer = old("192.0.2.9", kind, &[through(3)]);
        assert_eq!(outcome(question("192.0.2.9", 0), &answer, &answer), None, "{kind}");
    }
}

/// The source of the route to `to` with a prefix of `prefix` bits, if the kernel chose `source`.
fn source(to: &str, prefix: u8, source: &str) -> Option<IpAddr> {
    let resolved = old(to, UNICAST, &[through(3), address(7, source)]);
    let mut matching = old(to, UNICAST, &[through(3)]);
    matching[NLMSG_HDRLEN + 1] = prefix;
    matching[NLMSG_HDRLEN + 8..NLMSG_HDRLEN + 12].fill(0);
    route(question(to, 0), &[found(&matching), found(&resolved)]).unwrap().source
}

#[test]
fn source_that_replies_cannot_reach_is_none() {
    for (to, prefix, from, fit) in [
        ("2001:db8::9", 0, "2001:db8::2", true),
        ("2001:db8::9", 0, "fe80::2", false),
        ("2001:db8::9", 64, "fe80::2", false),
        ("fe80::9", 64, "fe80::2", true),
        ("2001:db8::9", 0, "::1", false),
        ("::1", 128, "::1", true),
        ("203.0.113.9", 0, "192.0.2.2", true),
        ("203.0.113.9", 0, "169.254.3.4", false),
        ("203.0.113.9", 24, "169.254.3.4", true),
        ("169.254.9.9", 16, "169.254.3.4", true),
        ("169.254.9.9", 0, "169.254.3.4", true),
    ] {
        let expected = fit.then(|| from.parse().unwrap());
        assert_eq!(source(to, prefix, from), expected, "{to} /{prefix} from {from}");
    }
}

#[test]
fn unspecified_source_is_none() {
    assert_eq!(source("203.0.113.9", 0, "0.0.0.0"), None);
    assert_eq!(source("2001:db8::9", 0, "::"), None);
}
