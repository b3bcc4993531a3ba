//! The kernel's table of TCP sockets: whether a peer has acknowledged what was sent to it, and
//! whether a port is taken.
//!
//! The exact answer of one socket would be `SIOCOUTQ` or `TCP_INFO`, which no safe call offers, and
//! sock_diag(7) is missing from small kernels and from emulators. `/proc/net/tcp` is everywhere.

use std::io::{BufRead, BufReader, Read};
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::file;

/// The tables of IPv4 and of IPv6.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Bytes read at once; several times the longest row (proc_pid_net(5): under 200 bytes).
const BUFFER: usize = 4096;

/// Most bytes read, about 7,000 sockets: the loop may not be held up by a busy machine.
const TABLE_MAX: u64 = 1 << 20;

/// Whether the peer has acknowledged every byte of the connection from `local` to `remote`, its
/// SYN included. `None` if the connection is not in the table (reset, for one), or no table is.
pub fn all_acked(local: SocketAddr, remote: SocketAddr) -> Option<bool> {
    let [v4, v6] = TABLES;
    let table = if local.is_ipv4() { v4 } else { v6 };
    find(file::open(Path::new(table)).ok()?, local, remote)
}

/// Whether a socket listens on `port` at any address of this device. The one that listens at
/// `except` does not count.
///
/// The table is read, and no port is tried: during a trial bind(2) that of the program to which
/// the port belongs would fail.
pub fn is_listening(port: u16, except: Option<SocketAddr>) -> bool {
    TABLES
        .iter()
        .any(|table| file::open(Path::new(table)).is_ok_and(|table| listens(table, port, except)))
}

/// As [`all_acked`], of this table.
pub fn find(table: impl Read, local: SocketAddr, remote: SocketAddr) -> Option<bool> {
    let (local, remote) = (endpoint(local), endpoint(remote));
    rows(table).find(|row| row.local == local && row.remote == remote).map(|row| row.acked)
}

/// As [`is_listening`], of this table.
pub fn listens(table: impl Read, port: u16, except: Option<SocketAddr>) -> bool {
    let except = except.map(endpoint);
    rows(table).any(|row| row.listens && row.local.1 == port && Some(row.local) != except)
}

/// The rows, without lines that are none.
fn rows(table: impl Read) -> impl Iterator<Item = Row> {
    let mut table = BufReader::with_capacity(BUFFER, table.take(TABLE_MAX));
    // One for all rows.
    let mut line = Vec::new();
    let rows = iter::from_fn(move || {
        line.clear();
        let length = table.read_until(b'\n', &mut line).ok()?;
        (length > 0).then(|| parse_row(str::from_utf8(&line).ok()?))
    });
    rows.flatten()
}

struct Row {
    /// Our end.
    local: Endpoint,
    /// The other end.
    remote: Endpoint,
    /// Whether everything sent is acknowledged.
    acked: bool,
    /// Whether it waits for connections.
    listens: bool,
}

/// Address and port; the table knows no scope of a link-local address.
type Endpoint = (IpAddr, u16);

const fn endpoint(address: SocketAddr) -> Endpoint {
    (address.ip(), address.port())
}

/// Reads `sl: local remote state tx_queue:rx_queue ...`, all in hexadecimal.
fn parse_row(row: &str) -> Option<Row> {
    let mut columns = row.split_ascii_whitespace().skip(1);
    let local = parse_endpoint(columns.next()?)?;
    let remote = parse_endpoint(columns.next()?)?;
    let state = columns.next()?;
    // include/net/tcp_states.h: SYN_SENT, SYN_RECV, NEW_SYN_RECV.
    let connected = !matches!(state, "02" | "03" | "0C");
    let (unacked, _unread) = columns.next()?.split_once(':')?;
    let acked = connected && u32::from_str_radix(unacked, 16).ok()? == 0;
    Some(Row { local, remote, acked, listens: state == "0A" })
}

