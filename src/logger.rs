//! The back-end of `log`: standard error or `/dev/log`, one write per line.
//!
//! A line that cannot be written at once is dropped: the agent never waits for a reader of its log.
//! Lines are cut at [`LINE_MAX`] bytes and contain no control characters.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::PollFlags;

use crate::config::LogTarget;
use crate::error::Error;
use crate::sys::readiness::is_ready;
use linkbeat_core::wire::cut::{Cut, without_controls};

#[cfg(test)]
mod tests;

/// Longest line, in bytes, prefix and line end included.
pub const LINE_MAX: usize = 1024;
/// The socket of the syslog daemon (syslog(3)).
const SYSLOG_PATH: &str = "/dev/log";
/// `LOG_DAEMON` (syslog(3)).
const FACILITY: u8 = 3 << 3;

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Installs the back-end of `log` with the defaults of the configuration, and has it take the text
/// of a panic: what an init script starts may have no standard error. Call it once, first.
///
/// # Errors
///
/// The socket cannot be opened, or another back-end is installed.
pub fn init() -> Result<(), Error> {
    let logger = Logger::new().map_err(Error::system("open log socket"))?;
    let installed = log::set_logger(LOGGER.get_or_init(|| logger));
    installed.map_err(|_| Error::system("install logger")(io::ErrorKind::AlreadyExists))?;
    configure(LogTarget::Auto, LevelFilter::Info);
    std::panic::set_hook(Box::new(|panic| log::error!("a bug of linkbeat ends it: {panic}")));
    Ok(())
}

/// Applies the settings of a configuration, at any time.
pub fn configure(target: LogTarget, level: LevelFilter) {
    if let Some(logger) = LOGGER.get() {
        logger.target.store(target as u8, Ordering::Relaxed);
    }
    log::set_max_level(level);
}

/// The destination of a line, and with it the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    /// Standard error, for people: `info: message`.
    Plain,
    /// Standard error with a prefix for journald: `<6>message` (sd-daemon(3)).
    Journal,
    /// `/dev/log`: `<30>linkbeat[pid]: message` (RFC 3164 §4.1). Every receiver adds the time, and
    /// our clock may not be set.
    Syslog,
}

#[derive(Debug)]
struct Logger {
    /// The socket, not connected, so that it survives a restart of the daemon.
    socket: UnixDatagram,
    /// Whether standard error is a terminal.
    terminal: bool,
    /// Whether journald reads standard error.
    journal: bool,
    /// Number of this process.
    pid: u32,
    /// The configured destination, a [`LogTarget`].
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

    fn output(&self) -> Destination {
        let target = self.target.load(Ordering::Relaxed);
        let auto = target == LogTarget::Auto as u8;
        if target == LogTarget::Syslog as u8 || auto && !self.journal && !self.terminal {
            Destination::Syslog
        } else if self.journal {
            Destination::Journal
        } else {
            Destination::Plain
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let line = |output| log_line(output, record.level(), self.pid, record.args());
        match self.output() {
            Destination::Syslog => {
                let sent = send(&self.socket, Path::new(SYSLOG_PATH), &line(Destination::Syslog));
                // Without a syslog daemon, standard error is the only way left.
                if sent.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                    write_now(io::stderr(), &line(Destination::Plain));
                }
            }
            output => write_now(io::stderr(), &line(output)),
        }
    }

    fn flush(&self) {}
}

/// Whether `JOURNAL_STREAM`, device and inode of journald's stream, is our standard error
/// (systemd.exec(5)).
fn is_stderr(stream: &str) -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Sends one datagram. A full queue is `WouldBlock`.
fn send(socket: &UnixDatagram, path: &Path, line: &LogLine) -> io::Result<()> {
    // A datagram needs no line end.
    let bytes = line.as_bytes().strip_suffix(b"\n").unwrap_or_default();
    socket.send_to(bytes, path).map(drop)
}

/// Writes one line if that does not block.
///
/// The descriptor is shared with other processes and must stay blocking. poll(2) reports whether
/// there is room, and for a pipe, a terminal and journald's stream that is room for a line.
fn write_now(fd: impl AsFd, line: &LogLine) {
    if is_ready(&fd, PollFlags::OUT).unwrap_or(false) {
        // An error cannot be reported anywhere else.
        rustix::io::write(&fd, line.as_bytes()).ok();
    }
}

/// One line, complete with its end.
type LogLine = heapless::String<LINE_MAX>;

fn log_line(output: Destination, level: Level, pid: u32, message: &fmt::Arguments<'_>) -> LogLine {
    // syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG.
    let (severity, name) = match level {
        Level::Error => (3, "error"),
        Level::Warn => (4, "warn"),
        Level::Info => (6, "info"),
        Level::Debug => (7, "debug"),
        Level::Trace => (7, "trace"),
    };
    let mut line = LogLine::new();
    let mut text = Cut { to: &mut line, room: LINE_MAX - 1, clean: without_controls };
    let written = match output {
        Destination::Plain => write!(text, "{name}: {message}"),
        Destination::Journal => write!(text, "<{severity}>{message}"),
        Destination::Syslog => {
            write!(text, "<{}>linkbeat[{pid}]: {message}", FACILITY | severity)
        }
    };
    // An error means that the line is full; it is then cut.
    written.ok();
    line.push('\n').expect("there is room left for it");
    line
}
