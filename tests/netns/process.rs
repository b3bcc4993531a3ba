//! The process: signals, a second instance, and files that change while it runs.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::certificates::Certificates;
use linkbeat_support::world::{SERVER_NAME, World};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::camera::{Camera, RARELY, binary};

const MEETING: &str = "/etc/rpi-cam/meeting.json";
const OWN: &str = "/etc/linkbeat/linkbeat.json";

/// The content of meeting.json with another device key.
fn renamed(world: &World, key: &str) -> String {
    Setting::new(world).every(RARELY).meeting("device_key", key).meeting.to_string()
}

#[test]
fn sigterm_ends_at_once_and_cleanly() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    assert!(camera.agent.end().success());
    assert!(!camera.agent.socket().exists());
}

/// The value of a line of `/proc/PID/status` or `/proc/PID/limits` that begins with this name.
fn process_says(camera: &Camera, file: &str, name: &str) -> String {
    let path = format!("/proc/{}/{file}", camera.agent.pid());
    let text = fs::read_to_string(path).expect("a file of the agent");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn agent_gives_up_what_it_never_needs_before_its_first_beat() {
    let world = World::new();
    let camera = Camera::calm(&world);
    assert_eq!(process_says(&camera, "limits", "Max core file size"), "1 1 bytes");
    assert_eq!(process_says(&camera, "status", "NoNewPrivs:"), "1");
    let status: Value = serde_json::from_str(&camera.agent.ask("status").unwrap()).unwrap();
    let mut sandbox = json!({ "no_new_privs": true, "no_core": true, "filter": true });
    // An emulator of another machine has no filter; that is a warning, and beats go on.
    let emulated = std::env::var_os("LINKBEAT").is_some();
    let complete = status["sandbox"] == sandbox;
    if emulated && !complete {
        sandbox["filter"] = false.into();
        assert_eq!(status["sandbox"], sandbox);
        assert!(
            status["warnings"].to_string().contains("the sandbox is incomplete, the filter of")
        );
    } else {
        assert_eq!(status["sandbox"], sandbox);
        assert_eq!(process_says(&camera, "status", "Seccomp:"), "2");
    }
}

#[test]
fn debugger_has_the_agent_without_its_sandbox() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.arguments.push("--no-sandbox".to_owned());
    let camera = Camera::start(&world, &setting);
    let status: Value = serde_json::from_str(&camera.agent.ask("status").unwrap()).unwrap();
    assert!(status["sandbox"].is_null(), "{status}");
    assert!(!status["warnings"].to_string().contains("sandbox"), "{status}");
    // Whatever these tests run in.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let given = own.lines().find(|line| line.starts_with("Seccomp:")).unwrap();
    let given = given.split_whitespace().last().unwrap();
    assert_eq!(process_says(&camera, "status", "Seccomp:"), given);
}

#[test]
fn sigterm_ends_the_agent_during_a_beat() {
    let world = World::new();
    world.receiver.follow("hang").unwrap();
    let mut camera = Camera::silent(&world, &Setting::new(&world));
    camera.beat();
    assert!(camera.agent.end().success());
}

#[test]
fn stopped_and_continued_agent_catches_up_with_the_links() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    camera.agent.signal(Signal::STOP);
    world.pull("eth0");
    camera.stays_silent();
    camera.agent.signal(Signal::CONT);
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
}

#[test]
fn stopped_past_its_interval_beats_once_when_continued() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let last = camera.beat_for("interval").seq();
    camera.agent.signal(Signal::STOP);
    camera.beats.expect_none("beat of a stopped agent", Duration::from_secs(4), |beat| {
        beat.seq() > last + 1
    });
    camera.beats.skip();
    camera.agent.signal(Signal::CONT);
    let first = camera.beat();
    let second = camera.beat();
    // Missed beats are not made up for.
    assert!(second.received_us - first.received_us > 500_000, "{first:?} {second:?}");
}

#[test]
fn rewritten_configuration_takes_effect_however_it_is_written() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let file = camera.agent.file(MEETING);
    let expect = |camera: &mut Camera, key: &str| {
        let beat = camera.beat_for("config_changed");
        assert_eq!(beat.path, format!("/api/devices/{key}/online"));
    };

    // As the web manager of the reference implementation does: truncate and write.
    fs::write(&file, renamed(&world, "in-place")).unwrap();
    expect(&mut camera, "in-place");

    let new = camera.agent.file("/etc/rpi-cam/meeting.json.new");
    fs::write(&new, renamed(&world, "renamed-over")).unwrap();
    fs::rename(&new, &file).unwrap();
    expect(&mut camera, "renamed-over");

    fs::remove_file(&file).unwrap();
    fs::write(&file, renamed(&world, "removed-and-made")).unwrap();
    expect(&mut camera, "removed-and-made");

    // The file linkbeat.json overrides it.
    let mut own = Setting::new(&world).own;
    own["device_key"] = json!("beside");
    fs::write(camera.agent.file(OWN), own.to_string()).unwrap();
    expect(&mut camera, "beside");
}

