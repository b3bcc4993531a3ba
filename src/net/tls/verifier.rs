//! Whether a certificate is the server's, by a clock that may not be set.
//!
//! With the clock set, everything is as rustls does it. With a clock below the [`Floor`], the chain is
//! verified in full all the same (roots, signatures, name, usage, validity), only at a time of its
//! own: the floor, or the latest beginning of a validity in the chain if that is later, because a
//! certificate that exists has been issued. So one thing is wider: a certificate that expired after
//! the floor passes until the clock is set. One that expired before the floor does not, nor a chain
//! whose parts were never valid together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::proto::wall::{Floor, Source};
use crate::sys::clock;

/// Most beginnings of a validity that are looked for in one chain; rustls takes no longer ones.
const BEGINNINGS_MAX: usize = 8;

/// The times by which certificates are judged, shared by all who judge and the one who knows.
#[derive(Debug, Clone)]
pub struct Times {
    /// What the system's clock reads.
    pub wall: Arc<dyn TimeProvider>,
    /// Below it that clock is not set.
    pub floor: SharedFloor,
}

impl Default for Times {
    /// The system's clock, taken for set until somebody knows a floor.
    fn default() -> Self {
        Self { wall: Arc::new(SystemClock), floor: SharedFloor::default() }
    }
}

/// The floor as it is known now, in seconds since 1970 UTC.
#[derive(Debug, Clone, Default)]
pub struct SharedFloor(Arc<AtomicU64>);

impl SharedFloor {
    /// Puts another floor in force.
    pub fn set(&self, floor: Floor) {
        self.0.store(floor.unix_s, Ordering::Relaxed);
    }

    /// The floor; where it came from does not matter here.
    fn floor(&self) -> Floor {
        Floor { unix_s: self.0.load(Ordering::Relaxed), source: Source::Build }
    }
}

/// The wall clock. rustls asks it through a trait object, so that tests can have another one.
#[derive(Debug)]
struct SystemClock;

impl TimeProvider for SystemClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(clock::unix_seconds()))
    }
}

/// Time since boot, for the age of tickets: no jump of the wall clock may outdate them.
#[derive(Debug)]
pub(super) struct BootClock;

impl TimeProvider for BootClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_boot = Duration::from_micros(clock::now().as_micros());
        Some(UnixTime::since_unix_epoch(since_boot))
    }
}

fn unix_time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Verifies chains as rustls does, by the same functions, at the right time. Rustls' own verifier can take
/// lists of revoked certificates besides, and there are none here.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    times: Times,
}

impl Verifier {
    pub(super) fn new(roots: Arc<RootCertStore>, provider: &CryptoProvider, times: Times) -> Self {
        Self { roots, algorithms: provider.signature_verification_algorithms, times }
    }

    /// Whether a chain is that of `name` at this very second.
    pub(super) fn allows(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        unix_s: u64,
    ) -> bool {
        let Some((end_entity, intermediates)) = chain.split_first() else { return false };
        self.verify(end_entity, intermediates, name, unix_s).is_ok()
    }

    /// What the wall clock reads.
    pub(super) fn wall_s(&self) -> u64 {
        self.times.wall.current_time().map_or(0, |time| time.as_secs())
    }

    /// Roots, signatures, validity, usage and name (RFC 5280 §6.1, RFC 9525).
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        unix_s: u64,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let (at, algorithms) = (unix_time(unix_s), self.algorithms.all);
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            at,
            algorithms,
        )?;
        verify_server_name(&parsed, name)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _since_boot: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |unix_s| {
            self.verify(end_entity, intermediates, server_name, unix_s)
                .map(|()| ServerCertVerified::assertion())
        };
        let (wall_s, floor) = (self.wall_s(), self.times.floor.floor());
        if floor.allows(wall_s) {
            return verify(wall_s);
        }
        let mut at_s = floor.unix_s;
        for _ in 0..BEGINNINGS_MAX {
            match verify(at_s) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before.as_secs() > at_s => at_s = not_before.as_secs(),
                verdict => return verdict,
            }
        }
        verify(at_s)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
