//! Errors of rustls: as a [`TlsFailure`] for decisions, as a [`Detail`] for people.

use std::fmt::{self, Write};

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, Error, HandshakeType, OtherError, PeerIncompatible,
};

use super::trust::{KEYS, Pin, TrustRefusal};
use linkbeat_core::proto::event::{Failure, TlsFailure};
use linkbeat_core::proto::wall::SLACK_S;
use linkbeat_core::wire::certificate::Algorithm;
use linkbeat_core::wire::cut::Cut;
use linkbeat_core::wire::date::{HttpDate, Utc};

/// Longest [`Detail`], in bytes.
pub const DETAIL_MAX: usize = 200;

/// One line for people: printable ASCII, cut at [`DETAIL_MAX`], without secrets.
pub type Detail = heapless::String<DETAIL_MAX>;

/// Returns the kind of failure, for decisions and statistics. `missed`: the server asked for a
/// client certificate, and this device has none.
pub(super) fn classify(error: &Error, missed: bool) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => classify_certificate(error),
        Error::NoCertificatesPresented => TlsFailure::BadCertificate,
        Error::AlertReceived(alert) => classify_alert(*alert, missed),
        // RFC 8446 §4.6.2: allowed only if the client has offered it, which rustls does not.
        Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::CertificateRequest,
            ..
        } => TlsFailure::ClientCertificateWanted,
        _ => TlsFailure::Handshake,
    }
}

/// Returns the failure that is reported to the core. A server that rejects the offered protocol,
/// HTTP/1.1, speaks another one at this port, most likely HTTP/2 (RFC 7301 §3.2).
pub(super) fn failure_of(error: &Error, missed: bool) -> Failure {
    match error {
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Failure::Http2Only,
        _ => Failure::Tls(classify(error, missed)),
    }
}

/// RFC 8446 §6.2: a server's alerts about certificates are about the client's. Before TLS 1.3 there
/// was no alert for a missing one.
fn classify_alert(alert: AlertDescription, missed: bool) -> TlsFailure {
    match alert {
        AlertDescription::CertificateRequired => TlsFailure::ClientCertificateWanted,
        AlertDescription::NoCertificate | AlertDescription::HandshakeFailure if missed => {
            TlsFailure::ClientCertificateWanted
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            if missed {
                TlsFailure::ClientCertificateWanted
            } else {
                TlsFailure::ClientCertificateRefused
            }
        }
        _ => TlsFailure::RefusedByServer,
    }
}

fn classify_certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::WrongName
        }
        CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer,
        CertificateError::Other(other) => classify_other(other),
        _ => TlsFailure::BadCertificate,
    }
}

/// A certificate that by its form is not a server's is self-signed or an authority's. Either way
/// its issuer is not known.
fn classify_other(OtherError(error): &OtherError) -> TlsFailure {
    use webpki::Error::{CaUsedAsEndEntity, UnsupportedCertVersion};
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(TrustRefusal::WrongKey(_)), _) => TlsFailure::WrongKey,
        (_, Some(CaUsedAsEndEntity | UnsupportedCertVersion)) => TlsFailure::UnknownIssuer,
        _ => TlsFailure::BadCertificate,
    }
}

/// The pin of the key that the server presented, if it is not among the configured pins.
pub(super) fn shown_pin(error: &Error) -> Option<Pin> {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else {
        return None;
    };
    match error.downcast_ref()? {
        TrustRefusal::WrongKey(pin) => Some(*pin),
        TrustRefusal::UnsupportedKey(..) => None,
    }
}

/// Describes the failure; `wall_s` is the time of the local clock, in seconds since 1970 UTC.
///
/// The text may contain bytes from the server, so only printable ASCII is copied.
pub(super) fn describe(error: &Error, wall_s: u64) -> Detail {
    let mut detail = Detail::new();
    let printable = |char: char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' };
    let mut line = Cut { to: &mut detail, room: DETAIL_MAX, clean: printable };
    // A full buffer ends the writing: the text is cut there.
    write_description(&mut line, error, wall_s).ok();
    detail
}

fn write_description(line: &mut dyn Write, error: &Error, wall_s: u64) -> fmt::Result {
    line.write_str(match error {
        Error::InvalidCertificate(error) => return describe_certificate(line, error, wall_s),
        Error::AlertReceived(alert) => return describe_alert(line, *alert),
        Error::NoCertificatesPresented => "the server presents no certificate",
        Error::InvalidMessage(_) => "the answer of the server is not TLS",
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks neither TLS 1.2 nor 1.3"
        }
        Error::PeerIncompatible(_) => "no cipher suite and key exchange is supported by both sides",
        Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::CertificateRequest,
            ..
        } => LATE,
        Error::DecryptError => "a record from the server cannot be decrypted",
        Error::NoApplicationProtocol => "the server does not offer http/1.1 in TLS (ALPN)",
        _ => "the server violates the TLS protocol",
    })
}

/// The detail for a server that asks for a client certificate only after it has read the request.
pub(super) const LATE: &str = "the server asks after the handshake, which is not supported: have it ask for the \
                               whole server";

