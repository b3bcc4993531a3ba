//! The configuration as an unprivileged user: files that cannot be read or watched.
//!
//! The tests run themselves again as another user, because root may do everything.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linkbeat::config::{self, ConfigFiles};
use linkbeat::net::watch::Watch;

/// A user and group that own nothing (`nobody`, which has this number everywhere).
const NOBODY: u32 = 65_534;
/// Environment variable with the directory, for the run as another user.
const DIRECTORY: &str = "LINKBEAT_TEST_DIRECTORY";
/// Prefix of the lines that the other run reports.
const REPORT: &str = "report: ";

/// A directory for one test, removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("linkbeat-config-user-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("etc")).expect("a directory for the test");
        let directory = Self(path);
        directory.write("meeting.json", r#"{"token_code": "s3cret"}"#);
        directory.write("config.env", "MEETING_ENABLED=no");
        directory.set_mode("", 0o755);
        directory.set_mode("etc", 0o755);
        directory
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join("etc").join(file), text).expect("own file");
    }

    fn set_mode(&self, path: &str, mode: u32) {
        let permissions = Permissions::from_mode(mode);
        fs::set_permissions(self.0.join(path), permissions).expect("own file");
    }

    /// The lines that the test `part` reports about this directory, run as another user.
    fn report_of(&self, part: &str) -> String {
        // proc(5): the child itself follows the link, whatever the directories above the program
        // permit.
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", part, "--nocapture"]).env(DIRECTORY, self.0.join("etc"));
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().expect("this program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let reports =
            text.lines().filter_map(|line| line.split_once(REPORT).map(|(_, report)| report));
        reports.map(|line| line.replace(&format!("{}/", self.0.display()), "") + "\n").collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.set_mode("etc", 0o755);
        fs::remove_dir_all(&self.0).expect("the test's own directory");
    }
}

#[test]
fn an_unreadable_file_is_reported_with_the_command_to_fix_it() {
    let directory = Directory::new("file");
    directory.set_mode("etc/meeting.json", 0);
    let expected = "\
etc/meeting.json: error: linkbeat may not read the file: \
chgrp linkbeat etc/meeting.json && chmod 0640 etc/meeting.json
usable: false
";
    assert_eq!(directory.report_of("load_as_another_user"), expected);
}

#[test]
fn an_inaccessible_directory_is_reported_with_the_command_to_fix_it() {
    let directory = Directory::new("directory");
    directory.set_mode("etc", 0);
    let report = directory.report_of("load_as_another_user");
    let mend = "linkbeat may not enter the directory: chgrp linkbeat etc && chmod 2750 etc";
    let first = report.lines().next().expect("a problem");
    let expected = format!("etc/meeting.json: error: {mend}");
    assert_eq!(first.replace(&directory.0.display().to_string(), ""), expected);
    assert!(report.ends_with("usable: false\n"), "{report}");
}

#[test]
fn without_permission_the_file_is_watched_or_polled_instead() {
    let directory = Directory::new("watch");
    directory.set_mode("etc", 0o311);
    directory.set_mode("etc/meeting.json", 0o666);
    assert_eq!(directory.report_of("watch_as_another_user"), "event: true\nstat: false\n");
    directory.set_mode("etc/meeting.json", 0o222);
    assert_eq!(directory.report_of("watch_as_another_user"), "event: false\nstat: true\n");
    directory.set_mode("etc", 0o755);
    assert_eq!(directory.report_of("watch_as_another_user"), "event: true\nstat: false\n");
}

/// The directory to examine; `None` in the first run, in which the tests below do nothing.
fn directory_of_the_other_run() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

#[test]
fn load_as_another_user() {
    let Some(directory) = directory_of_the_other_run() else { return };
    let loaded = config::load(&directory.join("meeting.json"));
    for problem in &loaded.problems {
        println!("\n{REPORT}{problem}");
    }
    println!("\n{REPORT}usable: {}", loaded.config.is_some());
}

#[test]
fn watch_as_another_user() {
    let Some(directory) = directory_of_the_other_run() else { return };
    let file = directory.join("meeting.json");
    let files = ConfigFiles::of(&file);
    let mut watch = Watch::new(files.all(), &[] as &[&Path], &[]);
    fs::write(&file, r#"{"enabled": true}"#).expect("everybody may write it");
    println!("\n{REPORT}event: {}", watch.drain().config);
    println!("\n{REPORT}stat: {}", watch.stat_changed().config);
    fs::write(&file, r#"{"token_code": "s3cret"}"#).expect("everybody may write it");
}
