//! The connections that race to deliver one beat, and the one kept alive for the next.
//!
//! ```text
//! Connecting --> Securing --> Writing --> AwaitingReply --2xx--> kept
//!      |             |            |             |
//!      +-------------+------------+-------------+--- silent too long --> doubted: the next path starts beside it
//!                                                \-- failed ----------> the next path starts in its place
//! ```
//!
//! Addresses race as in RFC 8305, a new one every [`STAGGER`]; uplinks race as addresses do, but only
//! on *doubt*: when the peer's kernel does not even acknowledge. A server that has acknowledged and
//! is slow is waited for, but not for ever: boxes on the way acknowledge in a server's stead. This module
//! keeps the books; the order of the paths is the agent's.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

pub use self::failed::{FAILED_MAX, FailedPaths, Path, RETEST_FIRST, RETEST_MAX};
use super::event::{Attempt, Stamps};
use super::link::Name;
use super::routing::Family;
use super::time::Instant;
use super::uplink::UPLINKS_MAX;

/// Most connections of one beat at once.
pub const TRIES_MAX: usize = 4;
/// Most (interface, address) pairs tried in one round.
pub const TRIED_MAX: usize = 24;
/// Wait before the next address is tried beside one that has not connected (RFC 8305 §5).
pub const STAGGER: Duration = Duration::from_millis(250);
/// Silence of a peer's kernel that makes a connection doubtful, at least.
pub const DOUBT_MIN: Duration = Duration::from_millis(300);

/// Wait for an answer that was acknowledged before another way is tried beside it, at least.
pub const SLOW_MIN: Duration = Duration::from_secs(2);
/// The same as a multiple of what the last good answer took.
const SLOW_FACTOR: u32 = 3;
/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// SYN sent.
    Connecting,
    /// TCP established, TLS under way.
    Securing,
    /// Ready, the report is being written.
    Writing,
    /// The report is with the kernel.
    AwaitingReply,
}

/// What is thought of a connection's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Silent for a while, which is usual until then.
    Until(Instant),
    /// The kernel was asked whether the peer has acknowledged.
    Asked,
    /// The same, for the last time: the network works, so a connection without an ACK is stuck.
    Judged,
    /// The peer does not acknowledge: the path may be dead.
    Doubted,
    /// The peer has acknowledged everything: it may think until then.
    Acked(Instant),
    /// It has thought longer: another way is tried beside this one.
    Slow,
}

/// One connection of the race.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    /// Its number.
    pub attempt: Attempt,
    /// The interface it is bound to.
    pub via: Option<Name>,
    /// The server address.
    pub to: SocketAddr,
    /// The local address, once the kernel has chosen it.
    pub local: Option<IpAddr>,
    /// The gateway of its route when it was opened.
    pub gateway: Option<IpAddr>,
    /// How far it has come.
    pub stage: Stage,
    /// What its silence means.
    pub trust: Trust,
    /// Whether an earlier beat was delivered over it: its silence may be its own, not that of the path.
    pub reused: bool,
    /// When it was opened, or taken up again.
    pub opened_at: Instant,
    /// When each step happened; a step still to come has the time of the one before it.
    pub stamps: Stamps,
}

impl Try {
    /// The way it takes.
    #[must_use]
    pub const fn path(&self) -> Path {
        (self.via, Family::of(self.to.ip()))
    }
}

/// An idle connection that can carry the next beat.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Its number.
    pub attempt: Attempt,
    /// The interface it is bound to.
    pub via: Option<Name>,
    /// The server address.
    pub to: SocketAddr,
    /// The local address.
    pub local: Option<IpAddr>,
}

/// The books of one race.
#[derive(Debug)]
pub struct Race {
    tries: Vec<Try, TRIES_MAX>,
    tried: Vec<(Option<Name>, IpAddr), TRIED_MAX>,
    repeated: bool,
    kept: Option<Kept>,
    /// The last time a SYN took to be answered, for each interface.
    round_trips: Vec<(Option<Name>, Duration), UPLINKS_MAX>,
    /// How long the last good answer took.
    answer: Duration,
    /// What is known of the paths.
    pub paths: FailedPaths,
    next: u32,
}

