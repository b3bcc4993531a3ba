//! Requests of local clients, brought to the core, and the answers back.

use std::time::Duration;

use mio::Token;

use super::EventLoop;
use super::wall::Wall;
use crate::net::local::{Ask, Request};
use linkbeat_core::proto::event::{Failure, Input, Note, RequestId, TriggerAnswer};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::json;
use linkbeat_core::wire::outcome::{Exchange, Outcome};

impl EventLoop {
    pub(super) fn on_local_ready(&mut self, token: usize) {
        if let Some(request) = self.local.on_ready(Token(token), self.now) {
            self.serve(request);
        }
    }

    fn serve(&mut self, Request { id, ask }: Request) {
        match (ask, id) {
            (Ask::Trigger(word), request) => self.feed(Input::Triggered { word, request }),
            // Without a client there is no answer.
            (_, None) => {}
            (Ask::Status, Some(id)) => self.reply_status(id),
            (Ask::Preview, Some(id)) => self.reply_preview(id),
            (Ask::History { after }, Some(id)) => self.reply_history(id, after),
            (Ask::Metrics, Some(id)) => self.reply_metrics(id),
        }
    }

    /// Brings the core's answer to a trigger to its client.
    pub(super) fn answer(&mut self, id: RequestId, answer: TriggerAnswer) {
        let calendar = Calendar::new(self.now, &self.wall);
        self.local.on_answer(id, answer, self.now, |at| calendar.date(at));
    }

    /// Answers the clients that wait for a beat, if the note is of its end.
    pub(super) fn finish_waiting(&mut self, note: &Note) {
        let config = &self.setup.config;
        let ends = config.api_url.as_ref().zip(config.device_key.as_deref());
        let exchange = |seq, status| {
            let (url, device_key) = ends?;
            Some(Exchange { report: self.reporter.report(seq), url, device_key, status })
        };
        let (covers, outcome) = match note {
            Note::BeatAcknowledged { beat, covers, .. } => {
                let outcome = Outcome::Acknowledged {
                    seq: beat.seq,
                    status: beat.status,
                    took: beat.stamps.replied_at - beat.stamps.event_at,
                    via: beat.via,
                    answer: json::parse(&self.reporter.answer).ok(),
                    exchange: exchange(beat.seq, Some(beat.status)),
                };
                (*covers, outcome)
            }
            Note::BeatFailed { seq, covers, retry_at, failure, .. } => {
                let calendar = Calendar::new(self.now, &self.wall);
                let retry_at = retry_at.map(|at| calendar.date(at));
                let status = match failure {
                    Failure::Status(status) | Failure::Portal(status) => Some(*status),
                    _ => None,
                };
                let (error, exchange) = (&self.reporter.error, exchange(*seq, status));
                (*covers, Outcome::Failed { seq: *seq, error, retry_at, exchange })
            }
            Note::UplinkChanged { .. }
            | Note::UplinkRenamed { .. }
            | Note::NetworkChanged(_)
            | Note::GatewayBack(_)
            | Note::PathFailed { .. }
            | Note::StandbyChanged { .. }
            | Note::LinksLeftOut
            | Note::ServiceLost(_)
            | Note::ServiceRecovered(_)
            | Note::ConnectivityLost
            | Note::ConnectivityRestored
            | Note::IntervalSet(_)
            | Note::TriggerSet
            | Note::TriggerMerged => return,
        };
        self.local.finish_waiting(covers, &outcome, self.now);
    }
}

/// The dates of instants.
#[derive(Clone, Copy)]
pub(super) struct Calendar {
    /// The instant of `unix_s`.
    now: Instant,
    /// The best guess at the present time, in seconds since 1970 UTC.
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
