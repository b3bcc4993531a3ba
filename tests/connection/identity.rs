//! Servers that require a client certificate.

use std::path::PathBuf;

use linkbeat::net::tls::IdentityFiles;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use rustls::version::{TLS12, TLS13};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// The client certificate of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mine {
    None,
    Good,
    Foreign,
    Expired,
}

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Creates certificate and key of a device, in PEM.
fn device(issuer: &Issuer, expired: bool, kind: &'static SignatureAlgorithm) -> (String, String) {
    let mut params = CertificateParams::new([String::from("camera-1")]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if expired {
        params.not_after = date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate_for(kind).unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

/// A directory for one test, removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("linkbeat-identity-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A server that requires a client certificate of `authority`.
fn demanding(
    certificates: &Certificates,
    authority: &Issuer,
    tls12_only: bool,
) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let versions: &[_] = if tls12_only { &[&TLS12] } else { &[&TLS13] };
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::clone(&certificates.server(Shown::Good, false).cert_resolver));
    Arc::new(config)
}

/// Sends the first beat of a device with the certificate `mine`. Returns its status, or the failure
/// with its details.
fn beat(mine: Mine, tls12_only: bool) -> Result<u16, (Failure, String)> {
    let certificates = Certificates::new(&["localhost"]);
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let directory = Directory::new(&format!("{mine:?}-{tls12_only}"));
    let issuer = if mine == Mine::Foreign { &theirs } else { &ours };
    let (certificate, key) = device(issuer, mine == Mine::Expired, &PKCS_ECDSA_P384_SHA384);
    let identity = IdentityFiles {
        certificate: &directory.write("device.pem", &certificate),
        key: &directory.write("device.key", &key),
    };
    let roots = directory.write("ca.pem", certificates.authority_pem());
    let roots = Roots::File(&roots);
    let identity = (mine != Mine::None).then_some(identity);
    let material = tls::Files { roots, identity }.load().expect("sound files");
    let config = demanding(&certificates, &ours, tls12_only);
    let (at, serving) = serve_tls(config, |tls, stream| {
        assert!(tls.peer_certificates().is_some_and(|chain| chain.len() == 1));
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(ANSWER).expect("written");
        tls.flush().expect("flushed");
    });
    let mut client = Client::open(at, Some(client_of(material)));
    let result = client.first_beat_at_any_step();
    serving.join().expect("served");
    result
        .map(|reply| reply.status)
        .map_err(|failure| (failure, client.detail().unwrap_or_default().to_string()))
}

#[test]
fn client_certificate_is_accepted_or_its_refusal_is_reported() {
    for tls12_only in [false, true] {
        assert_eq!(beat(Mine::Good, tls12_only), Ok(200));
        for (mine, failure, words) in [
            (Mine::None, TlsFailure::ClientCertificateWanted, "certificate_required"),
            (Mine::Foreign, TlsFailure::ClientCertificateRefused, "unknown_ca"),
            (Mine::Expired, TlsFailure::ClientCertificateRefused, "certificate_expired"),
        ] {
            let (reported, detail) = beat(mine, tls12_only).expect_err("let in");
            assert_eq!(reported, Failure::Tls(failure), "{mine:?}, TLS 1.2: {tls12_only}");
            assert!(detail.contains(words), "{mine:?}: {detail}");
        }
    }
}

/// Reads exactly one TLS record (RFC 8446 §5.1).
fn read_record(tls: &mut ServerConnection, stream: &mut TcpStream) -> Result<(), rustls::Error> {
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).expect("a record");
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).expect("a whole record");
    tls.read_tls(&mut record.as_slice()).expect("memory");
    tls.process_new_packets().map(drop)
}

fn flush(tls: &mut ServerConnection, stream: &mut TcpStream) {
    while tls.wants_write() {
        tls.write_tls(stream).expect("written");
    }
}

#[test]
fn refusal_is_read_although_the_connection_is_reset() {
    let certificates = Certificates::new(&["localhost"]);
    let server = demanding(&certificates, &authority("ours"), false);
    let (write, written) = channel();
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(server).expect("a sound configuration");
        read_record(&mut tls, &mut stream).expect("a ClientHello");
        flush(&mut tls, &mut stream);
        let () = written.recv_timeout(PATIENCE).expect("a request");
        // Reads to the end of the handshake and no further.
        while read_record(&mut tls, &mut stream).is_ok() {}
        flush(&mut tls, &mut stream);
    });
    let mut client = Client::open(at, secure(&trusting(&certificates)));
    assert_eq!(client.establish(), Ok(()));
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    write.send(()).expect("a server");
    serving.join().expect("served");
    assert_eq!(client.next(), Err(Failure::Tls(TlsFailure::ClientCertificateWanted)));
}

/// The status of a beat of a device whose chain has `others` certificates behind its own.
fn beat_with_chain(others: usize, tls12_only: bool) -> Result<u16, Failure> {
    let certificates = Certificates::new(&["localhost"]);
    let ours = authority("ours");
    let directory = Directory::new(&format!("chain-{others}-{tls12_only}"));
    let (certificate, key) = device(&ours, false, &PKCS_ECDSA_P256_SHA256);
    let chain = certificate + &authority("theirs").pem().repeat(others);
    let identity = IdentityFiles {
        certificate: &directory.write("device.pem", &chain),
        key: &directory.write("device.key", &key),
    };
    let roots = directory.write("ca.pem", certificates.authority_pem());
    let files = tls::Files { roots: Roots::File(&roots), identity: Some(identity) };
    let material = files.load().expect("sound files");
    let config = demanding(&certificates, &ours, tls12_only);
    let (at, serving) = serve_tls(config, move |tls, stream| {
        let shown = tls.peer_certificates().expect("a chain");
        let bytes: usize = shown.iter().map(|it| it.len()).sum();
        assert!(shown.len() == 1 + others && bytes > 16 << 10, "{bytes}");
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(ANSWER).expect("written");
        tls.flush().expect("flushed");
    });
    let mut client = Client::open(at, Some(client_of(material)));
    let result = client.first_beat();
    serving.join().expect("served");
    result.map(|reply| reply.status)
}

#[test]
fn request_follows_a_client_chain_of_any_length() {
    for tls12_only in [false, true] {
        assert_eq!(beat_with_chain(60, tls12_only), Ok(200), "TLS 1.2: {tls12_only}");
    }
}

#[test]
fn client_certificate_is_sent_only_on_request() {
    let certificates = Certificates::new(&["localhost"]);
    let directory = Directory::new("unasked");
    let (certificate, key) = device(&authority("ours"), false, &PKCS_ECDSA_P256_SHA256);
    let identity = IdentityFiles {
        certificate: &directory.write("device.pem", &certificate),
        key: &directory.write("device.key", &key),
    };
    let roots = directory.write("ca.pem", certificates.authority_pem());
    let roots = Roots::File(&roots);
    let material = tls::Files { roots, identity: Some(identity) }.load().expect("sound files");
    let (at, serving) = serve_tls(certificates.server(Shown::Good, false), |tls, stream| {
        assert!(tls.peer_certificates().is_none());
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(ANSWER).expect("written");
        tls.flush().expect("flushed");
    });
    let mut client = Client::open(at, Some(client_of(material)));
    assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
    serving.join().expect("served");
}
