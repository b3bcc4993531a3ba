//! What the system's files say about names: resolv.conf(5) and hosts(5).
//!
//! Both are read as the C library reads them: a line it would ignore is ignored here, and nothing
//! in them is an error. Two things differ: `options` are not heeded, because the core has its own
//! times, and no nameserver means none yet, not one on this host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use crate::proto::link::Name;
use crate::proto::settings::{HOSTS_MAX, HostName, Nameserver, ResolverSettings};

/// Longest label of a name, in bytes (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// Parses resolv.conf(5); the field `hosts` is left empty.
///
/// The first three nameservers count, the last `search` or `domain` line, and of that the first
/// six domains.
#[must_use]
pub fn parse(bytes: &[u8]) -> ResolverSettings {
    let mut settings = ResolverSettings::default();
    // resolv.conf(5): a keyword begins its line; `#` and `;` there begin a comment.
    for line in lines(bytes) {
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next().filter(|keyword| line.starts_with(keyword)) else {
            continue;
        };
        let values = words.take_while(|word| !word.starts_with(['#', ';']));
        match keyword {
            "nameserver" => keep(&mut settings.nameservers, values.take(1).filter_map(nameserver)),
            "search" => {
                settings.search.clear();
                keep(&mut settings.search, values.filter_map(domain));
            }
            "domain" => {
                settings.search.clear();
                keep(&mut settings.search, values.take(1).filter_map(domain));
            }
            _ => {}
        }
    }
    settings
}

/// The addresses that hosts(5) gives for `name`, in the order of the file.
///
/// `localhost` is an address of this host even where the file does not say so (RFC 6761 §6.3).
#[must_use]
pub fn hosts(bytes: &[u8], name: &HostName) -> Vec<IpAddr, HOSTS_MAX> {
    let mut addresses = Vec::new();
    for line in lines(bytes) {
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry.split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|word| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name)) {
            keep(&mut addresses, [address]);
        }
    }
    if addresses.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        keep(&mut addresses, [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
    }
    addresses
}

/// The lines that are text, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok())
}

/// Parses an address, with the interface of a link-local one behind a `%` (RFC 4007 §11).
fn nameserver(word: &str) -> Option<Nameserver> {
    let Some((address, zone)) = word.split_once('%') else {
        // An IPv4 address may be written as a mapped one (RFC 4291 §2.5.5.2).
        let address = word.parse().ok().map(|address: IpAddr| address.to_canonical())?;
        return Some(Nameserver { address, scope: None });
    };
    let address = IpAddr::V6(address.parse().ok()?);
    Some(Nameserver { address, scope: Some(Name::new(zone)?) })
}

/// Parses a search domain; the root (`.`) is none.
fn domain(word: &str) -> Option<HostName> {
    let sound = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let word = word.strip_suffix('.').unwrap_or(word);
    let mut name = HostName::try_from(word).ok().filter(|name| name.split('.').all(sound))?;
    name.make_ascii_lowercase();
    Some(name)
}

/// Adds the items that are new, as long as there is room.
fn keep<T: PartialEq, const N: usize>(kept: &mut Vec<T, N>, items: impl IntoIterator<Item = T>) {
    for item in items {
        if !kept.contains(&item) && kept.push(item).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
