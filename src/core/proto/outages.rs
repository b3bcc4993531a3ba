//! Outages: times in which beats that fell due did not reach the server, until it has heard of them.
//!
//! ```text
//!          no uplink, nothing outside answers,               a beat is acknowledged
//!          or a round of attempts failed
//!  (none) -------------------------------------> ongoing ---------------------------> over
//!                                                   |                                   |
//!                                     a beat fell due in it: numbered                   | numbered
//!                                                   v                                   v
//!                                    in every report that is written, until one is acknowledged
//! ```
//!
//! An outage in which no beat fell due is a blip: it is shown on the device and gets no number.
//! There is none before the first acknowledged beat. An outage ends with an acknowledgement, and
//! not before: what seems restored may not be.

#[cfg(test)]
mod tests;

use heapless::Vec;

use super::event::Failure;
use super::link::InterfaceName;
use super::time::Instant;

/// Most outages that are kept for the server, the oldest ones; others are only counted.
pub const UNREPORTED_MAX: usize = 8;

words! {
    /// The missing part of the way to the server. Files name it by its place.
    pub enum OutageKind {
        /// No interface led out.
        Link = "link",
        /// Nothing outside answered.
        Network = "network",
        /// The server did not acknowledge, whether or not the network is known to have carried.
        Server = "server",
    }
}

/// A time without an acknowledgement although one was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The number of the outage, from 1; `None` as long as no beat fell due in it.
    pub number: Option<u32>,
    /// When it began: when the last uplink was lost, or when the first beat that failed was tried.
    pub began_at: Instant,
    /// When a beat was acknowledged; `None` while it lasts.
    pub ended_at: Option<Instant>,
    /// The part that was missing when it began.
    pub kind: OutageKind,
    /// Why the first round of attempts in it failed, if one did.
    pub cause: Option<Failure>,
    /// The uplink that was in use when it began.
    pub uplink: Option<InterfaceName>,
    /// Beats that fell due in it: ticks of the cycle, triggers, and the one that was under way.
    pub missed: u32,
}

/// Highest number that is taken back: others are to follow it.
const NUMBER_MAX: u32 = u32::MAX / 2;

/// The last outage, and those that the server has not heard of.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Outages {
    kept: KeptOutages,
    /// The uplink that is or was last in use.
    uplink: Option<InterfaceName>,
    /// Beats that fell due since the round under way began, its own included.
    due: u32,
    /// Whether the kind of the ongoing outage is certain.
    is_certain: bool,
    /// The number of outages that are over, by kind, since start.
    counts: [u32; OutageKind::ALL.len()],
}

/// The part that outlives the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptOutages {
    /// A beat was acknowledged in this boot: else nothing is an outage.
    pub delivered: bool,
    /// The highest number that was given.
    pub numbered: u32,
    /// The highest number that the server has heard of.
    pub reported: u32,
    /// The last one, over or not.
    pub last: Option<Outage>,
    /// The outages that are over and were not reported, the oldest ones, in order.
    pub unreported: Vec<Outage, UNREPORTED_MAX>,
}

impl Outages {
    /// The last one, over or not; a blip included.
    pub const fn last(&self) -> Option<Outage> {
        self.kept.last
    }

    /// The outages in a report written now, oldest first, at most [`UNREPORTED_MAX`].
    pub fn unreported(&self) -> impl Iterator<Item = Outage> + Clone {
        let ongoing =
            self.ongoing().filter(|it| it.number.is_some() && !self.kept.unreported.is_full());
        self.kept.unreported.iter().copied().chain(ongoing)
    }

    /// How many the server has not heard of besides those of [`unreported`](Self::unreported).
    pub fn others(&self) -> u32 {
        let last = self.unreported().last().and_then(|outage| outage.number);
        self.kept.numbered - last.unwrap_or(self.kept.reported)
    }

    /// How many are over, since start, by the place of their kind in [`OutageKind::ALL`].
    pub const fn counts(&self) -> [u32; OutageKind::ALL.len()] {
        self.counts
    }

    /// The highest number that was given, and that of the last outage in a report written now.
    pub(super) const fn numbered(&self) -> u32 {
        self.kept.numbered
    }

    fn ongoing(&self) -> Option<Outage> {
        self.kept.last.filter(|outage| outage.ended_at.is_none())
    }

    fn ongoing_mut(&mut self) -> Option<&mut Outage> {
        self.kept.last.as_mut().filter(|outage| outage.ended_at.is_none())
    }

    /// Notes which uplink is in use, if there is one.
    pub(super) fn uses(&mut self, uplink: Option<InterfaceName>) {
        self.uplink = uplink.or(self.uplink);
    }

    /// A round of attempts begins.
    pub(super) const fn round_began(&mut self) {
        self.due = 1;
    }

