use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::proto::event::ANSWER_ADDRESSES_MAX;

type Outcome = Option<Result<Answer, Failure>>;

const ID: u16 = 0x4c42;

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/vectors/dns/",
            $name,
            ".bin"
        ))
    };
}

fn name(name: &str) -> HostName {
    HostName::try_from(name).unwrap()
}

fn question(host: &str, family: Family) -> Question {
    Question::new(&name(host), None, family).unwrap()
}

fn answer(addresses: &[&str], ttl_s: u32) -> Outcome {
    let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
    Some(Ok(Answer { addresses, ttl_s }))
}

/// Every captured message, with its question and the expected outcome.
fn vectors() -> Vec<(&'static [u8], Question, Outcome)> {
    use Family::{V4 as A, V6 as Aaaa};
    let meeting = "meeting.example.com";
    let api = "api.example.com";
    vec![
        (vector!("unbound-a"), question(meeting, A), answer(&["192.0.2.10"], 60)),
        (vector!("unbound-aaaa"), question(meeting, Aaaa), answer(&["2001:db8::10"], 120)),
        (
            vector!("unbound-alias-a"),
            question(api, A),
            answer(&["198.51.100.7", "198.51.100.8"], 30),
        ),
        (vector!("unbound-alias-aaaa"), question(api, Aaaa), answer(&["2001:db8:7::7"], 30)),
        (vector!("unbound-nodata"), question("v4only.example.com", Aaaa), answer(&[], 900)),
        (
            vector!("unbound-nxdomain"),
            question("absent.example.com", A),
            Some(Err(Failure::NameNotFound)),
        ),
        (
            vector!("unbound-servfail"),
            question("ring.example.com", A),
            Some(Err(Failure::NameServerFailed)),
        ),
        (
            vector!("unbound-many"),
            question("many.example.com", A),
            answer(
                &[
                    "192.0.2.5",
                    "192.0.2.6",
                    "192.0.2.7",
                    "192.0.2.8",
                    "192.0.2.9",
                    "192.0.2.10",
                    "192.0.2.11",
                    "192.0.2.12",
                ],
                60,
            ),
        ),
        (
            vector!("unbound-truncated"),
            question("huge.example.com", Aaaa),
            Some(Err(Failure::NameServerFailed)),
        ),
        (
            vector!("unbound-refused"),
            question("a.refused.test", A),
            Some(Err(Failure::NameServerFailed)),
        ),
        (vector!("unbound-blocked"), question("a.blocked.test", A), answer(&[], 3600)),
        (vector!("dnsmasq-a"), question(meeting, A), answer(&["192.0.2.10"], 0)),
        (vector!("dnsmasq-alias-a"), question(api, A), answer(&["192.0.2.10"], 0)),
        (vector!("dnsmasq-nodata"), question(meeting, Aaaa), answer(&[], 0)),
        (vector!("dnsmasq-nxdomain"), question("camera.lan", A), Some(Err(Failure::NameNotFound))),
        (
            vector!("dnsmasq-refused"),
            question("elsewhere.example.org", A),
            Some(Err(Failure::NameServerFailed)),
        ),
    ]
}

/// The labels of a name, uncompressed.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const AAAA: u16 = 28;

/// QR, RD and RA.
const ANSWERED: u16 = 0x8180;
/// QR, TC, RD and RA.
const TRUNCATED: u16 = 0x8380;

/// A message from a nameserver about `api.example.com`, type A.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(flags: u16) -> Self {
        let mut bytes = Vec::new();
        for word in [ID, flags, 1, 0, 0, 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(labels("api.example.com"));
        bytes.extend([0, 1, 0, 1]);
        Self { bytes }
    }

    /// Adds a record to a section. `counter` is the offset of its record count in the header.
    fn record(mut self, counter: usize, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.bytes[counter] += 1;
        self.bytes.extend(owner);
        self.bytes.extend(rtype.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        self.bytes.extend(data);
        self
    }

    fn answer(self, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(7, &labels(owner), rtype, ttl, data)
    }

    fn authority(self, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(9, &labels(owner), rtype, ttl, data)
    }

    fn parse(&self) -> Outcome {
        question("api.example.com", Family::V4).parse_answer(ID, &self.bytes)
    }
}

