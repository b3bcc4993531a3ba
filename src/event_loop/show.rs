//! What local clients are shown: the status, and the report that a beat would carry.

use std::fmt::Display;
use std::path::Path;

use super::EventLoop;
use crate::config::rp_filter::{Strict, strict_interfaces};
use crate::proto::agent::Obstacle;
use crate::proto::event::{Reason, Ticket};
use crate::proto::history::Id;
use crate::proto::race::Path as RacePath;
use crate::status::history::Past;
use crate::status::network::{FailedPath, LinksLeftOut, NoWay};
use crate::status::{self, Beat, STATUS_MAX, Snapshot, State, WARNINGS_MAX};
use crate::wire::date::Utc;
use crate::wire::http_server::Content;
use crate::wire::json;
use crate::wire::metrics::{self, Metrics};
use crate::wire::report::REPORT_MAX;
use crate::wire::request::TooLarge;

impl EventLoop {
    /// Answers with the state of everything. Reads /proc for strict reverse-path filters: only when asked.
    pub(super) fn reply_status(&mut self, ticket: Ticket) {
        self.wall.look(self.now);
        let view = self.agent.view(self.now);
        let no_way = view.obstacle.clone().map(|obstacle| NoWay {
            addressed: matches!(obstacle, Obstacle::NoRoute(index, ..) if self.routing.has_address(index)),
            obstacle,
        });
        let mut strict = strict_interfaces(Path::new("/"), &self.setup.config.settings);
        // Of no other interface is an answer waited for.
        strict.retain(|name| view.uplinks.iter().any(|uplink| uplink.name == *name));
        let strict: Vec<_> = strict.into_iter().map(Strict).collect();
        let trouble = self.status.trouble();
        let trouble = trouble.iter().map(|trouble| *trouble as &dyn Display);
        let helpers = self.helpers_complaint.iter().map(|complaint| complaint as &dyn Display);
        let strict = strict.iter().map(|strict| strict as &dyn Display);
        let instead = self.journal.delivered.as_ref().and_then(|delivered| delivered.via);
        let failed = |&(via, family): &RacePath| FailedPath { via, family, instead };
        let failed: Vec<_> = view.failed_paths.iter().map(failed).collect();
        let failed = failed.iter().map(|path| path as &dyn Display);
        let left_out = view.links_left_out.then_some(&LinksLeftOut as &dyn Display);
        let warnings =
            left_out.into_iter().chain(failed).chain(trouble).chain(helpers).chain(strict);
        let warnings: Vec<_> = warnings.take(WARNINGS_MAX).collect();
        let journal = &self.journal;
        let snapshot = Snapshot {
            now: self.now,
            unix_s: self.wall.best(self.now),
            clock_unset: self.wall.unset(self.now),
            started_at: self.started_at,
            config: &self.setup.config,
            configured_at: self.configured_at.unwrap_or(self.started_at),
            config_file: self.setup.path(),
            config_error: self.setup.complaint.as_deref(),
            view,
            beat: journal.delivered.as_ref().map(|delivered| Beat {
                seq: delivered.seq,
                reason: &delivered.reason,
                via: delivered.via,
                status: delivered.status,
                stamps: delivered.stamps,
            }),
            outage: journal.history.last_outage(),
            acknowledged: journal.acknowledged,
            turned_at: journal.turned_at,
            error: &journal.error,
            answer: json::parse(&journal.answer).ok(),
            no_way: no_way.as_ref(),
            warnings: &warnings,
        };
        let mut buffer = vec![0; STATUS_MAX];
        let emitted = snapshot.emit(&mut buffer);
        self.reply(ticket, emitted, &buffer);
    }

    /// Answers with the report that would be sent now.
    pub(super) fn reply_preview(&mut self, ticket: Ticket) {
        let view = self.agent.view(self.now);
        let (seq, reason) = (view.seq, view.pending.unwrap_or(Reason::Interval));
        let mut payload = [0; REPORT_MAX];
        let mut buffer = vec![0; STATUS_MAX];
        let emitted = match self.emit_report(None, seq, &reason, &mut payload) {
            Some(length) => {
                let payload = payload.get(..length).unwrap_or_default();
                status::emit_preview(&self.setup.config, payload, &mut buffer)
            }
            None => Err(TooLarge),
        };
        self.reply(ticket, emitted, &buffer);
    }

    /// Answers with what came to pass and has a number above `after`.
    pub(super) fn reply_history(&mut self, ticket: Ticket, after: Id) {
        self.journal.history.advance(self.now);
        let unix_s = self.wall.timestamp(self.now).map(|Utc(unix_s)| unix_s);
        let view = self.agent.view(self.now);
        let past = Past {
            history: &self.journal.history,
            now: self.now,
            unix_s,
            started_at: self.started_at,
            probes: view.probes_sent,
            connects: view.connects,
            after,
        };
        let json = past.emit();
        self.tell(ticket, 200, &Content::JSON, json.as_bytes());
    }

    /// Answers with the metrics.
    pub(super) fn reply_metrics(&mut self, ticket: Ticket) {
        self.journal.history.advance(self.now);
        let unix_s = self.wall.timestamp(self.now).map(|Utc(unix_s)| unix_s);
        let (config, view) = (&self.setup.config, self.agent.view(self.now));
        let delivered = self.journal.delivered.as_ref();
        let state = State::of(config, &view, delivered.is_some());
        let metrics = Metrics {
            version: env!("CARGO_PKG_VERSION"),
            now: self.now,
            unix_s,
            started_at: self.started_at,
            state: state.word(),
            online: state == State::Online,
            enabled: config.settings.enabled,
            interval: config.settings.interval,
            uplink: view.uplinks.first().map(|uplink| uplink.name),
            uplinks: view.uplinks.len(),
            failures: view.rounds_failed,
            acknowledged_at: delivered.map(|delivered| delivered.stamps.replied_at),
            services: view.services,
            probes: view.probes_sent,
            connects: view.connects,
            history: &self.journal.history,
        };
        let text = metrics.to_string();
        let content = Content { media_type: metrics::MEDIA_TYPE, ..Content::JSON };
        self.tell(ticket, 200, &content, text.as_bytes());
    }

    fn reply(&mut self, ticket: Ticket, emitted: Result<usize, TooLarge>, buffer: &[u8]) {
        let (code, body) = match emitted {
            Ok(length) => (200, buffer.get(..length).unwrap_or_default()),
            Err(TooLarge) => {
                (503, br#"{"success":false,"error":"too much to be shown"}"#.as_slice())
            }
        };
        self.tell(ticket, code, &Content::JSON, body);
    }

    fn tell(&mut self, ticket: Ticket, code: u16, content: &Content, body: &[u8]) {
        self.status.reply(ticket, code, content, body, self.now);
        if let Some(helpers) = &mut self.helpers {
            helpers.reply(ticket, body);
        }
    }
}
