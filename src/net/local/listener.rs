//! The sockets that local clients connect to.
//!
//! ```text
//! Off --listen--> Listening         an address that cannot be had is tried again:
//!                    ^  |           a second later, then after waits that double up to five
//!                    |  +--the file of a Unix socket is gone--+
//!                 Retrying <----------------------------------+
//! ```

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::Level;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::clients::Protocol;
use super::socket_file::{self, QUEUE_MAX, SocketFile};
use super::stream::Stream;
use super::throttle::Throttle;
use crate::error::Error;
use crate::sys::readiness::watch;
use linkbeat_core::proto::time::Instant;

/// Room in the kernel for the usual answer, so that it need not be kept here.
pub(super) const SEND_BUFFER: usize = 32 << 10;
/// How long the kernel keeps what a client does not take, after the connection was closed.
const ORPHAN_TIME: Duration = Duration::from_secs(10);
/// First and longest wait before the address is tried again.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Pause when there is no descriptor left for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_secs(1);

/// The place where a socket listens; `Display` is how the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port of this device.
    Address(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Listen {
    /// Whether other machines could connect.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Address(address) if !address.ip().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
struct Listener {
    /// The place where it listens.
    listen: Listen,
    /// The listening socket.
    socket: Socket,
    /// The file of a Unix socket, which is removed with it.
    file: Option<SocketFile>,
    /// Whether the kernel's queue may hold connections that no edge will announce again.
    queued: bool,
    /// Limits the rate of connections.
    throttle: Throttle,
}

impl Listener {
    fn open(listen: &Listen, registry: &Registry, token: Token) -> Result<Self, Error> {
        let (socket, file) = match listen {
            Listen::Address(address) => {
                (bind_tcp(*address).map_err(Error::system("listen"))?, None)
            }
            Listen::Socket(path) => {
                let (socket, file) = socket_file::bind(path)?;
                (socket, Some(file))
            }
        };
        let watched = watch(registry, &socket, token, Interest::READABLE);
        watched.map_err(Error::system("watch a listening socket"))?;
        Ok(Self {
            listen: listen.clone(),
            socket,
            file,
            queued: false,
            throttle: Throttle::default(),
        })
    }

    /// False if another file has taken the path, or somebody cleared the directory.
    fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(SocketFile::is_ours)
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(socket2::Protocol::TCP))?;
    // ip(7): connections of an earlier run in TIME_WAIT are no reason to refuse the port.
    socket.set_reuse_address(true)?;
    // tcp(7): accepted sockets inherit both.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(ORPHAN_TIME))?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE_MAX)?;
    Ok(socket)
}

/// The listening socket of one protocol, or the reason why there is none.
#[derive(Debug)]
pub(super) struct Port {
    /// The protocol of its clients.
    pub(super) protocol: Protocol,
    /// The token of the socket.
    pub(super) token: Token,
    /// The place where it is wanted.
    pub(super) listen: Option<Listen>,
    /// The socket, while there is one.
    listener: Option<Listener>,
    /// Why it does not listen where it is wanted, as logged last.
    pub(super) error: Option<String>,
    /// When it is tried again, and the wait that ends then.
    retry: Option<(Instant, Duration)>,
}

impl Port {
    pub(super) const fn new(protocol: Protocol, token: Token) -> Self {
        Self { protocol, token, listen: None, listener: None, error: None, retry: None }
    }

    /// Listens there from now on, or nowhere, and says whether that is another socket than before:
    /// one in place stays untouched. A failure is tried again on its deadline, and is to be
    /// [reported](Self::report).
    pub(super) fn listen(
        &mut self,
        listen: Option<Listen>,
        registry: &Registry,
        now: Instant,
    ) -> Result<bool, Error> {
        let in_place = self.listener.as_ref().filter(|listener| listener.is_in_place());
        let is_settled = listen.is_some() || self.listener.is_none();
        // Where it is, and not where it was wanted last: that may have failed.
        if in_place.map(|listener| &listener.listen) == listen.as_ref() && is_settled {
            (self.listen, self.error, self.retry) = (listen, None, None);
            return Ok(false);
        }
        self.listen = listen;
        self.retry = None;
        self.open(registry, now)
    }

    /// Opens again a Unix socket whose file is gone, unless that is tried on its deadline already.
    pub(super) fn poll_file(&mut self, registry: &Registry, now: Instant) -> Result<bool, Error> {
        let is_in_place = self.listener.as_ref().is_none_or(Listener::is_in_place);
        if is_in_place || self.retry.is_some() {
            return Ok(false);
        }
        self.open(registry, now)
    }

    /// Listens nowhere: at this address every machine could connect, and would be asked for no
    /// token.
    pub(super) fn refuse(&mut self, listen: &Listen) {
        (self.listen, self.listener, self.retry) = (Some(listen.clone()), None, None);
        self.note(format!(
            "status server: {listen} is not a loopback address and is not served: set status_token \
             as well, or another status_listen"
        ));
    }

    fn open(&mut self, registry: &Registry, now: Instant) -> Result<bool, Error> {
        // The new address may overlap the former one, which has other rules of admission; helpers
        // keep their socket until there is another.
        if self.protocol == Protocol::Http {
            self.listener = None;
        }
        let listen = self.listen.as_ref();
        match listen.map(|listen| Listener::open(listen, registry, self.token)).transpose() {
            Ok(listener) => {
                if let (Protocol::Http, Some(listen)) = (self.protocol, listen) {
                    log::info!("status server listens on {listen}");
                }
                (self.listener, self.error, self.retry) = (listener, None, None);
                Ok(true)
            }
            Err(error) => {
                let wait = self.retry.map_or(RETRY_WAITS.0, |(_, wait)| wait * 2);
                let wait = wait.min(RETRY_WAITS.1);
                self.retry = Some((now + wait, wait));
                Err(error)
            }
        }
    }

    /// Logs why it does not listen, once for each reason.
    pub(super) fn report(&mut self, error: &Error) {
        let text = match (self.protocol, &self.listen) {
            (Protocol::Http, Some(listen)) => {
                format!("status server: {}", describe(listen, error))
            }
            _ => format!("helpers cannot ask for beats: {error}"),
        };
        self.note(text);
    }

    fn note(&mut self, text: String) {
        if self.error.as_ref() != Some(&text) {
            let is_http = self.protocol == Protocol::Http;
            log::log!(if is_http { Level::Warn } else { Level::Error }, "{text}");
            self.error = Some(text);
        }
    }

    /// The place where it listens.
    pub(super) fn address(&self) -> Option<&Listen> {
        self.listener.as_ref().map(|listener| &listener.listen)
    }

    /// The TCP address in use, with the port that the kernel chose.
    #[cfg(test)]
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.socket.local_addr().ok()?.as_socket()
    }

    /// Notes that connections may be queued.
    pub(super) fn on_readable(&mut self) {
        self.listener.iter_mut().for_each(|listener| listener.queued = true);
    }

    /// Whether connections may be queued that no readiness will announce.
    pub(super) fn is_pending(&self) -> bool {
        let listener = self.listener.as_ref();
        listener.is_some_and(|listener| listener.queued && !listener.throttle.is_paused())
    }

    /// The next connection, unless none is queued or accepting is paused.
    pub(super) fn accept(&mut self, now: Instant) -> Option<Stream> {
        let listener = self.listener.as_mut().filter(|listener| !listener.throttle.is_paused())?;
        match Stream::accept(&listener.socket) {
            Ok(stream) => {
                listener.throttle.count(now);
                return Some(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.queued = false,
            // accept(2): the error of one connection does not concern the next; `queued` stays.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                log::debug!("accept a local client: {error}");
                listener.throttle.pause(now + EXHAUSTED_WAIT);
            }
        }
        None
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let paused_until = self.listener.as_ref().and_then(|it| it.throttle.next_deadline());
        self.retry.map(|(at, _)| at).into_iter().chain(paused_until).min()
    }

    /// Ends a pause, and tries again what failed; see [`listen`](Self::listen).
    pub(super) fn on_deadline(&mut self, registry: &Registry, now: Instant) -> Result<bool, Error> {
        if let Some(listener) = &mut self.listener {
            listener.throttle.resume(now);
        }
        match self.retry {
            Some((at, _)) if now >= at => self.open(registry, now),
            _ => Ok(false),
        }
    }
}

/// Why the status server cannot listen, and what to do about it.
pub(crate) fn describe(listen: &Listen, error: &Error) -> String {
    let (Listen::Address(_), Error::System { source, .. }) = (listen, error) else {
        return format!("{listen}: {error}");
    };
    match Errno::from_io_error(source) {
        Some(Errno::ADDRINUSE) => format!(
            "{listen} is in use by another program: \
             stop that, or set status_listen to another port or to \"\""
        ),
        Some(Errno::ADDRNOTAVAIL) => {
            format!("{listen} is no address of this device: change status_listen")
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            format!("{listen} may not be used: set status_listen to a port above 1023")
        }
        _ => format!("listen on {listen}: {source}"),
    }
}