fn soa(minimum: u32) -> Vec<u8> {
    let mut data = [labels("ns.example.com"), labels("hostmaster.example.com")].concat();
    for field in [1, 7200, 3600, 1_209_600, minimum] {
        data.extend(field.to_be_bytes());
    }
    data
}

#[test]
fn query_is_the_one_that_bind_and_unbound_write() {
    let bytes = question("api.example.com", Family::V6).emit(ID, false);
    let mut expected = vec![0x4c, 0x42, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    expected.extend(labels("api.example.com"));
    expected.extend([0, 28, 0, 1]);
    assert_eq!(bytes.as_ref(), expected);
}

#[test]
fn edns_record_is_the_one_that_dig_writes() {
    let plain = question("api.example.com", Family::V6).emit(ID, false).as_ref().to_vec();
    let mut expected = plain;
    expected[11] = 1;
    // The root, type OPT, 4096 bytes, no extended code, version 0, no flags, no options.
    expected.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    let bytes = question("api.example.com", Family::V6).emit(ID, true);
    assert_eq!(bytes.as_ref(), expected);
    assert_eq!(ANSWER_MAX, 4096);
}

#[test]
fn truncation_and_missing_edns_are_recognized() {
    for (flags, truncated, without_edns) in [
        (ANSWERED, false, false),
        (TRUNCATED, true, false),
        (ANSWERED + 1, false, true), // FORMERR
        (ANSWERED + 2, false, false),
        (ANSWERED + 3, false, false),
        (ANSWERED + 4, false, true), // NOTIMP
        (ANSWERED + 5, false, false),
    ] {
        let message = Message::new(flags).bytes;
        assert_eq!(is_truncated(&message), truncated, "{flags:#x}");
        assert_eq!(is_without_edns(&message), without_edns, "{flags:#x}");
    }
    for length in 0..4 {
        let cut = vec![0xff; length];
        assert_eq!(is_truncated(&cut), length == 3);
        assert!(!is_without_edns(&cut));
    }
}

#[test]
fn message_on_tcp_is_complete_with_its_last_byte() {
    for whole in [0, 1, 2, 12, 300, ANSWER_MAX - 1, ANSWER_MAX] {
        let mut stream = u16::try_from(whole).unwrap().to_be_bytes().to_vec();
        stream.extend((0..whole).map(|at| u8::try_from(at % 251).unwrap()));
        for length in [0, 1, 2, whole / 2, whole + 1].into_iter().filter(|it| *it < whole + 2) {
            assert_eq!(first_message(&mut stream[..length]), None, "{length} of {whole}");
        }
        let message = stream[LENGTH_BYTES..].to_vec();
        assert_eq!(first_message(&mut stream), Some(&message[..]), "{whole}");
        stream.push(1);
        assert_eq!(first_message(&mut stream), Some(&message[..]), "and no more than it");
    }
    for whole in [ANSWER_MAX + 1, 0xffff] {
        let mut stream = u16::try_from(whole).unwrap().to_be_bytes().to_vec();
        stream.resize(LENGTH_BYTES + ANSWER_MAX - 1, 0);
        assert_eq!(first_message(&mut stream), None);
        stream.push(7);
        let message = first_message(&mut stream).unwrap();
        assert_eq!((message.len(), message.last()), (ANSWER_MAX, Some(&7)));
        assert!(is_truncated(message), "{whole}");
    }
}

#[test]
fn search_domain_is_appended() {
    let domain = "example.com";
    let long = Question::new(&name("api"), Some(domain), Family::V4).unwrap();
    let whole = question("api.example.com", Family::V4);
    assert_eq!(long.emit(ID, false).as_ref(), whole.emit(ID, false).as_ref());
}

#[test]
fn name_that_cannot_exist_gives_no_question() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"a".repeat(61)].join(".");
    assert!(Question::new(&name(&longest), None, Family::V4).is_some());
    assert!(Question::new(&name(&longest), Some("a"), Family::V4).is_none());
    for bad in [&"a".repeat(64), "a..b", "", ".a", "a."] {
        assert!(Question::new(&name(bad), None, Family::V4).is_none(), "{bad:?}");
    }
}

