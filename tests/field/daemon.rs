//! A server under test: a process that ends with its test.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use linkbeat_support::clock;

/// Longest time until a server is ready.
const STARTED: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends the process.
pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Daemon {
    /// Starts `command` and waits until `is_there`. If it ends before or takes too long, the
    /// failure shows `said`.
    pub(crate) fn spawn(
        command: &mut Command,
        is_there: impl Fn() -> bool,
        said: impl Fn() -> String,
    ) -> Self {
        command.stdin(Stdio::null());
        let mut daemon = Self(command.spawn().expect("start a server"));
        let since_us = clock::boot_us();
        while !is_there() {
            let ended = daemon.0.try_wait().expect("wait for a child");
            assert!(ended.is_none(), "{command:?} has ended: {ended:?} {}", said());
            let passed = Duration::from_micros(clock::boot_us() - since_us);
            assert!(passed < STARTED, "{command:?} does not answer: {}", said());
            thread::yield_now();
        }
        daemon
    }
}
