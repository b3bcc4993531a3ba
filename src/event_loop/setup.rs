//! The configuration in force, and the values that are derived from it once instead of per beat.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use log::Level;

use crate::config::manager::{SecondSender, WebManager};
use crate::config::{self, Config, Problem, Severity};
use crate::logger;
use crate::net::device_info::DeviceIdentity;
use crate::net::tls::{self, Client, Material, Times, server_name};
use crate::net::watch::Watch;
use crate::sys::file;
use linkbeat_core::proto::link::Mac;

/// The result of [`Setup::load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another configuration is in force now.
    Changed,
    /// The files have the same content as before.
    Same,
    /// The files are unusable. The last good configuration stays in force.
    Invalid,
}

/// The configuration in force.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// The path that the files belong to.
    pub path: PathBuf,
    /// The files that exist.
    found: Vec<PathBuf>,
    /// The problems of these files, as logged last.
    problems: Vec<Problem>,
    /// The configuration in force; the defaults until the files are good.
    pub config: Config,
    /// Whether it is that of files that were good.
    is_loaded: bool,
    /// Whether the files were good once, and any of them was there the last time.
    pub in_force: bool,
    /// The properties that are constant while the device runs.
    pub identity: DeviceIdentity,
    /// The files of TLS that `tls` was made of.
    material: Option<Material>,
    /// What connections to an `https://` server share.
    pub tls: Option<Client>,
    /// The hardware address that the device key is derived from if the configuration has none, once
    /// chosen.
    pub mac: Option<Mac>,
    /// The problem of the files, in one line; `None` if they are good.
    pub complaint: Option<String>,
    /// The other sender on this device that was last reported.
    second_sender: Option<SecondSender>,
}

impl Setup {
    /// Creates the state before anything is loaded.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, identity: DeviceIdentity::read(), ..Self::default() }
    }

    /// Logs that the web manager beats as well, once for each time that it begins to.
    pub(super) fn warn_of_second_sender(&mut self) {
        let second = self.second_sender();
        if let Some(second) = second.filter(|_| self.second_sender != second) {
            log::warn!("[Meeting] {second}");
        }
        self.second_sender = second;
    }

    /// The web manager, if it beats as well now.
    pub(super) fn second_sender(&self) -> Option<SecondSender> {
        WebManager::find(Path::new("/"))?.second_sender(&self.config)
    }

    /// Reads the files, puts them in force if they are good, and watches the files of TLS.
    ///
    /// Problems are logged when they are new. Reads from disk: call it at start and on a change
    /// only.
    pub(super) fn load(&mut self, watch: &mut Watch, times: &Times) -> Verdict {
        let mut loaded = config::load(&self.path);
        self.found = core::mem::take(&mut loaded.found);
        let Some(mut config) = loaded.config.take() else {
            return self.complain(&loaded.problems);
        };
        if let Some(mac) = self.mac {
            config.derive_device_key(&self.identity.hostname, mac);
        }
        let files = config.tls_files();
        let paths = files.as_ref().map(tls::Files::paths).unwrap_or_default();
        watch.follow_tls(&paths);
        let material = match files.as_ref().map(tls::Files::load).transpose() {
            Ok(material) => material,
            Err(error) => return self.complain(&[loaded.tls_problem(&self.path, &error)]),
        };
        self.in_force = !self.found.is_empty();
        if self.complaint.take().is_some() {
            log::info!("the configuration is usable again");
        }
        let is_same = self.is_loaded && self.config == config && self.material == material;
        // Another mode of a file may be a problem, too.
        if !is_same || self.problems != loaded.problems {
            report(&loaded.problems);
            self.problems = core::mem::take(&mut loaded.problems);
        }
        if is_same {
            return Verdict::Same;
        }
        if let Some(material) = &material {
            report(&loaded.tls_warnings(&self.path, material));
        }
        let file = self.path.display();
        if self.found.is_empty() {
            log::warn!("no configuration yet: waiting for {file} (api_url is needed)");
        } else if !config.settings.enabled {
            log::warn!("no beat is sent: enabled is false in {file}");
        } else if config.api_url.is_none() {
            log::warn!("no beat is sent: api_url is not set in {file}");
        }
        logger::configure(config.log_target, config.log_level);
        self.tls = material.as_ref().and_then(|it| tls_of(&config, it.clone(), times));
        self.material = material;
        (self.config, self.is_loaded) = (config, true);
        Verdict::Changed
    }

    /// When the files that were there, and that of the history, were last written: seconds since
    /// 1970 UTC. Those of other users do not count, because they may have any date.
    pub(super) fn written(&self) -> impl Iterator<Item = (&Path, u64)> {
        let files = self.found.iter().chain(&self.config.state_file);
        files.filter_map(|path| {
            let metadata = path.metadata().ok().filter(file::is_trusted)?;
            Some((path.as_path(), u64::try_from(metadata.mtime()).ok()?))
        })
    }

    /// Logs why the files are not in force, once for each reason.
    fn complain(&mut self, problems: &[Problem]) -> Verdict {
        let first = problems.iter().find(|problem| problem.severity == Severity::Error);
        let text = first.map_or_else(String::new, ToString::to_string);
        if self.complaint.as_ref() != Some(&text) {
            report(problems);
            let file = self.path.display();
            let stays = if self.in_force {
                "the last good one stays in force"
            } else {
                "no beat is sent and no port is opened"
            };
            log::error!(
                "the configuration is unusable, {stays}: `linkbeat check {file}` lists all errors"
            );
            self.complaint = Some(text);
        }
        Verdict::Invalid
    }

    /// Whether the device key has to be derived and the hardware address for it is not known yet.
    pub(super) const fn wants_mac(&self) -> bool {
        self.mac.is_none() && self.config.device_key.is_none()
    }

    /// Sets the hardware address of the device, unless there is one already.
    pub(super) fn decide_mac(&mut self, mac: Mac) {
        self.mac.get_or_insert(mac);
        self.config.derive_device_key(&self.identity.hostname, mac);
    }
}

