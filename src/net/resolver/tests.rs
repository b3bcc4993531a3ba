use std::net::{IpAddr, UdpSocket as Nameserver};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::*;
use crate::proto::event::RecordKind;
use crate::proto::settings::HostName;

const NAME: &str = "meeting.example.com";

fn host() -> HostName {
    HostName::try_from(NAME).unwrap()
}

fn question() -> Question {
    Question::new(&host(), None, RecordKind::A).unwrap()
}

fn nameserver(address: &str) -> Nameserver {
    let socket = Nameserver::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// A query, and the poll that tells when to look at it.
struct Bench {
    poll: Poll,
    query: QuerySocket,
}

impl Bench {
    fn ask(nameserver: &Nameserver) -> Self {
        Self::open(nameserver.local_addr().unwrap())
    }

    fn open(to: SocketAddr) -> Self {
        let mut query = QuerySocket::open(to, None, question()).unwrap();
        let poll = Poll::new().unwrap();
        poll.registry().register(query.source(), Token(0), Interest::READABLE).unwrap();
        Self { poll, query }
    }

    /// Waits until there is a result.
    fn result(&mut self) -> Result<Answer, Failure> {
        let mut events = Events::with_capacity(1);
        loop {
            self.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nothing came");
            if let Some(result) = self.query.on_ready() {
                return result;
            }
        }
    }
}

/// Reads the question, and gives the answer to it and where to send it.
fn take(nameserver: &Nameserver) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 512];
    let (length, from) = nameserver.recv_from(&mut buffer).unwrap();
    let mut message = buffer[..length].to_vec();
    message[2] |= 0x80; // QR
    message[3] |= 0x80; // RA
    message[7] = 1; // one answer
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 10]);
    (message, from)
}

fn expected() -> Result<Answer, Failure> {
    let addresses = [IpAddr::from([192, 0, 2, 10])].into_iter().collect();
    Ok(Answer { addresses, ttl_s: 60 })
}

#[test]
fn question_is_answered_over_ipv4_and_ipv6() {
    for address in ["127.0.0.1", "::1"] {
        let nameserver = nameserver(address);
        let mut bench = Bench::ask(&nameserver);
        let (answer, from) = take(&nameserver);
        nameserver.send_to(&answer, from).unwrap();
        assert_eq!(bench.result(), expected());
    }
}

#[test]
fn nothing_has_come_yet_is_no_result() {
    let nameserver = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&nameserver);
    assert_eq!(bench.query.on_ready(), None);
}

#[test]
fn every_question_has_its_own_port_and_number() {
    let nameserver = nameserver("127.0.0.1");
    let benches = [(); 8].map(|()| Bench::ask(&nameserver));
    let mut seen: Vec<_> = (0..benches.len()).map(|_| take(&nameserver)).collect();
    seen.sort_by_key(|(_, from)| *from);
    seen.dedup_by_key(|(_, from)| *from);
    assert_eq!(seen.len(), benches.len(), "ports");
    let mut ids: Vec<_> = seen.iter().map(|(message, _)| [message[0], message[1]]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() > 2, "eight random numbers are not two: {ids:?}");
}

#[test]
fn wrong_answers_are_ignored_until_the_right_one() {
    let nameserver = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&nameserver);
    let (answer, from) = take(&nameserver);
    let mut forged = answer.clone();
    forged[0] ^= 1;
    forged.splice(forged.len() - 4.., [203, 0, 113, 66]);
    for wrong in [&forged[..], b"", b"rubbish", &[0; 600]] {
        nameserver.send_to(wrong, from).unwrap();
    }
    nameserver.send_to(&answer, from).unwrap();
    assert_eq!(bench.result(), expected());
}

#[test]
fn somebody_elses_answer_does_not_arrive() {
    let right = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&right);
    let (answer, from) = take(&right);
    let mut forged = answer.clone();
    forged.splice(forged.len() - 4.., [203, 0, 113, 66]);
    nameserver("127.0.0.1").send_to(&forged, from).unwrap();
    right.send_to(&answer, from).unwrap();
    assert_eq!(bench.result(), expected());
}

#[test]
fn flood_of_wrong_answers_ends_the_query() {
    let nameserver = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&nameserver);
    let (mut answer, from) = take(&nameserver);
    let right = answer.clone();
    answer[0] ^= 1;
    for _ in 0..WRONG_MAX {
        nameserver.send_to(&answer, from).unwrap();
    }
    nameserver.send_to(&right, from).unwrap();
    assert_eq!(bench.result(), Err(Failure::NameServerFailed));
}

#[test]
fn host_without_a_nameserver_refuses_at_once() {
    let gone = nameserver("127.0.0.1").local_addr().unwrap();
    assert_eq!(Bench::open(gone).result(), Err(Failure::Refused));
}

#[test]
fn what_the_kernel_knows_shows_at_once() {
    let to = SocketAddr::from(([127, 0, 0, 1], 53));
    let none = Name::new("lb-none0");
    let refused = QuerySocket::open(to, none, question()).err();
    assert_eq!(refused, Some(Failure::NoInterface));
    let link_local: SocketAddr = "[fe80::1]:53".parse().unwrap();
    let refused = QuerySocket::open(link_local, None, question()).err();
    assert_eq!(refused, Some(Failure::Unreachable), "it needs an interface");
}

/// A directory of this test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("linkbeat-resolver-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn files_are_read_through_symbolic_links() {
    let scratch = Scratch::new("link");
    scratch.write("resolv.conf.eth0", "nameserver 10.0.0.1\nsearch lan\n");
    let resolv_conf = scratch.0.join("resolv.conf");
    symlink("resolv.conf.eth0", &resolv_conf).unwrap();
    let hosts = scratch.write("hosts", format!("192.0.2.10 {NAME}\n"));
    let settings = read_settings(&resolv_conf, &hosts, Some(&Host::Name(host())));
    assert_eq!(settings.nameservers.len(), 1);
    assert_eq!(settings.search.len(), 1);
    assert_eq!(settings.hosts, [IpAddr::from([192, 0, 2, 10])]);
}

#[test]
fn missing_and_unreadable_files_are_empty() {
    let scratch = Scratch::new("missing");
    let none = scratch.0.join("none");
    let dangling = scratch.0.join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let directory = scratch.0.clone();
    for path in [none, dangling, directory] {
        let settings = read_settings(&path, &path, Some(&Host::Name(host())));
        assert_eq!(settings, ResolverSettings::default(), "{}", path.display());
    }
}

#[test]
fn fifo_does_not_hold_up_the_loop() {
    let scratch = Scratch::new("fifo");
    let fifo = scratch.0.join("fifo");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(read_settings(&fifo, &fifo, None), ResolverSettings::default());
}

#[test]
fn large_file_is_read_to_its_last_whole_line_within_the_limit() {
    let scratch = Scratch::new("large");
    let line = format!("192.0.2.10 {NAME}");
    let mut text = "#\n".repeat(FILE_SIZE_MAX / 2);
    // The limit falls right behind the name, where another name goes on.
    text.truncate(FILE_SIZE_MAX - line.len() - 1);
    text.push('\n');
    text.push_str(&line);
    text.push_str(".evil.example\n");
    let hosts = scratch.write("hosts", &text);
    let settings = read_settings(&hosts, &hosts, Some(&Host::Name(host())));
    assert!(settings.hosts.is_empty());
    let text = format!("{line}\n{text}");
    let hosts = scratch.write("hosts", &text);
    let settings = read_settings(&hosts, &hosts, Some(&Host::Name(host())));
    assert_eq!(settings.hosts.len(), 1, "what stands before the limit counts");
}
