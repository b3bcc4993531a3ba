//! The requests of local clients, and the record of a request that waits for its answer.
//!
//! ```text
//! Request --answer--> last word          (a trigger that does not wait, or will not be sent)
//!            |
//!            +------> waiting for seq --end of the beat, or after WAIT_MAX--> last word
//! ```

use std::time::Duration;

use linkbeat_core::proto::event::{RequestId, TriggerAnswer};
use linkbeat_core::proto::history::Id;
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::outcome::Outcome;

/// Longest wait of a client for the beat it asked for.
pub const WAIT_MAX: Duration = Duration::from_secs(15);

/// A request of a local client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the request in the answer; `None` if no client waits for one.
    pub id: Option<RequestId>,
    /// The request itself.
    pub ask: Ask,
}

/// The kinds of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A beat now, with the client's own word. The core answers:
    /// [`on_answer`](super::LocalServer::on_answer).
    Trigger(Option<Word>),
    /// The status as JSON: [`reply`](super::LocalServer::reply).
    Status,
    /// The report that would be sent now: [`reply`](super::LocalServer::reply).
    Preview,
    /// The history as JSON, of entries with a greater number: [`reply`](super::LocalServer::reply).
    History {
        /// The last entry that the client has.
        after: Id,
    },
    /// The metrics as text: [`reply`](super::LocalServer::reply).
    Metrics,
}

/// The consequence of a client's readiness.
#[derive(Debug)]
pub(super) enum Event {
    /// No consequence outside the client.
    Nothing,
    /// The eventfd was written to.
    Rung,
    /// A request; `Client::begin_request` next.
    Ask {
        /// The request itself.
        ask: Ask,
        /// Whether the answer is to be the end of the beat.
        wait: bool,
    },
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct PendingRequest {
    /// Names the request in its answer.
    pub(super) id: RequestId,
    /// Whether the client waits for the end of the beat.
    pub(super) wait: bool,
    /// The beat that will cover the request.
    seq: Option<u64>,
    /// When the client is answered at the latest.
    pub(super) give_up_at: Instant,
}

impl PendingRequest {
    pub(super) fn new(id: RequestId, wait: bool, now: Instant) -> Self {
        Self { id, wait, seq: None, give_up_at: now + WAIT_MAX }
    }

    /// Notes the core's answer and returns the client's, `None` if the client goes on waiting.
    ///
    /// A client that would wait in vain, because the beat is held for longer, is answered at once.
    pub(super) fn on_answer(
        &mut self,
        answer: TriggerAnswer,
        utc: &dyn Fn(Instant) -> Utc,
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

    /// Whether the client waits for a beat that covers triggers up to `covers`.
    pub(super) fn is_covered(&self, covers: u64) -> bool {
        self.seq.is_some_and(|seq| seq <= covers)
    }

    /// The answer to a client that has waited as long as it may.
    pub(super) fn give_up(&self, now: Instant) -> Option<Outcome<'static>> {
        (now >= self.give_up_at).then_some(Outcome::GaveUp { seq: self.seq, after: WAIT_MAX })
    }
}
