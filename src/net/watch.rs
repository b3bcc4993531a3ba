//! Notices when a configuration file or the resolver's files change, and says which kind did.
//!
//! Directories are watched, never files: a file that is replaced by rename(2) is another file, and
//! a watch of the old one would stay silent. A path is followed through its symbolic links, because
//! `/etc/resolv.conf` usually is one: the link may be replaced and its target may be written. Where
//! a directory does not exist, the nearest one above it is watched for the next part of the path.
//!
//! ```text
//! /etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf
//!   watched: /etc for "resolv.conf", /run/systemd/resolve for "stub-resolv.conf"
//!   watched without the latter: /run/systemd for "resolve"
//! ```
//!
//! A file that disappears is left to [`Watch::stat_changed`]: editors remove the old file before
//! they write the new one, and nobody wants to be unconfigured in between.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Files;
use crate::sys::inotify::{Directory, Event, Inotify};

#[cfg(test)]
mod tests;

/// Most symbolic links followed from one path.
const LINKS_MAX: usize = 8;
/// Most directories that may appear while one path is being watched.
const DEPTH_MAX: usize = 32;

/// The files that tell how names are resolved: resolv.conf(5) and hosts(5).
pub const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Which kind of file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// A file of the configuration, or one of TLS that it names.
    pub config: bool,
    /// A file of the resolver.
    pub resolver: bool,
    /// Events are left: drain again, nothing will announce them.
    pub more: bool,
}

/// The watched files. Readable as soon as [`Watch::drain`] has something to do.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    targets: Vec<Target>,
    spots: Vec<Spot>,
}

/// A watched file.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    kind: Kind,
    /// What the file was when it was last looked at.
    seen: Option<Identity>,
    /// What an event made known and the caller has not been told.
    changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Tls,
    Resolver,
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    modified: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

impl Target {
    fn new(path: &Path, kind: Kind) -> Self {
        Self { path: path.to_path_buf(), kind, seen: Identity::of(path), changed: false }
    }
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            modified: (file.mtime(), file.mtime_nsec()),
            size: file.size(),
            inode: (file.dev(), file.ino()),
        })
    }
}

/// A name in a watched directory that matters to one target.
#[derive(Debug)]
struct Spot {
    directory: Directory,
    /// The directory's path and the name: the file, a link on the way to it, or the first
    /// directory on the way that does not exist.
    path: PathBuf,
    /// Position in [`Watch::targets`].
    target: usize,
    /// Whether `path` leads to the file, and not only towards it.
    is_file: bool,
}

impl Watch {
    /// Watches the files of a configuration and those of the resolver ([`RESOLVER_FILES`]).
    ///
    /// Read the files after this, not before, and no change goes unseen. A directory that may not
    /// be watched leaves its files to [`stat_changed`](Self::stat_changed).
    ///
    /// # Errors
    ///
    /// Those of [`Inotify::new`].
    pub fn new(files: &Files, resolver: &[impl AsRef<Path>]) -> io::Result<Self> {
        let config = [&files.meeting, &files.env, &files.own];
        let config = config.into_iter().map(|path| Target::new(path, Kind::Config));
        let resolver = resolver.iter().map(|path| Target::new(path.as_ref(), Kind::Resolver));
        let targets = config.chain(resolver).collect();
        let mut watch = Self { inotify: Inotify::new()?, targets, spots: Vec::new() };
        watch.rebuild();
        Ok(watch)
    }

    /// Watches these files of TLS from now on, instead of the former ones. Read them after this.
    pub fn follow_tls(&mut self, paths: &[&Path]) {
        let former = self.targets.iter().filter(|target| target.kind == Kind::Tls);
        if !former.map(|target| target.path.as_path()).eq(paths.iter().copied()) {
            self.targets.retain(|target| target.kind != Kind::Tls);
            self.targets.extend(paths.iter().map(|path| Target::new(path, Kind::Tls)));
            self.rebuild();
        }
    }

