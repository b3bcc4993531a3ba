//! Reading a file: opened without waiting, checked to be a regular one, and bounded.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open as open_at};
use rustix::process::geteuid;

/// Opens a regular file for reading, close-on-exec.
///
/// # Errors
///
/// What open(2) says, and [`io::ErrorKind::InvalidInput`] for a directory, a device or a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, open(2) of a FIFO waits for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(open_at(path, flags, Mode::empty())?);
    // Checked on what was opened: the path may lead elsewhere by now.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// As [`open`], what read(2) says, and [`io::ErrorKind::FileTooLarge`] for a larger file.
pub fn read(path: &Path, limit: usize) -> io::Result<(Vec<u8>, Metadata)> {
    let file = open(path)?;
    let mut content = Vec::new();
    // One byte more than allowed distinguishes a file that is too large from one that just fits.
    if read_on(&file, limit + 1, &mut content)? > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok((content, file.metadata()?))
}

/// Reads at most `most` bytes from the file's current position, appends them to `bytes` and returns
/// their number.
///
/// # Errors
///
/// What read(2) says; `bytes` has what was read before.
pub fn read_on(file: &File, most: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(bytes)
}

/// The directory that `path` is in; of the root, itself.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Whether a file is this user's or root's: what others leave in its place counts for nothing.
pub fn is_trusted(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_a_regular_file_is_opened_and_a_fifo_blocks_nothing() {
        let directory = Scratch::new();
        let fifo = directory.0.join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [&fifo, &directory.0, Path::new("/dev/null")] {
            for refused in [open(path).err(), read(path, 9).err()] {
                let kind = refused.map(|error| error.kind());
                assert_eq!(kind, Some(io::ErrorKind::InvalidInput), "{path:?}");
            }
        }
    }
}
