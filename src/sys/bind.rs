//! Sockets that use one interface, whatever the routing table says.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;

use rustix::io::Errno;
use socket2::SockRef;

use linkbeat_core::proto::link::InterfaceName;

/// Binds a socket to an interface (`SO_BINDTODEVICE`, socket(7)); call it before connect(2).
///
/// A bound socket reaches neither loopback nor the device's own addresses.
///
/// # Errors
///
/// `ENODEV` if the interface is gone. `EPERM` before Linux 5.7 without `CAP_NET_RAW`, and in any
/// kernel if the socket is bound already. Nothing falls back to an unbound socket: it would use the
/// routes of a dead interface.
pub fn to_interface(socket: impl AsFd, name: InterfaceName) -> io::Result<()> {
    SockRef::from(&socket).bind_device(Some(name.as_str().as_bytes()))
}

/// Whether the kernel forbids to bind any socket, by a try with loopback, which is always there.
pub fn is_forbidden() -> bool {
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| SockRef::from(&socket).bind_device(Some(b"lo")));
    bound.is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_is_bound_to_the_named_interface() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        to_interface(&socket, InterfaceName::new("lo").unwrap()).unwrap();
        assert_eq!(SockRef::from(&socket).device().unwrap().as_deref(), Some(&b"lo"[..]));
    }

    #[test]
    fn unknown_interface_is_no_device() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let refused = to_interface(&socket, InterfaceName::new("lb-none0").unwrap()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::NODEV.raw_os_error()));
    }
}
