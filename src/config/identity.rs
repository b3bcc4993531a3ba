//! The certificate that a device shows: whether what the configuration says of it can be.

use super::problem::{Place, Problems};
use super::{Config, files};
use crate::net::tls::Purpose;

/// Where the files of TLS are named, if they are.
#[derive(Debug, Default)]
pub struct TlsPlaces {
    pub(super) ca_file: Option<Place>,
    pub(super) client_cert: Option<Place>,
    pub(super) client_key: Option<Place>,
}

impl TlsPlaces {
    pub(super) const fn of(&self, purpose: Purpose) -> Option<&Place> {
        match purpose {
            Purpose::Roots => self.ca_file.as_ref(),
            Purpose::Certificate => self.client_cert.as_ref(),
            Purpose::Key => self.client_key.as_ref(),
        }
    }
}

/// Tells where a certificate has no key or a key no certificate, and where everybody can read the key.
pub(super) fn look_at(config: &Config, at: &TlsPlaces, problems: &mut Problems) {
    if let Some(key) = config.client_key.as_deref()
        && key.metadata().is_ok_and(|it| files::is_public(&it))
        && let Some((file, place)) = &at.client_key
    {
        let mend = files::mend_file(key);
        problems.warning(
            file,
            Some(*place),
            format_args!("the file of tls.client_key can be read by every user: {mend}"),
        );
    }
    let (there, missing) = match (&config.client_cert, &config.client_key) {
        (Some(_), None) => (Purpose::Certificate, Purpose::Key),
        (None, Some(_)) => (Purpose::Key, Purpose::Certificate),
        (Some(_), Some(_)) | (None, None) => return,
    };
    if let Some((file, place)) = at.of(there) {
        problems.error(
            file,
            Some(*place),
            format_args!("{} needs {} as well", there.key(), missing.key()),
        );
    }
}
