//! Route queries (RTM_GETROUTE): where would packets to a destination leave?
//!
//! No single query returns everything, so each question is asked in two [`Form`]s, and [`route`]
//! combines the two responses. Measured on Linux 6.18:
//!
//! | | matching | resolved |
//! |---|---|---|
//! | prefix, metric | of the route | length of the address; metric of IPv6 only |
//! | interface, gateway | of each next hop, or the id of a nexthop object | of the chosen hop |
//! | source | only if the route prescribes one | the one that packets would have |
//! | bound, and IPv4 has no route | EHOSTUNREACH | a guess: destination on the link, table 0 |
//!
//! connect(2) on a bound socket begins with the same guess. The kernel then repeats the lookup from
//! the source of the guess, and may find a route by a rule (`ip rule add from ...`). A bound
//! question with a [`guess`] is therefore asked once more, from that source.
//!
//! Rules may choose by protocol and port as well. A question names them only where it has no answer
//! without them, because most devices have no such rule.
//!
//! For a group of the link (224.0.0.0/24) and a bound socket the kernel looks up no route. There is
//! a resolved response only, with a source if any interface has an address.
//!
//! # Kernels before 4.13
//!
//! They do not know RTM_F_FIB_MATCH and give the resolved response to both forms. IPv4 marks it
//! with RTM_F_CLONED, IPv6 by a source and a prefix of full length. A response with a gateway then
//! counts as the default route, and one without as a route to exactly this destination. In IPv4
//! with a bound socket the latter may be the guess, and counts as no route. The table is the one in
//! the response, which is always `main` before 4.4.

use core::net::IpAddr;

use super::attribute::{AF_INET, AF_INET6, ALIGNMENT, take, take_u32};
use super::attribute::{Attributes, any_address, parse_ip, parse_u32, parse_via};
use super::{
    Frame, Malformed, NLM_F_REQUEST, NLMSG_HDRLEN, RTA_DPORT, RTA_DST, RTA_GATEWAY, RTA_IP_PROTO,
    RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA, RTM_F_CLONED, RTM_GETROUTE,
    RTM_NEWROUTE, emit_header,
};
use crate::proto::link::LinkIndex;
use crate::proto::route::{Route, RouteQuestion};

// linux/rtnetlink.h
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_MULTICAST: u8 = 5;
const RT_TABLE_UNSPEC: u32 = 0;
// linux/in.h
const IPPROTO_TCP: u8 = 6;
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
const RTM_F_FIB_MATCH: u32 = 0x2000;

/// Length of `struct rtmsg`, in bytes.
const RTMSG: usize = 12;
/// Length of the header of an attribute, in bytes.
const RTA_HDRLEN: usize = 4;

/// Length of an attribute with a value of at most four bytes, padding included.
const RTA_SHORT: usize = RTA_HDRLEN + ALIGNMENT;

/// Longest query, in bytes: two IPv6 addresses, an interface, protocol and port.
pub const QUESTION_MAX: usize = NLMSG_HDRLEN + RTMSG + 2 * (RTA_HDRLEN + 16) + 3 * RTA_SHORT;

/// The two forms of a route query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Returns the matching route as it is in its table.
    Matching,
    /// Returns the hop that would be taken, and the source address.
    Resolved,
}

/// Appends a query to `out`; a datagram may hold several. `source` is the source address of the
/// packets, if it is not left to the kernel. `port` is the TCP port that they go to, if rules may
/// depend on it.
pub fn emit_question(
    out: &mut impl for<'a> Extend<&'a u8>,
    question: &RouteQuestion,
    source: Option<IpAddr>,
    port: Option<u16>,
    form: Form,
    seq: u32,
) {
    let (family, octets) = if question.to.is_ipv4() { (AF_INET, 4) } else { (AF_INET6, 16) };
    let bits = octets * 8;
    let address = RTA_HDRLEN + usize::from(octets);
    let mut length = NLMSG_HDRLEN + RTMSG + address;
    length += source.map_or(0, |_| address) + question.bound.map_or(0, |_| RTA_SHORT);
    length += port.map_or(0, |_| 2 * RTA_SHORT);
    let flags = match form {
        Form::Matching => RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH,
        Form::Resolved => RTM_F_LOOKUP_TABLE,
    };
    out.extend(&emit_header(length, RTM_GETROUTE, NLM_F_REQUEST, seq));
    out.extend(&[family, bits, source.map_or(0, |_| bits), 0, 0, 0, 0, 0]);
    out.extend(&flags.to_ne_bytes());
    emit_address(out, RTA_DST, question.to);
    if let Some(source) = source {
        emit_address(out, RTA_SRC, source);
    }
    if let Some(LinkIndex(index)) = question.bound {
        emit_attribute(out, RTA_OIF, &index.to_ne_bytes());
    }
    if let Some(port) = port {
        emit_attribute(out, RTA_IP_PROTO, &[IPPROTO_TCP]);
        emit_attribute(out, RTA_DPORT, &port.to_be_bytes());
    }
}

fn emit_address(out: &mut impl for<'a> Extend<&'a u8>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => emit_attribute(out, kind, &address.octets()),
        IpAddr::V6(address) => emit_attribute(out, kind, &address.octets()),
    }
}

