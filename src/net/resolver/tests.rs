use std::net::{IpAddr, TcpListener, UdpSocket as Nameserver};
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::*;
use crate::sys::readiness::watch;
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::HostName;

const NAME: &str = "meeting.example.com";
const NOW: Instant = Instant::from_micros(1);

fn host() -> HostName {
    HostName::try_from(NAME).unwrap()
}

fn question() -> Question {
    Question::new(&host(), None, Family::V4).unwrap()
}

fn nameserver(address: &str) -> Nameserver {
    let socket = Nameserver::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// A query, and the poll that shows when to look at it.
struct Bench {
    poll: Poll,
    query: QuerySocket,
}

impl Bench {
    fn ask(nameserver: &Nameserver) -> Self {
        Self::open(nameserver.local_addr().unwrap(), Transport::Udp)
    }

    fn open(to: SocketAddr, transport: Transport) -> Self {
        let query = QuerySocket::open(to, None, question(), transport, NOW).unwrap();
        let mut bench = Self { poll: Poll::new().unwrap(), query };
        bench.register();
        bench
    }

    fn register(&mut self) {
        let interest = self.query.interest();
        watch(self.poll.registry(), &self.query, Token(0), interest).unwrap();
    }

    /// Waits until there is a result.
    fn result(&mut self) -> Result<Answer, Failure> {
        let mut events = Events::with_capacity(1);
        loop {
            self.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nothing came");
            loop {
                match self.query.on_ready() {
                    QueryProgress::Waiting => break,
                    QueryProgress::Spent => {}
                    QueryProgress::Moved => {
                        self.register();
                        break;
                    }
                    QueryProgress::Done(result) => return result,
                }
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

/// The same for a question with an OPT record, which the answer is without.
fn take_edns(nameserver: &Nameserver) -> (Vec<u8>, SocketAddr) {
    let (mut message, from) = take(nameserver);
    assert_eq!(std::mem::take(&mut message[11]), 1);
    let end = 12 + NAME.len() + 2 + 4;
    message.drain(end..end + 11);
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
    assert_eq!(bench.query.on_ready(), QueryProgress::Waiting);
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
fn no_number_of_wrong_answers_ends_the_query() {
    let nameserver = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&nameserver);
    let (mut answer, from) = take(&nameserver);
    let right = answer.clone();
    answer[0] ^= 1;
    for _ in 0..5 * WRONG_MAX / 2 {
        nameserver.send_to(&answer, from).unwrap();
    }
    nameserver.send_to(&right, from).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.query.on_ready(), QueryProgress::Spent);
    }
    assert_eq!(bench.result(), expected());
}

#[test]
fn case_of_the_letters_is_random_and_given_up_for_a_nameserver_that_does_not_keep_it() {
    let server = nameserver("127.0.0.1");
    let mut cases = Vec::new();
    for _ in 0..8 {
        let mut bench = Bench::open(server.local_addr().unwrap(), Transport::UdpEdns);
        let (mut answer, from) = take_edns(&server);
        let name = 13..13 + NAME.len();
        cases.push(answer[name.clone()].to_vec());
        // One that writes names in its own way: it is asked once more, and then believed.
        answer[name.clone()].make_ascii_lowercase();
        let is_lower = cases.last() == Some(&answer[name].to_vec());
        answer.splice(answer.len() - 4.., [203, 0, 113, 66]);
        server.send_to(&answer, from).unwrap();
        if is_lower {
            continue;
        }
        assert_eq!(bench.query.on_ready(), QueryProgress::Waiting);
        let (again, from) = take_edns(&server);
        assert_ne!(again[..2], answer[..2], "the same number");
        // What was forged for the first question does not answer the second one.
        server.send_to(&answer, from).unwrap();
        server.send_to(&again, from).unwrap();
        assert_eq!(bench.result(), expected());
    }
    cases.sort_unstable();
    cases.dedup();
    assert!(cases.len() > 2, "eight random cases are not two: {cases:?}");
}

#[test]
fn same_question_to_the_same_nameserver_is_asked_over_the_same_socket() {
    let (server, other) = (nameserver("127.0.0.1"), nameserver("127.0.0.1"));
    let (to, elsewhere) = (server.local_addr().unwrap(), other.local_addr().unwrap());
    let mut bench = Bench::open(to, Transport::UdpEdns);
    let (first, from) = take_edns(&server);
    let aaaa = Question::new(&host(), None, Family::V6).unwrap();
    let in_domain = Question::new(&host(), Some("lan"), Family::V4).unwrap();
    for (to, via, question) in [
        (elsewhere, None, question()),
        (to, InterfaceName::new("lo"), question()),
        (to, None, aaaa),
        (to, None, in_domain),
    ] {
        assert!(!bench.query.asks(to, via, &question));
    }
    assert!(bench.query.asks(to, None, &question()));
    // For so long only: a router may have tied the port to a line that is dead.
    let wait = Duration::from_secs(8);
    let moment = Duration::from_micros(1);
    assert!(!bench.query.is_older_than(wait + moment, NOW + wait));
    assert!(bench.query.is_older_than(wait, NOW + wait));
    // Without EDNS, as in the pass after one without an answer, and then with it again.
    assert!(bench.query.ask_again(Transport::Udp));
    let (again, from_again) = take(&server);
    assert_eq!((from_again, &again[..2]), (from, &first[..2]));
    assert_eq!(again[13..13 + NAME.len()], *b"meeting\x07example\x03com");
    assert!(bench.query.ask_again(Transport::UdpEdns));
    assert_eq!(take_edns(&server).1, from);
    // A late answer to the first one is one.
    server.send_to(&first, from).unwrap();
    assert_eq!(bench.result(), expected());
}

#[test]
fn host_without_a_nameserver_refuses_at_once() {
    let gone = nameserver("127.0.0.1").local_addr().unwrap();
    assert_eq!(Bench::open(gone, Transport::Udp).result(), Err(Failure::Refused));
}

#[test]
fn what_the_kernel_knows_shows_at_once() {
    let to = SocketAddr::from(([127, 0, 0, 1], 53));
    let none = InterfaceName::new("lb-none0");
    let refused = QuerySocket::open(to, none, question(), Transport::Udp, NOW).err();
    assert_eq!(refused, Some(Failure::NoInterface));
    let link_local: SocketAddr = "[fe80::1]:53".parse().unwrap();
    let refused = QuerySocket::open(link_local, None, question(), Transport::Udp, NOW).err();
    assert_eq!(refused, Some(Failure::Unreachable), "it needs an interface");
}

/// A nameserver that answers over UDP and over TCP at the same port.
struct Both {
    udp: Nameserver,
    tcp: TcpListener,
}

impl Both {
    fn new() -> Self {
        // Another program may have the port of the one at the other.
        let pair = || {
            let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
            Some(Self { udp: Nameserver::bind(tcp.local_addr().ok()?).ok()?, tcp })
        };
        let both = (0..100).find_map(|_| pair()).expect("a port of both kinds");
        both.udp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        both
    }

    fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    /// Answers the next question over UDP with these flags and no record; says whether it had an OPT record.
    fn refuse(&self, flags: [u8; 2]) -> bool {
        let mut buffer = [0; 512];
        let (length, from) = self.udp.recv_from(&mut buffer).unwrap();
        let edns = buffer[11] == 1;
        let mut message = buffer[..length - if edns { 11 } else { 0 }].to_vec();
        message[2..4].copy_from_slice(&flags);
        message[11] = 0;
        self.udp.send_to(&message, from).unwrap();
        edns
    }

    /// Takes a question over TCP, on a thread of its own, and gives back what `answer` makes of it.
    fn over_tcp(&self, answer: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static) {
        let listener = self.tcp.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            for byte in answer(&question) {
                // One at a time: whatever TCP makes of it, it is one message.
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
            }
            // The asker ends it.
            stream.read_to_end(&mut Vec::new()).ok();
        });
    }
}

const TC: [u8; 2] = [0x83, 0x80];
const FORMERR: [u8; 2] = [0x81, 0x81];
const NOTIMP: [u8; 2] = [0x81, 0x84];

/// A message on TCP with `count` addresses, of which the first is 192.0.2.10.
fn on_tcp(question: &[u8], count: u16) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    message[3] |= 0x80;
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for number in 0..count {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend([192, 0, 2 + number.to_be_bytes()[0], 10 + number.to_be_bytes()[1] % 200]);
    }
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], &message].concat()
}

