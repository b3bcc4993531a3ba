//! What local clients ask, brought to the core and back: the status server and the helpers' socket.

use std::time::Duration;

use mio::Token;

use super::EventLoop;
use super::wall::Wall;
use crate::net::local::{Ask, Request};
use crate::net::trigger::TriggerSocket;
use crate::proto::event::{Input, Note, Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::json;
use crate::wire::outcome::Outcome;

impl EventLoop {
    pub(super) fn visit_status_server(&mut self, token: usize) {
        if let Some(request) = self.status.on_ready(Token(token), self.now) {
            self.serve(request);
        }
    }

    pub(super) fn visit_helpers(&mut self, token: usize) {
        let Some(helpers) = &mut self.helpers else { return };
        if let Some(request) = helpers.on_ready(Token(token), self.now) {
            self.serve(request);
        }
    }

    /// Lets everyone be visited again who may have more to say than was heard. Asked before each
    /// wait, because an answer or a deadline adds to it as well as a visit.
    pub(super) fn recall_local(&mut self) {
        let helpers = self.helpers.iter().flat_map(TriggerSocket::pending);
        self.again.extend(self.status.pending().into_iter().chain(helpers).map(|token| token.0));
    }

    fn serve(&mut self, Request { ticket, ask }: Request) {
        match ask {
            Ask::Trigger(word) => self.feed(Input::Triggered { word, ticket }),
            Ask::Status => self.reply_status(ticket),
            Ask::Preview => self.reply_preview(ticket),
            Ask::History { after } => self.reply_history(ticket, after),
            Ask::Metrics => self.reply_metrics(ticket),
        }
    }

    /// Tells the client what the core answered at once.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: TriggerAnswer) {
        let calendar = Calendar::new(self.now, &self.wall);
        self.status.answer(ticket, answer, self.now, |at| calendar.date(at));
        if let Some(helpers) = &mut self.helpers {
            helpers.answer(ticket, answer, |at| calendar.date(at));
        }
    }

    /// Tells the clients who waited for it how a beat ended.
    pub(super) fn settle(&mut self, note: &Note) {
        let (covers, outcome) = match note {
            Note::BeatAcknowledged { seq, covers, via, status, stamps, .. } => {
                let outcome = Outcome::Acknowledged {
                    seq: *seq,
                    status: *status,
                    took: stamps.replied_at - stamps.event_at,
                    via: *via,
                    answer: json::parse(&self.journal.answer).ok(),
                };
                (*covers, outcome)
            }
            Note::BeatFailed { seq, covers, retry_at, .. } => {
                let calendar = Calendar::new(self.now, &self.wall);
                let retry_at = retry_at.map(|at| calendar.date(at));
                (*covers, Outcome::Failed { seq: *seq, error: &self.journal.error, retry_at })
            }
            Note::UplinkChanged { .. }
            | Note::UplinkRenamed { .. }
            | Note::NetworkChanged(_)
            | Note::GatewayBack(_)
            | Note::PathFailed { .. }
            | Note::LinksLeftOut
            | Note::ServiceLost(_)
            | Note::ServiceRecovered(_)
            | Note::ConnectivityLost
            | Note::ConnectivityRestored
            | Note::TriggerSet
            | Note::TriggerMerged => return,
        };
        self.status.settle(covers, &outcome, self.now);
        if let Some(helpers) = &mut self.helpers {
            helpers.settle(covers, &outcome);
        }
    }
}

/// Tells the date of an instant to come or gone.
#[derive(Clone, Copy)]
pub(super) struct Calendar {
    now: Instant,
    unix_s: u64,
}

impl Calendar {
    pub(super) fn new(now: Instant, wall: &Wall) -> Self {
        Self { now, unix_s: wall.best(now) }
    }

    /// The date of `at`, to the nearest second.
    pub(super) fn date(self, at: Instant) -> Utc {
        let seconds = |wait: Duration| (wait + Duration::from_millis(500)).as_secs();
        let (ahead, ago) = (seconds(at - self.now), seconds(self.now - at));
        Utc((self.unix_s + ahead).saturating_sub(ago))
    }
}
