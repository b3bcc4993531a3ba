//! Requests of local clients, brought to the core, and the answers back.

use mio::Token;

use super::EventLoop;
use crate::net::local::{Ask, Request};
use linkbeat_core::proto::event::{Failure, Input, Note};
use linkbeat_core::wire::json;
use linkbeat_core::wire::outcome::{Exchange, Outcome};

impl EventLoop {
    pub(super) fn on_local_ready(&mut self, token: usize) {
        let Some(Request { id, ask }) = self.local.on_ready(Token(token), self.now) else { return };
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
                let retry_at = retry_at.map(|at| self.wall.date(at, self.now));
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
