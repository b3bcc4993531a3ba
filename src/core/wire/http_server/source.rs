//! Checks of the host names in a request, against DNS rebinding and cross-site requests.

use core::net::Ipv4Addr;

use httparse::Header;

use super::{Refusal, only};

/// The host names that a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Names of the loopback only, in `Host` and in `Origin`, with any port, so that a tunnel
    /// works. Any other name would be DNS rebinding: a page from outside could reach a camera that
    /// requires no token.
    Loopback,
    /// Any name. Rebinding is harmless here: over TCP it yields neither token nor cookie, and pages
    /// cannot connect to a Unix socket. A page of another host is refused all the same.
    Any,
}

/// Refuses a foreign `Host` or `Origin`. Returns the target without scheme and host, if it has
/// them.
pub(super) fn check<'a>(
    target: &'a str,
    fields: &[Header<'_>],
    names: Names,
) -> Result<&'a str, Refusal> {
    // RFC 9112 §3.2: exactly one `Host` from HTTP/1.1 on. Clients of today always send it.
    let host = only(fields, "Host")?.ok_or(Refusal::Malformed)?;
    let origin = only(fields, "Origin")?;
    // RFC 9112 §3.2.2: the absolute form, as for a proxy. Its host replaces that of `Host`.
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

/// Splits `authority` into host and port; the port is empty if there is none.
fn split(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

/// Whether two authorities have the same host. Cookies ignore the port as well.
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
