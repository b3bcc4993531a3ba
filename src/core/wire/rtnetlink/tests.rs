use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::proto::link::ObjectChange;

mod announcement;
mod question;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/rtnetlink")
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(directory().join(name).with_extension("bin")).unwrap()
}

/// Every vector with its name, sorted.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), vector(&name))).collect()
}

type Item = Result<Message, Malformed>;

fn said(datagram: &[u8]) -> Vec<Item> {
    messages(datagram).collect()
}

/// The results of the datagram read as responses to route queries.
fn answered(datagram: &[u8]) -> Vec<Result<RouteAnswer, Malformed>> {
    answers(datagram).collect()
}

fn kinds(datagram: &[u8]) -> Vec<MessageKind> {
    messages(datagram).map(|message| message.unwrap().kind).collect()
}

/// Whether a message of the datagram ends at `cut`.
fn is_boundary(datagram: &[u8], cut: usize) -> bool {
    let mut end = 0;
    while end < cut {
        end += u32::from_ne_bytes(datagram[end..end + 4].try_into().unwrap()) as usize;
    }
    end == cut
}

/// `struct nlmsghdr` and `body`.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(NLMSG_HDRLEN + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes().into_iter().chain(flags.to_ne_bytes()));
    bytes.extend([0; 8].iter().chain(body));
    bytes
}

/// `struct nlattr`, `value` and padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes: Vec<u8> = length.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()).collect();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Builds RTM_NEWLINK of interface 3.
fn link(flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0; 4];
    for number in [3, flags, 0] {
        body.extend(u32::to_ne_bytes(number));
    }
    body.extend(attributes.concat());
    message(RTM_NEWLINK, 0, &body)
}

const UP_AND_RUNNING: u32 = 0x1_1043;
/// IFF_DORMANT and IFF_LOWER_UP, without IFF_RUNNING.
const UP_AND_DORMANT: u32 = 0x3_1003;

/// A description of a message, without digests.
fn words(kind: MessageKind) -> String {
    match kind {
        MessageKind::Event(LinkEvent::Announced(it)) => {
            let gone = if it.change != ObjectChange::Set { " gone" } else { "" };
            match it.network {
                Some((network, prefix)) => format!("Announced {network}/{prefix}{gone}"),
                None => format!("Announced{gone}"),
            }
        }
        _ => format!("{kind:?}"),
    }
}

#[test]
fn every_vector_is_parsed_as_expected() {
    let mut expected = fs::read_to_string(directory().join("expected.txt")).unwrap();
    expected.push('\n');
    for (name, datagram) in vectors() {
        // Route responses come in pairs and have tests of their own.
        if name.starts_with("answer") {
            continue;
        }
        let mut text = format!("\n{name}\n");
        for message in messages(&datagram) {
            let Message { interrupted, kind, .. } = message.unwrap();
            let interrupted = if interrupted { " (interrupted)" } else { "" };
            writeln!(text, "    {}{interrupted}", words(kind)).unwrap();
        }
        text.push('\n');
        assert!(expected.contains(&text), "{text}");
    }
}

#[track_caller]
fn assert_cut_says_less<T: PartialEq + std::fmt::Debug>(
    name: &str,
    datagram: &[u8],
    read: fn(&[u8]) -> Vec<Result<T, Malformed>>,
) {
    let whole = read(datagram);
    for cut in 0..datagram.len() {
        let mut part = read(&datagram[..cut]);
        if !is_boundary(datagram, cut) {
            assert_eq!(part.pop(), Some(Err(Malformed)), "{name} cut at {cut}");
        }
        assert!(whole.starts_with(&part), "{name} cut at {cut}");
    }
}

#[test]
fn truncated_vector_yields_a_prefix_of_its_messages() {
    for (name, datagram) in vectors() {
        assert_cut_says_less(&name, &datagram, said);
        assert_cut_says_less(&name, &datagram, answered);
    }
}

#[test]
fn parsing_of_changed_vectors_ends() {
    for (name, mut datagram) in vectors() {
        for at in 0..datagram.len() {
            let byte = datagram[at];
            for changed in [0, byte ^ 1, !byte] {
                datagram[at] = changed;
                let most = datagram.len() / NLMSG_HDRLEN * 2 + 1;
                assert!(said(&datagram).len() <= most, "{name} changed at {at}");
                assert!(answered(&datagram).len() <= most, "{name} changed at {at}");
            }
            datagram[at] = byte;
        }
    }
}

