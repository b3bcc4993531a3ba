//! The files that say how names are resolved, read without holding up the loop.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::sys::file;
use linkbeat_core::proto::settings::{
    Host, HostName, MULTICAST, NAMESERVERS_MAX, ResolverSettings,
};
use linkbeat_core::wire::resolv_conf;

#[cfg(test)]
mod tests;

/// Most that is read at once, and most that is read of resolv.conf(5) at all, in bytes. No line is
/// longer.
const PIECE_MAX: usize = 64 * 1024;
/// Most pieces that are read of hosts(5), 8 MB; what follows is ignored.
const HOSTS_PIECES_MAX: usize = 128;

/// Reads resolv.conf(5) and hosts(5), the latter for the name of the server if it has one.
///
/// A file that does not exist is an empty one: before DHCP has spoken that is normal. So is one
/// that cannot be read, with a warning.
#[derive(Debug)]
pub struct SettingsReader {
    settings: ResolverSettings,
    name: Option<HostName>,
    hosts: Option<File>,
    /// The bytes of hosts(5) that are read and not parsed yet.
    bytes: Vec<u8>,
    /// Pieces of it that may still be read.
    left: usize,
}

impl SettingsReader {
    /// Reads `resolv_conf` and opens `hosts`.
    pub fn new(resolv_conf: &Path, hosts: &Path, host: Option<&Host>) -> Self {
        let mut bytes = Vec::new();
        if let Some(file) = open_file(resolv_conf)
            && !read_piece(&file, resolv_conf, &mut bytes)
        {
            bytes.truncate(whole_lines(&bytes));
        }
        let settings = resolv_conf::parse(&bytes);
        let name = host.and_then(|host| match host {
            Host::Name(name) => Some(name.clone()),
            Host::Address(_) => None,
        });
        let hosts = name.as_ref().and_then(|_| open_file(hosts));
        Self { settings, name, hosts, bytes: Vec::new(), left: HOSTS_PIECES_MAX }
    }

    /// Reads the next piece of `hosts`, and gives the settings after the last one.
    pub fn next_piece(&mut self, hosts: &Path) -> Option<ResolverSettings> {
        let Self { settings, name, bytes, left, .. } = self;
        if let Some(name) = name {
            let ended = self.hosts.as_ref().is_none_or(|file| read_piece(file, hosts, bytes));
            *left -= 1;
            let whole = if ended { bytes.len() } else { whole_lines(bytes) };
            resolv_conf::add_hosts(
                &mut settings.hosts,
                bytes.get(..whole).unwrap_or_default(),
                name,
            );
            bytes.drain(..whole);
            if !ended && *left > 0 {
                if bytes.len() >= PIECE_MAX {
                    // What follows of a line without an end is passed over like a comment.
                    bytes.clear();
                    bytes.push(b'#');
                }
                return None;
            }
            resolv_conf::add_localhost(&mut settings.hosts, name);
            if name.ends_with(".local") {
                settings.nameservers.truncate(NAMESERVERS_MAX - 1);
                settings.nameservers.insert(0, MULTICAST).expect("there is room");
            }
        }
        Some(core::mem::take(settings))
    }
}

/// The length of the lines that are whole: half a name would be another one.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn open_file(path: &Path) -> Option<File> {
    file::open(path).inspect_err(|error| warn(path, error)).ok()
}

/// Adds a piece to `bytes`; true at the end of the file.
fn read_piece(file: &File, path: &Path, bytes: &mut Vec<u8>) -> bool {
    let read = file::read_on(file, PIECE_MAX, bytes);
    read.inspect_err(|error| warn(path, error)).map_or(true, |length| length < PIECE_MAX)
}

fn warn(path: &Path, error: &io::Error) {
    if error.kind() != io::ErrorKind::NotFound {
        log::warn!("read {}: {error}", path.display());
    }
}
