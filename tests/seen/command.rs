//! `linkbeat status` and `linkbeat events`, asked once, watched, and left alone by their agent.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use linkbeat_support::agent::binary_or;
use linkbeat_support::receiver::{Answer, Behaviour};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::camera::{Camera, PATIENCE};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// A command under way, and its lines as they come.
struct Watcher {
    process: Child,
    lines: Option<Receiver<String>>,
}

impl Watcher {
    fn start(camera: &Camera, arguments: &[&str]) -> Self {
        let mut command = camera.linkbeat(arguments);
        command.arg("--socket").arg(camera.socket()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("run linkbeat");
        let stdout = process.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            // Without anybody who listens the pipe is closed.
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line).ok());
        });
        Self { process, lines: Some(lines) }
    }

    /// The next line, which has to have these words in it.
    fn next(&self, words: &str) -> String {
        let lines = self.lines.as_ref().expect("somebody listens");
        let line = lines.recv_timeout(PATIENCE).expect(words);
        assert!(line.contains(words), "{words}: {line}");
        line
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }
}

fn refuse(camera: &Camera) {
    let answer = Answer::Status { code: 404, header: None };
    camera.receiver.behave(Behaviour { answer, ..Behaviour::default() });
    camera.http("POST /api/meeting/heartbeat");
}

#[test]
fn status_shows_the_state_and_the_last_outage() {
    let camera = Camera::start(&json!({}));
    let said = camera.says(&["status"]);
    let page = text(&said.stdout);
    assert_eq!(said.status.code(), Some(0), "{page}");
    assert!(page.starts_with("online for "), "{page}");
    assert!(page.contains(": startup, seq 1, answered 200"), "{page}");
    assert!(!page.contains("last outage") && !page.contains('\x1b'), "{page}");
    refuse(&camera);
    let said = camera.says(&["status"]);
    let page = text(&said.stdout);
    assert_eq!(said.status.code(), Some(1), "{page}");
    assert!(page.starts_with("rejected for "), "{page}");
    assert!(page.contains("\n  last outage  ongoing, began "), "{page}");
    assert!(page.contains(" ago, 1 beat missed: beats failed (http_404)\n"), "{page}");
    camera.receiver.behave(Behaviour::default());
    camera.trigger();
    let said = camera.says(&["status"]);
    assert_eq!(said.status.code(), Some(0));
    assert!(text(&said.stdout).contains("\n  last outage  ended "), "{said:?}");
    let said = camera.says(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!(status["last_outage"]["kind"], "failing");
    assert_eq!(status["last_outage"]["cause"], "http_404");
    assert!(status["last_outage"]["lasted"].is_u64(), "{status}");
}

#[test]
fn events_are_listed_newest_last() {
    let camera = Camera::start(&json!({}));
    camera.trigger();
    let said = camera.says(&["events"]);
    let lines: Vec<_> = text(&said.stdout).lines().collect();
    assert!(lines[0].ends_with("  started    the agent started"), "{lines:?}");
    let beats: Vec<_> = lines.iter().filter(|line| line.contains("  beat       ")).collect();
    assert!(beats[0].contains("startup, seq 1, answered 200"), "{lines:?}");
    assert!(beats[1].contains("trigger, seq 2, answered 200"), "{lines:?}");
    assert_eq!(said.status.code(), Some(0));
    let said = camera.says(&["events", "--json"]);
    let history: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!(history["beats"].as_array().map(Vec::len), Some(2));
}

#[test]
fn watched_status_prints_changes_only_and_outlives_the_agent() {
    let mut camera = Camera::start(&json!({}));
    let watcher = Watcher::start(&camera, &["status", "--watch"]);
    watcher.next("Z online");
    camera.trigger();
    refuse(&camera);
    watcher.next("Z rejected: the server answered 404");
    camera.end(Signal::KILL);
    watcher.next("no agent");
    camera.receiver.behave(Behaviour::default());
    camera.run();
    watcher.next("Z online");
    let watcher = Watcher::start(&camera, &["status", "--watch", "--json"]);
    let status: Value = serde_json::from_str(&watcher.next("online")).expect("JSON");
    assert_eq!(status["connected"], true);
    camera.end(Signal::TERM);
    let gone: Value = serde_json::from_str(&watcher.next("error")).expect("JSON");
    assert_eq!(gone["success"], false);
}

#[test]
fn followed_events_go_on_after_a_restart() {
    let mut camera = Camera::start(&json!({}));
    let watcher = Watcher::start(&camera, &["events", "--follow"]);
    watcher.next("  started  ");
    while !watcher.next("Z  ").contains("  beating  ") {}
    camera.trigger();
    watcher.next("  beat       trigger, seq 2, answered 200");
    camera.end(Signal::KILL);
    camera.run();
    watcher.next("  started  ");
}

#[test]
fn watcher_ends_with_its_reader() {
    let camera = Camera::start(&json!({}));
    for arguments in [["status", "--watch"], ["events", "--follow"]] {
        let mut command = camera.linkbeat(&arguments);
        command.arg("--socket").arg(camera.socket()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("run linkbeat");
        let mut stdout = process.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0]).expect("a byte");
        drop(stdout);
        assert_eq!(process.wait().expect("our own child").code(), Some(0));
    }
}

#[test]
fn exit_code_reports_that_no_agent_runs() {
    let mut camera = Camera::start(&json!({}));
    camera.end(Signal::KILL);
    for arguments in [&["status"][..], &["events"], &["events", "--follow"]] {
        assert_eq!(camera.says(arguments).status.code(), Some(3), "{arguments:?}");
    }
}

/// Runs `linkbeat` on a terminal of its own, that of script(1).
fn on_terminal(camera: &Camera, arguments: &str, no_color: &str) -> (Child, ChildStdout) {
    let binary = binary_or(env!("CARGO_BIN_EXE_linkbeat"));
    let line = format!("{} {arguments} --socket {}", binary.display(), camera.socket().display());
    let mut process = Command::new("script")
        .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", no_color)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of Debian's package bsdutils");
    let stdout = process.stdout.take().expect("a pipe");
    (process, stdout)
}

#[test]
fn terminal_is_coloured_unless_its_owner_objects_and_redrawn_in_place() {
    let camera = Camera::start(&json!({}));
    for (no_color, coloured) in [("", true), ("1", false)] {
        for arguments in ["status", "events"] {
            let (mut process, mut stdout) = on_terminal(&camera, arguments, no_color);
            let mut page = String::new();
            stdout.read_to_string(&mut page).expect("text");
            process.wait().expect("our own child");
            assert_eq!(page.contains("\x1b[3"), coloured, "{page:?}");
            assert!(page.contains("startup"), "{page:?}");
        }
    }
    let (mut process, mut stdout) = on_terminal(&camera, "status --watch", "");
    let (mut seen, mut byte) = (String::new(), [0]);
    while seen.matches("\x1b[H").count() < 3 {
        stdout.read_exact(&mut byte).expect("more");
        seen.push(byte[0].into());
    }
    process.kill().expect("our own child");
    process.wait().expect("our own child");
    assert_eq!(seen.matches("\x1b[32monline\x1b[0m for ").count(), 2, "{seen:?}");
    assert!(seen.contains("\x1b[K\x1b[J"), "{seen:?}");
}
