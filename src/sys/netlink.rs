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
//!  +----- the next drain tells Dumped -----+
//! ```
//!
//! The end is told by a call of its own: what was told before it may have made the caller order
//! another dump, and then it is no end.
//!
//! After an overflow the kernel drops notifications, silently, until the queue was read empty. A
//! dump that began before that could miss a change made after it: it is `Deferred` until then, and
//! what is still in the queue is not told.
//!
//! An emulator of system calls may be unable to receive what the kernel says of rules. Each such message is
//! a loss, and the dump that follows leads to the same questions as the message would.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recvfrom, send, socket_with};

use crate::proto::link::LinkEvent;
use crate::wire::rtnetlink::{Kind, Malformed, Message, emit_dump, messages};

/// Largest datagram, in bytes: the kernel makes none larger for a dump (netlink(7) advises as
/// much).
const DATAGRAM_MAX: usize = 32 * 1024;

/// Wanted queue, in bytes. Used only when changes come faster than they are read.
const QUEUE: usize = 1024 * 1024;

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP: not every kernel has them.
const NEWER_GROUPS: u32 = 1 << (8 - 1) | 1 << (19 - 1) | 1 << (32 - 1);

/// What the kernel told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A link, listed or changed, or news of what decides where packets go.
    Event(LinkEvent),
    /// Something was missed: call [`RouteSocket::start_dump`]. Told once until that is called.
    Lost,
    /// The dump is complete.
    Dumped,
}

/// An rtnetlink socket that belongs to the groups of links, addresses, routes, rules and nexthop objects.
#[derive(Debug)]
pub struct RouteSocket {
    fd: OwnedFd,
    buffer: Box<[u8]>,
    progress: Progress,
}

impl RouteSocket {
    /// Opens the socket; changes are queued from now on. Nothing is dumped yet.
    ///
    /// # Errors
    ///
    /// What socket(2) and bind(2) say, such as `EAFNOSUPPORT` where a sandbox forbids netlink.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // Protocol 0 is NETLINK_ROUTE.
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        // Only CAP_NET_ADMIN may exceed net.core.rmem_max; the other call is cut to it.
        set_socket_recv_buffer_size_force(&fd, QUEUE)
            .or_else(|_| set_socket_recv_buffer_size(&fd, QUEUE))?;
        bind(&fd, &SocketAddrNetlink::new(0, GROUPS | NEWER_GROUPS))
            .or_else(|_| bind(&fd, &SocketAddrNetlink::new(0, GROUPS)))?;
        let buffer = vec![0; DATAGRAM_MAX].into_boxed_slice();
        Ok(Self { fd, buffer, progress: Progress::new() })
    }

    /// Orders a dump of the links. One that is unfinished starts anew.
    ///
    /// [`drain`](Self::drain) tells its end as [`Heard::Dumped`], unless [`Heard::Lost`] comes
    /// first.
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

    /// Reads at most `budget` datagrams and tells `hear` what they say. True if nothing is left;
    /// false: call it again soon, no new readiness will come.
    pub fn drain(&mut self, budget: usize, mut hear: impl FnMut(Heard)) -> bool {
        let Self { fd, buffer, progress } = self;
        let mut perform = |progress: &mut Progress, step| {
            let told = match step {
                Step::Send(seq) if request_dump(fd, seq).is_ok() => Step::Nothing,
                Step::Send(_) => progress.lose(),
                Step::Nothing | Step::Tell(_) => step,
            };
            if let Step::Tell(heard) = told {
                hear(heard);
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
                    for message in messages(datagram) {
                        let step = progress.take(message);
                        perform(progress, step);
                    }
                }
                Err(Errno::WOULDBLOCK) => match progress.emptied() {
                    Step::Nothing => return true,
                    step => perform(progress, step),
                },
                Err(errno) => {
                    let step = progress.missed(errno);
                    perform(progress, step);
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

/// What follows from something that happened to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    /// Request a dump, with this number.
    Send(u32),
    Tell(Heard),
}

/// How far the dump is.
#[derive(Debug)]
struct Progress {
    dump: Dump,
    /// Number of the latest request.
    seq: u32,
    /// [`Heard::Lost`] was told, and no dump ordered since.
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

impl Progress {
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
    fn take(&mut self, message: Result<Message, Malformed>) -> Step {
        let Ok(Message { seq, interrupted, kind, .. }) = message else { return self.lose() };
        let ours = seq == self.seq;
        if interrupted && ours {
            return self.lose();
        }
        match kind {
            // Left in the queue before the overflow. What ended it may have been dropped, and the
            // dump to come would not show it: better not told at all.
            Kind::Event(_) if self.congested => Step::Nothing,
            // A notification has the number of whoever caused it.
            Kind::Event(event) => Step::Tell(Heard::Event(event)),
            // A neighbour is in none of our groups.
            Kind::Neighbour(_) | Kind::Ignored => Step::Nothing,
            Kind::Overrun => self.lose(),
            Kind::Done if ours => self.done(),
            Kind::Error(errno) if ours => self.refused(errno),
            // An older dump has ended; the one that was ordered since can begin.
            Kind::Done | Kind::Error(_) if self.dump == Dump::Waiting => self.request(),
            Kind::Done | Kind::Error(_) => Step::Nothing,
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

    /// All that was told before the end has been heeded.
    fn end(&mut self) -> Step {
        if self.dump != Dump::Ended {
            return Step::Nothing;
        }
        self.dump = Dump::Idle;
        Step::Tell(Heard::Dumped)
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
        Step::Tell(Heard::Lost)
    }
}

#[cfg(test)]
mod tests;
