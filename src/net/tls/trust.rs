//! By what a server is known: authorities, a certificate of its own, or its key.
//!
//! Most private servers show what `openssl req -x509` makes: signed by itself, marked as an
//! authority's (`CA:TRUE`), at times of version 1 or with a common name alone. As a link of a chain
//! none of these is acceptable. As the very certificate that the operator has put into
//! `tls.ca_file` it is: nobody else can have its key. Then its dates and its name are all that is
//! left to check.
//!
//! A pin goes further: the key is the trust, whatever stands around it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};

use super::provider::sha256;
use linkbeat_core::wire::base64::{self, Base64};
use linkbeat_core::wire::certificate::{Algorithm, Certificate};

/// Most pins: the key in use and some in reserve.
pub const PINS_MAX: usize = 8;
/// The kinds of keys that ring can verify.
pub(super) const KEYS: &str = "RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519";

/// The SHA-256 of a public key (SubjectPublicKeyInfo, RFC 7469 §2.4); `Display` is its base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

/// Keys of which a server must prove one.
pub type Pins = heapless::Vec<Pin, PINS_MAX>;

impl Pin {
    /// Parses base64, as it stands or as curl has it, behind `sha256//`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pin = [0; 32];
        let text = text.strip_prefix("sha256//").unwrap_or(text);
        let length = base64::decode(text.as_bytes(), &mut pin)?;
        (length == pin.len()).then_some(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64(&self.0).fmt(f)
    }
}

/// The trusted certificates or keys, ready for use.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Chains that end in a root, and servers known by themselves.
    Certificates {
        /// The authorities.
        roots: RootCertStore,
        /// The SHA-256 of certificates that are good as they are.
        servers: Vec<[u8; 32]>,
    },
    /// Every server that proves one of these keys.
    Pins(Vec<Pin>),
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Certificates { roots, servers },
                Self::Certificates { roots: other_roots, servers: other_servers },
            ) => roots.roots == other_roots.roots && servers == other_servers,
            (Self::Pins(pins), Self::Pins(other)) => pins == other,
            (Self::Certificates { .. }, Self::Pins(_))
            | (Self::Pins(_), Self::Certificates { .. }) => false,
        }
    }
}

impl Trust {
    /// Whether the certificate is that of the server called `name`, at this time: by roots,
    /// signatures, validity, usage and name (RFC 5280 §6.1, RFC 9525), by itself with validity and
    /// name, or by its key alone.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        match self {
            Self::Pins(pins) => {
                let pin = Pin(sha256(parse(end_entity)?.public_key_info()));
                if pins.contains(&pin) { Ok(()) } else { Err(TrustRefusal::WrongKey(pin).into()) }
            }
            Self::Certificates { servers, .. } if servers.contains(&sha256(end_entity)) => {
                verify_validity(&parse(end_entity)?, at)?;
                verify_name(end_entity, name)
            }
            Self::Certificates { roots, .. } => {
                let (parsed, all) = (ParsedCertificate::try_from(end_entity)?, algorithms.all);
                verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, at, all)
                    .map_err(|error| match error {
                    // A root of the same name with another key: that of before a renewal, most
                    // likely.
                    Error::InvalidCertificate(CertificateError::BadSignature) => {
                        CertificateError::UnknownIssuer.into()
                    }
                    error => error,
                })?;
                verify_alt_name(&parsed, end_entity, name)
            }
        }
    }

    /// As [`verify`](Self::verify), with the dates of a pinned certificate as well.
    pub(super) fn is_valid_at(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> bool {
        let Some((end_entity, intermediates)) = chain.split_first() else { return false };
        let dated = || parse(end_entity).and_then(|parsed| verify_validity(&parsed, at)).is_ok();
        self.verify(end_entity, intermediates, name, at, algorithms).is_ok()
            && (matches!(self, Self::Certificates { .. }) || dated())
    }
}

pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, Error> {
    Certificate::parse(certificate).ok_or_else(|| CertificateError::BadEncoding.into())
}

fn verify_validity(certificate: &Certificate<'_>, time: UnixTime) -> Result<(), Error> {
    let (from_s, until_s) = certificate.validity_s().ok_or(CertificateError::BadEncoding)?;
    let date = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    if time.as_secs() < from_s {
        return Err(CertificateError::NotValidYetContext { time, not_before: date(from_s) }.into());
    }
    if until_s < time.as_secs() {
        return Err(CertificateError::ExpiredContext { time, not_after: date(until_s) }.into());
    }
    Ok(())
}

/// A common name counts only where there is no other (RFC 6125 §6.4.4; RFC 9525 has done away with
/// it).
fn verify_name(der: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let certificate = parse(der)?;
    if certificate.has_alt_names().ok_or(CertificateError::BadEncoding)? {
        return verify_alt_name(&ParsedCertificate::try_from(der)?, der, name);
    }
    let presented = certificate.common_name();
    if presented.is_some_and(|presented| is_named(presented, name)) {
        return Ok(());
    }
    let presented = presented.into_iter().map(str::to_owned).collect();
    let expected = name.to_owned();
    Err(CertificateError::NotValidForNameContext { expected, presented }.into())
}

/// webpki formats the names that it refuses by `{:?}`, which is no text for people, and empty in a small binary.
fn verify_alt_name(
    parsed: &ParsedCertificate<'_>,
    der: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    verify_server_name(parsed, name).map_err(|error| match (error, Certificate::parse(der)) {
        (
            Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                expected, ..
            }),
            Some(certificate),
        ) => {
            let presented = certificate.alt_names().map(|it| it.to_string()).collect();
            CertificateError::NotValidForNameContext { expected, presented }.into()
        }
        (error, _) => error,
    })
}

/// Whether a common name is this name or address, or covers it with `*` as its first label.
fn is_named(common_name: &str, name: &ServerName<'_>) -> bool {
    let is_name = |text: &str| ServerName::try_from(text).is_ok_and(|it| it == *name);
    match (common_name.strip_prefix("*."), name) {
        (None, _) => is_name(common_name),
        (Some(parent), ServerName::DnsName(name)) => name
            .as_ref()
            .split_once('.')
            .is_some_and(|(_, rest)| rest.contains('.') && rest.eq_ignore_ascii_case(parent)),
        (Some(_), _) => false,
    }
}

/// Refusals that webpki does not know.
pub(super) enum TrustRefusal {
    /// The key is none of the pinned ones.
    WrongKey(Pin),
    /// A signature with this key cannot be verified; with its bits if it is of RSA.
    UnsupportedKey(Algorithm, Option<usize>),
}

impl std::error::Error for TrustRefusal {}

impl fmt::Debug for TrustRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TrustRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey(pin) => {
                write!(
                    f,
                    "the key of what answers has the pin {pin}, which is not in tls.pin_sha256"
                )
            }
            Self::UnsupportedKey(algorithm, bits) => {
                f.write_str("the key in the certificate is ")?;
                match bits {
                    Some(bits) => write!(f, "RSA of {bits} bits")?,
                    None => f.write_str(algorithm.as_str())?,
                }
                write!(f, "; it must be {KEYS}")
            }
        }
    }
}

impl From<TrustRefusal> for Error {
    fn from(refusal: TrustRefusal) -> Self {
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

#[cfg(test)]
mod tests;
