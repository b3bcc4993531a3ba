//! ConfigFiles changed in every way that editors, managers and DHCP clients have.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::event::PollFlags;

use super::*;
use crate::config::ConfigFiles;
use crate::scratch::Scratch;
use crate::sys::readiness::is_ready;

const NOTHING: Changed = Changed { config: false, resolver: false, manager: false, more: false };
const CONFIG: Changed = Changed { config: true, ..NOTHING };
const RESOLVER: Changed = Changed { resolver: true, ..NOTHING };
const MANAGER: Changed = Changed { manager: true, ..NOTHING };

/// A directory of one test, removed with it.
struct Root(Scratch);

impl Root {
    fn new() -> Self {
        let root = Self(Scratch::new());
        root.create("etc/rpi-cam");
        root.create("run/resolve");
        root.write("etc/rpi-cam/meeting.json", "{}");
        root.write("run/resolve/stub.conf", "nameserver 127.0.0.53");
        root.write("etc/hosts", "127.0.0.1 localhost");
        symlink("../run/resolve/stub.conf", root.at("etc/resolv.conf")).expect("own directory");
        root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.0.join(path)
    }

    fn write(&self, path: &str, text: &str) {
        self.0.write(path, text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).expect("own file");
    }

    fn remove(&self, path: &str) {
        fs::remove_dir_all(self.at(path)).expect("own directory");
    }

    fn create(&self, path: &str) {
        fs::create_dir_all(self.at(path)).expect("own directory");
    }

    fn watch(&self) -> Watch {
        let files = ConfigFiles::of(&self.at("etc/rpi-cam/meeting.json"));
        let resolver = [self.at("etc/resolv.conf"), self.at("etc/hosts")];
        let manager = ["etc/systemd/web.service", "opt/web"].map(|path| self.at(path));
        Watch::new(files.all(), &resolver, &manager)
    }
}

fn is_readable(watch: &Watch) -> bool {
    is_ready(watch.events().expect("inotify is there"), PollFlags::IN).expect("poll works")
}

#[test]
fn quiet_files_cause_no_event() {
    let root = Root::new();
    let mut watch = root.watch();
    root.write("etc/rpi-cam/other.json", "{}");
    root.write("etc/passwd", "");
    File::open(root.at("etc/rpi-cam/meeting.json")).expect("own file");
    assert!(is_readable(&watch));
    assert_eq!(watch.drain(), NOTHING);
    assert!(!is_readable(&watch));
    assert_eq!(watch.stat_changed(), NOTHING);
}

#[test]
fn a_file_is_reported_when_its_writer_closes_it_and_not_before() {
    let root = Root::new();
    let mut watch = root.watch();
    for name in ["meeting.json", "linkbeat.json", "config.env"] {
        let mut file = File::create(root.at("etc/rpi-cam").join(name)).expect("own file");
        file.write_all(b"{").expect("own file");
        assert_eq!(watch.drain(), NOTHING, "{name} is half written");
        file.write_all(b"}").expect("own file");
        drop(file);
        assert_eq!(watch.drain(), CONFIG, "{name}");
        assert_eq!(watch.drain(), NOTHING, "{name} is reported once");
    }
    assert_eq!(watch.stat_changed(), NOTHING, "what an event reported is not reported again");
}

#[test]
fn a_file_renamed_over_is_reported_again_and_again() {
    let root = Root::new();
    let mut watch = root.watch();
    for _ in 0..3 {
        root.write("etc/rpi-cam/.new", "{ }");
        assert_eq!(watch.drain(), NOTHING);
        root.rename("etc/rpi-cam/.new", "etc/rpi-cam/meeting.json");
        assert_eq!(watch.drain(), CONFIG);
        root.write("etc/rpi-cam/meeting.json", "{  }");
        assert_eq!(watch.drain(), CONFIG, "written in place after a rename");
    }
}

#[test]
fn two_writes_of_the_same_size_at_the_same_moment_are_both_reported() {
    let root = Root::new();
    let mut watch = root.watch();
    let file = File::open(root.at("etc/rpi-cam/meeting.json")).expect("own file");
    let modified = file.metadata().and_then(|file| file.modified()).expect("own file");
    for text in ["[]", "{}"] {
        root.write("etc/rpi-cam/meeting.json", text);
        file.set_modified(modified).expect("own file");
        assert_eq!(watch.drain(), CONFIG);
    }
}

