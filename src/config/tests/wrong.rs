//! What is wrong with a configuration, and how it is reported.

use super::*;

/// A file, and how the one problem in it is reported.
const WRONG: &[(&str, &str)] = &[
    (r#"{"enabled": "yes"}"#, r#"1:13: error: enabled: expected true or false, found "yes""#),
    (r#"{"enabled": 1}"#, "1:13: error: enabled: expected true or false, found 1"),
    (r#"{"api_url": 5}"#, "1:13: error: api_url: expected a string, found 5"),
    (
        r#"{"api_url": "http://me:pw@host"}"#,
        "1:13: error: api_url has a user name or password: \
             remove it, and put the token into token_code",
    ),
    (
        r#"{"api_url": "https://a.0x"}"#,
        "1:13: error: api_url has no valid host: write a name, an IPv4 address, \
             or an IPv6 address in brackets",
    ),
    (
        r#"{"device_key": ".."}"#,
        r#"1:16: error: device_key: expected a key of at most 128 bytes, not . or .., found ".."#,
    ),
    (
        r#"{"device_key": "a\nb"}"#,
        r"1:16: error: device_key: expected a string without control characters, found ",
    ),
    ("{\"enabled\": \"\u{9b}2J\"}", "1:13: error: enabled: expected true or false, found a string"),
    (r#"{"token_code": 1234}"#, "1:16: error: token_code: expected a string, found a number"),
    (
        r#"{"token_code": "secret token"}"#,
        "1:16: error: token_code: expected at most 512 visible ASCII characters, found a string",
    ),
    (
        r#"{"token_code": "a\r\nX-Header: b"}"#,
        "1:16: error: token_code: expected a string without control characters, found a string",
    ),
    (
        "{\n\t\"heartbeat_interval\": 0\n}",
        "2:24: error: heartbeat_interval: expected a whole number from 1 to 86400, found 0",
    ),
    (
        r#"{"heartbeat_interval": 86401}"#,
        "1:24: error: heartbeat_interval: expected a whole number from 1 to 86400, found 86401",
    ),
    (
        r#"{"heartbeat_interval": 30.5}"#,
        "1:24: error: heartbeat_interval: expected a whole number from 1 to 86400, found 30.5",
    ),
    (
        r#"{"heartbeat_interval": "30"}"#,
        r#"1:24: error: heartbeat_interval: expected a whole number from 1 to 86400, found "30""#,
    ),
    (
        r#"{"interfaces": "eth0"}"#,
        r#"1:16: error: interfaces: expected an array of strings, found "eth0""#,
    ),
    (
        r#"{"interfaces": ["eth0", "a b"]}"#,
        "1:25: error: interfaces: expected 1 to 15 characters of an interface name, with * and ?",
    ),
    (
        r#"{"interfaces": [1,2,"","","","","","","","","","","","","","","",""]}"#,
        "1:17: error: interfaces: expected a string, found 1",
    ),
    (
        r#"{"interfaces":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","b"]}"#,
        r#"1:80: error: interfaces: expected no more than 16 entries, found "b""#,
    ),
    (
        r#"{"probe": {"address": "8.8.8.8"}}"#,
        "1:23: error: probe.address: expected an address with port, 8.8.8.8:53 or \
             [2001:db8::1]:53, found \"8.8.8.8\"",
    ),
    (
        r#"{"probe": {"address": ["8.8.8.8:0"]}}"#,
        "1:24: error: probe.address: expected an address with port",
    ),
    (
        r#"{"probe": {"timeout_ms": 99}}"#,
        "1:26: error: probe.timeout_ms: expected a whole number from 100 to 60000, found 99",
    ),
    (r#"{"probe": "8.8.8.8:53"}"#, r#"1:11: error: probe: expected an object, found "8.8.8.8:53""#),
    (
        r#"{"moderation": {"trigger": {"burst": 0}}}"#,
        "1:38: error: moderation.trigger.burst: expected a whole number from 1 to 1000, found 0",
    ),
    (
        r#"{"moderation": {"network": 5}}"#,
        "1:28: error: moderation.network: expected an object, found 5",
    ),
    (
        r#"{"tls": {"ca_file": "own.pem"}}"#,
        r#"1:21: error: tls.ca_file: expected a path that begins with /, found "own.pem""#,
    ),
    (
        r#"{"tls": {"pin_sha256": "sha256"}}"#,
        "1:24: error: tls.pin_sha256: expected the base64 of a SHA-256, 44 characters that end in =, \
         found \"sha256\"",
    ),
    (
        r#"{"tls": {"pin_sha256": [""]}}"#,
        "1:25: error: tls.pin_sha256: expected the base64 of a SHA-256",
    ),
    (r#"{"tls": {"pin_sha256": {}}}"#, "1:24: error: tls.pin_sha256: expected an array of strings"),
    (
        r#"{"tls": {"client_cert": "/x.pem"}}"#,
        "1:25: error: tls.client_cert needs tls.client_key as well",
    ),
    (
        r#"{"tls": {"client_key": "/x.key"}}"#,
        "1:24: error: tls.client_key needs tls.client_cert as well",
    ),
    (r#"{"tls": []}"#, "1:9: error: tls: expected an object, found an array"),
    (
        r#"{"status_listen": "localhost"}"#,
        "1:19: error: status_listen: expected auto, an address with port, \
             127.0.0.1:5000 or [::1]:5000, unix: and a path, or \"\", found \"localhost\"",
    ),
    (
        r#"{"status_listen": "unix:http.sock"}"#,
        "1:19: error: status_listen: expected a path that begins with /, found \"unix:http.sock\"",
    ),
    (
        r#"{"status_listen": "unix:"}"#,
        "1:19: error: status_listen: expected a path behind unix:, found \"unix:\"",
    ),
    (
        r#"{"trigger_socket": "/run/a", "status_listen": "unix:/run/a"}"#,
        "1:47: error: status_listen and trigger_socket are the same socket: give each its own",
    ),
    (
        r#"{"status_listen": "0.0.0.0:5000"}"#,
        "1:19: error: status_listen 0.0.0.0:5000 is not a loopback address: set status_token as well",
    ),
    (
        r#"{"status_token": "fifteen-letters"}"#,
        "1:18: error: status_token: expected 16 to 128 letters, digits or -._~+/=, found a string",
    ),
    (
        r#"{"watch": ["127.0.0.1:554"]}"#,
        "1:12: error: watch: expected an object with name and address, found \"127.0.0.1:554\"",
    ),
    (
        r#"{"watch": [{"name": "a b", "address": "127.0.0.1:554"}]}"#,
        "1:21: error: watch: expected 1 to 32 of A-Z a-z 0-9 _ . -, found \"a b\"",
    ),
    (
        r#"{"watch": [{"name":"a", "address":"1.1.1.1:1"}, {"name":"a", "address":"1.1.1.1:1"}]}"#,
        "1:57: error: watch: expected a name of its own, found \"a\"",
    ),
    (
        concat!(
            r#"{"watch":[{"name":"a","address":"[::]:1"},{"name":"b","address":"[::]:1"},"#,
            r#"{"name":"c","address":"[::]:1"},{"name":"d","address":"[::]:1"},"#,
            r#"{"name":"e","address":"[::]:1"},{"name":"f","address":"[::]:1"},"#,
            r#"{"name":"g","address":"[::]:1"},{"name":"h","address":"[::]:1"},"#,
            r#"{"name":"i","address":"[::]:1"}]}"#
        ),
        "1:267: error: watch: expected no more than 8 entries, found an object",
    ),
    (
        r#"{"watch": [{"name": "a", "address": "1.1.1.1:1", "interval_s": 0}]}"#,
        "1:64: error: watch: expected a whole number from 1 to 3600, found 0",
    ),
    (
        r#"{"log_level": "off"}"#,
        r#"1:15: error: log_level: expected error, warn, info, debug or trace, found "off""#,
    ),
    (
        r#"{"log_target": "file"}"#,
        r#"1:16: error: log_target: expected auto, stderr or syslog, found "file""#,
    ),
    ("[]", "1:1: error: expected an object, found an array"),
    ("", "1:1: error: expected a value, found the end of the text"),
    ("{\"enabled\": true,\n}", "2:1: error: expected a key in double quotes, found '}'"),
    ("{\"a\": \"\u{e9}\u{1}\"}", "1:9: error: line end or control character in a string"),
];

#[test]
fn every_wrong_value_is_named_with_what_is_allowed() {
    for (text, message) in WRONG {
        let directory = Directory::new("wrong").with("linkbeat.json", text);
        assert_eq!(load(&directory.0).config, None, "{text}");
        let problems = directory.problems();
        let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
        let expected = format!("linkbeat.json:{message}");
        assert!(problem.starts_with(&expected), "{text}\n{problem}\n{expected}");
    }
}

#[test]
fn every_host_of_a_secure_url_can_be_in_a_certificate() {
    let labels = ["a", "0", "1", "00", "0x", "0X", "0xf", "0xg", "x", "_", "-", "a-", "-a", "9a"];
    let mut accepted = 0;
    for first in labels {
        for last in labels {
            for url in [format!("https://{first}.{last}"), format!("https://{first}.{last}.")] {
                let Ok(Some(url)) = keys::api_url(&url) else { continue };
                assert!(tls::server_name(&url.server().host).is_some(), "{url}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn strings_over_their_limit_are_refused_and_not_repeated() {
    let long = "x".repeat(600);
    for key in ["api_url", "device_key", "token_code", "description", "trigger_socket"] {
        let text = format!("{{\"{key}\": \"/{long}\"}}");
        let directory = Directory::new("long").with("meeting.json", text);
        assert_eq!(load(&directory.0).config, None, "{key}");
        let problems = directory.problems();
        assert!(!problems[0].contains("xxx") && problems.len() == 1, "{problems:?}");
    }
}

#[test]
fn unknown_keys_are_warnings_with_the_nearest_name() {
    let text = r#"{
  "devicekey": "cam",
  "tls": {"cafile": "/x", "verify": false, "early_data": null},
  "ca_file": "/x",
  "probe.address": "",
  "probe": null,
  "moderation": {"triger": {"burst": 1}},
  "watch": [{"name": "a", "address": "1.1.1.1:1", "intervals": 1}],
  "services": {"burst": [1, {"enabled": 1}]},
  "\u0065nabled": false
}"#;
    let directory = Directory::new("unknown").with("meeting.json", text);
    let expected = [
        r#"meeting.json:2:3: warning: unknown key "devicekey", did you mean "device_key"?"#,
        r#"meeting.json:3:11: warning: unknown key "tls.cafile", did you mean "tls.ca_file"?"#,
        r#"meeting.json:3:27: warning: unknown key "tls.verify""#,
        r#"meeting.json:4:3: warning: unknown key "ca_file", did you mean "tls.ca_file"?"#,
        r#"meeting.json:5:3: warning: unknown key "probe.address": write it as a nested object"#,
        r#"meeting.json:7:18: warning: unknown key "moderation.triger""#,
        "meeting.json:8:51: warning: unknown key \"watch.intervals\", \
         did you mean \"watch.interval_s\"?",
        r#"meeting.json:9:3: warning: unknown key "services""#,
    ];
    assert_eq!(directory.problems(), expected);
    let config = directory.config();
    assert!(!config.settings.enabled, "an escaped key is the same key");
    assert_eq!(config.device_key, None);
}

#[test]
fn repeated_key_is_reported_and_only_the_last_one_counts() {
    let text = r#"{"heartbeat_interval": 1, "tls": {}, "heartbeat_interval": 2, "x": 1, "x": 2}"#;
    let directory = Directory::new("twice").with("meeting.json", text);
    assert_eq!(directory.config().settings.interval, Duration::from_secs(2));
    let problems = directory.problems();
    assert_eq!(
        problems[0],
        "meeting.json:1:2: warning: \"heartbeat_interval\" is there more than once, \
         the last one counts"
    );

    let text = r#"{"probe": 3, "probe": {"unknown": 1}, "probe": {"timeout_ms": 700}}"#;
    let directory = Directory::new("objects").with("linkbeat.json", text);
    let expected = [2, 14, 39].map(|column| {
        format!(
            "linkbeat.json:1:{column}: warning: \"probe\" is there more than once, \
             the last one counts"
        )
    });
    assert_eq!(directory.problems(), expected);
    assert_eq!(directory.config().settings.probe_timeout, Duration::from_millis(700));
}

#[test]
fn one_invalid_file_of_two_leaves_nothing() {
    let directory =
        Directory::new("one-of-two").with("meeting.json", REFERENCE).with("linkbeat.json", "{");
    assert_eq!(load(&directory.0).config, None);
    assert_eq!(load(&directory.0).found.len(), 2);
}

#[test]
fn a_flood_of_problems_is_bounded() {
    let flood: Vec<_> = (0..5000).map(|number| format!("\"k{number}\": 0")).collect();
    let text = format!("{{{}, \"enabled\": 7}}", flood.join(","));
    let directory = Directory::new("flood").with("meeting.json", text);
    let loaded = load(&directory.0);
    assert_eq!((loaded.problems.len(), loaded.config), (PROBLEMS_MAX, None));
}
