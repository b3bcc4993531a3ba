//! The history, for people: the last beats and turns of events, the day by the hour, numbers.
//!
//! It has a fixed size, is fed by the core's [`Note`]s and a few facts of the loop, and decides
//! nothing. All its times are boot time, translated when they are shown: a wall clock that jumps
//! moves nothing and changes no order. The oldest entries make room for new ones.

mod counters;
mod entry;
mod hours;
#[cfg(test)]
mod tests;

use heapless::Deque;

pub use self::counters::{BUCKETS_US, Counters, Histogram};
pub use self::entry::{BeatOutcome, BeatRecord, Change, Class, Id, Steps, Transition};
use self::hours::Hours;
pub use self::hours::{HOUR_US, HOURS_MAX, Hour};
use super::event::{Acknowledged, Note, Reason};
use super::link::InterfaceName;
use super::time::{Instant, micros};

/// How many beats are kept.
pub const BEATS_MAX: usize = 64;
/// How many turns of events are kept.
pub const TRANSITIONS_MAX: usize = 256;

const _: () = assert!(size_of::<History>() <= 40 << 10, "the history is small");

/// Highest number of an entry that is taken back: others are to follow it.
const RESTORED_MAX: Id = Id::MAX / 2;

/// The history. It is large: to be made where it stays.
#[derive(Debug)]
pub struct History {
    run: u64,
    last_id: Id,
    /// The last entry of an earlier run.
    earlier: Id,
    beats: Deque<BeatRecord, BEATS_MAX>,
    transitions: Deque<Transition, TRANSITIONS_MAX>,
    hours: Hours,
    /// The numbers; those that only the loop knows are added by it.
    pub counters: Counters,
    /// How long it took from the event to the acknowledgement.
    pub event_to_acknowledged: Histogram,
    /// How long it took from the request to the acknowledgement.
    pub round_trip: Histogram,
    failing: bool,
    /// Up to when the time without connectivity is counted, while there is none.
    offline_from: Option<Instant>,
}

impl History {
    /// An empty one; `run` identifies this run of the agent.
    pub fn new(run: u64) -> Self {
        Self {
            run,
            last_id: 0,
            earlier: 0,
            beats: Deque::new(),
            transitions: Deque::new(),
            hours: Hours::default(),
            counters: Counters::default(),
            event_to_acknowledged: Histogram::default(),
            round_trip: Histogram::default(),
            failing: false,
            offline_from: None,
        }
    }

    /// Takes a note of the core.
    pub fn record(&mut self, note: &Note, now: Instant) {
        self.advance(now);
        match note {
            Note::UplinkChanged { from, to, .. } => {
                self.turn(Change::Uplink { from: *from, to: *to }, now);
            }
            Note::UplinkRenamed { from, to } => {
                self.turn(Change::Uplink { from: Some(*from), to: Some(*to) }, now);
            }
            Note::ConnectivityLost => {
                self.offline_from = Some(now);
                self.turn(Change::Offline, now);
            }
            Note::ConnectivityRestored => {
                self.offline_from = None;
                self.turn(Change::Online, now);
            }
            Note::TriggerSet => self.counters.triggers += 1,
            Note::TriggerMerged => self.counters.merged += 1,
            Note::BeatAcknowledged { beat, recovered, .. } => {
                let Acknowledged { seq, reason, via, status, stamps } = beat;
                let class = Class::of(reason);
                self.counters.acknowledged(class);
                self.event_to_acknowledged.add(stamps.replied_at - stamps.event_at);
                self.round_trip.add(stamps.replied_at - stamps.written_at);
                let hour = self.hours.at(now);
                hour.beats = hour.beats.saturating_add(1);
                let immediate = u32::from(class != Class::Interval);
                hour.immediate = hour.immediate.saturating_add(immediate);
                self.failing = false;
                let steps = Steps::of(stamps);
                let outcome = BeatOutcome::Acknowledged { status: *status, steps };
                self.beat(*seq, reason, *via, outcome, now);
                if *recovered {
                    self.turn(Change::Beating, now);
                }
            }
            Note::BeatFailed { seq, reason, failure, .. } => {
                self.counters.failed(*failure);
                let hour = self.hours.at(now);
                hour.failed = hour.failed.saturating_add(1);
                if !core::mem::replace(&mut self.failing, true) {
                    self.turn(Change::Failing(*failure), now);
                }
                self.beat(*seq, reason, None, BeatOutcome::Failed(*failure), now);
            }
            Note::StandbyChanged { uplink, works } => {
                self.turn(Change::Standby { uplink: *uplink, works: *works }, now);
            }
            Note::ServiceLost(name) => self.turn(Change::ServiceDown(*name), now),
            Note::ServiceRecovered(name) => self.turn(Change::ServiceUp(*name), now),
            Note::NetworkChanged(_)
            | Note::IntervalSet(_)
            | Note::GatewayBack(_)
            | Note::PathFailed { .. }
            | Note::LinksLeftOut => {}
        }
    }

