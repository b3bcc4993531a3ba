//! The web manager that linkbeat is a guest of, and what it does on this device that gets in the way.
//!
//! Its files are read as it reads them itself: where one is missing or damaged its defaults count,
//! and those are to beat and to disconnect WiFi. `src/MIGRATION.md` has what follows for people.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Config, FILE_SIZE_MAX, env, files};
use crate::sys::file;
use linkbeat_core::wire::json::{self, ValueKind};

#[cfg(test)]
pub(crate) mod tests;

/// Files of an installed web manager, any of which shows it: its unit and its directory.
pub const FILES: [&str; 4] = [
    "/etc/systemd/system/rpi-cam-webmanager.service",
    "/usr/lib/systemd/system/rpi-cam-webmanager.service",
    "/lib/systemd/system/rpi-cam-webmanager.service",
    "/opt/rpi-cam-webmanager",
];
/// The link by which systemd starts it.
const STARTED: &str = "etc/systemd/system/multi-user.target.wants/rpi-cam-webmanager.service";

const MEETING: &str = "etc/rpi-cam/meeting.json";
const ENV: &str = "etc/rpi-cam/config.env";
const FAILOVER: &str = "etc/rpi-cam/wifi_failover.json";
const GROUPS: &str = "etc/group";

/// The web manager, where it is installed.
#[derive(Debug, Clone, Copy)]
pub struct WebManager<'a> {
    /// `/`, the parent of `etc`.
    root: &'a Path,
}

impl<'a> WebManager<'a> {
    /// Looks for its [`FILES`] below `root`.
    pub fn find(root: &'a Path) -> Option<Self> {
        let exists = |file: &&str| root.join(&file[1..]).symlink_metadata().is_ok();
        FILES.iter().any(exists).then_some(Self { root })
    }

    /// Whether it sends beats for the device of `config`, which linkbeat does as well.
    ///
    /// Only its files show that: the server's answer to a beat shows nothing of other senders, its
    /// `last_seen` is the time of that very beat.
    pub fn second_sender(&self, config: &Config) -> Option<SecondSender> {
        let is_started = fs::symlink_metadata(self.root.join(STARTED)).is_ok();
        if !config.settings.enabled || !is_started {
            return None;
        }
        let file = self.read(MEETING);
        if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // "on" and other words are a no to it.
            let is_yes = |value: &str| ["yes", "true", "1"].contains(&&*value.to_ascii_lowercase());
            let env = self.read(ENV);
            if env.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                return None;
            }
            let value = env.ok().and_then(|text| env::find(&text, "MEETING_ENABLED").map(is_yes));
            let beats = value.unwrap_or(true);
            return beats.then_some(SecondSender { without_json: true });
        }
        // One that linkbeat may not read says nothing.
        let text = file.ok()?;
        let root = json::parse(&text).ok();
        let key = root.and_then(|root| root.get("device_key")?.as_text()).filter(|key| *key != *"");
        let is_other = key.zip(config.device_key.as_deref()).is_some_and(|(its, own)| its != *own);
        let beats = is_on(&text, "enabled") && !is_other;
        beats.then_some(SecondSender { without_json: false })
    }

    /// Whether `meeting.json` silences it.
    pub fn is_silenced(&self) -> bool {
        self.read(MEETING).is_ok_and(|text| !is_on(&text, "enabled"))
    }

    /// When it disconnects WiFi because Ethernet is up.
    pub fn disconnects_wifi(&self) -> Option<DisconnectsWifi> {
        let env = self.read(ENV).unwrap_or_default();
        if env::find(&env, "WIFI_MANUAL_OVERRIDE") == Some("yes") {
            return None;
        }
        let text = self.read(FAILOVER).unwrap_or_default();
        Some(DisconnectsWifi { always: is_on(&text, "hardware_failover_enabled") })
    }

    /// The files that the user `linkbeat`, whom the packages make, may not read.
    pub fn unreadable(&self) -> impl Iterator<Item = Unreadable> {
        let text = self.read(GROUPS).unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
        let groups: Vec<u32> = lines.filter_map(group_of_the_agent).collect();
        let found = [MEETING, ENV].map(|path| {
            let path = self.root.join(path);
            let metadata = fs::metadata(&path).ok().filter(|_| !groups.is_empty())?;
            let (mode, own) = (metadata.mode(), groups.contains(&metadata.gid()));
            let readable = mode & 0o004 != 0 || (own && mode & 0o040 != 0);
            (!readable).then_some(Unreadable { path, mode: mode & 0o7777 })
        });
        found.into_iter().flatten()
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        file::read(&self.root.join(path), FILE_SIZE_MAX).map(|(text, _)| text)
    }
}

/// The number of a group (group(5)) that the user `linkbeat` has or is a member of.
fn group_of_the_agent(line: &str) -> Option<u32> {
    let mut fields = line.split(':');
    let (name, number, mut members) = (fields.next()?, fields.nth(1)?, fields.next()?.split(','));
    let is_in = name == "linkbeat" || members.any(|member| member == "linkbeat");
    number.parse().ok().filter(|_| is_in)
}

/// Whether a key of a JSON text is true, as Python sees it and with the manager's default.
fn is_on(text: &[u8], key: &str) -> bool {
    let value = json::parse(text).ok().and_then(|root| root.get(key));
    value.is_none_or(|value| {
        let is_empty = value.as_text().is_some_and(|text| text == *"");
        value.kind() != ValueKind::Null && value.as_bool() != Some(false) && !is_empty
    })
}

/// The warning that the web manager beats as well, with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondSender {
    /// Whether it reads `config.env`, because there is no `meeting.json`.
    pub without_json: bool,
}

impl fmt::Display for SecondSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = if self.without_json {
            "MEETING_ENABLED to no in /etc/rpi-cam/config.env"
        } else {
            "\"enabled\" to false in /etc/rpi-cam/meeting.json"
        };
        write!(
            f,
            "the web manager sends beats too: set {off}, and \"enabled\" to true in linkbeat.json"
        )
    }
}

/// The warning that there is no second uplink, with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisconnectsWifi {
    /// Whether it does so all the time, and not only at each of its starts.
    pub always: bool,
}

impl fmt::Display for DisconnectsWifi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.always { "while eth0 is up" } else { "at its start if eth0 is up" };
        write!(
            f,
            "the web manager disconnects WiFi {when}: set WIFI_MANUAL_OVERRIDE to yes in \
             /etc/rpi-cam/config.env, then `nmcli device connect wlan0`"
        )
    }
}

/// The warning about a file that the agent cannot read, with the command that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// The mode bits of the file.
    pub mode: u32,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode } = self;
        let mend = files::mend_file(path);
        write!(f, "{}: the user linkbeat may not read mode {mode:04o}: {mend}", path.display())
    }
}
