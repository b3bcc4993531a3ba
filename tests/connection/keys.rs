//! A certificate is public, so a server must prove that it has the key.

use linkbeat::net::tls::Pin;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::*;

/// Connects to a server that shows `certificate` and signs with `key`. Returns the result and the
/// pin that the server showed.
fn outcome(
    certificate: &rcgen::Certificate,
    key: &rcgen::KeyPair,
    tls12_only: bool,
    roots: Roots<'_>,
) -> (Result<(), Failure>, Option<Pin>) {
    let key = any_ecdsa_type(&PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
    let versions: &[_] = if tls12_only { &[&TLS12] } else { &[&TLS13] };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(Arc::new(config)).expect("a sound configuration");
        while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
    });
    let material = tls::Files { roots, identity: None }.load().expect("sound files");
    let mut client = Client::open(at, Some(client_of(material)));
    let result = client.establish();
    let pin = client.connection.tls().and_then(TlsSession::shown_pin);
    drop(client);
    serving.join().expect("served");
    (result, pin)
}

#[test]
fn certificate_without_its_key_is_refused() {
    let (key, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let params = rcgen::CertificateParams::new([String::from("localhost")]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let name = format!("linkbeat-keys-{}.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, certificate.pem()).unwrap();
    for tls12_only in [false, true] {
        let (refused, pin) = outcome(&certificate, &key, tls12_only, Roots::Pins(&[]));
        assert_eq!(refused, Err(Failure::Tls(TlsFailure::WrongKey)));
        let pin = pin.expect("a key was shown");
        for roots in [Roots::Pins(&[pin]), Roots::File(&path)] {
            let owner = outcome(&certificate, &key, tls12_only, roots);
            assert_eq!(owner, (Ok(()), None), "{roots:?}");
            let thief = outcome(&certificate, &other, tls12_only, roots);
            let bad = Err(Failure::Tls(TlsFailure::BadCertificate));
            assert_eq!(thief, (bad, None), "{roots:?}, TLS 1.2: {tls12_only}");
        }
    }
    std::fs::remove_file(path).unwrap();
}
