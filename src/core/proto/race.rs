//! The connections that race to deliver one beat, and the one kept alive for the next.
//!
//! ```text
//! Connecting --> Securing --> (Ready) --> Writing --> AwaitingReply --2xx--> kept
//!      |             |           |           |             |
//!      +-------------+-----------+-----------+-------------+
//!                    |
//!                    +-- silent too long --> doubted: the next path starts beside it
//!                    +-- failed -----------> the next path starts in its place
//! ```
//!
//! Addresses race as in RFC 8305, a new one every [`STAGGER`]; uplinks race as addresses do, but
//! only on *doubt*: when the peer's kernel does not even acknowledge. A server that has
//! acknowledged and is slow is waited for, but not for ever: boxes on the way acknowledge in a
//! server's stead. This module keeps the state; the order of the paths is that of the delivery.

use core::time::Duration;

use heapless::Vec;

pub(super) use self::attempt::{Attempt, Connection, Liveness, Stage};
pub use self::failed::Path;
pub(super) use self::failed::{FAILED_MAX, FailedPaths};
use self::turns::Turns;
use super::event::{ATTEMPTS_MAX, ConnectionId};
use super::link::InterfaceName;
use super::route::Family;
use super::time::Instant;
use super::uplink::UPLINKS_MAX;

/// Wait before the next address is tried beside one that has not connected (RFC 8305 §5).
pub(super) const STAGGER: Duration = Duration::from_millis(250);
/// Silence of a peer's kernel that makes a connection doubtful, at least.
pub(super) const DOUBT_MIN: Duration = Duration::from_millis(300);

/// Wait for an answer that was acknowledged before another way is tried beside it, at least.
pub(super) const SLOW_MIN: Duration = Duration::from_secs(2);
/// A SYN that was answered later may have been lost and repeated (RFC 6298 §2.1), and says no more
/// how long the line is.
const SYN_REPEATED: Duration = Duration::from_secs(1);
/// The same as a multiple of what the last good answer took.
const SLOW_FACTOR: u32 = 3;

/// The state of one race.
#[derive(Debug, Default)]
pub(super) struct Race {
    /// The connections under way, oldest first.
    pub attempts: Vec<Attempt, ATTEMPTS_MAX>,
    /// When another address may be tried beside the last one.
    pub stagger_at: Option<Instant>,
    /// Which paths had their turn.
    pub turns: Turns,
    /// A path was tried a second time in this round: no other one is.
    pub repeated: bool,
    /// The idle connection that can carry the next beat.
    pub kept: Option<Connection>,
    /// The last time a SYN took to be answered, for each interface.
    round_trips: Vec<(Option<InterfaceName>, Duration), UPLINKS_MAX>,
    /// How long the last good answer took.
    answer: Duration,
    /// The paths that have failed.
    pub paths: FailedPaths,
    /// The number of the last connection.
    last: u32,
}

impl Race {
    /// The connection of that number has ended: if it was the idle one, there is none now.
    pub(super) fn kept_failed(&mut self, id: ConnectionId) {
        self.kept.take_if(|kept| kept.id == id);
    }

    /// Keeps a connection for the next beat; returns the one it replaces, to be closed.
    #[must_use]
    pub(super) fn keep(&mut self, winner: &Attempt) -> Option<ConnectionId> {
        self.kept.replace(winner.connection()).map(|kept| kept.id)
    }