#[test]
fn truncated_answer_is_asked_for_again_over_tcp() {
    for transport in [Transport::Udp, Transport::UdpEdns] {
        let nameserver = Both::new();
        let mut bench = Bench::open(nameserver.address(), transport);
        assert_eq!(nameserver.refuse(TC), transport == Transport::UdpEdns);
        nameserver.over_tcp(|question| on_tcp(question, 1));
        assert_eq!(bench.result(), expected());
    }
}

#[test]
fn nameserver_that_knows_no_edns_is_asked_without() {
    for refusal in [FORMERR, NOTIMP] {
        let nameserver = Both::new();
        let mut bench = Bench::open(nameserver.address(), Transport::UdpEdns);
        assert!(nameserver.refuse(refusal));
        assert_eq!(bench.query.on_ready(), QueryProgress::Waiting);
        let (answer, from) = take(&nameserver.udp);
        assert_eq!(answer[11], 0, "no OPT record");
        nameserver.udp.send_to(&answer, from).unwrap();
        assert_eq!(bench.result(), expected());
    }
    let nameserver = Both::new();
    let mut bench = Bench::open(nameserver.address(), Transport::UdpEdns);
    assert!(nameserver.refuse(FORMERR));
    assert_eq!(bench.query.on_ready(), QueryProgress::Waiting);
    assert!(!nameserver.refuse(FORMERR));
    assert_eq!(bench.result(), Err(Failure::NameServerFailed), "once, and no oftener");
}

