//! `src/MIGRATION.md` as an operator follows it, there and back: who beats, and what is said about it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linkbeat_support::agent::{Agent, Line, SOON, Setting, binary_or, expect_line};
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;
use serde_json::Value;

const PAGE: &str = include_str!("../../src/MIGRATION.md");
const WARNING: &str = "the web manager sends beats too";
const UNITS: &str = "/etc/systemd/system";
/// Two workers with two loops each.
const LOOPS: usize = 4;
const INTERVAL: Duration = Duration::from_secs(1);
/// Time in which a second sender would be noticed.
const SEVERAL: Duration = Duration::from_secs(4);

fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// Whether a beat comes from the web manager.
fn is_managers(beat: &Beat) -> bool {
    !beat.header("user-agent").is_some_and(|agent| agent.starts_with("linkbeat/"))
}

/// A device with the web manager alone, and later with linkbeat beside it.
struct Device {
    world: World,
    manager: Agent,
    beats: Follower<Beat>,
}

impl Device {
    /// Starts the web manager, and waits until all its loops beat.
    fn start() -> Self {
        let world = World::new();
        let beats = world.receiver.beats().follow();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/manager.py");
        let mut setting =
            Setting::new(&world).every(1).own("status_listen", "unix:/run/linkbeat/http.sock");
        setting.arguments = vec![script.to_str().expect("a path in UTF-8").to_owned()];
        let manager = Agent::start(&world, "python3", &setting);
        let unit = manager.file(&format!("{UNITS}/rpi-cam-webmanager.service"));
        let wants = manager.file(&format!("{UNITS}/multi-user.target.wants"));
        fs::create_dir_all(&wants).expect("a directory of our own");
        fs::write(&unit, "[Unit]\n").expect("a file of our own");
        symlink("../rpi-cam-webmanager.service", wants.join("rpi-cam-webmanager.service"))
            .expect("a link");
        let env = "RTSP_PORT=\"8554\"\nMEETING_ENABLED=\"yes\"\nMEETING_API_URL=\"\"\nMEETING_DEVICE_KEY=\"\"\n\
                   MEETING_TOKEN_CODE=\"\"\nMEETING_PROVISIONED=\"no\"\nWIFI_MANUAL_OVERRIDE=yes\n";
        fs::write(manager.file("/etc/rpi-cam/config.env"), env).expect("a file of our own");
        let device = Self { world, manager, beats };
        device.all_loops("beats", &mut device.manager.lines().follow_all());
        device
    }

    /// Waits until each loop has said so.
    fn all_loops(&self, what: &str, lines: &mut Follower<Line>) {
        for _ in 0..LOOPS {
            expect_line(lines, what, 2 * SOON);
        }
    }

    /// Waits for a beat of each loop, and for no other sender's.
    fn all_loops_beat(&mut self) {
        let mut heard = BTreeSet::new();
        while heard.iter().filter(|note: &&String| note.starts_with("loop ")).count() < LOOPS {
            let beat = self.beats.next("beat", 2 * SOON);
            assert!(is_managers(&beat), "{beat:?}");
            heard.insert(beat.body["note"].as_str().unwrap_or_default().to_owned());
        }
    }

    fn install(&self) -> Agent {
        self.manager.start_beside(&self.world, binary(), &["run"])
    }

    /// Runs the commands of a section of the page that edit `file`.
    fn follow_page(&self, section: &str, file: &str) {
        let (_, rest) =
            PAGE.split_once(&format!("\n## {section}\n")).expect("the section is there");
        let section = rest.split("\n## ").next().unwrap_or(rest);
        let commands: Vec<_> =
            section.lines().filter(|line| line.starts_with("    sed ")).collect();
        let commands: Vec<_> = commands.into_iter().filter(|line| line.contains(file)).collect();
        assert!(!commands.is_empty(), "{section}");
        for command in commands {
            // Where the file of linkbeat lies beside the other.
            let own = self.manager.file("/etc/linkbeat/linkbeat.json");
            let command = if own.exists() {
                command.to_owned()
            } else {
                command.replace("/etc/linkbeat/", "/etc/rpi-cam/")
            };
            let done = self.manager.beside(&self.world, "sh", &["-ec", &command]);
            assert!(done.status.success(), "{command}: {done:?}");
        }
    }