#[test]
fn longest_question_fits() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"a".repeat(61)].join(".");
    assert_eq!(question(&longest, Family::V4).emit(0, true).as_ref().len(), QUESTION_MAX);
}

#[test]
fn captured_responses_are_parsed() {
    for (bytes, question, meaning) in vectors() {
        assert_eq!(question.parse_answer(ID, bytes), meaning, "{question:?}");
    }
}

#[test]
fn answer_to_another_question_is_ignored() {
    let asked = question("meeting.example.com", Family::V4);
    let bytes = vector!("unbound-a");
    assert_eq!(asked.parse_answer(ID + 1, bytes), None, "other number");
    let other = question("meeting.example.org", Family::V4);
    assert_eq!(other.parse_answer(ID, bytes), None, "other name");
    let other = question("meeting.example.com", Family::V6);
    assert_eq!(other.parse_answer(ID, bytes), None, "other type");
    assert_eq!(asked.parse_answer(ID, asked.emit(ID, false).as_ref()), None, "our own question");
    let mut notified = *bytes;
    notified[2] |= 4 << 3;
    assert_eq!(asked.parse_answer(ID, &notified), None, "other operation");
    let chaos = bytes.len() - 17;
    let mut bytes = *bytes;
    bytes[chaos] = 3;
    assert_eq!(asked.parse_answer(ID, &bytes), None, "other class");
}

#[test]
fn upper_and_lower_case_are_the_same_name() {
    let mut bytes = vector!("unbound-alias-a").to_vec();
    bytes[12..29].make_ascii_uppercase(); // the name in the question, which the records point to
    let outcome = question("api.example.com", Family::V4).parse_answer(ID, &bytes);
    assert_eq!(outcome, answer(&["198.51.100.7", "198.51.100.8"], 30));
}

#[test]
fn case_of_the_letters_is_random_and_to_be_repeated() {
    let asked = question("api-1.example.com", Family::V4);
    let plain = asked.emit(ID, true).as_ref().to_vec();
    let mixed = |random| {
        let mut mixed = asked.clone();
        mixed.mix_case(random);
        mixed
    };
    assert_eq!(mixed(0).emit(ID, true).as_ref(), plain);
    assert_eq!(&mixed(u64::MAX).emit(ID, true).as_ref()[12..30], b"\x05API-1\x07EXAMPLE\x03COM");
    assert_eq!(&mixed(0b1001_0010).emit(ID, true).as_ref()[12..26], b"\x05aPi-1\x07eXamPle");
    for random in [1, 0x5555_5555_5555_5555, u64::MAX] {
        let mut mixed = mixed(random);
        let message = mixed.emit(ID, true).as_ref().to_vec();
        assert!(mixed.is_repeated(&message) && !mixed.is_repeated(&plain), "{random:#x}");
        let mut without_question = message.clone();
        without_question[5] = 0;
        without_question[12] ^= 1;
        assert!(mixed.is_repeated(&without_question));
        for length in 0..29 {
            assert!(!mixed.is_repeated(&message[..length]), "{length}");
        }
        mixed.lower_case();
        assert_eq!(mixed.emit(ID, true).as_ref(), plain);
    }
    // More letters than bits: no letter is left out.
    let mut long = question(&["ab"; 40].join("."), Family::V4);
    long.mix_case(u64::MAX);
    assert!(!long.name.iter().any(u8::is_ascii_lowercase));
}

#[test]
fn aliases_are_followed_in_any_order() {
    let message = Message::new(ANSWERED)
        .answer("c.example.com", A, 70, &[192, 0, 2, 3])
        .answer("b.example.com", CNAME, 20, &labels("c.example.com"))
        .answer("unrelated.example.com", A, 1, &[192, 0, 2, 99])
        .answer("api.example.com", CNAME, 60, &labels("b.example.com"));
    assert_eq!(message.parse(), answer(&["192.0.2.3"], 20));
}

