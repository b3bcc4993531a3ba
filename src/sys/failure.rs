//! From errno to what it means for a beat.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

use linkbeat_core::proto::event::Failure;

/// The failure behind an error of the system, in the words of the core.
///
/// Not for `EWOULDBLOCK`, `EINPROGRESS` and `EINTR`, which are no failures. An error without an
/// errno comes from the standard library, which found the end of a stream too early, or rubbish.
pub fn failure_of(error: &io::Error) -> Failure {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
        return failure_of_kind(error.kind());
    };
    match errno {
        Errno::CONNREFUSED => Failure::Refused,
        // icmp(7), ipv6(7): what a router says shows in many ways. EACCES is "administratively
        // prohibited" on IPv6, EPROTO "parameter problem"; ENOPROTOOPT "protocol unreachable".
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NONET => {
            Failure::Unreachable
        }
        Errno::ACCESS | Errno::PROTO | Errno::NOPROTOOPT => Failure::Unreachable,
        Errno::TIMEDOUT => Failure::TimedOut,
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => Failure::Reset,
        // ENETDOWN: the interface that the socket is bound to was set down.
        Errno::ADDRNOTAVAIL | Errno::NODEV | Errno::NETDOWN => Failure::NoInterface,
        // A kernel without IPv6 has no address to send from either.
        Errno::AFNOSUPPORT => Failure::NoInterface,
        Errno::PERM => Failure::Denied,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRINUSE => {
            Failure::Exhausted
        }
        // connect(2): every port is in use. Other calls on our sockets end in EWOULDBLOCK only.
        Errno::AGAIN => Failure::Exhausted,
        Errno::MSGSIZE => Failure::TooLarge,
        // No call on a sound socket ends so; whatever it was, this way the server is not reached.
        _ => {
            log::debug!("unexpected socket error: {error}");
            Failure::Unreachable
        }
    }
}

fn failure_of_kind(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Failure::Malformed,
        ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_of_a_socket_has_its_failure() {
        let table = [
            (Failure::Refused, &[Errno::CONNREFUSED][..]),
            (
                Failure::Unreachable,
                &[
                    Errno::HOSTUNREACH,
                    Errno::NETUNREACH,
                    Errno::HOSTDOWN,
                    Errno::NONET,
                    Errno::ACCESS,
                    Errno::PROTO,
                    Errno::NOPROTOOPT,
                ],
            ),
            (Failure::TimedOut, &[Errno::TIMEDOUT]),
            (Failure::Reset, &[Errno::CONNRESET, Errno::CONNABORTED, Errno::PIPE]),
            (
                Failure::NoInterface,
                &[Errno::ADDRNOTAVAIL, Errno::NODEV, Errno::NETDOWN, Errno::AFNOSUPPORT],
            ),
            (Failure::Denied, &[Errno::PERM]),
            (
                Failure::Exhausted,
                &[
                    Errno::MFILE,
                    Errno::NFILE,
                    Errno::NOBUFS,
                    Errno::NOMEM,
                    Errno::ADDRINUSE,
                    Errno::AGAIN,
                ],
            ),
            (Failure::TooLarge, &[Errno::MSGSIZE]),
        ];
        for (failure, errnos) in table {
            for &errno in errnos {
                assert_eq!(failure_of(&errno.into()), failure, "{errno}");
            }
        }
    }

    #[test]
    fn stream_that_ends_too_early_is_closed() {
        assert_eq!(failure_of(&ErrorKind::UnexpectedEof.into()), Failure::Closed);
        assert_eq!(failure_of(&ErrorKind::WriteZero.into()), Failure::Closed);
        assert_eq!(failure_of(&ErrorKind::InvalidData.into()), Failure::Malformed);
    }
}
