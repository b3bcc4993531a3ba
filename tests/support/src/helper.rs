//! A local helper: connects to the Unix socket of the agent and receives an eventfd.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::agent::SOON;

/// A helper that can request beats as long as its connection is open.
#[derive(Debug)]
pub struct Helper {
    stream: UnixStream,
    trigger: OwnedFd,
}

impl Helper {
    /// Connects and waits for the greeting with the eventfd.
    ///
    /// # Errors
    ///
    /// If nothing listens, no greeting arrives within [`SOON`], or the agent has no room for a
    /// helper.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(SOON))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut greeting = [0; 64];
        let mut slices = [IoSliceMut::new(&mut greeting)];
        recvmsg(&stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
                && let Some(trigger) = descriptors.next()
            {
                return Ok(Self { stream, trigger });
            }
        }
        Err(io::Error::other("greeted without an eventfd"))
    }

    /// Requests a beat: one write of 8 bytes.
    ///
    /// # Errors
    ///
    /// The error of write(2).
    pub fn trigger(&self) -> io::Result<()> {
        self.add(1)
    }

    /// Adds any number to the eventfd.
    ///
    /// # Errors
    ///
    /// The error of write(2).
    pub fn add(&self, number: u64) -> io::Result<()> {
        rustix::io::write(&self.trigger, &number.to_ne_bytes())?;
        Ok(())
    }

    /// The eventfd.
    #[must_use]
    pub const fn eventfd(&self) -> &OwnedFd {
        &self.trigger
    }

    /// The connection, which ends with the agent.
    #[must_use]
    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }
}
