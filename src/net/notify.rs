//! Messages to a supervisor that speaks sd_notify(3): ready, alive, stopping, and the state in one
//! line.
//!
//! Alive means that the loop turns, whatever the network does: a restart mends no cable. Without a
//! supervisor there is no [`Notify`].

use core::fmt::{self, Write};
use core::time::Duration;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use heapless::String;

use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::cut::{Cut, without_controls};

#[cfg(test)]
mod tests;

/// Longest status line, in bytes; longer ones are cut.
pub const LINE_MAX: usize = 256;
/// Room for the status line and all that can stand beside it.
const MESSAGE_MAX: usize = LINE_MAX + 64;
/// Wait before a message is repeated that did not leave.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The supervisor's socket, and what was sent to it.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Silence after which the supervisor takes us for dead.
    timeout: Option<Duration>,
    /// Whether it knows that the agent is ready.
    is_ready: bool,
    /// The last line that was sent.
    line: String<LINE_MAX>,
    /// When the next message is due.
    send_at: Option<Instant>,
}

impl Notify {
    /// The supervisor that the environment names, if it names one that can be reached.
    pub fn from_env(now: Instant) -> Option<Self> {
        Self::new(|name| std::env::var_os(name), std::process::id(), now)
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32, now: Instant) -> Option<Self> {
        let address = address(variable("NOTIFY_SOCKET")?.as_bytes())?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        // sd_watchdog_enabled(3): it may be meant for another process that we inherited it from.
        let ours = variable("WATCHDOG_PID").is_none_or(|text| text == *pid.to_string());
        let timeout = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        let timeout = timeout.map(Duration::from_micros);
        let send_at = timeout.map(|timeout| now + timeout / 2);
        Some(Self { socket, address, timeout, is_ready: false, line: String::new(), send_at })
    }

    /// Reports that the agent is alive, and its state as a line; the first time, that it is ready.
    ///
    /// Call it in every wake-up. Nothing is sent while the line is the same and the last message
    /// younger than a quarter of the watchdog's time-out; at half of it is the deadline, so that
    /// the pings ride on a cycle that is shorter. What could not be sent is sent again later.
    pub fn update(&mut self, now: Instant, line: impl FnOnce(&mut dyn Write) -> fmt::Result) {
        let mut next = String::new();
        // Texts of others in it cannot begin another line. An error means that it is full.
        line(&mut Cut { to: &mut next, room: LINE_MAX, clean: without_controls }).ok();
        let due =
            self.timeout.zip(self.send_at).is_some_and(|(timeout, at)| now + timeout / 4 >= at);
        if self.is_ready && !due && next == self.line {
            return;
        }
        let ready = if self.is_ready { "" } else { "READY=1\n" };
        let alive = if self.timeout.is_some() { "WATCHDOG=1\n" } else { "" };
        match self.send(format_args!("{ready}{alive}STATUS={next}\n")) {
            Ok(()) => {
                self.is_ready = true;
                self.line = next;
                self.send_at = self.timeout.map(|timeout| now + timeout / 2);
            }
            Err(error) => {
                log::debug!("notify the supervisor: {error}");
                self.send_at = Some(now + RETRY_WAIT);
            }
        }
    }

    /// When [`update`](Self::update) must be called at the latest.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.send_at
    }

    /// Reports that the agent ends because it was asked to.
    pub fn stopping(&self) {
        // The supervisor sees the end anyway.
        self.send(format_args!("STOPPING=1\n")).ok();
    }

    fn send(&self, message: fmt::Arguments<'_>) -> io::Result<()> {
        let mut text = String::<MESSAGE_MAX>::new();
        text.write_fmt(message).expect("MESSAGE_MAX covers every message");
        self.socket.send_to_addr(text.as_bytes(), &self.address).map(drop)
    }
}

/// sd_notify(3): an absolute path, or `@` and a name in the abstract namespace (unix(7)).
fn address(name: &[u8]) -> Option<SocketAddr> {
    match name {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)).ok(),
        _ => None,
    }
}
