//! What local clients ask, and who of them still waits: shared by both local servers.
//!
//! A request is known by its ticket until it is answered. The servers never decide about a beat:
//! they hand the request out, and are told the core's word and later what became of the beat.
//!
//! ```text
//! Request --answer--> last word          (a trigger that does not wait, or will not be sent)
//!            |
//!            +------> waiting for seq --settle, or after WAIT_MAX--> last word
//! ```

use std::time::Duration;

use crate::proto::event::{Ticket, TriggerAnswer, Word};
use crate::proto::history::Id;
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::outcome::Outcome;

/// Longest wait of a client for the beat it asked for.
pub const WAIT_MAX: Duration = Duration::from_secs(15);
/// Most requests of one client in one [`ALLOWANCE_WINDOW`].
///
/// Generous for whoever has something to say; one who has not is paused and costs little.
const ALLOWANCE: u32 = 16;
/// Time in which an allowance is counted, and longest pause.
const ALLOWANCE_WINDOW: Duration = Duration::from_millis(250);

/// What a local client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How to answer it; of the number 0 nobody waits.
    pub ticket: Ticket,
    /// What it is.
    pub ask: Ask,
}

/// The kinds of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A beat now, with the client's own word: for the core, whose answer goes to `answer`.
    Trigger(Option<Word>),
    /// The status as JSON: goes to `reply`.
    Status,
    /// The report that would be sent now: goes to `reply`.
    Preview,
    /// The history as JSON, of what has a greater number: goes to `reply`.
    History {
        /// The number.
        after: Id,
    },
    /// The metrics as text: goes to `reply`.
    Metrics,
}

/// Numbers the requests of one server, each unlike the other server's.
#[derive(Debug)]
pub(super) struct Tickets {
    first: u32,
    next: u32,
}

impl Tickets {
    /// Distance of two tickets: the number of servers.
    const STEP: u32 = 2;

    /// Odd numbers.
    pub(super) const fn of_helpers() -> Self {
        Self { first: 1, next: 1 }
    }

    /// Even numbers.
    pub(super) const fn of_status_server() -> Self {
        Self { first: 2, next: 2 }
    }

    pub(super) fn draw(&mut self) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.checked_add(Self::STEP).unwrap_or(self.first);
        ticket
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Asked {
    ticket: Ticket,
    /// Whether the client wants to know what became of the beat.
    wait: bool,
    /// The beat that will cover it.
    seq: Option<u64>,
    give_up_at: Instant,
}

impl Asked {
    pub(super) fn new(ticket: Ticket, wait: bool, now: Instant) -> Self {
        Self { ticket, wait, seq: None, give_up_at: now + WAIT_MAX }
    }

    pub(super) fn has(&self, ticket: Ticket) -> bool {
        self.ticket == ticket
    }

    pub(super) const fn waits(&self) -> bool {
        self.wait
    }

    pub(super) const fn give_up_at(&self) -> Instant {
        self.give_up_at
    }

    /// Takes the core's word; `None` if the client goes on waiting.
    ///
    /// Who would wait in vain because the beat is held for longer is told so at once.
    pub(super) fn hear(
        &mut self,
        answer: TriggerAnswer,
        utc: impl Fn(Instant) -> Utc,
    ) -> Option<Outcome<'static>> {
        let (seq, outcome, waits) = match answer {
            TriggerAnswer::Set { seq } => (seq, Outcome::Set, true),
            TriggerAnswer::Pending { seq } => (seq, Outcome::Pending, true),
            TriggerAnswer::Held { seq, set, until } => {
                let in_time = until < self.give_up_at;
                let until = utc(until);
                let in_vain = self.wait && !in_time;
                let outcome =
                    if in_vain { Outcome::Later { until } } else { Outcome::Held { set, until } };
                (seq, outcome, in_time)
            }
            TriggerAnswer::Disabled => return Some(Outcome::Disabled),
            TriggerAnswer::Unconfigured => return Some(Outcome::Unconfigured),
        };
        self.seq = Some(seq);
        (!self.wait || !waits).then_some(outcome)
    }

    /// Whether the end of a beat that covers triggers up to `covers` is what the client waits for.
    pub(super) fn is_covered(&self, covers: u64) -> bool {
        self.seq.is_some_and(|seq| seq <= covers)
    }

    /// The last word if it is too late for any other.
    pub(super) fn give_up(&self, now: Instant) -> Option<Outcome<'static>> {
        (now >= self.give_up_at).then_some(Outcome::GaveUp { seq: self.seq, after: WAIT_MAX })
    }
}

/// How often one client was heard lately.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    since: Instant,
    used: u32,
}

impl Allowance {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, used: 0 }
    }

    /// Uses one up; the time until which to pause after the last one.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let end = self.since + ALLOWANCE_WINDOW;
        if now >= end {
            *self = Self::new(now);
        }
        self.used += 1;
        (self.used >= ALLOWANCE).then_some(self.since + ALLOWANCE_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_of_two_servers_are_never_the_same_nor_nobodys() {
        for before_the_end in [0, 6] {
            let mut helpers = Tickets::of_helpers();
            let mut status_server = Tickets::of_status_server();
            helpers.next += u32::MAX - 1 - before_the_end;
            status_server.next += u32::MAX - 1 - before_the_end - 2;
            let drawn = (0..8).flat_map(|_| [helpers.draw().0, status_server.draw().0]);
            let mut drawn: Vec<_> = drawn.collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 16);
            assert!(!drawn.contains(&0));
        }
    }

    #[test]
    fn allowance_is_renewed_when_its_window_is_over() {
        let start = Instant::from_micros(7);
        let mut allowance = Allowance::new(start);
        let end = start + ALLOWANCE_WINDOW;
        for _ in 1..ALLOWANCE {
            assert_eq!(allowance.take(start), None);
        }
        assert_eq!(allowance.take(start), Some(end));
        for _ in 1..ALLOWANCE {
            assert_eq!(allowance.take(end), None);
        }
        assert_eq!(allowance.take(end), Some(end + ALLOWANCE_WINDOW));
    }
}
