//! One client of the trigger socket, from greeting to hang-up: a helper, or the command line.
//!
//! The greeting is the line `linkbeat 1`, which carries an eventfd of the client's own (unix(7)
//! `SCM_RIGHTS`). From then on one write of eight bytes to that is a trigger, for as long as the
//! connection lives. A client that only wants lines reads the greeting as plain text and writes:
//!
//! ```text
//! trigger [REASON]          set | pending | held until T | disabled | unconfigured
//! trigger --wait [REASON]   seq 812, 200, 83 ms, via wlan0 | failed: ... | gave up after 15 s ...
//!                           | held until T (where that is later) | disabled | unconfigured
//! status                    the status as JSON, then the end of the connection
//! history [N]               the history as JSON, of entries with a number above N; then the end
//! anything else             error: what is wrong and what to do
//! ```
//!
//! Each line has one answer, in their order; a line is not parsed before the one before it is
//! answered. T is ISO 8601 in UTC. A client gets its share and no more: one line or one ring for
//! each wake-up, a pause if it asks too often, the end if it does not take its answers. While it is
//! paused it is not watched: what it sends waits in the kernel, and blocks it in the end.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use heapless::{String, Vec};
use mio::{Interest, Registry, Token};
use rustix::cmsg_space;
use rustix::event::PollFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::request::{Ask, Event};
use super::stream::{Closed, Stream};
use super::throttle::Throttle;
use crate::sys::eventfd::EventFd;
use crate::sys::readiness::{is_ready, unwatch, watch};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::line::{self, BadLine, CommandLine, GREETING, LINE_MAX};

/// Room for an [`Outcome`](linkbeat_core::wire::outcome::Outcome) as a line.
const OUTCOME_LINE_MAX: usize = 512;

/// A client of the trigger socket.
#[derive(Debug)]
pub(super) struct LineClient {
    /// The connection.
    stream: Stream,
    /// The rights of the client.
    role: Role,
    /// The token of the stream; the eventfd has the one after it.
    token: Token,
    /// The bytes that arrived and are not parsed yet.
    input: Vec<u8, LINE_MAX>,
    /// Whether the socket may have more: nothing is read while `input` has a line.
    readable: bool,
    /// Whether the client has ended its side.
    ended: bool,
    /// Limits the rate of lines and rings.
    throttle: Throttle,
}

/// The rights of a client.
#[derive(Debug)]
enum Role {
    /// Stay, and trigger with its eventfd.
    Helper { eventfd: EventFd },
    /// Write lines until this instant.
    Guest { leave_at: Instant },
}

impl LineClient {
    /// Greets a client, and watches it with `token` and, unless it is a guest, the next one.
    pub(super) fn new(
        stream: Stream,
        guest_until: Option<Instant>,
        token: Token,
        registry: &Registry,
    ) -> io::Result<Self> {
        let role = match guest_until {
            Some(leave_at) => Role::Guest { leave_at },
            None => Role::Helper { eventfd: EventFd::new()? },
        };
        let this = Self {
            stream,
            role,
            token,
            input: Vec::new(),
            readable: false,
            ended: false,
            throttle: Throttle::default(),
        };
        this.greet()?;
        this.watch(registry).inspect_err(|_| this.unwatch(registry))?;
        Ok(this)
    }

