//! The output of `linkbeat check` and its result.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::manager::tests::device;
use crate::config::tests::Directory;

/// What is printed, without the directory, and whether the configuration is good.
fn checked(directory: &Directory, file: &str) -> (String, bool) {
    let mut out = Vec::new();
    let path = directory.0.join(file);
    let result = run(Some(&path), &directory.0, &mut out);
    let text = String::from_utf8(out).expect("text");
    (text.replace(&format!("{}/", directory.0.display()), ""), result.is_ok())
}

#[test]
fn a_good_configuration_is_shown_as_it_is_in_force() {
    let directory = Directory::new("check-good")
        .with("meeting.json", r#"{"api_url": "http://h/api", "token_code": "s3cret"}"#)
        .with(
            "linkbeat.json",
            r#"{"colour": 1, "ignore_interfaces": [], "state_file": "/run/x",
                "watch": [{"name": "rtsp", "address": "127.0.0.1:554"}]}"#,
        );
    let expected = format!(
        "\
linkbeat.json:1:2: warning: unknown key \"colour\"
read: meeting.json
read: linkbeat.json
enabled: true
api_url: http://h
device_key: not set, made from host name and MAC by the agent
token_code: ********
heartbeat_interval: 30
auto_connect: true
provisioned: false
description: RTSP Recorder
note: true
goodbye: true
interfaces: eth*, en*, wlan1, wlan0, wl*
ignore_interfaces: none
bind_to_uplink: true
probe.address: 8.8.8.8:53, [2001:4860:4860::8888]:53
probe.timeout_ms: 2000
request_timeout_ms: 10000
recovery_spread_ms: 0
metered.interfaces: none
metered.interval_s: 300
standby_check_s: 0
moderation.trigger: 5 at once, then one every 2000 ms
moderation.network: 5 at once, then one every 2000 ms
tls.ca_file: {WITHOUT_FILE}
tls.pin_sha256: none
tls.client_cert: none
tls.client_key: none
tls.early_data: false
status_listen: auto
status_token: not set
trigger_socket: /run/linkbeat/trigger.sock
state_file: /run/x
log_level: info
log_target: auto
watch: rtsp at 127.0.0.1:554 every 10 s
"
    );
    assert_eq!(checked(&directory, "meeting.json"), (expected, true));
}

#[test]
fn a_configuration_without_beats_says_why() {
    for (text, words) in [
        ("{}", "watch: none\nno beat is sent: api_url is not set\n"),
        (
            r#"{"api_url": "http://h", "enabled": false}"#,
            "watch: none\nno beat is sent: enabled is false\n",
        ),
    ] {
        let directory = Directory::new("check-silent").with("meeting.json", text);
        let (shown, good) = checked(&directory, "");
        assert!(good && shown.ends_with(words), "{shown}");
    }
}

