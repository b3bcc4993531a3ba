//! Attributes (`struct nlattr`) and the values in them.

use core::ffi::CStr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Malformed;
use crate::proto::link::InterfaceName;

/// Messages and attributes are padded to this many bytes (`NLMSG_ALIGNTO`, `NLA_ALIGNTO`).
pub(super) const ALIGNMENT: usize = 4;

// linux/netlink.h
const NLA_HDRLEN: usize = 4;
const NLA_TYPE_MASK: u16 = 0x3fff;

// linux/socket.h
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// The unspecified address of an IP family, and the length of its addresses in bits. `None` for
/// other families.
pub(super) fn any_address(family: u8) -> Option<(IpAddr, u8)> {
    match family {
        AF_INET => Some((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32)),
        AF_INET6 => Some((IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128)),
        _ => None,
    }
}

pub(super) fn parse_ip(family: u8, value: &[u8]) -> Result<IpAddr, Malformed> {
    match family {
        AF_INET => <[u8; 4]>::try_from(value).map(IpAddr::from).map_err(|_| Malformed),
        AF_INET6 => <[u8; 16]>::try_from(value).map(IpAddr::from).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

/// Parses `struct rtvia`, a next hop of another family than the route's (RFC 8950). `None` if it is
/// not an IP address.
pub(super) fn parse_via(mut value: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    match u8::try_from(take_u16(&mut value)?) {
        Ok(family) if any_address(family).is_some() => parse_ip(family, value).map(Some),
        _ => Ok(None),
    }
}

/// Parses a zero-terminated name. `None` if [`InterfaceName`] cannot hold it.
pub(super) fn parse_name(value: &[u8]) -> Option<InterfaceName> {
    CStr::from_bytes_until_nul(value).ok()?.to_str().ok().and_then(InterfaceName::new)
}

/// Parses a number. Longer attributes are accepted, because the kernel may append fields.
pub(super) fn parse_u32(mut value: &[u8]) -> Result<u32, Malformed> {
    take_u32(&mut value)
}

pub(super) fn take_u32(bytes: &mut &[u8]) -> Result<u32, Malformed> {
    take(bytes).map(u32::from_ne_bytes)
}

pub(super) fn take_u16(bytes: &mut &[u8]) -> Result<u16, Malformed> {
    take(bytes).map(u16::from_ne_bytes)
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(*first)
}

/// Iterates over attributes (`struct nlattr`): type without flag bits, and value. The caller must
/// stop at the first error.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    fn take_attribute(&mut self) -> Result<(u16, &'a [u8]), Malformed> {
        let mut header = self.0;
        let length = usize::from(take_u16(&mut header)?);
        let kind = take_u16(&mut header)? & NLA_TYPE_MASK;
        let value = self.0.get(NLA_HDRLEN..length).ok_or(Malformed)?;
        self.0 = self.0.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Ok((kind, value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.take_attribute())
    }
}