    /// What a command of linkbeat prints.
    fn says(&self, arguments: &[&str]) -> String {
        let said = self.manager.beside(&self.world, binary(), arguments);
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Does a request of the page of the web manager.
    fn page(&self, path: &str, body: &str) {
        let answer = self.world.device.within(|| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 5000)).expect("connect");
            let length = body.len();
            write!(
                stream,
                "POST {path} HTTP/1.1\r\nHost: camera\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .expect("a request is sent");
            let mut answer = String::new();
            stream.set_read_timeout(Some(SOON)).expect("not zero");
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        });
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    }

    /// Silences the web manager as the page says, and waits until its loops have seen it.
    fn silence(&self) {
        let mut lines = self.manager.lines().follow();
        self.follow_page("Two minutes per camera", "");
        self.all_loops("is silent", &mut lines);
    }

    /// Checks that one sender beats once per interval.
    fn beats_once_per_interval(&mut self) {
        self.beats.skip();
        self.beats.expect_none("beat of the web manager", SEVERAL, is_managers);
        let beats: Vec<Beat> = self.beats.drain();
        assert!(beats.len() >= 2, "{beats:?}");
        for pair in beats.windows(2) {
            let [one, next] = pair else { continue };
            let gap = Duration::from_micros(next.received_us - one.received_us);
            // One of them may be late.
            assert!(gap >= INTERVAL / 2, "{pair:?}");
            assert_eq!((next.reason(), next.seq()), ("interval", one.seq() + 1), "{pair:?}");
        }
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.says(&["status", "--json"])).expect("JSON")
    }

    fn warnings(&self) -> usize {
        let status = self.status();
        let warnings = status["warnings"].as_array().expect("a list");
        warnings.iter().filter_map(Value::as_str).filter(|text| text.contains(WARNING)).count()
    }
}

/// How often the log has the warning.
fn logged(agent: &Agent) -> usize {
    agent.lines().all().iter().filter(|line| line.text.contains(WARNING)).count()
}

#[test]
fn one_beat_per_interval_after_the_migration_and_the_old_ones_after_the_way_back() {
    let mut device = Device::start();
    device.all_loops_beat();

    let mut linkbeat = device.install();
    device.beats.expect("beat of linkbeat", SOON, |beat| !is_managers(beat));
    linkbeat.said(WARNING);
    assert_eq!(device.warnings(), 1);
    assert!(device.says(&["check"]).contains(&format!("warning: {WARNING}")));
    device.beats.skip();
    device.beats.expect("beat of the web manager", SOON, is_managers);

    device.silence();
    linkbeat.said("[Meeting] Heartbeat sent");
    device.beats_once_per_interval();
    assert_eq!((logged(&linkbeat), device.warnings()), (1, 0));
    assert!(!device.says(&["check"]).contains(WARNING));

    device.follow_page("One minute back", "");
    linkbeat.end();
    device.beats.skip();
    device.all_loops_beat();
    let goes_on = |beat: &Beat| !is_managers(beat) && beat.body.get("stopping").is_none();
    device.beats.expect_none("beat of linkbeat", SEVERAL, goes_on);
}

#[test]
fn provisioning_is_followed_and_wakes_the_old_heartbeat_which_is_said_again() {
    let mut device = Device::start();
    let linkbeat = device.install();
    linkbeat.said(WARNING);
    device.silence();
    device.beats_once_per_interval();

    let mut lines = device.manager.lines().follow();
    let mut said = linkbeat.lines().follow();
    let body = r#"{"device_key": "camera-9", "token_code": "other-token"}"#;
    device.page("/api/meeting/provision", body);
    let of_key = |beat: &Beat| beat.device_key() == "camera-9";
    let beat =
        device.beats.expect("beat of linkbeat", SOON, |beat| !is_managers(beat) && of_key(beat));
    assert_eq!(
        (beat.reason(), beat.header("x-token-code")),
        ("config_changed", Some("other-token"))
    );
    device.beats.expect("beat of the web manager", SOON, |beat| is_managers(beat) && of_key(beat));
    expect_line(&mut said, WARNING, SOON);
    assert_eq!((logged(&linkbeat), device.warnings()), (2, 1));

    // A loop that sleeps through the time between would say nothing.
    device.all_loops("beats", &mut lines);
    device.follow_page("Two minutes per camera", "meeting.json");
    device.all_loops("is silent", &mut lines);
    device.beats_once_per_interval();
    assert_eq!((logged(&linkbeat), device.warnings()), (2, 0));
}

#[test]
fn after_a_master_reset_nothing_reaches_the_former_server_and_check_says_why() {
    let mut device = Device::start();
    let linkbeat = device.install();
    linkbeat.said(WARNING);
    device.silence();
    device.beats_once_per_interval();

    device.page("/api/meeting/master-reset", "");
    while device.status()["api_url"] != "https://meeting.example.com" {}
    device.beats.skip();
    device.beats.expect_none("beat", SEVERAL, |_| true);
    let found = device.says(&["check"]);
    assert!(
        found.contains("warning: meeting.example.com is what a master reset leaves"),
        "{found}"
    );
    assert_eq!(device.warnings(), 0, "the reset silences the web manager");
}
