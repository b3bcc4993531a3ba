//! Who may ask: the loopback's own pages and programs.

use core::net::Ipv4Addr;

use httparse::Header;

use super::{Refusal, only};

/// Refuses who must not ask, and returns the target without the scheme and host it may begin with.
pub(super) fn check<'a>(target: &'a str, fields: &[Header<'_>]) -> Result<&'a str, Refusal> {
    // RFC 9112 §3.2: none or several are malformed, from HTTP/1.1 on. No client of today lacks it.
    let host = only(fields, "Host")?.ok_or(Refusal::Malformed)?;
    let origin = only(fields, "Origin")?;
    // RFC 9112 §3.2.2: a proxy's form of the target, whose host counts instead of `Host`.
    let (named, target) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (host, target),
    };
    let own_page = origin.is_none_or(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(is_loopback)
    });
    if is_loopback(host) && is_loopback(named) && own_page {
        Ok(target)
    } else {
        Err(Refusal::Foreign)
    }
}

/// Whether `authority` is `localhost` or a loopback address, with any port, so that a tunnel works.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.eq_ignore_ascii_case("localhost") || host == "[::1]" || v4())
}
