//! The keys: their names, types and ranges, and what their text means.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heapless::Vec as Bounded;
use log::LevelFilter;

use super::document::{Allowed, Document, Wrong, boolean, text, whole};
use super::{Config, Listen, LogTarget, Secret};
use crate::proto::link::Name;
use crate::proto::services::{SERVICES_MAX, ServiceName, ServiceSettings};
use crate::proto::settings::BucketSettings;
use crate::wire::json::{Kind, Value};
use crate::wire::request::{ApiUrl, valid_token};

/// Longest device key, in bytes.
pub const DEVICE_KEY_MAX: usize = 128;
/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 64;
/// Shortest status token, in characters: it is all that guards a camera on an open network.
pub const STATUS_TOKEN_MIN: usize = 8;
/// Longest status token, in characters.
pub const STATUS_TOKEN_MAX: usize = 128;
/// Time between two looks at a watched service whose entry names none.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);
/// Longest path of a Unix socket, in bytes: `sun_path` (unix(7)) less the final zero, and less a dot
/// and the number of a process, with which it is made.
const SOCKET_PATH_MAX: usize = 107 - 8;

const ADDRESS: Allowed = Allowed::Text("an address with port, 8.8.8.8:53 or [2001:db8::1]:53");

/// Takes every key there is from `document` into `config`.
pub(super) fn read(document: &mut Document<'_>, config: &mut Config) {
    let settings = &mut config.settings;
    document.take("enabled", boolean, &mut settings.enabled);
    document.take("api_url", text(api_url), &mut config.api_url);
    document.take("device_key", text(device_key), &mut config.device_key);
    document.take_secret("token_code", token_code, &mut config.token_code);
    document.take("heartbeat_interval", interval, &mut settings.interval);
    document.take("auto_connect", boolean, &mut settings.auto_connect);
    document.take("provisioned", boolean, &mut config.provisioned);

    document.take("description", text(description), &mut config.description);
    document.take("interfaces", list(pattern), &mut settings.interfaces);
    document.take("ignore_interfaces", list(pattern), &mut settings.ignore_interfaces);
    document.take("bind_to_uplink", boolean, &mut settings.bind_to_uplink);
    document.take("probe.address", probe_addresses, &mut settings.probe_addresses);
    document.take("probe.timeout_ms", millis(100, 60_000), &mut settings.probe_timeout);
    document.take("request_timeout_ms", millis(100, 300_000), &mut settings.request_timeout);
    let bucket = &mut settings.trigger_bucket;
    read_bucket(document, "moderation.trigger.burst", "moderation.trigger.every_ms", bucket);
    let bucket = &mut settings.network_bucket;
    read_bucket(document, "moderation.network.burst", "moderation.network.every_ms", bucket);

    document.take("tls.ca_file", text(path), &mut config.ca_file);
    document.take("tls.client_cert", text(path), &mut config.client_cert);
    document.take("tls.client_key", text(path), &mut config.client_key);
    document.take("tls.early_data", boolean, &mut config.early_data);
    document.take("status_listen", text(status_listen), &mut config.status_listen);
    document.take_secret("status_token", status_token, &mut config.status_token);
    document.take("trigger_socket", text(socket_path), &mut config.trigger_socket);
    document.take("state_file", text(path), &mut config.state_file);
    document.take("watch", watch, &mut config.settings.services);
    document.also_known(&["watch.name", "watch.address", "watch.interval_s"]);
    document.take("log_level", text(log_level), &mut config.log_level);
    document.take("log_target", text(log_target), &mut config.log_target);
}

fn read_bucket(
    document: &mut Document<'_>,
    burst: &'static str,
    every: &'static str,
    into: &mut BucketSettings,
) {
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    document.take(burst, whole(1, 1_000, count), &mut into.burst);
    document.take(every, millis(0, 3_600_000), &mut into.every);
}

fn interval(value: Value<'_>) -> Result<Duration, Wrong<'_>> {
    whole(1, 86_400, Duration::from_secs)(value)
}

fn millis<'a>(min: u64, max: u64) -> impl FnOnce(Value<'a>) -> Result<Duration, Wrong<'a>> {
    whole(min, max, Duration::from_millis)
}

/// The URL, none for an empty text.
pub(super) fn api_url(text: &str) -> Result<Option<ApiUrl>, Allowed> {
    if text.is_empty() { Ok(None) } else { ApiUrl::parse(text).map(Some).map_err(Allowed::Url) }
}

/// The key, none for an empty text. A path segment of dots would leave the devices' collection.
pub(super) fn device_key(text: &str) -> Result<Option<String>, Allowed> {
    if text.len() > DEVICE_KEY_MAX || text == "." || text == ".." {
        return Err(Allowed::Text("a key of at most 128 bytes, not . or .."));
    }
    Ok((!text.is_empty()).then(|| String::from(text)))
}