#[test]
fn loop_of_aliases_fails() {
    let message = Message::new(ANSWERED)
        .answer("api.example.com", CNAME, 60, &labels("b.example.com"))
        .answer("b.example.com", CNAME, 60, &labels("api.example.com"));
    assert_eq!(message.parse(), Some(Err(Failure::NameServerFailed)));
}

#[test]
fn too_long_a_chain_of_aliases_fails() {
    let chain = |length: usize| {
        let mut owner = String::from("api.example.com");
        let mut message = Message::new(ANSWERED);
        for hop in 0..length {
            let target = format!("h{hop}.example.com");
            message = message.answer(&owner, CNAME, 60, &labels(&target));
            owner = target;
        }
        message.answer(&owner, A, 60, &[192, 0, 2, 3]).parse()
    };
    for length in [0, 1, 15, 16, 30, CNAMES_MAX] {
        assert_eq!(chain(length), answer(&["192.0.2.3"], 60), "{length}");
    }
    assert_eq!(chain(CNAMES_MAX + 1), Some(Err(Failure::NameServerFailed)));
}

#[test]
fn ttl_with_the_top_bit_set_is_zero() {
    let message = Message::new(ANSWERED).answer("api.example.com", A, 60, &[192, 0, 2, 1]).answer(
        "api.example.com",
        A,
        0x8000_0001,
        &[192, 0, 2, 2],
    );
    assert_eq!(message.parse(), answer(&["192.0.2.1", "192.0.2.2"], 0));
}

#[test]
fn negative_ttl_is_the_smaller_of_soa_and_minimum() {
    for (ttl, minimum) in [(300, 900), (900, 300)] {
        let message = Message::new(ANSWERED).authority("example.com", SOA, ttl, &soa(minimum));
        assert_eq!(message.parse(), answer(&[], 300));
    }
}

#[test]
fn alias_without_an_address_is_an_empty_answer() {
    let message = Message::new(ANSWERED)
        .answer("api.example.com", CNAME, 60, &labels("b.example.com"))
        .authority("example.com", SOA, 300, &soa(300));
    assert_eq!(message.parse(), answer(&[], 60));
}

#[test]
fn nameserver_without_recursion_has_failed() {
    const NEITHER_AA_NOR_RA: u16 = 0x8100;
    let message = Message::new(NEITHER_AA_NOR_RA);
    assert_eq!(message.parse(), Some(Err(Failure::NameServerFailed)));
    let message = message.authority("example.com", SOA, 300, &soa(300));
    assert_eq!(message.parse(), answer(&[], 300), "a SOA record makes it a word");
    const AA: u16 = 0x8500;
    assert_eq!(Message::new(AA).parse(), answer(&[], 0), "and so does authority");
}

#[test]
fn truncated_response_gives_the_addresses_it_has() {
    let message = Message::new(TRUNCATED).answer("api.example.com", A, 60, &[192, 0, 2, 1]);
    assert_eq!(message.parse(), answer(&["192.0.2.1"], 60));
    let mut cut = message.answer("api.example.com", A, 60, &[192, 0, 2, 2]);
    cut.bytes.truncate(cut.bytes.len() - 1);
    assert_eq!(cut.parse(), answer(&["192.0.2.1"], 60), "cut within a record");
}

#[test]
fn address_that_no_server_can_have_is_left_out() {
    let message = Message::new(ANSWERED)
        .answer("api.example.com", A, 60, &[0, 0, 0, 0])
        .answer("api.example.com", A, 60, &[224, 0, 0, 251])
        .answer("api.example.com", A, 60, &[255, 255, 255, 255])
        .answer("api.example.com", A, 60, &[192, 0, 2, 1])
        .answer("api.example.com", A, 60, &[192, 0, 2, 1]);
    assert_eq!(message.parse(), answer(&["192.0.2.1"], 60));
}

#[test]
fn address_of_the_wrong_length_is_malformed() {
    for data in [&[192, 0, 2][..], &[192, 0, 2, 1, 0], &[]] {
        let message = Message::new(ANSWERED).answer("api.example.com", A, 60, data);
        assert_eq!(message.parse(), Some(Err(Failure::Malformed)));
    }
}