    fn greet(&self) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        let fds = self.eventfd().map(AsFd::as_fd);
        if let Some(fd) = &fds {
            let message = SendAncillaryMessage::ScmRights(std::slice::from_ref(fd));
            assert!(control.push(message), "there is room for one");
        }
        let greeting = [IoSlice::new(GREETING.as_bytes())];
        sendmsg(&self.stream.socket, &greeting, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    const fn eventfd(&self) -> Option<&EventFd> {
        match &self.role {
            Role::Helper { eventfd } => Some(eventfd),
            Role::Guest { .. } => None,
        }
    }

    fn watch(&self, registry: &Registry) -> io::Result<()> {
        watch(registry, &self.stream.socket, self.token, Interest::READABLE)?;
        let eventfd = self.eventfd();
        eventfd.map_or(Ok(()), |eventfd| {
            watch(registry, eventfd, Token(self.token.0 + 1), Interest::READABLE)
        })
    }

    /// Ends the watch. Without that the poll would go on reporting the eventfd that the helper
    /// still has: epoll(7) knows open files, and closing our descriptor closes none.
    pub(super) fn unwatch(&self, registry: &Registry) {
        let eventfd = self.eventfd().map_or(Ok(()), |eventfd| unwatch(registry, eventfd));
        // epoll_ctl(2) ENOENT: it was not watched, which is what is wanted.
        if let Err(error) = eventfd.and(unwatch(registry, &self.stream.socket)) {
            log::trace!("unwatch a helper: {error}");
        }
    }

    /// Notes that the socket may have more.
    pub(super) const fn on_readable(&mut self) {
        self.readable = true;
    }

    /// Takes one line, unless the client is paused.
    pub(super) fn on_line(&mut self, now: Instant, registry: &Registry) -> Result<Event, Closed> {
        if self.throttle.is_paused() {
            return Ok(Event::Nothing);
        }
        let Some(line) = self.next_line()? else { return Ok(Event::Nothing) };
        self.count(now, registry);
        let (ask, wait) = match line::parse(&line) {
            Ok(CommandLine::Status) => (Ask::Status, false),
            Ok(CommandLine::History { after }) => (Ask::History { after }, false),
            Ok(CommandLine::Trigger { word, wait }) => (Ask::Trigger(word), wait),
            Err(bad) => return self.say(&bad).map(|()| Event::Nothing),
        };
        Ok(Event::Ask { ask, wait })
    }

    /// The next line; `None` while there is no whole one.
    fn next_line(&mut self) -> Result<Option<Vec<u8, LINE_MAX>>, Closed> {
        loop {
            let end = self.input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            // The last line may lack its end.
            let rest = (self.ended && !self.input.is_empty()).then_some(self.input.len());
            if let Some(length) = end.or(rest) {
                return Ok(Some(self.input.drain(..length).collect()));
            }
            if self.ended {
                return Err(Closed);
            }
            if self.input.is_full() {
                self.say(&BadLine::TooLong)?;
                return Err(Closed);
            }
            if !self.readable {
                return Ok(None);
            }
            let mut buffer = [0; LINE_MAX];
            let room = LINE_MAX - self.input.len();
            match self.stream.read(buffer.get_mut(..room).unwrap_or_default())? {
                None => self.readable = false,
                Some(read) => {
                    self.ended = read == 0;
                    let bytes = buffer.get(..read).unwrap_or_default();
                    self.input.extend_from_slice(bytes).expect("no more is read than fits");
                }
            }
        }
    }

    /// Takes a ring, unless the client is paused or the eventfd was not written to.
    pub(super) fn on_ring(&mut self, now: Instant, registry: &Registry) -> Event {
        if self.throttle.is_paused() || !self.is_rung() {
            return Event::Nothing;
        }
        self.count(now, registry);
        Event::Rung
    }

    /// Whether the eventfd was written to since the last call. Where the kernel cannot say so
    /// without waiting, [`EventFd::drain`] says yes, so the poll is asked first. If that fails, the
    /// answer is yes as well: a beat too many is better than one that is lost.
    pub(super) fn is_rung(&self) -> bool {
        self.eventfd().is_some_and(|eventfd| {
            is_ready(eventfd, PollFlags::IN).unwrap_or(true) && eventfd.drain()
        })
    }

    /// Counts one line or ring, and pauses a client that has used up its share.
    fn count(&mut self, now: Instant, registry: &Registry) {
        self.throttle.count(now);
        if self.throttle.is_paused() {
            log::debug!("a helper asks too often and is paused");
            self.unwatch(registry);
        }
    }

    /// Whether there may be a line that no readiness will announce.
    pub(super) const fn is_pending(&self) -> bool {
        self.readable && !self.throttle.is_paused()
    }

    /// Sends one line.
    pub(super) fn say(&mut self, text: &dyn std::fmt::Display) -> Result<(), Closed> {
        let mut line = String::<OUTCOME_LINE_MAX>::new();
        writeln!(line, "{text}").map_err(|_| Closed)?;
        self.send(line.as_bytes())
    }

    /// Sends all of a text at once: a client that has left no room for it does not read.
    pub(super) fn send(&mut self, text: &[u8]) -> Result<(), Closed> {
        if self.stream.write(text, &[])? == text.len() { Ok(()) } else { Err(Closed) }
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let leave_at = match self.role {
            Role::Helper { .. } => None,
            Role::Guest { leave_at } => Some(leave_at),
        };
        leave_at.into_iter().chain(self.throttle.next_deadline()).min()
    }

    /// Ends a pause, or the time of a guest.
    pub(super) fn on_deadline(&mut self, now: Instant, registry: &Registry) -> Result<(), Closed> {
        if self.throttle.resume(now) {
            self.watch(registry).map_err(|_| Closed)?;
        }
        match self.role {
            Role::Guest { leave_at } if now >= leave_at => Err(Closed),
            Role::Helper { .. } | Role::Guest { .. } => Ok(()),
        }
    }
}
