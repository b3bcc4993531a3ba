//! The least that a trigger can cost here: one process is woken by an eventfd, writes one segment to a
//! connection that is open, and the reader behind the router is woken by it. No agent, no TLS.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::journal::{Follower, Journal};
use linkbeat_support::world::{SERVER, World};
use rustix::event::{EventfdFlags, eventfd};

/// A port of the server that nothing else uses.
const PORT: u16 = 9;
/// As long as a request of linkbeat.
const SEGMENT: [u8; 700] = [0; 700];
/// How long a segment may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sender in the device and a reader in the internet.
pub(crate) struct Floor {
    wake: Arc<OwnedFd>,
    read: Follower<u64>,
}

impl Floor {
    pub(crate) fn start(world: &World) -> io::Result<Self> {
        let listener = world.internet.within(|| TcpListener::bind((SERVER[0], PORT)))?;
        let mut sender = world.device.within(|| TcpStream::connect((SERVER[0], PORT)))?;
        let (mut reader, _) = listener.accept()?;
        sender.set_nodelay(true)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let journal = Journal::default();
        let (woken, times) = (Arc::clone(&wake), journal.clone());
        // Both end with the process, or when the other is gone.
        thread::spawn(move || {
            let mut count = [0; 8];
            while rustix::io::read(&woken, &mut count).is_ok() {
                if sender.write_all(&SEGMENT).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            let mut segment = SEGMENT;
            while reader.read_exact(&mut segment).is_ok() {
                times.push(clock::boot_us());
            }
        });
        Ok(Self { wake, read: journal.follow() })
    }

    /// Wakes the sender; returns the µs until the reader had everything.
    pub(crate) fn once(&mut self) -> io::Result<u64> {
        let began_us = clock::boot_us();
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes())?;
        let read_us = self.read.find(PATIENCE, |_| true);
        let read_us = read_us.ok_or_else(|| io::Error::other("a segment was lost"))?;
        Ok(read_us.saturating_sub(began_us))
    }
}

/// Keeps every processor from sleeping, with work that gives way to everything else (sched(7),
/// SCHED_IDLE); dropped, they may sleep.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    pub(crate) fn start() -> io::Result<Self> {
        let mut awake = Self(Vec::new());
        for _ in 0..thread::available_parallelism()?.get() {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            awake.0.push(command.stdin(Stdio::null()).spawn()?);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Already ended: as good.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
