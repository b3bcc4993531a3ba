//! RTM_GETROUTE: how would packets to a destination leave?
//!
//! No single question gets the whole answer, so each is put in two [`Form`]s, and [`route`] makes one
//! of the two answers. Measured on Linux 6.18:
//!
//! | | matching | resolved |
//! |---|---|---|
//! | prefix, metric | the route's | the destination's own length; metric of IPv6 only |
//! | interface, gateway | of every next hop, or the number of an object in their place | of the hop taken |
//! | source | only one that the route prescribes | the one that packets would have |
//! | bound, and IPv4 has no route | EHOSTUNREACH | a guess: the destination is on the link, table 0 |
//!
//! That guess is what connect(2) begins with on a bound socket, too. The kernel then looks again with the
//! source of the guess, and may find a route by a rule (`ip rule add from ...`). So a bound question with
//! a [`guess`] is asked once more, from that source.
//!
//! # Kernels before 4.13
//!
//! They do not know RTM_F_FIB_MATCH and answer both forms as resolved (IPv4 says so by RTM_F_CLONED,
//! IPv6 by a source for a route as long as the address). An answer with a gateway is then taken for a
//! default route, and one without for a route to this very destination; bound, in IPv4, it may be the
//! guess and counts as none. The table is the one they say: before 4.4 always `main`.

use core::net::IpAddr;

use super::attribute::{AF_INET, AF_INET6, take, take_u32};
use super::attribute::{Attributes, any_address, parse_ip, parse_u32, parse_via};
use super::{
    Frame, Malformed, NLM_F_REQUEST, NLMSG_HDRLEN, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC,
    RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA, RTM_F_CLONED, RTM_GETROUTE, RTM_NEWROUTE,
    emit_header,
};
use crate::proto::link::LinkIndex;
use crate::proto::routing::{Question, Route};

// linux/rtnetlink.h
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RT_TABLE_UNSPEC: u32 = 0;
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
const RTM_F_FIB_MATCH: u32 = 0x2000;

/// Length of `struct rtmsg`, in bytes.
const RTMSG: usize = 12;
/// Length of the header of an attribute, in bytes.
const RTA_HDRLEN: usize = 4;

/// Length of the longest request, in bytes: two IPv6 addresses and an interface.
pub const QUESTION_MAX: usize = NLMSG_HDRLEN + RTMSG + 2 * (RTA_HDRLEN + 16) + RTA_HDRLEN + 4;

/// What of the outcome is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The route that matches, as it is in its table.
    Matching,
    /// The hop that would be taken, and the source address.
    Resolved,
}

/// Writes a request to the end of `out`, as many to a datagram as are wanted. `source`: the address that
/// packets would come from, where it is not the kernel's to choose.
pub fn emit_question(
    out: &mut impl Extend<u8>,
    question: &Question,
    source: Option<IpAddr>,
    form: Form,
    seq: u32,
) {
    let (family, octets) = if question.to.is_ipv4() { (AF_INET, 4) } else { (AF_INET6, 16) };
    let bits = octets * 8;
    let address = RTA_HDRLEN + usize::from(octets);
    let mut length = NLMSG_HDRLEN + RTMSG + address;
    length += source.map_or(0, |_| address) + question.bound.map_or(0, |_| RTA_HDRLEN + 4);
    let flags = match form {
        Form::Matching => RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH,
        Form::Resolved => RTM_F_LOOKUP_TABLE,
    };
    out.extend(emit_header(length, RTM_GETROUTE, NLM_F_REQUEST, seq));
    out.extend([family, bits, source.map_or(0, |_| bits), 0, 0, 0, 0, 0]);
    out.extend(flags.to_ne_bytes());
    emit_address(out, RTA_DST, question.to);
    if let Some(source) = source {
        emit_address(out, RTA_SRC, source);
    }
    if let Some(LinkIndex(index)) = question.bound {
        emit_attribute(out, RTA_OIF, index.to_ne_bytes());
    }
}

fn emit_address(out: &mut impl Extend<u8>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => emit_attribute(out, kind, address.octets()),
        IpAddr::V6(address) => emit_attribute(out, kind, address.octets()),
    }
}

/// `struct nlattr` and a value that needs no padding.
fn emit_attribute<const N: usize>(out: &mut impl Extend<u8>, kind: u16, value: [u8; N]) {
    let length = u16::try_from(RTA_HDRLEN + N).unwrap_or_default();
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The number of the request.
    pub seq: u32,
    /// What the kernel found; `None`: no route, or one that rejects or reaches more than one.
    pub found: Option<Found>,
}

/// What the kernel found for one form of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    local: bool,
    /// Answered by a kernel that does not tell the matching route.
    resolved: bool,
    index: u32,
    table: u32,
    prefix: u8,
    metric: u32,
    gateway: Option<IpAddr>,
    source: Option<IpAddr>,
}

/// Iterates over the answers in a datagram, in order; nothing follows an error.
pub fn answers(datagram: &[u8]) -> impl Iterator<Item = Result<Answer, Malformed>> {
    let mut rest = datagram;
    core::iter::from_fn(move || super::read(&mut rest, parse_answer))
}

fn parse_answer(frame: &Frame<'_>) -> Result<Answer, Malformed> {
    // NLMSG_ERROR says what was wrong; that it is wrong is enough.
    let found = if frame.kind == RTM_NEWROUTE { parse_found(frame.body)? } else { None };
    Ok(Answer { seq: frame.seq, found })
}

/// Reads `struct rtmsg` and attributes.
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
    Ok(matches!(kind, RTN_UNICAST | RTN_LOCAL).then_some(found))
}

/// The source to put a bound question again from: the kernel has no route by that interface, and has
/// guessed that the destination is on its link.
#[must_use]
pub fn guess(question: &Question, found: &[Option<Found>; 2]) -> Option<IpAddr> {
    match found {
        [None, Some(resolved)] if question.bound.is_some() && resolved.table == RT_TABLE_UNSPEC => {
            resolved.source
        }
        _ => None,
    }
}

/// What was found for the forms of a question, matching and resolved, in one; `None` is no route.
#[must_use]
pub fn route(question: Question, found: &[Option<Found>; 2]) -> Option<Route> {
    let [Some(matching), Some(hop)] = found else { return None };
    if hop.index == 0 {
        return None;
    }
    let mut prefix = matching.prefix;
    if matching.resolved && !hop.local {
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

/// Whether answers to `source` would come back. A link-local address is known on the link only; in IPv4
/// (RFC 3927) it may lead further by a route of its own, but not by the default route that goes with it
/// where a daemon gives every port without a DHCP server both. The loopback's is what the kernel takes in
/// IPv6 while there is no other.
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
