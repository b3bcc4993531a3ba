//! The keys of a configuration: names, types, ranges, and parsers of their values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heapless::Vec as Bounded;
use log::LevelFilter;

use super::json_file::{Allowed, JsonFile, WrongValue, boolean, parsed, whole};
use super::{Config, LogTarget, Secret, listen};
use crate::net::tls::{Pin, server_name};
use linkbeat_core::proto::label::ServiceName;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::settings::{BucketSettings, SERVICES_MAX, ServiceSettings};
use linkbeat_core::wire::json::{Value, ValueKind};
use linkbeat_core::wire::request::{ApiUrl, UrlError, valid_token};

/// Longest device key, in bytes.
pub const DEVICE_KEY_MAX: usize = 128;
/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 64;
/// Shortest status token, in characters: on an open network it is the only protection.
pub const STATUS_TOKEN_MIN: usize = 16;
/// Longest status token, in characters.
pub const STATUS_TOKEN_MAX: usize = 128;
/// Time between two checks of a service without `interval_s`.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);
/// Longest path of a Unix socket, in bytes: `sun_path` (unix(7)) less the final zero, and less the
/// dot and process number of its temporary name.
const SOCKET_PATH_MAX: usize = 107 - 8;

const ADDRESS: Allowed = Allowed::Text("an address with port, 8.8.8.8:53 or [2001:db8::1]:53");

/// Reads every key of `file` into `config`.
pub(super) fn read(file: &mut JsonFile<'_>, config: &mut Config) {
    let settings = &mut config.settings;
    file.take("enabled", boolean, &mut settings.enabled);
    file.text("api_url", api_url, &mut config.api_url);
    file.text("device_key", device_key, &mut config.device_key);
    file.secret("token_code", token_code, &mut config.token_code);
    file.take("heartbeat_interval", interval, &mut settings.interval);
    file.take("auto_connect", boolean, &mut settings.auto_connect);
    file.take("provisioned", boolean, &mut config.provisioned);
    // Of the agent for tunnels that reads the same file.
    file.also_known(&["tunnel_host", "tunnel_port", "tunnel_ssl"]);

    file.text("description", description, &mut config.description);
    file.take("note", boolean, &mut config.note);
    file.take("goodbye", boolean, &mut config.goodbye);
    file.take("interfaces", list(pattern), &mut settings.interfaces);
    file.take("ignore_interfaces", list(pattern), &mut settings.ignore_interfaces);
    file.take("bind_to_uplink", boolean, &mut settings.bind_to_uplink);
    file.take("probe.address", one_or_list(address), &mut settings.probe_addresses);
    file.take("probe.timeout_ms", millis(100, 60_000), &mut settings.probe_timeout);
    file.take("request_timeout_ms", millis(100, 300_000), &mut settings.request_timeout);
    file.take("recovery_spread_ms", millis(0, 30_000), &mut settings.recovery_spread);
    file.take("metered.interfaces", list(pattern), &mut settings.metered.interfaces);
    file.take("metered.interval_s", interval, &mut settings.metered.interval);
    file.take("standby_check_s", standby_check, &mut settings.standby_check);
    let bucket = &mut settings.trigger_bucket;
    read_bucket(file, "moderation.trigger.burst", "moderation.trigger.every_ms", bucket);
    let bucket = &mut settings.network_bucket;
    read_bucket(file, "moderation.network.burst", "moderation.network.every_ms", bucket);

    file.text("tls.ca_file", path, &mut config.ca_file);
    file.take("tls.pin_sha256", one_or_list(pin), &mut config.pins);
    file.text("tls.client_cert", path, &mut config.client_cert);
    file.text("tls.client_key", path, &mut config.client_key);
    file.take("tls.early_data", boolean, &mut config.early_data);
    file.text("status_listen", listen::parse, &mut config.status_listen);
    file.secret("status_token", status_token, &mut config.status_token);
    file.text("trigger_socket", socket_path, &mut config.trigger_socket);
    file.text("state_file", path, &mut config.state_file);
    file.take("watch", watch, &mut config.settings.services);
    file.also_known(&["watch.name", "watch.address", "watch.interval_s"]);
    file.text("log_level", log_level, &mut config.log_level);
    file.text("log_target", log_target, &mut config.log_target);
}

