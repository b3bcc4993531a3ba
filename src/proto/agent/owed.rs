//! What the server was told by the wrong uplink, and still has to hear from the right one.
//!
//! A change of uplink is news because the device has another address now. When the new uplink is
//! slow to carry (the switch behind a cable just plugged in drops what comes first), the race
//! delivers the beat over the old one, with the old address. The connection that lost the race is
//! then left to the kernel's own repetitions, at no other cost; once it is ready, the news is sent
//! again over it. The next beat, which tries the new uplink first anyway, ends the wait.

use core::net::IpAddr;

use super::Agent;
use crate::proto::event::{Action, Actions, Attempt, Reason};
use crate::proto::race::{Stage, Try};
use crate::proto::schedule::Wants;
use crate::proto::time::Instant;

/// A connection on the uplink in use that comes too late for its beat.
#[derive(Debug)]
pub(super) struct Owed {
    late: Try,
    reason: Reason,
    /// When it is given up.
    pub(super) until: Instant,
}

impl Agent {
    /// A beat that told of a change of uplink was delivered by `winner`: keeps what is needed to tell
    /// it again if that was another uplink.
    pub(super) fn owe(&mut self, carried: &Wants, winner: &Try, now: Instant) {
        let uplink = self.first().map(|uplink| uplink.name);
        let Some(reason) = carried.uplink_change().filter(|_| winner.via != uplink) else { return };
        let unsent =
            |open: &&Try| open.via.is_some() && open.via == uplink && open.stage < Stage::Writing;
        let late = self.race.tries().iter().find(unsent).map(|open| open.attempt);
        let late = late.and_then(|attempt| self.race.remove(attempt));
        let timeout = self.settings.as_ref().map(|settings| settings.request_timeout);
        if let Some((late, timeout)) = late.zip(timeout) {
            self.owed = Some(Owed { late, reason: reason.clone(), until: now + timeout });
        }
    }

    /// Gives up what is owed when its time is over.
    pub(super) fn forgive(&mut self, now: Instant, actions: &mut Actions) {
        if self.owed.as_ref().is_some_and(|owed| owed.until <= now) {
            self.close_owed(actions);
        }
    }

    pub(super) fn close_owed(&mut self, actions: &mut Actions) {
        if let Some(owed) = self.owed.take() {
            Action::CloseAttempt(owed.late.attempt).push_to(actions);
        }
    }

    /// The late connection, if it is this one.
    pub(super) fn late(&mut self, attempt: Attempt) -> Option<&mut Try> {
        self.owed.as_mut().map(|owed| &mut owed.late).filter(|late| late.attempt == attempt)
    }

    /// The late connection is ready: it is kept, and the beat that is owed goes over it.
    pub(super) fn settle_owed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(Owed { late, reason, .. }) = self.owed.take() else { return };
        if let Some(former) = self.race.keep(&late) {
            Action::CloseAttempt(former).push_to(actions);
        }
        self.fresh.add(reason, now);
    }

    /// Whether the late connection has lost its ground.
    pub(super) fn bury_owed(&mut self, actions: &mut Actions) {
        let Some(Owed { late, .. }) = &self.owed else { return };
        let (via, to, local): (_, IpAddr, _) = (late.via, late.to.ip(), late.local);
        let in_use = self.first().map(|uplink| uplink.name) == via;
        if !in_use || !self.lives(via, to, local) {
            self.close_owed(actions);
        }
    }
}
