//! A small file that is replaced as a whole, in memory if its path is well chosen.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, statfs};

use super::file;

/// `f_type` of file systems that are in memory: tmpfs and ramfs (statfs(2)).
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether the file may be replaced: there is none, or its content is of the caller's.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] for any other file, a link among them, of which only the link
/// would be replaced. What open(2) and read(2) say.
pub fn check(path: &Path, limit: usize, is_ours: fn(&[u8]) -> bool) -> io::Result<()> {
    let read = if path.is_symlink() { Ok(None) } else { file::read(path, limit).map(Some) };
    match read {
        Ok(Some((content, _))) if is_ours(&content) => return Ok(()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => return Ok(()),
            io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {}
            _ => return Err(error),
        },
        Ok(_) => {}
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a file of linkbeat"))
}

/// Replaces the file by one with this content: a reader sees the former or the new one, whole. It
/// may block where the file is not in memory. [`check`] before that it is ours.
///
/// # Errors
///
/// Whatever the system refuses; the former file is still there then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(".new");
    // What is there is left of a crash, or a trap: it is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(open(&beside, flags, Mode::from_raw_mode(0o640))?);
    let written = file.write_all(content).and_then(|()| fs::rename(&beside, path));
    written.inspect_err(|_| {
        // The first error is the one to return.
        fs::remove_file(&beside).ok();
    })
}

/// Whether what is written at `path` stays in memory; `None` if that cannot be found out.
pub fn is_in_memory(path: &Path) -> Option<bool> {
    let kind = statfs(file::directory_of(path)).ok()?.f_type;
    // Its type differs from one architecture to the next; the numbers have 32 bits on all.
    Some(IN_MEMORY.iter().any(|known| i128::from(*known) == i128::from(kind) & 0xFFFF_FFFF))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::scratch::Scratch;
    use crate::sys::file::read;

    #[test]
    fn file_is_replaced_as_a_whole_and_read_back() {
        let directory = Scratch::new();
        let file = directory.0.join("state");
        assert_eq!(read(&file, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        for content in [&b"long ago"[..], b"now", b""] {
            replace(&file, content).unwrap();
            assert_eq!(read(&file, 9).unwrap().0, content);
            assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
        }
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o137, 0, "nobody else reads it");
        replace(&file, b"0123456789").unwrap();
        assert_eq!(read(&file, 10).unwrap().0.len(), 10);
        assert_eq!(read(&file, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn link_laid_beside_the_file_is_not_written_through() {
        let directory = Scratch::new();
        let (file, victim) = (directory.0.join("state"), directory.0.join("victim"));
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, directory.0.join("state.new")).unwrap();
        replace(&file, b"ours").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(fs::read(&file).unwrap(), b"ours");
    }

    #[test]
    fn file_of_another_program_may_not_be_replaced() {
        let directory = Scratch::new();
        let file = directory.0.join("state");
        let check = |path: &Path| {
            check(path, 9, |content| content.starts_with(b"ours")).map_err(|error| error.kind())
        };
        assert_eq!(check(&file), Ok(()));
        for (content, expected) in [
            (&b"ours"[..], Ok(())),
            (b"127.0.0.1", Err(io::ErrorKind::AlreadyExists)),
            (b"ours, too long", Err(io::ErrorKind::AlreadyExists)),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(check(&file), expected);
        }
        assert_eq!(check(&directory.0), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(check(Path::new("/dev/null")), Err(io::ErrorKind::AlreadyExists));
        let link = directory.0.join("link");
        for target in ["state", "nowhere"] {
            symlink(directory.0.join(target), &link).unwrap();
            assert_eq!(check(&link), Err(io::ErrorKind::AlreadyExists));
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn nowhere_to_write_is_an_error_and_leaves_nothing() {
        let directory = Scratch::new();
        let missing = directory.0.join("missing/state");
        assert_eq!(replace(&missing, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        // rename(2) does not put a file in place of a directory.
        let taken = directory.0.join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn memory_is_distinguished_from_disk() {
        assert_eq!(is_in_memory(Path::new("/dev/shm/state")), Some(true));
        assert_eq!(is_in_memory(Path::new("/proc/state")), Some(false));
        assert_eq!(is_in_memory(Path::new("/nowhere/at/all")), None);
        assert!(is_in_memory(Path::new("state")).is_some());
    }
}
