//! The answer of this device to a server that asks for a client certificate (RFC 8446 §4.3.2).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use linkbeat_core::proto::event::TlsFailure;

/// The certificate to show, if there is one, and whether a server asked.
///
/// Connections to one server share it: what it asked of one it asks of all.
pub(super) struct ClientIdentity {
    /// The certificate and its key.
    certified: Option<Arc<CertifiedKey>>,
    /// Whether the server has asked for a certificate.
    asked: AtomicBool,
}

impl ClientIdentity {
    pub(super) const fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self { certified, asked: AtomicBool::new(false) }
    }

    /// Whether the server asked for a certificate and was shown none.
    pub(super) fn is_missed(&self) -> bool {
        self.certified.is_none() && self.asked.load(Ordering::Relaxed)
    }

    /// The hint of an HTTP answer about our certificate; `renegotiated`: the server wanted it after
    /// the handshake.
    ///
    /// Many let everybody in and say so in HTTP: nginx with 400 and a page that names it (its own
    /// 495 and 496 it shows to nobody), HAProxy and others that decide by a rule with a 403 that
    /// does not mention it, as for a token that is refused.
    pub(super) fn hint(&self, status: u16, body: &[u8], renegotiated: bool) -> Option<Hint> {
        use TlsFailure::{ClientCertificateRefused, ClientCertificateWanted};
        let asked = self.asked.load(Ordering::Relaxed);
        let named = NAMES.iter().any(|name| contains(body, name));
        match (&self.certified, status) {
            (_, 400 | 403) if renegotiated => Some(Hint::Failure(ClientCertificateWanted)),
            (Some(_), 403) if !asked => Some(Hint::Words(UNASKED)),
            _ if !asked => None,
            (None, 495 | 496) => Some(Hint::Failure(ClientCertificateWanted)),
            (Some(_), 495) => Some(Hint::Failure(ClientCertificateRefused)),
            (None, 400 | 403) if named => Some(Hint::Failure(ClientCertificateWanted)),
            (Some(_), 400 | 403) if named => Some(Hint::Failure(ClientCertificateRefused)),
            (None, 400 | 403) => Some(Hint::Words(MISSED)),
            (Some(_), 400 | 403) => Some(Hint::Words(DOUBTED)),
            _ => None,
        }
    }
}

/// The names that servers give it in their pages, in any case: nginx as the first.
const NAMES: [&[u8]; 2] = [b"ssl certificate", b"client certificate"];

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|it| it.eq_ignore_ascii_case(words))
}

/// The hint of an HTTP answer about a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// This, in other words.
    Failure(TlsFailure),
    /// A possible cause, in words.
    Words(&'static str),
}

/// The possible cause of a refusal.
const MISSED: &str =
    "the handshake asked for a client certificate, and there is none to show (tls.client_cert)";
const DOUBTED: &str = "the handshake asked for tls.client_cert: the server may not accept it";

/// TLS 1.3 has a message by which a server asks after the handshake, but only clients that offer to
/// answer.
const UNASKED: &str =
    "the handshake did not ask for tls.client_cert, which cannot be shown later for a single path";

/// Everything that a hint may say in words.
#[cfg(test)]
pub(super) const WORDS: [&str; 3] = [MISSED, DOUBTED, UNASKED];

/// Required by rustls, and never shown.
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl ResolvesClientCert for ClientIdentity {
    /// The certificate, whatever authorities the server names: only the server knows what it
    /// accepts.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::sign::any_ecdsa_type;

    use super::*;

    const NGINX: &[u8] = b"<html><title>400 No required SSL certificate was sent</title></html>";

    #[test]
    fn answer_speaks_of_the_certificate_where_it_names_it_and_may_where_one_was_asked_for() {
        let key = rcgen::KeyPair::generate().unwrap();
        let der = rustls::pki_types::PrivateKeyDer::from(key);
        let certified = Arc::new(CertifiedKey::new(Vec::new(), any_ecdsa_type(&der).unwrap()));
        let wanted = Some(Hint::Failure(TlsFailure::ClientCertificateWanted));
        let refused = Some(Hint::Failure(TlsFailure::ClientCertificateRefused));
        let (missed, doubted) = (Some(Hint::Words(MISSED)), Some(Hint::Words(DOUBTED)));
        for (status, body, missing, shown) in [
            (200, NGINX, None, None),
            (400, NGINX, wanted, refused),
            (400, b"a Client Certificate is required", wanted, refused),
            (400, b"{\"error\": \"seq is missing\"}", missed, doubted),
            (400, b"", missed, doubted),
            (401, NGINX, None, None),
            (403, NGINX, wanted, refused),
            (403, b"<h1>403 Forbidden</h1>", missed, doubted),
            (404, b"", None, None),
            (495, b"", wanted, refused),
            (496, b"", wanted, None),
            (500, b"", None, None),
        ] {
            for (certificate, expected) in [(None, missing), (Some(Arc::clone(&certified)), shown)]
            {
                let unasked =
                    (certificate.is_some() && status == 403).then_some(Hint::Words(UNASKED));
                let identity = ClientIdentity::new(certificate);
                assert_eq!(identity.hint(status, body, false), unasked, "{status}, not asked");
                let late = wanted.filter(|_| matches!(status, 400 | 403));
                assert_eq!(identity.hint(status, body, true), late, "{status}, asked late");
                let _ = identity.resolve(&[], &[]);
                assert_eq!(identity.hint(status, body, false), expected, "{status}, asked");
            }
        }
    }
}