    /// The connection of that number.
    pub(super) fn find(&mut self, id: ConnectionId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|open| open.id == id)
    }

    /// The connection of that number, if it has come this far and no further.
    pub(super) fn find_at(&mut self, id: ConnectionId, stage: Stage) -> Option<&mut Attempt> {
        self.find(id).filter(|open| open.stage == stage)
    }

    /// Takes the connection of that number out of the race.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Attempt> {
        let position = self.attempts.iter().position(|open| open.id == id)?;
        Some(self.attempts.remove(position))
    }

    /// A number for a new connection.
    pub(super) const fn number(&mut self) -> ConnectionId {
        self.last = self.last.wrapping_add(1);
        ConnectionId(self.last)
    }

    /// Connections opened since start.
    pub(super) fn opened(&self) -> u64 {
        self.last.into()
    }

    /// Whether every path is in doubt (true if there is none): each connection is itself, or waits
    /// for its SYN-ACK beside one that is.
    pub(super) fn is_doubted(&self) -> bool {
        let suspect =
            |via| self.attempts.iter().any(|it| it.via == via && it.liveness == Liveness::Suspect);
        let waits = |open: &Attempt| open.stage == Stage::Connecting && suspect(open.via);
        self.attempts.iter().all(|open| open.liveness.is_doubtful() || waits(open))
    }

    /// The path of a connection from an earlier beat that is in doubt, and that nothing newer has
    /// tried since.
    pub(super) fn stale_path(&self) -> Option<Option<InterfaceName>> {
        let alone = |via| self.attempts.iter().filter(|open| open.via == via).count() == 1;
        let stale =
            |open: &&Attempt| open.reused && open.liveness == Liveness::Suspect && alone(open.via);
        self.attempts.iter().find(stale).map(|open| open.via)
    }

    /// The path of a connection of an earlier beat, if it is the only one: the peer has received
    /// the request, and does not answer.
    pub(super) fn unanswered_path(&self) -> Option<Option<InterfaceName>> {
        let [open] = self.attempts.as_slice() else { return None };
        Some(open.via).filter(|_| open.reused && open.liveness == Liveness::Slow)
    }

    /// Whether nothing is to be expected of any connection soon (true if there is none).
    pub(super) fn is_stuck(&self) -> bool {
        self.attempts.iter().all(|open| open.liveness.is_doubtful())
    }

    /// Whether every connection is doubted itself (true if there is none).
    pub(super) fn is_silent(&self) -> bool {
        self.attempts.iter().all(|open| open.liveness == Liveness::Suspect)
    }

    /// Whether a connection of an earlier beat carries this one, or is about to, and nothing speaks
    /// against it.
    pub(super) fn is_carried(&self) -> bool {
        let sound = |open: &Attempt| open.reused && !open.liveness.is_doubtful();
        if self.attempts.is_empty() { self.kept.is_some() } else { self.attempts.iter().any(sound) }
    }

    /// Whether every connection waits for its SYN-ACK (true if there is none).
    pub(super) fn is_connecting(&self) -> bool {
        self.attempts.iter().all(|open| open.stage == Stage::Connecting)
    }

    /// Whether a report is on its way: what is asked for from now on is not in it.
    pub(super) fn is_written(&self) -> bool {
        self.attempts.iter().any(|open| open.stage >= Stage::Writing)
    }

    /// Whether a report is on its way, and nothing speaks against its connection.
    pub(super) fn is_carrying(&self) -> bool {
        self.attempts.iter().any(|it| it.stage >= Stage::Writing && !it.liveness.is_doubtful())
    }

    /// The next round begins: what was tried in vain lets those go first that had no turn yet.
    pub(super) fn next_round(&mut self) {
        self.turns.next_round();
        self.retry();
    }

    /// The round ends that began at `began_at`: a connection that was opened later had no turn if
    /// its silence says nothing yet, or if it had less than half of the round. It goes first in the
    /// next one.
    pub(super) fn cut_short(&mut self, began_at: Instant, now: Instant) {
        for open in &self.attempts {
            let opened_at = open.stamps.opened_at;
            let usual = matches!(open.liveness, Liveness::Until(until) if now < until);
            let short = (now - opened_at) * 2 <= now - began_at;
            let late = open.stage == Stage::Connecting && began_at < opened_at;
            if late && (usual || short) {
                self.turns.unmark(open.via, open.to.ip());
            }
        }
    }

    /// The round begins anew: what was tried in it may be tried again.
    pub(super) fn retry(&mut self) {
        self.turns.retry();
        self.paths.forget_lost();
        self.repeated = false;
    }

    /// Begins anew with the best pairs: the network is another one, or a server has answered.
    pub(super) fn forget_tried(&mut self) {
        self.retry();
        self.turns.forget();
    }

    /// The silence that makes a connection on this interface doubtful: twice its last round trip,
    /// from [`DOUBT_MIN`] to [`SLOW_MIN`].
    pub(super) fn patience(&self, via: Option<InterfaceName>) -> Duration {
        let known = self.round_trips.iter().find(|(name, _)| *name == via);
        known.map_or(DOUBT_MIN, |(_, round_trip)| (*round_trip * 2).clamp(DOUBT_MIN, SLOW_MIN))
    }

    /// Notes the time a SYN took to be answered over this interface. If it may have been repeated,
    /// that is until an answer to a beat takes less.
    pub(super) fn measure(&mut self, via: Option<InterfaceName>, round_trip: Duration) {
        self.round_trips.retain(|(name, _)| *name != via);
        if self.round_trips.is_full() {
            self.round_trips.remove(0);
        }
        self.round_trips.extend([(via, round_trip)]);
    }

    /// Forgets the measured times: the ways out are others.
    pub(super) fn forget_round_trips(&mut self) {
        self.round_trips.clear();
    }

    /// How long an answer may take before another way is tried beside it.
    pub(super) fn slow_after(&self) -> Duration {
        SLOW_MIN.max(self.answer * SLOW_FACTOR)
    }

    /// `winner` has delivered: what failed, was silent or is slow beside it is a failed path from
    /// now on.
    pub(super) fn delivered(&mut self, winner: &Attempt, now: Instant) {
        self.answer = now - winner.stamps.written_at;
        let known = self.round_trips.iter_mut().find(|(via, _)| *via == winner.via);
        if let Some((_, round_trip)) = known.filter(|(_, round_trip)| *round_trip >= SYN_REPEATED) {
            *round_trip = self.answer.min(*round_trip);
        }
        for open in &self.attempts {
            match open.liveness {
                Liveness::Suspect => self.paths.lose(open.path()),
                // It was that connection alone.
                Liveness::Slow if open.path() == winner.path() => {}
                // What acknowledges in the server's stead does so in both families.
                Liveness::Slow => {
                    Family::ALL.into_iter().for_each(|family| self.paths.lose((open.via, family)))
                }
                Liveness::Until(_)
                | Liveness::Checking
                | Liveness::LastCheck
                | Liveness::Acked(_) => {}
            }
        }
        self.paths.delivered(winner.path(), now);
    }

    /// When the first silence becomes doubtful, or another address may be tried.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let due = |open: &Attempt| match open.liveness {
            _ if open.stage == Stage::Ready => None,
            Liveness::Until(at) | Liveness::Acked(at) => Some(at),
            Liveness::Checking | Liveness::LastCheck | Liveness::Suspect | Liveness::Slow => None,
        };
        self.attempts.iter().filter_map(due).chain(self.stagger_at).min()
    }
}

mod attempt;
mod failed;
#[cfg(test)]
mod tests;
mod turns;