#[test]
fn a_removed_file_is_left_to_the_stat_and_its_return_is_reported_at_once() {
    let root = Root::new();
    let mut watch = root.watch();
    fs::remove_file(root.at("etc/rpi-cam/meeting.json")).expect("own file");
    assert_eq!(watch.drain(), NOTHING);
    root.write("etc/rpi-cam/meeting.json", "{}");
    assert_eq!(watch.drain(), CONFIG);
    fs::remove_file(root.at("etc/rpi-cam/meeting.json")).expect("own file");
    assert_eq!(watch.drain(), NOTHING);
    assert_eq!(watch.stat_changed(), CONFIG);
    assert_eq!(watch.stat_changed(), NOTHING);

    root.write("etc/rpi-cam/meeting.json", "{}");
    assert_eq!(watch.drain(), CONFIG);
    root.remove("etc/rpi-cam");
    assert_eq!(watch.drain(), NOTHING, "nor is it reported when its directory goes with it");
    assert_eq!(watch.stat_changed(), CONFIG);
}

#[test]
fn a_directory_may_appear_after_the_start_level_by_level_or_all_at_once() {
    let root = Root::new();
    root.remove("etc");
    let mut watch = root.watch();
    root.create("etc");
    assert_eq!(watch.drain(), NOTHING);
    root.create("etc/rpi-cam");
    assert_eq!(watch.drain(), NOTHING);
    root.write("etc/rpi-cam/meeting.json", "{}");
    assert_eq!(watch.drain(), CONFIG);

    root.remove("etc");
    root.create("etc/rpi-cam");
    root.write("etc/rpi-cam/linkbeat.json", "{}");
    root.write("etc/hosts", "");
    assert_eq!(watch.drain(), Changed { config: true, resolver: true, ..NOTHING });
    root.write("etc/rpi-cam/linkbeat.json", "{ }");
    assert_eq!(watch.drain(), CONFIG, "the new directory is watched");
}

#[test]
fn a_directory_that_takes_the_place_of_another_is_read() {
    let root = Root::new();
    let mut watch = root.watch();
    root.create("etc/new");
    root.write("etc/new/meeting.json", "{ }");
    root.rename("etc/rpi-cam", "etc/old");
    root.rename("etc/new", "etc/rpi-cam");
    assert_eq!(watch.drain(), CONFIG);
    watch.drain();
    root.write("etc/old/meeting.json", "{  }");
    assert!(!is_readable(&watch), "the old directory is no longer watched");
    root.write("etc/rpi-cam/meeting.json", "{  }");
    assert_eq!(watch.drain(), CONFIG);
}

#[test]
fn resolv_conf_is_watched_at_its_link_and_at_its_target() {
    let root = Root::new();
    let mut watch = root.watch();
    root.write("run/resolve/stub.conf", "nameserver 10.0.0.1");
    assert_eq!(watch.drain(), RESOLVER);

    root.write("run/.new", "nameserver 10.0.0.2");
    root.rename("run/.new", "run/resolve/stub.conf");
    assert_eq!(watch.drain(), RESOLVER);

    // The link is replaced, as `ln -sf` does; the former target matters no longer.
    root.write("run/other.conf", "nameserver 10.0.0.3");
    symlink("../run/other.conf", root.at("etc/.new")).expect("own directory");
    root.rename("etc/.new", "etc/resolv.conf");
    assert_eq!(watch.drain(), RESOLVER);
    root.write("run/resolve/stub.conf", "nameserver 10.0.0.4");
    assert_eq!(watch.drain(), NOTHING);
    root.write("run/other.conf", "nameserver 10.0.0.5");
    assert_eq!(watch.drain(), RESOLVER);

    // A link made anew is complete at once; a file in its place is when it is closed.
    fs::remove_file(root.at("etc/resolv.conf")).expect("own file");
    assert_eq!(watch.drain(), NOTHING);
    symlink(root.at("run/resolve/stub.conf"), root.at("etc/resolv.conf")).expect("own directory");
    assert_eq!(watch.drain(), RESOLVER);
    fs::remove_file(root.at("etc/resolv.conf")).expect("own file");
    root.write("etc/resolv.conf", "nameserver 10.0.0.6");
    assert_eq!(watch.drain(), RESOLVER);

    root.write("etc/hosts", "10.0.0.7 api");
    assert_eq!(watch.drain(), RESOLVER);
}

#[test]
fn the_target_of_a_link_may_appear_later() {
    let root = Root::new();
    root.remove("run");
    let mut watch = root.watch();
    root.create("run/resolve");
    assert_eq!(watch.drain(), NOTHING);
    root.write("run/resolve/stub.conf", "nameserver 10.0.0.1");
    assert_eq!(watch.drain(), RESOLVER);
}

