//! Files in, configuration and findings out.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::proto::services::{ServiceName, ServiceSettings};
use crate::proto::settings::{Host, HostName};

/// A directory of one test, removed with it.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(test: &str) -> Self {
        let name = format!("linkbeat-config-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub(super) fn with(self, file: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.0.join(file);
        fs::write(&path, text).expect("a file for the test");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("own file");
        self
    }

    /// The findings as people read them, without the directory.
    fn problems(&self) -> Vec<String> {
        let directory = format!("{}/", self.0.display());
        let problems = load(&self.0).problems;
        problems.iter().map(|problem| problem.to_string().replace(&directory, "")).collect()
    }

    fn config(&self) -> Config {
        load(&self.0).config.expect("a valid configuration")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the test's own directory");
    }
}

const REFERENCE: &str = r#"{
  "enabled": true,
  "api_url": "https://api.example.org/api/",
  "device_key": "cam-7",
  "token_code": "s3cret-Token",
  "heartbeat_interval": 45,
  "auto_connect": false,
  "provisioned": true
}"#;

const EVERY_KEY: &str = r#"{
  "description": "Gate camera",
  "interfaces": ["en*", "wlan?"],
  "ignore_interfaces": [],
  "bind_to_uplink": false,
  "probe": {"address": ["9.9.9.9:53", "[2620:fe::fe]:53"], "timeout_ms": 1500},
  "request_timeout_ms": 5000,
  "moderation": {
    "trigger": {"burst": 3, "every_ms": 1000},
    "network": {"burst": 9, "every_ms": 0}
  },
  "tls": {"ca_file": "/etc/ssl/own.pem", "early_data": true,
          "client_cert": "/etc/ssl/camera.pem", "client_key": "/etc/ssl/camera.key"},
  "status_listen": "0.0.0.0:8080",
  "status_token": "abcdefgh",
  "trigger_socket": "",
  "state_file": "/run/linkbeat/state",
  "watch": [{"name": "rtsp", "address": "127.0.0.1:554", "interval_s": 3},
            {"name": "web", "address": "[::1]:80"}],
  "log_level": "debug",
  "log_target": "syslog"
}"#;

fn name_of(name: &str) -> Name {
    Name::new(name).expect("a name")
}

#[test]
fn first_boot_without_files_gives_the_defaults_and_no_problem() {
    let directory = Directory::new("first-boot");
    let loaded = load(&directory.0);
    assert_eq!(loaded.config, Some(Config::default()));
    assert_eq!((loaded.problems, loaded.found), (Vec::new(), Vec::new()));
    assert_eq!(load(&directory.0.join("no/such.json")).config, Some(Config::default()));
    assert!(!Config::default().configured());
}

#[test]
fn file_of_the_reference_works_untouched() {
    let directory = Directory::new("reference").with("meeting.json", REFERENCE);
    let config = directory.config();
    assert_eq!(directory.problems(), Vec::<String>::new());
    assert!(config.configured() && config.provisioned);
    assert!(config.settings.enabled && !config.settings.auto_connect);
    assert_eq!(config.settings.interval, Duration::from_secs(45));
    assert_eq!(config.device_key.as_deref(), Some("cam-7"));
    assert_eq!(config.token_code.as_ref().map(Secret::expose), Some("s3cret-Token"));
    let server = config.settings.server.expect("configured");
    let host = HostName::try_from("api.example.org").expect("a name");
    assert_eq!((server.host, server.port), (Host::Name(host), 443));
    assert_eq!(config.description, "RTSP Recorder");
}

