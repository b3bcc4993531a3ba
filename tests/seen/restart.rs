//! The history over restarts of the agent, in its state_file.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

use linkbeat::sys::atomic_file::is_in_memory;
use linkbeat_support::space::unique;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::camera::Camera;

/// A file in memory, removed at the end of the test.
struct Kept(PathBuf);

impl Kept {
    fn new() -> Self {
        Self(PathBuf::from(format!("/dev/shm/linkbeat-state-{}", unique())))
    }

    fn camera(&self) -> Camera {
        // The last beat would be in the file, or too late for it.
        Camera::start(&json!({ "state_file": self.0, "goodbye": false }))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn ids(history: &Value, key: &str, earlier: bool) -> Vec<u64> {
    let entries = history[key].as_array().expect("a list").iter();
    let entries = entries.filter(|entry| entry.get("earlier").is_some() == earlier);
    entries.map(|entry| entry["id"].as_u64().expect("a number")).collect()
}

#[test]
fn restart_keeps_the_history() {
    let kept = Kept::new();
    let mut camera = kept.camera();
    camera.trigger();
    let before = camera.history("");
    camera.end(Signal::TERM);
    camera.run();
    camera.trigger();
    let after = camera.history("");
    for key in ["beats", "transitions"] {
        assert_eq!(ids(&after, key, true), ids(&before, key, false), "{after}");
        let last = before["last_id"].as_u64().expect("a number");
        assert!(ids(&after, key, false).iter().all(|id| *id > last), "{after}");
        assert!(!ids(&after, key, false).is_empty(), "{after}");
    }
    assert_ne!(before["run"], after["run"]);
    assert_eq!(after["beats"][0]["at"], before["beats"][0]["at"]);
    assert_eq!(after["hours"][0]["beats"], 4);
    assert_eq!(after["histograms"]["round_trip"]["count"], 2, "numbers are since start");
    assert!(camera.log().contains("the history goes on from /dev/shm/"), "{}", camera.log());
    assert!(!camera.log().contains("is on a disk"), "{}", camera.log());
}

#[test]
fn file_is_not_written_for_every_beat() {
    let kept = Kept::new();
    let camera = kept.camera();
    let first = fs::metadata(&kept.0).expect("the first write is at start").ino();
    (0..5).for_each(|_| camera.trigger());
    assert_eq!(fs::metadata(&kept.0).expect("it stays").ino(), first);
    assert_eq!(fs::metadata(&kept.0).expect("it stays").mode() & 0o7777, 0o640);
}

#[test]
fn damage_is_reported_and_the_agent_goes_on_without() {
    let kept = Kept::new();
    let mut camera = kept.camera();
    camera.trigger();
    camera.end(Signal::TERM);
    let mut bytes = fs::read(&kept.0).expect("it was written at the end");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept.0, bytes).expect("write");
    camera.run();
    let history = camera.history("");
    assert_eq!(ids(&history, "transitions", true), [0_u64; 0]);
    assert_eq!(history["transitions"][0]["id"], 1);
    assert!(camera.log().contains("is lost: it is damaged"), "{}", camera.log());
    // One that is killed has written what it knew last.
    camera.end(Signal::KILL);
    camera.run();
    assert_eq!(ids(&camera.history(""), "transitions", true)[0], 1);
}

#[test]
fn place_on_a_disk_and_place_that_is_none_are_reported() {
    let kept = Kept(std::env::temp_dir().join(format!("linkbeat-state-{}", unique())));
    let camera = kept.camera();
    let on_disk = is_in_memory(&kept.0) == Some(false);
    assert_eq!(camera.log().contains("is on a disk"), on_disk, "{}", camera.log());
    let nowhere = Kept(PathBuf::from("/proc/self/state"));
    let camera = nowhere.camera();
    camera.trigger();
    let log = camera.log();
    assert_eq!(log.matches("the history cannot be kept in /proc/self/state").count(), 1, "{log}");
    assert!(!kept.0.with_extension("new").exists());
}

#[test]
fn file_of_another_program_is_never_replaced() {
    let hosts = "127.0.0.1 localhost\n";
    let kept = Kept::new();
    fs::write(&kept.0, hosts).expect("a file");
    let mut camera = kept.camera();
    camera.trigger();
    camera.end(Signal::TERM);
    assert_eq!(fs::read_to_string(&kept.0).expect("it stays"), hosts);
    let log = camera.log();
    assert_eq!(log.matches("it is not a file of linkbeat").count(), 1, "{log}");
    assert!(log.contains("not a file of linkbeat: name another path"), "{log}");
    // Empty it has nothing to lose.
    fs::write(&kept.0, "").expect("a file");
    camera.run();
    camera.end(Signal::TERM);
    assert!(fs::read(&kept.0).expect("a history").starts_with(b"linkbeat history "));
}

#[test]
fn history_of_another_user_is_not_believed() {
    let kept = Kept::new();
    let mut camera = kept.camera();
    camera.trigger();
    camera.end(Signal::TERM);
    // Only root can give a file away.
    if chown(&kept.0, Some(65_534), None).is_err() {
        return;
    }
    camera.run();
    assert_eq!(ids(&camera.history(""), "beats", true), [0_u64; 0]);
    assert!(camera.log().contains("is lost: it is another user's"), "{}", camera.log());
}