#[test]
fn a_bad_file_is_refused_with_its_problems_alone() {
    let directory = Directory::new("check-bad").with("meeting.json", r#"{"enabled": 1}"#);
    let expected = "meeting.json:1:13: error: enabled: expected true or false, found 1\n\
                    read: meeting.json\n";
    assert_eq!(checked(&directory, ""), (String::from(expected), false));
    let error = run(Some(&directory.0), Path::new("/"), &mut Vec::new()).expect_err("is bad");
    assert!(matches!(error, Error::Config));
}

#[test]
fn a_named_file_must_be_there() {
    let directory = Directory::new("check-missing").with("linkbeat.json", "{}");
    for file in ["none.json", "meeting.json"] {
        let expected = format!("read: linkbeat.json\n{file}: error: no such file\n");
        assert_eq!(checked(&directory, file), (expected, false));
    }
    let empty = Directory::new("check-empty");
    assert_eq!(checked(&empty, ""), (String::from(": error: no configuration found\n"), false));
}

#[test]
fn a_file_beside_the_configuration_names_it_too() {
    let directory = Directory::new("check-beside")
        .with("config.env", "MEETING_API_URL=http://h")
        .with("linkbeat.json", "{}");
    for file in ["linkbeat.json", "config.env", "meeting.json", ""] {
        let (shown, good) = checked(&directory, file);
        assert!(good && shown.contains("api_url: http://h\n"), "{file}: {shown}");
        assert!(shown.starts_with("read: config.env\nread: linkbeat.json\nenabled"), "{shown}");
    }
}

#[test]
fn roots_that_cannot_be_used_are_an_error_where_they_are_needed() {
    let directory = Directory::new("check-roots").with("own.pem", "no certificate");
    for (file, words) in [("own.pem", "no certificate"), ("none.pem", "No such file")] {
        let pem = directory.0.join(file);
        let own = format!("{{\"tls\": {{\"ca_file\": \"{}\"}}}}", pem.display());
        fs::write(directory.0.join("linkbeat.json"), own).expect("own file");
        for (url, expected) in [("https://h", false), ("http://h", true)] {
            let text = format!("{{\"api_url\": \"{url}\"}}");
            fs::write(directory.0.join("meeting.json"), text).expect("own file");
            let (shown, good) = checked(&directory, "meeting.json");
            assert_eq!(good, expected, "{url}: {shown}");
            let reported = shown.contains("linkbeat.json:1:21: error: tls.ca_file: ");
            assert!(good || (reported && shown.contains(words) && shown.contains(file)), "{shown}");
        }
    }
}

#[test]
fn root_that_is_left_out_is_a_warning_with_its_place() {
    let good = include_str!("../../../tests/vectors/certificates/rsa.pem");
    let trusted = include_str!("../../../tests/vectors/certificates/trusted.pem");
    let directory = Directory::new("check-left-out")
        .with("own.pem", format!("{good}{trusted}"))
        .with("meeting.json", r#"{"api_url": "https://h"}"#);
    let pem = directory.0.join("own.pem");
    let own = format!("{{\"tls\": {{\"ca_file\": \"{}\"}}}}", pem.display());
    fs::write(directory.0.join("linkbeat.json"), own).expect("own file");
    let (shown, good_one) = checked(&directory, "meeting.json");
    let words = format!(
        "linkbeat.json:1:21: warning: tls.ca_file: certificate 2 (line {}) is left out: it is a \
         TRUSTED CERTIFICATE of OpenSSL",
        1 + good.lines().count()
    );
    assert!(good_one && shown.contains(&words), "{shown}");
}

#[test]
fn pins_need_no_roots_and_leave_a_file_of_them_unused() {
    let pin = "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edk=";
    for (ca_file, warned) in [("", false), (r#", "ca_file": "/nonexistent/ca.pem""#, true)] {
        let directory = Directory::new("check-pins")
            .with("meeting.json", r#"{"api_url": "https://h"}"#)
            .with("linkbeat.json", format!(r#"{{"tls": {{"pin_sha256": "{pin}"{ca_file}}}}}"#));
        let (shown, good) = checked(&directory, "meeting.json");
        assert!(good && shown.contains(&format!("tls.pin_sha256: {pin}\n")), "{shown}");
        let warning = "warning: tls.ca_file does not count beside tls.pin_sha256";
        assert_eq!(shown.contains(warning), warned, "{shown}");
    }
}

#[test]
fn client_certificate_and_key_are_read_as_they_will_be() {
    let made = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([String::from(name)]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((certificate, key), (_, other)) = (made("camera-1"), made("camera-2"));
    let directory = Directory::new("check-identity")
        .with("ca.pem", &certificate)
        .with("meeting.json", r#"{"api_url": "https://h"}"#);
    for (certificate, key, words) in [
        (&*certificate, &*key, None),
        (&certificate, &other, Some("1:88: error: tls.client_key: the private key in ")),
        (&key, &key, Some("1:51: error: tls.client_cert: no certificate in PEM form in ")),
        (&certificate, &certificate, Some("tls.client_key: no private key in PEM form in ")),
    ] {
        let path = |name: &str| directory.0.join(name).display().to_string();
        fs::write(path("camera.pem"), certificate).unwrap();
        fs::write(path("camera.key"), key).unwrap();
        let (ca, certificate, key) = (path("ca.pem"), path("camera.pem"), path("camera.key"));
        let own = format!(
            "{{\"tls\": {{\"ca_file\": \"{ca}\",\n\"client_cert\": \"{certificate}\",\n\"client_key\": \"{key}\"}}}}"
        );
        fs::write(directory.0.join("linkbeat.json"), own).unwrap();
        let (shown, good) = checked(&directory, "meeting.json");
        assert_eq!(good, words.is_none(), "{shown}");
        if let Some(words) = words {
            let (place, message) = words.split_once(": error").unwrap_or(("", words));
            assert!(shown.contains(message), "{shown}");
            assert!(shown.contains("linkbeat.json:") || place.is_empty(), "{shown}");
        }
        assert!(shown.contains("the file of tls.client_key can be read by every user: chgrp"));
    }
}

#[test]
fn https_without_a_file_of_roots_needs_built_in_ones() {
    let directory =
        Directory::new("check-no-roots").with("meeting.json", r#"{"api_url": "https://h"}"#);
    let (shown, good) = checked(&directory, "meeting.json");
    let words = "meeting.json: error: tls.ca_file: https needs the PEM file of your authority, \
                 this linkbeat has no roots built in\n";
    assert_eq!((good, shown.ends_with(words)), (tls::BUILT_IN, !tls::BUILT_IN), "{shown}");
}

#[test]
fn strict_filtering_is_a_warning_with_the_command_that_mends_it() {
    let directory = Directory::new("check-strict").with("meeting.json", "{}");
    for (name, value) in [("all", "0"), ("eth0", "1"), ("wlan0", "2")] {
        let conf = directory.0.join("proc/sys/net/ipv4/conf").join(name);
        fs::create_dir_all(&conf).expect("own directory");
        fs::write(conf.join("rp_filter"), value).expect("own file");
    }
    let (shown, good) = checked(&directory, "meeting.json");
    let words = "warning: eth0: rp_filter is 1, answers are lost while another uplink is better: \
                 sysctl -w net.ipv4.conf.eth0.rp_filter=2\n";
    assert!(good && shown.ends_with(words), "{shown}");
}

#[test]
fn a_closed_output_is_an_error_of_the_system() {
    let directory = Directory::new("check-closed").with("meeting.json", "{}");
    let error = run(Some(&directory.0), Path::new("/"), &mut &mut [0_u8; 8][..]);
    assert!(matches!(error, Err(Error::System { .. })));
}

/// The lines of `check` that are no problem of a file and no setting.
pub(crate) fn findings(device: &Directory) -> Vec<String> {
    let mut out = Vec::new();
    let file = device.0.join("etc/rpi-cam/meeting.json");
    // Settings are wrong for some, and that is not the point.
    run(Some(&file), &device.0, &mut out).expect("a good configuration");
    let text = String::from_utf8(out).expect("text");
    let found =
        text.lines().filter(|line| line.starts_with("info: ") || line.starts_with("warning: "));
    found.map(|line| line.replace(&format!("{}/", device.0.display()), "/")).collect()
}

#[test]
fn device_before_the_migration_shows_everything_that_is_in_the_way() {
    let meeting = r#"{"enabled": true, "api_url": "https://h/api", "device_key": "cam-1"}"#;
    let device = device(
        "check-before",
        &[
            ("rpi-cam/meeting.json", meeting),
            ("rpi-cam/wifi_failover.json", r#"{"hardware_failover_enabled": true}"#),
            ("rpi-cam/linkbeat.json", r#"{"status_listen": "127.0.0.1:5000"}"#),
            ("group", "root:x:0:\nlinkbeat:x:4242:\n"),
        ],
    );
    assert_eq!(
        findings(&device),
        [
            "info: the web manager is installed: its page shows its own heartbeat, `linkbeat \
             status` that of linkbeat",
            "warning: /etc/rpi-cam/meeting.json: the user linkbeat may not read mode 0640: chgrp \
             linkbeat /etc/rpi-cam/meeting.json && chmod 0640 /etc/rpi-cam/meeting.json",
            "warning: the web manager sends beats too: set \"enabled\" to false in \
             /etc/rpi-cam/meeting.json, and \"enabled\" to true in linkbeat.json",
            "warning: the web manager disconnects WiFi while eth0 is up: set WIFI_MANUAL_OVERRIDE \
             to yes in /etc/rpi-cam/config.env, then `nmcli device connect wlan0`",
            "warning: status_listen 127.0.0.1:5000 keeps the web manager from its port: set it to \"auto\"",
            "info: the web manager checks no certificate, linkbeat does: for a self-signed one set \
             tls.pin_sha256 (`linkbeat check --pin`)",
        ]
    );
}

#[test]
fn device_after_the_migration_shows_the_manager_alone() {
    let meeting = r#"{"enabled": false, "api_url": "http://h/api", "device_key": "cam-1"}"#;
    let own = r#"{"enabled": true, "status_listen": "unix:/run/linkbeat/http.sock"}"#;
    let device = device(
        "check-after",
        &[
            ("rpi-cam/meeting.json", meeting),
            ("rpi-cam/config.env", "WIFI_MANUAL_OVERRIDE=yes\n"),
            ("rpi-cam/linkbeat.json", own),
        ],
    );
    let shown = findings(&device);
    assert!(
        shown.len() == 1 && shown[0].starts_with("info: the web manager is installed"),
        "{shown:?}"
    );
}

#[test]
fn silence_of_both_and_a_reset_are_found() {
    let own = ("rpi-cam/linkbeat.json", r#"{"status_listen": "", "enabled": true}"#);
    let yes = "WIFI_MANUAL_OVERRIDE=yes\n";
    let reset = "MEETING_ENABLED=\"no\"\nMEETING_API_URL=\"https://meeting.example.com/api\"\n";
    let reset = format!("{reset}{yes}");
    let off = r#"{"enabled": false, "api_url": "http://h"}"#;
    for (files, words) in [
        (
            vec![
                ("rpi-cam/meeting.json", off),
                ("rpi-cam/config.env", yes),
                ("rpi-cam/linkbeat.json", r#"{"status_listen": ""}"#),
            ],
            "warning: \"enabled\": false silences the web manager and linkbeat: set it to true in \
             /etc/rpi-cam/linkbeat.json",
        ),
        (
            vec![("rpi-cam/config.env", &reset), own],
            "warning: meeting.example.com is what a master reset leaves as api_url: provision the \
             camera again",
        ),
    ] {
        let shown = findings(&device("check-reset", &files));
        assert_eq!(shown.get(1..), Some(&[words.to_owned()][..]), "{shown:?}");
    }
}
