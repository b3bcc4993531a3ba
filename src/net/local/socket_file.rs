//! The file of a Unix socket: made, defended against a second agent, and removed.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::Error;
use crate::sys::file::directory_of;

/// Most connections that the kernel queues for a listening socket.
pub(super) const QUEUE_MAX: i32 = 16;
/// The agent's group may connect.
const SOCKET_MODE: u32 = 0o660;
/// All users may look up the socket.
const DIRECTORY_MODE: u32 = 0o755;
/// Most tries to take a path that others take and leave at the same time.
const MOVES_MAX: u32 = 3;

/// A file that is removed on drop, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// The path of the file.
    path: PathBuf,
    /// The file system that it was made on, and its number there.
    identity: (u64, u64),
}

impl SocketFile {
    /// Whether the file is there, and still the one that was made.
    pub(super) fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::debug!("remove {}: {error}", self.path.display());
        }
    }
}

/// Makes the socket at `path`: under a name of its own first, so that it listens as soon as it is
/// found, and only one of several agents that start at once takes the path.
pub(super) fn bind(path: &Path) -> Result<(Socket, SocketFile), Error> {
    make_directory(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let own = PathBuf::from(name);
    let (socket, mut socket_file) =
        listen(&own).map_err(Error::system_on::<io::Error>("listen on", path))?;
    take_place(&own, path)?;
    socket_file.path = path.to_path_buf();
    Ok((socket, socket_file))
}

fn listen(own: &Path) -> io::Result<(Socket, SocketFile)> {
    match fs::remove_file(own) {
        // Left by a process of that number, which cannot live.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(own)?)?;
    let metadata = fs::symlink_metadata(own)?;
    let identity = (metadata.dev(), metadata.ino());
    let socket_file = SocketFile { path: own.to_path_buf(), identity };
    // unix(7): no client can connect before listen(2), so the mode is right for all of them.
    fs::set_permissions(own, Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(QUEUE_MAX)?;
    Ok((socket, socket_file))
}

/// Moves the socket `own` to `path`, unless a process listens there.
///
/// The file there may change between its check and the move. So the two change places, and the
/// former file is checked once more where no other process finds it.
fn take_place(own: &Path, path: &Path) -> Result<(), Error> {
    let failed = || Error::system_on("put the socket at", path);
    for _ in 0..MOVES_MAX {
        match renameat_with(CWD, own, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed()(errno)),
        }
        ensure_unused(path, path)?;
        match renameat_with(CWD, own, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // It was removed meanwhile.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(failed()(errno)),
        }
        if let Err(error) = ensure_unused(own, path) {
            renameat_with(CWD, own, CWD, path, RenameFlags::EXCHANGE).map_err(failed())?;
            return Err(error);
        }
        return fs::remove_file(own).map_err(Error::system_on("remove", own));
    }
    Err(failed()(Errno::BUSY))
}

fn make_directory(path: &Path) -> Result<(), Error> {
    let directory = directory_of(path);
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        // mkdir(2): the umask took bits away.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
            .map_err(Error::system_on("set the mode of", directory)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::system_on("make the directory", directory)(error)),
    }
}

/// Fails unless the file `found`, which is or was at `path`, is a socket that no process listens
/// on.
fn ensure_unused(found: &Path, path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(found) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => {
            let other =
                io::Error::new(io::ErrorKind::AlreadyExists, "another file is in its place");
            return Err(Error::system_on("make the socket", path)(other));
        }
        // Whatever else is wrong with the path, the next step fails with.
        Err(_) => return Ok(()),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(Error::system("open a Unix socket"))?;
    let address =
        SockAddr::unix(found).map_err(Error::system_on("use as a Unix socket's path", found))?;
    match socket.connect(&address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // connect(2): its queue is full, so a process has it.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::AlreadyRunning { socket: path.to_path_buf(), pid: None })
        }
        Err(error) => Err(Error::system_on("connect to", path)(error)),
        Ok(()) => {
            // unix(7) `SO_PEERCRED`: of the process that called listen(2).
            let peer = socket_peercred(&socket).ok();
            let pid = peer.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok());
            Err(Error::AlreadyRunning { socket: path.to_path_buf(), pid })
        }
    }
}
