//! One helper, from greeting to hang-up.
//!
//! ```text
//! Listening --trigger, status--> Asked --answer--> Listening
//! ```
//!
//! Paused, it is not watched: what it sends meanwhile waits in the kernel, and blocks it in the end.

use std::fmt::Write as _;
use std::io::{self, IoSlice, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use heapless::{String, Vec};
use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::net::local::{Allowance, Ask, Asked};
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::sys::eventfd::EventFd;
use crate::wire::date::Utc;
use crate::wire::line::{self, BadLine, GREETING, LINE_MAX, Line};
use crate::wire::outcome::Outcome;

/// Room for an [`Outcome`] as a line.
const ANSWER_MAX: usize = 512;

/// The connection is over: to be closed.
#[derive(Debug)]
pub(super) struct Over;

/// What a readiness brought.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing for others.
    Nothing,
    /// The eventfd was written to.
    Ring,
    /// A request to be handed out; [`Helper::wait`] next.
    Ask {
        /// What is asked for.
        ask: Ask,
        /// Whether the answer is to be the result of the beat.
        wait: bool,
    },
    /// The connection is over.
    End,
}

#[derive(Debug)]
pub(super) struct Helper {
    stream: UnixStream,
    kind: Kind,
    /// Its stream's; its eventfd has the one after it.
    token: Token,
    /// What came and was not looked at.
    input: Vec<u8, LINE_MAX>,
    /// Whether there may be more to hear: nothing is read while `input` has a line, so that only an
    /// empty socket can end it.
    readable: bool,
    /// Whether the other side has nothing more to say.
    ended: bool,
    asked: Option<Asked>,
    allowance: Allowance,
    paused_until: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Helper { bell: EventFd },
    Guest { leave_at: Instant },
}

impl Helper {
    /// Greets who connected, and watches it with `token` and, unless it is a guest, the next one.
    pub(super) fn new(
        stream: UnixStream,
        guest_until: Option<Instant>,
        token: Token,
        registry: &Registry,
        now: Instant,
    ) -> io::Result<Self> {
        let kind = match guest_until {
            Some(leave_at) => Kind::Guest { leave_at },
            None => Kind::Helper { bell: EventFd::new()? },
        };
        let mut this = Self {
            stream,
            kind,
            token,
            input: Vec::new(),
            readable: false,
            ended: false,
            asked: None,
            allowance: Allowance::new(now),
            paused_until: None,
        };
        this.greet()?;
        this.watch(registry).inspect_err(|_| this.forget(registry))?;
        Ok(this)
    }

