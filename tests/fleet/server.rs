//! The server of the fleet, and what it has to bear in every second.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use linkbeat_core::proto::time::Instant;

use crate::receiver::{Beat, Receiver};

/// The addresses of the server.
pub(crate) const ADDRESSES: [IpAddr; 4] = [address(10), address(11), address(12), address(13)];
/// Where its name moves to.
pub(crate) const MOVED: [IpAddr; 2] = [address(20), address(21)];

const fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))
}

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
    /// Devices know it by its name, and not by its first address.
    pub(crate) named: bool,
    /// What its name stands for; nobody is at any other address.
    pub(crate) addresses: &'static [IpAddr],
    /// The keys that all nodes make TLS tickets with.
    pub(crate) ticket_keys: u32,
}

impl Server {
    /// What becomes of what is sent to this address.
    pub(crate) fn fate_at(&self, to: IpAddr) -> Fate {
        if self.addresses.contains(&to) { self.fate } else { Fate::Silent }
    }
}

/// What arrives in one second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    /// Beats.
    pub(crate) requests: u32,
    /// Connections established, those of probes too.
    pub(crate) connections: u32,
    /// Full handshakes.
    pub(crate) full: u32,
    /// Handshakes that a ticket made shorter.
    pub(crate) resumed: u32,
    /// SYNs that nobody accepts.
    pub(crate) in_vain: u32,
    /// Those of them that the kernel repeats.
    pub(crate) repeated: u32,
    /// Questions at the nameserver.
    pub(crate) questions: u32,
}

/// What arrived, second by second since the beginning.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) seconds: Vec<Second>,
    /// The beats that no receiver has read, each with the `Retry-After` of its answer; `None` if
    /// there is no receiver.
    beats: Option<Vec<(Instant, Beat, Option<Duration>)>>,
}

impl Load {
    /// Nothing yet; with beats `heard`, a receiver will read them.
    pub(crate) fn new(heard: bool) -> Self {
        Self { seconds: Vec::new(), beats: heard.then(Vec::new) }
    }

    /// The largest of these seconds, counted from the boot of the fleet.
    pub(crate) fn most(&self, from: usize, to: usize, what: impl Fn(&Second) -> u32) -> u32 {
        let watched = self.seconds.iter().take(to).skip(from);
        watched.map(what).max().unwrap_or_default()
    }

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
        self.beats.iter_mut().for_each(|beats| beats.push((now, beat, retry_after)));
    }

    pub(crate) fn connection(&mut self, now: Instant) {
        self.second(now).connections += 1;
    }

    pub(crate) fn handshake(&mut self, resumed: bool, now: Instant) {
        let second = self.second(now);
        *if resumed { &mut second.resumed } else { &mut second.full } += 1;
    }

    pub(crate) fn syn_in_vain(&mut self, repeated: bool, now: Instant) {
        let second = self.second(now);
        second.in_vain += 1;
        second.repeated += u32::from(repeated);
    }

    pub(crate) fn question(&mut self, now: Instant) {
        self.second(now).questions += 1;
    }

    /// Passes the beats to the receiver, in the order in which they came.
    pub(crate) fn read(&mut self, receiver: &mut Receiver) {
        let mut beats = self.beats.as_mut().map(std::mem::take).unwrap_or_default();
        beats.sort_by_key(|(at, ..)| *at);
        for (at, beat, retry_after) in beats {
            receiver.hear(beat, retry_after, at);
        }
    }

    /// Adds what other devices sent.
    pub(crate) fn add(&mut self, other: Self) {
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize(other.seconds.len(), Second::default());
        }
        for (sum, second) in self.seconds.iter_mut().zip(other.seconds) {
            sum.requests += second.requests;
            sum.connections += second.connections;
            sum.full += second.full;
            sum.resumed += second.resumed;
            sum.in_vain += second.in_vain;
            sum.repeated += second.repeated;
            sum.questions += second.questions;
        }
        if let (Some(beats), Some(others)) = (&mut self.beats, other.beats) {
            beats.extend(others);
        }
    }
}
