//! What `linkbeat check` prints and how it ends.

use std::fs;
use std::path::Path;

use super::super::tests::Directory;
use super::*;

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
device_key: host name and MAC, known to the agent
token_code: ********
heartbeat_interval: 30
auto_connect: true
provisioned: false
description: RTSP Recorder
interfaces: eth*, en*, wlan1, wlan0, wl*
ignore_interfaces: none
bind_to_uplink: true
probe.address: 8.8.8.8:53, [2001:4860:4860::8888]:53
probe.timeout_ms: 2000
request_timeout_ms: 10000
moderation.trigger: 5 at once, then one every 2000 ms
moderation.network: 5 at once, then one every 2000 ms
tls.ca_file: {WITHOUT_FILE}
tls.client_cert: none
tls.client_key: none
tls.early_data: false
status_listen: 127.0.0.1:5000
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
        ("{}", "no beat is sent: api_url is not set\n"),
        (r#"{"api_url": "http://h", "enabled": false}"#, "no beat is sent: enabled is false\n"),
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
    assert_eq!(checked(&empty, ""), (String::from(": error: no configuration here\n"), false));
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
            let told = shown.contains("linkbeat.json:1:21: error: tls.ca_file: ");
            assert!(good || (told && shown.contains(words) && shown.contains(file)), "{shown}");
        }
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
