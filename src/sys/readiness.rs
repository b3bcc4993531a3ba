//! Descriptors that the poll watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

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

/// Ends the watch of a descriptor whose open file stays open elsewhere, or here.
///
/// # Errors
///
/// What epoll_ctl(2) says: `ENOENT` if it was not watched.
pub fn unwatch(registry: &Registry, source: &impl AsFd) -> io::Result<()> {
    registry.deregister(&mut SourceFd(&source.as_fd().as_raw_fd()))
}