proptest! {
    #[test]
    fn parsing_of_random_bytes_ends_at_the_first_error(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let said = said(&datagram);
        prop_assert!(said.len() <= datagram.len());
        prop_assert!(said.iter().rev().skip(1).all(Result::is_ok));
        prop_assert!(answered(&datagram).iter().rev().skip(1).all(Result::is_ok));
    }

    #[test]
    fn parsing_of_random_attributes_ends(
        kind in prop::sample::select(vec![
            RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE, RTM_NEWNEXTHOP
        ]),
        family in prop::sample::select(vec![0, 2, 10]),
        attributes in prop::collection::vec((0..70_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
    ) {
        let mut body = vec![0; if kind == RTM_NEWLINK { 16 } else { 8 }];
        body[0] = family;
        if matches!(kind, RTM_NEWROUTE | RTM_DELROUTE | RTM_NEWRULE) {
            body = vec![family, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
        }
        for (kind, value) in attributes {
            body.extend(attribute(kind, &value));
        }
        let message = message(kind, 0, &body);
        prop_assert!(said(&message).len() <= 2);
        prop_assert_eq!(answered(&message).len(), 1);
    }
}

#[test]
fn link_dump_request_equals_the_vector() {
    assert_eq!(emit_dump(7)[..], vector("request_links"));
}

#[test]
fn wifi_scan_events_are_ignored() {
    // net/wireless/wext-core.c: the name and IFLA_WIRELESS, with the flags of the link.
    let scan = link(UP_AND_RUNNING, &[attribute(3, b"wlan0\0"), attribute(11, &[0; 16])]);
    assert_eq!(kinds(&scan), [MessageKind::Ignored]);
}

#[test]
fn lower_layer_up_alone_is_not_running() {
    let attributes = [attribute(3, b"wlan0\0"), attribute(16, &[5])];
    for (flags, expected) in [(UP_AND_RUNNING, true), (UP_AND_DORMANT, false), (0x1_0040, false)] {
        let said = kinds(&link(flags, &attributes));
        let Some(MessageKind::Event(LinkEvent::Link { running, .. })) = said.first() else {
            panic!()
        };
        assert_eq!(*running, expected, "{flags:x}");
    }
}

#[test]
fn only_hardware_addresses_of_six_bytes_are_reported() {
    let mac = |byte| Some(Mac([byte; 6]));
    for (address, expected) in [(&[2; 6][..], mac(2)), (&[2; 20], None), (&[], None)] {
        let attributes = [
            attribute(3, b"eth0\0"),
            attribute(16, &[6]),
            attribute(1, address),
            attribute(54, &[4; 6]),
        ];
        let name = InterfaceName::new("eth0").unwrap();
        let index = LinkIndex(3);
        let event =
            LinkEvent::Link { index, name, running: true, mac: expected, permanent_mac: mac(4) };
        assert_eq!(kinds(&link(UP_AND_RUNNING, &attributes)), [MessageKind::Event(event)]);
    }
}

#[test]
fn link_with_an_unprintable_name_is_named_by_its_index() {
    for name in [&b"wl\xffn0\0"[..], b"wl\xc3\xa4n0\0", b"a-name-too-long0\0", b"\0", b"no end"] {
        let renamed = link(UP_AND_RUNNING, &[attribute(3, name), attribute(16, &[6])]);
        let [MessageKind::Event(LinkEvent::Link { index, name, .. })] = kinds(&renamed)[..] else {
            panic!("{name:?}")
        };
        assert_eq!((index, name.as_str()), (LinkIndex(3), "if3"));
    }
}

#[test]
fn addresses_of_link_scope_are_not_counted() {
    let said = |scope: u8| {
        let body = [[2, 24, 0, scope], 7_u32.to_ne_bytes()].concat();
        addressed(&message(RTM_NEWADDR, 0, &body)).eq([LinkIndex(7)])
    };
    assert!(said(0) && said(200));
    assert!(!said(253) && !said(254));
}

#[test]
fn link_messages_of_other_families_are_ignored() {
    let mut datagram = vector("link_gone");
    assert_ne!(kinds(&datagram), [MessageKind::Ignored]);
    for family in [10, 7] {
        datagram[NLMSG_HDRLEN] = family;
        assert_eq!(kinds(&datagram), [MessageKind::Ignored]);
    }
}

#[test]
fn flag_bits_of_an_attribute_do_not_hide_it() {
    // NLA_F_NESTED, NLA_F_NET_BYTEORDER.
    for bits in [0x8000, 0x4000] {
        let attributes = [attribute(3 | bits, b"eth0\0"), attribute(16, &[6])];
        let said = kinds(&link(UP_AND_RUNNING, &attributes));
        assert!(matches!(said[..], [MessageKind::Event(LinkEvent::Link { .. })]));
    }
}

#[test]
fn unknown_messages_and_attributes_are_skipped() {
    let unknown = message(0x7777, 0, &[1, 2, 3]);
    let known = link(UP_AND_RUNNING, &[attribute(0x3000, b"new"), attribute(16, &[6])]);
    let padded = [unknown, vec![0], known].concat();
    assert_eq!(kinds(&padded).len(), 2);
}

#[test]
fn ends_of_dumps_are_distinguished() {
    let end = |kind, errno: i32| kinds(&message(kind, 2, &errno.to_ne_bytes()));
    assert_eq!(kinds(&message(NLMSG_DONE, 2, &[])), [MessageKind::Done]);
    assert_eq!(end(NLMSG_DONE, 0), [MessageKind::Done]);
    assert_eq!(end(NLMSG_DONE, -12), [MessageKind::Error(12)]);
    assert_eq!(end(NLMSG_ERROR, -16), [MessageKind::Error(16)]);
    assert_eq!(end(NLMSG_ERROR, 0), [MessageKind::Error(0)]);
    assert_eq!(end(NLMSG_ERROR, i32::MIN), [MessageKind::Error(i32::MAX)]);
    assert_eq!(kinds(&message(NLMSG_OVERRUN, 0, &[])), [MessageKind::Overrun]);
}
