//! The parts of ring's cryptography in use: all suites, groups and signatures, but not QUIC, and of
//! the private keys RSA and ECDSA, because no authority certifies clients with others.

use std::sync::Arc;

use rustls::crypto::ring::sign::{RsaSigningKey, any_ecdsa_type};
use rustls::crypto::ring::{self, cipher_suite};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

/// The cipher suites of ring, the newest version first and, within a version, the cheapest cipher
/// for this processor: without AES instructions ChaCha20 takes a fraction of the time (RFC 8446
/// §B.4 leaves the order to us, and servers commonly follow a client that asks for ChaCha20).
pub(super) fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = CryptoProvider { key_provider: &Keys, ..ring::default_provider() };
    // By version and key of the server; the last of each three is ChaCha20.
    provider.cipher_suites = vec![
        SupportedCipherSuite::Tls13(&AES_256),
        SupportedCipherSuite::Tls13(&AES_128),
        SupportedCipherSuite::Tls13(&CHACHA20),
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    if !has_aes {
        provider.cipher_suites.chunks_exact_mut(3).for_each(|kind| kind.rotate_right(1));
    }
    provider
}

/// The digest that names certificates and keys.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = AES_128.common.hash_provider.hash(bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

static AES_256: Tls13CipherSuite = without_quic(&cipher_suite::TLS13_AES_256_GCM_SHA384);
static AES_128: Tls13CipherSuite = without_quic(&cipher_suite::TLS13_AES_128_GCM_SHA256);
static CHACHA20: Tls13CipherSuite = without_quic(&cipher_suite::TLS13_CHACHA20_POLY1305_SHA256);

const fn without_quic(suite: &SupportedCipherSuite) -> Tls13CipherSuite {
    let SupportedCipherSuite::Tls13(suite) = suite else { panic!("a suite of TLS 1.3") };
    Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: suite.common.suite,
            hash_provider: suite.common.hash_provider,
            confidentiality_limit: suite.common.confidentiality_limit,
        },
        hkdf_provider: suite.hkdf_provider,
        aead_alg: suite.aead_alg,
        quic: None,
    }
}

/// Loads keys of RSA and ECDSA. Those of EdDSA would be another 8 KB.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(
        &self,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        match RsaSigningKey::new(&key) {
            Ok(rsa) => Ok(Arc::new(rsa)),
            Err(_) => any_ecdsa_type(&key),
        }
    }
}

/// Whether the processor has AES instructions. Cortex-A53 and A72 have them by design, but not as
/// licensed for the Raspberry Pi 3 and 4.
pub(super) fn has_aes_instructions() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86", target_arch = "x86_64")))]
    return false;
}
