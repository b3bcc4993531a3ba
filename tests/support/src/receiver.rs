//! The server that receives beats over HTTP and HTTPS, and misbehaves on request.
//!
//! One thread accepts on each listener, and one serves each connection. A request gets its time
//! when its last byte has been read. It is then added to the [`journal`](Receiver::beats), and
//! answered after that.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{Shutdown, shutdown, sockopt};
use rustls::ServerConfig;
use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::clock;
use crate::journal::Journal;

pub mod behaviour;
mod http;
mod tls;

pub use behaviour::{Answer, Behaviour, Close, EarlyData, Framing};
use tls::Tls;

/// The protocol of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain `http`.
    Http,
    /// `https`.
    Https,
}

/// One request, fully received.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The time at which its last byte was read, on the clock of [`clock::boot_us`].
    pub received_us: u64,
    /// The same on the clock of [`clock::wall_us`].
    pub wall_us: u64,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The number of its connection, counted from 1.
    pub connection: u32,
    /// Its number on that connection, counted from 1.
    pub nth: u32,
    /// The protocol: `http` or for example `TLSv1_3`, with ` resumed` for a resumed session.
    pub security: String,
    /// Whether it was early data.
    pub early: bool,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; `Null` if it is not JSON.
    pub body: Value,
}

impl Beat {
    /// The value of the first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The device key in the path, still encoded; empty without one.
    #[must_use]
    pub fn device_key(&self) -> &str {
        let rest = self.path.split_once("/devices/").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// The `reason` in the body; empty without one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.body.get("reason").and_then(Value::as_str).unwrap_or_default()
    }

    /// The `seq` in the body; 0 without one.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.body.get("seq").and_then(Value::as_u64).unwrap_or_default()
    }

    /// The request as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "received_us": self.received_us, "wall_us": self.wall_us, "peer": self.peer.to_string(),
            "connection": self.connection, "nth": self.nth, "security": self.security, "early": self.early,
            "method": self.method, "path": self.path, "body": self.body,
            "token": self.header("x-token-code"), "agent": self.header("user-agent"),
        })
    }
}

/// Counts since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u32,
    /// Full TLS handshakes completed.
    pub full_handshakes: u32,
    /// Abbreviated TLS handshakes completed.
    pub resumed_handshakes: u32,
    /// TLS handshakes that failed.
    pub failed_handshakes: u32,
    /// Requests fully received.
    pub requests: u32,
}

/// A running receiver. Dropping it closes its listeners and connections.
pub struct Receiver {
    shared: Arc<Shared>,
    listeners: Vec<Arc<TcpListener>>,
}

struct Shared {
    certificates: Arc<Certificates>,
    beats: Journal<Beat>,
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    counts: Counts,
    // Clones of the open streams by connection, used to shut them down.
    open: Vec<(u32, TcpStream)>,
    stopping: bool,
}

impl Receiver {
    /// Starts to serve these listeners.
    #[must_use]
    pub fn start(listeners: Vec<(TcpListener, Scheme)>, certificates: &Arc<Certificates>) -> Self {
        let shared = Arc::new(Shared {
            certificates: Arc::clone(certificates),
            beats: Journal::default(),
            state: Mutex::default(),
            stop: Condvar::new(),
        });
        let serve = |(listener, scheme)| {
            let listener: Arc<TcpListener> = Arc::new(listener);
            let (ours, shared) = (Arc::clone(&listener), Arc::clone(&shared));
            thread::spawn(move || accept(&ours, scheme, &shared));
            listener
        };
        let listeners = listeners.into_iter().map(serve).collect();
        Self { shared, listeners }
    }

    /// The journal of received requests.
    #[must_use]
    pub fn beats(&self) -> Journal<Beat> {
        self.shared.beats.clone()
    }

    /// Sets the behaviour from the next connection and request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
    }

    /// Follows a control line of [`Behaviour::follow`].
    ///
    /// # Errors
    ///
    /// The known control lines, if this one is unknown.
    pub fn follow(&self, line: &str) -> Result<(), &'static str> {
        self.shared.lock().behaviour.follow(line)
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// Closes every open connection in an orderly way, like a server that restarts.
    pub fn close_connections(&self) {
        for (_, stream) in &self.shared.lock().open {
            // The peer may have closed it already.
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.stop.notify_all();
        self.close_connections();
        for listener in &self.listeners {
            // shutdown(2) of a listening socket makes its accept(2) return.
            shutdown(listener, Shutdown::Both).ok();
        }
    }
}

