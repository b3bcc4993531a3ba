use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error as TlsError, InvalidMessage, PeerIncompatible};
use std::error::Error as _;
use std::fs;
use std::path::PathBuf;

use linkbeat_support::certificates::Certificates;

use super::failure::{classify, describe};
use super::*;
use crate::proto::event::TlsFailure;

/// A file that is there for one test.
struct Pem(PathBuf);

impl Pem {
    fn new(test: &str, content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("linkbeat-{test}-{}.pem", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn load(&self) -> Result<Arc<Config>, Error> {
        load(Roots::File(self.0.clone()))
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn load(roots: Roots) -> Result<Arc<Config>, Error> {
    Files { roots, identity: None }.load().map(|it| Config::new(it, Times::default()))
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
    let error = load(Roots::File("/nonexistent/ca.pem".into())).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/ca.pem");
    assert!(error.source().is_some());
}

#[test]
fn a_directory_or_device_is_not_read() {
    for path in ["/", "/dev/zero"] {
        let error = load(Roots::File(path.into())).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NotAFile(_)), "{error}");
    }
}

#[test]
fn a_file_over_the_limit_is_not_parsed() {
    let error = Pem::new("large", vec![b'\n'; (1 << 20) + 1]).load().unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge(_)), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_an_error() {
    for content in ["", "no PEM here", "-----BEGIN X-----\nAAAA\n-----END X-----\n"] {
        let error = Pem::new("empty", content).load().unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Empty(_)), "{error}");
    }
}

#[test]
fn a_bad_certificate_is_named_by_its_position() {
    let good = authority();
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = good.get(..good.len() / 2).unwrap();
    for bad in [not_base64, not_x509, cut] {
        let error = Pem::new("bad", format!("{good}{bad}")).load().unwrap_err();
        assert!(error.to_string().starts_with("certificate 2 in "), "{error}");
        assert!(error.source().is_some());
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
            drop(files::parse(std::path::Path::new("ca.pem"), content));
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
    // Alert, as told to a device that showed one or was not asked, and to one that had none to show.
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
fn a_wrong_clock_can_be_told_from_an_old_certificate() {
    let at = |seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
    let not_before = at(1_700_000_000);
    let error = CertificateError::NotValidYetContext { time: at(86_400), not_before };
    assert_eq!(
        describe(&TlsError::InvalidCertificate(error), 86_400).as_str(),
        "certificate not valid before Tue, 14 Nov 2023 22:13:20 GMT; \
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
