//! The beat under way, the connections that race to deliver it, and how the last one ended.
//!
//! ```text
//!            begin                        end: 2xx, or a final answer
//!   Idle -----------> InFlight ------------------------------------------> Idle, next seq
//!     ^                   |
//!     +--- same seq ------+ end: no connection left, or out of time
//! ```
//!
//! It does not know why a beat is sent or when the next one may start. The rooms: `attempts` (the
//! life of a connection), `allowance` (how many there may be), `closing` (which ones are closed
//! without an answer), `paths` (which one comes next), `late` (what the server was sent over the wrong uplink).

mod allowance;
mod attempts;
mod closing;
mod last;
mod late;
mod paths;

pub(super) use self::last::Last;
pub(super) use self::paths::Candidate;

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use self::allowance::Allowance;
use self::late::Late;
use self::paths::Choice;
use super::event::{Action, Actions, Failure, Note, Reason};
use super::link::InterfaceName;
use super::moderation::RetryAfter;
use super::network::Network;
use super::race::{Attempt, Connection, FAILED_MAX, Path, Race, Stage};
use super::resolve;
use super::route::Family;
use super::schedule::PendingReasons;
use super::time::Instant;

/// The beat under way, and the connections.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The number of the beat that is under way or comes next.
    seq: u64,
    /// The beat under way.
    flight: Option<Flight>,
    /// How long nothing was tried for this number although an uplink was usable.
    held: Duration,
    /// When its last round ended.
    idle_since: Option<Instant>,
    /// The connections of the beat, and the one kept for the next beat.
    race: Race,
    /// How many connections may still be opened.
    allowance: Allowance,
    /// A connection that came too late for its beat, and carries the next one.
    late: Option<Late>,
    /// The beat under way repeats a change of uplink that did not get through over the new one.
    news_repeated: bool,
    /// How the last round ended.
    last: Last,
    /// Up to which number a report that is written now contains outages.
    outages: u32,
}

/// A beat under way; the connections themselves are in the race.
#[derive(Debug)]
pub(super) struct Flight {
    /// Why it is sent.
    pub(super) carried: PendingReasons,
    /// Triggers that were promised this number or a lower one are covered.
    pub(super) covers: u64,
    /// When it started.
    pub(super) started_at: Instant,
    /// When the round has failed at the latest.
    give_up_at: Instant,
    /// Whether the deadline was put off because the network answered.
    extended: bool,
    /// Why a connection of this round failed.
    failure: Option<Failure>,
    /// The Retry-After of a server, while others are still tried.
    pub(super) retry_after: Option<RetryAfter>,
}

impl Delivery {
    /// Nothing was sent yet.
    pub(super) fn new() -> Self {
        Self {
            seq: 1,
            flight: None,
            held: Duration::ZERO,
            idle_since: None,
            race: Race::default(),
            allowance: Allowance::new(),
            late: None,
            news_repeated: false,
            last: Last::Never,
            outages: 0,
        }
    }

    /// The number of the beat that is under way or comes next.
    pub(super) const fn seq(&self) -> u64 {
        self.seq
    }

    /// From now on a report contains the outages up to this number.
    pub(super) const fn report_outages_to(&mut self, number: u32) {
        self.outages = number;
    }

    /// The connections of the beat under way, and the one kept for the next.
    pub(super) const fn race(&self) -> &Race {
        &self.race
    }

    /// The race, to change.
    pub(super) const fn race_mut(&mut self) -> &mut Race {
        &mut self.race
    }

    /// How the last round ended.
    pub(super) const fn last(&self) -> Last {
        self.last
    }

