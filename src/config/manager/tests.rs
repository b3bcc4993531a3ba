//! Devices with the web manager on them, and what is found.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::tests::Directory;

/// A device with the web manager on it, and these files.
pub(crate) fn device(test: &str, files: &[(&str, &str)]) -> Directory {
    let directory = Directory::new(test);
    let wants = directory.0.join(STARTED);
    let unit = directory.0.join(&FILES[0][1..]);
    fs::create_dir_all(wants.parent().expect("a parent")).expect("own directory");
    fs::create_dir_all(directory.0.join("etc/rpi-cam")).expect("own directory");
    fs::write(&unit, "[Unit]\n").expect("own file");
    // The target is absolute, so it is nowhere in this root.
    std::os::unix::fs::symlink(FILES[0], wants).expect("a link");
    for (name, text) in files {
        let path = directory.0.join("etc").join(name);
        fs::write(&path, text).expect("own file");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("own file");
    }
    directory
}

fn second_sender(test: &str, files: &[(&str, &str)], config: &Config) -> Option<SecondSender> {
    let device = device(test, files);
    WebManager::find(&device.0).expect("is installed").second_sender(config)
}

#[test]
fn manager_is_found_by_its_program_and_by_its_unit() {
    let directory = Directory::new("manager-none");
    assert!(WebManager::find(&directory.0).is_none());
    for place in FILES {
        let path = directory.0.join(&place[1..]);
        fs::create_dir_all(&path).expect("own directory");
        assert!(WebManager::find(&directory.0).is_some(), "{place}");
        fs::remove_dir(path).expect("own directory");
    }
}

#[test]
fn manager_beats_unless_its_files_say_no() {
    let config = Config::default();
    let json = Some(SecondSender { without_json: false });
    for (text, expected) in [
        (r#"{"enabled": true}"#, json),
        ("{}", json),
        // Its defaults are on.
        ("{", json),
        (r#"{"enabled": true, "auto_connect": false}"#, json),
        (r#"{"enabled": false}"#, None),
        (r#"{"enabled": null}"#, None),
    ] {
        assert_eq!(
            second_sender("files", &[("rpi-cam/meeting.json", text)], &config),
            expected,
            "{text}"
        );
    }
    let env = Some(SecondSender { without_json: true });
    for (text, expected) in [
        ("", env),
        ("MEETING_ENABLED=\"yes\"\n", env),
        ("MEETING_ENABLED=no\nMEETING_ENABLED=True\n", env),
        ("MEETING_ENABLED=\"no\"\n", None),
        ("MEETING_ENABLED=on\n", None),
    ] {
        assert_eq!(
            second_sender("files", &[("rpi-cam/config.env", text)], &config),
            expected,
            "{text}"
        );
    }
    assert_eq!(second_sender("files", &[], &config), env);
}

#[test]
fn one_sender_or_another_device_is_no_second_sender() {
    let files = [("rpi-cam/meeting.json", r#"{"device_key": "cam-1"}"#)];
    let with_key =
        |key: Option<&str>| Config { device_key: key.map(String::from), ..Config::default() };
    for (config, found) in
        [(with_key(None), true), (with_key(Some("cam-1")), true), (with_key(Some("cam-2")), false)]
    {
        assert_eq!(second_sender("key", &files, &config).is_some(), found, "{config:?}");
    }
    let mut silent = with_key(Some("cam-1"));
    silent.settings.enabled = false;
    assert_eq!(second_sender("key", &files, &silent), None);

    let device = device("second-stopped", &files);
    fs::remove_file(device.0.join(STARTED)).expect("the link");
    let manager = WebManager::find(&device.0).expect("is installed");
    assert_eq!(manager.second_sender(&with_key(None)), None, "systemctl disable");
}

#[test]
fn manager_disconnects_wifi_unless_it_is_overridden() {
    let off = r#"{"hardware_failover_enabled": false}"#;
    let on = r#"{"hardware_failover_enabled": true}"#;
    let yes = "WIFI_MANUAL_OVERRIDE=yes\n";
    let (always, at_start) = (Some(true), Some(false));
    for (failover, env, expected) in [
        (None, "", always),
        (Some(on), "WIFI_MANUAL_OVERRIDE=no\n", always),
        (Some("{}"), "", always),
        (Some(off), "", at_start),
        (Some(off), yes, None),
        (Some(on), yes, None),
    ] {
        let failover = failover.map(|text| ("rpi-cam/wifi_failover.json", text));
        let files: Vec<_> = failover.into_iter().chain([("rpi-cam/config.env", env)]).collect();
        let device = device("wifi", &files);
        let manager = WebManager::find(&device.0).expect("is installed");
        let found = manager.disconnects_wifi().map(|found| found.always);
        assert_eq!(found, expected, "{files:?}");
    }
}

#[test]
fn file_that_the_agents_group_may_not_read_is_found_with_what_mends_it() {
    let json = ("rpi-cam/meeting.json", "{}");
    let own = rustix::process::getgid().as_raw();
    for (group, mode, found) in [
        (Some(own), 0o640, false),
        (Some(own), 0o600, true),
        (Some(own + 1), 0o640, true),
        (Some(own + 1), 0o644, false),
        (None, 0o600, false),
    ] {
        let group = group.map(|id| format!("root:x:0:\nlinkbeat:x:{id}:\n"));
        let device = device("modes", &[json, ("group", group.as_deref().unwrap_or_default())]);
        let file = device.0.join(MEETING);
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("own file");
        let manager = WebManager::find(&device.0).expect("is installed");
        let texts: Vec<_> = manager.unreadable().map(|it| it.to_string()).collect();
        let path = file.display();
        let text = format!(
            "{path}: the user linkbeat may not read mode {mode:04o}: chgrp linkbeat {path} && \
             chmod 0640 {path}"
        );
        assert_eq!(texts, if found { vec![text] } else { Vec::new() }, "{mode:o}");
    }
}
