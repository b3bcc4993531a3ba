//! Signals as a source of the loop.
//!
//! The handler sets a flag and writes a byte into a socket pair, nothing else. `SIGPIPE` needs no
//! care: the standard library ignores it before `main`, and writing to a closed pipe is `EPIPE`.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};

/// The requests that signals have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// SIGTERM or SIGINT: end cleanly.
    pub terminate: bool,
    /// SIGHUP: read the configuration again.
    pub reload: bool,
    /// SIGUSR1: send a beat.
    pub trigger: bool,
}

/// The signals that the agent answers, from now on until the process ends.
#[derive(Debug)]
pub struct Signals {
    /// Readable after a signal.
    wake: UnixStream,
    /// Whether SIGTERM or SIGINT came.
    terminate: Arc<AtomicBool>,
    /// Whether SIGHUP came.
    reload: Arc<AtomicBool>,
    /// Whether SIGUSR1 came.
    trigger: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers. Make one per process, early: before it the signals end the process.
    ///
    /// # Errors
    ///
    /// What socketpair(2) and sigaction(2) say.
    pub fn new() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let signals = Self {
            wake,
            terminate: Arc::default(),
            reload: Arc::default(),
            trigger: Arc::default(),
        };
        let answered = [
            (SIGTERM, &signals.terminate),
            (SIGINT, &signals.terminate),
            (SIGHUP, &signals.reload),
            (SIGUSR1, &signals.trigger),
        ];
        for (signal, received) in answered {
            // Handlers run in the order they are registered in: the flag is set before the wake-up.
            flag::register(signal, Arc::clone(received))?;
            pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Whether a signal has come whose wake-up may have failed: the kernel can refuse the handler's
    /// write.
    pub fn is_pending(&self) -> bool {
        [&self.terminate, &self.reload, &self.trigger].iter().any(|it| it.load(Ordering::SeqCst))
    }

    /// Takes the requests since the last call.
    pub fn drain(&mut self) -> Received {
        // Ends with EWOULDBLOCK: the other end lives as long as we. What an EINTR leaves does no harm.
        while self.wake.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        Received {
            terminate: self.terminate.swap(false, Ordering::SeqCst),
            reload: self.reload.swap(false, Ordering::SeqCst),
            trigger: self.trigger.swap(false, Ordering::SeqCst),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::PollFlags;
    use signal_hook::low_level::raise;

    use super::*;
    use crate::sys::readiness;

    fn is_ready(signals: &Signals) -> bool {
        readiness::is_ready(signals, PollFlags::IN).unwrap()
    }

    // Handlers belong to the whole process, so there is one test.
    #[test]
    fn each_signal_is_reported_once_however_often_it_came() {
        let mut signals = Signals::new().unwrap();
        assert!(!is_ready(&signals));
        assert_eq!(signals.drain(), Received::default());
        for _ in 0..1000 {
            raise(SIGUSR1).unwrap();
        }
        assert!(is_ready(&signals) && signals.is_pending());
        assert_eq!(signals.drain(), Received { trigger: true, ..Received::default() });
        assert!(!is_ready(&signals) && !signals.is_pending());
        raise(SIGHUP).unwrap();
        raise(SIGTERM).unwrap();
        let expected = Received { terminate: true, reload: true, trigger: false };
        assert_eq!(signals.drain(), expected);
        raise(SIGINT).unwrap();
        assert_eq!(signals.drain(), Received { terminate: true, ..Received::default() });
    }
}
