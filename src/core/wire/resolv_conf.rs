//! The name resolution files: resolv.conf(5) and hosts(5).
//!
//! Both are read as the C library reads them. A line that it ignores is ignored here, and no
//! content is an error. There are three differences. `timeout` and `attempts` can only lengthen the
//! wait for a response, because the core queries the next nameserver before that wait ends. EDNS
//! needs no option. A file without a nameserver means that there is none yet, not that this host is
//! one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use heapless::Vec;

use super::request::parse_name;
use crate::proto::link::InterfaceName;
use crate::proto::settings::{HOSTS_MAX, HostName, Nameserver, ResolverSettings, SEARCH_MAX};

/// Upper limits of options: `RES_MAXNDOTS`, `RES_MAXRETRANS` and `RES_MAXRETRY`.
const NDOTS_MAX: u8 = 15;
const TIMEOUT_MAX: u8 = 30;
const ATTEMPTS_MAX: u8 = 5;
/// Shortest and longest wait for a response, whatever the options say. The shortest one covers
/// responses that take six seconds.
const ANSWER_WAIT_MIN: Duration = Duration::from_secs(8);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// Parses resolv.conf(5). The field `hosts` stays empty.
///
/// The first three nameservers count, the last `search` or `domain` line, and the last value of
/// each option.
pub fn parse(bytes: &[u8]) -> ResolverSettings {
    let mut settings = ResolverSettings::default();
    let (mut timeout, mut attempts) = (5, 2);
    // resolv.conf(5): a keyword begins its line. `#` and `;` there begin a comment.
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
                values.for_each(|word| add_domain(&mut settings, word));
            }
            "domain" => {
                settings.search.clear();
                values.take(1).for_each(|word| add_domain(&mut settings, word));
            }
            "options" => {
                for word in values {
                    match word.split_once(':') {
                        None if word == "rotate" => settings.rotate = true,
                        None => settings.tcp |= word == "use-vc",
                        Some(("ndots", value)) => set(&mut settings.ndots, value, 0, NDOTS_MAX),
                        Some(("timeout", value)) => set(&mut timeout, value, 1, TIMEOUT_MAX),
                        Some(("attempts", value)) => set(&mut attempts, value, 1, ATTEMPTS_MAX),
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    let wait = Duration::from_secs(timeout.into()) * attempts.into();
    settings.answer_wait = wait.clamp(ANSWER_WAIT_MIN, ANSWER_WAIT_MAX);
    settings
}

/// Sets an option from `value`, clamped to the range. A `value` that is not a number is ignored.
fn set(option: &mut u8, value: &str, least: u8, most: u8) {
    if let Ok(value) = value.parse::<u32>() {
        *option = u8::try_from(value).unwrap_or(most).clamp(least, most);
    }
}

/// Adds the addresses of `name` from a part of hosts(5), in the order of the file.
pub fn add_hosts(addresses: &mut Vec<IpAddr, HOSTS_MAX>, bytes: &[u8], name: &HostName) {
    for line in lines(bytes) {
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry.split_ascii_whitespace();
        let Some(address) = words.next().and_then(parse_address) else { continue };
        if words.any(|word| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name)) {
            keep(addresses, [address]);
        }
    }
}

/// Adds the loopback addresses for `localhost` and names below it, unless the files gave an address
/// (RFC 6761 §6.3).
pub fn add_localhost(addresses: &mut Vec<IpAddr, HOSTS_MAX>, name: &HostName) {
    if addresses.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        keep(addresses, [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
    }
}

/// The lines that are valid UTF-8, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok())
}

/// Parses an address. A link-local one may have an interface after a `%` (RFC 4007 §11).
fn nameserver(word: &str) -> Option<Nameserver> {
    let Some((address, zone)) = word.split_once('%') else {
        let address = parse_address(word).or_else(|| parse_numbers(word))?;
        return Some(Nameserver { address, scope: None });
    };
    let address = IpAddr::V6(address.parse().ok()?);
    Some(Nameserver { address, scope: Some(InterfaceName::new(zone)?) })
}

/// Parses an address. RFC 4291 §2.5.5.2: one of IPv4 may be written as an IPv4-mapped one, and is
/// reached over IPv4.
fn parse_address(word: &str) -> Option<IpAddr> {
    word.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Parses an IPv4 address as inet_aton(3) does: octal after a zero, hexadecimal after `0x`, and the
/// last of fewer than four numbers stands for the rest.
fn parse_numbers(word: &str) -> Option<IpAddr> {
    let last = word.split('.').count();
    let mut bits = 0_u64;
    for (place, text) in (1..).zip(word.split('.')) {
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let (digits, radix) = match hex {
            Some(digits) => (digits, 16),
            None => (text, if text.starts_with('0') { 8 } else { 10 }),
        };
        let width = if place == last { 8 * (4_usize.checked_sub(last)? + 1) } else { 8 };
        let unsigned = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let number = u64::from_str_radix(digits, radix).ok().filter(|_| unsigned)?;
        bits = (bits << width) | Some(number).filter(|number| number >> width == 0)?;
    }
    u32::try_from(bits).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
}

/// Adds a search domain, unless it is the root (`.`), known already, or does not fit.
fn add_domain(settings: &mut ResolverSettings, word: &str) {
    let Some(name) = parse_name(word) else { return };
    let known = settings.domains().any(|known| known == name);
    let fits = settings.search.len() + 1 + name.len() <= settings.search.capacity();
    if !known && fits && settings.domains().count() < SEARCH_MAX {
        let gap = if settings.search.is_empty() { "" } else { " " };
        for text in [gap, &name] {
            settings.search.push_str(text).expect("checked for room");
        }
    }
}

/// Adds the items that are new, until the list is full.
fn keep<T: PartialEq, const N: usize>(kept: &mut Vec<T, N>, items: impl IntoIterator<Item = T>) {
    for item in items {
        if !kept.contains(&item) && kept.push(item).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
