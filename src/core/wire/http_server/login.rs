//! Credentials of a client: the token, or the session cookie that a login returns.

use super::Request;
use crate::wire::percent;

/// The beginning of the name of the cookie; the port follows, because browsers send the cookies of
/// one server to all servers of the host.
pub const COOKIE: &str = "linkbeat-";

/// The values of all cookies of the server on `port`. A browser sends one for each path that it was
/// set for.
pub fn cookies<'a>(request: &Request<'a>, port: u16) -> impl Iterator<Item = &'a str> + use<'a> {
    let pairs = request.cookie.split(';').filter_map(|pair| pair.trim().split_once('='));
    let port_of = |name: &str| name.strip_prefix(COOKIE)?.parse().ok();
    pairs.filter(move |(name, _)| port_of(name) == Some(port)).map(|(_, value)| value)
}

/// The bearer token in `Authorization` (RFC 6750 §2.1).
pub fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    let (scheme, token) = request.authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// The token in the form of the login page, percent-decoded.
pub fn form_token<'a>(request: &Request<'a>) -> Option<impl Iterator<Item = u8> + Clone + use<'a>> {
    let mut fields = request.body.split(|byte| *byte == b'&');
    fields.find_map(|field| field.strip_prefix(b"token=")).map(percent::decoded)
}
