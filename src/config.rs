//! The configuration: `meeting.json` or `config.env` of the web manager, and `linkbeat.json`.
//!
//! ```text
//! defaults <- meeting.json, or config.env where that does not exist <- linkbeat.json
//! ```
//!
//! A later file overrides an earlier one, key by key. [`load`] reads all of them and returns a whole
//! configuration or none: if a file is invalid, the caller keeps the configuration that it has.
//! Every finding is a [`Problem`] with its place. Other modules decide on the effect of a
//! configuration on beats.

use std::fmt;
use std::fs::Metadata;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use crate::net::tls::{self, IdentityFiles, Pins, Roots};
use linkbeat_core::proto::link::{InterfaceName, Mac};
use linkbeat_core::proto::settings::{BucketSettings, MeteredSettings, Settings};
use linkbeat_core::wire::json::Chars;
use linkbeat_core::wire::percent;
use linkbeat_core::wire::request::ApiUrl;

mod check;
mod env;
mod files;
mod json_file;
mod keys;
mod listen;
pub mod manager;
mod problem;
pub mod rp_filter;
#[cfg(test)]
pub(crate) mod tests;

pub use crate::net::local::Listen;
pub use files::{ConfigFiles, DEFAULT_FILE, FILE_SIZE_MAX};
pub use keys::{DESCRIPTION_MAX, DEVICE_KEY_MAX, STATUS_TOKEN_MAX, STATUS_TOKEN_MIN};
pub use listen::StatusListen;
pub use problem::{PROBLEMS_MAX, Place, Problem, Severity};

use json_file::JsonFile;
use problem::{KeyPlaces, Problems};

/// Everything that an operator can set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The settings of the core; `server` is set if and only if [`Config::configured`].
    pub settings: Settings,
    /// The address of the server.
    pub api_url: Option<ApiUrl>,
    /// The key of the device at the server, at most [`DEVICE_KEY_MAX`] bytes, never empty; `None` until
    /// [`Config::derive_device_key`] if no file has it.
    pub device_key: Option<String>,
    /// `X-Token-Code`, a valid header value.
    pub token_code: Option<Secret>,
    /// Shown in the status for the web manager; nothing depends on it.
    pub provisioned: bool,
    /// Project name in `note`, at most [`DESCRIPTION_MAX`] bytes.
    pub description: String,
    /// Whether beats have a `note`, which overwrites that of the server.
    pub note: bool,
    /// Whether a last beat says that the agent is being stopped.
    pub goodbye: bool,
    /// PEM file of the roots that replace the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Keys of which the server must prove one; if there are any, roots, name and dates are not checked.
    pub pins: Pins,
    /// PEM file of the client certificate; set if and only if `client_key` is.
    pub client_cert: Option<PathBuf>,
    /// PEM file of the private key of the client certificate.
    pub client_key: Option<PathBuf>,
    /// Whether a beat may travel as TLS 1.3 early data.
    pub early_data: bool,
    /// The place where the status server listens.
    pub status_listen: StatusListen,
    /// Token that clients of the status server need over TCP; always set if it is not on loopback.
    pub status_token: Option<Secret>,
    /// Unix socket of the command line and of helpers.
    pub trigger_socket: Option<PathBuf>,
    /// File that keeps the history over a restart.
    pub state_file: Option<PathBuf>,
    /// The least severe level that is logged.
    pub log_level: LevelFilter,
    /// The destination of the log.
    pub log_target: LogTarget,
}

impl Default for Config {
    fn default() -> Self {
        let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
        let probe_v4 = SocketAddr::from((Ipv4Addr::new(8, 8, 8, 8), 53));
        let probe_v6 =
            SocketAddr::from((Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888), 53));
        Self {
            settings: Settings {
                enabled: true,
                auto_connect: true,
                server: None,
                interval: Duration::from_secs(30),
                interfaces: patterns(&["eth*", "en*", "wlan1", "wlan0", "wl*"]),
                ignore_interfaces: patterns(&["lo", "docker*", "veth*", "br-*"]),
                bind_to_uplink: true,
                probe_addresses: [probe_v4, probe_v6].into_iter().collect(),
                probe_timeout: Duration::from_secs(2),
                request_timeout: Duration::from_secs(10),
                recovery_spread: Duration::ZERO,
                metered: MeteredSettings {
                    interfaces: heapless::Vec::new(),
                    interval: Duration::from_secs(300),
                },
                standby_check: Duration::ZERO,
                trigger_bucket: bucket,
                network_bucket: bucket,
                services: heapless::Vec::new(),
            },
            api_url: None,
            device_key: None,
            token_code: None,
            provisioned: false,
            description: String::from("RTSP Recorder"),
            note: true,
            goodbye: true,
            ca_file: None,
            pins: Pins::new(),
            client_cert: None,
            client_key: None,
            early_data: false,
            status_listen: StatusListen::Auto,
            status_token: None,
            trigger_socket: Some(PathBuf::from("/run/linkbeat/trigger.sock")),
            state_file: None,
            log_level: LevelFilter::Info,
            log_target: LogTarget::Auto,
        }
    }
}

fn patterns<const N: usize>(names: &[&str]) -> heapless::Vec<InterfaceName, N> {
    names.iter().filter_map(|name| InterfaceName::new(name)).collect()
}

impl Config {
    /// Whether `api_url` and the device key are known, so that a beat can be sent.
    pub const fn configured(&self) -> bool {
        self.settings.server.is_some()
    }

