//! How a captive portal gives itself away: a page for people, or a redirect to somewhere else.

use crate::proto::settings::Host;
use crate::wire::request::parse_authority;

/// How pages begin, in lower case (MIME Sniffing §7.1, as far as portals use it).
const BEGINNINGS: [&[u8]; 7] =
    [b"<!doctype html", b"<html", b"<head", b"<body", b"<meta", b"<script", b"<!--"];
/// The byte order mark in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether a body begins like a page for people.
pub(super) fn is_page(body: &[u8]) -> bool {
    let body = body.strip_prefix(BOM).unwrap_or(body).trim_ascii_start();
    let begins =
        |it: &[u8]| body.get(..it.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(it));
    BEGINNINGS.into_iter().any(begins)
}

/// Whether a redirect leads to another host than the one `asked`; one without a host stays there (RFC
/// 3986 §4.2).
pub(super) fn leads_away(location: &str, asked: &Host) -> bool {
    let Some((_, rest)) = location.split_once("//").filter(|(it, _)| is_scheme(it)) else {
        return false;
    };
    let authority = rest.split(['/', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // What is no host at all is certainly not ours.
    parse_authority(host).map_or(true, |(host, _)| host != *asked)
}

/// Whether nothing, or the name of a scheme and its colon, stands before the host.
fn is_scheme(text: &str) -> bool {
    let scheme = text.strip_suffix(':');
    text.is_empty() || scheme.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
