//! The configuration: `meeting.json`, `linkbeat.json` beside it, and `config.env`.
//!
//! ```text
//! defaults <- meeting.json, or config.env where that does not exist <- linkbeat.json
//! ```
//!
//! What is written later wins, key by key. [`load`] reads all of it and gives a whole
//! configuration or none: where a file is invalid the caller keeps what it has. Every finding is a
//! [`Problem`] with its place. Nothing here decides what a configuration means for a beat.

use std::fmt;
use std::fs::Metadata;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use crate::net::tls::{self, IdentityFiles, Roots};
use crate::proto::link::{Mac, Name};
use crate::proto::settings::{BucketSettings, Settings};
use crate::wire::json::Chars;
use crate::wire::percent;
use crate::wire::request::ApiUrl;

pub mod check;
mod document;
mod env;
mod files;
mod identity;
mod keys;
mod problem;
pub mod rp_filter;
#[cfg(test)]
mod tests;

pub use files::{FILE_SIZE_MAX, Files};
pub use identity::TlsPlaces;
pub use keys::{DESCRIPTION_MAX, DEVICE_KEY_MAX, STATUS_TOKEN_MAX, STATUS_TOKEN_MIN};
pub use problem::{PROBLEMS_MAX, Place, Problem, Severity};

use document::Document;
use problem::Problems;

/// Everything an operator can set. Equal configurations need no reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the core decides by; `server` is set if and only if [`Config::configured`].
    pub settings: Settings,
    /// Where beats go.
    pub api_url: Option<ApiUrl>,
    /// The device's name at the server, at most [`DEVICE_KEY_MAX`] bytes, never empty; `None` until
    /// [`Config::derive_device_key`] where no file names it.
    pub device_key: Option<String>,
    /// `X-Token-Code`, a valid header value.
    pub token_code: Option<Secret>,
    /// Kept and shown for the web manager; nothing depends on it.
    pub provisioned: bool,
    /// Project name in `note`, at most [`DESCRIPTION_MAX`] bytes.
    pub description: String,
    /// PEM file of the roots that replace the built-in ones, if there are any.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that this device shows; set if and only if `client_key` is.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub client_key: Option<PathBuf>,
    /// Whether a beat may travel as TLS 1.3 early data.
    pub early_data: bool,
    /// Where the status server listens.
    pub status_listen: Option<Listen>,
    /// Asked of everyone who speaks to the status server over TCP; set whenever it is not on loopback.
    pub status_token: Option<Secret>,
    /// Unix socket of the command line and of helpers.
    pub trigger_socket: Option<PathBuf>,
    /// Where the history survives a restart.
    pub state_file: Option<PathBuf>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// Where it is logged to.
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
                trigger_bucket: bucket,
                network_bucket: bucket,
                services: heapless::Vec::new(),
            },
            api_url: None,
            device_key: None,
            token_code: None,
            provisioned: false,
            description: String::from("RTSP Recorder"),
            ca_file: None,
            client_cert: None,
            client_key: None,
            early_data: false,
            status_listen: Some(Listen::Address((Ipv4Addr::LOCALHOST, 5000).into())),
            status_token: None,
            trigger_socket: Some(PathBuf::from("/run/linkbeat/trigger.sock")),
            state_file: None,
            log_level: LevelFilter::Info,
            log_target: LogTarget::Auto,
        }
    }
}

fn patterns<const N: usize>(names: &[&str]) -> heapless::Vec<Name, N> {
    names.iter().filter_map(|name| Name::new(name)).collect()
}

impl Config {
    /// Whether a beat can be addressed: `api_url` and the device key are both known.
    #[must_use]
    pub const fn configured(&self) -> bool {
        self.settings.server.is_some()
    }

    /// What secures the way to an `https://` server; `None` for `http://` and without a server.
    #[must_use]
    pub fn tls_files(&self) -> Option<tls::Files> {
        self.api_url.as_ref().filter(|url| url.is_tls())?;
        let identity = self.client_cert.clone().zip(self.client_key.clone());
        Some(tls::Files {
            roots: self.ca_file.clone().map_or(Roots::BuiltIn, Roots::File),
            identity: identity.map(|(certificate, key)| IdentityFiles { certificate, key }),
        })
    }

    /// Gives the device its derived key, unless a file names one.
    ///
    /// `mac` is decided once at start and never changes with the uplink.
    pub fn derive_device_key(&mut self, hostname: &str, mac: Mac) {
        self.device_key.get_or_insert_with(|| derived_device_key(hostname, mac));
        self.connect_settings();
    }

    /// Whether a text that a server had a hand in repeats the token it was sent: as it stands, behind
    /// the escapes of JSON, or percent-encoded.
    #[must_use]
    pub fn tells_token(&self, text: &str) -> bool {
        let Some(token) = self.token_code.as_ref().map(Secret::expose) else { return false };
        text.contains(token)
            || contains(Chars::of(text), token.chars())
            || contains(percent::decoded(text.as_bytes()), token.bytes())
    }

