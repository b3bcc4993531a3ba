//! How a beat ends: by an answer, by the failure of a connection, or by that of a whole round.

use heapless::Vec;

use super::beat::{Beat, Flight};
use super::wanted::Hold;
use super::{Agent, is_of_the_network};
use crate::proto::event::{Action, Actions, Attempt, Failure, Note, Reply, Stamps};
use crate::proto::race::{FAILED_MAX, Path, Stage, Try};
use crate::proto::reach::budget::SLOW;
use crate::proto::routing::Family;
use crate::proto::time::Instant;

impl Agent {
    pub(super) fn replied(
        &mut self,
        attempt: Attempt,
        reply: Reply,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(winner) = self.race.remove(attempt) else { return };
        let restored = self.outside_answered(reply.failure.is_none(), now, actions);
        self.reach.stop(actions);
        if let Some(failure @ Failure::Portal(_)) = reply.failure {
            self.met_portal(&winner, reply.keep_alive, failure, now, actions);
            return;
        }
        // While another path is under way, a portal on this one may not speak for the server.
        let goes_on = reply.failure.is_some() && !self.race.tries().is_empty();
        if goes_on {
            self.race.mark_tried(winner.via, winner.to.ip());
        }
        if reply.keep_alive {
            let former = if goes_on { Some(attempt) } else { self.race.keep(&winner) };
            former.into_iter().for_each(|former| Action::CloseAttempt(former).push_to(actions));
        }
        let Some(failure) = reply.failure else {
            self.acknowledged(&winner, reply.status, restored, now, actions);
            return;
        };
        let asked = reply.retry_after.filter(|asked| !asked.is_zero());
        let hold = asked.map(|asked| Hold::new(asked, now, &mut self.rng));
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(failure);
            flight.hold = hold.or(flight.hold);
        }
        if !goes_on {
            self.fail_round(failure, now, actions);
        }
    }

    /// A portal answers on this path, for every address and for as long as nobody logs in: another path may
    /// do better, and ends the round if there is none.
    fn met_portal(
        &mut self,
        open: &Try,
        keep_alive: bool,
        failure: Failure,
        now: Instant,
        actions: &mut Actions,
    ) {
        if keep_alive {
            Action::CloseAttempt(open.attempt).push_to(actions);
        }
        self.race.paths.lose(open.path());
        for ip in self.server_addresses(now) {
            self.race.mark_tried(open.via, ip);
        }
        self.resolver.doubt(false);
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(failure);
        }
    }

    fn acknowledged(
        &mut self,
        winner: &Try,
        status: u16,
        restored: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
        self.owe(&flight.carried, winner, now);
        self.news_repeated = false;
        self.deliver_over(winner, now, actions);
        self.close_tries(actions);
        self.resolver.good(winner.to.ip());
        self.backoff.reset();
        self.hold = None;
        let stamps = Stamps { replied_at: now, ..winner.stamps };
        let reason = flight.carried.reason();
        Action::Note(Note::BeatAcknowledged {
            seq: self.seq,
            covers: flight.covers,
            via: self.interface(winner.via, winner.to.ip()),
            status,
            stamps,
            recovered: restored || self.last_failure.is_some() || !self.delivered,
            reason,
        })
        .push_to(actions);
        self.last_failure = None;
        self.rounds_failed = 0;
        self.delivered = true;
        self.seq += 1;
        self.restart_cycle(&flight, stamps.written_at, now);
    }

    /// Settles which paths have failed beside the one that delivered.
    fn deliver_over(&mut self, winner: &Try, now: Instant, actions: &mut Actions) {
        let before: Vec<Path, FAILED_MAX> = self.race.paths.all().iter().copied().collect();
        self.race.delivered(winner, now);
        let to = winner.to.ip();
        if winner.via.is_some() && self.interface(None, to) == winner.via {
            // Unbound it would have gone the very same way.
            self.race.paths.works((None, Family::of(to)));
        }
        let instead = self.interface(winner.via, winner.to.ip());
        for (via, family) in self.race.paths.all().iter().filter(|path| !before.contains(path)) {
            let note = Note::PathFailed { via: *via, family: *family, instead };
            Action::Note(note).push_to(actions);
        }
    }

    /// Every delivered beat restarts the interval, the cycle's own at the instant it was due, so that nothing drifts.
    fn restart_cycle(&mut self, flight: &Flight, written_at: Instant, now: Instant) {
        let Some(settings) = &self.settings else { return };
        let on_time = flight.carried.is_cycle_only().then(|| flight.carried.since()).flatten();
        let on_time = on_time.filter(|since| *since + settings.interval > now);
        self.cycle.restart(on_time.unwrap_or(written_at), settings.interval);
    }

    /// Ends a round without an acknowledgement; the same beat is tried again unless the answer is final.
    pub(super) fn fail_round(&mut self, failure: Failure, now: Instant, actions: &mut Actions) {
        self.close_tries(actions);
        let Beat::InFlight(flight) = core::mem::replace(&mut self.beat, Beat::Idle) else { return };
        let Some(settings) = &self.settings else { return };
        let (seq, reason) = (self.seq, flight.carried.reason());
        let retry_at = if is_final(failure) {
            self.seq += 1;
            self.backoff.reset();
            self.cycle.restart(now, settings.interval);
            None
        } else {
            // Nothing but a beat finds out that people have logged in.
            let portal = failure.is_portal(self.delivered);
            let longest = if portal { settings.interval.min(SLOW) } else { settings.interval };
            self.retry_at = now + self.backoff.advance(longest, &mut self.rng);
            self.retrying.merge(flight.carried);
            self.hold = flight.hold.or(self.hold);
            Some(self.hold.map_or(self.retry_at, |hold| hold.until.max(self.retry_at)))
        };
        self.look_outside(failure, actions);
        let news = self.last_failure != Some(failure);
        let covers = flight.covers;
        Action::Note(Note::BeatFailed { seq, covers, reason, failure, retry_at, news })
            .push_to(actions);
        self.last_failure = Some(failure);
        self.rounds_failed = self.rounds_failed.saturating_add(1);
    }

    pub(super) fn attempt_failed(&mut self, attempt: Attempt, failure: Failure, now: Instant) {
        self.race.kept_failed(attempt);
        if self.late(attempt).is_some() {
            self.late_failed(failure, now);
        }
        let Some(lost) = self.race.remove(attempt) else { return };
        if lost.stage == Stage::Connecting && is_of_the_network(failure) {
            self.reach.doubt(true, now);
        }
        // Whoever answered there may not be the server, nor the kernel's last answer still be right.
        self.race.paths.lose(lost.path());
        self.resolver.doubt(false);
        self.routing.want();
        if let Beat::InFlight(flight) = &mut self.beat {
            flight.failure = Some(failure);
        }
    }
}

/// Whether the server's word is final: asked again, it would answer the same (WIRE.md §1).
const fn is_final(failure: Failure) -> bool {
    match failure {
        Failure::Status(408 | 425 | 429 | 500..=599) => false,
        Failure::Status(_) | Failure::NotAccepted => true,
        _ => false,
    }
}
