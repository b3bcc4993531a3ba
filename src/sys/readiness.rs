//! Descriptors that the poll watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Has a descriptor watched, edge-triggered.
///
/// # Errors
///
/// What epoll_ctl(2) says.
pub fn watch(
    registry: &Registry,
    source: &impl AsFd,
    token: Token,
    interest: Interest,
) -> io::Result<()> {
    registry.register(&mut SourceFd(&source.as_fd().as_raw_fd()), token, interest)
}

/// Whether a descriptor is ready at this moment, whoever watches it (poll(2)).
///
/// # Errors
///
/// What poll(2) says.
pub fn is_ready(source: &impl AsFd, flags: PollFlags) -> io::Result<bool> {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(source, flags)], Some(&at_once))? > 0)
}

/// Ends the watch of a descriptor whose open file stays open elsewhere, or here.
///
/// # Errors
///
/// What epoll_ctl(2) says: `ENOENT` if it was not watched.
pub fn unwatch(registry: &Registry, source: &impl AsFd) -> io::Result<()> {
    registry.deregister(&mut SourceFd(&source.as_fd().as_raw_fd()))
}
