//! rtnetlink(7): the bytes of a datagram in, [`LinkEvent`]s out; and the requests that ask for
//! everything.
//!
//! The parser keeps no state and judges nothing but single messages. What it passes on:
//!
//! - Links: every RTM_NEWLINK that states the link's condition. Bridge-port messages (`AF_BRIDGE`),
//!   which speak of a port and not of the interface, are ignored, and so are the wireless events of
//!   a WiFi scan: they have neither `IFLA_OPERSTATE` nor the hardware address, and would look like
//!   a change.
//! - Addresses: every IPv4 and IPv6 address, loopback and link-local ones too, each with whether it
//!   may be used.
//! - Routes: unicast, table main, any protocol and scope, one event per next hop that is not dead.
//!   Routes for one TOS only are ignored, and so are those that name their next hop by number alone
//!   (`RTA_NH_ID`, which the kernel does only where `net.ipv4.nexthop_compat_mode` is 0).
//! - Neighbours: those that have failed, and those whose hardware address is known without doubt.
//!   What the kernel does in between to find out is ignored.
//!
//! The kernel does not announce all it does to routes (measured on Linux 6.18). Where a message
//! implies such a change, it yields an event of its own or is marked `silent`. Two limits remain:
//! routes that differ only in what a [`Route`](crate::proto::link::Route) does not show are one,
//! and a dead next hop that a new address brings back to life is seen in the next dump only.
//!
//! Numbers are in the byte order of the machine, as netlink(7) has them. Unknown messages and
//! attributes are skipped.

mod attribute;
mod route;

use self::attribute::{ALIGNMENT, Attributes, any_address, parse_ip, parse_name, parse_u32};
use self::attribute::{take, take_u16, take_u32};
use self::route::{Change, NextHops, parse_route};
use crate::proto::link::{LinkEvent, LinkIndex, Mac, Neighbour};

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

// linux/if_link.h, linux/if.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_PERM_ADDRESS: u16 = 54;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 0x40;

// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;

// linux/neighbour.h
const NDA_DST: u16 = 1;
const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_FAILED: u16 = 0x20;

// linux/socket.h
const AF_UNSPEC: u8 = 0;

/// Length of the longest dump request, in bytes.
pub const DUMP_REQUEST_MAX: usize = 32;

/// What one dump lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Interfaces.
    Links,
    /// Addresses of both families.
    Addresses,
    /// Routes of both families, all tables.
    Routes,
}

/// Writes the request for a dump into `buffer` and returns the bytes to send.
///
/// The kernel runs one dump per socket at a time and answers a second one with `EBUSY`. Every
/// message of the answer carries `seq`; the last one is [`Kind::Done`] or [`Kind::Error`].
#[must_use]
pub fn emit_dump(buffer: &mut [u8; DUMP_REQUEST_MAX], subject: Subject, seq: u32) -> &[u8] {
    let (kind, length) = match subject {
        Subject::Links => (RTM_GETLINK, 32_u8),
        Subject::Addresses => (RTM_GETADDR, 24),
        Subject::Routes => (RTM_GETROUTE, 28),
    };
    // The fixed part of the subject (ifinfomsg, ifaddrmsg, rtmsg) is all zero: AF_UNSPEC, nothing
    // filtered.
    *buffer = [0; DUMP_REQUEST_MAX];
    let header = u32::from(length).to_ne_bytes().into_iter();
    let header = header.chain(kind.to_ne_bytes()).chain((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    for (to, from) in buffer.iter_mut().zip(header.chain(seq.to_ne_bytes())) {
        *to = from;
    }
    buffer.get(..usize::from(length)).unwrap_or_default()
}

/// One fact from a datagram; a message with several next hops yields several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The number of the request that this answers. Of a notification: the number that whoever
    /// caused the change had chosen, so it says nothing.
    pub seq: u32,
    /// The tables changed while they were dumped (`NLM_F_DUMP_INTR`): the dump must be repeated.
    pub interrupted: bool,
    /// The kernel has changed more than it says here: only a dump tells.
    pub silent: bool,
    /// The fact.
    pub kind: Kind,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A link, an address or a route.
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
#[must_use]
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    let more = More::Nothing;
    Messages { rest: datagram, seq: 0, interrupted: false, silent: false, more }
}

/// Iterator made by [`messages`].
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
    seq: u32,
    interrupted: bool,
    silent: bool,
    more: More<'a>,
}

/// What the message taken last has still to say.
#[derive(Debug, Clone)]
enum More<'a> {
    Nothing,
    RoutesGone(LinkIndex),
    NextHops(NextHops<'a>),
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = match self.next_of_message() {
            Ok(None) if self.rest.is_empty() => return None,
            Ok(None) => self.take_message(),
            Ok(Some(event)) => Ok(Kind::Event(event)),
            Err(malformed) => Err(malformed),
        };
        if kind.is_err() {
            *self = messages(&[]);
        }
        let Self { seq, interrupted, silent, .. } = *self;
        Some(kind.map(|kind| Message { seq, interrupted, silent, kind }))
    }
}

impl<'a> Messages<'a> {
    /// The next event of a message that has several.
    fn next_of_message(&mut self) -> Result<Option<LinkEvent>, Malformed> {
        match &mut self.more {
            More::Nothing => Ok(None),
            More::NextHops(hops) => hops.next().transpose(),
            More::RoutesGone(index) => {
                let index = *index;
                self.more = More::Nothing;
                Ok(Some(LinkEvent::RoutesGone { index }))
            }
        }
    }

