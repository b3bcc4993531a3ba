//! What rustls disliked: for decisions as a [`TlsFailure`], for people as a [`Detail`].

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use crate::proto::event::TlsFailure;

/// Longest [`Detail`], in bytes.
pub const DETAIL_MAX: usize = 200;
/// The last second that has an HTTP date: the end of the year 9999.
const DATE_MAX: u64 = 253_402_300_799;

/// One line for a person: printable ASCII, cut at [`DETAIL_MAX`], no secret.
pub type Detail = heapless::String<DETAIL_MAX>;

/// The kind of failure that decisions and statistics need.
pub(super) fn classify(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => classify_certificate(error),
        Error::NoCertificatesPresented => TlsFailure::BadCertificate,
        Error::AlertReceived(_) => TlsFailure::RefusedByServer,
        _ => TlsFailure::Handshake,
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

/// The failure in words. The server has a say in them, so nothing but printable ASCII gets through.
pub(super) fn describe(error: &Error) -> Detail {
    let mut line = Printable(Detail::new());
    // A full line is a cut line.
    match write_description(&mut line, error) {
        Ok(()) | Err(fmt::Error) => line.0,
    }
}

fn write_description(line: &mut impl Write, error: &Error) -> fmt::Result {
    match error {
        // A camera without a battery clock sees these when its own date is wrong: show both.
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            write!(
                line,
                "certificate expired {}; the clock here says {}",
                date(*not_after),
                date(*time)
            )
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            write!(
                line,
                "certificate not valid before {}; the clock here says {}",
                date(*not_before),
                date(*time)
            )
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => line
            .write_str("certificate does not lead to a trusted root (tls.ca_file names your own)"),
        Error::InvalidMessage(_) => write!(line, "the server's bytes are not TLS: {error}"),
        _ => write!(line, "{error}"),
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
