//! Who may ask, by the names in the request.

use core::net::Ipv4Addr;

use httparse::Header;

use super::{Refusal, only};

/// To which names a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The loopback's own, in `Host` and in `Origin`, with any port, so that a tunnel works. Another
    /// name for our address is DNS rebinding, the means by which a page from outside asks a camera
    /// that asks for no token.
    Loopback,
    /// Any. Who made up a name for our address has neither token nor cookie, and no page at all
    /// connects to a Unix socket. A page of another host is refused all the same.
    Any,
}

/// Refuses who must not ask, and returns the target without the scheme and host it may begin with.
pub(super) fn check<'a>(
    target: &'a str,
    fields: &[Header<'_>],
    names: Names,
) -> Result<&'a str, Refusal> {
    // RFC 9112 §3.2: none or several are malformed, from HTTP/1.1 on. No client of today lacks it.
    let host = only(fields, "Host")?.ok_or(Refusal::Malformed)?;
    let origin = only(fields, "Origin")?;
    // RFC 9112 §3.2.2: a proxy's form of the target, whose host counts instead of `Host`.
    let (named, target) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (host, target),
    };
    let own_page = |is_own: &dyn Fn(&str) -> bool| {
        origin.is_none_or(|origin| {
            let after = |scheme| origin.strip_prefix(scheme);
            after("http://").or_else(|| after("https://")).is_some_and(is_own)
        })
    };
    match names {
        Names::Loopback if !is_loopback(host) || !is_loopback(named) || !own_page(&is_loopback) => {
            Err(Refusal::Foreign)
        }
        Names::Any if !own_page(&|page| is_same_host(page, named)) => Err(Refusal::OtherPage),
        Names::Loopback | Names::Any => Ok(target),
    }
}

/// Host and port of `authority`.
fn split(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

/// Whether two authorities are of one host: cookies know no ports either.
fn is_same_host(these: &str, those: &str) -> bool {
    split(these).0.eq_ignore_ascii_case(split(those).0)
}

/// Whether `authority` is `localhost` or a loopback address.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = split(authority);
    let v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.eq_ignore_ascii_case("localhost") || host == "[::1]" || v4())
}