/// Reads `0100007F:1F90`: the address, in words in the byte order of the machine, and the port.
fn parse_endpoint(text: &str) -> Option<Endpoint> {
    let (digits, port) = text.split_once(':')?;
    let mut bytes = [0; 16];
    let (words, _) = bytes.as_chunks_mut();
    for (word, digits) in words.iter_mut().zip(digits.as_bytes().chunks(8)) {
        *word = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?.to_ne_bytes();
    }
    let address = match digits.len() {
        8 => IpAddr::from(*bytes.first_chunk::<4>()?),
        32 => IpAddr::from(bytes),
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n";

    fn row(state: &str, unacked: &str) -> String {
        format!(
            "   0: 0100007F:1F90 0200007F:01BB {state} {unacked}:00000000 00:00000000 00000000\n"
        )
    }

    fn answer(table: &str) -> Option<bool> {
        find(table.as_bytes(), "127.0.0.1:8080".parse().unwrap(), "127.0.0.2:443".parse().unwrap())
    }

    /// Waits for the kernel's word on a connection within the machine.
    fn ask_until_acked(local: SocketAddr, remote: SocketAddr) {
        let end = iter::repeat_with(|| all_acked(local, remote)).take(10_000);
        assert!(end.into_iter().any(|answer| answer == Some(true)));
    }

    #[test]
    fn empty_queue_of_a_connection_is_acked() {
        let table = [HEADER, &row("01", "00000000")].concat();
        assert_eq!(answer(&table), Some(true));
    }

    #[test]
    fn byte_in_the_queue_is_not_acked() {
        let table = [HEADER, &row("01", "00000001")].concat();
        assert_eq!(answer(&table), Some(false));
    }

    #[test]
    fn syn_is_not_acked_whatever_the_queue_says() {
        for state in ["02", "03", "0C"] {
            assert_eq!(answer(&row(state, "00000000")), Some(false));
        }
    }

    #[test]
    fn connection_that_is_not_listed_is_unknown() {
        for (ours, other) in [("01BB", "01BC"), ("1F90", "1F91"), ("01000", "03000")] {
            let row = row("01", "00000000").replace(ours, other);
            assert_eq!(answer(&[HEADER, &row].concat()), None);
        }
        assert_eq!(answer(""), None);
    }

    #[test]
    fn row_across_two_reads_is_found_wherever_it_is_cut() {
        let row = row("01", "00000000");
        for before in BUFFER - row.len()..=BUFFER {
            let table = ["x".repeat(before - 1), "\n".to_owned(), row.clone()].concat();
            assert_eq!(answer(&table), Some(true), "{before}");
        }
    }

    #[test]
    fn row_behind_thousands_is_found() {
        let others = row("01", "00000001").replace("01BB", "01BC").repeat(5000);
        assert_eq!(answer(&[HEADER, &others, &row("01", "00000000")].concat()), Some(true));
    }

    #[test]
    fn endless_rows_and_endless_lines_end_in_unknown() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        assert_eq!(find(std::io::repeat(b'\n'), address, address), None);
        assert_eq!(find(std::io::repeat(b'x'), address, address), None);
    }

    #[test]
    fn rubbish_is_skipped() {
        let whole = row("01", "00000000");
        for end in 0..whole.len() {
            let table = format!("{}\n{}", &whole[..end], row("01", "00000001"));
            assert!(answer(&table).is_some());
        }
    }

    #[test]
    fn port_is_taken_by_a_socket_that_listens_at_whatever_address() {
        let row = |local: &str, state: &str| {
            format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000\n")
        };
        let ours = Some("127.0.0.1:5000".parse().unwrap());
        for (local, state, except, taken) in [
            ("00000000:1388", "0A", ours, true),
            ("0201A8C0:1388", "0A", ours, true),
            ("00000000000000000000000000000000:1388", "0A", ours, true),
            ("0100007F:1388", "0A", None, true),
            ("0100007F:1388", "0A", ours, false),
            ("0100007F:1388", "01", None, false),
            ("00000000:1389", "0A", ours, false),
        ] {
            let other = row("00000000:0016", "0A");
            let table = [HEADER, &other, &row(local, state)].concat();
            assert_eq!(listens(table.as_bytes(), 5000, except), taken, "{local} {state}");
        }
        assert!(!listens(std::io::repeat(b'\n'), 5000, None));
    }

    #[test]
    fn kernel_says_which_port_is_taken() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // A machine may lack IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().unwrap();
            assert!(is_listening(local.port(), None), "{local}");
            assert!(!is_listening(local.port(), Some(local)), "{local}");
        }
    }

    #[test]
    fn kernel_says_so_of_a_connection_within_the_machine() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may lack IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"x").unwrap();
            ask_until_acked(client.local_addr().unwrap(), client.peer_addr().unwrap());
        }
        let nobody = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        assert_eq!(all_acked(nobody, nobody), None);
    }
}
