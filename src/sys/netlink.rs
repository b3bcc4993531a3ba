//! The rtnetlink(7) socket: every change of links, and of what decides where packets go; dumps of
//! the links on demand.
//!
//! One socket does both, so that what a dump lists and what changes meanwhile arrive in the order
//! in which they happened. The kernel runs one dump per socket at a time:
//!
//! ```text
//! Idle --start_dump--> Running --done--> Ended
//!  ^ ^                  |   ^              |
//!  | |                EBUSY | the older    |
//!  | |                  v   | dump ends    |
//!  | |                 Waiting             |
//!  | +-- something was lost -- any state   |
//!  +----- the next drain reports Dumped ---+
//! ```
//!
//! The end is reported by a call of its own: what was reported before it may have made the caller
//! order another dump, and then it is no end.
//!
//! After an overflow the kernel drops notifications, silently, until the queue was read empty. A
//! dump that began before that could miss a change made after it: it is `Deferred` until then, and
//! what is still in the queue is dropped.
//!
//! An emulator of system calls may be unable to receive what the kernel says of rules. Each such
//! message is a loss, and the dump that follows leads to the same questions as the message would.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recvfrom, send, socket_with};

use linkbeat_core::proto::link::LinkEvent;
use linkbeat_core::wire::rtnetlink::{Malformed, Message, MessageKind, emit_dump, messages};

/// Largest datagram, in bytes: the kernel makes none larger for a dump (netlink(7) advises as
/// much).
const DATAGRAM_MAX: usize = 32 * 1024;

/// Failures in a row after which reading pauses.
const FAILURES_MAX: u8 = 4;

/// Wanted queue, in bytes. Used only when changes come faster than they are read.
const QUEUE: usize = 1024 * 1024;

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP: not every kernel has them.
const NEWER_GROUPS: u32 = 1 << (8 - 1) | 1 << (19 - 1) | 1 << (32 - 1);

/// A report of [`RouteSocket::drain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteEvent {
    /// A link, listed or changed, or news of what decides where packets go.
    Link(LinkEvent),
    /// Something was missed: call [`RouteSocket::start_dump`]. Reported once until that is called.
    Lost,
    /// The dump is complete.
    Dumped,
}

/// An rtnetlink socket that belongs to the groups of links, addresses, routes, rules and nexthop
/// objects.
#[derive(Debug)]
pub struct RouteSocket {
    /// The socket.
    fd: OwnedFd,
    /// Room for one datagram.
    buffer: Box<[u8]>,
    /// How far the dump is.
    progress: DumpProgress,
    /// How many reads have failed since the last one that did not.
    failures: u8,
}

impl RouteSocket {
    /// Opens the socket; changes are queued from now on. Nothing is dumped yet.
    ///
    /// # Errors
    ///
    /// What socket(2) and bind(2) say, such as `EAFNOSUPPORT` where a sandbox forbids netlink.
    pub fn new() -> io::Result<Self> {
        let fd = open()?;
        // Only CAP_NET_ADMIN may exceed net.core.rmem_max; the other call is cut to it.
        set_socket_recv_buffer_size_force(&fd, QUEUE)
            .or_else(|_| set_socket_recv_buffer_size(&fd, QUEUE))?;
        bind(&fd, &SocketAddrNetlink::new(0, GROUPS | NEWER_GROUPS))
            .or_else(|_| bind(&fd, &SocketAddrNetlink::new(0, GROUPS)))?;
        let buffer = vec![0; DATAGRAM_MAX].into_boxed_slice();
        Ok(Self { fd, buffer, progress: DumpProgress::new(), failures: 0 })
    }

    /// Orders a dump of the links. One that is unfinished starts anew.
    ///
    /// [`drain`](Self::drain) reports its end as [`RouteEvent::Dumped`], unless
    /// [`RouteEvent::Lost`] comes first.
    ///
    /// # Errors
    ///
    /// What send(2) says: no memory, or a sandbox forbids it. No dump runs then.
    pub fn start_dump(&mut self) -> io::Result<()> {
        let Step::Send(seq) = self.progress.start() else { return Ok(()) };
        request_dump(&self.fd, seq).map_err(|errno| {
            self.progress.dump = Dump::Idle;
            errno.into()
        })
    }

    /// Whether reading goes on failing: [`drain`](Self::drain) has ended early, and is to be called
    /// again after a pause. An overflow is one failure, which reading on ends.
    pub const fn is_failing(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// Reads at most `budget` datagrams and reports their events. True if nothing is left, or
    /// nothing can be read ([`is_failing`](Self::is_failing)); false: call it again soon, no new
    /// readiness will come.
    pub fn drain(&mut self, budget: usize, mut on_event: impl FnMut(RouteEvent)) -> bool {
        let Self { fd, buffer, progress, failures } = self;
        let mut perform = |progress: &mut DumpProgress, step| {
            let step = match step {
                Step::Send(seq) if request_dump(fd, seq).is_ok() => Step::Nothing,
                Step::Send(_) => progress.lose(),
                Step::Nothing | Step::Report(_) => step,
            };
            if let Step::Report(event) = step {
                on_event(event);
            }
        };
        let step = progress.end();
        perform(progress, step);
        for _ in 0..budget {
            if progress.dump == Dump::Ended {
                break;
            }
            match receive(fd, buffer) {
                Ok(datagram) => {
                    *failures = 0;
                    for message in messages(datagram) {
                        let step = progress.on_message(message);
                        perform(progress, step);
                    }
                }
                Err(Errno::WOULDBLOCK) => {
                    *failures = 0;
                    match progress.emptied() {
                        Step::Nothing => return true,
                        step => perform(progress, step),
                    }
                }
                Err(errno) => {
                    let step = progress.missed(errno);
                    perform(progress, step);
                    *failures = failures.saturating_add(1);
                    if *failures >= FAILURES_MAX {
                        return true;
                    }
                }
            }
        }
        false
    }
}

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens a socket of rtnetlink(7) that belongs to no group.
pub(super) fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // Protocol 0 is NETLINK_ROUTE.
    socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
}

