//! `config.env`: shell-like `KEY=value` lines, shared with other programs.
//!
//! A bad value leaves its key out, with a warning, and does not make the file invalid: the service
//! that linkbeat replaces used its defaults for whatever it could not read.

use std::fmt::Display;
use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

use super::json_file::Allowed;
use super::problem::{Problems, UnknownKey};
use super::{Config, files, keys};

/// The keys that are read; lines of other programs are ignored.
const KEYS: &[&str] = &[
    "MEETING_ENABLED",
    "MEETING_API_URL",
    "MEETING_DEVICE_KEY",
    "MEETING_TOKEN_CODE",
    "MEETING_HEARTBEAT_INTERVAL",
    "MEETING_PROVISIONED",
    "NETWORK_INTERFACE_PRIORITY",
];

/// The mask that a form shows in place of a token, and writes back if none was entered.
const MASK: &str = "********";

/// The text that other programs write for no value.
const NOTHING: &str = "None";

/// Reads the keys in `text` into `config`; the last one of equal keys counts, as in a shell.
pub(super) fn read(
    file: &Path,
    text: &[u8],
    metadata: &Metadata,
    config: &mut Config,
    problems: &mut Problems,
) {
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let mut warn = |message: &dyn Display| {
            problems.warning(file, Some((index + 1, 1)), message);
        };
        let Ok(line) = std::str::from_utf8(line) else {
            if KEYS.iter().any(|key| line.trim_ascii_start().starts_with(key.as_bytes())) {
                warn(&"not UTF-8: left out");
            }
            continue;
        };
        // Some editors write a byte order mark at the start of a file.
        let line = line.strip_prefix('\u{feff}').filter(|_| index == 0).unwrap_or(line);
        let (key, value) = split(line);
        let is_known = KEYS.contains(&key);
        let Some(value) = value.filter(|_| is_known) else {
            // A key alone exports what was set before.
            if key.starts_with("MEETING_") && !is_known {
                warn(&UnknownKey { name: key, known: KEYS });
            }
            continue;
        };
        match set(key, value, config) {
            Ok(()) => {
                let is_token = key == "MEETING_TOKEN_CODE" && config.token_code.is_some();
                if is_token && files::is_public(metadata) {
                    let mend = files::mend_file(file);
                    warn(&format_args!("{key} can be read by every user: {mend}"));
                }
            }
            Err(Allowed::Url(error)) => warn(&format_args!("{key}: left out: {error}")),
            Err(allowed) => warn(&format_args!("{key}: left out: expected {allowed}")),
        }
    }
}

/// The last value of `key` in `text`.
pub(super) fn find<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
    let mut values = lines.map(split).filter(|(name, _)| *name == key);
    values.next_back()?.1
}

/// Key and value of an assignment, without quotes and comment. A line that is none is all key.
fn split(line: &str) -> (&str, Option<&str>) {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((key, value)) = line.split_once('=') else { return (line, None) };
    let quoted = value.trim_start();
    let value = match quoted.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted.split(quote).nth(1),
        _ => value.get(..comment(value)),
    };
    (key.trim(), value.map(str::trim))
}

/// The start of the comment: a `#` at the start or after white space.
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
    let value = if value == NOTHING { "" } else { value };
    match key {
        "MEETING_ENABLED" => take_boolean(value, &mut config.settings.enabled)?,
        "MEETING_API_URL" => config.api_url = keys::api_url(value)?,
        "MEETING_DEVICE_KEY" if value == MASK => {
            return Err(Allowed::Text("a key, and not what a form shows in its place"));
        }
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
        "MEETING_PROVISIONED" => take_boolean(value, &mut config.provisioned)?,
        _ => {
            let mut patterns = heapless::Vec::new();
            for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let over = Allowed::Text("at most 16 interfaces");
                patterns.push(keys::pattern(name)?).map_err(|_| over)?;
            }
            if !patterns.is_empty() {
                config.settings.interfaces = patterns;
            }
        }
    }
    Ok(())
}

/// Parses yes or no. Any other word is a no, as in the service that linkbeat replaces, with a
/// warning.
fn take_boolean(value: &str, to: &mut bool) -> Result<(), Allowed> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    *to = is(["yes", "true", "1", "on"]);
    if *to || value.is_empty() || is(["no", "false", "0", "off"]) {
        return Ok(());
    }
    Err(Allowed::Text("yes or no, and taken for a no"))
}