#[test]
fn only_an_error_may_omit_the_question() {
    const FORMERR: u16 = 0x8181;
    for (flags, outcome) in [
        (FORMERR, Some(Err(Failure::NameServerFailed))),
        (ANSWERED, None),
        (ANSWERED + 3, None), // NXDOMAIN
    ] {
        let mut message = Message::new(flags);
        message.bytes.truncate(12);
        message.bytes[5] = 0;
        assert_eq!(message.parse(), outcome, "{flags:#x}");
    }
}

#[test]
fn compression_loops_end() {
    // The first record starts at byte 33. Pointers to itself, forward, and back and forth.
    for owner in [&[0xc0, 33][..], &[0xc0, 35], &[1, b'a', 0xc0, 33], &[0xc0, 0xff], &[0xff, 0xff]]
    {
        let message = Message::new(ANSWERED).record(7, owner, A, 60, &[192, 0, 2, 1]);
        assert_eq!(message.parse(), Some(Err(Failure::Malformed)), "{owner:x?}");
    }
    // An alias that points into its own record.
    let message = Message::new(ANSWERED).answer("api.example.com", CNAME, 60, &[0xc0, 33]);
    assert_eq!(message.parse(), Some(Err(Failure::NameServerFailed)));
    // A question that points to itself.
    let mut message = Message::new(ANSWERED);
    message.bytes.splice(12..29, [0xc0, 12]);
    assert_eq!(message.parse(), None);
}

#[test]
fn truncated_bytes_never_pass_for_a_whole_response() {
    for (bytes, question, meaning) in vectors() {
        for length in 0..bytes.len() {
            match question.parse_answer(ID, &bytes[..length]) {
                None | Some(Err(_)) => {}
                // Only sections without an answer to the question may be missing.
                whole @ Some(Ok(_)) => assert_eq!(whole, meaning, "cut at {length}"),
            }
        }
    }
}

#[test]
fn changed_bytes_never_panic_nor_give_an_unusable_address() {
    for (bytes, question, _) in vectors() {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len() {
            let was = bytes[at];
            for value in 0..=u8::MAX {
                bytes[at] = value;
                if let Some(Ok(answer)) = question.parse_answer(ID, &bytes) {
                    assert!(answer.addresses.len() <= ANSWER_ADDRESSES_MAX);
                    assert!(answer.addresses.iter().all(|address| !address.is_unspecified()));
                }
            }
            bytes[at] = was;
        }
    }
}

#[test]
fn mapped_address_is_one_of_ipv4() {
    let mut message = Message::new(ANSWERED);
    for mapped in ["::ffff:192.0.2.1", "::ffff:0.0.0.0"] {
        let mapped: Ipv6Addr = mapped.parse().unwrap();
        message = message.answer("api.example.com", AAAA, 60, &mapped.octets());
    }
    // The type in the question, before its class.
    message.bytes[HEADER_LENGTH + labels("api.example.com").len() + 1] = 28;
    let question = question("api.example.com", Family::V6);
    assert_eq!(question.parse_answer(ID, &message.bytes), answer(&["192.0.2.1"], 60));
}

#[test]
fn record_of_another_class_is_ignored() {
    let mut message = Message::new(ANSWERED)
        .answer("api.example.com", A, 60, &[192, 0, 2, 66])
        .answer("api.example.com", A, 60, &[192, 0, 2, 1]);
    let class = 33 + labels("api.example.com").len() + 3;
    message.bytes[class] = 3;
    assert_eq!(message.parse(), answer(&["192.0.2.1"], 60));
}

#[test]
fn record_of_another_type_is_ignored() {
    let six = Ipv6Addr::LOCALHOST.octets();
    let message = Message::new(ANSWERED).answer("api.example.com", AAAA, 60, &six).answer(
        "api.example.com",
        A,
        60,
        &Ipv4Addr::new(192, 0, 2, 1).octets(),
    );
    assert_eq!(message.parse(), answer(&["192.0.2.1"], 60));
}
