//! What rustls disliked: for decisions as a [`TlsFailure`], for people as a [`Detail`].

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::proto::event::TlsFailure;
use crate::proto::wall::SLACK_S;

/// Longest [`Detail`], in bytes.
pub const DETAIL_MAX: usize = 200;
/// The last second that has an HTTP date: the end of the year 9999.
const DATE_MAX: u64 = 253_402_300_799;

/// One line for a person: printable ASCII, cut at [`DETAIL_MAX`], no secret.
pub type Detail = heapless::String<DETAIL_MAX>;

/// The kind of failure that decisions and statistics need. `missed`: the server asked for a certificate of
/// this device, which showed none.
pub(super) fn classify(error: &Error, missed: bool) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => classify_certificate(error),
        Error::NoCertificatesPresented => TlsFailure::BadCertificate,
        Error::AlertReceived(alert) => classify_alert(*alert, missed),
        _ => TlsFailure::Handshake,
    }
}

/// RFC 8446 §6.2: what a server says of certificates it says of the client's. Before TLS 1.3 there was
/// no word for a missing one.
fn classify_alert(alert: AlertDescription, missed: bool) -> TlsFailure {
    match alert {
        AlertDescription::CertificateRequired => TlsFailure::ClientCertificateWanted,
        AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::HandshakeFailure
            if missed =>
        {
            TlsFailure::ClientCertificateWanted
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsFailure::ClientCertificateRefused,
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
        _ => TlsFailure::BadCertificate,
    }
}

/// The failure in words; `wall_s` is what the clock here reads, in seconds since 1970 UTC.
///
/// The server has a say in them, so nothing but printable ASCII gets through.
pub(super) fn describe(error: &Error, wall_s: u64) -> Detail {
    let mut line = Printable(Detail::new());
    // A full line is a cut line.
    match write_description(&mut line, error, wall_s) {
        Ok(()) | Err(fmt::Error) => line.0,
    }
}

fn write_description(line: &mut impl Write, error: &Error, wall_s: u64) -> fmt::Result {
    match error {
        // A camera without a battery clock sees these when its own date is wrong: show both.
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            write!(line, "certificate expired {}; {}", date(*not_after), Judge(*time, wall_s))
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            let judge = Judge(*time, wall_s);
            write!(line, "certificate not valid before {}; {judge}", date(*not_before))
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => line
            .write_str("certificate does not lead to a trusted root (tls.ca_file names your own)"),
        Error::InvalidMessage(_) => write!(line, "the server's bytes are not TLS: {error}"),
        _ => write!(line, "{error}"),
    }
}

/// By which time a certificate was judged: that of the clock, or one that stands in for it.
struct Judge(UnixTime, u64);

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clock may have ticked since.
        if self.0.as_secs() <= self.1.saturating_add(SLACK_S) {
            write!(f, "the clock here says {}", date(self.0))
        } else {
            write!(f, "the clock here is not set, and it is {} or later", date(self.0))
        }
    }
}

fn date(time: UnixTime) -> HttpDate {
    let seconds = Duration::from_secs(time.as_secs().min(DATE_MAX));
    HttpDate::from(SystemTime::UNIX_EPOCH + seconds)
}

struct Printable(Detail);

impl Write for Printable {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            let sound = char.is_ascii_graphic() || char == ' ';
            self.0.push(if sound { char } else { '?' }).map_err(|_| fmt::Error)
        })
    }
}