#[test]
fn the_file_of_roots_belongs_to_the_configuration_and_may_be_another_one() {
    let root = Root::new();
    let mut watch = root.watch();
    root.create("pki");
    for path in ["pki/ca.pem", "pki/other.pem"] {
        root.write(path, "");
    }
    for (followed, other) in [("pki/ca.pem", "pki/other.pem"), ("pki/other.pem", "pki/ca.pem")] {
        watch.follow_tls(&[&root.at(followed)]);
        watch.drain();
        root.write(other, "not followed");
        assert_eq!(watch.drain(), NOTHING);
        root.write(followed, "written");
        assert_eq!(watch.drain(), CONFIG);
    }
    watch.follow_tls(&[]);
    watch.drain();
    root.write("pki/other.pem", "not followed any more");
    assert_eq!(watch.drain(), NOTHING);
    assert_eq!(watch.stat_changed(), NOTHING);
}

#[test]
fn a_file_that_is_written_under_another_name_is_reported() {
    let root = Root::new();
    root.create("docker");
    for (file, reported) in [
        ("etc/hosts", RESOLVER),
        ("run/resolve/stub.conf", RESOLVER),
        ("etc/rpi-cam/meeting.json", CONFIG),
    ] {
        // As a bind mount has it: the same file, and another directory that is reported.
        let other = root.at("docker").join(reported.resolver.to_string()).with_extension("conf");
        fs::remove_file(&other).or_else(|_| fs::metadata(root.at(file)).map(|_| ())).unwrap();
        fs::hard_link(root.at(file), &other).expect("own file");
        let mut watch = root.watch();
        for text in ["# one", "# two", "# three and longer"] {
            fs::write(&other, text).expect("own file");
            assert!(is_readable(&watch), "{file}");
            assert_eq!(watch.drain(), reported, "{file}");
            assert!(!is_readable(&watch), "{file}");
        }
        // A file that takes its place is watched in its stead.
        root.write("docker/new", "# new");
        root.rename("docker/new", file);
        assert_eq!(watch.drain(), reported, "{file}");
        watch.drain();
        fs::write(&other, "# the old one").expect("own file");
        assert!(!is_readable(&watch), "{file}");
        assert_eq!(watch.drain(), NOTHING, "{file}");
    }
}

#[test]
fn the_web_manager_is_reported_when_it_comes_and_left_to_the_stat_when_it_goes() {
    let root = Root::new();
    root.create("etc/systemd");
    let mut watch = root.watch();
    assert!(!watch.has_manager());
    root.write("etc/systemd/other.service", "");
    assert_eq!(watch.drain(), NOTHING);
    root.write("etc/systemd/web.service", "[Service]");
    assert_eq!(watch.drain(), MANAGER);
    assert!(watch.has_manager());
    root.create("opt");
    assert_eq!(watch.drain(), NOTHING);
    root.create("opt/web");
    assert_eq!(watch.drain(), MANAGER);
    root.write("opt/web/app.py", "");
    assert!(!is_readable(&watch), "the files of the manager are its own");
    fs::remove_file(root.at("etc/systemd/web.service")).expect("own file");
    assert_eq!((watch.drain(), watch.stat_changed()), (NOTHING, MANAGER));
    assert!(watch.has_manager(), "its directory is left");
    root.remove("opt/web");
    assert_eq!(watch.stat_changed(), MANAGER);
    assert!(!watch.has_manager());
    // One that is linked to, as by systemctl.
    root.write("run/web.service", "[Service]");
    symlink("../../run/web.service", root.at("etc/systemd/web.service")).expect("own directory");
    assert_eq!(watch.drain(), MANAGER);
    assert!(watch.has_manager());
}

/// Changes the mode of a file.
fn set_mode(root: &Root, path: &str, mode: u32) {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(root.at(path), permissions).expect("own file");
}

#[test]
fn another_mode_of_a_file_or_of_its_directory_is_reported() {
    let root = Root::new();
    let mut watch = root.watch();
    for path in ["etc/rpi-cam/meeting.json", "etc/rpi-cam"] {
        for mode in [0o700, 0o750] {
            set_mode(&root, path, mode);
            assert_eq!(watch.drain(), CONFIG, "{path}");
            assert_eq!(watch.drain(), NOTHING, "{path} is reported once");
        }
    }
    set_mode(&root, "run/resolve/stub.conf", 0o640);
    assert_eq!(watch.drain(), RESOLVER);
    root.write("etc/rpi-cam/other.json", "{}");
    set_mode(&root, "etc/rpi-cam/other.json", 0o640);
    assert_eq!(watch.drain(), NOTHING);
}

