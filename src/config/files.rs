//! Which files a configuration is made of, and reading one: bounded, never waiting.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use super::problem::Problems;
use crate::wire::json;

/// Largest file that is read, in bytes.
pub const FILE_SIZE_MAX: usize = json::SIZE_MAX;

const MEETING: &str = "meeting.json";
const ENV: &str = "config.env";
const OWN: &str = "linkbeat.json";

/// The files of one configuration, all in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The reference's own file, which its web manager rewrites.
    pub meeting: PathBuf,
    /// Read instead of [`meeting`](Self::meeting) where that does not exist.
    pub env: PathBuf,
    /// Read last: wins.
    pub own: PathBuf,
}

impl Files {
    /// The files that belong to `path`: a directory, the file in the place of `meeting.json`, or one of
    /// those that are read beside it.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let beside = |name| path.file_name().is_some_and(|own| own == name);
        let meeting = if path.is_dir() {
            path.join(MEETING)
        } else if beside(ENV) || beside(OWN) {
            path.with_file_name(MEETING)
        } else {
            path.to_path_buf()
        };
        let (env, own) = (meeting.with_file_name(ENV), meeting.with_file_name(OWN));
        Self { meeting, env, own }
    }

    /// Whether a configuration that was `found` is the one that somebody means who names `path`.
    pub(super) fn is_meant(&self, path: &Path, found: &[PathBuf]) -> bool {
        let named = |path: &Path| found.iter().any(|found| found == path);
        let usual = self.meeting.file_name().is_some_and(|name| name == MEETING);
        path.is_dir() || named(path) || (path == self.meeting && usual && named(&self.env))
    }
}

/// Reads `path`; `None` if it does not exist, or cannot be read, which is a problem told.
pub(super) fn read(
    path: &Path,
    problems: &mut Problems,
    found: &mut Vec<PathBuf>,
) -> Option<(Vec<u8>, Metadata)> {
    match open_and_read(path) {
        Ok(content) => {
            found.push(path.to_path_buf());
            Some(content)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            found.push(path.to_path_buf());
            problems.error(path, None, explain(path, &error));
            None
        }
    }
}

fn open_and_read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    // A FIFO without a writer would hold up an open(2) that may block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    let limit = u64::try_from(FILE_SIZE_MAX + 1).unwrap_or(u64::MAX);
    file.by_ref().take(limit).read_to_end(&mut text)?;
    if text.len() > FILE_SIZE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok((text, metadata))
}

/// What to do about a file that cannot be read.
fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => match path.parent() {
            // stat(2) needs no permission on the file, only on the way to it.
            Some(directory) if path.metadata().is_err() => format!(
                "linkbeat may not enter the directory: chgrp linkbeat {0} && chmod 2750 {0}",
                directory.display()
            ),
            _ => format!("linkbeat may not read the file: {}", mend_file(path)),
        },
        io::ErrorKind::InvalidInput => String::from("not a regular file"),
        io::ErrorKind::FileTooLarge => format!("larger than {FILE_SIZE_MAX} bytes"),
        _ => format!("cannot be read: {error}"),
    }
}

/// The command that gives a file the owner and mode it should have.
pub(super) fn mend_file(path: &Path) -> String {
    format!("chgrp linkbeat {0} && chmod 0640 {0}", path.display())
}

/// Whether every user can read the file.
pub(super) fn is_public(metadata: &Metadata) -> bool {
    metadata.mode() & 0o004 != 0
}
