//! Any text as each of the three files: the configuration is complete or refused, and messages
//! contain no control characters and no secrets.
//!
//! A second reader, of serde_json and of the ranges in the manual, says what each key is worth, and
//! which files are to be refused. A value of `config.env` is worth the same however it is quoted,
//! and the same as in `meeting.json`.

#![cfg_attr(not(test), no_main)]

use std::path::PathBuf;
use std::sync::LazyLock;

use linkbeat::config::{Config, Loaded, PROBLEMS_MAX, load};
use linkbeat_core::proto::link::{InterfaceName, Mac};
use serde_json::{Map, Value, json};

/// A key: its name, what it allows, and its value in a configuration.
type Key = (&'static str, fn(&Value) -> bool, fn(&Config) -> Value);

/// The keys whose value JSON can repeat.
const KEYS: &[Key] = &[
    ("enabled", Value::is_boolean, |it| it.settings.enabled.into()),
    ("auto_connect", Value::is_boolean, |it| it.settings.auto_connect.into()),
    ("bind_to_uplink", Value::is_boolean, |it| it.settings.bind_to_uplink.into()),
    ("provisioned", Value::is_boolean, |it| it.provisioned.into()),
    ("note", Value::is_boolean, |it| it.note.into()),
    ("goodbye", Value::is_boolean, |it| it.goodbye.into()),
    ("tls.early_data", Value::is_boolean, |it| it.early_data.into()),
    ("heartbeat_interval", whole::<1, 86_400>, |it| it.settings.interval.as_secs().into()),
    ("metered.interval_s", whole::<1, 86_400>, |it| it.settings.metered.interval.as_secs().into()),
    (
        "standby_check_s",
        |value| whole::<0, 0>(value) || whole::<10, 86_400>(value),
        |it| it.settings.standby_check.as_secs().into(),
    ),
    ("probe.timeout_ms", whole::<100, 60_000>, |it| millis(it.settings.probe_timeout)),
    ("request_timeout_ms", whole::<100, 300_000>, |it| millis(it.settings.request_timeout)),
    ("recovery_spread_ms", whole::<0, 30_000>, |it| millis(it.settings.recovery_spread)),
    ("moderation.trigger.burst", whole::<1, 1000>, |it| it.settings.trigger_bucket.burst.into()),
    ("moderation.network.burst", whole::<1, 1000>, |it| it.settings.network_bucket.burst.into()),
    ("moderation.trigger.every_ms", whole::<0, 3_600_000>, |it| {
        millis(it.settings.trigger_bucket.every)
    }),
    ("moderation.network.every_ms", whole::<0, 3_600_000>, |it| {
        millis(it.settings.network_bucket.every)
    }),
    (
        "device_key",
        |value| text(value, |it| it.len() <= 128 && it != "." && it != ".."),
        |it| it.device_key.clone().unwrap_or_default().into(),
    ),
    ("description", |value| text(value, |it| it.len() <= 64), |it| it.description.clone().into()),
    (
        "token_code",
        |value| text(value, |it| it.len() <= 512 && it.bytes().all(|it| it.is_ascii_graphic())),
        |it| it.token_code.as_ref().map_or("", |it| it.expose()).into(),
    ),
    (
        "log_target",
        |value| text(value, |it| ["auto", "stderr", "syslog"].contains(&it)),
        |it| it.log_target.to_string().into(),
    ),
    ("interfaces", patterns, |it| names(&it.settings.interfaces)),
    ("ignore_interfaces", patterns, |it| names(&it.settings.ignore_interfaces)),
    ("metered.interfaces", patterns, |it| names(&it.settings.metered.interfaces)),
];

/// A form may write it back in place of a secret.
const MASK: &str = "********";

fn whole<const MIN: u64, const MAX: u64>(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| (MIN..=MAX).contains(&number))
}

fn text(value: &Value, allowed: impl FnOnce(&str) -> bool) -> bool {
    value.as_str().is_some_and(|text| !text.contains(char::is_control) && allowed(text))
}

fn patterns(value: &Value) -> bool {
    let pattern = |it: &str| {
        (1..16).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_graphic() && it != b'/')
    };
    value.as_array().is_some_and(|all| all.len() <= 16 && all.iter().all(|it| text(it, pattern)))
}

fn millis(duration: std::time::Duration) -> Value {
    u64::try_from(duration.as_millis()).expect("few").into()
}

fn names(patterns: &[InterfaceName]) -> Value {
    patterns.iter().map(|pattern| pattern.as_str()).collect()
}

/// In memory, to avoid writes to a disk.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| linkbeat_fuzz::directory("config"));

fn read(files: [Option<&[u8]>; 3]) -> Loaded {
    for (name, content) in ["meeting.json", "config.env", "linkbeat.json"].iter().zip(files) {
        let path = DIRECTORY.join(name);
        match content {
            Some(content) => std::fs::write(path, content).expect("write a file"),
            None => drop(std::fs::remove_file(path)),
        }
    }
    load(&DIRECTORY)
}