    /// When the round under way began.
    pub(super) fn round_at(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.started_at)
    }

    /// Whether no beat is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.flight.is_none()
    }

    /// The reasons of the beat under way.
    pub(super) fn carried(&mut self) -> Option<&mut PendingReasons> {
        self.flight.as_mut().map(|flight| &mut flight.carried)
    }

    /// The same, while nothing of its report is written.
    pub(super) fn unwritten(&mut self) -> Option<&mut PendingReasons> {
        let written = self.race.is_written();
        self.carried().filter(|_| !written)
    }

    /// The number of the beat that covers a trigger which the beat under way does not.
    pub(super) fn next_seq(&self) -> u64 {
        self.flight.as_ref().map_or(self.seq, |flight| flight.covers + 1)
    }

    /// Why the last connection failed, in the round under way or else in the last one.
    pub(super) fn failure(&self) -> Option<Failure> {
        let flight = self.flight.as_ref().and_then(|flight| flight.failure);
        flight.or(self.last.failure())
    }

    /// Starts a round of a beat; an uplink is usable since `usable_at`. With `evidence` the beat may
    /// fare better than in the round before.
    pub(super) fn begin(
        &mut self,
        carried: PendingReasons,
        evidence: bool,
        covers: u64,
        usable_at: Instant,
        give_up_at: Instant,
        now: Instant,
    ) {
        let idle_since = carried.since.max(self.idle_since);
        self.held += idle_since.map_or(Duration::ZERO, |since| now - since.max(usable_at));
        self.race.next_round();
        self.allowance.begin(evidence);
        if evidence {
            self.start_afresh(now);
        }
        if carried.is_cycle_only() {
            self.race.paths.retest(now);
        }
        self.flight = Some(Flight {
            carried,
            covers,
            started_at: now,
            give_up_at,
            extended: false,
            failure: None,
            retry_after: None,
        });
    }

    /// Ends the beat under way, and returns it.
    pub(super) fn end(&mut self, now: Instant) -> Option<Flight> {
        self.race.stagger_at = None;
        self.allowance.end_denial();
        self.idle_since = Some(now);
        self.flight.take()
    }

    /// The next beat has another number.
    const fn next_number(&mut self) {
        self.seq += 1;
        self.forget_held();
    }

    /// Resets the time that was held: it is another beat, or another uplink is in use.
    pub(super) const fn forget_held(&mut self) {
        self.held = Duration::ZERO;
        self.idle_since = None;
    }

    /// Puts the end of the round off to `give_up_at`.
    pub(super) fn extend(&mut self, give_up_at: Instant) {
        if let Some(flight) = &mut self.flight {
            flight.give_up_at = give_up_at;
        }
    }

    /// The network answers again: what was tried till now goes first again, or last if that was so
    /// before in this round. True if the end of the round is to be put off.
    ///
    /// If nothing was `restored`, that is so once in a round: a network that answers again and
    /// again, and carries no beat, does not keep it from ending.
    pub(super) fn renew_round(&mut self, restored: bool, now: Instant) -> bool {
        let Some(flight) = &mut self.flight else { return false };
        let again = core::mem::replace(&mut flight.extended, true);
        let extends = restored || !again;
        if extends {
            self.race.retry();
            self.allowance.begin(true);
        } else {
            self.race.next_round();
        }
        if restored {
            self.start_afresh(now);
        }
        extends
    }

    /// Why the round has failed, if its time is over.
    pub(super) fn timed_out(&self, now: Instant) -> Option<Failure> {
        let flight = self.flight.as_ref().filter(|flight| flight.give_up_at <= now)?;
        // Without any connection it was a name that was waited for.
        let silent = match self.race.attempts.is_empty() {
            true => Failure::NameServerSilent,
            false => Failure::TimedOut,
        };
        Some(flight.failure.unwrap_or(silent))
    }

    /// Why the round has failed, if nothing is under way and nothing is left to try.
    pub(super) fn stuck(&self, network: &Network, now: Instant) -> Option<Failure> {
        let flight = self.flight.as_ref()?;
        // An address named just now has no way before the kernel has reported it.
        if !self.race.attempts.is_empty() || network.routing().is_open() {
            return None;
        }
        match (flight.failure, network.resolver().state(now)) {
            (_, resolve::State::Waiting) => None,
            // Another address may be named yet.
            (_, resolve::State::Known) if network.resolver().is_refreshing() => None,
            (Some(failure), _) | (None, resolve::State::Failed(failure)) => Some(failure),
            (None, resolve::State::Known) => Some(Failure::Unreachable),
        }
    }

    /// Notes why a connection of the round failed, and what its server asked for.
    pub(super) fn note_failure(&mut self, failure: Failure, retry_after: Option<RetryAfter>) {
        if let Some(flight) = &mut self.flight {
            flight.failure = Some(failure);
            flight.retry_after = retry_after.or(flight.retry_after);
        }
    }

    /// The round has failed; after a final answer its beat is not tried again.
    pub(super) fn failed(&mut self, failure: Failure) {
        if failure.is_final() {
            self.next_number();
        }
        self.last = self.last.and_failed(failure);
    }

    /// The server has acknowledged the beat.
    pub(super) const fn acknowledged(&mut self) {
        self.last = Last::Acknowledged;
        self.next_number();
    }

    /// `winner` has delivered the beat: decides which paths have failed beside it, and closes the
    /// others.
    ///
    /// If it reported a change to another uplink, what is needed to repeat that is kept `until`
    /// then, or the reason is returned because a connection there is ready.
    pub(super) fn won(
        &mut self,
        flight: &Flight,
        winner: &Attempt,
        network: &Network,
        until: Instant,
        now: Instant,
        actions: &mut Actions,
    ) -> Option<Reason> {
        let uplink = network.first().map(|uplink| uplink.name);
        let to = winner.to.ip();
        let over = network.interface(winner.via, to);
        self.keep_late(&flight.carried, over, uplink, until);
        self.news_repeated = false;
        let before: Vec<Path, FAILED_MAX> = self.race.paths.all().iter().copied().collect();
        self.race.delivered(winner, now);
        if winner.via.is_some() && network.interface(None, to) == winner.via {
            // Unbound it would have gone the very same way.
            self.race.paths.works((None, Family::of(to)));
        }
        for (via, family) in self.race.paths.all().iter().filter(|path| !before.contains(path)) {
            let note = Note::PathFailed { via: *via, family: *family, instead: over };
            Action::Note(note).push_to(actions);
        }
        self.close_attempts(actions);
        self.race.forget_tried();
        let late = self.late.as_ref().map(|late| &late.attempt);
        let ready = late.filter(|late| late.stage == Stage::Ready).map(|late| late.id);
        ready.and_then(|id| self.resend_on_late(id, actions))
    }

    /// The ways are others: what was found out about the former ones counts no more.
    pub(super) fn forget_paths(&mut self, now: Instant) {
        self.race.paths.forget();
        self.start_afresh(now);
    }

    /// Whether a path counts as failed.
    pub(super) fn avoids_paths(&self) -> bool {
        !self.race.paths.all().is_empty()
    }

    /// The gateway of this uplink answers again: true if a path over it counted as failed till now.
    pub(super) fn trust(&mut self, uplink: InterfaceName) -> bool {
        let paths = Family::ALL.map(|family| (Some(uplink), family));
        let failed = paths.iter().any(|path| self.race.paths.has(*path));
        paths.into_iter().for_each(|path| self.race.paths.works(path));
        failed
    }

    /// Every connection there is.
    pub(super) fn connections(&self) -> impl Iterator<Item = Connection> {
        let racing = self.race.attempts.iter().map(Attempt::connection);
        let late = self.late.as_ref().map(|late| late.attempt.connection());
        racing.chain(self.race.kept).chain(late)
    }

    /// The way that a new socket takes to an address; `None`: there is none.
    pub(super) fn way(&self, network: &Network, to: IpAddr) -> Option<Option<InterfaceName>> {
        let failed = |via: &&Option<InterfaceName>| self.race.paths.has((**via, Family::of(to)));
        network.ways(to).iter().min_by_key(failed).copied()
    }

    /// When something is to be done if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let give_up_at = self.flight.as_ref().map(|flight| flight.give_up_at);
        let late = self.late.as_ref().map(|late| late.until);
        [give_up_at, self.race.next_deadline(), self.allowance.denied_until(), late]
            .into_iter()
            .flatten()
            .min()
    }

    /// The best path left.
    pub(super) fn best(&self, network: &Network, now: Instant) -> Option<Candidate> {
        Choice { delivery: self, network, now }.best()
    }
}

#[cfg(test)]
impl Delivery {
    /// Whether a late connection is kept.
    pub(super) const fn has_late(&self) -> bool {
        self.late.is_some()
    }
}