    /// Records a turn of events that is in no note.
    pub fn turn(&mut self, change: Change, now: Instant) {
        let transition = Transition { id: self.next_id(), at: now, change };
        push_last(&mut self.transitions, transition);
    }

    fn beat(
        &mut self,
        seq: u64,
        reason: &Reason,
        via: Option<InterfaceName>,
        outcome: BeatOutcome,
        now: Instant,
    ) {
        let beat =
            BeatRecord { id: self.next_id(), at: now, seq, reason: reason.clone(), via, outcome };
        push_last(&mut self.beats, beat);
    }

    const fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    /// Takes a beat of an earlier run back; `None` if it cannot have come after those that are
    /// there.
    pub fn put_beat(&mut self, beat: BeatRecord, now: Instant) -> Option<()> {
        let last = self.beats.back().map(|last| (last.id, last.at));
        check_restored(last, (beat.id, beat.at), now)?;
        self.last_id = self.last_id.max(beat.id);
        self.beats.push_back(beat).ok()
    }

    /// Takes a turn of events of an earlier run back; `None` if it cannot be.
    pub fn put_turn(&mut self, turn: Transition, now: Instant) -> Option<()> {
        let last = self.transitions.back().map(|last| (last.id, last.at));
        check_restored(last, (turn.id, turn.at), now)?;
        self.last_id = self.last_id.max(turn.id);
        self.transitions.push_back(turn).ok()
    }

    /// Takes an hour of an earlier run back; `None` if it cannot be.
    pub fn put_hour(&mut self, hour: Hour, now: Instant) -> Option<()> {
        self.hours.put(hour, now)
    }

    /// Calls everything that is there of an earlier run.
    pub const fn resume(&mut self) {
        self.earlier = self.last_id;
    }

    /// Forgets everything that was put back.
    pub fn forget(&mut self) {
        self.beats.clear();
        self.transitions.clear();
        self.hours = Hours::default();
        (self.last_id, self.earlier) = (0, 0);
    }

    /// Counts the time without connectivity up to `now`: before the numbers are shown, at least.
    pub fn advance(&mut self, now: Instant) {
        if let Some(from) = &mut self.offline_from {
            let time_us = micros(now - *from);
            self.counters.offline_us = self.counters.offline_us.saturating_add(time_us);
            self.hours.offline(*from, now);
            *from = now;
        }
    }

    /// The number that identifies this run of the agent.
    pub const fn run(&self) -> u64 {
        self.run
    }

    /// The number of the last entry, 0 if there is none.
    pub const fn last_id(&self) -> Id {
        self.last_id
    }

    /// Whether an entry comes from an earlier run.
    pub const fn is_earlier(&self, id: Id) -> bool {
        id <= self.earlier
    }

    /// The beats that are kept, oldest first.
    pub fn beats(&self) -> impl DoubleEndedIterator<Item = &BeatRecord> + Clone {
        let (older, newer) = self.beats.as_slices();
        older.iter().chain(newer)
    }

    /// The turns of events that are kept, oldest first.
    pub fn transitions(&self) -> impl DoubleEndedIterator<Item = &Transition> + Clone {
        let (older, newer) = self.transitions.as_slices();
        older.iter().chain(newer)
    }

    /// The hours of the last day that anything is known of, oldest first, each with how many hours
    /// ago it began.
    pub fn hours(&self, now: Instant) -> impl Iterator<Item = (u32, Hour)> + Clone {
        self.hours.since(now)
    }
}

/// Adds an item behind the others; the first one makes room for it.
fn push_last<T, const N: usize>(items: &mut Deque<T, N>, item: T) {
    if items.is_full() {
        items.pop_front();
    }
    let pushed = items.push_back(item).is_ok();
    debug_assert!(pushed, "room was made for it");
}

/// `None` if an entry of an earlier run cannot have come after the `last` one that is there.
fn check_restored(last: Option<(Id, Instant)>, entry: (Id, Instant), now: Instant) -> Option<()> {
    let ((last_id, last_at), (id, at)) = (last.unwrap_or_default(), entry);
    (id > last_id && id <= RESTORED_MAX && (last_at..=now).contains(&at)).then_some(())
}
