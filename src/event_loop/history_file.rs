//! The history over a restart of the agent: restored at start, written now and then, and at the
//! end.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::setup::Setup;
use crate::sys::{atomic_file, file};
use linkbeat_core::proto::history::{Change, History, Id};
use linkbeat_core::proto::outages::Outages;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::state_file::{self, STATE_MAX, Useless};

/// Shortest time between two writes.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Longest delay of a write while nothing else wakes the loop.
const WRITE_WITHIN: Duration = Duration::from_secs(120);

/// State of the file.
#[derive(Debug, Default)]
pub(super) struct HistoryFile {
    /// The path of the last write.
    path: Option<PathBuf>,
    /// When it was last written.
    written_at: Option<Instant>,
    /// Id of the last entry written.
    written: Id,
    /// Whether the last write failed: logged once.
    failed: bool,
}

impl HistoryFile {
    /// When new entries are due: `after` the last write. `None` if there are no new ones.
    fn due(&self, last_id: Id, after: Duration) -> Option<Instant> {
        let written_at = self.written_at.unwrap_or_default();
        (last_id != self.written).then(|| written_at + after)
    }

    /// Takes back what an earlier run of the agent has left, and begins this one. Returns its
    /// outages.
    pub(super) fn restore(setup: &Setup, history: &mut History, now: Instant) -> Option<Outages> {
        let outages = setup.config.state_file.as_ref().and_then(|path| {
            let lost = |why: &dyn Display| {
                log::warn!("the history in {} is lost: {why}", path.display());
            };
            let (content, metadata) = file::read(path, STATE_MAX)
                .inspect_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => {}
                    _ => lost(error),
                })
                .ok()?;
            let restored = if file::is_trusted(&metadata) {
                state_file::restore(&content, &setup.identity.boot_id, now, history)
            } else {
                Err(Useless::OtherUser)
            };
            let outages = restored.inspect_err(|useless| lost(useless)).ok()?;
            log::info!("the history goes on from {}", path.display());
            Some(outages)
        });
        history.turn(Change::Started, now);
        outages
    }

    /// Writes the history if there is something new and the last time is long enough ago.
    pub(super) fn keep(
        &mut self,
        setup: &Setup,
        history: &mut History,
        outages: &Outages,
        now: Instant,
    ) {
        let due = self.due(history.last_id(), WRITE_EVERY);
        if due.is_some_and(|at| at <= now || self.written_at.is_none()) {
            self.write(setup, history, outages, now);
        }
    }

    /// When the history is to be written at the latest.
    pub(super) fn next_deadline(&self, setup: &Setup, history: &History) -> Option<Instant> {
        setup.config.state_file.as_ref()?;
        self.due(history.last_id(), WRITE_WITHIN)
    }

    /// Writes the history, if there is a file for it.
    pub(super) fn write(
        &mut self,
        setup: &Setup,
        history: &mut History,
        outages: &Outages,
        now: Instant,
    ) {
        let Some(path) = &setup.config.state_file else { return };
        if self.path.as_ref() != Some(path) {
            if atomic_file::is_in_memory(path) == Some(false) {
                log::warn!(
                    "state_file {} is on a disk, which is written to every minute and may hold up the \
                     agent: name one on a tmpfs, which /run is on most systems",
                    path.display()
                );
            }
            *self = Self { path: Some(path.clone()), ..Self::default() };
        }
        history.advance(now);
        let mut buffer = vec![0; STATE_MAX];
        let boot_id = &setup.identity.boot_id;
        let length = state_file::emit(history, outages, boot_id, now, &mut buffer)
            .expect("STATE_MAX has room for every history");
        let written = atomic_file::check(path, STATE_MAX, state_file::is_ours)
            .and_then(|()| atomic_file::replace(path, buffer.get(..length).unwrap_or_default()));
        // A failure counts as well: what cannot be written now is tried again in its time.
        self.written_at = Some(now);
        self.written = history.last_id();
        let had_failed = std::mem::replace(&mut self.failed, written.is_err());
        if let (Err(error), false) = (written, had_failed) {
            log::warn!("the history cannot be kept in {}: {error}", path.display());
        }
    }
}