    /// Lets the core know the server as soon as a beat can be addressed.
    fn connect_settings(&mut self) {
        let url = self.api_url.as_ref().filter(|_| self.device_key.is_some());
        self.settings.server = url.map(|url| url.server().clone());
    }
}

/// Whether `items` has this `part` in it.
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

/// The device key of a camera whose configuration has none: `{hostname}-{12 hex digits}`, lower
/// case.
#[must_use]
pub fn derived_device_key(hostname: &str, mac: Mac) -> String {
    let [a, b, c, d, e, f] = mac.0;
    format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}", hostname.to_lowercase())
}

/// Where the status server listens; `Display` is how the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port of this device.
    Address(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Listen {
    /// Whether other machines could connect.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Address(address) if !address.ip().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A word that must not be seen: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `word`.
    #[must_use]
    pub const fn new(word: String) -> Self {
        Self(word)
    }

    /// The word itself, for the one place that sends or compares it.
    #[must_use]
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

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error on a terminal or under journald, else `/dev/log`.
    Auto,
    /// Standard error.
    Stderr,
    /// `/dev/log`.
    Syslog,
}

/// What [`load`] found.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` if a file is invalid, and then the one in force stays.
    pub config: Option<Config>,
    /// Findings in the order of the files, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// The files that exist. None of them: the first start of a fresh camera.
    pub found: Vec<PathBuf>,
    /// Where the files of TLS are named.
    pub tls_files_at: TlsPlaces,
}

impl Loaded {
    /// The problem of a file of TLS that cannot be used, in a configuration of `path`.
    #[must_use]
    pub fn tls_problem(&self, path: &Path, error: &tls::Error) -> Problem {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        let message = format!("{}: {error}{}", error.purpose.key(), cause.unwrap_or_default());
        Problem::error(self.tls_files_at.of(error.purpose), path, message)
    }
}

/// Where keys stand that can be wrong although their values are allowed.
#[derive(Default)]
struct Places {
    tls: TlsPlaces,
    status_listen: Option<Place>,
}

/// Reads the configuration that `path` belongs to ([`Files::of`]).
///
/// Bounded by [`FILE_SIZE_MAX`] for each file; never waits, not even for a FIFO. A file that does
/// not exist is no problem, one that cannot be read is an error.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let files = Files::of(path);
    let mut problems = Problems::default();
    let mut config = Config::default();
    let mut found = Vec::new();
    let mut places = Places::default();

    if let Some((text, metadata)) = files::read(&files.meeting, &mut problems, &mut found) {
        let file = (files.meeting.as_path(), text.as_slice(), &metadata);
        read_json(file, &mut config, &mut places, &mut problems);
    } else if !found.contains(&files.meeting)
        && let Some((text, metadata)) = files::read(&files.env, &mut problems, &mut found)
    {
        env::read(&files.env, &text, &metadata, &mut config, &mut problems);
    }
    if let Some((text, metadata)) = files::read(&files.own, &mut problems, &mut found) {
        let file = (files.own.as_path(), text.as_slice(), &metadata);
        read_json(file, &mut config, &mut places, &mut problems);
    }

    check_listen(&config, places.status_listen.as_ref(), &mut problems);
    identity::look_at(&config, &places.tls, &mut problems);
    config.connect_settings();
    Loaded {
        config: (!problems.has_errors()).then_some(config),
        problems: problems.into_vec(),
        found,
        tls_files_at: places.tls,
    }
}

/// Refuses a place of the status server that the other keys do not allow.
fn check_listen(config: &Config, place: Option<&Place>, problems: &mut Problems) {
    let (Some(listen), Some((file, at))) = (&config.status_listen, place) else { return };
    if listen.is_open() && config.status_token.is_none() {
        let message =
            format!("status_listen {listen} is not a loopback address: set status_token as well");
        problems.error(file, Some(*at), message);
    }
    if let Listen::Socket(path) = listen
        && config.trigger_socket.as_ref() == Some(path)
    {
        let message = "status_listen and trigger_socket are the same socket: give each its own";
        problems.error(file, Some(*at), message);
    }
}

fn read_json(
    (file, text, metadata): (&Path, &[u8], &Metadata),
    config: &mut Config,
    places: &mut Places,
    problems: &mut Problems,
) {
    if let Some(mut document) = Document::parse(file, text, metadata, problems) {
        keys::read(&mut document, config);
        for (key, place) in [
            ("tls.ca_file", &mut places.tls.ca_file),
            ("tls.client_cert", &mut places.tls.client_cert),
            ("tls.client_key", &mut places.tls.client_key),
            ("status_listen", &mut places.status_listen),
        ] {
            *place = document.place_of(key).or(place.take());
        }
        document.finish();
    }
}
