//! The failures, the evidence that each gives of its cause, and its names in JSON and metrics.

use core::fmt::{self, Display, Formatter};

/// An expected bad outcome: the network or the server did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// ECONNREFUSED: no program listens, or a router rejects.
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
    /// The server does not speak HTTP/1.1 at this port: it begins as HTTP/2 does, or offers no
    /// HTTP/1.1 in TLS (ALPN).
    Http2Only,
    /// An answer over one of our limits.
    TooLarge,
    /// The server answered with this HTTP status, and it is not 2xx.
    Status(u16),
    /// A page for people came with this HTTP status, or a redirect to another host: something else
    /// has answered in the server's place (RFC 6585 §6).
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

/// Where a failure comes from.
enum Origin {
    /// Packets do not get through.
    Network,
    /// A program at the far end.
    FarEnd,
    /// The device, a nameserver or any box on the way.
    Other,
}

impl Failure {
    /// Whether a portal seems to answer in the server's place until people have logged in there;
    /// `delivered`: the server itself has acknowledged a beat, so that its certificate is known to
    /// be fine.
    pub const fn is_portal(self, delivered: bool) -> bool {
        match self {
            Self::Portal(_) => true,
            Self::Tls(TlsFailure::UnknownIssuer | TlsFailure::WrongName | TlsFailure::WrongKey) => {
                delivered
            }
            _ => false,
        }
    }

    const fn origin(self) -> Origin {
        match self {
            Self::Refused
            | Self::Unreachable
            | Self::TimedOut
            | Self::NoInterface
            | Self::NameServerSilent => Origin::Network,
            Self::Status(_)
            | Self::Portal(_)
            | Self::NotAccepted
            | Self::Tls(_)
            | Self::Malformed
            | Self::Http2Only
            | Self::TooLarge
            | Self::Closed => Origin::FarEnd,
            // A forwarder that has lost its own uplink reports the same as one that has not.
            Self::NameServerFailed
            | Self::NameNotFound
            | Self::NoNameserver
            | Self::Reset
            | Self::Denied
            | Self::Exhausted => Origin::Other,
        }
    }

    /// Whether packets do not get through, as opposed to an answer that refuses the request.
    pub const fn is_of_the_network(self) -> bool {
        matches!(self.origin(), Origin::Network)
    }

    /// Whether a program at the far end took the request or the handshake in, so that the network
    /// carries.
    pub const fn is_an_answer(self) -> bool {
        matches!(self.origin(), Origin::FarEnd)
    }

    /// Whether a certificate is not valid by the clock of this device.
    pub const fn is_of_the_time(self) -> bool {
        matches!(self, Self::Tls(TlsFailure::NotYetValid | TlsFailure::Expired))
    }

    /// Whether a socket that is not bound to an interface may fare better.
    pub const fn may_be_due_to_binding(self) -> bool {
        matches!(self, Self::Denied | Self::NoInterface | Self::Unreachable | Self::TimedOut)
    }

    /// Whether the server's answer is final: asked again, it would answer the same (WIRE.md §1).
    pub const fn is_final(self) -> bool {
        match self {
            Self::Status(408 | 425 | 429 | 500..=599) => false,
            Self::Status(_) | Self::NotAccepted => true,
            // Reported in TLS or HTTP: it is the same until a file changes, here or there.
            Self::Tls(
                TlsFailure::ClientCertificateWanted | TlsFailure::ClientCertificateRefused,
            ) => true,
            _ => false,
        }
    }

    /// Its name; the same for every HTTP status.
    pub const fn as_str(self) -> &'static str {
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
            Self::Tls(failure) => failure.as_str(),
            Self::Malformed => "malformed",
            Self::Http2Only => "http2_only",
            Self::TooLarge => "too_large",
            Self::NameNotFound => "name_not_found",
            Self::NameServerFailed => "name_server_failed",
            Self::NameServerSilent => "name_server_silent",
            Self::NoNameserver => "no_nameserver",
        }
    }
}

words! {
    /// What exactly TLS disliked.
    pub enum TlsFailure {
        /// The certificate's validity has not begun.
        NotYetValid = "tls_not_yet_valid",
        /// The certificate has expired.
        Expired = "tls_expired",
        /// The certificate is for another name.
        WrongName = "tls_wrong_name",
        /// The chain does not end in a known root.
        UnknownIssuer = "tls_unknown_issuer",
        /// The server's key is none of those that are pinned.
        WrongKey = "tls_wrong_key",
        /// The certificate is otherwise unacceptable.
        BadCertificate = "tls_bad_certificate",
        /// The server sent a fatal alert.
        RefusedByServer = "tls_refused_by_server",
        /// The server asked for a client certificate, and none was shown.
        ClientCertificateWanted = "tls_client_certificate_wanted",
        /// The server does not accept the client certificate that was shown.
        ClientCertificateRefused = "tls_client_certificate_refused",
        /// The handshake failed otherwise.
        Handshake = "tls_handshake",
    }
}

/// The cause of a failure. `Display` is its word in JSON, `http_404` for a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub Failure);

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())?;
        if let Failure::Status(status) = self.0 { write!(f, "_{status}") } else { Ok(()) }
    }
}
