//! A channel to the machine: a socket that qemu connects to, read line by line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use linkbeat_support::agent::Line;
use linkbeat_support::clock;
use linkbeat_support::journal::Journal;
use rustix::event::{PollFd, PollFlags, poll};

/// Time limit for the start of qemu.
const PATIENCE: Duration = Duration::from_secs(30);

/// A channel before qemu has connected.
pub(crate) struct Listener(UnixListener);

impl Listener {
    /// Listens for the channel `name`; also returns the argument of `-chardev`.
    pub(crate) fn bind(name: &str, directory: &Path) -> io::Result<(Self, String)> {
        let path = directory.join(name);
        // Remove the socket of an earlier run.
        fs::remove_file(&path).ok();
        let option = format!("socket,id={name},path={}", path.display());
        Ok((Self(UnixListener::bind(path)?), option))
    }

    /// Waits for qemu.
    pub(crate) fn accept(self) -> io::Result<Channel> {
        let limit = PATIENCE.try_into().map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(io::Error::other("qemu does not start"));
        }
        let (stream, _) = self.0.accept()?;
        let lines = Journal::default();
        read_lines(stream.try_clone()?, &lines);
        Ok(Channel { stream, lines })
    }
}

/// A connected channel.
pub(crate) struct Channel {
    stream: UnixStream,
    /// The journal of received lines.
    pub(crate) lines: Journal<Line>,
}

impl Channel {
    /// Writes one line.
    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())
    }
}

/// Reads lines to the end, on a thread of its own.
pub(crate) fn read_lines(stream: impl Read + Send + 'static, lines: &Journal<Line>) {
    let lines = lines.clone();
    thread::spawn(move || {
        for text in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text).trim_end().to_owned();
            lines.push(Line { at_us: clock::boot_us(), text });
        }
    });
}