fn read_bucket(
    file: &mut JsonFile<'_>,
    burst: &'static str,
    every: &'static str,
    into: &mut BucketSettings,
) {
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    file.take(burst, whole(1, 1_000, count), &mut into.burst);
    file.take(every, millis(0, 3_600_000), &mut into.every);
}

fn interval(value: Value<'_>) -> Result<Duration, WrongValue<'_>> {
    whole(1, 86_400, Duration::from_secs)(value)
}

/// Parses the time between two tests of an uplink in reserve; 0 for none.
fn standby_check(value: Value<'_>) -> Result<Duration, WrongValue<'_>> {
    match value.as_whole() {
        Some(0) => Ok(Duration::ZERO),
        _ => whole(10, 86_400, Duration::from_secs)(value),
    }
}

fn millis<'a>(min: u64, max: u64) -> impl FnOnce(Value<'a>) -> Result<Duration, WrongValue<'a>> {
    whole(min, max, Duration::from_millis)
}

/// Parses a URL; `None` for an empty text.
pub(super) fn api_url(text: &str) -> Result<Option<ApiUrl>, Allowed> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = ApiUrl::parse(text).map_err(Allowed::Url)?;
    if url.is_tls() && server_name(&url.server().host).is_none() {
        return Err(Allowed::Url(UrlError::Host));
    }
    Ok(Some(url))
}

/// Parses a device key; `None` for an empty text. It is a path segment, and `.` and `..` are
/// special there.
pub(super) fn device_key(text: &str) -> Result<Option<String>, Allowed> {
    if text.len() > DEVICE_KEY_MAX || text == "." || text == ".." {
        return Err(Allowed::Text("a key of at most 128 bytes, not . or .."));
    }
    Ok((!text.is_empty()).then(|| String::from(text)))
}

/// Parses a token; `None` for an empty text.
pub(super) fn token_code(text: &str) -> Result<Option<Secret>, Allowed> {
    match text {
        "" => Ok(None),
        _ if valid_token(text) => Ok(Some(Secret::new(String::from(text)))),
        _ => Err(Allowed::Text("at most 512 visible ASCII characters")),
    }
}

/// Parses a status token, which must fit an `Authorization` field (RFC 6750 §2.1) and a cookie.
fn status_token(text: &str) -> Result<Option<Secret>, Allowed> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() {
        Ok(None)
    } else if (STATUS_TOKEN_MIN..=STATUS_TOKEN_MAX).contains(&text.len()) && text.bytes().all(sound)
    {
        Ok(Some(Secret::new(String::from(text))))
    } else {
        Err(Allowed::Text("16 to 128 letters, digits or -._~+/="))
    }
}

fn description(text: &str) -> Result<String, Allowed> {
    if text.len() > DESCRIPTION_MAX {
        return Err(Allowed::Text("at most 64 bytes"));
    }
    Ok(String::from(text))
}

/// Parses an interface name or a pattern of names.
pub(super) fn pattern(text: &str) -> Result<InterfaceName, Allowed> {
    InterfaceName::new(text)
        .ok_or(Allowed::Text("1 to 15 characters of an interface name, with * and ?"))
}

/// Parses an address and its port; one of IPv4 that is mapped to IPv6 is one of IPv4.
fn address(text: &str) -> Result<SocketAddr, Allowed> {
    let mut address: SocketAddr = text.parse().map_err(|_| ADDRESS)?;
    address.set_ip(address.ip().to_canonical());
    Some(address).filter(|address| address.port() != 0).ok_or(ADDRESS)
}

fn path(text: &str) -> Result<Option<PathBuf>, Allowed> {
    match text {
        "" => Ok(None),
        _ if Path::new(text).is_absolute() => Ok(Some(PathBuf::from(text))),
        _ => Err(Allowed::Text("a path that begins with /")),
    }
}

