//! The IPv6 addresses of the interfaces, to send from where the route depends on the source
//! (`ip -6 route add default from ...`, RFC 8028; `ip -6 rule add from ...`).
//!
//! connect(2) takes one source for all interfaces before it looks for such a route, so a socket
//! that is bound to the other interface finds none unless it is bound to an address as well.

use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::Path;

use super::file;
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};

#[cfg(test)]
mod tests;

/// The kernel's table of addresses.
const TABLE: &str = "/proc/net/if_inet6";
/// Most bytes read of it, over a thousand addresses.
const TABLE_MAX: u64 = 64 * 1024;

// linux/if_addr.h
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;

/// An address that packets may leave the link with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// The interface that has it.
    pub index: LinkIndex,
    /// The name of that interface.
    pub name: InterfaceName,
    /// Others are to be preferred.
    deprecated: bool,
}

/// The addresses, deprecated ones last; none if the kernel does not say.
pub fn own() -> Vec<OwnAddress> {
    let mut table = Vec::new();
    if let Ok(file) = file::open(Path::new(TABLE)) {
        file.take(TABLE_MAX).read_to_end(&mut table).ok();
    }
    parse(&table)
}

/// Parses the table. A name that is not UTF-8, which no socket can be bound to, costs its row.
fn parse(table: &[u8]) -> Vec<OwnAddress> {
    let table = String::from_utf8_lossy(table);
    let mut addresses: Vec<_> = table.lines().filter_map(parse_row).collect();
    addresses.sort_by_key(|own| own.deprecated);
    addresses
}

/// The source that connect(2) takes for a socket that is not bound; nothing is sent.
pub fn chosen_for(to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    // Any port will do.
    socket.connect((to, 9)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// Parses `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, the numbers in hexadecimal. `None` for one that
/// is of no use.
fn parse_row(row: &str) -> Option<OwnAddress> {
    let mut words = row.split_ascii_whitespace();
    let address = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
    let mut number = || u32::from_str_radix(words.next()?, 16).ok();
    let (index, _prefix, scope, flags) = (number()?, number()?, number()?, number()?);
    let tentative = flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0;
    if scope != 0 || tentative || flags & IFA_F_DADFAILED != 0 {
        return None;
    }
    let name = InterfaceName::new(words.next()?)?;
    let deprecated = flags & IFA_F_DEPRECATED != 0;
    Some(OwnAddress { address, index: LinkIndex(index), name, deprecated })
}
