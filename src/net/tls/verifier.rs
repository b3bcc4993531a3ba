//! Whether a certificate is the server's, by a clock that may not be set.
//!
//! With the clock set, everything is as rustls does it. With a clock that is impossible, the chain
//! is verified in full all the same (roots, signatures, name, usage, validity), only at a time of
//! its own: the floor, or the latest beginning of a validity in the chain if that is later, because
//! a certificate that exists has been issued. So one thing is wider: a certificate that expired
//! after the floor passes until the clock is set. One that expired before the floor does not, nor a
//! chain whose parts were never valid together.
//!
//! A clock that only a server's date contradicts judges all the same, because that server may be
//! the one that is wrong. What is valid by the clock passes, what has expired by it does not, and
//! only what is not yet valid is judged as with an impossible clock: when it begins.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme};

use super::signature;
use super::trust::Trust;
use crate::sys::clock;
use linkbeat_core::proto::wall::Floors;

/// Most beginnings of a validity that are tried for one chain; rustls takes no longer ones.
const BEGINNINGS_MAX: usize = 8;

/// The times by which certificates are judged, shared by all verifiers and the clock.
#[derive(Debug, Clone)]
pub struct Times {
    /// The reading of the system's clock.
    pub wall: Arc<dyn TimeProvider>,
    /// Below them that clock is not set.
    pub floors: SharedFloors,
}

impl Default for Times {
    /// The system's clock, taken for set until a floor is known.
    fn default() -> Self {
        Self { wall: Arc::new(SystemClock), floors: SharedFloors::default() }
    }
}

/// The floors as they are known now. Words hold them, because not every processor has atomics of 64
/// bits (MIPS); one of 32 bits reaches to 2106.
#[derive(Debug, Clone, Default)]
pub struct SharedFloors(Arc<[AtomicUsize; 3]>);

impl SharedFloors {
    /// Puts other floors in force.
    pub fn set(&self, floors: Floors) {
        let [built, certain, likely] = &*self.0;
        let word = |seconds| usize::try_from(seconds).unwrap_or(usize::MAX);
        built.store(word(floors.built_s), Ordering::Relaxed);
        certain.store(word(floors.certain_s), Ordering::Relaxed);
        likely.store(word(floors.likely_s), Ordering::Relaxed);
    }

    fn floors(&self) -> Floors {
        let [built, certain, likely] = &*self.0;
        Floors {
            built_s: built.load(Ordering::Relaxed) as u64,
            certain_s: certain.load(Ordering::Relaxed) as u64,
            likely_s: likely.load(Ordering::Relaxed) as u64,
        }
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

/// Verifies servers as [`Trust`] has it, at the right time.
pub(super) struct Verifier {
    /// The certificates or keys that make a server trusted.
    trust: Arc<Trust>,
    /// The signatures that can be verified.
    algorithms: WebPkiSupportedAlgorithms,
    /// By which time certificates are judged.
    times: Times,
}

impl Verifier {
    pub(super) fn new(trust: Arc<Trust>, provider: &CryptoProvider, times: Times) -> Self {
        Self { trust, algorithms: provider.signature_verification_algorithms, times }
    }

    /// Whether a chain is that of `name` at this very second.
    pub(super) fn allows(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        unix_s: u64,
    ) -> bool {
        self.trust.is_valid_at(chain, name, unix_time(unix_s), &self.algorithms)
    }

    /// The reading of the wall clock.
    pub(super) fn wall_s(&self) -> u64 {
        self.times.wall.current_time().map_or(0, |time| time.as_secs())
    }
}

/// Required by rustls, and never shown: its fields would be a kilobyte of code.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
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
            let (at, algorithms) = (unix_time(unix_s), &self.algorithms);
            self.trust
                .verify(end_entity, intermediates, server_name, at, algorithms)
                .map(|()| ServerCertVerified::assertion())
        };
        let (wall_s, floors) = (self.wall_s(), self.times.floors.floors());
        let mut at_s = floors.first_s(wall_s);
        for _ in 0..BEGINNINGS_MAX {
            match verify(at_s) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if !floors.allow(wall_s) && not_before.as_secs() > at_s => {
                    at_s = not_before.as_secs().max(floors.again_s(wall_s));
                }
                verdict => return verdict,
            }
        }
        verify(at_s)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let version = ProtocolVersion::TLSv1_2;
        signature::verify(message, cert, signed, version, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let version = ProtocolVersion::TLSv1_3;
        signature::verify(message, cert, signed, version, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
