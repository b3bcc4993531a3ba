//! The history over a restart of the agent: taken back at start, written now and then, and at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::EventLoop;
use crate::proto::history::{Change, Id};
use crate::proto::time::Instant;
use crate::sys::kept_file;
use crate::wire::state_file::{self, STATE_MAX};

/// Least time between two writes.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Most time that something new waits to be written when nothing else wakes the loop up.
const WRITE_WITHIN: Duration = Duration::from_secs(120);

/// What is in the file.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Where it was last written to.
    path: Option<PathBuf>,
    written_at: Option<Instant>,
    /// The last entry that was written.
    written: Id,
    /// Whether the last write failed: told once.
    failed: bool,
}

impl Past {
    /// Something new is there and may be written at this time.
    fn due(&self, last_id: Id, after: Duration) -> Option<Instant> {
        let written_at = self.written_at.unwrap_or_default();
        (last_id != self.written).then(|| written_at + after)
    }
}

impl EventLoop {
    /// Takes back what an earlier run of the agent has left, and begins this one.
    pub(super) fn begin_history(&mut self) {
        if let Some(path) = &self.setup.config.state_file {
            let history = &mut self.journal.history;
            let boot_id = &self.setup.identity.boot_id;
            match kept_file::read(path, STATE_MAX) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => log::warn!("the history in {} is lost: {error}", path.display()),
                Ok(file) => match state_file::restore(&file, boot_id, self.now, history) {
                    Ok(()) => log::info!("the history goes on from {}", path.display()),
                    Err(useless) => {
                        log::warn!("the history in {} is lost: {useless}", path.display());
                    }
                },
            }
        }
        self.journal.history.turn(Change::Started, self.now);
    }

    /// Writes the history if there is something new and the last time is long enough ago.
    pub(super) fn keep_history(&mut self) {
        let due = self.past.due(self.journal.history.last_id(), WRITE_EVERY);
        if due.is_some_and(|at| at <= self.now || self.past.written_at.is_none()) {
            self.write_history();
        }
    }

    /// When the history is to be written at the latest.
    pub(super) fn history_deadline(&self) -> Option<Instant> {
        self.setup.config.state_file.as_ref()?;
        self.past.due(self.journal.history.last_id(), WRITE_WITHIN)
    }

    /// Writes the history, if there is a file for it.
    pub(super) fn write_history(&mut self) {
        let Some(path) = &self.setup.config.state_file else { return };
        if self.past.path.as_ref() != Some(path) {
            if kept_file::is_in_memory(path) == Some(false) {
                log::warn!(
                    "state_file {} is on a disk, which is written to every minute and may hold up the \
                     agent: name one on a tmpfs, such as /run/linkbeat/state",
                    path.display()
                );
            }
            self.past = Past { path: Some(path.clone()), ..Past::default() };
        }
        let history = &mut self.journal.history;
        history.advance(self.now);
        let mut buffer = vec![0; STATE_MAX];
        let length = state_file::emit(history, &self.setup.identity.boot_id, self.now, &mut buffer)
            .expect("STATE_MAX has room for every history");
        let written = kept_file::replace(path, buffer.get(..length).unwrap_or_default());
        // A failure counts as well: what cannot be written now is tried again in its time.
        self.past.written_at = Some(self.now);
        self.past.written = history.last_id();
        tell(path, written, &mut self.past.failed);
    }
}

/// Tells of a failure once, until it works again.
fn tell(path: &Path, written: io::Result<()>, failed: &mut bool) {
    match written {
        Ok(()) => *failed = false,
        Err(error) => {
            if !std::mem::replace(failed, true) {
                log::warn!("the history cannot be kept in {}: {error}", path.display());
            }
        }
    }
}
