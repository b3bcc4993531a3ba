//! `config.env`: shell-like `KEY=value` lines, shared with other programs.

use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

use super::document::Allowed;
use super::problem::{Problems, Unknown};
use super::{Config, files, keys};

/// The keys that are ours; a line of another program is not looked at.
const KEYS: &[&str] = &[
    "MEETING_ENABLED",
    "MEETING_API_URL",
    "MEETING_DEVICE_KEY",
    "MEETING_TOKEN_CODE",
    "MEETING_HEARTBEAT_INTERVAL",
    "MEETING_PROVISIONED",
    "NETWORK_INTERFACE_PRIORITY",
];

/// What a form shows in the place of a token, and writes back when nobody typed one.
const MASK: &str = "********";

/// Takes our keys from `text` into `config`; of equal keys the last one counts, as in a shell.
pub(super) fn read(
    file: &Path,
    text: &[u8],
    metadata: &Metadata,
    config: &mut Config,
    problems: &mut Problems,
) {
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let place = Some((index + 1, 1));
        let Ok(line) = std::str::from_utf8(line) else {
            if KEYS.iter().any(|key| line.trim_ascii_start().starts_with(key.as_bytes())) {
                problems.error(file, place, "not UTF-8");
            }
            continue;
        };
        // Some editors begin a file with a byte order mark.
        let line = line.strip_prefix('\u{feff}').filter(|_| index == 0).unwrap_or(line);
        let Some((key, value)) = split(line) else { continue };
        if !KEYS.contains(&key) {
            if key.starts_with("MEETING_") {
                problems.warning(file, place, Unknown { name: key, known: KEYS });
            }
            continue;
        }
        match set(key, value, config) {
            Ok(()) if key == "MEETING_TOKEN_CODE" && config.token_code.is_some() => {
                if files::is_public(metadata) {
                    let mend = files::mend_file(file);
                    problems.warning(
                        file,
                        place,
                        format_args!("{key} can be read by every user: {mend}"),
                    );
                }
            }
            Ok(()) => {}
            Err(Allowed::Url(error)) => problems.error(file, place, error),
            Err(allowed) => problems.error(file, place, format_args!("{key}: expected {allowed}")),
        }
    }
}

/// Key and value of an assignment, quotes and comment taken off.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let value = match value.trim_start().split_at_checked(1) {
        Some((quote @ ("\"" | "'"), rest)) => rest.split(quote).next()?,
        _ => value.get(..comment(value))?.trim(),
    };
    Some((key.trim(), value))
}

/// Where the comment begins: at a `#` with nothing or white space before it.
fn comment(value: &str) -> usize {
    let mut after_space = true;
    let begins = |char: char| {
        let found = after_space && char == '#';
        after_space = char.is_ascii_whitespace();
        found
    };
    value.find(begins).unwrap_or(value.len())
}

fn set(key: &str, value: &str, config: &mut Config) -> Result<(), Allowed> {
    if value.chars().any(char::is_control) {
        return Err(Allowed::Text("a value without control characters"));
    }
    match key {
        "MEETING_ENABLED" => config.settings.enabled = boolean(value)?,
        "MEETING_API_URL" => config.api_url = keys::api_url(value)?,
        "MEETING_DEVICE_KEY" => config.device_key = keys::device_key(value)?,
        "MEETING_TOKEN_CODE" if value == MASK => config.token_code = None,
        "MEETING_TOKEN_CODE" => config.token_code = keys::token_code(value)?,
        "MEETING_HEARTBEAT_INTERVAL" if value.is_empty() => {}
        "MEETING_HEARTBEAT_INTERVAL" => {
            let (min, max) = (1, 86_400);
            let seconds = value.parse().ok().filter(|seconds| (min..=max).contains(seconds));
            let seconds = seconds.ok_or(Allowed::Whole(min, max))?;
            config.settings.interval = Duration::from_secs(seconds);
        }
        "MEETING_PROVISIONED" => config.provisioned = boolean(value)?,
        _ => {
            let mut patterns = heapless::Vec::new();
            for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let over = Allowed::Text("at most 16 interfaces");
                patterns.push(keys::pattern(name)?).map_err(|_| over)?;
            }
            config.settings.interfaces = patterns;
        }
    }
    Ok(())
}

fn boolean(value: &str) -> Result<bool, Allowed> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "on" => Ok(true),
        "no" | "false" | "0" | "off" | "" => Ok(false),
        _ => Err(Allowed::Text("yes or no")),
    }
}