/// The token, none for an empty text.
pub(super) fn token_code(text: &str) -> Result<Option<Secret>, Allowed> {
    match text {
        "" => Ok(None),
        _ if valid_token(text) => Ok(Some(Secret::new(String::from(text)))),
        _ => Err(Allowed::Text("at most 512 visible ASCII characters")),
    }
}

/// The token: one that fits an `Authorization` field (RFC 6750 §2.1) and a cookie alike.
fn status_token(text: &str) -> Result<Option<Secret>, Allowed> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() {
        Ok(None)
    } else if (STATUS_TOKEN_MIN..=STATUS_TOKEN_MAX).contains(&text.len()) && text.bytes().all(sound)
    {
        Ok(Some(Secret::new(String::from(text))))
    } else {
        Err(Allowed::Text("8 to 128 letters, digits or -._~+/="))
    }
}

fn description(text: &str) -> Result<String, Allowed> {
    if text.len() > DESCRIPTION_MAX {
        return Err(Allowed::Text("at most 64 bytes"));
    }
    Ok(String::from(text))
}

/// An interface name or a pattern of names.
pub(super) fn pattern(text: &str) -> Result<Name, Allowed> {
    Name::new(text).ok_or(Allowed::Text("1 to 15 characters of an interface name, with * and ?"))
}

fn address(text: &str) -> Result<SocketAddr, Allowed> {
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0).ok_or(ADDRESS)
}

fn status_listen(text: &str) -> Result<Option<Listen>, Allowed> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = socket_path(path)?.ok_or(Allowed::Text("a path behind unix:"))?;
        return Ok(Some(Listen::Socket(path)));
    }
    let allowed = Allowed::Text(
        "an address with port, 127.0.0.1:5000 or [::1]:5000, unix: and a path, or \"\"",
    );
    text.parse().map(|address| Some(Listen::Address(address))).map_err(|_| allowed)
}

fn path(text: &str) -> Result<Option<PathBuf>, Allowed> {
    match text {
        "" => Ok(None),
        _ if Path::new(text).is_absolute() => Ok(Some(PathBuf::from(text))),
        _ => Err(Allowed::Text("a path that begins with /")),
    }
}

fn socket_path(text: &str) -> Result<Option<PathBuf>, Allowed> {
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
    match text {
        "auto" => Ok(LogTarget::Auto),
        "stderr" => Ok(LogTarget::Stderr),
        "syslog" => Ok(LogTarget::Syslog),
        _ => Err(Allowed::Text("auto, stderr or syslog")),
    }
}

/// A parser of arrays of at most `N` strings.
fn list<'a, T, const N: usize>(
    parse: impl Fn(&str) -> Result<T, Allowed>,
) -> impl FnOnce(Value<'a>) -> Result<Bounded<T, N>, Wrong<'a>> {
    move |value| {
        if value.kind() != Kind::Array {
            return Err(Wrong { value, allowed: Allowed::Text("an array of strings") });
        }
        let mut parsed = Bounded::new();
        for element in value.elements() {
            let one = text(&parse)(element)?;
            let over = Wrong { value: element, allowed: Allowed::Text("no more entries") };
            parsed.push(one).map_err(|_| over)?;
        }
        Ok(parsed)
    }
}

/// One address, an array of them, or an empty text for none.
fn probe_addresses<const N: usize>(value: Value<'_>) -> Result<Bounded<SocketAddr, N>, Wrong<'_>> {
    match value.as_text() {
        Some(text) if text == *"" => Ok(Bounded::new()),
        Some(_) => text(address)(value).map(|address| [address].into_iter().collect()),
        None => list(address)(value),
    }
}

fn watch(value: Value<'_>) -> Result<Bounded<ServiceSettings, SERVICES_MAX>, Wrong<'_>> {
    if value.kind() != Kind::Array {
        return Err(Wrong { value, allowed: Allowed::Text("an array of objects") });
    }
    let mut services = Bounded::<ServiceSettings, SERVICES_MAX>::new();
    for element in value.elements() {
        let wrong = |value, words| Wrong { value, allowed: Allowed::Text(words) };
        let need = |key| element.get(key).ok_or(wrong(element, "an object with name and address"));
        let name_at = need("name")?;
        let name = text(service_name)(name_at)?;
        if services.iter().any(|other| other.name == name) {
            return Err(wrong(name_at, "a name of its own"));
        }
        let address = text(address)(need("address")?)?;
        let interval = match element.get("interval_s") {
            Some(value) => whole(1, 3_600, Duration::from_secs)(value)?,
            None => WATCH_INTERVAL,
        };
        let over = wrong(element, "no more than 8 entries");
        services.push(ServiceSettings { name, address, interval }).map_err(|_| over)?;
    }
    Ok(services)
}

fn service_name(text: &str) -> Result<ServiceName, Allowed> {
    ServiceName::new(text).ok_or(Allowed::Text("1 to 32 of A-Z a-z 0-9 _ . -"))
}
