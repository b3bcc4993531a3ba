use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error as TlsError, InvalidMessage, PeerIncompatible};
use std::fs;
use std::path::{Path, PathBuf};

use linkbeat_support::certificates::Certificates;

use super::failure::{classify, describe};
use super::*;
use linkbeat_core::proto::event::TlsFailure;

/// A file that is there for one test.
struct Pem(PathBuf);

impl Pem {
    fn new(test: &str, content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("linkbeat-{test}-{}.pem", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn load(&self) -> Result<Client, Error> {
        load(Roots::File(&self.0))
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn load(roots: Roots<'_>) -> Result<Client, Error> {
    let material = Files { roots, identity: None }.load()?;
    Ok(Client::new(material, Times::default(), false, None))
}

fn authority() -> String {
    Certificates::new(&["localhost"]).authority_pem().to_owned()
}

#[test]
fn the_built_in_roots_are_sound() {
    if !BUILT_IN {
        assert!(matches!(load(Roots::BuiltIn).map_err(|it| it.kind), Err(ErrorKind::NotBuiltIn)));
        return;
    }
    let config = &load(Roots::BuiltIn).unwrap().tls;
    assert!(config.enable_sni);
    assert!(!config.enable_early_data);
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
}

#[test]
fn certificates_are_found_among_other_text() {
    let text = format!("Our authority\n{}\nand another\n{}", authority(), authority());
    assert!(Pem::new("among", text).load().is_ok());
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Roots::File(Path::new("/nonexistent/ca.pem"))).unwrap_err();
    let words = "cannot read /nonexistent/ca.pem: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), words);
}

#[test]
fn a_directory_or_device_is_not_read() {
    for path in ["/", "/dev/zero"] {
        let error = load(Roots::File(Path::new(path))).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NotAFile), "{error}");
    }
}

#[test]
fn a_file_over_the_limit_is_not_parsed() {
    let error = Pem::new("large", vec![b'\n'; (1 << 20) + 1]).load().unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_an_error() {
    for content in ["", "no PEM here", "-----BEGIN X-----\nAAAA\n-----END X-----\n"] {
        let error = Pem::new("empty", content).load().unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Empty), "{error}");
    }
}

const NOT_BASE64: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
const NOT_X509: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const TRUSTED: &str = include_str!("../../../tests/vectors/certificates/trusted.pem");

