//! The other end of the agent's Unix socket: one request, one answer, and never a long wait.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::Error;
use crate::proto::time::Instant;
use crate::sys::clock;
use crate::wire::json;

/// Longest wait for an answer that the agent has ready.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Longest wait for the result of a beat: the agent gives up after 15 s, and says so.
pub(super) const RESULT_TIME: Duration = Duration::from_secs(18);
/// Longest answer, greeting included: a status of the longest kind and more.
const ANSWER_MAX: usize = json::SIZE_MAX;
/// How the agent's greeting begins; the version behind it says nothing about the answers we read.
const GREETING: &str = "linkbeat ";

/// A request under way.
pub(super) struct Client {
    stream: UnixStream,
    socket: PathBuf,
    give_up_at: Instant,
    heard: Vec<u8>,
}

impl Client {
    /// Connects to the agent at `socket` and says `line`; everything is over within `time`.
    ///
    /// # Errors
    ///
    /// [`Error::NoAgent`] if nobody listens, [`Error::System`] if we may not ask.
    pub(super) fn ask(socket: &Path, line: &str, time: Duration) -> Result<Self, Error> {
        let give_up_at = clock::now() + time;
        let connected = connect(socket, time).and_then(|mut stream| {
            match stream.write_all(line.as_bytes()) {
                // Who hangs up first has said why.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
                _ => Ok(stream),
            }
        });
        match connected {
            Ok(stream) => {
                Ok(Self { stream, socket: socket.to_path_buf(), give_up_at, heard: Vec::new() })
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::system_on("connect to", socket)(error))
            }
            Err(error) => Err(no_agent(socket, error)),
        }
    }

    /// The first line after the greeting.
    ///
    /// # Errors
    ///
    /// [`Error::NoAgent`] if it does not come in time, or is too long.
    pub(super) fn line(mut self) -> Result<String, Error> {
        loop {
            while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if !is_greeting(&line) {
                    return Ok(line.trim_end().to_owned());
                }
            }
            if !self.hear()? {
                return Err(self.no_answer(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Everything after the greeting, to the end of the connection.
    ///
    /// # Errors
    ///
    /// [`Error::NoAgent`] if it does not end in time, or is too long.
    pub(super) fn rest(mut self) -> Result<Vec<u8>, Error> {
        while self.hear()? {}
        let greeting = self.heard.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if self
            .heard
            .get(..greeting)
            .is_some_and(|line| is_greeting(&String::from_utf8_lossy(line)))
        {
            self.heard.drain(..greeting);
        }
        Ok(self.heard)
    }

    /// Hears more; false at the end of the connection.
    fn hear(&mut self) -> Result<bool, Error> {
        let mut buffer = [0; 4096];
        let heard = self.read(&mut buffer).map_err(|error| self.no_answer(error))?;
        self.heard.extend(buffer.iter().take(heard));
        if self.heard.len() > ANSWER_MAX {
            return Err(self.no_answer(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(heard > 0)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.give_up_at - clock::now();
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(buffer) {
                // socket(7) SO_RCVTIMEO: the time is over; or a signal came.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                // An agent that has said its word and does not read ours ends like this.
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionReset && !self.heard.is_empty() =>
                {
                    return Ok(0);
                }
                result => return result,
            }
        }
    }

    fn no_answer(&self, error: io::Error) -> Error {
        no_agent(&self.socket, error)
    }
}

fn no_agent(socket: &Path, error: io::Error) -> Error {
    // connect(2) with SO_SNDTIMEO: the queue of an agent that hangs is full.
    let late = error.kind() == io::ErrorKind::WouldBlock;
    let source = if late { io::ErrorKind::TimedOut.into() } else { error };
    Error::NoAgent { socket: socket.to_path_buf(), source }
}

fn is_greeting(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with(GREETING)
}

/// Connects without waiting longer than `time`, as [`UnixStream::connect`] would.
fn connect(path: &Path, time: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(time))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}
