//! Client of the agent's Unix socket: one request, one answer, and a limit on every wait.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::Error;
use crate::sys::clock;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::cut::harmless;
use linkbeat_core::wire::json::{self, Value};

/// Time limit for an answer that the agent gives at once.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Time limit for the result of a beat: after 15 s the agent itself answers that it gave up.
pub(super) const RESULT_TIME: Duration = Duration::from_secs(18);
/// Start of the agent's greeting. The version number after it does not affect the answers read
/// here.
const GREETING: &[u8] = b"linkbeat ";
/// Longest part of an unexpected answer that the error repeats, in characters.
const SHOWN_MAX: usize = 100;

/// The sign that ends an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the first line after the greeting.
    Line,
    /// With the connection.
    Connection,
}

/// Sends `request` to the agent at `socket` and returns its answer without the greeting; `time` limits
/// the whole exchange.
///
/// # Errors
///
/// [`Error::System`] if access is denied. [`Error::NoAgent`] if nothing listens there, or if the answer
/// does not end in time or is too long.
pub(super) fn ask(
    socket: &Path,
    request: &str,
    time: Duration,
    end: End,
) -> Result<Vec<u8>, Error> {
    exchange(socket, request, time, end).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Error::system_on("connect to", socket)(error),
        // connect(2) with SO_SNDTIMEO: the accept queue of an agent that hangs is full.
        io::ErrorKind::WouldBlock => no_agent(socket, io::ErrorKind::TimedOut.into()),
        _ => no_agent(socket, error),
    })
}

fn exchange(socket: &Path, request: &str, time: Duration, end: End) -> io::Result<Vec<u8>> {
    let give_up_at = clock::now() + time;
    let mut stream = connect(socket, time)?;
    match stream.write_all(request.as_bytes()) {
        // An agent that has closed the connection already has sent its answer before.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut answer = Vec::new();
    loop {
        let heard = answer.len();
        match read(&mut stream, give_up_at, &mut answer) {
            // The reset of an agent that has answered and closed without reading the request.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && heard > 0 => {}
            result => result?,
        }
        let is_over = answer.len() == heard;
        if answer.len() > json::SIZE_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        while let Some(line) = first_line(&answer)
            && (line.trim_ascii().is_empty() || line.starts_with(GREETING))
        {
            answer.drain(..=line.len());
        }
        match (end, first_line(&answer)) {
            (End::Line, Some(line)) => return Ok(line.to_vec()),
            (End::Line, None) if is_over => return Err(io::ErrorKind::UnexpectedEof.into()),
            (End::Connection, _) if is_over => return Ok(answer),
            _ => {}
        }
    }
}

/// Reads more of an answer, if the connection has more.
fn read(stream: &mut UnixStream, give_up_at: Instant, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let left = give_up_at - clock::now();
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer).map_err(|error| (error.kind(), error)) {
            // socket(7) SO_RCVTIMEO: the time limit has passed; or a signal arrived.
            Err((io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted, _)) => {}
            Err((_, error)) => return Err(error),
            Ok(length) => {
                answer.extend(buffer.iter().take(length));
                return Ok(());
            }
        }
    }
}

/// The first line, if its end is there.
fn first_line(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    answer.get(..end)
}

fn no_agent(socket: &Path, source: io::Error) -> Error {
    Error::NoAgent { socket: socket.to_path_buf(), source }
}

/// Connects within `time`; [`UnixStream::connect`] has no time limit.
fn connect(path: &Path, time: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(time))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

/// The JSON object that is an answer.
pub(super) fn object<'a>(socket: &Path, answer: &'a [u8]) -> Result<Value<'a>, Error> {
    let value = json::parse(answer).ok().filter(|value| value.kind() == json::ValueKind::Object);
    value.ok_or_else(|| unexpected_answer(socket, &String::from_utf8_lossy(answer)))
}

/// The error for an answer outside the protocol.
pub(super) fn unexpected_answer(socket: &Path, answer: &str) -> Error {
    let shown: String = answer.chars().take(SHOWN_MAX).map(harmless).collect();
    let source = match shown.trim() {
        "" => io::ErrorKind::UnexpectedEof.into(),
        text => io::Error::new(io::ErrorKind::InvalidData, text),
    };
    no_agent(socket, source)
}
