//! Which connections are closed before they have an answer, and when.

use heapless::Vec;

use super::Delivery;
use crate::proto::event::{ATTEMPTS_MAX, Action, Actions, ConnectionId};
use crate::proto::network::Network;
use crate::proto::race::{Attempt, Liveness, Stage};
use crate::proto::time::Instant;

impl Delivery {
    /// Closes the connections of the beat under way.
    pub(crate) fn close_attempts(&mut self, actions: &mut Actions) {
        while let Some(id) = self.race.attempts().first().map(|open| open.id) {
            self.race.remove(id);
            Action::CloseConnection(id).push_to(actions);
        }
    }

    /// Closes the idle connection.
    pub(crate) fn close_kept(&mut self, actions: &mut Actions) {
        if let Some(kept) = self.race.take_kept() {
            Action::CloseConnection(kept.id).push_to(actions);
        }
    }

    /// Closes the connections of the beat under way: the next ones take the best paths.
    pub(crate) fn restart(&mut self, now: Instant, actions: &mut Actions) {
        self.close_attempts(actions);
        self.race.retry();
        self.allowance.begin(true);
        self.start_afresh(now);
        self.race.end_stagger();
    }

    /// Closes what the network took with it; true if the beat under way has no connection left.
    pub(crate) fn close_dead_connections(
        &mut self,
        network: &mut Network,
        actions: &mut Actions,
    ) -> bool {
        let mut dead = Vec::<ConnectionId, ATTEMPTS_MAX>::new();
        for open in self.race.attempts() {
            let rerouted = open.stage == Stage::Connecting
                && network.gateway(open.via, open.to.ip()) != open.gateway;
            if rerouted || !network.is_usable(&open.connection()) {
                dead.extend([open.id]);
            }
        }
        for id in &dead {
            if let Some(open) = self.race.remove(*id) {
                // A SYN is repeated for as long as its socket lives, and its end is sent to no one.
                let quiet = open.stage > Stage::Connecting;
                network.close_or_park(*id, open.via.filter(|_| quiet), actions);
            }
        }
        let kept = self.race.kept().copied();
        if let Some(kept) = kept.filter(|kept| !network.is_usable(kept)) {
            self.race.take_kept();
            network.close_or_park(kept.id, kept.via, actions);
        }
        self.close_late_if_dead(network, actions);
        !dead.is_empty() && !self.race.has_connections()
    }

    /// The connections with a request that the peer's kernel does not acknowledge.
    pub(crate) fn unacknowledged(&self) -> Vec<ConnectionId, ATTEMPTS_MAX> {
        let lost =
            |open: &&Attempt| open.stage >= Stage::Writing && open.liveness == Liveness::Suspect;
        self.race.attempts().iter().filter(lost).map(|open| open.id).collect()
    }

    /// The network answers a probe of `sent_at`: closes the connections that are stuck, and has
    /// those checked that may be; true if one of the rest is promising.
    ///
    /// A SYN older than that is probably lost, even if it is too young for doubt: the far end of a
    /// cable just plugged in drops what comes first.
    pub(crate) fn close_stuck(&mut self, sent_at: Instant, actions: &mut Actions) -> bool {
        let mut stuck = Vec::<ConnectionId, ATTEMPTS_MAX>::new();
        let mut promising = false;
        for open in self.race.attempts_mut() {
            match (open.stage, open.liveness) {
                (Stage::Connecting, Liveness::Suspect) => stuck.extend([open.id]),
                (Stage::Connecting, _) => promising |= open.stamps.opened_at >= sent_at,
                (_, Liveness::Suspect | Liveness::Checking) => {
                    open.liveness = Liveness::LastCheck;
                    Action::CheckAcked(open.id).push_to(actions);
                    promising = true;
                }
                (
                    _,
                    Liveness::Until(_) | Liveness::LastCheck | Liveness::Acked(_) | Liveness::Slow,
                ) => {
                    promising = true;
                }
            }
        }
        for id in stuck {
            self.race.remove(id);
            Action::CloseConnection(id).push_to(actions);
        }
        promising
    }
}