/// Reads one datagram; an empty one in place of one that the kernel did not send.
///
/// # Errors
///
/// recv(2)'s, and `EMSGSIZE` for a datagram larger than the buffer, whose end is lost.
pub(super) fn receive<'a>(fd: &OwnedFd, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // MSG_TRUNC makes the kernel say how long the datagram was, not how much of it fitted.
    let (taken, length, from) = retry_on_intr(|| recvfrom(fd, &mut *buffer, RecvFlags::TRUNC))?;
    // netlink(7): port 0 is the kernel's. Others may send too, if they are privileged.
    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
    if from.is_none_or(|from| from.pid() != 0) {
        return Ok(&[]);
    }
    if length > taken {
        return Err(Errno::MSGSIZE);
    }
    Ok(buffer.get(..taken).unwrap_or_default())
}

fn request_dump(fd: &OwnedFd, seq: u32) -> Result<(), Errno> {
    retry_on_intr(|| send(fd, &emit_dump(seq), SendFlags::empty())).map(drop)
}

/// The consequence of a message or an error of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    /// Request a dump, with this number.
    Send(u32),
    Report(RouteEvent),
}

/// How far the dump is.
#[derive(Debug)]
struct DumpProgress {
    /// The state of the dump.
    dump: Dump,
    /// Number of the latest request.
    seq: u32,
    /// [`RouteEvent::Lost`] was reported, and no dump ordered since.
    lost: bool,
    /// The queue overflowed and was not read empty since.
    congested: bool,
}

/// The states of the module's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dump {
    Idle,
    Deferred,
    Waiting,
    Running,
    Ended,
}

impl DumpProgress {
    const fn new() -> Self {
        Self { dump: Dump::Idle, seq: 0, lost: false, congested: false }
    }

    /// A dump is ordered.
    fn start(&mut self) -> Step {
        self.lost = false;
        if self.congested {
            self.dump = Dump::Deferred;
            return Step::Nothing;
        }
        self.request()
    }

    /// The queue was read empty.
    fn emptied(&mut self) -> Step {
        self.congested = false;
        match self.dump {
            Dump::Deferred => self.request(),
            Dump::Idle | Dump::Waiting | Dump::Running | Dump::Ended => Step::Nothing,
        }
    }

    /// Reading failed: at least one datagram is missing.
    fn missed(&mut self, errno: Errno) -> Step {
        // netlink(7): ENOBUFS, and nothing else, is an overflow.
        self.congested |= errno == Errno::NOBUFS;
        self.lose()
    }

    /// A message arrived, or bytes that are none.
    fn on_message(&mut self, message: Result<Message, Malformed>) -> Step {
        let Ok(Message { seq, interrupted, kind, .. }) = message else { return self.lose() };
        let ours = seq == self.seq;
        if interrupted && ours {
            return self.lose();
        }
        match kind {
            // Left in the queue before the overflow. What ended it may have been dropped, and the
            // dump to come would not show it: better not reported at all.
            MessageKind::Event(_) if self.congested => Step::Nothing,
            // A notification has the number of the request that caused it.
            MessageKind::Event(event) => Step::Report(RouteEvent::Link(event)),
            // A neighbour is in none of our groups.
            MessageKind::Neighbour(_) | MessageKind::Ignored => Step::Nothing,
            MessageKind::Overrun => self.lose(),
            MessageKind::Done if ours => self.done(),
            MessageKind::Error(errno) if ours => self.refused(errno),
            // An older dump has ended; the one that was ordered since can begin.
            MessageKind::Done | MessageKind::Error(_) if self.dump == Dump::Waiting => {
                self.request()
            }
            MessageKind::Done | MessageKind::Error(_) => Step::Nothing,
        }
    }

    fn request(&mut self) -> Step {
        self.dump = Dump::Running;
        self.seq = self.seq.wrapping_add(1);
        Step::Send(self.seq)
    }

    fn done(&mut self) -> Step {
        if self.dump == Dump::Running {
            self.dump = Dump::Ended;
        }
        Step::Nothing
    }

    /// Everything that was reported before the end has been acted on.
    fn end(&mut self) -> Step {
        if self.dump != Dump::Ended {
            return Step::Nothing;
        }
        self.dump = Dump::Idle;
        Step::Report(RouteEvent::Dumped)
    }

    fn refused(&mut self, errno: i32) -> Step {
        if self.dump != Dump::Running {
            return Step::Nothing;
        }
        let is = |named: Errno| errno == named.raw_os_error();
        if is(Errno::BUSY) {
            self.dump = Dump::Waiting;
            Step::Nothing
        } else if is(Errno::NOBUFS) || is(Errno::NOMEM) || is(Errno::AGAIN) || is(Errno::INTR) {
            self.lose()
        } else {
            // It would be refused again, and for ever: go on without.
            log::warn!("rtnetlink refuses to list the links: errno {errno}");
            self.done()
        }
    }

    fn lose(&mut self) -> Step {
        self.dump = Dump::Idle;
        if self.lost {
            return Step::Nothing;
        }
        self.lost = true;
        Step::Report(RouteEvent::Lost)
    }
}

#[cfg(test)]
mod tests;
