//! The check of the certificates and keys that a configuration names.

use super::problem::{KeyPlaces, Problems};
use super::{Config, files};
use crate::net::tls::Purpose;

/// Warns of a key that everybody can read and of a file of roots without effect; refuses a certificate
/// without a key and a key without a certificate.
pub(super) fn check(config: &Config, places: &KeyPlaces, problems: &mut Problems) {
    if let Some(key) = config.client_key.as_deref()
        && key.metadata().is_ok_and(|it| files::is_public(&it))
        && let Some((file, at)) = places.of(Purpose::Key.key())
    {
        let mend = files::mend_file(key);
        let message = format!("the file of tls.client_key can be read by every user: {mend}");
        problems.warning(file, Some(*at), message);
    }
    if let Some((file, at)) = places.of(Purpose::Roots.key())
        && config.ca_file.is_some()
        && !config.pins.is_empty()
    {
        let message =
            "tls.ca_file does not count beside tls.pin_sha256: the pinned key is the trust";
        problems.warning(file, Some(*at), message);
    }
    let (there, missing) = match (&config.client_cert, &config.client_key) {
        (Some(_), None) => (Purpose::Certificate, Purpose::Key),
        (None, Some(_)) => (Purpose::Key, Purpose::Certificate),
        (Some(_), Some(_)) | (None, None) => return,
    };
    if let Some((file, at)) = places.of(there.key()) {
        problems.error(
            file,
            Some(*at),
            format_args!("{} needs {} as well", there.key(), missing.key()),
        );
    }
}
