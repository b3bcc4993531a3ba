//! The kernel's table of TCP sockets, with rows of any sockets and lines that are no rows, read in
//! pieces of any size: what it says is what the rows were made of.

#![cfg_attr(not(test), no_main)]

use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use linkbeat::sys::tcp_table::{find, listens};
use linkbeat_fuzz::Bytes;

/// Most bytes that the reader takes.
const TABLE_MAX: usize = 1 << 20;
/// Longest line here.
const LINE_MAX: usize = 1600;
const HEADER: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n";

/// What a row is made of.
#[derive(Debug, Clone, Copy)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    /// include/net/tcp_states.h
    state: u8,
    unacked: u32,
    unread: u32,
}

/// Hands out its bytes in pieces, and counts them.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
    given: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.size.min(into.len()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        into[..length].copy_from_slice(piece);
        self.rest = rest;
        self.given += length;
        Ok(length)
    }
}

/// An address as the kernel writes it, in words of its byte order.
fn hexadecimal(address: SocketAddr) -> String {
    let words = |octets: &[u8]| -> String {
        let words = octets.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four")));
        words.map(|word| format!("{word:08X}")).collect()
    };
    let host = match address.ip() {
        IpAddr::V4(address) => words(&address.octets()),
        IpAddr::V6(address) => words(&address.octets()),
    };
    format!("{host}:{:04X}", address.port())
}

/// An address of a family, from a small set.
fn address(bytes: &mut Bytes<'_>, is_v6: bool) -> SocketAddr {
    let ip = match bytes.ip() {
        IpAddr::V4(ip) if is_v6 => ip.to_ipv6_mapped().into(),
        IpAddr::V6(_) if !is_v6 => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, bytes.pick(&[22, 80, 443, 5000, 65_535]))
}

/// A line that cannot be a row: a row has colons.
fn junk(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let length = usize::from(bytes.short() % 1500);
    let byte = |_| match bytes.byte() {
        b'\n' | b':' => b' ',
        byte => byte,
    };
    (0..length).map(byte).collect()
}

fn endpoint(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip(), address.port())
}

linkbeat_fuzz::target!(|data| {
    let mut bytes = Bytes::new(data);
    let (is_v6, size) = (bytes.bool(), 16 + usize::from(bytes.short() % 5000));
    let (local, remote) = (address(&mut bytes, is_v6), address(&mut bytes, is_v6));
    let (mut table, mut sockets) = (HEADER.as_bytes().to_vec(), Vec::new());
    while !bytes.is_empty() && table.len() + LINE_MAX < TABLE_MAX {
        if bytes.byte() % 8 == 0 {
            table.extend(junk(&mut bytes));
        } else {
            let socket = Socket {
                local: address(&mut bytes, is_v6),
                remote: address(&mut bytes, is_v6),
                state: 1 + bytes.byte() % 12,
                unacked: u32::from(bytes.byte() % 4) << (bytes.byte() % 31),
                unread: bytes.byte().into(),
            };
            let Socket { state, unacked, unread, .. } = socket;
            let [ours, theirs] = [socket.local, socket.remote].map(hexadecimal);
            let row = format!(
                "{:4}: {ours} {theirs} {state:02X} {unacked:08X}:{unread:08X} 02:000A7214 00000000",
                sockets.len()
            );
            table.extend(row.as_bytes());
            sockets.push(socket);
        }
        table.push(b'\n');
    }
    let read = || Pieces { rest: &table, size, given: 0 };
    let expected = sockets.iter().find(|it| (it.local, it.remote) == (local, remote));
    // SYN_SENT, SYN_RECV, NEW_SYN_RECV: the SYN is not acknowledged.
    let acked = expected.map(|it| it.unacked == 0 && ![2, 3, 12].contains(&it.state));
    assert_eq!(find(read(), local, remote), acked);
    let scoped = match local {
        SocketAddr::V6(mut address) => {
            address.set_scope_id(3);
            address.into()
        }
        local => local,
    };
    assert_eq!(find(read(), scoped, remote), acked, "the table has no scope");
    for except in [None, Some(remote)] {
        let taken = sockets.iter().any(|it| {
            it.state == 10
                && it.local.port() == local.port()
                && except.map(endpoint) != Some(endpoint(it.local))
        });
        assert_eq!(listens(read(), local.port(), except), taken);
    }
    // Whatever it is, no more than a bounded part is read; not in each run, which would take long.
    if data.first().is_some_and(|byte| byte % 64 == 2) {
        let nobody = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let endless = data.repeat(2 * TABLE_MAX / data.len());
        let mut endless = Pieces { rest: &endless, size, given: 0 };
        let _ = find(&mut endless, nobody, nobody);
        assert!(endless.given <= TABLE_MAX);
    }
});
