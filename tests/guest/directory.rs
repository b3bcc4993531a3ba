//! The files of the configuration: one of our own, and those that others write, own and close.

use std::time::Duration;

use linkbeat_support::agent::{Agent, Line, SOON, expect_line};
use linkbeat_support::journal::Follower;

use crate::device::{Device, MEETING, OWN, OWN_TEXT, STARTED, has_users};

/// Time in which a test expects that nothing more happens.
const QUIET: Duration = Duration::from_secs(1);

/// What the installer of the web manager does to its directory, and the manual advises.
const INSTALLER: &str = "chown -R root:www-data /etc/rpi-cam; chmod 775 /etc/rpi-cam";
/// What stands before the command that mends a file.
const UNREADABLE: &str = "linkbeat may not read the file: ";
const CLOSED: &str = "linkbeat may not enter the directory: ";
const MENDED: &str = "the configuration is usable again";

/// A device whose agent has sent its first beat.
fn online(device: &mut Device) -> Agent {
    let agent = device.start_agent();
    device.beats.expect("first beat", SOON, |beat| beat.reason() == "startup");
    agent.said("[Meeting] Heartbeat sent");
    agent
}

/// Waits for the report of a file, and runs the command in it.
fn mend(device: &Device, lines: &mut Follower<Line>, message: &str) {
    let line = expect_line(lines, message, SOON);
    let (_, command) = line.text.split_once(message).expect("it was looked for");
    expect_line(lines, "stays in force", SOON);
    device.run(command);
    expect_line(lines, MENDED, SOON);
}

#[test]
fn what_the_installer_leaves_is_read_or_reported_with_the_command_that_mends_it() {
    if !has_users() {
        return;
    }
    let mut device = Device::new();
    let agent = online(&mut device);
    let mut lines = agent.lines().follow();
    for after in ["true", "chmod 600 /etc/rpi-cam/meeting.json"] {
        device.run(&format!("{INSTALLER}; {after}"));
        // Until then the last good one counts.
        agent.ask("trigger --wait").expect("helpers are answered");
        device.beats.expect("beat", SOON, |beat| beat.reason() == "trigger");
        mend(&device, &mut lines, UNREADABLE);
    }
    device.run("chmod 644 /etc/rpi-cam/meeting.json");
    expect_line(&mut lines, "token_code can be read by every user: chgrp linkbeat", SOON);
    // A start in this state is one like any other.
    drop(agent);
    device.run(&format!("{INSTALLER}; chmod 644 /etc/rpi-cam/meeting.json"));
    online(&mut device);
}

#[test]
fn a_member_of_the_managers_group_reads_what_its_installer_leaves() {
    if !has_users() {
        return;
    }
    let mut device = Device::new();
    device.write("/etc/group", "root:x:0:\nwww-data:x:33:linkbeat\nlinkbeat:x:65533:\n");
    device.set_mode("/etc/group", 0o644);
    let agent = online(&mut device);
    device.run(INSTALLER);
    drop(agent);
    online(&mut device);
}

#[test]
fn an_own_file_that_cannot_be_read_starts_nothing() {
    if !has_users() {
        return;
    }
    let mut device = Device::new();
    for (closed, mode, message) in [(OWN, 0o600, UNREADABLE), ("/etc/linkbeat", 0o700, CLOSED)] {
        device.run(&format!("chown root:root {closed}"));
        device.set_mode(closed, mode);
        let agent = device.start_agent();
        let line = agent.said(message);
        starts_nothing(&mut device, &agent);
        let (_, command) = line.text.split_once(message).expect("it was looked for");
        device.run(command);
        device.beats.expect("first beat", SOON, |beat| beat.reason() == "startup");
        agent.said("status server listens on");
        // One that is closed later is reported at that moment, and so is its return.
        let mut lines = agent.lines().follow();
        device.set_mode(closed, mode);
        mend(&device, &mut lines, message);
    }
}

#[test]
fn an_invalid_own_file_starts_nothing() {
    let mut device = Device::new();
    for text in ["", "{", r#"{"heartbeat_interval": "often"}"#, r#"{"tls": {"ca_file": 1}}"#] {
        device.write(OWN, text);
        let agent = device.start_agent();
        agent.said("linkbeat.json:1:");
        starts_nothing(&mut device, &agent);
        device.write(OWN, OWN_TEXT);
        device.beats.expect("first beat", SOON, |beat| beat.reason() == "startup");
    }
}

/// Checks that an agent without a usable configuration answers helpers, says what to do, and does
/// nothing else.
fn starts_nothing(device: &mut Device, agent: &Agent) {
    agent.said(STARTED);
    agent.said("no beat is sent and no port is opened: `linkbeat check /etc/rpi-cam/meeting.json`");
    assert_eq!(agent.ask("trigger").expect("helpers are answered"), "unconfigured");
    device.beats.expect_none("beat", QUIET, |_| true);
    assert!(!device.port_is_taken());
    let status = device.status();
    let done =
        ["state", "probes_sent", "connects", "listens_on"].map(|key| status[key].to_string());
    assert_eq!(done, ["\"unconfigured\"", "0", "0", "null"]);
    assert!(status["advice"].as_str().is_some_and(|it| it.contains("linkbeat check")), "{status}");
}

#[test]
fn a_former_own_file_is_read_with_a_warning_until_it_is_moved() {
    let mut device = Device::new();
    let former = "/etc/rpi-cam/linkbeat.json";
    device.remove(OWN);
    device.run("rmdir /etc/linkbeat");
    device.write(former, &OWN_TEXT.replacen('{', r#"{"device_key": "camera-2", "#, 1));
    let agent = device.start_agent();
    let beat = device.beats.expect("first beat", SOON, |beat| beat.reason() == "startup");
    assert_eq!(beat.device_key(), "camera-2");
    let line = agent.said("its directory is the web manager's: ");
    let (_, command) = line.text.split_once("manager's: ").expect("it was looked for");
    device.run(command);
    assert!(!device.file(former).exists() && device.file(OWN).exists());
    // Nothing has changed, and from now on the other file counts.
    agent.ask("trigger --wait").expect("helpers are answered");
    let beat = device.beats.next("beat", SOON);
    assert_eq!((beat.reason(), beat.device_key()), ("trigger", "camera-2"));
    device.write(OWN, OWN_TEXT);
    let beat = device.beats.next("beat", SOON);
    assert_eq!((beat.reason(), beat.device_key()), ("config_changed", "camera-1"));
    device.write(former, r#"{"device_key": "camera-3"}"#);
    agent.said("is not read beside /etc/linkbeat/linkbeat.json");
    // The web manager may write its file as ever.
    device.write(MEETING, r#"{"api_url": "http://127.0.0.1:8080/api", "device_key": "camera-4"}"#);
    device.beats.expect("beat", SOON, |beat| beat.device_key() == "camera-4");
}
