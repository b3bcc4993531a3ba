//! A local helper of the agent: connects to its Unix socket and is given an eventfd.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::agent::SOON;

/// A helper that can ask for beats for as long as it lives.
#[derive(Debug)]
pub struct Helper {
    stream: UnixStream,
    trigger: OwnedFd,
}

impl Helper {
    /// Connects, and waits for the greeting and its eventfd.
    ///
    /// # Errors
    ///
    /// If nobody listens, nobody greets within [`SOON`], or the agent has helpers enough.
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

    /// Asks for a beat: one write of 8 bytes.
    ///
    /// # Errors
    ///
    /// What write(2) says.
    pub fn trigger(&self) -> io::Result<()> {
        self.add(1)
    }

    /// Adds a number to the eventfd, any number.
    ///
    /// # Errors
    ///
    /// What write(2) says.
    pub fn add(&self, number: u64) -> io::Result<()> {
        rustix::io::write(&self.trigger, &number.to_ne_bytes())?;
        Ok(())
    }

    /// The eventfd.
    #[must_use]
    pub const fn eventfd(&self) -> &OwnedFd {
        &self.trigger
    }

    /// The connection: it ends when the agent does.
    #[must_use]
    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }
}
