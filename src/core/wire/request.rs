//! The HTTP request of a beat, and the `api_url` that it is sent to.
//!
//! [`ApiUrl::parse`] checks the URL of the configuration and reports what is wrong with it.
//! [`emit`] writes one `POST` into the caller's buffer. Every byte from the configuration is
//! checked or encoded, so that a line break in it cannot inject a header.

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::String;

use super::buffer::{Buffer, TooLarge};
use crate::proto::settings::{Host, HostName, Server};

#[cfg(test)]
mod tests;

/// Longest `api_url`, in bytes.
pub const URL_MAX: usize = 512;
/// Longest `token_code`, in bytes.
pub const TOKEN_MAX: usize = 512;
/// Longest request with a checked configuration, in bytes. It includes a device key of 128 bytes
/// and a report of [`REPORT_MAX`](super::report::REPORT_MAX).
pub const REQUEST_MAX: usize = 5120;
/// Longest label of a host name, in bytes (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// A checked `api_url`: server and path prefix of the beats.
///
/// A trailing `/` and a trailing `/api` are removed, because the path of every request begins with
/// `/api` after the prefix. `Display` writes the URL in this normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl {
    tls: bool,
    server: Server,
    /// Empty, or a path that begins with `/` and does not end with one.
    prefix: String<URL_MAX>,
}

impl ApiUrl {
    /// Parses `scheme://host[:port][/prefix]` (RFC 3986 §3, and RFC 9110 §4.2 for the schemes).
    ///
    /// # Errors
    ///
    /// The first problem. Parts that a beat does not need are refused, each with an error of its
    /// own.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_MAX {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = if scheme.eq_ignore_ascii_case("https") {
            true
        } else if scheme.eq_ignore_ascii_case("http") {
            false
        } else {
            return Err(UrlError::Scheme);
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        if path.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (host, port) = parse_authority(authority)?;
        let port = port.unwrap_or(default_port(tls));
        Ok(Self { tls, server: Server { host, port }, prefix: parse_prefix(path)? })
    }

    /// The host and port to connect to.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Whether the scheme is `https`.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The value of the `Host` field. The port is omitted if it is the default of the scheme.
    pub const fn authority(&self) -> impl fmt::Display {
        Authority(self)
    }
}

/// The path of the beats of a device, which follows the URL in its normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a>(
    /// The device key.
    pub &'a str,
);

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/api/devices/{}/online", PercentEncoded(self.0))
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", Authority(self), self.prefix)
    }
}

/// A problem of an `api_url`. `Display` explains how to correct it, without repeating the URL,
/// which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// The URL is longer than [`URL_MAX`].
    TooLong,
    /// The URL has white space, a control character or a non-ASCII character.
    Character,
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// The URL has a user name or password.
    UserInfo,
    /// The URL has a query or a fragment.
    Query,
    /// The host is missing, or neither a name nor an address.
    Host,
    /// The port is not in the range 1 to 65,535.
    Port,
    /// The path has a character that must be percent-encoded, or an incomplete percent-encoding.
    Path,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "api_url is longer than {URL_MAX} bytes: shorten it"),
            Self::Character => f.write_str(
                "api_url has a space, a control or a non-ASCII character: \
                 remove it, write the host in its xn-- form and percent-encode the path",
            ),
            Self::Scheme => f.write_str(
                "api_url does not begin with https:// or http://: write one in front of the host",
            ),
            Self::UserInfo => f.write_str(
                "api_url has a user name or password: remove it, and put the token into token_code",
            ),
            Self::Query => f.write_str("api_url has a query or a fragment: end it before ? and #"),
            Self::Host => f.write_str(
                "api_url has no valid host: write a name, an IPv4 address, \
                 or an IPv6 address in brackets",
            ),
            Self::Port => f.write_str("api_url has a bad port: write 1 to 65535, or none"),
            Self::Path => f.write_str("api_url has a character in its path to percent-encode"),
        }
    }
}

