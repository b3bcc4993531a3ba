//! Files in, configuration and findings out.

mod env;
mod wrong;

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use linkbeat_core::proto::label::ServiceName;
use linkbeat_core::proto::settings::{Host, HostName, MeteredSettings, ServiceSettings};

/// A directory of one test, removed with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("linkbeat-config-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub(crate) fn with(self, file: &str, text: impl AsRef<[u8]>) -> Self {
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
  "note": false,
  "goodbye": false,
  "interfaces": ["en*", "wlan?"],
  "ignore_interfaces": [],
  "bind_to_uplink": false,
  "probe": {"address": ["9.9.9.9:53", "[2620:fe::fe]:53"], "timeout_ms": 1500},
  "request_timeout_ms": 5000,
  "recovery_spread_ms": 3000,
  "metered": {"interfaces": ["wwan*", "ppp?"], "interval_s": 600},
  "standby_check_s": 60,
  "moderation": {
    "trigger": {"burst": 3, "every_ms": 1000},
    "network": {"burst": 9, "every_ms": 0}
  },
  "tls": {"ca_file": "/etc/ssl/own.pem", "early_data": true,
          "client_cert": "/etc/ssl/camera.pem", "client_key": "/etc/ssl/camera.key"},
  "status_listen": "0.0.0.0:8080",
  "status_token": "abcdefgh-1234567",
  "trigger_socket": "",
  "state_file": "/run/linkbeat/state",
  "watch": [{"name": "rtsp", "address": "127.0.0.1:554", "interval_s": 3},
            {"name": "web", "address": "[::1]:80"}],
  "log_level": "debug",
  "log_target": "syslog"
}"#;

