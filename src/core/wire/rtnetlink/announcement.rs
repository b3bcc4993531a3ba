//! Announced changes of addresses, routes, rules and nexthop objects, reduced to digests.
//!
//! A message becomes two digests: one of the parts that identify the object, and
//! one of its state. Lifetimes, counters and flags that follow the carrier are left out, because
//! their changes have no consequence.
//!
//! An interface that is set down or removed is announced as well. Its IPv4 routes disappear with
//! it, and the kernel sends no message about them (measured on Linux 6.18).

use core::net::IpAddr;

use super::attribute::{Attributes, any_address, parse_ip, take, take_u32};
use super::{
    IFF_UP, Malformed, RTA_CACHEINFO, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_NH_ID, RTA_OIF,
    RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA, RTM_DELADDR, RTM_DELLINK, RTM_DELNEXTHOP,
    RTM_DELROUTE, RTM_DELRULE, RTM_F_CLONED, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEXTHOP,
    RTM_NEWROUTE, RTM_NEWRULE, take_interface,
};
use crate::proto::link::{Announcement, LinkIndex, ObjectChange};
use crate::wire::digest::Digest;

// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;

// linux/nexthop.h
const NHA_ID: u16 = 1;

/// Parses a message that may change where packets go. `None` for other messages.
///
/// `replaces` is whether the message has NLM_F_REPLACE.
pub(super) fn parse_announcement(
    kind: u16,
    replaces: bool,
    body: &[u8],
) -> Result<Option<Announcement>, Malformed> {
    let parse = match kind {
        RTM_NEWLINK | RTM_DELLINK => parse_link,
        RTM_NEWADDR | RTM_DELADDR => parse_address,
        RTM_NEWROUTE | RTM_DELROUTE => parse_route,
        RTM_NEWRULE | RTM_DELRULE => parse_rule,
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => parse_nexthop,
        _ => return Ok(None),
    };
    let removes = matches!(
        kind,
        RTM_NEWLINK | RTM_DELLINK | RTM_DELADDR | RTM_DELROUTE | RTM_DELRULE | RTM_DELNEXTHOP
    );
    let change = match (removes, replaces) {
        (true, _) => ObjectChange::Removed,
        (false, true) => ObjectChange::Replaced,
        (false, false) => ObjectChange::Set,
    };
    let parsed = parse(body)?;
    Ok(parsed.map(|Digests { network, object: Digest(object), state: Digest(state) }| {
        Announcement { network, object, state, change }
    }))
}

/// Parses `struct ifinfomsg`. `None` unless the interface is down; a removed one is.
fn parse_link(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let interface = take_interface(&mut body)?;
    let down = interface.filter(|(_, flags)| flags & IFF_UP == 0);
    Ok(down.map(|(LinkIndex(index), _)| Digests::new(RTM_NEWLINK, &index.to_ne_bytes(), &[])))
}

/// Parses `struct ifaddrmsg` and attributes.
fn parse_address(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let [family, prefix, flags, scope] = take(&mut body)?;
    let index: [u8; 4] = take(&mut body)?;
    if any_address(family).is_none() {
        return Ok(None);
    }
    let mut digests = Digests::new(RTM_NEWADDR, &[family, prefix], &[flags, scope]);
    digests.object.add(&index);
    digests.add_attributes(body, |kind| match kind {
        IFA_LOCAL | IFA_ADDRESS => Role::Identity,
        IFA_CACHEINFO => Role::Noise,
        _ => Role::State,
    })?;
    Ok(Some(digests))
}

/// Parses `struct rtmsg` and attributes.
fn parse_route(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let identity @ [family, prefix, _source_prefix, _tos] = take(&mut body)?;
    let [_table, protocol, scope, kind] = take(&mut body)?;
    let flags = take_u32(&mut body)?;
    let Some((mut network, bits)) = any_address(family) else { return Ok(None) };
    if prefix > bits {
        return Err(Malformed);
    }
    // Old kernels cache the results of route lookups, such as the queries of the agent.
    if flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let mut digests = Digests::new(RTM_NEWROUTE, &identity, &[protocol, scope, kind]);
    digests.add_attributes(body, |kind| match kind {
        RTA_TABLE | RTA_DST | RTA_SRC | RTA_PRIORITY => Role::Identity,
        // Next hops are part of the identity: two routes may differ in nothing else.
        RTA_OIF | RTA_GATEWAY | RTA_VIA | RTA_MULTIPATH | RTA_NH_ID => Role::Identity,
        RTA_CACHEINFO => Role::Noise,
        _ => Role::State,
    })?;
    for attribute in Attributes(body) {
        if let (RTA_DST, value) = attribute? {
            network = parse_ip(family, value)?;
        }
    }
    digests.network = Some((network, prefix));
    Ok(Some(digests))
}

/// Parses `struct fib_rule_hdr` and attributes. Every part of a rule identifies it.
fn parse_rule(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let header: [u8; 12] = take(&mut body)?;
    let mut digests = Digests::new(RTM_NEWRULE, &header, &[]);
    digests.add_attributes(body, |_| Role::Identity)?;
    Ok(Some(digests))
}

/// Parses `struct nhmsg` and attributes.
fn parse_nexthop(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let header: [u8; 4] = take(&mut body)?;
    let _flags = take_u32(&mut body)?;
    let mut digests = Digests::new(RTM_NEWNEXTHOP, &[], &header);
    digests.add_attributes(body, |kind| match kind {
        NHA_ID => Role::Identity,
        _ => Role::State,
    })?;
    Ok(Some(digests))
}

/// The role of an attribute.
enum Role {
    /// The attribute identifies the object.
    Identity,
    /// The attribute is part of the object's state.
    State,
    /// The attribute changes without a consequence.
    Noise,
}

/// The digests of a message.
struct Digests {
    network: Option<(IpAddr, u8)>,
    object: Digest,
    state: Digest,
}

impl Digests {
    /// Starts the digests with the kind of object (its RTM_NEW*) and the fixed parts of the
    /// message.
    fn new(subject: u16, identity: &[u8], said: &[u8]) -> Self {
        let mut object = Digest::of(&subject.to_ne_bytes());
        object.add(identity);
        Self { network: None, object, state: Digest::of(said) }
    }

    fn add_attributes(&mut self, body: &[u8], role: fn(u16) -> Role) -> Result<(), Malformed> {
        for attribute in Attributes(body) {
            let (kind, value) = attribute?;
            let digest = match role(kind) {
                Role::Identity => &mut self.object,
                Role::State => &mut self.state,
                Role::Noise => continue,
            };
            digest.add(&kind.to_ne_bytes());
            digest.add(value);
        }
        Ok(())
    }
}