impl Shared {
    // Every change of the state is one assignment, so it is consistent even after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but no longer than the receiver runs.
    fn pause(&self, wait: Duration) {
        drop(self.stop.wait_timeout_while(self.lock(), wait, |state| !state.stopping));
    }
}

fn accept(listener: &TcpListener, scheme: Scheme, shared: &Arc<Shared>) {
    while let Ok((stream, peer)) = listener.accept() {
        let connection = {
            let mut state = shared.lock();
            if state.stopping {
                return;
            }
            state.counts.connections += 1;
            let connection = state.counts.connections;
            state.open.extend(stream.try_clone().ok().map(|clone| (connection, clone)));
            connection
        };
        let shared = Arc::clone(shared);
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        thread::spawn(move || {
            // An error ends this connection only; the test sees that at the other end.
            serve(stream, peer, connection, scheme, &shared).ok();
            shared.lock().open.retain(|(open, _)| *open != connection);
        });
    }
}

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    connection: u32,
    scheme: Scheme,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let raw = stream.try_clone()?;
    if scheme == Scheme::Http {
        converse(&mut &stream, &raw, peer, connection, shared)?;
        return Ok(());
    }
    let behaviour = shared.lock().behaviour.clone();
    let mut config = shared.certificates.server(behaviour.shown, behaviour.tls12_only);
    if behaviour.early == EarlyData::Reject {
        let mut strict = ServerConfig::clone(&config);
        strict.max_early_data_size = 0;
        config = Arc::new(strict);
    }
    let mut tls = Tls::new(config, stream)?;
    if let Err(error) = tls.establish() {
        shared.lock().counts.failed_handshakes += 1;
        return Err(error);
    }
    {
        let counts = &mut shared.lock().counts;
        if tls.is_resumed() {
            counts.resumed_handshakes += 1;
        } else {
            counts.full_handshakes += 1;
        }
    }
    if converse(&mut tls, &raw, peer, connection, shared)? == End::Orderly {
        tls.say_goodbye()?;
    }
    Ok(())
}

/// A connection that requests are read from.
trait Stream: Read + Write {
    /// The protocol, as in [`Beat::security`].
    fn security(&self) -> String;
    /// Whether the last bytes read were early data.
    fn is_early(&self) -> bool;
}

impl Stream for &TcpStream {
    fn security(&self) -> String {
        "http".to_owned()
    }

    fn is_early(&self) -> bool {
        false
    }
}

/// How a connection ended.
#[derive(PartialEq, Eq)]
enum End {
    Orderly,
    Reset,
}

/// Serves one connection, request by request, until one side closes it.
fn converse(
    stream: &mut impl Stream,
    raw: &TcpStream,
    peer: SocketAddr,
    connection: u32,
    shared: &Shared,
) -> io::Result<End> {
    let mut unread = Vec::new();
    for nth in 1.. {
        let Some(request) = http::read_request(stream, &mut unread)? else {
            return Ok(End::Orderly);
        };
        let beat = Beat {
            received_us: clock::boot_us(),
            wall_us: clock::wall_us(),
            peer,
            connection,
            nth,
            security: stream.security(),
            early: stream.is_early(),
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
        };
        let mut behaviour = {
            let mut state = shared.lock();
            state.counts.requests += 1;
            state.behaviour.clone()
        };
        if beat.early && behaviour.early == EarlyData::TooEarly {
            behaviour.answer = Answer::Status { code: 425, header: None };
        }
        shared.beats.push(beat);
        shared.pause(behaviour.delay);
        if behaviour.answer == Answer::Hang {
            // This ends when the peer gives up, or with the receiver.
            io::copy(stream, &mut io::sink())?;
            return Ok(End::Orderly);
        }
        let (bytes, keep) = http::answer(&behaviour, peer);
        if behaviour.drip {
            for byte in bytes.chunks(1) {
                stream.write_all(byte)?;
                stream.flush()?;
                shared.pause(DRIP);
            }
        } else {
            stream.write_all(&bytes)?;
            stream.flush()?;
        }
        if behaviour.answer == Answer::Reset {
            // socket(7): closing with a linger time of zero resets the connection.
            sockopt::set_socket_linger(raw, Some(Duration::ZERO))?;
            return Ok(End::Reset);
        }
        if !keep {
            return Ok(End::Orderly);
        }
    }
    Ok(End::Orderly)
}

/// The pause between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(2);
