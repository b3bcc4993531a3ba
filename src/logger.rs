//! The back-end of `log`: standard error or `/dev/log`, one write per line.
//!
//! A line that cannot leave at once is dropped: the agent waits for no reader of its log. Lines
//! are cut at [`LINE_MAX`] bytes and hold no control characters, whatever a server or a file said.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::LogTarget;
use crate::error::Error;

#[cfg(test)]
mod tests;

/// Longest line, in bytes, prefix and line end included.
pub const LINE_MAX: usize = 1024;
/// Where a syslog daemon listens (syslog(3)).
const SYSLOG_PATH: &str = "/dev/log";
/// `LOG_DAEMON` (syslog(3)).
const FACILITY: u8 = 3 << 3;

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Makes this the back-end of `log`, with the defaults of the configuration; call once, first.
///
/// # Errors
///
/// No socket can be had, or another back-end is installed.
pub fn init() -> Result<(), Error> {
    let logger = Logger::new().map_err(Error::system("open log socket"))?;
    let installed = log::set_logger(LOGGER.get_or_init(|| logger));
    installed.map_err(|_| Error::system("install logger")(io::ErrorKind::AlreadyExists))?;
    configure(LogTarget::Auto, LevelFilter::Info);
    Ok(())
}

/// Puts what a configuration says in force, at any time.
pub fn configure(target: LogTarget, level: LevelFilter) {
    if let Some(logger) = LOGGER.get() {
        logger.target.store(target as u8, Ordering::Relaxed);
    }
    log::set_max_level(level);
}

/// How a line begins and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Standard error, for people: `info: message`.
    Plain,
    /// Standard error, for journald: `<6>message` (sd-daemon(3)).
    Journal,
    /// `/dev/log`: `<30>linkbeat[pid]: message` (RFC 3164 §4.1). The time is left to the receiver:
    /// every one of them adds it, and ours may not be set.
    Syslog,
}

#[derive(Debug)]
struct Logger {
    /// Unconnected, so that a daemon that was restarted needs no new connection.
    socket: UnixDatagram,
    /// Whether standard error is a terminal.
    terminal: bool,
    /// Whether journald reads standard error.
    journal: bool,
    pid: u32,
    /// A [`LogTarget`].
    target: AtomicU8,
}

impl Logger {
    fn new() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            terminal: io::stderr().is_terminal(),
            journal: std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream)),
            pid: std::process::id(),
            target: AtomicU8::new(LogTarget::Auto as u8),
        })
    }

    fn route(&self) -> Route {
        let target = self.target.load(Ordering::Relaxed);
        let auto = target == LogTarget::Auto as u8;
        if target == LogTarget::Syslog as u8 || auto && !self.journal && !self.terminal {
            Route::Syslog
        } else if self.journal {
            Route::Journal
        } else {
            Route::Plain
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let line = |route| Line::new(route, record.level(), self.pid, record.args());
        match self.route() {
            Route::Syslog => {
                let sent = send(&self.socket, Path::new(SYSLOG_PATH), &line(Route::Syslog));
                // Without a syslog daemon standard error is the last chance to be read.
                if sent.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                    write_now(io::stderr(), &line(Route::Plain));
                }
            }
            route => write_now(io::stderr(), &line(route)),
        }
    }

    fn flush(&self) {}
}

/// Whether `JOURNAL_STREAM`, device and inode of journald's stream, means our standard error
/// (systemd.exec(5)).
fn is_stderr(stream: &str) -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Sends one datagram; a full queue is `WouldBlock`.
fn send(socket: &UnixDatagram, path: &Path, line: &Line) -> io::Result<()> {
    // A datagram ends by itself.
    let bytes = line.as_bytes().strip_suffix(b"\n").unwrap_or_default();
    socket.send_to(bytes, path).map(drop)
}

/// Writes one line if that does not have to wait.
///
/// The descriptor is shared with others and must stay blocking: poll(2) finds room first, and for
/// a pipe, a terminal and journald's stream that is room for a line.
fn write_now(fd: impl AsFd, line: &Line) {
    let mut ready = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ready, Some(&now)).is_ok_and(|ready| ready > 0) {
        // There is nobody left to tell of a failure.
        rustix::io::write(&fd, line.as_bytes()).ok();
    }
}

/// One line, complete with its end, in a fixed buffer.
struct Line {
    bytes: [u8; LINE_MAX],
    length: usize,
}

impl Line {
    fn new(route: Route, level: Level, pid: u32, message: &fmt::Arguments<'_>) -> Self {
        // syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG.
        let (severity, name) = match level {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warn"),
            Level::Info => (6, "info"),
            Level::Debug => (7, "debug"),
            Level::Trace => (7, "trace"),
        };
        let mut line = Self { bytes: [0; LINE_MAX], length: 0 };
        let written = match route {
            Route::Plain => write!(line, "{name}: {message}"),
            Route::Journal => write!(line, "<{severity}>{message}"),
            Route::Syslog => write!(line, "<{}>linkbeat[{pid}]: {message}", FACILITY | severity),
        };
        // An error means that the line is full: what fits is worth more than nothing.
        written.ok();
        line.put("\n").ok();
        line
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn put(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| self.write_char(char))
    }

    fn write_char(&mut self, char: char) -> fmt::Result {
        let char = if char.is_control() { ' ' } else { char };
        // The line end must fit as well.
        if self.length + char.len_utf8() >= LINE_MAX {
            return Err(fmt::Error);
        }
        self.put(char.encode_utf8(&mut [0; 4]))
    }
}
