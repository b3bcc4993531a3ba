//! The configuration in force, and what is made from it once instead of per beat.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use log::Level;
use rustls::pki_types::ServerName;

use crate::config::{self, Config, Problem, Severity};
use crate::logger;
use crate::net::connection::Security;
use crate::net::facts::Identity;
use crate::net::tls::{self, Client, Material, Times};
use crate::net::watch::Watch;
use crate::proto::link::Mac;
use crate::proto::settings::Host;

/// What [`Setup::load`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another configuration is in force now.
    Changed,
    /// The files say what they said before.
    Same,
    /// The files are unusable: the last good configuration stays in force.
    Invalid,
}

/// The configuration in force.
#[derive(Debug)]
pub(super) struct Setup {
    path: PathBuf,
    /// As the files have it, without what is derived.
    loaded: Option<Config>,
    /// The files that were there.
    found: Vec<PathBuf>,
    /// In force; the defaults until a file is good.
    pub config: Config,
    /// What stays the same as long as the device runs.
    pub identity: Identity,
    /// What `tls` was made with.
    material: Option<Material>,
    tls: Option<Client>,
    /// By which the device is called where no file names it, once decided.
    pub mac: Option<Mac>,
    /// What is wrong with the files, in one line; `None` if nothing is.
    pub complaint: Option<String>,
}

impl Setup {
    /// Nothing is loaded yet.
    #[must_use]
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            loaded: None,
            found: Vec::new(),
            config: Config::default(),
            identity: Identity::read(),
            material: None,
            tls: None,
            mac: None,
            complaint: None,
        }
    }

    /// The path that the files belong to.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the files and puts them in force if they are good; has the files of TLS watched.
    ///
    /// Problems are logged when they are new. Reads from disk: call it at start and on a change only.
    pub(super) fn load(&mut self, watch: &mut Watch, times: &Times) -> Verdict {
        let mut loaded = config::load(&self.path);
        self.found = core::mem::take(&mut loaded.found);
        let Some(config) = loaded.config.take() else {
            return self.complain(&loaded.problems);
        };
        let files = config.tls_files();
        let paths: Vec<_> = files.iter().flat_map(tls::Files::paths).collect();
        watch.follow_tls(&paths);
        let material = match files.as_ref().map(tls::Files::load).transpose() {
            Ok(material) => material,
            Err(error) => return self.complain(&[loaded.tls_problem(&self.path, &error)]),
        };
        if self.complaint.take().is_some() {
            log::info!("the configuration is usable again");
        }
        if self.loaded.as_ref() == Some(&config) && self.material == material {
            return Verdict::Same;
        }
        report(&loaded.problems);
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
        self.loaded = Some(config.clone());
        self.config = config;
        if let Some(mac) = self.mac {
            self.config.derive_device_key(&self.identity.hostname, mac);
        }
        Verdict::Changed
    }

    /// When the files that were there, and that of the history, were last written: seconds since 1970 UTC.
    pub(super) fn written(&self) -> impl Iterator<Item = (&Path, u64)> {
        let files = self.found.iter().chain(&self.config.state_file);
        files.filter_map(|file| {
            let modified = file.metadata().ok()?.mtime();
            Some((file.as_path(), u64::try_from(modified).ok()?))
        })
    }

    /// Tells why the files are not in force, once for each reason.
    fn complain(&mut self, problems: &[Problem]) -> Verdict {
        let first = problems.iter().find(|problem| problem.severity == Severity::Error);
        let text = first.map_or_else(String::new, ToString::to_string);
        if self.complaint.as_ref() != Some(&text) {
            report(problems);
            let stays = if self.loaded.is_some() { "the last good one stays" } else { "none is" };
            log::error!("the configuration is unusable; {stays} in force");
            self.complaint = Some(text);
        }
        Verdict::Invalid
    }

    /// Whether the device still waits for the hardware address that its key is derived from.
    #[must_use]
    pub(super) const fn wants_mac(&self) -> bool {
        self.mac.is_none() && self.config.device_key.is_none()
    }

    /// Decides the hardware address of the device, once.
    pub(super) fn decide_mac(&mut self, mac: Mac) {
        self.mac.get_or_insert(mac);
        self.config.derive_device_key(&self.identity.hostname, mac);
    }

    /// How connections to the server are secured.
    #[must_use]
    pub(super) fn security(&self) -> Security {
        match &self.tls {
            None => Security::Plain,
            Some(client) => Security::Tls(client.clone()),
        }
    }
}

/// What connections to an `https://` server need; `None` while there is no URL.
fn tls_of(config: &Config, material: Material, times: &Times) -> Option<Client> {
    let shared = tls::Config::new(material, times.clone());
    let name = match &config.api_url.as_ref()?.server().host {
        Host::Address(address) => ServerName::IpAddress((*address).into()),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .expect("a parsed URL has a name that DNS could have"),
    };
    Some(Client::new(shared, config.early_data, name))
}

fn report(problems: &[Problem]) {
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warn,
        };
        log::log!(level, "{problem}");
    }
}