#[test]
fn every_own_key_is_taken() {
    let directory = Directory::new("every-key").with("linkbeat.json", EVERY_KEY);
    assert_eq!(directory.problems(), Vec::<String>::new());
    let config = directory.config();
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let watch = |name: &str, at, seconds| ServiceSettings {
        name: ServiceName::new(name).expect("a name"),
        address: address(at),
        interval: Duration::from_secs(seconds),
    };
    let expected = Config {
        settings: Settings {
            interfaces: [name_of("en*"), name_of("wlan?")].into_iter().collect(),
            ignore_interfaces: heapless::Vec::new(),
            bind_to_uplink: false,
            probe_addresses: ["9.9.9.9:53", "[2620:fe::fe]:53"].map(address).into_iter().collect(),
            probe_timeout: Duration::from_millis(1500),
            request_timeout: Duration::from_secs(5),
            trigger_bucket: BucketSettings { burst: 3, every: Duration::from_secs(1) },
            network_bucket: BucketSettings { burst: 9, every: Duration::ZERO },
            services: [watch("rtsp", "127.0.0.1:554", 3), watch("web", "[::1]:80", 10)]
                .into_iter()
                .collect(),
            ..Config::default().settings
        },
        description: String::from("Gate camera"),
        ca_file: Some(PathBuf::from("/etc/ssl/own.pem")),
        client_cert: Some(PathBuf::from("/etc/ssl/camera.pem")),
        client_key: Some(PathBuf::from("/etc/ssl/camera.key")),
        early_data: true,
        status_listen: Some(Listen::Address(address("0.0.0.0:8080"))),
        status_token: Some(Secret::new(String::from("abcdefgh"))),
        trigger_socket: None,
        state_file: Some(PathBuf::from("/run/linkbeat/state")),
        log_level: LevelFilter::Debug,
        log_target: LogTarget::Syslog,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn status_server_may_be_a_unix_socket_and_asks_for_no_token_there() {
    let directory = Directory::new("unix")
        .with("linkbeat.json", r#"{"status_listen": "unix:/run/linkbeat/http.sock"}"#);
    assert!(directory.problems().is_empty());
    let listen = directory.config().status_listen.expect("is set");
    assert_eq!(listen, Listen::Socket(PathBuf::from("/run/linkbeat/http.sock")));
    assert_eq!(listen.to_string(), "unix:/run/linkbeat/http.sock");
    assert!(!listen.is_open());
}

#[test]
fn own_file_wins_over_the_reference_file_key_by_key() {
    let own = r#"{"api_url": "http://[2001:db8::1]:8080", "enabled": null}"#;
    let directory =
        Directory::new("wins").with("meeting.json", REFERENCE).with("linkbeat.json", own);
    let config = directory.config();
    let server = config.settings.server.expect("configured");
    let host = Host::Address(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
    assert_eq!((server.host, server.port), (host, 8080));
    assert_eq!(config.settings.interval, Duration::from_secs(45));
}

#[test]
fn own_keys_are_accepted_in_the_reference_file_and_the_file_may_have_any_name() {
    let directory = Directory::new("any-name").with("camera.json", EVERY_KEY);
    let loaded = load(&directory.0.join("camera.json"));
    let config = loaded.config.expect("a valid configuration");
    assert_eq!(config.description, "Gate camera");
    assert_eq!(loaded.found, [directory.0.join("camera.json")]);
}

#[test]
fn env_file_is_read_only_where_the_reference_file_is_missing() {
    let env = "\
# camera
RTSP_PORT=554
export MEETING_ENABLED=\"yes\"
MEETING_API_URL='http://192.168.1.9:8000/api' # local
  MEETING_DEVICE_KEY=cam-env # comment
MEETING_TOKEN_CODE=one-2#3\r
MEETING_HEARTBEAT_INTERVAL = 60
#MEETING_PROVISIONED=0
MEETING_PROVISIONED=1
NETWORK_INTERFACE_PRIORITY=wlan0, eth0
\u{fffd}=\x01
";
    let own = r#"{"heartbeat_interval": 61}"#;
    let directory = Directory::new("env").with("config.env", env).with("linkbeat.json", own);
    assert_eq!(directory.problems(), Vec::<String>::new());
    let config = directory.config();
    assert!(config.settings.enabled && config.provisioned && config.configured());
    assert_eq!(config.device_key.as_deref(), Some("cam-env"));
    assert_eq!(config.token_code.as_ref().map(Secret::expose), Some("one-2#3"));
    assert_eq!(config.settings.interval, Duration::from_secs(61));
    assert_eq!(config.settings.interfaces, [name_of("wlan0"), name_of("eth0")]);

    let directory = directory.with("meeting.json", REFERENCE);
    assert_eq!(directory.config().device_key.as_deref(), Some("cam-7"));
}

#[test]
fn masked_token_of_the_env_file_counts_as_absent() {
    let env = "MEETING_TOKEN_CODE=\"********\"\n";
    let directory = Directory::new("masked").with("config.env", env);
    assert_eq!(directory.config().token_code, None);
}

#[test]
fn comments_of_the_env_file_are_no_values() {
    for (text, expected) in [
        ("MEETING_DEVICE_KEY=cam # note", Some("cam")),
        ("MEETING_DEVICE_KEY=cam\t# note", Some("cam")),
        ("MEETING_DEVICE_KEY= # set by the installer", None),
        ("MEETING_DEVICE_KEY=# note", None),
        ("MEETING_DEVICE_KEY=cam#7", Some("cam#7")),
        ("MEETING_DEVICE_KEY= 'cam # 7' # note", Some("cam # 7")),
        ("\u{feff}MEETING_DEVICE_KEY=cam", Some("cam")),
        ("MEETING_HEARTBEAT_INTERVAL=\nMEETING_DEVICE_KEY=cam", Some("cam")),
    ] {
        let directory = Directory::new("comment").with("config.env", text);
        assert_eq!(directory.problems(), Vec::<String>::new(), "{text}");
        assert_eq!(directory.config().device_key.as_deref(), expected, "{text}");
    }
}

#[test]
fn bad_lines_of_the_env_file_are_named() {
    let env = "\
MEETING_ENABLED=maybe
MEETING_API_URL=ftp://x
MEETING_TOKEN_CODE=\"do not show\"
MEETING_HEARTBEAT_INTERVAL=0
MEETING_DEVICEKEY=cam
NETWORK_INTERFACE_PRIORITY=eth0,an-interface-name-too-long
MEETING_DEVICE_KEY=a\tb
";
    let env = [env.as_bytes(), b"MEETING_API_URL=\xff\nOTHER=\xff\n"].concat();
    let directory = Directory::new("bad-env").with("config.env", env);
    assert_eq!(load(&directory.0).config, None);
    let expected = [
        "config.env:1:1: error: MEETING_ENABLED: expected yes or no",
        "config.env:2:1: error: api_url has no scheme: begin it with https:// or http://",
        "config.env:3:1: error: MEETING_TOKEN_CODE: expected at most 512 visible ASCII characters",
        "config.env:4:1: error: MEETING_HEARTBEAT_INTERVAL: \
         expected a whole number from 1 to 86400",
        "config.env:5:1: warning: unknown key \"MEETING_DEVICEKEY\", \
         did you mean \"MEETING_DEVICE_KEY\"?",
        "config.env:6:1: error: NETWORK_INTERFACE_PRIORITY: \
         expected 1 to 15 characters of an interface name, with * and ?",
        "config.env:7:1: error: MEETING_DEVICE_KEY: expected a value without control characters",
        "config.env:8:1: error: not UTF-8",
    ];
    assert_eq!(directory.problems(), expected);
}

/// A file, and how the one problem in it is told.
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
        r#"1:80: error: interfaces: expected no more entries, found "b""#,
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
        "1:19: error: status_listen: expected an address with port, 127.0.0.1:5000 or \
             [::1]:5000, unix: and a path, or \"\", found \"localhost\"",
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
        r#"{"status_token": "short"}"#,
        "1:18: error: status_token: expected 8 to 128 letters, digits or -._~+/=, found a string",
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
        "meeting.json:5:3: warning: unknown key \"probe.address\", \
         the dot stands for an object in an object",
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
fn repeated_key_is_told_and_the_last_one_counts() {
    let text = r#"{"heartbeat_interval": 1, "tls": {}, "heartbeat_interval": 2, "x": 1, "x": 2}"#;
    let directory = Directory::new("twice").with("meeting.json", text);
    assert_eq!(directory.config().settings.interval, Duration::from_secs(2));
    let problems = directory.problems();
    assert_eq!(
        problems[0],
        "meeting.json:1:2: warning: \"heartbeat_interval\" is there more than once, \
         the last one counts"
    );
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

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let directory = Directory::new("odd").with("config.env", "MEETING_ENABLED=maybe");
    fs::create_dir(directory.0.join("meeting.json")).expect("own directory");
    let fifo = directory.0.join("linkbeat.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).expect("own directory");
    let expected =
        ["meeting.json: error: not a regular file", "linkbeat.json: error: not a regular file"];
    assert_eq!(directory.problems(), expected, "config.env does not stand in for a bad file");

    let directory = Directory::new("large").with("meeting.json", " ".repeat(FILE_SIZE_MAX + 1));
    assert_eq!(directory.problems(), ["meeting.json: error: larger than 65536 bytes"]);
}

#[test]
fn secret_readable_by_every_user_is_a_warning_with_the_command_that_mends_it() {
    let directory = Directory::new("public")
        .with("meeting.json", REFERENCE)
        .with("linkbeat.json", r#"{"status_token": "abcdefgh", "token_code": ""}"#);
    for file in ["meeting.json", "linkbeat.json"] {
        let path = directory.0.join(file);
        fs::set_permissions(path, Permissions::from_mode(0o644)).expect("own file");
    }
    let mend = |file: &str| {
        let path = directory.0.join(file);
        format!("chgrp linkbeat {0} && chmod 0640 {0}", path.display())
            .replace(&format!("{}/", directory.0.display()), "")
    };
    let expected = [
        format!(
            "meeting.json:5:17: warning: token_code can be read by every user: {}",
            mend("meeting.json")
        ),
        format!(
            "linkbeat.json:1:18: warning: status_token can be read by every user: {}",
            mend("linkbeat.json")
        ),
    ];
    assert_eq!(directory.problems(), expected);
}

#[test]
fn device_key_is_derived_once_and_completes_the_server() {
    let text = r#"{"api_url": "http://h", "device_key": ""}"#;
    let directory = Directory::new("derived").with("meeting.json", text);
    let mut config = directory.config();
    assert!(!config.configured());
    let mac = Mac([0xB8, 0x27, 0xEB, 0x01, 0x02, 0x0F]);
    config.derive_device_key("RaspberryPi", mac);
    assert_eq!(config.device_key.as_deref(), Some("raspberrypi-b827eb01020f"));
    assert!(config.configured());
    config.derive_device_key("other", Mac([0; 6]));
    assert_eq!(config.device_key.as_deref(), Some("raspberrypi-b827eb01020f"));
}

#[test]
fn a_token_is_recognised_behind_the_escapes_of_json_and_of_urls() {
    let token = r#"{"token_code": "s3c/r\"t"}"#;
    let config = Directory::new("token").with("meeting.json", token).config();
    for (text, tells) in [
        (r#"{"t": "s3c/r\"t"}"#, true),
        (r#"{"t": "x\u0073\u0033c\/r\u0022t"}"#, true),
        (r#"https://h/login/s3c/r"t/x"#, true),
        (r#"\x s3c/r"t"#, true),
        ("http://h/login/s3c%2Fr%22t/x", true),
        ("http://h/login/%73%33%63%2f%72%22%74", true),
        ("http://h/login/s3c%2Fr%2", false),
        ("http://h/login/s3c%2Fr%zzt", false),
        (r#"{"t": "s3c/r"}"#, false),
        ("", false),
    ] {
        assert_eq!(config.tells_token(text), tells, "{text}");
    }
    assert!(!Config::default().tells_token(""));
}

#[test]
fn secrets_are_never_shown() {
    let directory = Directory::new("secret")
        .with("meeting.json", REFERENCE)
        .with("linkbeat.json", r#"{"status_token": "s3cret-Status"}"#);
    let config = directory.config();
    let shown = format!("{config:?} {config:#?} {}", config.token_code.clone().expect("is set"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn any_change_of_any_byte_gives_a_whole_configuration_or_none() {
    let directory = Directory::new("bytes");
    let path = directory.0.join("linkbeat.json");
    for text in [REFERENCE, EVERY_KEY] {
        for at in 0..text.len() {
            for byte in [b'"', b'9', text.as_bytes()[at] ^ 1] {
                let mut text = text.as_bytes().to_vec();
                text[at] = byte;
                fs::write(&path, &text).expect("own file");
                let loaded = load(&directory.0);
                let refused = loaded.problems.iter().any(|p| p.severity == Severity::Error);
                assert_eq!(loaded.config.is_none(), refused);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(
        json: Vec<u8>,
        env in "(MEETING_[A-Z_]{0,9}|MEETING_ENABLED|[^\n]{0,9})=[^\n]{0,9}\n",
    ) {
        let directory = Directory::new("any").with("linkbeat.json", json).with("config.env", env);
        let loaded = load(&directory.0);
        prop_assert!(loaded.config.is_some() || !loaded.problems.is_empty());
    }
}
