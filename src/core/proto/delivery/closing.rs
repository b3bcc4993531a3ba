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
        for open in core::mem::take(&mut self.race.attempts) {
            Action::CloseConnection(open.id).push_to(actions);
        }
    }

    /// Closes the idle connection.
    pub(crate) fn close_kept(&mut self, actions: &mut Actions) {
        if let Some(kept) = self.race.kept.take() {
            Action::CloseConnection(kept.id).push_to(actions);
        }
    }

    /// Closes the connections of the beat under way: the next ones take the best paths.
    pub(crate) fn restart(&mut self, now: Instant, actions: &mut Actions) {
        self.close_attempts(actions);
        self.race.retry();
        self.allowance.begin(true);
        self.start_afresh(now);
        self.race.stagger_at = None;
    }

    /// Closes what the network took with it; true if the beat under way has no connection left.
    pub(crate) fn close_dead_connections(
        &mut self,
        network: &mut Network,
        actions: &mut Actions,
    ) -> bool {
        let before = self.race.attempts.len();
        self.race.attempts.retain(|open| {
            let connecting = open.stage == Stage::Connecting;
            let gateway = network.gateway(open.via, open.to.ip());
            let rerouted = connecting && gateway != open.gateway;
            let usable = !rerouted && network.is_usable(&open.connection());
            if !usable {
                // A SYN is repeated for as long as its socket lives, and its end is sent to no one.
                network.close_or_park(open.id, open.via.filter(|_| !connecting), actions);
            }
            usable
        });
        if let Some(kept) = self.race.kept.take_if(|kept| !network.is_usable(kept)) {
            network.close_or_park(kept.id, kept.via, actions);
        }
        self.close_late_if_dead(network, actions);
        before > 0 && self.race.attempts.is_empty()
    }

    /// The connections with a request that the peer's kernel does not acknowledge.
    pub(crate) fn unacknowledged(&self) -> Vec<ConnectionId, ATTEMPTS_MAX> {
        let lost =
            |open: &&Attempt| open.stage >= Stage::Writing && open.liveness == Liveness::Suspect;
        self.race.attempts.iter().filter(lost).map(|open| open.id).collect()
    }

    /// The network answers a probe of `sent_at`: closes the connections that are stuck, and has
    /// those checked that may be; true if one of the rest is promising.
    ///
    /// A SYN older than that is probably lost, even if it is too young for doubt: the far end of a
    /// cable just plugged in drops what comes first.
    pub(crate) fn close_stuck(&mut self, sent_at: Instant, actions: &mut Actions) -> bool {
        let mut promising = false;
        self.race.attempts.retain_mut(|open| {
            promising |= match (open.stage, open.liveness) {
                (Stage::Connecting, Liveness::Suspect) => {
                    Action::CloseConnection(open.id).push_to(actions);
                    return false;
                }
                (Stage::Connecting, _) => open.stamps.opened_at >= sent_at,
                (_, Liveness::Suspect | Liveness::Checking) => {
                    open.liveness = Liveness::LastCheck;
                    Action::CheckAcked(open.id).push_to(actions);
                    true
                }
                _ => true,
            };
            true
        });
        promising
    }
}