/// Appends a `struct nlattr` and its padding.
fn emit_attribute(out: &mut impl for<'a> Extend<&'a u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(RTA_HDRLEN + value.len()).unwrap_or_default();
    out.extend(&length.to_ne_bytes());
    out.extend(&kind.to_ne_bytes());
    out.extend(value);
    out.extend([0; ALIGNMENT].iter().take(value.len().next_multiple_of(ALIGNMENT) - value.len()));
}

/// The response to one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteAnswer {
    /// Sequence number of the query.
    pub seq: u32,
    /// The result of the lookup. `None` if there is no route, or it rejects packets or leads to
    /// several hosts.
    pub found: Option<Found>,
}

/// The kernel's response to one form of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    local: bool,
    /// The destination is a multicast group.
    group: bool,
    /// The kernel cannot report the matching route (before 4.13).
    resolved: bool,
    index: u32,
    table: u32,
    prefix: u8,
    metric: u32,
    gateway: Option<IpAddr>,
    source: Option<IpAddr>,
}

/// Iterates over the responses in a datagram, in order. An error ends the iteration.
pub fn answers(datagram: &[u8]) -> impl Iterator<Item = Result<RouteAnswer, Malformed>> {
    let mut rest = datagram;
    core::iter::from_fn(move || super::read(&mut rest, parse_answer))
}

fn parse_answer(frame: &Frame<'_>) -> Result<RouteAnswer, Malformed> {
    // The errno of NLMSG_ERROR does not matter.
    let found = if frame.kind == RTM_NEWROUTE { parse_found(frame.body)? } else { None };
    Ok(RouteAnswer { seq: frame.seq, found })
}

/// Parses `struct rtmsg` and attributes.
fn parse_found(mut body: &[u8]) -> Result<Option<Found>, Malformed> {
    let [family, prefix, _source_prefix, _tos] = take(&mut body)?;
    let [table, _protocol, _scope, kind] = take(&mut body)?;
    let flags = take_u32(&mut body)?;
    let Some((unspecified, bits)) = any_address(family) else { return Ok(None) };
    if prefix > bits {
        return Err(Malformed);
    }
    let mut found = Found {
        local: kind == RTN_LOCAL,
        group: kind == RTN_MULTICAST,
        resolved: flags & RTM_F_CLONED != 0,
        index: 0,
        table: table.into(),
        prefix,
        metric: 0,
        gateway: None,
        source: None,
    };
    let mut asked_from = None;
    for attribute in Attributes(body) {
        match attribute? {
            (RTA_TABLE, value) => found.table = parse_u32(value)?,
            (RTA_OIF, value) => found.index = parse_u32(value)?,
            (RTA_PRIORITY, value) => found.metric = parse_u32(value)?,
            (RTA_GATEWAY, value) => found.gateway = Some(parse_ip(family, value)?),
            (RTA_VIA, value) => found.gateway = parse_via(value)?,
            (RTA_PREFSRC, value) => found.source = Some(parse_ip(family, value)?),
            (RTA_SRC, value) => asked_from = Some(parse_ip(family, value)?),
            _ => {}
        }
    }
    found.resolved |= family == AF_INET6 && prefix == bits && found.source.is_some();
    found.source = found.source.or(asked_from).filter(|source| *source != unspecified);
    Ok(matches!(kind, RTN_UNICAST | RTN_LOCAL | RTN_MULTICAST).then_some(found))
}

/// The source for a second query of a bound question, if the kernel has no route via that interface
/// and guessed that the destination is on its link.
pub fn guess(question: &RouteQuestion, found: &[Option<Found>; 2]) -> Option<IpAddr> {
    let [None, Some(resolved)] = found else { return None };
    let is_bound = question.bound.is_some() && !question.to.is_multicast();
    resolved.source.filter(|_| is_bound && resolved.table == RT_TABLE_UNSPEC)
}

/// Combines the responses to both forms of a question, matching and resolved. `None` if there is no
/// route.
pub fn route(question: RouteQuestion, found: &[Option<Found>; 2]) -> Option<Route> {
    let [matching, Some(hop)] = found else { return None };
    if hop.index == 0 || hop.group != question.to.is_multicast() {
        return None;
    }
    // Groups of the link have no route. A bound socket reaches them if it has a source address.
    let matching = if hop.group { hop } else { matching.as_ref()? };
    let mut prefix = matching.prefix;
    if matching.resolved && !hop.local && !hop.group {
        match hop.gateway {
            Some(_) => prefix = 0,
            None if question.bound.is_some() && question.to.is_ipv4() => return None,
            None => {}
        }
    }
    Some(Route {
        question,
        index: LinkIndex(hop.index),
        local: hop.local,
        table: matching.table,
        prefix,
        metric: matching.metric,
        gateway: hop.gateway,
        source: hop.source.filter(|source| is_fit(*source, question.to, prefix)),
    })
}

/// Whether replies to `source` would arrive. A link-local address is valid on its link only. In
/// IPv4 (RFC 3927) a specific route may lead further, but not the default route: some daemons give
/// both to every port without a DHCP server. In IPv6 the kernel chooses the loopback address if
/// there is no other.
const fn is_fit(source: IpAddr, to: IpAddr, prefix: u8) -> bool {
    match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            !source.is_link_local() || to.is_link_local() || prefix > 0
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            (!source.is_unicast_link_local() || to.is_unicast_link_local())
                && (!source.is_loopback() || to.is_loopback())
        }
        _ => false,
    }
}
