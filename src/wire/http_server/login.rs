//! What a client shows to be let in: a token, or the cookie that it was given for one.

use super::Request;
use crate::wire::percent;

/// The name of the cookie.
pub const COOKIE: &str = "linkbeat";

/// The values of our cookie; a browser may have one for each path it once was told.
pub fn cookies<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let pairs = request.cookie.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The token of a script (RFC 6750 §2.1).
#[must_use]
pub fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    let (scheme, token) = request.authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// The token in the form of the login page, byte by byte.
pub fn form_token<'a>(request: &Request<'a>) -> Option<impl Iterator<Item = u8> + Clone + use<'a>> {
    let mut fields = request.body.split(|byte| *byte == b'&');
    fields.find_map(|field| field.strip_prefix(b"token=")).map(percent::decoded)
}