    /// Takes the first message off the datagram: `struct nlmsghdr`, body, padding to four bytes.
    fn take_message(&mut self) -> Result<Kind, Malformed> {
        let mut header = self.rest;
        let length = usize::try_from(take_u32(&mut header)?).map_err(|_| Malformed)?;
        let kind = take_u16(&mut header)?;
        let flags = take_u16(&mut header)?;
        self.seq = take_u32(&mut header)?;
        self.interrupted = flags & NLM_F_DUMP_INTR != 0;
        self.silent = false;
        let body = self.rest.get(NLMSG_HDRLEN..length).ok_or(Malformed)?;
        self.rest = self.rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        self.more = More::Nothing;
        let event = match kind {
            NLMSG_DONE | NLMSG_ERROR => return parse_end(kind, body),
            NLMSG_OVERRUN => return Ok(Kind::Overrun),
            RTM_NEWLINK => self.link(body)?,
            RTM_DELLINK => self.link_gone(body)?,
            RTM_NEWADDR | RTM_DELADDR => parse_address(kind == RTM_DELADDR, body)?,
            RTM_NEWROUTE if flags & NLM_F_REPLACE != 0 => self.route(Change::Replaced, body)?,
            RTM_NEWROUTE => self.route(Change::New, body)?,
            RTM_DELROUTE => self.route(Change::Gone, body)?,
            RTM_NEWNEIGH => return parse_neighbour(body),
            _ => None,
        };
        Ok(event.map_or(Kind::Ignored, Kind::Event))
    }

    /// Reads RTM_DELLINK.
    fn link_gone(&mut self, mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
        let Some((index, ..)) = take_interface(&mut body)? else { return Ok(None) };
        // IPv4 routes with several next hops go with any of them, those through others too.
        self.silent = true;
        Ok(Some(LinkEvent::LinkGone { index }))
    }

    /// Reads RTM_NEWROUTE or RTM_DELROUTE.
    fn route(&mut self, change: Change, body: &'a [u8]) -> Result<Option<LinkEvent>, Malformed> {
        let Some(mut hops) = parse_route(change, body)? else { return Ok(None) };
        let first = hops.next().transpose();
        self.more = More::NextHops(hops);
        first
    }

    /// Reads RTM_NEWLINK.
    fn link(&mut self, mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
        let Some((index, flags, changed)) = take_interface(&mut body)? else { return Ok(None) };
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
        // A name that no socket can be bound to, after a rename: as good as gone.
        let Some(name) = name else { return Ok(Some(LinkEvent::LinkGone { index })) };
        if flags & IFF_UP == 0 {
            self.more = More::RoutesGone(index);
        }
        // Set up again: routes that had other next hops besides have kept this one, dead, and it
        // lives again. (Of a new interface, every flag is said to have changed.)
        self.silent = flags & changed & IFF_UP != 0 && changed != u32::MAX;
        // IFF_RUNNING is the operational state, not the carrier: a link that is dormant during the
        // WPA handshake has IFF_LOWER_UP only. It needs no look at IFLA_OPERSTATE, which drivers
        // without such states leave at "unknown".
        let running = flags & IFF_UP != 0 && flags & IFF_RUNNING != 0;
        Ok(Some(LinkEvent::Link { index, name, running, mac, permanent_mac }))
    }
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

/// Takes `struct ifinfomsg`: index, flags, and which flags changed; or `None` if it does not speak
/// of the interface itself.
///
/// `AF_BRIDGE` speaks of a bridge port: one that leaves its bridge says RTM_DELLINK, and the
/// interface lives on.
fn take_interface(body: &mut &[u8]) -> Result<Option<(LinkIndex, u32, u32)>, Malformed> {
    let [family, _, _, _] = take(body)?;
    let index = LinkIndex(take_u32(body)?);
    let flags = take_u32(body)?;
    let changed = take_u32(body)?;
    Ok((family == AF_UNSPEC).then_some((index, flags, changed)))
}

/// Reads RTM_NEWADDR or RTM_DELADDR: `struct ifaddrmsg` and attributes.
fn parse_address(gone: bool, mut body: &[u8]) -> Result<Option<LinkEvent>, Malformed> {
    let [family, _prefix, flags, _scope] = take(&mut body)?;
    let index = LinkIndex(take_u32(&mut body)?);
    if any_address(family).is_none() {
        return Ok(None);
    }
    let (mut flags, mut local, mut address) = (u32::from(flags), None, None);
    for attribute in Attributes(body) {
        match attribute? {
            (IFA_FLAGS, value) => flags = parse_u32(value)?,
            (IFA_LOCAL, value) => local = Some(parse_ip(family, value)?),
            (IFA_ADDRESS, value) => address = Some(parse_ip(family, value)?),
            _ => {}
        }
    }
    // Where IFA_LOCAL is given, IFA_ADDRESS is the other end of a point-to-point link, or the same.
    let Some(address) = local.or(address) else { return Ok(None) };
    if gone {
        return Ok(Some(LinkEvent::AddressGone { index, address }));
    }
    // RFC 4429 §3.3: an optimistic address is used while its duplicate detection runs.
    let tentative = flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0;
    let usable = !tentative && flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED) == 0;
    Ok(Some(LinkEvent::Address { index, address, usable }))
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
        NUD_REACHABLE | NUD_STALE if known => true,
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