    /// Takes in what happened and says which files to read again.
    ///
    /// Bounded: under a flood of events [`Changed::more`] asks for another call.
    pub fn drain(&mut self) -> Changed {
        let Self { inotify, targets, spots } = self;
        let mut rebuild = false;
        let more = inotify.drain(|event| {
            for spot in spots.iter().filter(|spot| spot.is_meant(event)) {
                rebuild = true;
                if let Some(target) = targets.get_mut(spot.target) {
                    // Two writes within one tick of the clock leave the same identity: what is
                    // known to be written is read, whatever stat(2) says.
                    target.changed |= match event {
                        Event::Written(..) | Event::Created(..) => spot.is_file,
                        Event::Gone(_) => false,
                        Event::Overflow => true,
                    };
                }
            }
        });
        if rebuild {
            self.rebuild();
            for target in &mut self.targets {
                let now = Identity::of(&target.path);
                if now.is_some() {
                    target.changed |= now != target.seen;
                    target.seen = now;
                }
            }
        }
        self.tell(more)
    }

    /// Looks at every file once, for what no event told: call it once per cycle.
    ///
    /// It finds files that disappeared, and changes behind a linked directory or on a file system
    /// whose writers are elsewhere.
    pub fn stat_changed(&mut self) -> Changed {
        let mut rebuild = false;
        for target in &mut self.targets {
            let now = Identity::of(&target.path);
            if now != target.seen {
                target.changed = true;
                target.seen = now;
                rebuild = true;
            }
        }
        if rebuild {
            self.rebuild();
        }
        self.tell(false)
    }

    /// What has changed since this was asked last.
    fn tell(&mut self, more: bool) -> Changed {
        let mut changed = Changed { more, ..Changed::default() };
        for target in &mut self.targets {
            let told = std::mem::take(&mut target.changed);
            match target.kind {
                Kind::Config | Kind::Tls => changed.config |= told,
                Kind::Resolver => changed.resolver |= told,
            }
        }
        changed
    }

    /// Watches what is there now.
    fn rebuild(&mut self) {
        let old = std::mem::take(&mut self.spots);
        for (index, target) in self.targets.iter().enumerate() {
            let mut path = target.path.clone();
            for _ in 0..=LINKS_MAX {
                let Some(spot) = self.watch_way(index, &path) else { break };
                let reached = spot.is_file;
                self.spots.push(spot);
                match fs::read_link(&path) {
                    Ok(link) if reached => path = directory_of(&path).join(link),
                    _ => break,
                }
            }
        }
        for Spot { directory, .. } in old {
            if self.spots.iter().all(|spot| spot.directory != directory) {
                self.inotify.forget(directory);
            }
        }
    }

    /// Watches the directory of `path`, or the nearest one above it that exists.
    fn watch_way(&self, target: usize, path: &Path) -> Option<Spot> {
        let mut way = path;
        for _ in 0..DEPTH_MAX {
            match self.inotify.watch(directory_of(way)) {
                Ok(directory) if way == path || !way.is_dir() => {
                    let is_file = way == path;
                    return Some(Spot { directory, path: way.to_path_buf(), target, is_file });
                }
                // The next part of the path appeared before the watch that would have told.
                Ok(_) => way = path,
                Err(error) if is_missing(&error) => way = way.parent()?,
                Err(_) => return None,
            }
        }
        None
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Spot {
    /// Whether `event` matters here.
    fn is_meant(&self, event: Event<'_>) -> bool {
        let named = |directory, name: &[u8]| {
            self.directory == directory
                && self.path.file_name().is_some_and(|own| own.as_bytes() == name)
        };
        match event {
            Event::Written(directory, name) => named(directory, name),
            // A new regular file has its content when it is closed; a link has it at once.
            Event::Created(directory, name) => {
                named(directory, name) && (!self.is_file || self.path.is_symlink())
            }
            Event::Gone(directory) => self.directory == directory,
            Event::Overflow => true,
        }
    }
}

/// The directory that `path` is in.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