#[test]
fn sighup_reads_the_configuration_again() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    fs::write(camera.agent.file(MEETING), renamed(&world, "other")).unwrap();
    camera.agent.signal(Signal::HUP);
    assert_eq!(camera.beat_for("config_changed").path, "/api/devices/other/online");
    camera.stays_silent();
}

#[test]
fn configuration_rewritten_without_a_change_causes_no_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let file = camera.agent.file(MEETING);
    let same = fs::read(&file).unwrap();
    fs::write(&file, same).unwrap();
    camera.stays_silent();
}

#[test]
fn invalid_configuration_is_reported_and_changes_nothing() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let file = camera.agent.file(MEETING);
    for rubbish in ["", "{", "{\"api_url\": 7}", "\0\0\0", "[[[[[[[[[[[[[[[[[[[["] {
        let mut lines = camera.agent.lines().follow();
        fs::write(&file, rubbish).unwrap();
        lines.expect("complaint", SOON, |line| line.text.contains("meeting.json"));
        camera.ring();
        assert_eq!(camera.beat().path, "/api/devices/camera-1/online");
    }
    fs::write(&file, renamed(&world, "mended")).unwrap();
    assert_eq!(camera.beat_for("config_changed").path, "/api/devices/mended/online");
}

#[test]
fn change_of_the_ca_file_is_a_change_of_the_configuration() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let file = camera.agent.file("/etc/ca.pem");
    let authority = fs::read(&file).unwrap();
    fs::write(&file, &authority).unwrap();
    camera.stays_silent();

    let mut lines = camera.agent.lines().follow();
    fs::write(&file, "rubbish").unwrap();
    lines.expect("complaint", SOON, |line| line.text.contains("tls.ca_file"));
    camera.ring();
    camera.beat_for("trigger");

    let other = Certificates::new(&[SERVER_NAME]);
    fs::write(&file, other.authority_pem()).unwrap();
    lines.expect("failure", SOON, |line| line.text.contains("[Meeting] Heartbeat failed"));
    fs::write(&file, &authority).unwrap();
    camera.beat_for("config_changed");
}

#[test]
fn client_certificate_and_key_may_be_written_one_after_the_other() {
    let made = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([String::from("camera-1")]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let world = World::new();
    let tls = json!({
        "ca_file": "/etc/ca.pem", "client_cert": "/etc/own.pem", "client_key": "/etc/own.key",
    });
    let setting = Setting::new(&world).every(RARELY).own("tls", tls);
    let mut camera = Camera::silent(&world, &setting);
    camera.agent.said("tls.client_cert: cannot read /etc/own.pem");
    let (certificate, key) = (camera.agent.file("/etc/own.pem"), camera.agent.file("/etc/own.key"));
    let (first, second) = (made(), made());
    fs::write(&certificate, &first.0).unwrap();
    camera.agent.said("tls.client_key: cannot read /etc/own.key");
    fs::write(&key, &first.1).unwrap();
    assert_eq!(camera.beat().reason(), "startup");

    // The certificate is renewed before its key. The former pair stays in force until both match.
    fs::write(&certificate, &second.0).unwrap();
    camera.agent.said("is not that of the first certificate");
    camera.ring();
    camera.beat_for("trigger");
    fs::write(&key, &second.1).unwrap();
    camera.beat_for("config_changed");
}

#[test]
fn configuration_without_a_device_key_derives_one() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_lowercase();
    let derived = format!("/api/devices/{host}-00163e000001/online");
    let file = camera.agent.file(MEETING);
    let nameless = Setting::new(&world).every(RARELY).meeting("device_key", "");
    fs::write(&file, nameless.meeting.to_string()).unwrap();
    assert_eq!(camera.beat_for("config_changed").path, derived);

    let mut off = nameless.clone().meeting("enabled", false);
    let mut lines = camera.agent.lines().follow();
    fs::write(&file, off.meeting.to_string()).unwrap();
    lines.expect("notice", SOON, |line| line.text.contains("no beat is sent: enabled is false"));
    camera.ring();
    camera.stays_silent();
    fs::write(&file, nameless.meeting.to_string()).unwrap();
    assert_eq!(camera.beat_for("config_changed").path, derived);

    // The server's settings move to the other file, and this one is removed.
    off.own["api_url"] = off.meeting["api_url"].take();
    fs::write(camera.agent.file(OWN), off.own.to_string()).unwrap();
    fs::remove_file(&file).unwrap();
    camera.ring();
    assert_eq!(camera.beat().path, derived);
}