    /// The files of TLS for an `https://` server; `None` for `http://` and without a server.
    pub fn tls_files(&self) -> Option<tls::Files<'_>> {
        self.api_url.as_ref().filter(|url| url.is_tls())?;
        let identity = self.client_cert.as_deref().zip(self.client_key.as_deref());
        let roots = match self.ca_file.as_deref() {
            _ if !self.pins.is_empty() => Roots::Pins(&self.pins),
            Some(path) => Roots::File(path),
            None => Roots::BuiltIn,
        };
        let identity = identity.map(|(certificate, key)| IdentityFiles { certificate, key });
        Some(tls::Files { roots, identity })
    }

    /// Derives the device key, unless a file has one.
    ///
    /// `mac` is chosen once and does not change with the uplink.
    pub fn derive_device_key(&mut self, hostname: &str, mac: Mac) {
        self.device_key.get_or_insert_with(|| derived_device_key(hostname, mac));
        self.connect_settings();
    }

    /// Whether a text from the server contains the token: literally, with escapes of JSON, or
    /// percent-encoded.
    pub fn contains_token(&self, text: &str) -> bool {
        let Some(token) = self.token_code.as_ref().map(Secret::expose) else { return false };
        contains(text.bytes(), token.bytes())
            || contains(Chars::of(text), token.chars())
            || contains(percent::decoded(text.as_bytes()), token.bytes())
    }

    /// Sets the server in the settings of the core once the agent is configured.
    fn connect_settings(&mut self) {
        let url = self.api_url.as_ref().filter(|_| self.device_key.is_some());
        self.settings.server = url.map(|url| url.server().clone());
    }
}

/// Whether `items` contain `part`, without a gap.
fn contains<T: PartialEq>(
    mut items: impl Iterator<Item = T> + Clone,
    part: impl Iterator<Item = T> + Clone,
) -> bool {
    loop {
        let mut here = items.clone();
        if part.clone().all(|item| here.next() == Some(item)) {
            return true;
        }
        if items.next().is_none() {
            return false;
        }
    }
}

/// The device key for a configuration without one: `{hostname}-{12 hex digits}`, in lower case.
pub fn derived_device_key(hostname: &str, mac: Mac) -> String {
    let [a, b, c, d, e, f] = mac.0;
    let lower_case: String = hostname.chars().flat_map(char::to_lowercase).collect();
    format!("{lower_case}-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}")
}

/// A secret: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `word`.
    pub const fn new(word: String) -> Self {
        Self(word)
    }

    /// The secret itself, only for sending and comparing it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

linkbeat_core::words! {
    /// The destination of the log, and its word in the files.
    pub enum LogTarget {
        /// Standard error on a terminal or under journald, else `/dev/log`.
        Auto = "auto",
        /// Standard error.
        Stderr = "stderr",
        /// `/dev/log`.
        Syslog = "syslog",
    }
}

/// The result of [`load`].
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` if a file is invalid.
    pub config: Option<Config>,
    /// The problems in the order of the files, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// The files that exist; none on the first start of a new camera.
    pub found: Vec<PathBuf>,
    /// The places of the keys.
    places: KeyPlaces,
}

impl Loaded {
    /// Makes a problem of a file of TLS that cannot be used, in a configuration of `path`.
    pub fn tls_problem(&self, path: &Path, error: &tls::Error) -> Problem {
        let key = error.purpose.as_str();
        let message = format!("{key}: {error}");
        Problem::new(Severity::Error, self.places.of(key), path, message)
    }

    /// Makes the warnings for a file of roots with certificates that are left out.
    pub fn tls_warnings(&self, path: &Path, material: &tls::Material) -> Vec<Problem> {
        let key = tls::Purpose::Roots.as_str();
        let warning = |left_out| {
            let message = format!("{key}: {left_out}");
            Problem::new(Severity::Warning, self.places.of(key), path, message)
        };
        material.left_out.iter().map(warning).collect()
    }
}

/// Reads the configuration that `path` belongs to ([`ConfigFiles::of`]).
///
/// Each file may have [`FILE_SIZE_MAX`] bytes; reading never blocks, not even on a FIFO. A file that
/// does not exist is no problem, one that cannot be read is an error.
pub fn load(path: &Path) -> Loaded {
    load_files(&ConfigFiles::of(path))
}

fn load_files(files: &ConfigFiles) -> Loaded {
    let mut problems = Problems::default();
    let mut config = Config::default();
    let mut found = Vec::new();

    if let Some(content) = files::read(&files.meeting, &mut problems, &mut found) {
        read_json(&files.meeting, &content, &mut config, &mut problems);
    } else if !found.contains(&files.meeting)
        && let Some((text, metadata)) = files::read(&files.env, &mut problems, &mut found)
    {
        env::read(&files.env, &text, &metadata, &mut config, &mut problems);
    }
    let own = files.own_to_read(&mut problems);
    if let Some(content) = files::read(own, &mut problems, &mut found) {
        read_json(own, &content, &mut config, &mut problems);
    }

    check::check(&config, &mut problems);
    config.connect_settings();
    let Problems { list, has_error, places } = problems;
    Loaded { config: (!has_error).then_some(config), problems: list, found, places }
}

fn read_json(
    file: &Path,
    (text, metadata): &(Vec<u8>, Metadata),
    config: &mut Config,
    problems: &mut Problems,
) {
    if let Some(mut json_file) = JsonFile::parse(file, text, metadata, problems) {
        keys::read(&mut json_file, config);
        json_file.finish();
    }
}
