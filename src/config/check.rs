//! `linkbeat check`: problems with their place, what is in force, and whether the system plays
//! along.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Config, Files, LogTarget, load, rp_filter};
use crate::error::Error;
use crate::net::tls;
use crate::proto::services::ServiceSettings;
use crate::proto::settings::BucketSettings;

#[cfg(test)]
mod tests;

/// The configuration of a device that is told no other.
pub const DEFAULT_FILE: &str = "/etc/rpi-cam/meeting.json";

/// Shown if no file of roots is named.
const WITHOUT_FILE: &str = if tls::BUILT_IN {
    "none, the roots of the web are built in"
} else {
    "not set, no roots are built in"
};

/// Checks the configuration at `file` (or [`DEFAULT_FILE`]) as [`load`] reads it, and tells `out`.
///
/// `root` is `/`, where `proc` is found. The default file may be missing, as on the first start; a
/// file that was named must be there.
///
/// # Errors
///
/// [`Error::Config`] if nothing of the configuration would be taken, [`Error::System`] if `out`
/// cannot be written to.
pub fn run(file: Option<&Path>, root: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let valid = check(file, root, out).map_err(Error::system("write to standard output"))?;
    if valid { Ok(()) } else { Err(Error::Config) }
}

fn check(file: Option<&Path>, root: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let mut loaded = load(path);
    for problem in &loaded.problems {
        writeln!(out, "{problem}")?;
    }
    for found in &loaded.found {
        writeln!(out, "read: {}", found.display())?;
    }
    if let Some(file) = file.filter(|file| !Files::of(file).is_meant(file, &loaded.found)) {
        writeln!(out, "{}: error: no such file", file.display())?;
        return Ok(false);
    }
    if loaded.found.is_empty() {
        let severity = if file.is_some() { "error" } else { "warning" };
        writeln!(out, "{}: {severity}: no configuration here", path.display())?;
        if file.is_some() {
            return Ok(false);
        }
    }
    let Some(config) = loaded.config.take() else { return Ok(false) };
    // By the very function that will read it.
    if let Some(error) = config.tls_files().and_then(|files| files.load().err()) {
        writeln!(out, "{}", loaded.tls_problem(path, &error))?;
        return Ok(false);
    }
    show(&config, out)?;
    for name in rp_filter::strict_interfaces(root, &config.settings) {
        writeln!(out, "warning: {}", rp_filter::Strict(name))?;
    }
    Ok(true)
}

/// Shows the configuration key by key, under the names that the files use.
fn show(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let settings = &config.settings;
    let path = |path: &'_ Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let rows: [(&str, &dyn Display); 26] = [
        ("enabled", &settings.enabled),
        ("api_url", &Or(config.api_url.as_ref(), "not set")),
        ("device_key", &Or(config.device_key.as_ref(), "host name and MAC, known to the agent")),
        ("token_code", &Or(config.token_code.as_ref(), "not set")),
        ("heartbeat_interval", &settings.interval.as_secs()),
        ("auto_connect", &settings.auto_connect),
        ("provisioned", &config.provisioned),
        ("description", &config.description),
        ("interfaces", &List(&settings.interfaces)),
        ("ignore_interfaces", &List(&settings.ignore_interfaces)),
        ("bind_to_uplink", &settings.bind_to_uplink),
        ("probe.address", &List(&settings.probe_addresses)),
        ("probe.timeout_ms", &settings.probe_timeout.as_millis()),
        ("request_timeout_ms", &settings.request_timeout.as_millis()),
        ("moderation.trigger", &Bucket(settings.trigger_bucket)),
        ("moderation.network", &Bucket(settings.network_bucket)),
        ("tls.ca_file", &Or(path(&config.ca_file), WITHOUT_FILE)),
        ("tls.client_cert", &Or(path(&config.client_cert), "none")),
        ("tls.client_key", &Or(path(&config.client_key), "none")),
        ("tls.early_data", &config.early_data),
        ("status_listen", &Or(config.status_listen.as_ref(), "off")),
        ("status_token", &Or(config.status_token.as_ref(), "not set")),
        ("trigger_socket", &Or(path(&config.trigger_socket), "off")),
        ("state_file", &Or(path(&config.state_file), "none")),
        ("log_level", &config.log_level.to_string().to_lowercase()),
        ("log_target", &config.log_target),
    ];
    for (key, value) in rows {
        writeln!(out, "{key}: {value}")?;
    }
    for ServiceSettings { name, address, interval } in &settings.services {
        writeln!(out, "watch: {name} at {address} every {} s", interval.as_secs())?;
    }
    match (settings.enabled, &config.api_url) {
        (false, _) => writeln!(out, "no beat is sent: enabled is false"),
        (true, None) => writeln!(out, "no beat is sent: api_url is not set"),
        (true, Some(_)) => Ok(()),
    }
}

/// The value, or words in its place.
struct Or<T>(Option<T>, &'static str);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

impl Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Stderr => "stderr",
            Self::Syslog => "syslog",
        })
    }
}

struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for item in self.0 {
            write!(f, "{separator}{item}")?;
            separator = ", ";
        }
        if self.0.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

struct Bucket(BucketSettings);

impl Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BucketSettings { burst, every } = self.0;
        write!(f, "{burst} at once, then one every {} ms", every.as_millis())
    }
}