fn name_of(name: &str) -> InterfaceName {
    InterfaceName::new(name).expect("a name")
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
fn keys_of_the_tunnel_agent_are_no_cause_for_a_warning() {
    let text = r#"{"tunnel_host": "h", "tunnel_port": 9001, "tunnel_ssl": false, "tunnel_key": 1}"#;
    let directory = Directory::new("tunnel").with("meeting.json", text);
    let unknown =
        r#"meeting.json:1:64: warning: unknown key "tunnel_key", did you mean "tunnel_ssl"?"#;
    assert_eq!(directory.problems(), [unknown]);
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
            recovery_spread: Duration::from_secs(3),
            metered: MeteredSettings {
                interfaces: [name_of("wwan*"), name_of("ppp?")].into_iter().collect(),
                interval: Duration::from_secs(600),
            },
            standby_check: Duration::from_secs(60),
            trigger_bucket: BucketSettings { burst: 3, every: Duration::from_secs(1) },
            network_bucket: BucketSettings { burst: 9, every: Duration::ZERO },
            services: [watch("rtsp", "127.0.0.1:554", 3), watch("web", "[::1]:80", 10)]
                .into_iter()
                .collect(),
            ..Config::default().settings
        },
        description: String::from("Gate camera"),
        note: false,
        goodbye: false,
        ca_file: Some(PathBuf::from("/etc/ssl/own.pem")),
        client_cert: Some(PathBuf::from("/etc/ssl/camera.pem")),
        client_key: Some(PathBuf::from("/etc/ssl/camera.key")),
        early_data: true,
        status_listen: StatusListen::At(Listen::Address(address("0.0.0.0:8080"))),
        status_token: Some(Secret::new(String::from("abcdefgh-1234567"))),
        trigger_socket: None,
        state_file: Some(PathBuf::from("/run/linkbeat/state")),
        log_level: LevelFilter::Debug,
        log_target: LogTarget::Syslog,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn mapped_address_of_a_probe_is_one_of_ipv4() {
    let text = r#"{"probe": {"address": "[::ffff:8.8.8.8]:53"}}"#;
    let config = Directory::new("mapped").with("linkbeat.json", text).config();
    assert_eq!(config.settings.probe_addresses, ["8.8.8.8:53".parse().unwrap()]);
}

#[test]
fn pins_are_one_or_a_list_and_take_the_place_of_roots() {
    let (one, other) = (
        "kAwK+CBD5crKCnSuzP+HGbOYslXlBtmOK8ejWDMGTvk=",
        "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edk=",
    );
    for (value, expected) in [
        (format!("{one:?}"), &[one][..]),
        (format!("[{one:?}, \"sha256//{other}\"]"), &[one, other]),
        (String::from("\"\""), &[]),
        (String::from("[]"), &[]),
        (String::from("null"), &[]),
    ] {
        let text = format!("{{\"api_url\": \"https://h\", \"tls\": {{\"pin_sha256\": {value}}}}}");
        let config = Directory::new("pins").with("meeting.json", &text).config();
        let shown: Vec<_> = config.pins.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
        let pinned = matches!(config.tls_files().expect("https").roots, Roots::Pins(_));
        assert_eq!(pinned, !expected.is_empty());
    }
}

#[test]
fn status_server_may_be_a_unix_socket_and_asks_for_no_token_there() {
    let directory = Directory::new("unix")
        .with("linkbeat.json", r#"{"status_listen": "unix:/run/linkbeat/http.sock"}"#);
    assert!(directory.problems().is_empty());
    let listen = Listen::Socket(PathBuf::from("/run/linkbeat/http.sock"));
    assert!(!listen.is_open());
    let listen = StatusListen::At(listen);
    assert_eq!(directory.config().status_listen, listen);
    assert_eq!(listen.to_string(), "unix:/run/linkbeat/http.sock");
}

#[test]
fn place_of_the_status_server_may_be_left_to_the_agent_or_be_none() {
    for (text, expected, shown) in [
        ("{}", StatusListen::Auto, "auto"),
        (r#"{"status_listen": null}"#, StatusListen::Auto, "auto"),
        (r#"{"status_listen": ""}"#, StatusListen::Off, "off"),
    ] {
        let directory = Directory::new("auto").with("meeting.json", text);
        let listen = directory.config().status_listen;
        assert_eq!((listen.to_string().as_str(), listen), (shown, expected));
        // The other file may leave it to the agent again.
        let directory = directory.with("linkbeat.json", r#"{"status_listen": "auto"}"#);
        assert_eq!(directory.config().status_listen, StatusListen::Auto);
    }
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

/// The usual files, below the directory of a test.
fn usual_files(directory: &Directory) -> ConfigFiles {
    let files = ConfigFiles::of(Path::new(DEFAULT_FILE));
    let below = |path: &Path| directory.0.join(path.strip_prefix("/").expect("an absolute path"));
    ConfigFiles {
        meeting: below(&files.meeting),
        env: below(&files.env),
        own: below(&files.own),
        former_own: files.former_own.as_deref().map(below),
    }
}

#[test]
fn own_file_has_a_directory_of_its_own_and_the_former_one_is_read_without_it() {
    let directory = Directory::new("former");
    let files = usual_files(&directory);
    let (former, own) = ("etc/rpi-cam/linkbeat.json", "etc/linkbeat/linkbeat.json");
    for path in [former, own] {
        fs::create_dir_all(directory.0.join(path).with_file_name("")).expect("own directory");
    }
    let write = |path, text| fs::write(directory.0.join(path), text).expect("own file");
    let reported = || -> Vec<String> {
        let root = format!("{}/", directory.0.display());
        let problems = load_files(&files).problems;
        problems.iter().map(|problem| problem.to_string().replace(&root, "/")).collect()
    };
    let interval = || load_files(&files).config.expect("valid").settings.interval.as_secs();
    write(former, r#"{"heartbeat_interval": 7}"#);
    let expected = "/etc/rpi-cam/linkbeat.json: warning: move it, its directory is the web manager's: \
                    mkdir -p /etc/linkbeat && mv /etc/rpi-cam/linkbeat.json /etc/linkbeat";
    assert_eq!((interval(), reported()), (7, vec![String::from(expected)]));
    write(own, r#"{"heartbeat_interval": 8}"#);
    let expected = "/etc/rpi-cam/linkbeat.json: warning: is not read beside \
                    /etc/linkbeat/linkbeat.json: move its keys there and rm /etc/rpi-cam/linkbeat.json";
    assert_eq!((interval(), reported()), (8, vec![String::from(expected)]));
    fs::remove_file(directory.0.join(former)).expect("own file");
    assert_eq!((interval(), reported()), (8, vec![]));
}

#[test]
fn each_usual_file_and_its_directory_stands_for_all_of_them() {
    let usual = ConfigFiles::of(Path::new(DEFAULT_FILE));
    assert_eq!(usual.own, Path::new("/etc/linkbeat/linkbeat.json"));
    let paths =
        usual.all().chain([Path::new("/etc/linkbeat"), Path::new("/etc/rpi-cam/./meeting.json")]);
    for path in paths {
        assert_eq!(ConfigFiles::of(path), usual, "{path:?}");
    }
    for path in ["/etc/rpi-cam/camera.json", "/etc/other/linkbeat.json", "linkbeat.json"] {
        let files = ConfigFiles::of(Path::new(path));
        assert_eq!(files.former_own, None, "{path}");
        assert_eq!(files.own, files.meeting.with_file_name("linkbeat.json"), "{path}");
    }
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
        .with("linkbeat.json", r#"{"status_token": "abcdefgh-1234567", "token_code": ""}"#);
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
    for (text, expected) in [
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
        assert_eq!(config.contains_token(text), expected, "{text}");
    }
    assert!(!Config::default().contains_token(""));
}

#[test]
fn secrets_are_never_shown() {
    let directory = Directory::new("secret")
        .with("meeting.json", REFERENCE)
        .with("linkbeat.json", r#"{"status_token": "s3cret-Status-42"}"#);
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
