//! The listening socket, and what keeps it from being one.
//!
//! ```text
//! Off --listen--> Listening         a place that cannot be had is tried again:
//!                    ^  |           5 s later, then after waits that double up to a minute
//!                    |  +--the file of a Unix socket is gone--+
//!                 Retrying <----------------------------------+
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::stream::Stream;
use super::trouble::{Trouble, TroubleKind};
use crate::config::Listen;
use crate::net::local::Allowance;
use crate::net::place::{self, Place};
use crate::proto::time::Instant;

/// Most connections that the kernel queues for us.
const QUEUE_MAX: i32 = 16;
/// Room in the kernel for the usual answer, so that it need not be kept here.
pub(super) const SEND_BUFFER: usize = 32 << 10;
/// How long the kernel keeps what a client does not take, after the connection was closed.
const ORPHAN_TIME: Duration = Duration::from_secs(10);
/// First and longest wait before the address is tried again.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Pause when there is no descriptor left for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Listener {
    /// Nothing is to be listened on, or it is refused.
    Off(Option<Trouble>),
    Listening(Listening),
    Retrying {
        trouble: Trouble,
        retry_at: Instant,
        wait: Duration,
    },
}

#[derive(Debug)]
pub(super) struct Listening {
    door: Door,
    listen: Listen,
    /// Whether the kernel's queue may hold connections that no edge will tell again.
    queued: bool,
    /// Not accepted from earlier.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    /// The file goes when the socket does.
    Unix(UnixListener, Place),
}

impl Listener {
    /// A socket that listens there, or the trouble with it.
    pub(super) fn open(listen: Listen, registry: &Registry, token: Token, now: Instant) -> Self {
        Self::attempt(listen, registry, token, RETRY_WAITS.0, None, now)
    }

    /// Tries again what is due, lets those in again who were paused.
    pub(super) fn on_deadline(&mut self, registry: &Registry, token: Token, now: Instant) {
        match self {
            Self::Listening(Listening { paused_until, .. })
                if paused_until.is_some_and(|at| now >= at) =>
            {
                *paused_until = None;
            }
            Self::Retrying { trouble, retry_at, wait } if now >= *retry_at => {
                let wait = (*wait * 2).min(RETRY_WAITS.1);
                let listen = trouble.listen.clone();
                *self = Self::attempt(listen, registry, token, wait, Some(trouble), now);
            }
            Self::Listening(_) | Self::Off(_) | Self::Retrying { .. } => {}
        }
    }

    /// Opens a Unix socket anew whose file is gone.
    pub(super) fn look(&mut self, registry: &Registry, token: Token, now: Instant) {
        if let Self::Listening(Listening { door: Door::Unix(_, place), listen, .. }) = self
            && !place.is_ours()
        {
            *self = Self::open(listen.clone(), registry, token, now);
        }
    }

    fn attempt(
        listen: Listen,
        registry: &Registry,
        token: Token,
        wait: Duration,
        earlier: Option<&Trouble>,
        now: Instant,
    ) -> Self {
        let opened = Door::open(&listen).and_then(|mut door| {
            let watched = registry.register(door.source(), token, Interest::READABLE);
            watched.map(|()| door).map_err(|error| TroubleKind::of(&error))
        });
        match opened {
            Ok(door) => {
                log::info!("status server listens on {listen}");
                Self::Listening(Listening { door, listen, queued: false, paused_until: None })
            }
            Err(kind) => {
                let trouble = Trouble { listen, kind };
                if earlier != Some(&trouble) {
                    log::warn!("{trouble}");
                }
                Self::Retrying { trouble, retry_at: now + wait, wait }
            }
        }
    }

    /// Where it is to listen.
    pub(super) const fn place(&self) -> Option<&Listen> {
        match self {
            Self::Off(None) => None,
            Self::Listening(Listening { listen, .. }) => Some(listen),
            Self::Off(Some(trouble)) | Self::Retrying { trouble, .. } => Some(&trouble.listen),
        }
    }

    /// Whether it is refused to listen there.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self, Self::Off(Some(_)))
    }

    pub(super) const fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Off(trouble) => trouble.as_ref(),
            Self::Retrying { trouble, .. } => Some(trouble),
            Self::Listening(_) => None,
        }
    }

    /// The address in use, with the port that the kernel chose if 0 was asked for.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Listening(Listening { door: Door::Tcp(socket), .. }) => socket.local_addr().ok(),
            Self::Listening(_) | Self::Off(_) | Self::Retrying { .. } => None,
        }
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Off(_) => None,
            Self::Listening(Listening { paused_until, .. }) => *paused_until,
            Self::Retrying { retry_at, .. } => Some(*retry_at),
        }
    }

    /// Whether somebody may be queued of whom no readiness will tell.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(self, Self::Listening(Listening { queued: true, paused_until: None, .. }))
    }

    /// Remembers that somebody knocked.
    pub(super) const fn knock(&mut self) {
        if let Self::Listening(Listening { queued, .. }) = self {
            *queued = true;
        }
    }

    /// The next connection, unless nobody is queued or it is not the time.
    pub(super) fn accept(&mut self, accepts: &mut Allowance, now: Instant) -> Option<Stream> {
        let Self::Listening(Listening { door, queued, paused_until: paused @ None, .. }) = self
        else {
            return None;
        };
        match door.accept() {
            Ok(stream) => {
                *paused = accepts.take(now);
                Some(stream)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *queued = false;
                None
            }
            // accept(2): what befell one connection does not concern the next; `queued` stays.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
            Err(error) => {
                log::debug!("accept on the status server: {error}");
                *paused = Some(now + EXHAUSTED_WAIT);
                None
            }
        }
    }
}

impl Door {
    fn open(listen: &Listen) -> Result<Self, TroubleKind> {
        match listen {
            Listen::Address(address) => {
                bind(*address).map(Self::Tcp).map_err(|error| TroubleKind::of(&error))
            }
            Listen::Socket(path) => {
                let (socket, place) = place::bind(path)
                    .map_err(|error| TroubleKind::Socket(error.chain().to_string()))?;
                Ok(Self::Unix(socket, place))
            }
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(socket) => socket,
            Self::Unix(socket, _) => socket,
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => {
                let accepted = socket.accept();
                accepted.map(|(stream, peer): (_, SocketAddr)| Stream::Tcp(stream, peer.ip()))
            }
            Self::Unix(socket, _) => socket.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // ip(7): connections of an earlier run in TIME_WAIT are no reason to refuse the port.
    socket.set_reuse_address(true)?;
    // tcp(7): accepted sockets inherit both.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(ORPHAN_TIME))?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE_MAX)?;
    Ok(TcpListener::from_std(socket.into()))
}