#[test]
fn large_answer_over_udp_is_read_whole() {
    let nameserver = Both::new();
    let mut bench = Bench::open(nameserver.address(), Transport::UdpEdns);
    let (answer, from) = take(&nameserver.udp);
    let question = [&answer[..11], &[0], &answer[12..37]].concat();
    // 16 bytes each.
    let message = on_tcp(&question, 250);
    assert!((4000..=ANSWER_MAX).contains(&(message.len() - 2)), "{}", message.len());
    nameserver.udp.send_to(&message[2..], from).unwrap();
    assert_eq!(bench.result().map(|answer| answer.addresses.len()), Ok(8));
}

#[test]
fn question_goes_over_tcp_at_once_where_it_shall() {
    let nameserver = Both::new();
    let mut bench = Bench::open(nameserver.address(), Transport::Tcp);
    nameserver.over_tcp(|question| on_tcp(question, 1));
    assert_eq!(bench.result(), expected());
}

#[test]
fn answer_longer_than_its_buffer_gives_its_first_addresses() {
    let nameserver = Both::new();
    let mut bench = Bench::open(nameserver.address(), Transport::Tcp);
    nameserver.over_tcp(|question| on_tcp(question, 4000));
    assert_eq!(bench.result().map(|answer| answer.addresses.len()), Ok(8));
}

#[test]
fn rubbish_over_tcp_is_a_failure() {
    for (what, answer) in [
        ("nothing", Vec::new()),
        ("length alone", vec![0]),
        ("empty message", vec![0, 0]),
        ("cut", vec![0, 200, 1, 2, 3]),
        ("no DNS", vec![0, 3, 1, 2, 3]),
        ("a flood", vec![0xff; 10_000]),
    ] {
        let nameserver = Both::new();
        let mut bench = Bench::open(nameserver.address(), Transport::Tcp);
        let listener = nameserver.tcp.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The question is read, or the end would be a reset.
            stream.read_exact(&mut [0; 39]).unwrap();
            stream.write_all(&answer).ok();
        });
        assert_eq!(bench.result(), Err(Failure::NameServerFailed), "{what}");
    }
}

#[test]
fn nameserver_without_tcp_refuses() {
    let nameserver = nameserver("127.0.0.1");
    let mut bench = Bench::ask(&nameserver);
    let (mut answer, from) = take(&nameserver);
    answer.truncate(answer.len() - 16);
    (answer[2], answer[7]) = (TC[0], 0);
    nameserver.send_to(&answer, from).unwrap();
    assert_eq!(bench.result(), Err(Failure::Refused));
}
