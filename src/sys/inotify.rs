//! inotify(7): reports when something in a directory was written, replaced or given to others, and
//! when a file was written.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Bytes read at once: some fifteen events with the longest names, hundreds with common ones.
const BUFFER_SIZE: usize = 4096;
/// Most reads of one [`Inotify::drain`].
pub const READS_MAX: usize = 16;

/// Watched directories. The descriptor becomes readable when something happened in one of them.
#[derive(Debug)]
pub struct Inotify(OwnedFd);

/// A watched directory or file, by the kernel's number.
///
/// Paths that lead to the same one give the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory(i32);

/// A change that inotify(7) reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The file of this name was closed after writing, or something was renamed to this name.
    Written(Directory, &'a [u8]),
    /// Something of this name was created; a regular file is still to be written.
    Created(Directory, &'a [u8]),
    /// Owner, mode or times of the file of this name changed; without a name, of the directory.
    Attributes(Directory, &'a [u8]),
    /// The directory was removed, moved or unmounted.
    Gone(Directory),
    /// The kernel's queue was full: anything may have happened anywhere.
    Overflow,
}

impl Inotify {
    /// Opens a descriptor that watches nothing yet: non-blocking, close-on-exec.
    ///
    /// # Errors
    ///
    /// No descriptor is left, or the user has `fs.inotify.max_user_instances` of them.
    pub fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?))
    }

    /// Watches a directory; again does no harm.
    ///
    /// # Errors
    ///
    /// It does not exist, is no directory, may not be read, or one too many is watched.
    pub fn watch(&self, directory: &Path) -> io::Result<Directory> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        Ok(Directory(inotify::add_watch(&self.0, directory, flags)?))
    }

    /// Watches a file itself, whatever leads to it; its events have no name.
    ///
    /// # Errors
    ///
    /// It does not exist, may not be read, or one too many is watched.
    pub fn watch_file(&self, file: &Path) -> io::Result<Directory> {
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF;
        Ok(Directory(inotify::add_watch(&self.0, file, flags)?))
    }

    /// Watches a directory no longer.
    pub fn forget(&self, directory: Directory) {
        // EINVAL: the kernel was faster, because the directory is gone.
        inotify::remove_watch(&self.0, directory.0).ok();
    }

    /// Reads what happened, until nothing is left or [`READS_MAX`] is reached, and says whether
    /// something may be left.
    pub fn drain(&self, mut on_event: impl FnMut(Event<'_>)) -> bool {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_SIZE];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut reads = 0;
        loop {
            if reader.is_buffer_empty() {
                if reads == READS_MAX {
                    return true;
                }
                reads += 1;
            }
            match reader.next() {
                Ok(event) => {
                    let directory = Directory(event.wd());
                    let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                    if let Some(event) = classify(event.events(), directory, name) {
                        on_event(event);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    // read(2) names no other error here; what it means can only be a loss.
                    on_event(Event::Overflow);
                    return false;
                }
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn classify(flags: ReadFlags, directory: Directory, name: &[u8]) -> Option<Event<'_>> {
    let gone =
        ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        Some(Event::Overflow)
    } else if flags.intersects(gone) {
        Some(Event::Gone(directory))
    } else if flags.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
        Some(Event::Written(directory, name))
    } else if flags.contains(ReadFlags::CREATE) {
        Some(Event::Created(directory, name))
    } else if flags.contains(ReadFlags::ATTRIB) {
        Some(Event::Attributes(directory, name))
    } else {
        None
    }
}
