//! Detection of captive portals: a web page, or a redirect to another host.

use crate::proto::settings::Host;
use crate::wire::request::parse_authority;

/// Beginnings of web pages in lower case, those of MIME Sniffing §7.1 that portals use.
const BEGINNINGS: [&[u8]; 7] =
    [b"<!doctype html", b"<html", b"<head", b"<body", b"<meta", b"<script", b"<!--"];
/// The byte order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether a body begins like a web page.
pub(super) fn is_page(body: &[u8]) -> bool {
    let body = beginning(body);
    let begins =
        |it: &[u8]| body.get(..it.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(it));
    BEGINNINGS.into_iter().any(begins)
}

/// Whether a body begins like a JSON object or array.
pub(super) fn is_json(body: &[u8]) -> bool {
    matches!(beginning(body), [b'{' | b'[', ..])
}

fn beginning(body: &[u8]) -> &[u8] {
    body.strip_prefix(BOM).unwrap_or(body).trim_ascii_start()
}

/// Whether a redirect leads to another host than `asked`. A target without a host stays on it (RFC
/// 3986 §4.2).
pub(super) fn leads_away(location: &str, asked: &Host) -> bool {
    let Some((_, rest)) = location.split_once("//").filter(|(it, _)| is_scheme(it)) else {
        return false;
    };
    let authority = rest.split(['/', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // An invalid host cannot be the configured one.
    parse_authority(host).map_or(true, |(host, _)| host != *asked)
}

/// Whether the text before the host is empty, or a scheme and its colon.
fn is_scheme(text: &str) -> bool {
    let scheme = text.strip_suffix(':');
    text.is_empty() || scheme.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
