//! `linkbeat check`: the problems with their place, the resulting settings, and system settings
//! that get in the way.

use std::fmt::{self, Display, Write as _};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::output::say;
use crate::config::{Config, ConfigFiles, DEFAULT_FILE, load, rp_filter};
use crate::error::Error;
use crate::net::tls;
use crate::status::Or;
use linkbeat_core::proto::settings::{BucketSettings, ServiceSettings};
use linkbeat_core::proto::time::millis;

mod guest;
#[cfg(test)]
pub(crate) mod tests;

/// Printed for `tls.ca_file` if it is not set.
const WITHOUT_FILE: &str = if tls::BUILT_IN {
    "none, the built-in roots are used"
} else {
    "not set, and no roots are built in"
};

/// Checks the configuration at `file` (or [`DEFAULT_FILE`]) as [`load`] reads it, and prints the
/// result to `out`.
///
/// `root` is `/`, the parent of `proc`. The default file may be missing, as before the first
/// configuration; a file that was named must exist.
///
/// # Errors
///
/// [`Error::Config`] if the agent would refuse the configuration, [`Error::System`] if `out`
/// cannot be written to.
pub(crate) fn run(file: Option<&Path>, root: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let mut text = String::new();
    let valid = check(file, root, &mut text).expect("a string takes every text");
    say(out, &text)?;
    if valid { Ok(()) } else { Err(Error::Config) }
}

fn check(file: Option<&Path>, root: &Path, out: &mut String) -> Result<bool, fmt::Error> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let mut loaded = load(path);
    for problem in &loaded.problems {
        writeln!(out, "{problem}")?;
    }
    for found in &loaded.found {
        writeln!(out, "read: {}", found.display())?;
    }
    if let Some(file) = file.filter(|file| !ConfigFiles::of(file).is_meant(file, &loaded.found)) {
        writeln!(out, "{}: error: no such file", file.display())?;
        return Ok(false);
    }
    if loaded.found.is_empty() {
        let severity = if file.is_some() { "error" } else { "warning" };
        writeln!(out, "{}: {severity}: no configuration found", path.display())?;
        if file.is_some() {
            return Ok(false);
        }
    }
    let Some(config) = loaded.config.take() else { return Ok(false) };
    // The agent reads the files with the same function.
    match config.tls_files().map(|files| files.load()) {
        Some(Err(error)) => {
            writeln!(out, "{}", loaded.tls_problem(path, &error))?;
            return Ok(false);
        }
        Some(Ok(material)) => {
            for warning in loaded.tls_warnings(path, &material) {
                writeln!(out, "{warning}")?;
            }
        }
        None => {}
    }
    show(&config, out)?;
    guest::report(root, &config, &ConfigFiles::of(path).own, out)?;
    for name in rp_filter::strict_interfaces(root, &config.settings) {
        writeln!(out, "warning: {}", rp_filter::Strict(name))?;
    }
    Ok(true)
}

/// Prints the configuration key by key, with the names that the files use.
fn show(config: &Config, out: &mut String) -> fmt::Result {
    let settings = &config.settings;
    let path = |path: &'_ Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let without_file = if config.pins.is_empty() { WITHOUT_FILE } else { "none" };
    let rows: [(&str, &dyn Display); 33] = [
        ("enabled", &settings.enabled),
        ("api_url", &Or(config.api_url.as_ref(), "not set")),
        (
            "device_key",
            &Or(config.device_key.as_ref(), "not set, made from host name and MAC by the agent"),
        ),
        ("token_code", &Or(config.token_code.as_ref(), "not set")),
        ("heartbeat_interval", &settings.interval.as_secs()),
        ("auto_connect", &settings.auto_connect),
        ("provisioned", &config.provisioned),
        ("description", &config.description),
        ("note", &config.note),
        ("goodbye", &config.goodbye),
        ("interfaces", &List(&settings.interfaces)),
        ("ignore_interfaces", &List(&settings.ignore_interfaces)),
        ("bind_to_uplink", &settings.bind_to_uplink),
        ("probe.address", &List(&settings.probe_addresses)),
        ("probe.timeout_ms", &millis(settings.probe_timeout)),
        ("request_timeout_ms", &millis(settings.request_timeout)),
        ("recovery_spread_ms", &millis(settings.recovery_spread)),
        ("metered.interfaces", &List(&settings.metered.interfaces)),
        ("metered.interval_s", &settings.metered.interval.as_secs()),
        ("standby_check_s", &settings.standby_check.as_secs()),
        ("moderation.trigger", &bucket(settings.trigger_bucket)),
        ("moderation.network", &bucket(settings.network_bucket)),
        ("tls.ca_file", &Or(path(&config.ca_file), without_file)),
        ("tls.pin_sha256", &List(&config.pins)),
        ("tls.client_cert", &Or(path(&config.client_cert), "none")),
        ("tls.client_key", &Or(path(&config.client_key), "none")),
        ("tls.early_data", &config.early_data),
        ("status_listen", &config.status_listen),
        ("status_token", &Or(config.status_token.as_ref(), "not set")),
        ("trigger_socket", &Or(path(&config.trigger_socket), "off")),
        ("state_file", &Or(path(&config.state_file), "none")),
        ("log_level", &config.log_level.to_string().to_ascii_lowercase()),
        ("log_target", &config.log_target),
    ];
    for (key, value) in rows {
        writeln!(out, "{key}: {value}")?;
    }
    if settings.services.is_empty() {
        writeln!(out, "watch: none")?;
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

/// Values with a comma between each two, or "none".
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

/// The limit of a kind of beats.
fn bucket(BucketSettings { burst, every }: BucketSettings) -> String {
    format!("{burst} at once, then one every {} ms", millis(every))
}
