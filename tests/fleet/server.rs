//! The server of the fleet, and what it has to bear in every second.

use std::time::Duration;

use linkbeat_core::proto::time::Instant;

use crate::receiver::{Beat, Receiver};

/// What becomes of what reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Every beat is acknowledged.
    Well,
    /// Nothing is answered, not even a SYN.
    Silent,
    /// Every SYN is answered by a reset.
    Refusing,
    /// Every beat is answered by 503.
    Overloaded {
        /// With this `Retry-After`.
        retry_after: Option<Duration>,
    },
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) fate: Fate,
    /// Set by every acknowledgement.
    pub(crate) interval: Option<Duration>,
}

/// What arrives in one second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    /// Beats.
    pub(crate) requests: u32,
    /// Connections established, those of probes too.
    pub(crate) connections: u32,
    /// SYNs that nobody accepts, without the repetitions of the kernel.
    pub(crate) in_vain: u32,
}

/// What arrived, second by second since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) seconds: Vec<Second>,
    /// Who is online, by what the beats promise.
    pub(crate) receiver: Receiver,
}

impl Load {
    fn second(&mut self, now: Instant) -> &mut Second {
        let second = usize::try_from(now.as_micros() / 1_000_000).expect("a small number");
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        &mut self.seconds[second]
    }

    /// A beat that is answered with this `Retry-After`, if any.
    pub(crate) fn request(&mut self, beat: Beat, retry_after: Option<Duration>, now: Instant) {
        self.second(now).requests += 1;
        self.receiver.hear(beat, retry_after, now);
    }

    pub(crate) fn connection(&mut self, now: Instant) {
        self.second(now).connections += 1;
    }

    pub(crate) fn syn_in_vain(&mut self, now: Instant) {
        self.second(now).in_vain += 1;
    }
}
