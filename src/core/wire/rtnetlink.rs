//! rtnetlink(7): a parser of received datagrams, and the requests for dumps and routes.
//!
//! The parser has no state and treats each message by itself. It reports:
//!
//! - Links: every RTM_NEWLINK with the state of the link. Bridge-port messages (`AF_BRIDGE`) are
//!   ignored, because they describe a port instead of the interface. The wireless events of a WiFi
//!   scan are ignored as well: they lack `IFLA_OPERSTATE` and the hardware address, and would look
//!   like a change.
//! - Announcements: changes of anything that may affect where packets go, such as addresses,
//!   routes, rules and nexthop objects. They are reduced to digests, because the core queries the
//!   resulting route (`question`).
//! - Neighbours: those that failed, and those with a confirmed hardware address. The intermediate
//!   states of resolution are ignored.
//!
//! Numbers are in native byte order, as netlink(7) defines. Unknown messages and attributes are
//! skipped.

use core::fmt::Write;

mod announcement;
mod attribute;
mod question;

pub use self::question::{
    Form, Found, QUESTION_MAX, RouteAnswer, answers, emit_question, guess, route,
};

use self::announcement::parse_announcement;
use self::attribute::{ALIGNMENT, Attributes, any_address, parse_ip, parse_name};
use self::attribute::{take, take_u16, take_u32};
use crate::proto::link::{InterfaceName, LinkEvent, LinkIndex, Mac, NAME_MAX, Neighbour};

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
const RTA_IP_PROTO: u16 = 27;
const RTA_DPORT: u16 = 29;
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

/// Length of a dump request in bytes: a header and the largest body, `struct ifinfomsg`.
pub const DUMP_REQUEST: usize = 32;

/// Builds the request for a dump of all links.
///
/// The kernel runs one dump per socket at a time and refuses a second one with `EBUSY`. Every
/// message of the response carries `seq`. The last one is [`MessageKind::Done`] or
/// [`MessageKind::Error`].
pub fn emit_dump(seq: u32) -> [u8; DUMP_REQUEST] {
    emit_request(RTM_GETLINK, seq)
}

/// Builds the request for a dump of all addresses.
pub fn emit_address_dump(seq: u32) -> [u8; DUMP_REQUEST] {
    emit_request(RTM_GETADDR, seq)
}

fn emit_request(kind: u16, seq: u32) -> [u8; DUMP_REQUEST] {
    // The body is all zero: AF_UNSPEC, no filter.
    let mut request = [0; DUMP_REQUEST];
    let header = emit_header(DUMP_REQUEST, kind, NLM_F_REQUEST | NLM_F_DUMP, seq);
    if let Some(first) = request.first_chunk_mut() {
        *first = header;
    }
    request
}

/// The interfaces in an address dump whose addresses are valid beyond the link.
pub fn addressed(datagram: &[u8]) -> impl Iterator<Item = LinkIndex> {
    let mut rest = datagram;
    core::iter::from_fn(move || read(&mut rest, parse_scope)).flatten().flatten()
}

/// Parses RTM_NEWADDR: the interface, unless the scope of the address is its link or narrower.
fn parse_scope(frame: &Frame<'_>) -> Result<Option<LinkIndex>, Malformed> {
    if frame.kind != RTM_NEWADDR {
        return Ok(None);
    }
    let mut body = frame.body;
    let [_family, _prefix, _flags, scope] = take(&mut body)?;
    let index = LinkIndex(take_u32(&mut body)?);
    Ok((scope < RT_SCOPE_LINK).then_some(index))
}

/// Builds the `struct nlmsghdr` of a request.
fn emit_header(length: usize, kind: u16, flags: u16, seq: u32) -> [u8; NLMSG_HDRLEN] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or_default().to_ne_bytes();
    let ([e, f], [g, h]) = (kind.to_ne_bytes(), flags.to_ne_bytes());
    let [i, j, k, l] = seq.to_ne_bytes();
    // Port 0: the kernel sets it.
    [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0]
}

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The number of the request that this message responds to. A notification carries the number
    /// of the request that caused the change, which has no meaning here.
    pub seq: u32,
    /// The tables changed during the dump (`NLM_F_DUMP_INTR`), so it must be repeated.
    pub interrupted: bool,
    /// The content.
    pub kind: MessageKind,
}

/// Content of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A link, or a change that may affect where packets go.
    Event(LinkEvent),
    /// The state of a neighbour.
    Neighbour(Neighbour),
    /// The dump is complete.
    Done,
    /// The request or its dump failed with this errno (positive). 0 acknowledges the request.
    Error(i32),
    /// Messages were lost (`NLMSG_OVERRUN`).
    Overrun,
    /// The message is not relevant.
    Ignored,
}

/// The bytes are not valid rtnetlink messages. The rest of the datagram is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Iterates over the messages of a datagram, in order. An error ends the iteration.
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

/// `struct nlmsghdr` and the body of the message.
struct Frame<'a> {
    kind: u16,
    flags: u16,
    seq: u32,
    body: &'a [u8],
}

