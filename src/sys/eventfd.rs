//! The counter that a helper writes to when it wants a beat.
//!
//! The open file is shared with other processes, which may do to it what they like: clear
//! `O_NONBLOCK`, read it themselves, write the largest number. So it is never read in a way that
//! could wait.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::readlinkat;
use rustix::io::{Errno, ReadWriteFlags, preadv2, retry_on_intr};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// For preadv2(2): the file has no position.
const NO_OFFSET: u64 = u64::MAX;

/// An eventfd(2), to be watched edge-triggered.
#[derive(Debug)]
pub struct EventFd {
    /// The counter.
    fd: OwnedFd,
}

impl EventFd {
    /// Makes an eventfd to hand out to a helper.
    ///
    /// # Errors
    ///
    /// What eventfd(2) says: no descriptor or no memory left.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { fd })
    }

    /// Adopts descriptor `number`, inherited from the parent process, as a duplicate.
    ///
    /// The way round, by pidfd_getfd(2) on ourselves (Linux 5.6), is safe whatever `number` is.
    ///
    /// # Errors
    ///
    /// `EBADF` if no such descriptor is open, `InvalidInput` if it is not an eventfd, and what
    /// pidfd_open(2), pidfd_getfd(2) and readlink(2) in `/proc` say.
    pub fn adopt(number: u32) -> io::Result<Self> {
        let number = RawFd::try_from(number).map_err(|_| Errno::BADF)?;
        let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
        let fd = pidfd_getfd(ourselves, number, PidfdGetfdFlags::empty())?;
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let target = readlinkat(rustix::fs::CWD, link, Vec::new())?;
        if target.as_bytes() != b"anon_inode:[eventfd]" {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an eventfd"));
        }
        Ok(Self { fd })
    }

    /// Sets the counter back to zero; whether it may have been written to. Never blocks.
    ///
    /// Before Linux 5.8 an eventfd cannot be read with `RWF_NOWAIT`, nor can it in user-mode
    /// emulators. Then the counter stays and the answer is yes: call this on readiness only, and
    /// every write is an edge of its own.
    #[must_use]
    pub fn drain(&self) -> bool {
        let mut counter = [0; 8];
        let read = retry_on_intr(|| {
            let buffers = &mut [IoSliceMut::new(&mut counter)];
            preadv2(&self.fd, buffers, NO_OFFSET, ReadWriteFlags::NOWAIT)
        });
        read != Err(Errno::WOULDBLOCK)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::io::{FdFlags, fcntl_getfd, write};

    use super::*;

    fn add(eventfd: &EventFd, number: u64) {
        assert_eq!(write(eventfd, &number.to_ne_bytes()), Ok(8));
    }

    fn number(file: &impl AsFd) -> u32 {
        u32::try_from(file.as_fd().as_raw_fd()).unwrap()
    }

    #[test]
    fn writes_are_merged_and_drained_once() {
        let eventfd = EventFd::new().unwrap();
        assert!(!eventfd.drain());
        add(&eventfd, 1);
        add(&eventfd, 7);
        assert!(eventfd.drain());
        assert!(!eventfd.drain());
    }

    #[test]
    fn helper_that_made_it_blocking_does_not_block_us() {
        let eventfd = EventFd::new().unwrap();
        let flags = fcntl_getfl(&eventfd).unwrap();
        fcntl_setfl(&eventfd, flags - OFlags::NONBLOCK).unwrap();
        assert!(!eventfd.drain());
        add(&eventfd, 1);
        assert!(eventfd.drain());
        assert!(!eventfd.drain());
    }

    #[test]
    fn largest_number_leaves_room_after_a_drain() {
        let eventfd = EventFd::new().unwrap();
        add(&eventfd, u64::MAX - 1);
        assert_eq!(write(&eventfd, &1_u64.to_ne_bytes()), Err(Errno::WOULDBLOCK));
        assert!(eventfd.drain());
        add(&eventfd, 1);
        assert!(eventfd.drain());
    }

    #[test]
    fn every_write_is_an_edge_though_nobody_reads() {
        let eventfd = EventFd::new().unwrap();
        let mut poll = mio::Poll::new().unwrap();
        let number = eventfd.as_fd().as_raw_fd();
        let source = &mut mio::unix::SourceFd(&number);
        poll.registry().register(source, mio::Token(0), mio::Interest::READABLE).unwrap();
        let mut events = mio::Events::with_capacity(1);
        for _ in 0..3 {
            add(&eventfd, 1);
            for expected in [1, 0] {
                poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
                assert_eq!(events.iter().count(), expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_without_blocking_counts_as_written() {
        // An epoll descriptor stands for an eventfd of an older kernel.
        let fd = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
        assert!(EventFd { fd }.drain());
    }

    #[test]
    fn adopted_eventfd_hears_the_original() {
        let original = EventFd::new().unwrap();
        let adopted = EventFd::adopt(number(&original)).unwrap();
        assert!(fcntl_getfd(&adopted).unwrap().contains(FdFlags::CLOEXEC));
        add(&original, 1);
        assert!(adopted.drain());
        assert!(!original.drain());
    }

    #[test]
    fn semaphore_is_drained_like_any_other() {
        let fd = eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        let adopted = EventFd::adopt(number(&fd)).unwrap();
        assert!(!adopted.drain());
        add(&adopted, 1);
        assert!(adopted.drain());
        assert!(!adopted.drain());
    }

    #[test]
    fn closed_number_is_refused() {
        for number in [i32::MAX.unsigned_abs(), u32::MAX] {
            let refused = EventFd::adopt(number).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        }
    }

    #[test]
    fn file_is_not_an_eventfd() {
        let file = File::open("/dev/null").unwrap();
        let refused = EventFd::adopt(number(&file)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
