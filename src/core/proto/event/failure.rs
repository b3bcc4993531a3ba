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

/// The kinds of failure that are counted apart, with their names: each as itself, an HTTP status
/// by its hundred.
///
/// Files that are kept name a kind by its place: new ones come last. The test of the texts of all
/// failures (`src/event_loop/tests.rs`) fails where one has no kind.
pub const FAILURES: [(Failure, &str); 30] = [
    (Failure::Refused, "refused"),
    (Failure::Unreachable, "unreachable"),
    (Failure::TimedOut, "timed_out"),
    (Failure::Reset, "reset"),
    (Failure::Closed, "closed"),
    (Failure::NoInterface, "no_interface"),
    (Failure::Denied, "denied"),
    (Failure::Exhausted, "exhausted"),
    (Failure::Tls(TlsFailure::NotYetValid), "tls_not_yet_valid"),
    (Failure::Tls(TlsFailure::Expired), "tls_expired"),
    (Failure::Tls(TlsFailure::WrongName), "tls_wrong_name"),
    (Failure::Tls(TlsFailure::UnknownIssuer), "tls_unknown_issuer"),
    (Failure::Tls(TlsFailure::BadCertificate), "tls_bad_certificate"),
    (Failure::Tls(TlsFailure::RefusedByServer), "tls_refused_by_server"),
    (Failure::Tls(TlsFailure::Handshake), "tls_handshake"),
    (Failure::Malformed, "malformed"),
    (Failure::TooLarge, "too_large"),
    (Failure::Status(300), "http_3xx"),
    (Failure::Status(400), "http_4xx"),
    (Failure::Status(500), "http_5xx"),
    (Failure::NameNotFound, "name_not_found"),
    (Failure::NameServerFailed, "name_server_failed"),
    (Failure::NoNameserver, "no_nameserver"),
    (Failure::Tls(TlsFailure::ClientCertificateWanted), "tls_client_certificate_wanted"),
    (Failure::Tls(TlsFailure::ClientCertificateRefused), "tls_client_certificate_refused"),
    (Failure::Portal(0), "captive_portal"),
    (Failure::NotAccepted, "not_accepted"),
    (Failure::NameServerSilent, "name_server_silent"),
    (Failure::Http2Only, "http2_only"),
    (Failure::Tls(TlsFailure::WrongKey), "tls_wrong_key"),
];

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

    /// The place of its kind in [`FAILURES`]; whatever is no 3xx nor 4xx is with 5xx.
    pub(crate) fn place(self) -> usize {
        let kind = match self {
            Self::Status(300..=399) => Self::Status(300),
            Self::Status(400..=499) => Self::Status(400),
            Self::Status(_) => Self::Status(500),
            Self::Portal(_) => Self::Portal(0),
            kind => kind,
        };
        FAILURES.iter().position(|(it, _)| *it == kind).expect("every kind is in the list")
    }
}

impl Display for Failure {
    /// The name of its kind, but `http_404` for a status.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self, FAILURES.get(self.place())) {
            (Self::Status(status), _) => write!(f, "http_{status}"),
            (_, kind) => f.write_str(kind.map_or("", |(_, name)| name)),
        }
    }
}

/// What exactly TLS disliked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFailure {
    /// The certificate's validity has not begun.
    NotYetValid,
    /// The certificate has expired.
    Expired,
    /// The certificate is for another name.
    WrongName,
    /// The chain does not end in a known root.
    UnknownIssuer,
    /// The server's key is none of those that are pinned.
    WrongKey,
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
