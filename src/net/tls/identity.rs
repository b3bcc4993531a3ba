//! What this device shows of itself where a server asks for a client certificate (RFC 8446 §4.3.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// The certificate to show, if there is one, and whether a server asked.
///
/// Connections to one server share it: what it asked of one it asks of all.
#[derive(Debug)]
pub(super) struct Identity {
    certified: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Identity {
    pub(super) const fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self { certified, asked: AtomicBool::new(false) }
    }

    /// Whether the server asked for a certificate and was shown none.
    pub(super) fn is_missed(&self) -> bool {
        self.certified.is_none() && self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Identity {
    /// The certificate, whatever authorities the server names: only the server can tell what it takes.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
