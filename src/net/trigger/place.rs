//! The file of the trigger socket: made, defended against a second agent, and removed.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::UnixListener;
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::Error;

/// Most connections that the kernel queues for us.
const QUEUE_MAX: i32 = 16;
/// Everyone in the group of the agent may connect.
const SOCKET_MODE: u32 = 0o660;
/// Everyone may look the socket up.
const DIRECTORY_MODE: u32 = 0o755;

/// A file that is removed in the end, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is there, and still the one that was made.
    pub(super) fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::debug!("remove {}: {error}", self.path.display());
        }
    }
}

/// Makes the socket at `path`.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, Place), Error> {
    let address =
        SockAddr::unix(path).map_err(Error::system_on("use as a Unix socket's path", path))?;
    make_directory(path)?;
    remove_dead(path, &address)?;
    let make = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&address)?;
        // unix(7): nobody can connect before listen(2), so the mode is right for everyone.
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
        let metadata = fs::symlink_metadata(path)?;
        let (device, inode) = (metadata.dev(), metadata.ino());
        let place = Place { path: path.to_path_buf(), device, inode };
        socket.listen(QUEUE_MAX)?;
        Ok((UnixListener::from_std(OwnedFd::from(socket).into()), place))
    };
    make().map_err(Error::system_on::<io::Error>("listen on", path))
}

fn make_directory(path: &Path) -> Result<(), Error> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
    else {
        return Ok(());
    };
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        // mkdir(2): the umask took bits away.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
            .map_err(Error::system_on("set the mode of", directory)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::system_on("make the directory", directory)(error)),
    }
}

/// Removes what an agent left that ended without a word; nothing else.
fn remove_dead(path: &Path, address: &SockAddr) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            let other =
                io::Error::new(io::ErrorKind::AlreadyExists, "another file is in its place");
            return Err(Error::system_on("make the trigger socket", path)(other));
        }
        // What else is wrong with the path, bind(2) will say.
        Err(_) => return Ok(()),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(Error::system("open a Unix socket"))?;
    match socket.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Error::system_on("remove", path))
        }
        // connect(2): its queue is full, so someone has it.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::AlreadyRunning { socket: path.to_path_buf(), pid: None })
        }
        Err(error) => Err(Error::system_on("connect to", path)(error)),
        Ok(()) => {
            // unix(7) `SO_PEERCRED`: of who called listen(2).
            let peer = socket_peercred(&socket).ok();
            let pid = peer.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok());
            Err(Error::AlreadyRunning { socket: path.to_path_buf(), pid })
        }
    }
}