    /// A beat is due, or wanted by a helper.
    pub(super) fn fell_due(&mut self) {
        self.due = self.due.saturating_add(1);
        self.miss(1);
    }

    /// Adds beats to those missed in the ongoing outage, which thereby gets its number.
    fn miss(&mut self, beats: u32) {
        let next = self.kept.numbered.saturating_add(1);
        let Some(outage) = self.ongoing_mut().filter(|_| beats > 0) else { return };
        outage.missed = outage.missed.saturating_add(beats);
        if outage.number.is_none() {
            outage.number = Some(next);
            self.kept.numbered = next;
        }
    }

    fn begin(&mut self, kind: OutageKind, began_at: Instant, missed: u32) {
        if !self.kept.delivered {
            return;
        }
        let (number, cause, uplink) = (None, None, self.uplink);
        self.kept.last =
            Some(Outage { number, began_at, ended_at: None, kind, cause, uplink, missed: 0 });
        self.is_certain = kind != OutageKind::Server;
        self.miss(missed);
    }

    /// The device is offline: without an uplink, or because nothing outside answers. A round of
    /// attempts may be under way since `round_at`.
    pub(super) fn lost(&mut self, has_uplink: bool, round_at: Option<Instant>, now: Instant) {
        let kind = if has_uplink { OutageKind::Network } else { OutageKind::Link };
        if self.ongoing().is_some() {
            self.find(kind);
            return;
        }
        // The moment in which the last uplink goes is known; silence shows in a beat only.
        let began_at = round_at.filter(|_| has_uplink).unwrap_or(now);
        self.begin(kind, began_at, if round_at.is_some() { self.due } else { 0 });
    }

    /// A round of attempts that began at `round_at` has failed.
    pub(super) fn round_failed(&mut self, failure: Failure, round_at: Instant) {
        if self.ongoing().is_none() {
            self.begin(OutageKind::Server, round_at, self.due);
        }
        if let Some(outage) = self.ongoing_mut() {
            outage.cause.get_or_insert(failure);
        }
        self.is_certain |= failure.is_an_answer();
    }

    /// Something outside has answered; `silent`: other probes had not been answered before.
    pub(super) fn outside_answered(&mut self, silent: bool) {
        self.find(if silent { OutageKind::Network } else { OutageKind::Server });
    }

    /// Sets the kind of the ongoing outage, unless it is certain already.
    fn find(&mut self, kind: OutageKind) {
        if !core::mem::replace(&mut self.is_certain, true) {
            self.ongoing_mut().into_iter().for_each(|outage| outage.kind = kind);
        }
    }

    /// A report was acknowledged that reported everything up to this number.
    pub(super) fn acknowledged(&mut self, reported: u32, now: Instant) {
        self.kept.delivered = true;
        self.kept.reported = self.kept.reported.max(reported);
        self.kept.unreported.retain(|outage| outage.number > Some(self.kept.reported));
        self.end(now);
    }

    /// The ongoing outage is over: a beat was acknowledged, or none is wanted any more.
    pub(super) fn end(&mut self, now: Instant) {
        let Some(outage) = self.ongoing_mut() else { return };
        outage.ended_at = Some(now);
        let outage = *outage;
        let Some(number) = outage.number else { return };
        if let Some(count) = self.counts.get_mut(outage.kind as usize) {
            *count = count.saturating_add(1);
        }
        if number > self.kept.reported {
            // The oldest are kept, and others only counted.
            let kept = self.kept.unreported.push(outage);
            debug_assert!(kept.is_ok() || self.kept.unreported.is_full());
        }
    }

    /// The part that a file keeps over a restart of the agent.
    pub const fn kept(&self) -> &KeptOutages {
        &self.kept
    }

    /// Takes back what an earlier run has left; `None` if it cannot be.
    #[must_use]
    pub fn restored(kept: KeptOutages, now: Instant) -> Option<Self> {
        let KeptOutages { numbered, reported, last, unreported, .. } = &kept;
        let is_over = |it: &Outage| it.ended_at.is_some();
        let is_of_the_past = |it: &Outage| {
            it.began_at <= now && it.ended_at.is_none_or(|at| (it.began_at..=now).contains(&at))
        };
        let ongoing = last.filter(|it| !is_over(it) && it.number.is_some());
        let mut highest = *reported;
        let mut follows = |it: &Outage| {
            let number = it.number.unwrap_or_default();
            number > core::mem::replace(&mut highest, number)
        };
        let is_sound = last.iter().chain(unreported).all(is_of_the_past)
            && unreported.iter().all(|it| is_over(it) && follows(it))
            && ongoing.as_ref().is_none_or(follows)
            && (highest..=NUMBER_MAX).contains(numbered);
        is_sound.then(|| Self { kept, is_certain: true, ..Self::default() })
    }
}
