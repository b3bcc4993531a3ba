//! The answers for local clients: the status, and the report that a beat would carry.

use std::fmt::Display;
use std::path::Path;

use super::EventLoop;
use super::sessions::WAITS_FOR_RANDOM;
use crate::config::rp_filter::{Strict, strict_interfaces};
use crate::status::history::HistoryAnswer;
use crate::status::network::{BINDING_FORBIDDEN, FailedPath, LinksLeftOut, NoWay};
use crate::status::{self, AgentState, STATUS_MAX, Snapshot, WARNINGS_MAX};
use crate::sys::bind;
use linkbeat_core::proto::agent::{Obstacle, Path as RacePath};
use linkbeat_core::proto::event::{Reason, RequestId};
use linkbeat_core::proto::history::Id;
use linkbeat_core::wire::buffer::TooLarge;
use linkbeat_core::wire::http_server::Content;
use linkbeat_core::wire::json;
use linkbeat_core::wire::metrics::{self, Metrics};
use linkbeat_core::wire::report::REPORT_MAX;

impl EventLoop {
    /// Answers with the state of everything. Reads /proc for strict reverse-path filters, and the
    /// files of a web manager: only when asked.
    pub(super) fn reply_status(&mut self, id: RequestId) {
        self.wall.update(self.now);
        let boot_date = self.wall.best_boot_date(self.now);
        let view = self.agent.view(self.now);
        let no_way = view.obstacle.clone().map(|obstacle| NoWay {
            addressed: matches!(obstacle, Obstacle::NoRoute(index, ..) if self.route_asker.has_address(index)),
            obstacle,
        });
        let mut strict = strict_interfaces(Path::new("/"), &self.setup.config.settings);
        // Of no other interface is an answer waited for.
        strict.retain(|name| view.uplinks.iter().any(|uplink| uplink.name == *name));
        let strict: Vec<_> = strict.into_iter().map(Strict).collect();
        let second = self.setup.second_sender();
        let instead = self.reporter.delivered.as_ref().and_then(|delivered| delivered.via);
        let failed = |&(via, family): &RacePath| FailedPath { via, family, instead };
        let forbidden = self.setup.config.settings.bind_to_uplink && bind::is_forbidden();
        let counts = |path: &&RacePath| path.0.is_none() || !forbidden;
        let failed: Vec<_> = view.failed_paths.iter().filter(counts).map(failed).collect();
        let mut warnings: Vec<&dyn Display> = Vec::new();
        if view.links_left_out {
            warnings.push(&LinksLeftOut);
        }
        if self.sessions.wait_for_random() {
            warnings.push(&WAITS_FOR_RANDOM);
        }
        if let Some(second) = &second {
            warnings.push(second);
        }
        if forbidden {
            warnings.push(&BINDING_FORBIDDEN);
        }
        failed.iter().for_each(|path| warnings.push(path));
        warnings.extend(self.local.errors().map(|error| error as &dyn Display));
        strict.iter().for_each(|strict| warnings.push(strict));
        let obstacle = self.sandbox.as_ref().and_then(|it| it.obstacle.as_ref());
        warnings.extend(obstacle.map(|obstacle| obstacle as &dyn Display));
        warnings.truncate(WARNINGS_MAX);
        let reporter = &self.reporter;
        let snapshot = Snapshot {
            now: self.now,
            boot_date,
            clock_unset: self.wall.unset(self.now),
            started_at: self.started_at,
            config: &self.setup.config,
            configured_at: self.configured_at.unwrap_or(self.started_at),
            config_file: &self.setup.path,
            config_error: self.setup.complaint.as_deref(),
            listens_on: self.local.http_address(),
            view,
            beat: reporter.delivered.as_ref(),
            acknowledged: reporter.history.counters.beats(),
            turned_at: reporter.turned_at,
            error: &reporter.error,
            answer: json::parse(&reporter.answer).ok(),
            no_way: no_way.as_ref(),
            warnings: &warnings,
            sandbox: self.sandbox.as_ref(),
        };
        let mut buffer = vec![0; STATUS_MAX];
        let emitted = snapshot.emit(&mut buffer);
        self.reply_json(id, emitted, &buffer);
    }

    /// Answers with the report that would be sent now.
    pub(super) fn reply_preview(&mut self, id: RequestId) {
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
        self.reply_json(id, emitted, &buffer);
    }

    /// Answers with what came to pass and has a number above `after`.
    pub(super) fn reply_history(&mut self, id: RequestId, after: Id) {
        self.reporter.history.advance(self.now);
        self.wall.update(self.now);
        let boot_date = self.wall.boot_date();
        let view = self.agent.view(self.now);
        let history = HistoryAnswer {
            history: &self.reporter.history,
            now: self.now,
            boot_date,
            started_at: self.started_at,
            probes: view.probes_sent,
            outages: view.outages.counts().iter().sum(),
            connects: view.connects,
            after,
        };
        let json = history.emit();
        self.local.reply(id, 200, &Content::JSON, &json, self.now);
    }

    /// Answers with the metrics.
    pub(super) fn reply_metrics(&mut self, id: RequestId) {
        self.reporter.history.advance(self.now);
        self.wall.update(self.now);
        let boot_date = self.wall.boot_date();
        let (config, view) = (&self.setup.config, self.agent.view(self.now));
        let delivered = self.reporter.delivered.as_ref();
        let state = AgentState::of(config, &view, delivered.is_some());
        let metrics = Metrics {
            version: env!("CARGO_PKG_VERSION"),
            now: self.now,
            boot_date,
            started_at: self.started_at,
            state: state.as_str(),
            online: state == AgentState::Online,
            enabled: config.settings.enabled,
            acknowledged_at: delivered.map(|delivered| delivered.stamps.replied_at),
            view,
            history: &self.reporter.history,
        };
        let text = metrics.to_string();
        let content = Content { media_type: metrics::MEDIA_TYPE, ..Content::JSON };
        self.local.reply(id, 200, &content, text.as_bytes(), self.now);
    }

    fn reply_json(&mut self, id: RequestId, emitted: Result<usize, TooLarge>, buffer: &[u8]) {
        let (code, body) = match emitted {
            Ok(length) => (200, buffer.get(..length).unwrap_or_default()),
            Err(TooLarge) => {
                (503, br#"{"success":false,"error":"too much to be shown"}"#.as_slice())
            }
        };
        self.local.reply(id, code, &Content::JSON, body, self.now);
    }
}
