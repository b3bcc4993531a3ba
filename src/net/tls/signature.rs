//! Whether the server has the key of its certificate: the signature of the handshake.
//!
//! Rustls' own function reads the certificate first and refuses many that `trust` takes.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, ProtocolVersion,
    SignatureScheme,
};

use super::trust::{TrustRefusal, parse};
use linkbeat_core::wire::certificate::Algorithm;

/// The bits that ring takes of an RSA key.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

/// Verifies that `message` was signed with the key in `certificate`.
pub(super) fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    version: ProtocolVersion,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = parse(certificate)?.public_key().ok_or(CertificateError::BadEncoding)?;
    let offered = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
    // RFC 8446 §4.2.3: these are for certificates alone, and a scheme of ECDSA has one curve, the
    // first.
    let (all, for_certificates) = match version {
        ProtocolVersion::TLSv1_3 => (
            1,
            matches!(
                signed.scheme,
                SignatureScheme::RSA_PKCS1_SHA256
                    | SignatureScheme::RSA_PKCS1_SHA384
                    | SignatureScheme::RSA_PKCS1_SHA512
            ),
        ),
        _ => (usize::MAX, false),
    };
    let Some((_, candidates)) = offered.filter(|_| !for_certificates) else {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    };
    let bits = key.rsa_bits();
    let algorithm = candidates
        .iter()
        .take(all)
        .find(|it| *it.public_key_alg_id() == *key.algorithm)
        .filter(|_| bits.is_none_or(|bits| RSA_BITS.contains(&bits)))
        .ok_or(TrustRefusal::UnsupportedKey(Algorithm::of(key.algorithm), bits))?;
    algorithm
        .verify_signature(key.key, message, signed.signature())
        .map_err(|_| CertificateError::BadSignature)?;
    Ok(HandshakeSignatureValid::assertion())
}
