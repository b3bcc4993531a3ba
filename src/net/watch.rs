//! Notices when a configuration file or the resolver's files change, and when the web manager is
//! installed, and says which kind did.
//!
//! Directories are watched, because a file that is replaced by rename(2) is another file, and a
//! watch of the old one would stay silent; and the files too, because one that is a mount point (a
//! bind-mounted `/etc/resolv.conf`) is written where its directory does not see it. A path is
//! followed through its symbolic links, because `/etc/resolv.conf` usually is one: the link may be
//! replaced and its target may be written. Where a directory does not exist, the nearest one above
//! it is watched for the next part of the path.
//!
//! ```text
//! /etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf
//!   watched: /etc for "resolv.conf", /run/systemd/resolve for "stub-resolv.conf"
//!   watched without the latter: /run/systemd for "resolve"
//! ```
//!
//! A file that is given to another owner or mode is reported too, and so is one whose directory is:
//! it may be readable from now on, or no longer.
//!
//! A file that disappears is left to [`Watch::stat_changed`]: editors remove the old file before
//! they write the new one, and the agent must not be unconfigured in between.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys::file::directory_of;
use crate::sys::inotify::{Directory, Event, Inotify};

#[cfg(test)]
mod tests;

/// Most symbolic links followed from one path.
const LINKS_MAX: usize = 8;
/// Most directories that may appear while one path is being watched.
const DEPTH_MAX: usize = 32;

/// The files of the resolver: resolv.conf(5) and hosts(5).
pub const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// The list of mounts: ready whenever one changes (proc_pid_mountinfo(5)).
const MOUNTS: &str = "/proc/self/mountinfo";

/// Which kind of file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// A file of the configuration, or one of TLS that it names.
    pub config: bool,
    /// A file of the resolver.
    pub resolver: bool,
    /// The web manager was installed or removed.
    pub manager: bool,
    /// Events are left: drain again, nothing will announce them.
    pub more: bool,
}

/// The watched files.
#[derive(Debug)]
pub struct Watch {
    /// `None` where the kernel has none to spare: then only the stat finds changes.
    inotify: Option<Inotify>,
    mounts: Option<File>,
    targets: Vec<Target>,
    spots: Vec<Spot>,
}

/// A watched file.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    kind: TargetKind,
    /// The file as it was at the last stat(2).
    seen: Option<FileIdentity>,
    /// Whether it has changed, and that was not reported yet.
    changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TargetKind {
    Config,
    Tls,
    Resolver,
    Manager,
}

/// Distinguishes one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    modified: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

impl Target {
    fn new(path: &Path, kind: TargetKind) -> Self {
        Self { path: path.to_path_buf(), kind, seen: FileIdentity::of(path), changed: false }
    }
}

impl FileIdentity {
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
    /// directory on the way that does not exist. Empty: the file itself is watched.
    path: PathBuf,
    /// Position in [`Watch::targets`].
    target: usize,
    /// Whether `path` leads to the file, and not only towards it.
    is_file: bool,
}