/// Parses the path of a Unix socket; `None` for an empty text.
pub(super) fn socket_path(text: &str) -> Result<Option<PathBuf>, Allowed> {
    if text.len() > SOCKET_PATH_MAX {
        return Err(Allowed::Text("a path of at most 99 bytes"));
    }
    path(text)
}

fn log_level(text: &str) -> Result<LevelFilter, Allowed> {
    let level = text.parse().ok().filter(|level| *level != LevelFilter::Off);
    level.ok_or(Allowed::Text("error, warn, info, debug or trace"))
}

fn log_target(text: &str) -> Result<LogTarget, Allowed> {
    let target = LogTarget::ALL.into_iter().find(|target| target.as_str() == text);
    target.ok_or(Allowed::Text("auto, stderr or syslog"))
}

/// Parses an array of at most `N` strings.
fn list<'a, T, const N: usize>(
    parse: fn(&str) -> Result<T, Allowed>,
) -> impl FnOnce(Value<'a>) -> Result<Bounded<T, N>, WrongValue<'a>> {
    move |value| {
        let mut items = Bounded::new();
        each(value, N, &mut |text| Ok(items.push(parse(text)?).is_ok()))?;
        Ok(items)
    }
}

/// Parses an array of at most `N` strings, one string, or an empty one for none.
fn one_or_list<'a, T, const N: usize>(
    parse: fn(&str) -> Result<T, Allowed>,
) -> impl FnOnce(Value<'a>) -> Result<Bounded<T, N>, WrongValue<'a>> {
    move |value| match value.as_text() {
        Some(text) if text == *"" => Ok(Bounded::new()),
        Some(_) => parsed(value, parse).map(|one| [one].into_iter().collect()),
        None => list(parse)(value),
    }
}

/// Calls `take` with every string of an array, until it has no room: it takes at most `max`.
fn each<'a>(
    value: Value<'a>,
    max: usize,
    take: &mut dyn FnMut(&str) -> Result<bool, Allowed>,
) -> Result<(), WrongValue<'a>> {
    if value.kind() != ValueKind::Array {
        return Err(WrongValue { value, allowed: Allowed::Text("an array of strings") });
    }
    for element in value.elements() {
        if !parsed(element, &mut *take)? {
            return Err(WrongValue { value: element, allowed: Allowed::Entries(max) });
        }
    }
    Ok(())
}

fn pin(text: &str) -> Result<Pin, Allowed> {
    Pin::parse(text).ok_or(Allowed::Text("the base64 of a SHA-256, 44 characters that end in ="))
}

fn watch(value: Value<'_>) -> Result<Bounded<ServiceSettings, SERVICES_MAX>, WrongValue<'_>> {
    if value.kind() != ValueKind::Array {
        return Err(WrongValue { value, allowed: Allowed::Text("an array of objects") });
    }
    let mut services = Bounded::<ServiceSettings, SERVICES_MAX>::new();
    for element in value.elements() {
        let wrong = |value, words| WrongValue { value, allowed: Allowed::Text(words) };
        let need = |key| element.get(key).ok_or(wrong(element, "an object with name and address"));
        let name_at = need("name")?;
        let name = parsed(name_at, service_name)?;
        if services.iter().any(|other| other.name == name) {
            return Err(wrong(name_at, "a name of its own"));
        }
        let address = parsed(need("address")?, address)?;
        let interval = match element.get("interval_s") {
            Some(value) => whole(1, 3_600, Duration::from_secs)(value)?,
            None => WATCH_INTERVAL,
        };
        let over = WrongValue { value: element, allowed: Allowed::Entries(SERVICES_MAX) };
        services.push(ServiceSettings { name, address, interval }).map_err(|_| over)?;
    }
    Ok(services)
}

fn service_name(text: &str) -> Result<ServiceName, Allowed> {
    ServiceName::new(text).ok_or(Allowed::Text("1 to 32 of A-Z a-z 0-9 _ . -"))
}
