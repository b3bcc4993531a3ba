//! One timer on the clock of [`clock::now`](super::clock::now), and one that detects jumps of the
//! wall clock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, read, retry_on_intr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use linkbeat_core::proto::time::Instant;

const ZERO: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const NEVER: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };

/// A timerfd_create(2) timer on `CLOCK_BOOTTIME`: time spent in suspend counts.
#[derive(Debug)]
pub struct Timer {
    /// The timer.
    fd: OwnedFd,
    /// When it expires, if it is armed.
    armed: Option<Instant>,
}

impl Timer {
    /// Makes a timer, disarmed.
    ///
    /// # Errors
    ///
    /// What timerfd_create(2) says: no descriptor or no memory left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Boottime, flags)?, armed: None })
    }

    /// Has the timer expire at `at`, at once if that has passed.
    ///
    /// Asks the kernel only if `at` is another time than in the last call, or the timer has
    /// expired since. An expiry that was not drained yet is forgotten when the time changes.
    ///
    /// False if timerfd_settime(2) refuses, as a sandbox may have it: it may not expire at `at`.
    #[must_use]
    pub fn arm(&mut self, at: Instant) -> bool {
        if self.armed != Some(at) {
            let once = Itimerspec { it_interval: ZERO, it_value: timespec_of(at) };
            let set = timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once);
            self.armed = set.is_ok().then_some(at);
        }
        self.armed.is_some()
    }

    /// Whether the timer has expired since the last call; it is disarmed then.
    pub fn drain(&mut self) -> bool {
        let mut expirations = [0; 8];
        let expired = retry_on_intr(|| read(&self.fd, &mut expirations)) != Err(Errno::WOULDBLOCK);
        if expired {
            self.armed = None;
        }
        expired
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Detects that the wall clock is set: a timer on `CLOCK_REALTIME` that is never due, because it is
/// cancelled by every jump of that clock (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub struct ClockWatch(OwnedFd);

impl ClockWatch {
    /// Watches the wall clock. Readable after every jump; a clock that is slewed does not jump.
    ///
    /// # Errors
    ///
    /// What timerfd_create(2) and timerfd_settime(2) say.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let once = Itimerspec { it_interval: ZERO, it_value: NEVER };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&fd, flags, &once)?;
        Ok(Self(fd))
    }

    /// Whether the clock was set since the last call. The kernel goes on watching.
    pub fn drain(&self) -> bool {
        let mut expirations = [0; 8];
        retry_on_intr(|| read(&self.0, &mut expirations)) != Err(Errno::WOULDBLOCK)
    }
}

impl AsFd for ClockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The same time for the kernel. The boot itself is a nanosecond late: zero would disarm.
fn timespec_of(at: Instant) -> Timespec {
    let since_boot = Duration::from_micros(at.as_micros()).max(Duration::from_nanos(1));
    since_boot.try_into().unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::sys::{clock, readiness};

    /// Waits at most two seconds; true if the timer is ready.
    fn wait(timer: &Timer) -> bool {
        let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
        poll(&mut [PollFd::new(timer, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    fn is_ready(timer: &Timer) -> bool {
        readiness::is_ready(timer, PollFlags::IN).unwrap()
    }

    #[test]
    fn expires_at_its_time_and_not_before() {
        let mut timer = Timer::new().unwrap();
        let at = clock::now() + Duration::from_millis(20);
        assert!(timer.arm(at));
        assert!(wait(&timer));
        assert!(clock::now() >= at);
        assert!(timer.drain());
        assert!(!timer.drain());
    }

    #[test]
    fn past_time_expires_at_once() {
        let mut timer = Timer::new().unwrap();
        assert!(timer.arm(Instant::from_micros(0)));
        assert!(wait(&timer));
        assert!(timer.arm(Instant::from_micros(1)));
        assert!(wait(&timer));
    }

    #[test]
    fn same_time_can_be_armed_again_after_it_expired() {
        let mut timer = Timer::new().unwrap();
        let at = clock::now();
        assert!(timer.arm(at));
        assert!(wait(&timer) && timer.drain());
        assert!(timer.arm(at));
        assert!(wait(&timer) && timer.drain());
    }

    // That a jump is detected is shown on a machine whose clock may be set: scripts/vm.
    #[test]
    fn clock_that_nobody_sets_is_not_reported() {
        let watch = ClockWatch::new().unwrap();
        assert!(!readiness::is_ready(&watch, PollFlags::IN).unwrap());
        assert!(!watch.drain());
    }

    #[test]
    fn later_time_replaces_an_earlier_one() {
        let mut timer = Timer::new().unwrap();
        assert!(timer.arm(Instant::from_micros(1)));
        assert!(wait(&timer));
        assert!(timer.arm(Instant::from_micros(u64::MAX)));
        assert!(!is_ready(&timer));
        assert!(!timer.drain());
    }

    #[test]
    fn refusal_is_reported_and_the_time_is_asked_for_again() {
        let fd = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
        let mut timer = Timer { fd, armed: None };
        for _ in 0..2 {
            assert!(!timer.arm(Instant::from_micros(1)));
        }
    }
}
