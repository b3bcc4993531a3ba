//! A change of uplink that was sent over the old uplink, and still has to be sent over the new one.
//!
//! A change of uplink is news because the device has another address now. When the new uplink is
//! slow to carry (the switch behind a cable just plugged in drops what comes first), the race
//! delivers the beat over the old one, with the old address. The connection that lost the race is
//! then left to the kernel's own repetitions, at no other cost; once it is ready, the news is sent
//! again over it. If the new uplink does not carry at all yet, because its gateway was asked for in
//! vain, the news is sent anew once. The next beat ends the wait; it does not try the new uplink
//! first.

use super::Delivery;
use crate::proto::event::{Action, Actions, ConnectionId, Failure, Reason};
use crate::proto::link::InterfaceName;
use crate::proto::network::Network;
use crate::proto::race::{Attempt, Stage};
use crate::proto::schedule::PendingReasons;
use crate::proto::time::Instant;

/// A connection on the uplink in use that comes too late for its beat.
#[derive(Debug)]
pub(super) struct Late {
    /// The connection.
    pub(super) attempt: Attempt,
    /// The change of uplink that the server is to receive over it.
    reason: Reason,
    /// When it is given up.
    pub(super) until: Instant,
    /// Whether the news was sent anew before: it is not a third time.
    repeated: bool,
}

impl Delivery {
    /// A beat about a change of uplink was delivered `over` this interface: keeps what is needed to
    /// send it again if that is another one than the `uplink` in use.
    pub(super) fn keep_late(
        &mut self,
        carried: &PendingReasons,
        over: Option<InterfaceName>,
        uplink: Option<InterfaceName>,
        until: Instant,
    ) {
        let Some(reason) = carried.uplink.as_ref().filter(|_| over != uplink) else { return };
        let unsent = |open: &&Attempt| {
            open.via.is_some() && open.via == uplink && open.stage < Stage::Writing
        };
        let late = self.race.attempts.iter().find(unsent).map(|open| open.id);
        if let Some(attempt) = late.and_then(|id| self.race.remove(id)) {
            let repeated = core::mem::take(&mut self.news_repeated);
            self.late = Some(Late { attempt, reason: reason.clone(), until, repeated });
        }
    }

    /// Gives the late connection up when its time is over.
    pub(crate) fn expire_late(&mut self, now: Instant, actions: &mut Actions) {
        if self.late.as_ref().is_some_and(|late| late.until <= now) {
            self.give_up_late(now, actions);
        }
    }

    /// The late connection has had its time: its path is one that fails while another delivers.
    pub(crate) fn give_up_late(&mut self, now: Instant, actions: &mut Actions) {
        if let Some(path) = self.late.as_ref().map(|late| late.attempt.path()) {
            self.race.paths.fail(path, now);
        }
        self.close_late(actions);
    }

    /// Closes the late connection.
    pub(crate) fn close_late(&mut self, actions: &mut Actions) {
        if let Some(late) = self.late.take() {
            Action::CloseConnection(late.attempt.id).push_to(actions);
        }
    }

    /// The late connection, if it is this one.
    pub(super) fn late(&mut self, id: ConnectionId) -> Option<&mut Attempt> {
        self.late.as_mut().map(|late| &mut late.attempt).filter(|late| late.id == id)
    }

    /// If the late connection has failed so that the server was not reached, the news starts anew,
    /// once.
    pub(super) fn late_failed(&mut self, id: ConnectionId, failure: Failure) -> Option<Reason> {
        let Late { reason, repeated, .. } = self.late.take_if(|late| late.attempt.id == id)?;
        let unreached = matches!(failure, Failure::Unreachable | Failure::TimedOut);
        (unreached && !repeated).then(|| {
            self.news_repeated = true;
            reason
        })
    }

    /// The late connection is ready: it is kept, and the beat with this reason goes over it.
    pub(super) fn resend_on_late(
        &mut self,
        id: ConnectionId,
        actions: &mut Actions,
    ) -> Option<Reason> {
        let Late { attempt, reason, .. } = self.late.take_if(|late| late.attempt.id == id)?;
        self.race.paths.works(attempt.path());
        self.keep(&attempt, actions);
        Some(reason)
    }

    /// Closes the late connection if its way is not the one in use any more, or no way at all.
    pub(super) fn close_late_if_dead(&mut self, network: &Network, actions: &mut Actions) {
        let Some(Late { attempt, .. }) = &self.late else { return };
        let in_use = network.first().map(|uplink| uplink.name) == attempt.via;
        if !in_use || !network.is_usable(&attempt.connection()) {
            self.close_late(actions);
        }
    }
}