#[test]
fn a_file_whose_mode_is_changed_while_it_is_written_is_reported_when_it_is_closed() {
    let root = Root::new();
    let mut watch = root.watch();
    for name in ["meeting.json", "linkbeat.json"] {
        let mut file = File::create(root.at("etc/rpi-cam").join(name)).expect("own file");
        file.write_all(b"{ ").expect("own file");
        file.set_permissions(fs::Permissions::from_mode(0o640)).expect("own file");
        assert_eq!(watch.drain(), NOTHING, "{name} is half written");
        file.write_all(b"}").expect("own file");
        drop(file);
        assert_eq!(watch.drain(), CONFIG, "{name}");
    }
    // A file that is removed is left to the stat, whatever happened to it before.
    set_mode(&root, "etc/rpi-cam/meeting.json", 0o600);
    fs::remove_file(root.at("etc/rpi-cam/meeting.json")).expect("own file");
    assert_eq!((watch.drain(), watch.stat_changed()), (NOTHING, CONFIG));
}

#[test]
fn links_in_a_circle_end() {
    let root = Root::new();
    fs::remove_file(root.at("etc/hosts")).expect("own file");
    symlink("hosts2", root.at("etc/hosts")).expect("own directory");
    symlink("hosts", root.at("etc/hosts2")).expect("own directory");
    let mut watch = root.watch();
    assert_eq!(watch.drain(), NOTHING);
    fs::remove_file(root.at("etc/hosts2")).expect("own file");
    root.write("etc/hosts2", "");
    assert_eq!(watch.drain(), RESOLVER);
}

#[test]
fn a_linked_directory_that_leads_elsewhere_is_found_by_the_stat_and_watched_from_then_on() {
    let root = Root::new();
    root.create("data");
    root.write("data/meeting.json", "{ }");
    let mut watch = root.watch();
    root.rename("etc/rpi-cam", "etc/old");
    symlink("../data", root.at("etc/rpi-cam")).expect("own directory");
    assert_eq!(watch.drain(), CONFIG, "the watched directory was moved");
    root.write("data/meeting.json", "{}");
    assert_eq!(watch.drain(), CONFIG);
    root.create("data2");
    root.write("data2/meeting.json", "{  }");
    symlink("../data2", root.at("etc/.new")).expect("own directory");
    root.rename("etc/.new", "etc/rpi-cam");
    assert_eq!(watch.drain(), NOTHING);
    assert_eq!(watch.stat_changed(), CONFIG);
    root.write("data2/meeting.json", "{ }");
    assert_eq!(watch.drain(), CONFIG);
}

#[test]
fn a_file_on_the_way_is_no_directory_and_a_relative_path_begins_here() {
    let root = Root::new();
    root.write("file", "");
    let files = ConfigFiles::of(&root.at("file/meeting.json"));
    let mut watch = Watch::new(files.all(), &["no-such-file-here"], &[]);
    fs::remove_file(root.at("file")).expect("own file");
    root.create("file");
    root.write("file/meeting.json", "{}");
    assert_eq!(watch.drain(), CONFIG);
}

#[test]
fn an_overflow_of_the_kernels_queue_is_a_change_of_everything_and_drains_in_bounded_steps() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let limit: usize = limit.expect("proc is mounted").trim().parse().expect("a number");
    let root = Root::new();
    let mut watch = root.watch();
    let files = ["etc/a", "etc/b"].map(|path| root.at(path));
    // Events equal to the one before them are merged by the kernel.
    for _ in 0..limit / 2 + 8 {
        for path in &files {
            File::create(path).expect("own file");
        }
    }
    root.write("run/resolve/stub.conf", "lost");
    let mut steps = 0;
    let mut changed = Changed { more: true, ..NOTHING };
    while changed.more {
        changed = watch.drain();
        steps += 1;
    }
    assert!(steps > 1, "{limit} events are more than one step");
    assert_eq!(changed, Changed { config: true, resolver: true, manager: true, more: false });
    root.write("run/resolve/stub.conf", "heard");
    assert_eq!(watch.drain(), RESOLVER);
}

#[test]
fn without_inotify_the_stat_finds_changes_until_there_is_one_again() {
    let root = Root::new();
    let mut watch = root.watch();
    watch.inotify = None;
    root.write("etc/rpi-cam/meeting.json", "{ }");
    assert!(watch.events().is_none());
    assert_eq!(watch.drain(), NOTHING);
    assert_eq!(watch.stat_changed(), CONFIG);
    let refused = watch.open(&|_| Err(io::Error::from(io::ErrorKind::OutOfMemory)));
    assert!(refused.is_err() && watch.events().is_none());
    assert!(watch.open(&|_| Ok(())).is_ok());
    root.write("etc/rpi-cam/meeting.json", "{  }");
    assert!(is_readable(&watch));
    assert_eq!(watch.drain(), CONFIG);
}
