//! The two clocks of the measurements: time since boot and wall time.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since boot, suspend included: the clock of the agent's own stamps.
#[must_use]
pub fn boot_us() -> u64 {
    micros(ClockId::Boottime)
}

/// Microseconds since 1970, to print.
#[must_use]
pub fn wall_us() -> u64 {
    micros(ClockId::Realtime)
}

fn micros(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(now.tv_nsec / 1000).unwrap_or_default()
}