impl Race {
    /// Nothing open, nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tries: Vec::new(),
            tried: Vec::new(),
            repeated: false,
            kept: None,
            round_trips: Vec::new(),
            answer: Duration::ZERO,
            paths: FailedPaths::new(),
            next: 1,
        }
    }

    /// The connections under way, oldest first.
    #[must_use]
    pub fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// The connections under way, to change.
    pub fn tries_mut(&mut self) -> &mut [Try] {
        &mut self.tries
    }

    /// The idle connection.
    #[must_use]
    pub const fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// Takes the idle connection out.
    pub fn take_kept(&mut self) -> Option<Kept> {
        self.kept.take()
    }

    /// The connection of that number has ended: if it was the idle one, there is none now.
    pub fn kept_failed(&mut self, attempt: Attempt) {
        self.kept.take_if(|kept| kept.attempt == attempt);
    }

    /// Keeps a connection for the next beat; returns the one it replaces, to be closed.
    #[must_use]
    pub fn keep(&mut self, winner: &Try) -> Option<Attempt> {
        let Try { attempt, via, to, local, .. } = *winner;
        self.kept.replace(Kept { attempt, via, to, local }).map(|kept| kept.attempt)
    }

    /// The connection of that number.
    #[must_use]
    pub fn find(&mut self, attempt: Attempt) -> Option<&mut Try> {
        self.tries.iter_mut().find(|open| open.attempt == attempt)
    }

    /// The connection of that number, if it has come this far and no further.
    #[must_use]
    pub fn find_at(&mut self, attempt: Attempt, stage: Stage) -> Option<&mut Try> {
        self.find(attempt).filter(|open| open.stage == stage)
    }

    /// Takes the connection of that number out of the race.
    pub fn remove(&mut self, attempt: Attempt) -> Option<Try> {
        let position = self.tries.iter().position(|open| open.attempt == attempt)?;
        Some(self.tries.remove(position))
    }

    /// A number for a new connection.
    pub const fn number(&mut self) -> Attempt {
        let attempt = Attempt(self.next);
        self.next = self.next.wrapping_add(1);
        attempt
    }

    /// Connections opened since start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        u64::from(self.next - 1)
    }

    /// Enters a connection; false if the race is full.
    pub fn enter(&mut self, entry: Try) -> bool {
        self.tries.push(entry).is_ok()
    }

    /// Whether no further connection may start.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.tries.is_full()
    }

    /// Whether every path is in doubt (true if there is none): each connection is itself, or waits for
    /// its SYN-ACK beside one that is.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.tries.iter().all(|open| {
            matches!(open.trust, Trust::Doubted | Trust::Slow)
                || (open.stage == Stage::Connecting && self.doubts(open.via).next().is_some())
        })
    }

    /// The path of a connection from an earlier beat that is in doubt, and that nothing newer has
    /// tried since.
    #[must_use]
    pub fn stale_path(&self) -> Option<Option<Name>> {
        let alone = |via| self.tries.iter().filter(|open| open.via == via).count() == 1;
        let stale = |open: &&Try| open.reused && open.trust == Trust::Doubted && alone(open.via);
        self.tries.iter().find(stale).map(|open| open.via)
    }

    /// Whether nothing is to be expected of any connection soon (true if there is none).
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.tries.iter().all(|open| matches!(open.trust, Trust::Doubted | Trust::Slow))
    }

    /// Whether every connection is doubted itself (true if there is none).
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.tries.iter().all(|open| open.trust == Trust::Doubted)
    }

    fn doubts(&self, via: Option<Name>) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(move |open| open.via == via && open.trust == Trust::Doubted)
    }

    /// Whether every connection waits for its SYN-ACK (true if there is none).
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        self.tries.iter().all(|open| open.stage == Stage::Connecting)
    }

    /// Whether a report is on its way: what is asked for from now on is not in it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.tries.iter().any(|open| open.stage >= Stage::Writing)
    }

    /// Whether this pair was used up in this round; every pair is after the first [`TRIED_MAX`].
    #[must_use]
    pub fn was_tried(&self, via: Option<Name>, to: IpAddr) -> bool {
        self.tried.is_full() || self.tried.contains(&(via, to))
    }

    /// Marks a pair as used up in this round.
    pub fn mark_tried(&mut self, via: Option<Name>, to: IpAddr) {
        self.tried.extend((!self.tried.is_full()).then_some((via, to)));
    }

    /// The address tried first in this round or, between two rounds, in the last one.
    #[must_use]
    pub fn first_tried(&self) -> Option<IpAddr> {
        self.tried.first().map(|(_, to)| *to)
    }

    /// Forgets which pairs were used up.
    pub fn forget_tried(&mut self) {
        self.tried.clear();
        self.paths.forget_lost();
        self.repeated = false;
    }

    /// Whether a pair may be tried a second time: once in a round.
    #[must_use]
    pub fn repeat(&mut self) -> bool {
        !core::mem::replace(&mut self.repeated, true)
    }

    /// Whether one was tried a second time in this round.
    #[must_use]
    pub const fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The silence that makes a connection on this interface doubtful: twice its last round trip, or
    /// [`DOUBT_MIN`].
    #[must_use]
    pub fn patience(&self, via: Option<Name>) -> Duration {
        let known = self.round_trips.iter().find(|(name, _)| *name == via);
        known.map_or(DOUBT_MIN, |(_, round_trip)| DOUBT_MIN.max(*round_trip * 2))
    }

    /// Notes the time a SYN took to be answered over this interface.
    pub fn measure(&mut self, via: Option<Name>, round_trip: Duration) {
        self.round_trips.retain(|(name, _)| *name != via);
        if self.round_trips.is_full() {
            self.round_trips.remove(0);
        }
        self.round_trips.extend([(via, round_trip)]);
    }

    /// Forgets the measured times: the ways out are others.
    pub fn forget_round_trips(&mut self) {
        self.round_trips.clear();
    }

    /// How long an answer may take before another way is tried beside it.
    #[must_use]
    pub fn slow_after(&self) -> Duration {
        SLOW_MIN.max(self.answer * SLOW_FACTOR)
    }

    /// `winner` has delivered: what failed, was silent or is slow beside it is a failed path from now on.
    pub fn delivered(&mut self, winner: &Try, now: Instant) {
        self.answer = now - winner.stamps.written_at;
        for open in &self.tries {
            match open.trust {
                Trust::Doubted => self.paths.lose(open.path()),
                // What acknowledges in the server's stead does so in both families.
                Trust::Slow => [Family::V4, Family::V6]
                    .into_iter()
                    .for_each(|family| self.paths.lose((open.via, family))),
                Trust::Until(_) | Trust::Asked | Trust::Judged | Trust::Acked(_) => {}
            }
        }
        self.paths.delivered(winner.path(), now);
    }

    /// When the first silence becomes doubtful.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = |open: &Try| match open.trust {
            Trust::Until(at) | Trust::Acked(at) => Some(at),
            Trust::Asked | Trust::Judged | Trust::Doubted | Trust::Slow => None,
        };
        self.tries.iter().filter_map(due).min()
    }
}

impl Default for Race {
    fn default() -> Self {
        Self::new()
    }
}

mod failed;
#[cfg(test)]
mod tests;
