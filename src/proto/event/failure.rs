//! What may go wrong, and the words by which it goes in JSON and metrics.

/// An expected bad outcome: the network or the server did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// ECONNREFUSED: nobody listens, or a router rejects.
    Refused,
    /// EHOSTUNREACH, ENETUNREACH, on IPv6 also EACCES: no route, or a router says so.
    Unreachable,
    /// No answer in time (ETIMEDOUT, or a limit of ours).
    TimedOut,
    /// ECONNRESET, EPIPE.
    Reset,
    /// The peer closed the connection before the answer was complete.
    Closed,
    /// The address or interface to send from is gone (EADDRNOTAVAIL, ENODEV).
    NoInterface,
    /// The kernel or a local firewall forbids it (EPERM).
    Denied,
    /// No descriptor, port or memory left (EMFILE, EADDRINUSE, ENOBUFS, ...).
    Exhausted,
    /// The TLS handshake or a record failed.
    Tls(TlsFailure),
    /// Bytes that are not what the protocol says.
    Malformed,
    /// An answer over one of our limits.
    TooLarge,
    /// The server answered with this HTTP status, and it is not 2xx.
    Status(u16),
    /// A page for people came with this HTTP status, or a redirect to another host: somebody else has
    /// answered in the server's place (RFC 6585 §6).
    Portal(u16),
    /// The status is 2xx, and the body says `"ok": false`.
    NotAccepted,
    /// The name does not exist, or has no address (NXDOMAIN, NODATA).
    NameNotFound,
    /// A nameserver refused, failed or answered rubbish (SERVFAIL, REFUSED, FORMERR).
    NameServerFailed,
    /// No nameserver answers, or none can be reached.
    NameServerSilent,
    /// No nameserver is configured and the name is not in the hosts file.
    NoNameserver,
}

impl Failure {
    /// Whether somebody else seems to answer in the server's place until people have logged in there;
    /// `delivered`: the server itself has acknowledged a beat, so that its certificate is known to be fine.
    #[must_use]
    pub const fn is_portal(self, delivered: bool) -> bool {
        match self {
            Self::Portal(_) => true,
            Self::Tls(TlsFailure::UnknownIssuer | TlsFailure::WrongName) => delivered,
            _ => false,
        }
    }
}

/// What exactly TLS disliked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// The certificate's validity has not begun.
    NotYetValid,
    /// The certificate has expired.
    Expired,
    /// The certificate is for another name.
    WrongName,
    /// The chain does not end in a known root.
    UnknownIssuer,
    /// The certificate is otherwise unacceptable.
    BadCertificate,
    /// The server sent a fatal alert.
    RefusedByServer,
    /// The server asked for a client certificate, and none was shown.
    ClientCertificateWanted,
    /// The server does not accept the client certificate that was shown.
    ClientCertificateRefused,
    /// The handshake failed otherwise.
    Handshake,
}

impl Failure {
    /// Its word; that of an HTTP status says nothing of which.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Status(_) => "http",
            Self::Portal(_) => "captive_portal",
            Self::NotAccepted => "not_accepted",
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
            Self::NameServerSilent => "name_server_silent",
            Self::NoNameserver => "no_nameserver",
        }
    }
}
