//! A network namespace: made, entered, configured, removed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const NETNS: &str = "/run/netns";

/// A named network namespace. Dropping it removes it.
#[derive(Debug)]
pub struct Space {
    name: String,
}

/// A prefix for names that no other test uses: `lb`, the process, a number.
#[must_use]
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("lb{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Space {
    /// Makes the namespace `name` with its loopback up.
    ///
    /// # Panics
    ///
    /// Without the permission to make one: it needs root or a user namespace.
    #[must_use]
    pub fn new(name: &str) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        run(Command::new("ip").args(["netns", "add", name]), "");
        let space = Self { name: name.to_owned() };
        space.ip("link set lo up");
        space
    }

    /// The name of the namespace, as for `ip netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` inside, on a thread of its own. Sockets opened there stay in the namespace.
    ///
    /// # Panics
    ///
    /// If the namespace cannot be entered, or `work` panics.
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let path = Path::new(NETNS).join(&self.name);
        let namespace = File::open(&path).unwrap_or_else(|error| panic!("open {path:?}: {error}"));
        let enter_and_work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).expect("enter network namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A command that runs inside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `ip` with these lines, one command each.
    ///
    /// # Panics
    ///
    /// With the error message of `ip`, if it fails.
    pub fn ip(&self, lines: &str) {
        run(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), lines);
    }

    /// Runs `ip -6` with these lines, for commands whose words do not imply IPv6.
    ///
    /// # Panics
    ///
    /// With the error message of `ip`, if it fails.
    pub fn ip6(&self, lines: &str) {
        run(Command::new("ip").args(["-6", "-n", &self.name, "-batch", "-"]), lines);
    }

    /// Runs `nft` with these lines, in one transaction.
    ///
    /// # Panics
    ///
    /// With the error message of `nft`, if it fails.
    pub fn nft(&self, lines: &str) {
        run(self.command("nft").args(["-f", "-"]), lines);
    }

    /// Sets `/proc/sys/net/{key}`.
    ///
    /// # Panics
    ///
    /// If the key does not exist or does not accept the value.
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(key);
        self.within(|| {
            fs::write(&path, value).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
        });
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Runs a command with this standard input; returns its standard output.
///
/// # Panics
///
/// With the standard error of the command, if it fails.
pub fn run(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // A command that reads nothing closes the pipe. Its exit code shows whether it failed.
    stdin.write_all(input.as_bytes()).ok();
    drop(stdin);
    let output = child.wait_with_output().expect("wait for a child");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {complaint}{input}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Removes namespaces of killed runs. Their names contain the process numbers.
fn sweep() {
    let spaces = fs::read_dir(NETNS).into_iter().flatten().flatten();
    for name in spaces.filter_map(|it| it.file_name().into_string().ok()) {
        let owner = name.strip_prefix("lb").and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|it| it.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            delete(&name);
        }
    }
}

fn delete(name: &str) {
    // It may be gone already. A panic here would hide the panic that led to this drop.
    Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status().ok();
}