impl core::error::Error for UrlError {}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Splits `host[:port]`. The port is `None` if there is none.
pub(super) fn parse_authority(authority: &str) -> Result<(Host, Option<u16>), UrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
            let address: Ipv6Addr = host.parse().map_err(|_| UrlError::Host)?;
            let port = after.strip_prefix(':').or(after.is_empty().then_some(""));
            (Host::Address(IpAddr::V6(address)), port.ok_or(UrlError::Host)?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            // An IPv6 address without brackets is ambiguous: its last group may be a port.
            if port.contains(':') {
                return Err(UrlError::Host);
            }
            (parse_host(host)?, port)
        }
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

/// Parses an IPv4 address or a name.
fn parse_host(host: &str) -> Result<Host, UrlError> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let name = parse_name(host).ok_or(UrlError::Host)?;
    let dashed = |label: &str| label.starts_with('-') || label.ends_with('-');
    // RFC 3696 §2, and the WHATWG's URL standard for hexadecimal: a number as the last label is a
    // mistyped address, not a name.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x");
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if name.split('.').any(dashed) || is_number {
        Err(UrlError::Host)
    } else {
        Ok(Host::Name(name))
    }
}

/// Parses a domain name. `_` is not allowed by RFC 952, but occurs in private networks.
pub(super) fn parse_name(text: &str) -> Option<HostName> {
    let sound = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut name = HostName::try_from(text).ok().filter(|name| name.split('.').all(sound))?;
    name.make_ascii_lowercase();
    Some(name)
}

/// Checks the characters of a path (RFC 3986 §3.3) and removes a trailing `/` and `/api`.
fn parse_prefix(path: &str) -> Result<String<URL_MAX>, UrlError> {
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let sound = match byte {
            b'%' => [rest.next(), rest.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !sound {
            return Err(UrlError::Path);
        }
    }
    let mut prefix = path.trim_end_matches('/');
    while let Some(shorter) = prefix.strip_suffix("/api") {
        prefix = shorter.trim_end_matches('/');
    }
    String::try_from(prefix).map_err(|_| UrlError::TooLong)
}

struct Authority<'a>(&'a ApiUrl);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiUrl { tls, server, .. } = self.0;
        match &server.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        if server.port == default_port(*tls) {
            return Ok(());
        }
        write!(f, ":{}", server.port)
    }
}

/// A path segment. `Display` percent-encodes all but the unreserved characters (RFC 3986 §2.3).
struct PercentEncoded<'a>(&'a str);

impl fmt::Display for PercentEncoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Whether `token` is usable as a header value: 1 to [`TOKEN_MAX`] visible ASCII characters.
pub fn valid_token(token: &str) -> bool {
    (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes the request of one beat into `buffer` and returns its length.
///
/// `device_key` must not be empty; `body` is the JSON of a report. The header has required fields
/// only, except `User-Agent`: web application firewalls refuse requests without it by default.
/// There is no `Connection` field, because HTTP/1.1 connections are persistent by default (RFC 9112
/// §9.3).
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then unspecified.
///
/// # Panics
///
/// If `token` is not a [`valid_token`]. The configuration has been checked before.
pub fn emit(
    buffer: &mut [u8],
    url: &ApiUrl,
    device_key: &str,
    token: Option<&str>,
    body: &[u8],
) -> Result<usize, TooLarge> {
    let mut out = Buffer::new(buffer);
    write!(
        out,
        "POST {}{} HTTP/1.1\r\n\
         Host: {}\r\n\
         User-Agent: linkbeat/{}\r\n\
         Accept: application/json\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n",
        url.prefix,
        Endpoint(device_key),
        url.authority(),
        env!("CARGO_PKG_VERSION"),
        body.len(),
    )?;
    if let Some(token) = token {
        assert!(valid_token(token), "a configured token is a valid one");
        write!(out, "X-Token-Code: {token}\r\n")?;
    }
    out.put(b"\r\n");
    out.put(body);
    out.end()
}
