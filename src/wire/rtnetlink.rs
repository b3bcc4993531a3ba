//! rtnetlink(7): the bytes of a datagram in, facts out; the requests that ask for them.
//!
//! The parser keeps no state and judges nothing but single messages. What it passes on:
//!
//! - Links: every RTM_NEWLINK that states the link's condition. Bridge-port messages (`AF_BRIDGE`),
//!   which speak of a port and not of the interface, are ignored, and so are the wireless events of
//!   a WiFi scan: they have neither `IFLA_OPERSTATE` nor the hardware address, and would look like
//!   a change.
//! - Announcements: everything that may change where packets go (addresses, routes, rules, nexthop
//!   objects), reduced to digests, because the outcome is asked for (`question`).
//! - Neighbours: those that have failed, and those whose hardware address is known without doubt.
//!   What the kernel does in between to find out is ignored.
//!
//! Numbers are in the byte order of the machine, as netlink(7) has them. Unknown messages and
//! attributes are skipped.

use core::fmt::Write;

mod announcement;
mod attribute;
mod question;

pub use self::question::{Answer, Form, Found, QUESTION_MAX, answers, emit_question, guess, route};

use self::announcement::parse_announcement;
use self::attribute::{ALIGNMENT, Attributes, any_address, parse_ip, parse_name};
use self::attribute::{take, take_u16, take_u32};
use crate::proto::link::{LinkEvent, LinkIndex, Mac, NAME_MAX, Name, Neighbour};

// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_HDRLEN: usize = 16;

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
const RTM_F_CLONED: u32 = 0x200;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;

// linux/if_link.h, linux/if.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_PERM_ADDRESS: u16 = 54;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 0x40;

// linux/neighbour.h
const NDA_DST: u16 = 1;
const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_DELAY: u16 = 0x08;
const NUD_FAILED: u16 = 0x20;

// linux/socket.h
const AF_UNSPEC: u8 = 0;

// linux/rtnetlink.h: addresses of this scope or a narrower one do not leave the link.
const RT_SCOPE_LINK: u8 = 253;

/// Length of the request for a dump, in bytes: a header and the largest body, `struct ifinfomsg`.
pub const DUMP_REQUEST: usize = 32;

/// The request for a dump of all links.
///
/// The kernel runs one dump per socket at a time and answers a second one with `EBUSY`. Every
/// message of the answer carries `seq`; the last one is [`Kind::Done`] or [`Kind::Error`].
#[must_use]
pub fn emit_dump(seq: u32) -> [u8; DUMP_REQUEST] {
    emit_request(RTM_GETLINK, seq)
}

/// The request for a dump of all addresses.
#[must_use]
pub fn emit_address_dump(seq: u32) -> [u8; DUMP_REQUEST] {
    emit_request(RTM_GETADDR, seq)
}

fn emit_request(kind: u16, seq: u32) -> [u8; DUMP_REQUEST] {
    // The body is all zero: AF_UNSPEC, nothing filtered.
    let mut request = [0; DUMP_REQUEST];
    let header = emit_header(DUMP_REQUEST, kind, NLM_F_REQUEST | NLM_F_DUMP, seq);
    for (to, from) in request.iter_mut().zip(header) {
        *to = from;
    }
    request
}

/// The interfaces of those addresses in a dump that packets may leave the link with.
pub fn addressed(datagram: &[u8]) -> impl Iterator<Item = LinkIndex> {
    let mut rest = datagram;
    core::iter::from_fn(move || read(&mut rest, parse_scope)).flatten().flatten()
}

/// Reads RTM_NEWADDR: the interface, unless the address is for the link only.
fn parse_scope(frame: &Frame<'_>) -> Result<Option<LinkIndex>, Malformed> {
    if frame.kind != RTM_NEWADDR {
        return Ok(None);
    }
    let mut body = frame.body;
    let [_family, _prefix, _flags, scope] = take(&mut body)?;
    let index = LinkIndex(take_u32(&mut body)?);
    Ok((scope < RT_SCOPE_LINK).then_some(index))
}