#[test]
fn configuration_without_a_server_sends_nothing_and_is_reported() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let file = camera.agent.file(MEETING);
    let mut lines = camera.agent.lines().follow();
    let nowhere = Setting::new(&world).every(1).meeting("api_url", "");
    fs::write(&file, nowhere.meeting.to_string()).unwrap();
    lines.expect("notice", SOON, |line| line.text.contains("no beat is sent: api_url is not set"));
    camera.ring();
    camera.stays_silent();
    fs::write(&file, "{").unwrap();
    lines.expect("complaint", SOON, |line| line.text.contains("is unusable"));
    fs::write(&file, nowhere.meeting.to_string()).unwrap();
    lines.expect("relief", SOON, |line| line.text.contains("usable again"));
    fs::write(&file, renamed(&world, "back")).unwrap();
    assert_eq!(camera.beat_for("config_changed").path, "/api/devices/back/online");
}

#[test]
fn disabled_agent_is_silent_until_it_is_enabled() {
    let world = World::new();
    let setting = Setting::new(&world).every(1).meeting("enabled", false);
    let mut camera = Camera::silent(&world, &setting);
    camera.stays_silent();
    camera.ring();
    world.pull("eth0");
    camera.stays_silent();
    let enabled = Setting::new(&world).every(1).meeting.to_string();
    fs::write(camera.agent.file(MEETING), enabled).unwrap();
    camera.beat();
}

#[test]
fn agent_without_auto_connect_waits_for_a_trigger() {
    let world = World::new();
    let setting = Setting::new(&world).every(1).meeting("auto_connect", false);
    let mut camera = Camera::silent(&world, &setting);
    camera.stays_silent();
    camera.ring();
    camera.beat_for("trigger");
    camera.beat_for("interval");
}

#[test]
fn first_boot_without_any_configuration_waits_for_one() {
    let world = World::new();
    let whole = Setting::new(&world);
    let mut setting = whole.clone();
    (setting.meeting, setting.own) = (Value::Null, Value::Null);
    let mut camera = Camera::silent(&world, &setting);
    camera.stays_silent();
    camera.ring();
    camera.stays_silent();
    fs::write(camera.agent.file(OWN), whole.own.to_string()).unwrap();
    fs::write(camera.agent.file(MEETING), whole.meeting.to_string()).unwrap();
    camera.beat();
}

#[test]
fn memory_does_not_grow_over_many_beats() {
    let world = World::new();
    let setting = Setting::new(&world)
        .every(RARELY)
        .own("moderation", json!({ "trigger": { "burst": 1000, "every_ms": 0 } }));
    let mut camera = Camera::start(&world, &setting);
    let beat = |camera: &mut Camera| {
        camera.ring();
        camera.beat();
    };
    (0..200).for_each(|_| beat(&mut camera));
    let before_kb = camera.agent.resident_kb();
    (0..2000).for_each(|_| beat(&mut camera));
    let after_kb = camera.agent.resident_kb();
    assert!(after_kb <= before_kb + 64, "{before_kb} kB, then {after_kb} kB");
}

#[test]
fn agent_needs_no_capability() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.capable = false;
    let mut camera = Camera::start(&world, &setting);
    world.pull("eth0");
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
}

#[test]
fn strict_reverse_path_filter_is_a_warning_in_the_status() {
    let world = World::new();
    world.device.sysctl("ipv4/conf/all/rp_filter", "0");
    world.device.sysctl("ipv4/conf/wlan1/rp_filter", "1");
    let camera = Camera::calm(&world);
    let said = camera.agent.beside(&world, binary(), &["status"]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.contains("sysctl -w net.ipv4.conf.wlan1.rp_filter=2"), "{text}");
    assert!(!text.contains("eth0.rp_filter"), "{text}");
    // An interface that is no uplink causes no warning.
    world.unlease("wlan1");
    let said = camera.agent.beside(&world, binary(), &["status"]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(!text.contains("rp_filter"), "{text}");
}

#[test]
fn occupied_port_is_reported_and_used_when_it_is_free() {
    let world = World::new();
    let other = world.device.within(|| TcpListener::bind("127.0.0.1:5000").unwrap());
    // Left to the agent, the place would be another one.
    let setting = Setting::new(&world).every(1).own("status_listen", "127.0.0.1:5000");
    let mut camera = Camera::start(&world, &setting);
    let mut lines = camera.agent.lines().follow();
    let said = camera.agent.beside(&world, binary(), &["status"]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.contains("127.0.0.1:5000"), "{text}");
    camera.beat_for("interval");
    drop(other);
    lines.expect("port", Duration::from_secs(10), |line| {
        line.text.contains("status server listens on 127.0.0.1:5000")
    });
    camera.beat_for("interval");
}
