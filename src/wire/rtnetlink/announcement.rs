//! Addresses, routes, rules and nexthop objects: not what is said of them, only whether it is new.
//!
//! A digest of what identifies an object and one of all that is said of it (FNV-1a, 64 bits) stand for
//! the message. Lifetimes, counters, and flags that follow the carrier are left out: they vary
//! without a consequence.
//!
//! An interface that is set down or removed is announced, too: its IPv4 routes go with it, and the kernel
//! says so of none (measured on Linux 6.18).

use core::net::IpAddr;

use super::attribute::{Attributes, any_address, parse_ip, take, take_u32};
use super::{
    IFF_UP, Malformed, RTA_CACHEINFO, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_NH_ID, RTA_OIF,
    RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA, RTM_DELADDR, RTM_DELLINK, RTM_DELNEXTHOP,
    RTM_DELROUTE, RTM_DELRULE, RTM_F_CLONED, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEXTHOP,
    RTM_NEWROUTE, RTM_NEWRULE, take_interface,
};
use crate::proto::link::LinkIndex;
use crate::proto::routing::Announcement;

// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;

// linux/nexthop.h
const NHA_ID: u16 = 1;

/// Reads a message that may change where packets go; `None` if it does not.
///
/// `replaces`: the message has NLM_F_REPLACE.
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
    let parsed = parse(body)?;
    Ok(parsed.map(|Digests { network, object: Digest(object), state: Digest(state) }| {
        Announcement { network, object, state, gone: removes || replaces }
    }))
}

/// Reads `struct ifinfomsg`; `None` unless the interface is down, as one that is removed is.
fn parse_link(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let interface = take_interface(&mut body)?;
    let down = interface.filter(|(_, flags)| flags & IFF_UP == 0);
    Ok(down.map(|(LinkIndex(index), _)| Digests::new(RTM_NEWLINK, &index.to_ne_bytes(), &[])))
}

/// Reads `struct ifaddrmsg` and attributes.
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

/// Reads `struct rtmsg` and attributes.
fn parse_route(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let identity @ [family, prefix, _source_prefix, _tos] = take(&mut body)?;
    let [_table, protocol, scope, kind] = take(&mut body)?;
    let flags = take_u32(&mut body)?;
    let Some((mut network, bits)) = any_address(family) else { return Ok(None) };
    if prefix > bits {
        return Err(Malformed);
    }
    // A cached outcome, such as a question of ours may leave behind in old kernels.
    if flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let mut digests = Digests::new(RTM_NEWROUTE, &identity, &[protocol, scope, kind]);
    digests.add_attributes(body, |kind| match kind {
        RTA_TABLE | RTA_DST | RTA_SRC | RTA_PRIORITY => Role::Identity,
        // Routes may differ in no more than their next hops.
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

/// Reads `struct fib_rule_hdr` and attributes: every part of a rule identifies it.
fn parse_rule(mut body: &[u8]) -> Result<Option<Digests>, Malformed> {
    let header: [u8; 12] = take(&mut body)?;
    let mut digests = Digests::new(RTM_NEWRULE, &header, &[]);
    digests.add_attributes(body, |_| Role::Identity)?;
    Ok(Some(digests))
}

/// Reads `struct nhmsg` and attributes.
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

/// What an attribute is to its object.
enum Role {
    /// It tells it from others.
    Identity,
    /// It is said of it.
    State,
    /// It varies without a consequence.
    Noise,
}

/// What has been read of a message.
struct Digests {
    network: Option<(IpAddr, u8)>,
    object: Digest,
    state: Digest,
}

impl Digests {
    /// The subject (its RTM_NEW*), and what its fixed part contributes.
    fn new(subject: u16, identity: &[u8], said: &[u8]) -> Self {
        let mut object = Digest::EMPTY;
        object.add(&subject.to_ne_bytes());
        object.add(identity);
        let mut state = Digest::EMPTY;
        state.add(said);
        Self { network: None, object, state }
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

/// FNV-1a.
struct Digest(u64);

impl Digest {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