/// `struct nlmsghdr` of a request.
fn emit_header(length: usize, kind: u16, flags: u16, seq: u32) -> impl Iterator<Item = u8> {
    let length = u32::try_from(length).unwrap_or_default().to_ne_bytes().into_iter();
    let header = length.chain(kind.to_ne_bytes()).chain(flags.to_ne_bytes());
    // Port 0: the kernel fills it in.
    header.chain(seq.to_ne_bytes()).chain([0; 4])
}

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The number of the request that this answers. Of a notification: the number that whoever
    /// caused the change had chosen, so it says nothing.
    pub seq: u32,
    /// The tables changed while they were dumped (`NLM_F_DUMP_INTR`): the dump must be repeated.
    pub interrupted: bool,
    /// What it says.
    pub kind: Kind,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A link, or news of what decides where packets go.
    Event(LinkEvent),
    /// A neighbour.
    Neighbour(Neighbour),
    /// The dump is complete.
    Done,
    /// The request was refused, or its dump broke off, with this errno (positive); 0 acknowledges.
    Error(i32),
    /// Messages were lost (`NLMSG_OVERRUN`).
    Overrun,
    /// Nothing that decisions need.
    Ignored,
}

/// The bytes are not rtnetlink messages; the rest of the datagram cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Iterates over what a datagram says, in order; nothing follows an error.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message, Malformed>> {
    let (mut rest, mut second) = (datagram, None);
    core::iter::from_fn(move || match second.take() {
        Some(message) => Some(Ok(message)),
        None => read(&mut rest, parse_message).map(|parsed| {
            let (first, more) = parsed?;
            second = more;
            Ok(first)
        }),
    })
}

/// `struct nlmsghdr` and what it heads.
struct Frame<'a> {
    kind: u16,
    flags: u16,
    seq: u32,
    body: &'a [u8],
}

/// Takes the next message off a datagram and has it parsed; drops the datagram if that fails.
fn read<'a, T>(
    rest: &mut &'a [u8],
    parse: fn(&Frame<'a>) -> Result<T, Malformed>,
) -> Option<Result<T, Malformed>> {
    if rest.is_empty() {
        return None;
    }
    let parsed = take_frame(rest).and_then(|frame| parse(&frame));
    if parsed.is_err() {
        *rest = &[];
    }
    Some(parsed)
}

/// Takes the first message off a datagram: header, body, padding to four bytes.
fn take_frame<'a>(rest: &mut &'a [u8]) -> Result<Frame<'a>, Malformed> {
    let mut header = *rest;
    let length = usize::try_from(take_u32(&mut header)?).map_err(|_| Malformed)?;
    let kind = take_u16(&mut header)?;
    let flags = take_u16(&mut header)?;
    let seq = take_u32(&mut header)?;
    let body = rest.get(NLMSG_HDRLEN..length).ok_or(Malformed)?;
    *rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    Ok(Frame { kind, flags, seq, body })
}

/// What a message says, and what follows from it.
fn parse_message(frame: &Frame<'_>) -> Result<(Message, Option<Message>), Malformed> {
    let &Frame { kind, flags, seq, body } = frame;
    let event = |event: Option<LinkEvent>| event.map_or(Kind::Ignored, Kind::Event);
    let replaces = flags & NLM_F_REPLACE != 0;
    let announced = parse_announcement(kind, replaces, body)?.map(LinkEvent::Announced);
    let interrupted = flags & NLM_F_DUMP_INTR != 0;
    let message = |kind| Message { seq, interrupted, kind };
    let kind = match kind {
        NLMSG_DONE | NLMSG_ERROR => parse_end(kind, body)?,
        NLMSG_OVERRUN => Kind::Overrun,
        RTM_NEWNEIGH => parse_neighbour(body)?,
        RTM_NEWLINK => event(parse_link(body)?),
        RTM_DELLINK => event(parse_link_gone(body)?),
        _ => return Ok((message(event(announced)), None)),
    };
    Ok((message(kind), announced.map(|it| message(Kind::Event(it)))))
}