/// The TLS client for the server; `None` while there is no URL.
fn tls_of(config: &Config, material: Material, times: &Times) -> Option<Client> {
    let name = server_name(&config.api_url.as_ref()?.server().host);
    Some(Client::new(material, times.clone(), config.early_data, name))
}

fn report(problems: &[Problem]) {
    for problem in problems {
        let is_error = problem.severity == Severity::Error;
        let level = if is_error { Level::Error } else { Level::Warn };
        log::log!(level, "{problem}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::chown;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::ConfigFiles;
    use crate::scratch::Scratch;

    #[test]
    fn date_of_a_file_counts_unless_it_is_another_users() {
        let directory = Scratch::new();
        let state = directory.write("state", "");
        let own = directory.write("linkbeat.json", format!("{{\"state_file\": {state:?}}}"));
        let date = |path: &Path, unix_s| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(unix_s)).unwrap();
        };
        date(&own, 7);
        date(&state, 8);
        let files = ConfigFiles::of(&directory.0);
        let mut watch = Watch::new([files.own.as_path()].into_iter(), &[] as &[&Path], &[]);
        let mut setup = Setup::new(directory.0.clone());
        assert_eq!(setup.load(&mut watch, &Times::default()), Verdict::Changed);
        let written = |setup: &Setup| setup.written().map(|(_, unix_s)| unix_s).collect::<Vec<_>>();
        assert_eq!(written(&setup), [7, 8]);
        // Each time it is asked for, the files are looked at.
        date(&own, 9);
        assert_eq!(written(&setup), [9, 8]);
        // Only root can give a file away.
        if chown(&state, Some(65_534), None).is_ok() {
            assert_eq!(written(&setup), [9]);
        }
    }
}
