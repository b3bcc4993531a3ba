//! The words by which failures go in JSON and metrics.

use super::{Failure, TlsFailure};

impl Failure {
    /// Its word; that of an HTTP status says nothing of which.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Status(_) => "http",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::NoInterface => "no_interface",
            Self::Denied => "denied",
            Self::Exhausted => "exhausted",
            Self::Tls(TlsFailure::NotYetValid) => "tls_not_yet_valid",
            Self::Tls(TlsFailure::Expired) => "tls_expired",
            Self::Tls(TlsFailure::WrongName) => "tls_wrong_name",
            Self::Tls(TlsFailure::UnknownIssuer) => "tls_unknown_issuer",
            Self::Tls(TlsFailure::BadCertificate) => "tls_bad_certificate",
            Self::Tls(TlsFailure::RefusedByServer) => "tls_refused_by_server",
            Self::Tls(TlsFailure::ClientCertificateWanted) => "tls_client_certificate_wanted",
            Self::Tls(TlsFailure::ClientCertificateRefused) => "tls_client_certificate_refused",
            Self::Tls(TlsFailure::Handshake) => "tls_handshake",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::NameNotFound => "name_not_found",
            Self::NameServerFailed => "name_server_failed",
            Self::NoNameserver => "no_nameserver",
        }
    }
}