fn describe_certificate(
    line: &mut dyn Write,
    error: &CertificateError,
    wall_s: u64,
) -> fmt::Result {
    let words = match error {
        // A camera without a battery for its clock fails here while its own date is wrong: show
        // both dates.
        CertificateError::ExpiredContext { time, not_after } => {
            write!(line, "certificate expired {}", date(*not_after))?;
            return write_clock(line, *time, wall_s);
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            write!(line, "certificate valid from {}", date(*not_before))?;
            return write_clock(line, *time, wall_s);
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            write!(line, "certificate is not for {}, but for ", expected.to_str())?;
            let mut separator = "";
            for name in presented {
                write!(line, "{separator}{name}")?;
                separator = ", ";
            }
            if presented.is_empty() { "no name" } else { "" }
        }
        CertificateError::UnknownIssuer => {
            "certificate does not lead to a trusted root; add your own authority with tls.ca_file"
        }
        CertificateError::BadSignature => {
            "the server has not proved that it holds the key of its certificate: wrong signature"
        }
        CertificateError::BadEncoding => "certificate cannot be read: it is not X.509 in DER",
        CertificateError::InvalidPurposeContext { .. } => {
            "certificate is not for servers (extended key usage)"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id, ..
        } => {
            return describe_signature(line, signature_algorithm_id, None);
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => {
            return describe_signature(line, signature_algorithm_id, Some(public_key_algorithm_id));
        }
        CertificateError::Other(OtherError(other)) => match other.downcast_ref::<TrustRefusal>() {
            Some(refusal) => return write!(line, "{refusal}"),
            None => describe_rule(other.downcast_ref()),
        },
        _ => "certificate is not acceptable",
    };
    line.write_str(words)
}

/// Describes a signature in the chain that ring cannot verify.
fn describe_signature(
    line: &mut dyn Write,
    signature: &[u8],
    key: Option<&Vec<u8>>,
) -> fmt::Result {
    let key = key.map_or(Algorithm::Other, |key| Algorithm::of(key));
    let algorithm = if key == Algorithm::Other { Algorithm::of(signature) } else { key };
    write!(
        line,
        "the chain is signed with {}; it must be {KEYS} with SHA-256 or SHA-384",
        algorithm.as_str()
    )
}

/// Describes the rule of RFC 5280 that the chain violates.
const fn describe_rule(error: Option<&webpki::Error>) -> &'static str {
    use webpki::Error as Rule;
    match error {
        Some(Rule::CaUsedAsEndEntity) => {
            "certificate is an authority's (CA:TRUE): accepted from a server only if tls.ca_file contains it"
        }
        Some(Rule::UnsupportedCertVersion) => {
            "certificate is X.509 version 1: accepted from a server only if tls.ca_file contains it"
        }
        Some(Rule::NameConstraintViolation) => {
            "an authority in the chain may not vouch for this name (name constraints)"
        }
        Some(Rule::EndEntityUsedAsCa) => {
            "certificate is signed by a certificate that is not an authority's (CA:FALSE)"
        }
        Some(Rule::PathLenConstraintViolated) => {
            "the chain is longer than an authority in it allows (path length)"
        }
        Some(Rule::UnsupportedCriticalExtension) => {
            "a certificate in the chain has a critical extension that is not supported"
        }
        _ => "the certificate chain violates RFC 5280",
    }
}

/// Describes an alert by its name in RFC 8446 §6.
fn describe_alert(line: &mut dyn Write, alert: AlertDescription) -> fmt::Result {
    use AlertDescription as Alert;
    line.write_str("the server aborts the handshake: ")?;
    line.write_str(match alert {
        Alert::HandshakeFailure => {
            return write!(line, "handshake_failure (its key must be {KEYS})");
        }
        Alert::UnexpectedMessage => "unexpected_message",
        Alert::BadRecordMac => "bad_record_mac",
        Alert::BadCertificate => "bad_certificate",
        Alert::UnsupportedCertificate => "unsupported_certificate",
        Alert::CertificateRevoked => "certificate_revoked",
        Alert::CertificateExpired => "certificate_expired",
        Alert::CertificateUnknown => "certificate_unknown",
        Alert::IllegalParameter => "illegal_parameter",
        Alert::UnknownCA => "unknown_ca",
        Alert::AccessDenied => "access_denied",
        Alert::DecodeError => "decode_error",
        Alert::DecryptError => "decrypt_error",
        Alert::ProtocolVersion => "protocol_version",
        Alert::InsufficientSecurity => "insufficient_security",
        Alert::InternalError => "internal_error",
        Alert::MissingExtension => "missing_extension",
        Alert::UnrecognisedName => "unrecognized_name",
        Alert::CertificateRequired => "certificate_required",
        Alert::NoApplicationProtocol => {
            "no_application_protocol (it does not offer http/1.1 in ALPN)"
        }
        other => return write!(line, "alert {}", u8::from(other)),
    })
}

/// Writes the time that a certificate was checked against: that of the clock, or the substitute for
/// an unset clock.
fn write_clock(line: &mut dyn Write, time: UnixTime, wall_s: u64) -> fmt::Result {
    // The clock may have advanced since the check.
    if time.as_secs() <= wall_s.saturating_add(SLACK_S) {
        write!(line, "; the clock here says {}", date(time))
    } else {
        write!(line, "; the clock is not set, it is {} or later", date(time))
    }
}

const fn date(time: UnixTime) -> HttpDate {
    HttpDate(Utc(time.as_secs()))
}
