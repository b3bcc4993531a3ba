//! Checks of values that are allowed each, but do not fit together or do not fit this device.

use std::io;

use super::problem::Problems;
use super::{Config, Listen, StatusListen, files};
use crate::net::tls::Purpose;
use crate::sys::atomic_file;
use linkbeat_core::wire::state_file;

/// Reports each at the place of its key.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    check_listen(config, problems);
    check_tls(config, problems);
    check_state_file(config, problems);
}

/// Refuses an address of the status server that the other keys do not allow.
fn check_listen(config: &Config, problems: &mut Problems) {
    let StatusListen::At(listen) = &config.status_listen else { return };
    if listen.is_open() && config.status_token.is_none() {
        let message =
            format!("status_listen {listen} is not a loopback address: set status_token as well");
        problems.error_at("status_listen", message);
    }
    if let Listen::Socket(path) = listen
        && config.trigger_socket.as_ref() == Some(path)
    {
        let message = "status_listen and trigger_socket are the same socket: give each its own";
        problems.error_at("status_listen", message);
    }
}

/// Warns of a key that everybody can read and of a file of roots without effect; refuses a
/// certificate without a key and a key without a certificate.
fn check_tls(config: &Config, problems: &mut Problems) {
    if let Some(key) = config.client_key.as_deref()
        && key.metadata().is_ok_and(|it| files::is_public(&it))
    {
        let mend = files::mend_file(key);
        let message = format!("the file of tls.client_key can be read by every user: {mend}");
        problems.warning_at(Purpose::Key.as_str(), message);
    }
    if config.ca_file.is_some() && !config.pins.is_empty() {
        let message =
            "tls.ca_file does not count beside tls.pin_sha256: the pinned key is the trust";
        problems.warning_at(Purpose::Roots.as_str(), message);
    }
    let (there, missing) = match (&config.client_cert, &config.client_key) {
        (Some(_), None) => (Purpose::Certificate.as_str(), Purpose::Key.as_str()),
        (None, Some(_)) => (Purpose::Key.as_str(), Purpose::Certificate.as_str()),
        (Some(_), Some(_)) | (None, None) => return,
    };
    problems.error_at(there, format_args!("{there} needs {missing} as well"));
}

/// Warns of a state file that is another program's, as `/etc/hosts` may be by a slip: it stays as
/// it is, and no history is kept.
fn check_state_file(config: &Config, problems: &mut Problems) {
    let Some(path) = &config.state_file else { return };
    let checked = atomic_file::check(path, state_file::STATE_MAX, state_file::is_ours);
    if checked.is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        let message = "state_file is there and not a file of linkbeat: name another path";
        problems.warning_at("state_file", message);
    }
}
