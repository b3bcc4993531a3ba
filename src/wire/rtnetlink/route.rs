//! Routes: one message, one event per next hop.

use super::Malformed;
use super::attribute::{ALIGNMENT, Attributes, any_address, parse_ip, parse_u32, parse_via};
use super::attribute::{take, take_u16, take_u32};
use crate::proto::link::{LinkEvent, LinkIndex, Route};

// linux/rtnetlink.h
const RTN_UNICAST: u8 = 1;
const RT_TABLE_MAIN: u32 = 254;
const RTM_F_CLONED: u32 = 0x200;
const RTNH_F_DEAD: u32 = 1;
const RTNH_HDRLEN: usize = 8;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;

/// What happened to a route.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// It is new, or a dump lists it.
    New,
    /// It is new and took the place of others.
    Replaced,
    /// It is gone.
    Gone,
}

impl Change {
    /// The event for one next hop; `None` for one that cannot be used. `flags` are the next hop's
    /// (`RTNH_F_*`).
    ///
    /// A dead one (`RTNH_F_DEAD`) belongs to an interface that is set down. One whose link has no
    /// carrier (`RTNH_F_LINKDOWN`) is kept: the kernel does not tell when that flag goes, and the
    /// link's own state says the same.
    fn event(self, route: Route, flags: u32) -> Option<LinkEvent> {
        if route.index == LinkIndex(0) {
            return None;
        }
        match self {
            Self::Gone => Some(LinkEvent::RouteGone(route)),
            Self::New | Self::Replaced if flags & RTNH_F_DEAD != 0 => None,
            Self::New => Some(LinkEvent::Route(route)),
            Self::Replaced => Some(LinkEvent::RouteReplaced(route)),
        }
    }
}

/// Reads RTM_NEWROUTE or RTM_DELROUTE (`struct rtmsg` and attributes); `None` if decisions do not
/// need it.
pub(super) fn parse_route(
    change: Change,
    mut body: &[u8],
) -> Result<Option<NextHops<'_>>, Malformed> {
    let [family, prefix, _source_prefix, tos] = take(&mut body)?;
    let [table, _protocol, _scope, kind] = take(&mut body)?;
    let flags = take_u32(&mut body)?;
    let Some((mut network, bits)) = any_address(family) else { return Ok(None) };
    let mut table = u32::from(table);
    let (mut index, mut metric, mut gateway, mut list) = (0, 0, None, None);
    for attribute in Attributes(body) {
        match attribute? {
            (RTA_TABLE, value) => table = parse_u32(value)?,
            (RTA_DST, value) => network = parse_ip(family, value)?,
            (RTA_OIF, value) => index = parse_u32(value)?,
            (RTA_PRIORITY, value) => metric = parse_u32(value)?,
            (RTA_GATEWAY, value) => gateway = Some(parse_ip(family, value)?),
            (RTA_VIA, value) => gateway = parse_via(value)?,
            (RTA_MULTIPATH, value) => list = Some(value),
            _ => {}
        }
    }
    if prefix > bits {
        return Err(Malformed);
    }
    if table != RT_TABLE_MAIN || kind != RTN_UNICAST || tos != 0 || flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let route = Route { index: LinkIndex(index), network, prefix, metric, gateway };
    let only = if list.is_none() { change.event(route, flags) } else { None };
    Ok(Some(NextHops { only, change, family, route, list: list.unwrap_or_default() }))
}

/// Iterates over the next hops of a route: the only one, or `RTA_MULTIPATH`, a list of `struct
/// rtnexthop` with attributes. Stop at the first error.
#[derive(Debug, Clone)]
pub(super) struct NextHops<'a> {
    only: Option<LinkEvent>,
    change: Change,
    family: u8,
    /// What the hops have in common.
    route: Route,
    list: &'a [u8],
}

impl NextHops<'_> {
    /// Takes one hop off the list.
    fn take_hop(&mut self) -> Result<Option<LinkEvent>, Malformed> {
        let mut header = self.list;
        let length = usize::from(take_u16(&mut header)?);
        let [flags, _weight] = take(&mut header)?;
        let mut route = Route { index: LinkIndex(take_u32(&mut header)?), ..self.route };
        let attributes = self.list.get(RTNH_HDRLEN..length).ok_or(Malformed)?;
        self.list = self.list.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        for attribute in Attributes(attributes) {
            match attribute? {
                (RTA_GATEWAY, value) => route.gateway = Some(parse_ip(self.family, value)?),
                (RTA_VIA, value) => route.gateway = parse_via(value)?,
                _ => {}
            }
        }
        Ok(self.change.event(route, u32::from(flags)))
    }
}

impl Iterator for NextHops<'_> {
    type Item = Result<LinkEvent, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(event) = self.only.take() {
            return Some(Ok(event));
        }
        while !self.list.is_empty() {
            let Some(event) = self.take_hop().transpose() else { continue };
            // The first hop has replaced what there was; the others belong to it.
            if let Change::Replaced = self.change {
                self.change = Change::New;
            }
            return Some(event);
        }
        None
    }
}