fn check(loaded: &Loaded) {
    assert!(loaded.problems.len() <= PROBLEMS_MAX);
    for problem in &loaded.problems {
        let text = problem.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.len() < 512, "{text}");
    }
    let Some(mut config) = loaded.config.clone() else {
        return assert!(!loaded.problems.is_empty(), "refused without a word");
    };
    for secret in [&config.token_code, &config.status_token].into_iter().flatten() {
        assert!(!secret.expose().is_empty());
        // A short secret may occur in any text by chance.
        if secret.expose().len() > 8 {
            let shown = loaded.problems.iter().any(|one| one.message.contains(secret.expose()));
            assert!(!shown, "a secret is shown");
        }
    }
    config.derive_device_key("camera", Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(config.configured(), config.api_url.is_some());
    let texts = [&config.description].into_iter().chain(&config.device_key);
    assert!(texts.into_iter().all(|text| !text.contains(char::is_control)));
}

/// The value of a key, with dots if nested, unless it is absent or null.
fn find<'a>(root: &'a Value, key: &str) -> Option<&'a Value> {
    let value = key.split('.').try_fold(root, |value, part| value.get(part))?;
    (!value.is_null()).then_some(value)
}

/// Whether an object has keys of [`KEYS`] only, with values that they allow.
fn is_sound(object: &Map<String, Value>, prefix: &str) -> bool {
    object.iter().all(|(name, value)| {
        let name = format!("{prefix}{name}");
        let group = format!("{name}.");
        match value {
            Value::Null => KEYS.iter().any(|(key, ..)| *key == name || key.starts_with(&group)),
            Value::Object(inner) => {
                KEYS.iter().any(|(key, ..)| key.starts_with(&group)) && is_sound(inner, &group)
            }
            _ => KEYS.iter().any(|(key, allows, _)| *key == name && allows(value)),
        }
    })
}

/// What two files in JSON are worth, the second before the first.
fn compare(loaded: &Loaded, files: [&[u8]; 2]) {
    let files = files.map(|file| serde_json::from_slice::<Value>(file).ok());
    let objects = files.each_ref().map(|file| file.as_ref().and_then(Value::as_object));
    let [Some(meeting), Some(own)] = &objects else {
        return assert!(loaded.config.is_none(), "taken, and no object");
    };
    let Some(config) = &loaded.config else {
        let sound = is_sound(meeting, "") && is_sound(own, "");
        return assert!(!sound, "refused for nothing: {:?}", loaded.problems);
    };
    let roots = files.each_ref().map(|file| file.as_ref().expect("an object"));
    for (key, allows, shown) in KEYS {
        let [meeting, own] = roots.map(|root| find(root, key));
        assert!([meeting, own].into_iter().flatten().all(allows), "{key} is wrong and taken");
        let expected = own.or(meeting).cloned().unwrap_or_else(|| shown(&Config::default()));
        assert_eq!(shown(config), expected, "{key}");
    }
}

/// A value as the environment file may write it, each time the same.
fn compare_quotes(value: &str) {
    let plain = |char| matches!(char, '"' | '\'' | '#' | '\n');
    if value.trim() != value || value.contains(plain) {
        return;
    }
    for (key, json_key) in
        [("MEETING_DEVICE_KEY", "device_key"), ("MEETING_TOKEN_CODE", "token_code")]
    {
        let lines = [
            format!("{key}={value}"),
            format!("{key}=\"{value}\"\n"),
            format!("OTHER=1\r\n{key} = '{value}'\r\n"),
            format!("{key}=earlier\n  export {key}=\"{value}\" # \"{key}\"\n"),
            format!("{key}={value} # {key}=x\n#{key}=y"),
        ];
        let loaded = lines.each_ref().map(|line| read([None, Some(line.as_bytes()), None]));
        loaded.iter().for_each(check);
        let worth = loaded.each_ref().map(|it| it.config.as_ref().expect("never refused"));
        let shown = KEYS.iter().find(|(name, ..)| *name == json_key).expect("it is there").2;
        for config in &worth[..3] {
            assert_eq!(shown(config), shown(worth[0]), "{lines:?}");
        }
        assert_eq!(shown(worth[4]), shown(worth[0]), "{lines:?}");
        if shown(worth[0]) != "" {
            assert_eq!(shown(worth[3]), shown(worth[0]), "the last one counts: {lines:?}");
        }
        let file = json!({ json_key: value }).to_string();
        let json = read([Some(file.as_bytes()), None, None]).config;
        let expected = json.as_ref().map_or_else(|| "".into(), shown);
        if value != MASK && value != "None" {
            assert_eq!(shown(worth[0]), expected, "{file}");
        }
    }
}

linkbeat_fuzz::target!(|data| {
    let loaded = read([Some(data), None, None]);
    check(&loaded);
    compare(&loaded, [data, b"{}"]);
    check(&read([None, Some(data), None]));
    // Splits the data: linkbeat.json overrides meeting.json.
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (meeting, own) = data.split_at(cut);
    let own = own.get(1..).unwrap_or(b"{}");
    let loaded = read([Some(meeting), None, Some(own)]);
    check(&loaded);
    compare(&loaded, [meeting, own]);
    if let Ok(value) = std::str::from_utf8(data) {
        compare_quotes(value);
    }
});