/// Takes and parses the next message of a datagram. An error discards the rest.
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

/// Takes the first message of a datagram: header, body, padding to four bytes.
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

/// Parses a message, which may be both a link event and an announcement.
fn parse_message(frame: &Frame<'_>) -> Result<(Message, Option<Message>), Malformed> {
    let &Frame { kind, flags, seq, body } = frame;
    let event = |event: Option<LinkEvent>| event.map_or(MessageKind::Ignored, MessageKind::Event);
    let replaces = flags & NLM_F_REPLACE != 0;
    let announced = parse_announcement(kind, replaces, body)?.map(LinkEvent::Announced);
    let interrupted = flags & NLM_F_DUMP_INTR != 0;
    let message = |kind| Message { seq, interrupted, kind };
    let kind = match kind {
        NLMSG_DONE | NLMSG_ERROR => parse_end(kind, body)?,
        NLMSG_OVERRUN => MessageKind::Overrun,
        RTM_NEWNEIGH => parse_neighbour(body)?,
        RTM_NEWLINK => event(parse_link(body)?),
        RTM_DELLINK => event(parse_link_gone(body)?),
        _ => return Ok((message(event(announced)), None)),
    };
    Ok((message(kind), announced.map(|it| message(MessageKind::Event(it)))))
}

/// Parses RTM_NEWLINK.
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
    // The kernel allows names that are not UTF-8. A socket cannot be bound to the substitute name,
    // so unbound sockets use such an interface.
    let Some(name) = name.or_else(|| numbered(index)) else {
        return Ok(Some(LinkEvent::LinkGone { index }));
    };
    // IFF_RUNNING is the operational state, not the carrier: a link that is dormant during the WPA
    // handshake has IFF_LOWER_UP only. IFLA_OPERSTATE is not needed; drivers without such states
    // leave it at "unknown".
    let running = flags & IFF_UP != 0 && flags & IFF_RUNNING != 0;
    Ok(Some(LinkEvent::Link { index, name, running, mac, permanent_mac }))
}

/// A substitute name for an interface whose name is not printable: `if` and its index.
fn numbered(index: LinkIndex) -> Option<InterfaceName> {
    let mut name = heapless::String::<NAME_MAX>::new();
    write!(name, "if{}", index.0).ok()?;
    InterfaceName::new(&name)
}

/// Parses RTM_DELLINK.
fn parse_link_gone(mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
    let interface = take_interface(&mut body)?;
    Ok(interface.map(|(index, _)| LinkEvent::LinkGone { index }))
}

/// Parses NLMSG_ERROR, or NLMSG_DONE, which carries an errno as well, except before Linux 4.14 and
/// in some emulators.
fn parse_end(kind: u16, mut body: &[u8]) -> Result<MessageKind, Malformed> {
    if kind == NLMSG_DONE && body.is_empty() {
        return Ok(MessageKind::Done);
    }
    match take(&mut body).map(i32::from_ne_bytes)? {
        0 if kind == NLMSG_DONE => Ok(MessageKind::Done),
        errno => Ok(MessageKind::Error(errno.saturating_neg())),
    }
}

/// Takes `struct ifinfomsg`: index and flags. `None` if the message is not about the interface
/// itself.
///
/// `AF_BRIDGE` messages are about bridge ports. A port that leaves its bridge causes RTM_DELLINK,
/// although its interface still exists.
fn take_interface(body: &mut &[u8]) -> Result<Option<(LinkIndex, u32)>, Malformed> {
    let [family, _, _, _] = take(body)?;
    let index = LinkIndex(take_u32(body)?);
    let flags = take_u32(body)?;
    let _changed = take_u32(body)?;
    Ok((family == AF_UNSPEC).then_some((index, flags)))
}

/// Parses RTM_NEWNEIGH: `struct ndmsg` and attributes.
fn parse_neighbour(mut body: &[u8]) -> Result<MessageKind, Malformed> {
    let [family, _, _, _] = take(&mut body)?;
    let index = LinkIndex(take_u32(&mut body)?);
    let state = take_u16(&mut body)?;
    let [_flags, _kind] = take(&mut body)?;
    // Entries of a bridge's forwarding table (AF_BRIDGE) have no IP address.
    let known = any_address(family).is_some();
    let answers = match state {
        // A neighbour that answers while packets are queued for it is announced after they are
        // sent, in one of these states.
        NUD_REACHABLE | NUD_STALE | NUD_DELAY if known => true,
        NUD_FAILED if known => false,
        _ => return Ok(MessageKind::Ignored),
    };
    let mut address = None;
    for attribute in Attributes(body) {
        if let (NDA_DST, value) = attribute? {
            address = Some(parse_ip(family, value)?);
        }
    }
    let neighbour = address.map(|address| Neighbour { index, address, answers });
    Ok(neighbour.map_or(MessageKind::Ignored, MessageKind::Neighbour))
}

#[cfg(test)]
mod tests;