#[test]
fn bad_certificate_is_left_out_by_name_and_the_others_count() {
    let good = authority();
    let cut = good.get(..good.len() / 2).unwrap();
    for (bad, flaw, words) in [
        (NOT_BASE64, Flaw::Damaged, "is damaged"),
        (NOT_X509, Flaw::NotX509, "is not an X.509 certificate"),
        (cut, Flaw::Damaged, "is damaged"),
        (TRUSTED, Flaw::TrustSettings, "is a TRUSTED CERTIFICATE of OpenSSL"),
    ] {
        let pem = Pem::new("bad", format!("{good}{bad}{good}"));
        let files = Files { roots: Roots::File(&pem.0), identity: None };
        let material = files.load().unwrap();
        let Trust::Certificates { roots, servers } = &*material.trust else { panic!("no roots") };
        assert_eq!((roots.len(), servers.len()), (2, 2), "{words}");
        let line = 1 + good.lines().count();
        assert_eq!(*material.left_out, [LeftOut { position: 2, line, flaw }]);
        let reported = material.left_out[0].to_string();
        assert!(
            reported.starts_with(&format!("certificate 2 (line {line}) is left out: it {words}"))
        );
        // Alone, it is an error.
        let error = Pem::new("alone", bad).load().unwrap_err();
        assert!(error.to_string().starts_with("certificate 1 in "), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn certificates_left_out_are_named_up_to_a_limit() {
    let pem = Pem::new("many", format!("{}{}", NOT_X509.repeat(1000), authority()));
    let files = Files { roots: Roots::File(&pem.0), identity: None };
    assert_eq!(files.load().unwrap().left_out.len(), 16);
}

#[test]
fn byte_order_mark_and_the_old_label_do_not_matter() {
    let old = authority().replace(" CERTIFICATE", " X509 CERTIFICATE");
    for content in [format!("\u{feff}{}", authority()), old, authority().replace('\n', "\r\n")] {
        let pem = Pem::new("forms", content);
        let files = Files { roots: Roots::File(&pem.0), identity: None };
        assert_eq!(files.load().unwrap().left_out.len(), 0);
    }
}

#[test]
fn encrypted_key_is_named_with_the_command_that_opens_it() {
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let dsa = "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n";
    let certificate = Pem::new("shown", authority());
    for (content, words) in [
        (key, "is encrypted: write it without a password, with `openssl pkey -in "),
        (dsa, "cannot be used: it is damaged, or neither RSA"),
        ("", "no private key in PEM form in "),
    ] {
        let key = Pem::new("key", content);
        let identity = Some(IdentityFiles { certificate: &certificate.0, key: &key.0 });
        let roots = Roots::File(&certificate.0);
        let error = Files { roots, identity }.load().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.purpose.as_str(), "tls.client_key");
    }
}

#[test]
fn a_file_cut_or_changed_anywhere_never_panics() {
    let good = authority().into_bytes();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x21;
        for content in [&good[..at], &changed] {
            // Whether it is still sound is not the claim.
            drop(files::parse(content));
        }
    }
}

#[test]
fn without_aes_instructions_chacha20_comes_first_in_each_version() {
    let names = |has_aes| {
        let suites = provider::provider(has_aes).cipher_suites;
        suites.iter().map(|it| it.suite().as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    let (with, without) = (names(true), names(false));
    assert_eq!(with.first(), Some(&"TLS13_AES_256_GCM_SHA384"));
    assert_eq!(without.first(), Some(&"TLS13_CHACHA20_POLY1305_SHA256"));
    assert!(without[3].contains("ECDSA_WITH_CHACHA20") && without[6].contains("RSA_WITH_CHACHA20"));
    assert!(without[..3].iter().all(|name| name.starts_with("TLS13")));
    assert_eq!(with.len(), without.len());
}

#[test]
fn every_kind_of_error_has_its_failure() {
    let at = UnixTime::since_unix_epoch(core::time::Duration::from_secs(1));
    let certificate = [
        (CertificateError::Expired, TlsFailure::Expired),
        (CertificateError::ExpiredContext { time: at, not_after: at }, TlsFailure::Expired),
        (CertificateError::NotValidYet, TlsFailure::NotYetValid),
        (
            CertificateError::NotValidYetContext { time: at, not_before: at },
            TlsFailure::NotYetValid,
        ),
        (CertificateError::NotValidForName, TlsFailure::WrongName),
        (CertificateError::UnknownIssuer, TlsFailure::UnknownIssuer),
        (CertificateError::BadSignature, TlsFailure::BadCertificate),
        (CertificateError::BadEncoding, TlsFailure::BadCertificate),
    ];
    for (error, wanted) in certificate {
        assert_eq!(classify(&TlsError::InvalidCertificate(error), false), wanted);
    }
    let alert = rustls::AlertDescription::HandshakeFailure;
    let other = [
        (TlsError::NoCertificatesPresented, TlsFailure::BadCertificate),
        (TlsError::AlertReceived(alert), TlsFailure::RefusedByServer),
        (TlsError::DecryptError, TlsFailure::Handshake),
        (PeerIncompatible::NoCipherSuitesInCommon.into(), TlsFailure::Handshake),
    ];
    for (error, wanted) in other {
        assert_eq!(classify(&error, false), wanted);
    }
}

#[test]
fn what_a_server_says_of_certificates_it_says_of_ours() {
    use TlsFailure::{ClientCertificateRefused, ClientCertificateWanted, RefusedByServer};
    use rustls::AlertDescription as Alert;
    // The alert, what it means for a device that showed one or was not asked, and for one that had
    // none to show.
    for (alert, shown, missed) in [
        (Alert::CertificateRequired, ClientCertificateWanted, ClientCertificateWanted),
        (Alert::HandshakeFailure, RefusedByServer, ClientCertificateWanted),
        (Alert::BadCertificate, ClientCertificateRefused, ClientCertificateWanted),
        (Alert::UnknownCA, ClientCertificateRefused, ClientCertificateWanted),
        (Alert::CertificateExpired, ClientCertificateRefused, ClientCertificateWanted),
        (Alert::AccessDenied, ClientCertificateRefused, ClientCertificateWanted),
        (Alert::UnrecognisedName, RefusedByServer, RefusedByServer),
        (Alert::ProtocolVersion, RefusedByServer, RefusedByServer),
    ] {
        assert_eq!(classify(&TlsError::AlertReceived(alert), false), shown, "{alert:?}");
        assert_eq!(classify(&TlsError::AlertReceived(alert), true), missed, "{alert:?}");
    }
}

#[test]
fn a_wrong_clock_is_distinguished_from_an_old_certificate() {
    let at = |seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
    let not_before = at(1_700_000_000);
    let error = CertificateError::NotValidYetContext { time: at(86_400), not_before };
    assert_eq!(
        describe(&TlsError::InvalidCertificate(error), 86_400).as_str(),
        "certificate valid from Tue, 14 Nov 2023 22:13:20 GMT; \
         the clock here says Fri, 02 Jan 1970 00:00:00 GMT"
    );
}

#[test]
fn a_description_is_one_printable_line_whatever_the_server_says() {
    let name = "\u{1b}[2J\n\u{2028}".repeat(100);
    let presented = vec![name.clone(), name];
    let expected = "localhost".try_into().unwrap();
    let far = UnixTime::since_unix_epoch(core::time::Duration::from_secs(u64::MAX));
    let errors = [
        TlsError::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }),
        TlsError::InvalidCertificate(CertificateError::ExpiredContext {
            time: far,
            not_after: far,
        }),
        InvalidMessage::InvalidContentType.into(),
    ];
    for error in errors {
        let line = describe(&error, 0);
        assert!(!line.is_empty() && line.len() <= DETAIL_MAX);
        assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line}");
    }
}

