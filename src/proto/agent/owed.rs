//! What the server was told by the wrong uplink, and still has to hear from the right one.
//!
//! A change of uplink is news because the device has another address now. When the new uplink is
//! slow to carry (the switch behind a cable just plugged in drops what comes first), the race
//! delivers the beat over the old one, with the old address. The connection that lost the race is
//! then left to the kernel's own repetitions, at no other cost; once it is ready, the news is sent
//! again over it. If the new uplink does not carry at all yet, because its gateway was asked for in vain, the
//! news is sent anew once. The next beat ends the wait; it does not try the new uplink first.

use core::net::IpAddr;

use super::Agent;
use crate::proto::event::{Action, Actions, Attempt, Failure, Reason};
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
    /// Whether the news was sent anew before: it is not a third time.
    repeated: bool,
}

impl Owed {
    /// The connection.
    pub(super) const fn late(&self) -> &Try {
        &self.late
    }
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
            let repeated = core::mem::take(&mut self.news_repeated);
            self.owed = Some(Owed { late, reason: reason.clone(), until: now + timeout, repeated });
        }
    }

    /// Gives up what is owed when its time is over.
    pub(super) fn forgive(&mut self, now: Instant, actions: &mut Actions) {
        if self.owed.as_ref().is_some_and(|owed| owed.until <= now) {
            self.give_owed_up(now, actions);
        }
    }

    /// The late connection has had its time: its path is one that fails while another delivers.
    pub(super) fn give_owed_up(&mut self, now: Instant, actions: &mut Actions) {
        if let Some(path) = self.owed.as_ref().map(|owed| owed.late.path()) {
            self.race.paths.fail(path, now);
        }
        self.close_owed(actions);
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

    /// The late connection has failed: where nobody was reached, the news starts anew, once.
    pub(super) fn late_failed(&mut self, failure: Failure, now: Instant) {
        let Some(Owed { reason, repeated, .. }) = self.owed.take() else { return };
        let unreached = matches!(failure, Failure::Unreachable | Failure::TimedOut);
        if unreached && !repeated {
            self.news_repeated = true;
            self.fresh.add(reason, now);
        }
    }

    /// The late connection is ready: it is kept, and the beat that is owed goes over it.
    pub(super) fn settle_owed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(Owed { late, reason, .. }) = self.owed.take() else { return };
        self.race.paths.works(late.path());
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