    fn greet(&self) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        let bell = match &self.kind {
            Kind::Helper { bell } => &[bell.as_fd()][..],
            Kind::Guest { .. } => &[],
        };
        if !bell.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(bell)), "there is room for one");
        }
        let greeting = [IoSlice::new(GREETING.as_bytes())];
        sendmsg(&self.stream, &greeting, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn watch(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.stream, self.token, Interest::READABLE)?;
        if let Kind::Helper { bell } = &self.kind {
            let token = Token(self.token.0 + 1);
            let fd = bell.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Ends the watch, without which the poll would go on telling of the eventfd that the helper
    /// still has: epoll(7) knows open files, and closing our descriptor closes none.
    pub(super) fn forget(&mut self, registry: &Registry) {
        // epoll_ctl(2) ENOENT: it was not watched, which is what is wanted.
        if let Kind::Helper { bell } = &self.kind
            && let Err(error) = registry.deregister(&mut SourceFd(&bell.as_fd().as_raw_fd()))
        {
            log::trace!("forget an eventfd: {error}");
        }
        if let Err(error) = registry.deregister(&mut self.stream) {
            log::trace!("forget a helper: {error}");
        }
    }

    /// Hears one line.
    pub(super) fn on_line(&mut self, now: Instant, registry: &Registry) -> Heard {
        self.readable = true;
        if self.asked.is_some() || self.paused_until.is_some() {
            return Heard::Nothing;
        }
        let line = match self.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Heard::Nothing,
            Err(Over) => return Heard::End,
        };
        self.spend(now, registry);
        match line::parse(&line) {
            Ok(Line::Status) => Heard::Ask { ask: Ask::Status, wait: false },
            Ok(Line::History { after }) => Heard::Ask { ask: Ask::History { after }, wait: false },
            Ok(Line::Trigger { word, wait }) => Heard::Ask { ask: Ask::Trigger(word), wait },
            Err(bad) => self.say(&bad).map_or(Heard::End, |()| Heard::Nothing),
        }
    }

    /// Takes the next line; `None` while there is no whole one.
    fn next_line(&mut self) -> Result<Option<Vec<u8, LINE_MAX>>, Over> {
        loop {
            let end = self.input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            // Whoever ends without a line's end has said all there is.
            let rest = (self.ended && !self.input.is_empty()).then_some(self.input.len());
            if let Some(length) = end.or(rest) {
                let line = self.input.iter().copied().take(length).collect();
                drop(self.input.drain(..length));
                return Ok(Some(line));
            }
            if self.ended {
                return Err(Over);
            }
            if self.input.is_full() {
                self.say(&BadLine::TooLong)?;
                return Err(Over);
            }
            if !self.readable {
                return Ok(None);
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), Over> {
        let mut buffer = [0; LINE_MAX];
        let room = LINE_MAX - self.input.len();
        match self.stream.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(bytes) => {
                self.ended = bytes == 0;
                let bytes = buffer.get(..bytes).unwrap_or_default();
                self.input.extend_from_slice(bytes).expect("no more is read than fits");
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Over),
        }
        Ok(())
    }

    /// Hears whether the eventfd was written to.
    pub(super) fn on_ring(&mut self, now: Instant, registry: &Registry) -> Heard {
        if self.paused_until.is_some() || !self.is_rung() {
            return Heard::Nothing;
        }
        self.spend(now, registry);
        Heard::Ring
    }

    /// Whether the eventfd was written to at the very end, paused or not.
    pub(super) fn is_rung(&self) -> bool {
        matches!(&self.kind, Kind::Helper { bell } if is_rung(bell))
    }

    /// Counts one line or ring, and pauses who has used up its share.
    fn spend(&mut self, now: Instant, registry: &Registry) {
        self.paused_until = self.allowance.take(now);
        if self.paused_until.is_some() {
            log::debug!("a helper asks too often and is paused");
            self.forget(registry);
        }
    }

    /// Waits for the answer to a request from now on.
    pub(super) fn wait(&mut self, ticket: Ticket, wait: bool, now: Instant) {
        self.asked = Some(Asked::new(ticket, wait, now));
    }

    pub(super) fn has(&self, ticket: Ticket) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.has(ticket))
    }

    pub(super) fn is_covered(&self, covers: u64) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.is_covered(covers))
    }

    /// Whether there may be a line that no readiness will tell of.
    pub(super) const fn is_pending(&self) -> bool {
        self.readable && self.asked.is_none() && self.paused_until.is_none()
    }

    /// Takes the core's word; the last word for the helper, unless it goes on waiting.
    pub(super) fn hear(
        &mut self,
        answer: TriggerAnswer,
        utc: impl Fn(Instant) -> Utc,
    ) -> Option<Outcome<'static>> {
        self.asked.as_mut()?.hear(answer, utc)
    }

    pub(super) fn end(&mut self, outcome: &Outcome<'_>) -> Result<(), Over> {
        self.asked = None;
        self.say(outcome)
    }

    fn say(&mut self, text: &dyn std::fmt::Display) -> Result<(), Over> {
        let mut line = String::<ANSWER_MAX>::new();
        writeln!(line, "{text}").map_err(|_| Over)?;
        self.send(line.as_bytes())
    }

    /// Sends all of it at once: who has left no room for it does not read.
    pub(super) fn send(&mut self, text: &[u8]) -> Result<(), Over> {
        match self.stream.write(text) {
            Ok(sent) if sent == text.len() => Ok(()),
            Ok(_) | Err(_) => Err(Over),
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let leave_at = match self.kind {
            Kind::Helper { .. } => None,
            Kind::Guest { leave_at } => Some(leave_at),
        };
        let give_up_at = self.asked.as_ref().map(Asked::give_up_at);
        [leave_at, give_up_at, self.paused_until].into_iter().flatten().min()
    }

    pub(super) fn on_deadline(&mut self, now: Instant, registry: &Registry) -> Result<(), Over> {
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
            self.watch(registry).map_err(|_| Over)?;
        }
        if let Some(outcome) = self.asked.as_ref().and_then(|asked| asked.give_up(now)) {
            self.end(&outcome)?;
        }
        match self.kind {
            Kind::Guest { leave_at } if now >= leave_at => Err(Over),
            Kind::Helper { .. } | Kind::Guest { .. } => Ok(()),
        }
    }
}

/// Drains the eventfd. Where the kernel cannot tell whether it was written to without waiting,
/// `drain` says yes, and this asks first.
fn is_rung(bell: &EventFd) -> bool {
    let mut fds = [PollFd::new(bell, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    ready.is_ok_and(|ready| ready > 0) && bell.drain()
}

/// Tells who is one too many, and hangs up.
pub(super) fn refuse(mut stream: UnixStream) {
    const TEXT: &str = "error: too many helpers are connected: end one of them and try again\n";
    if let Err(error) = stream.write(TEXT.as_bytes()) {
        log::debug!("refuse a helper: {error}");
    }
}