/// An error of this file.
pub(crate) fn error(purpose: Purpose, path: &Path, kind: ErrorKind) -> Error {
    files::fail(purpose, path)(kind)
}

/// Every detail that [`describe`] and an HTTP answer give of a failure, with parameters of usual length.
pub(crate) fn details() -> Vec<(Failure, String)> {
    use super::trust::TrustRefusal;
    use CertificateError as Bad;
    use linkbeat_core::wire::certificate::Algorithm;
    use webpki::Error as Rule;
    let at = |seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
    let curve = || vec![0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let other = |error: Rule| Bad::Other(rustls::OtherError(Arc::new(error)));
    let expected = || "heartbeat.meeting.example.com".try_into().unwrap();
    let presented = vec![String::from("other.meeting.example.com")];
    let (early, late) = (at(86_400), at(1_800_000_000));
    let mut certificates = vec![
        Bad::NotValidForNameContext { expected: expected(), presented },
        Bad::NotValidForNameContext { expected: expected(), presented: Vec::new() },
        Bad::UnknownIssuer,
        Bad::BadSignature,
        Bad::BadEncoding,
        Bad::InvalidPurposeContext {
            required: rustls::ExtendedKeyPurpose::ServerAuth,
            presented: Vec::new(),
        },
        Bad::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        },
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: Vec::new(),
            public_key_algorithm_id: curve(),
        },
        other(Rule::CaUsedAsEndEntity),
        other(Rule::UnsupportedCertVersion),
        other(Rule::NameConstraintViolation),
        other(Rule::EndEntityUsedAsCa),
        other(Rule::PathLenConstraintViolated),
        other(Rule::UnsupportedCriticalExtension),
        other(Rule::BadDer),
        Bad::Revoked,
    ];
    for time in [early, late] {
        certificates.push(Bad::ExpiredContext { time, not_after: early });
        certificates.push(Bad::NotValidYetContext { time, not_before: late });
    }
    let refusals = [
        TrustRefusal::WrongKey(Pin([0xff; 32])),
        TrustRefusal::UnsupportedKey(Algorithm::Rsa, Some(1_024)),
        TrustRefusal::UnsupportedKey(Algorithm::Curve, None),
    ];
    let mut errors: Vec<TlsError> = refusals.into_iter().map(TlsError::from).collect();
    errors.extend(certificates.into_iter().map(TlsError::InvalidCertificate));
    errors.extend((0..=u8::MAX).map(|number| TlsError::AlertReceived(number.into())));
    errors.extend([
        TlsError::NoCertificatesPresented,
        InvalidMessage::InvalidContentType.into(),
        PeerIncompatible::ServerDoesNotSupportTls12Or13.into(),
        PeerIncompatible::NoCipherSuitesInCommon.into(),
        TlsError::DecryptError,
        TlsError::NoApplicationProtocol,
        TlsError::General(String::new()),
    ]);
    // With a clock that is set, and with one that is not.
    let reported = |error: &TlsError| {
        [0, 1_800_000_000].map(|wall_s| {
            (failure::failure_of(error, false), describe(error, wall_s).as_str().to_owned())
        })
    };
    let mut details: Vec<_> = errors.iter().flat_map(reported).collect();
    let wanted = Failure::Tls(TlsFailure::ClientCertificateWanted);
    details.push((wanted, failure::LATE.to_owned()));
    details.extend(identity::WORDS.map(|words| (Failure::Status(403), words.to_owned())));
    details
}