/// Reads RTM_NEWLINK.
fn parse_link(mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
    let Some((index, flags)) = take_interface(&mut body)? else { return Ok(None) };
    let (mut name, mut mac, mut permanent_mac, mut has_state) = (None, None, None, false);
    for attribute in Attributes(body) {
        match attribute? {
            (IFLA_IFNAME, value) => name = parse_name(value),
            (IFLA_ADDRESS, value) => mac = value.try_into().ok().map(Mac),
            (IFLA_PERM_ADDRESS, value) => permanent_mac = value.try_into().ok().map(Mac),
            (IFLA_OPERSTATE, _) => has_state = true,
            _ => {}
        }
    }
    if !has_state {
        return Ok(None);
    }
    // The kernel takes names that are no text. No socket can be bound to the one made up here: such an
    // interface is used by unbound sockets.
    let Some(name) = name.or_else(|| numbered(index)) else {
        return Ok(Some(LinkEvent::LinkGone { index }));
    };
    // IFF_RUNNING is the operational state, not the carrier: a link that is dormant during the
    // WPA handshake has IFF_LOWER_UP only. It needs no look at IFLA_OPERSTATE, which drivers
    // without such states leave at "unknown".
    let running = flags & IFF_UP != 0 && flags & IFF_RUNNING != 0;
    Ok(Some(LinkEvent::Link { index, name, running, mac, permanent_mac }))
}

/// A name for an interface whose own one cannot be shown: `if` and its number.
fn numbered(index: LinkIndex) -> Option<Name> {
    let mut name = heapless::String::<NAME_MAX>::new();
    write!(name, "if{}", index.0).ok()?;
    Name::new(&name)
}

/// Reads RTM_DELLINK.
fn parse_link_gone(mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
    let interface = take_interface(&mut body)?;
    Ok(interface.map(|(index, _)| LinkEvent::LinkGone { index }))
}

/// Reads NLMSG_ERROR, or NLMSG_DONE, which has an errno too (none in kernels before 4.14 and in
/// some emulators).
fn parse_end(kind: u16, mut body: &[u8]) -> Result<Kind, Malformed> {
    if kind == NLMSG_DONE && body.is_empty() {
        return Ok(Kind::Done);
    }
    match take(&mut body).map(i32::from_ne_bytes)? {
        0 if kind == NLMSG_DONE => Ok(Kind::Done),
        errno => Ok(Kind::Error(errno.saturating_neg())),
    }
}

/// Takes `struct ifinfomsg`: index and flags; or `None` if it does not speak of the interface itself.
///
/// `AF_BRIDGE` speaks of a bridge port: one that leaves its bridge says RTM_DELLINK, and the
/// interface lives on.
fn take_interface(body: &mut &[u8]) -> Result<Option<(LinkIndex, u32)>, Malformed> {
    let [family, _, _, _] = take(body)?;
    let index = LinkIndex(take_u32(body)?);
    let flags = take_u32(body)?;
    let _changed = take_u32(body)?;
    Ok((family == AF_UNSPEC).then_some((index, flags)))
}

/// Reads RTM_NEWNEIGH: `struct ndmsg` and attributes.
fn parse_neighbour(mut body: &[u8]) -> Result<Kind, Malformed> {
    let [family, _, _, _] = take(&mut body)?;
    let index = LinkIndex(take_u32(&mut body)?);
    let state = take_u16(&mut body)?;
    let [_flags, _kind] = take(&mut body)?;
    // An entry of a bridge's forwarding table (AF_BRIDGE) has no IP address.
    let known = any_address(family).is_some();
    let answers = match state {
        // One that answers while packets wait for it is told when those have left, in this state.
        NUD_REACHABLE | NUD_STALE | NUD_DELAY if known => true,
        NUD_FAILED if known => false,
        _ => return Ok(Kind::Ignored),
    };
    let mut address = None;
    for attribute in Attributes(body) {
        if let (NDA_DST, value) = attribute? {
            address = Some(parse_ip(family, value)?);
        }
    }
    let neighbour = address.map(|address| Neighbour { index, address, answers });
    Ok(neighbour.map_or(Kind::Ignored, Kind::Neighbour))
}

#[cfg(test)]
mod tests;
