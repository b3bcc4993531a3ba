//! What local clients are shown: the status, and the report that a beat would carry.

use std::fmt::Display;
use std::path::Path;

use super::EventLoop;
use crate::config::rp_filter::{Strict, strict_interfaces};
use crate::proto::event::{Reason, Ticket};
use crate::status::{self, Beat, STATUS_MAX, Snapshot, WARNINGS_MAX};
use crate::wire::http_server::Content;
use crate::wire::json;
use crate::wire::report::REPORT_MAX;
use crate::wire::request::TooLarge;

impl EventLoop {
    /// Answers with the state of everything. Reads /proc for strict reverse-path filters: only when asked.
    pub(super) fn reply_status(&mut self, ticket: Ticket) {
        self.wall.look(self.now);
        let view = self.agent.view(self.now);
        let mut strict = strict_interfaces(Path::new("/"), &self.setup.config.settings);
        // Of no other interface is an answer waited for.
        strict.retain(|name| view.uplinks.iter().any(|uplink| uplink.name == *name));
        let strict: Vec<_> = strict.into_iter().map(Strict).collect();
        let trouble = self.status.trouble();
        let trouble = trouble.iter().map(|trouble| trouble as &dyn Display);
        let helpers = self.helpers_complaint.iter().map(|complaint| complaint as &dyn Display);
        let strict = strict.iter().map(|strict| strict as &dyn Display);
        let warnings: Vec<_> = trouble.chain(helpers).chain(strict).take(WARNINGS_MAX).collect();
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
            acknowledged: journal.acknowledged,
            turned_at: journal.turned_at,
            error: &journal.error,
            answer: json::parse(&journal.answer).ok(),
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

    fn reply(&mut self, ticket: Ticket, emitted: Result<usize, TooLarge>, buffer: &[u8]) {
        let (code, body) = match emitted {
            Ok(length) => (200, buffer.get(..length).unwrap_or_default()),
            Err(TooLarge) => {
                (503, br#"{"success":false,"error":"too much to be shown"}"#.as_slice())
            }
        };
        self.status.reply(ticket, code, &Content::JSON, body, self.now);
        if let Some(helpers) = &mut self.helpers {
            helpers.reply(ticket, body);
        }
    }
}
