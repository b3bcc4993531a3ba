//! The files of a configuration, and reading one of them.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::problem::Problems;
use crate::sys::file;
use linkbeat_core::wire::json;

/// Largest file that is read, in bytes.
pub const FILE_SIZE_MAX: usize = json::SIZE_MAX;

/// The path of the configuration unless another one is given.
pub const DEFAULT_FILE: &str = "/etc/rpi-cam/meeting.json";
/// The file of our own that belongs to it, out of reach of the web manager.
const DEFAULT_OWN: &str = "/etc/linkbeat/linkbeat.json";

const MEETING: &str = "meeting.json";
const ENV: &str = "config.env";
const OWN: &str = "linkbeat.json";

/// The files of one configuration, all in one directory but for the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The file of the service that linkbeat replaces; its web manager rewrites it.
    pub meeting: PathBuf,
    /// Read instead of [`meeting`](Self::meeting) if that does not exist.
    pub env: PathBuf,
    /// Read last; overrides the others.
    pub own: PathBuf,
    /// Read instead of [`own`](Self::own) if that does not exist: where earlier versions had it.
    pub former_own: Option<PathBuf>,
}

impl ConfigFiles {
    /// The files that belong to `path`: a directory, the file in place of `meeting.json`, or one of
    /// the files beside it. One of the usual ones, or its directory, names all of them.
    pub fn of(path: &Path) -> Self {
        let default_own = Path::new(DEFAULT_OWN);
        let path = if path == default_own || Some(path) == default_own.parent() {
            Path::new(DEFAULT_FILE)
        } else {
            path
        };
        let beside = |name| path.file_name().is_some_and(|own| own == name);
        let meeting = if path.is_dir() {
            path.join(MEETING)
        } else if beside(ENV) || beside(OWN) {
            path.with_file_name(MEETING)
        } else {
            path.to_path_buf()
        };
        let (env, own) = (meeting.with_file_name(ENV), meeting.with_file_name(OWN));
        if meeting == Path::new(DEFAULT_FILE) {
            return Self { meeting, env, own: default_own.to_path_buf(), former_own: Some(own) };
        }
        Self { meeting, env, own, former_own: None }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let former = self.former_own.iter();
        [&self.meeting, &self.env, &self.own].into_iter().chain(former).map(PathBuf::as_path)
    }

    /// The file of our own that counts, with a warning if there is one where earlier versions had it.
    pub(super) fn own_to_read(&self, problems: &mut Problems) -> &Path {
        let Some(former) = self.former_own.as_deref().filter(|former| former.exists()) else {
            return &self.own;
        };
        let (shown, own) = (former.display(), self.own.display());
        // A file that cannot even be looked at is there, and reading it says why.
        if matches!(self.own.try_exists(), Ok(false)) {
            let directory = self.own.parent().unwrap_or(&self.own).display();
            let message = format!(
                "move it, its directory is the web manager's: mkdir -p {directory} && mv {shown} \
                 {directory}"
            );
            problems.warning(former, None, message);
            former
        } else {
            let message = format!("is not read beside {own}: move its keys there and rm {shown}");
            problems.warning(former, None, message);
            &self.own
        }
    }

    /// Whether the files `found` are the configuration that `path` names.
    pub(crate) fn is_meant(&self, path: &Path, found: &[PathBuf]) -> bool {
        let named = |path: &Path| found.iter().any(|found| found == path);
        let usual = self.meeting.file_name().is_some_and(|name| name == MEETING);
        path.is_dir()
            || named(path)
            || (path == self.meeting && usual && named(&self.env))
            // It is there, and there is a warning that it does not count.
            || (self.former_own.as_deref() == Some(path) && named(&self.own))
    }
}

/// Reads `path`; `None` if it does not exist, or if it cannot be read, which is reported.
pub(super) fn read(
    path: &Path,
    problems: &mut Problems,
    found: &mut Vec<PathBuf>,
) -> Option<(Vec<u8>, Metadata)> {
    match file::read(path, FILE_SIZE_MAX) {
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

/// The message for a file that cannot be read, with what to do about it.
fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => match path.parent() {
            // stat(2) needs no permission on the file, only on its directories.
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