impl Watch {
    /// Watches the files of a configuration, those of the resolver ([`RESOLVER_FILES`]), and those
    /// that show whether the web manager is installed.
    ///
    /// Read the files after this, not before, and no change goes unseen. A directory that may not
    /// be watched leaves its files to [`stat_changed`](Self::stat_changed), as does a kernel that
    /// has no inotify to spare.
    pub fn new<'a, P: AsRef<Path>>(
        config: impl Iterator<Item = &'a Path>,
        resolver: &[P],
        manager: &[P],
    ) -> Self {
        let config = config.map(|path| Target::new(path, TargetKind::Config));
        let resolver = resolver.iter().map(|path| Target::new(path.as_ref(), TargetKind::Resolver));
        let manager = manager.iter().map(|path| Target::new(path.as_ref(), TargetKind::Manager));
        let targets = config.chain(resolver).chain(manager).collect();
        // Without /proc a change of the mounts is found by the stat.
        let mounts = File::open(MOUNTS).inspect_err(|error| log::debug!("open {MOUNTS}: {error}"));
        let mut watch = Self { inotify: None, mounts: mounts.ok(), targets, spots: Vec::new() };
        if let Err(error) = watch.open(&|_| Ok(())) {
            log::warn!("files are looked at every few seconds: open inotify: {error}");
        }
        watch
    }

    /// The source of events: [`drain`](Self::drain) when it is readable.
    pub const fn events(&self) -> Option<&Inotify> {
        self.inotify.as_ref()
    }

    /// Opens the source of events where it is missing, and has it `watched`.
    ///
    /// # Errors
    ///
    /// Those of [`Inotify::new`] and of `watched`; it is still missing then.
    pub fn open(&mut self, watched: &dyn Fn(&Inotify) -> io::Result<()>) -> io::Result<()> {
        if self.inotify.is_none() {
            let inotify = Inotify::new()?;
            watched(&inotify)?;
            self.inotify = Some(inotify);
            self.rebuild();
        }
        Ok(())
    }

    /// Watches these files of TLS from now on, instead of the former ones. Read them after this.
    pub fn follow_tls(&mut self, paths: &[&Path]) {
        let former = self.targets.iter().filter(|target| target.kind == TargetKind::Tls);
        if !former.map(|target| target.path.as_path()).eq(paths.iter().copied()) {
            self.targets.retain(|target| target.kind != TargetKind::Tls);
            self.targets.extend(paths.iter().map(|path| Target::new(path, TargetKind::Tls)));
            self.rebuild();
        }
    }

    /// Whether the web manager is installed, as far as [`drain`](Self::drain) and
    /// [`stat_changed`](Self::stat_changed) have reported it.
    pub fn has_manager(&self) -> bool {
        self.targets.iter().any(|it| it.kind == TargetKind::Manager && it.seen.is_some())
    }

    /// Reads the events, and returns which files to read again.
    ///
    /// Bounded: under a flood of events [`Changed::more`] asks for another call.
    pub fn drain(&mut self) -> Changed {
        let Self { inotify, targets, spots, .. } = self;
        let mut rebuild = false;
        let Some(inotify) = inotify else { return Changed::default() };
        let more = inotify.drain(|event| {
            for spot in spots.iter().filter(|spot| spot.is_meant(event)) {
                // A change of the mode alone, and not one in the middle of a rewrite.
                let is_same = |it: &Target| FileIdentity::of(&it.path) == it.seen;
                let is_of_the_file = spot.is_file && matches!(event, Event::Attributes(_, [_, ..]));
                rebuild |= !is_of_the_file;
                if let Some(target) = targets.get_mut(spot.target) {
                    // Two writes within one tick of the clock leave the same identity: what is
                    // known to be written is read, whatever stat(2) says.
                    target.changed |= match event {
                        Event::Written(..) | Event::Created(..) => spot.is_file,
                        Event::Attributes(..) => !is_of_the_file || is_same(target),
                        Event::Gone(_) => false,
                        Event::Overflow => true,
                    };
                }
            }
        });
        if rebuild {
            self.rebuild();
            self.stat(|now| now.is_some());
        }
        self.take_changed(more)
    }

    /// Checks every file once, for changes without an event: call it once per cycle.
    ///
    /// It finds files that disappeared, and changes behind a linked directory or on a file system
    /// whose writers are elsewhere.
    pub fn stat_changed(&mut self) -> Changed {
        if self.stat(|_| true) {
            self.rebuild();
        }
        self.take_changed(false)
    }

    /// Notes the files that are others now, and whether there are any; only what `counts` is seen.
    fn stat(&mut self, counts: impl Fn(Option<FileIdentity>) -> bool) -> bool {
        let mut any = false;
        for target in &mut self.targets {
            let now = FileIdentity::of(&target.path);
            if now != target.seen && counts(now) {
                (target.changed, target.seen, any) = (true, now, true);
            }
        }
        any
    }

    /// Is ready when something is mounted or unmounted. That may put another file at a path without
    /// an event of its directory: [`stat_changed`](Self::stat_changed) finds it.
    pub const fn mounts(&self) -> Option<&File> {
        self.mounts.as_ref()
    }

    /// Takes the changes since the last call.
    fn take_changed(&mut self, more: bool) -> Changed {
        let mut changed = Changed { more, ..Changed::default() };
        for target in &mut self.targets {
            let is_changed = std::mem::take(&mut target.changed);
            match target.kind {
                TargetKind::Config | TargetKind::Tls => changed.config |= is_changed,
                TargetKind::Resolver => changed.resolver |= is_changed,
                TargetKind::Manager => changed.manager |= is_changed,
            }
        }
        changed
    }

    /// Watches what is there now.
    fn rebuild(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let old = std::mem::take(&mut self.spots);
        for (index, target) in self.targets.iter().enumerate() {
            let mut path = target.path.clone();
            for _ in 0..=LINKS_MAX {
                let Some(spot) = watch_way(inotify, index, &path) else { break };
                let reached = spot.is_file;
                self.spots.push(spot);
                match fs::read_link(&path) {
                    Ok(link) if reached => path = directory_of(&path).join(link),
                    _ => break,
                }
            }
            // That it is there is all that matters.
            if target.kind == TargetKind::Manager {
                continue;
            }
            // Without a path: such an event has no name.
            if let Ok(directory) = inotify.watch_file(&target.path) {
                self.spots.push(Spot {
                    directory,
                    path: PathBuf::new(),
                    target: index,
                    is_file: true,
                });
            }
        }
        for Spot { directory, .. } in old {
            if self.spots.iter().all(|spot| spot.directory != directory) {
                inotify.forget(directory);
            }
        }
    }
}

/// Watches the directory of `path`, or the nearest one above it that exists.
fn watch_way(inotify: &Inotify, target: usize, path: &Path) -> Option<Spot> {
    let mut way = path;
    let mut is_closed = false;
    for _ in 0..DEPTH_MAX {
        match inotify.watch(directory_of(way)) {
            Ok(directory) if way == path || is_closed || !way.is_dir() => {
                let is_file = way == path;
                return Some(Spot { directory, path: way.to_path_buf(), target, is_file });
            }
            // The next part of the path appeared before its watch.
            Ok(_) => way = path,
            Err(error) if is_missing(&error) => way = way.parent()?,
            // A change of its parent is reported when that is opened to us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                is_closed = true;
                way = way.parent()?;
            }
            Err(_) => return None,
        }
    }
    None
}

impl Spot {
    /// Whether `event` matters here.
    fn is_meant(&self, event: Event<'_>) -> bool {
        let named = |directory, name: &[u8]| {
            self.directory == directory
                && self.path.file_name().map_or(name.is_empty(), |own| own.as_bytes() == name)
        };
        match event {
            Event::Written(directory, name) => named(directory, name),
            // The files of a directory can be reached no longer, or can be again.
            Event::Attributes(directory, b"") => self.directory == directory,
            Event::Attributes(directory, name) => named(directory, name),
            // A new regular file has its content when it is closed; anything else is whole at once.
            Event::Created(directory, name) => {
                named(directory, name)
                    && (!self.is_file || self.path.is_symlink() || self.path.is_dir())
            }
            Event::Gone(directory) => self.directory == directory,
            Event::Overflow => true,
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
