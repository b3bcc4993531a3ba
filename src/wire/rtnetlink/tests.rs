use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::proto::link::{Name, Route};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rtnetlink")
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(directory().join(name).with_extension("bin")).unwrap()
}

/// Every vector, by name.
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

fn kinds(datagram: &[u8]) -> Vec<Kind> {
    messages(datagram).map(|message| message.unwrap().kind).collect()
}

/// Where a message of the datagram ends, and so may a shorter datagram.
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

/// RTM_NEWLINK of interface 3, in answer to a dump.
fn link(flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    changed_link(flags, 0, attributes)
}

/// RTM_NEWLINK of interface 3, with the flags that are said to have changed.
fn changed_link(flags: u32, changed: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0; 4];
    for number in [3, flags, changed] {
        body.extend(u32::to_ne_bytes(number));
    }
    body.extend(attributes.concat());
    message(RTM_NEWLINK, 0, &body)
}

/// `struct rtnexthop` and attributes.
fn next_hop(flags: u8, index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = u16::try_from(8 + attributes.len()).unwrap();
    let header = length.to_ne_bytes().into_iter().chain([flags, 0]).chain(index.to_ne_bytes());
    header.chain(attributes).collect()
}

/// RTM_NEWROUTE of an IPv4 default route in table main.
fn default_route(attributes: &[Vec<u8>]) -> Vec<u8> {
    let header = [2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
    message(RTM_NEWROUTE, 0, &[&header[..], &attributes.concat()].concat())
}

const UP_AND_RUNNING: u32 = 0x1_1043;
/// IFF_DORMANT and IFF_LOWER_UP, without IFF_RUNNING.
const UP_AND_DORMANT: u32 = 0x3_1003;

#[test]
fn every_vector_says_what_is_expected() {
    let mut expected = fs::read_to_string(directory().join("expected.txt")).unwrap();
    expected.push('\n');
    for (name, datagram) in vectors() {
        let mut text = format!("\n{name}\n");
        for message in messages(&datagram) {
            let Message { interrupted, silent, kind, .. } = message.unwrap();
            let interrupted = if interrupted { " (interrupted)" } else { "" };
            let silent = if silent { " (and more)" } else { "" };
            writeln!(text, "    {kind:?}{interrupted}{silent}").unwrap();
        }
        text.push('\n');
        assert!(expected.contains(&text), "{text}");
    }
}

#[test]
fn vector_cut_anywhere_says_less_and_nothing_else() {
    for (name, datagram) in vectors() {
        let whole = said(&datagram);
        for cut in 0..datagram.len() {
            let mut part = said(&datagram[..cut]);
            if !is_boundary(&datagram, cut) {
                assert_eq!(part.pop(), Some(Err(Malformed)), "{name} cut at {cut}");
            }
            assert!(whole.starts_with(&part), "{name} cut at {cut}");
        }
    }
}

#[test]
fn vector_with_any_byte_changed_ends() {
    for (name, mut datagram) in vectors() {
        for at in 0..datagram.len() {
            let byte = datagram[at];
            for changed in [0, byte ^ 1, !byte] {
                datagram[at] = changed;
                assert!(said(&datagram).len() <= datagram.len(), "{name} changed at {at}");
            }
            datagram[at] = byte;
        }
    }
}

proptest! {
    #[test]
    fn rubbish_ends_and_nothing_follows_an_error(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let said = said(&datagram);
        prop_assert!(said.len() <= datagram.len());
        prop_assert!(said.iter().rev().skip(1).all(Result::is_ok));
    }

    #[test]
    fn attributes_of_rubbish_end(
        kind in prop::sample::select(vec![RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE]),
        family in prop::sample::select(vec![0, 2, 10]),
        attributes in prop::collection::vec((0..70_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
    ) {
        let mut body = vec![0; if kind == RTM_NEWLINK { 16 } else { 8 }];
        body[0] = family;
        if matches!(kind, RTM_NEWROUTE | RTM_DELROUTE) {
            body = vec![family, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
        }
        for (kind, value) in attributes {
            body.extend(attribute(kind, &value));
        }
        prop_assert!(said(&message(kind, 0, &body)).len() <= 8 * 40);
    }
}

#[test]
fn requests_are_the_vectors() {
    let mut buffer = [0xff; DUMP_REQUEST_MAX];
    assert_eq!(emit_dump(&mut buffer, Subject::Links, 7), vector("request_links"));
    assert_eq!(emit_dump(&mut buffer, Subject::Addresses, 7), vector("request_addresses"));
    assert_eq!(emit_dump(&mut buffer, Subject::Routes, 7), vector("request_routes"));
}

#[test]
fn wifi_scan_says_nothing() {
    // net/wireless/wext-core.c: the name and IFLA_WIRELESS, and flags that are those of the link.
    let scan = link(UP_AND_RUNNING, &[attribute(3, b"wlan0\0"), attribute(11, &[0; 16])]);
    assert_eq!(kinds(&scan), [Kind::Ignored]);
}

#[test]
fn lower_layer_up_is_not_yet_running() {
    let attributes = [attribute(3, b"wlan0\0"), attribute(16, &[5])];
    for (flags, expected) in [(UP_AND_RUNNING, true), (UP_AND_DORMANT, false), (0x1_0040, false)] {
        let said = kinds(&link(flags, &attributes));
        let Some(Kind::Event(LinkEvent::Link { running, .. })) = said.first() else { panic!() };
        assert_eq!(*running, expected, "{flags:x}");
    }
}

#[test]
fn hardware_addresses_of_six_bytes_are_told() {
    let mac = |byte| Some(Mac([byte; 6]));
    for (address, expected) in [(&[2; 6][..], mac(2)), (&[2; 20], None), (&[], None)] {
        let attributes = [
            attribute(3, b"eth0\0"),
            attribute(16, &[6]),
            attribute(1, address),
            attribute(54, &[4; 6]),
        ];
        let name = Name::new("eth0").unwrap();
        let index = LinkIndex(3);
        let event =
            LinkEvent::Link { index, name, running: true, mac: expected, permanent_mac: mac(4) };
        assert_eq!(kinds(&link(UP_AND_RUNNING, &attributes)), [Kind::Event(event)]);
    }
}

#[test]
fn link_renamed_to_what_cannot_be_a_name_is_gone() {
    for name in ["wlän0\0", "a-name-too-long0\0", "\0", "no end"] {
        let renamed = link(UP_AND_RUNNING, &[attribute(3, name.as_bytes()), attribute(16, &[6])]);
        let gone = Kind::Event(LinkEvent::LinkGone { index: LinkIndex(3) });
        assert_eq!(kinds(&renamed), [gone], "{name:?}");
    }
}

#[test]
fn link_message_of_a_protocol_is_not_the_link() {
    let mut datagram = vector("link_gone");
    assert_ne!(kinds(&datagram), [Kind::Ignored]);
    for family in [10, 7] {
        datagram[NLMSG_HDRLEN] = family;
        assert_eq!(kinds(&datagram), [Kind::Ignored]);
    }
}

#[test]
fn flag_bits_of_an_attribute_do_not_hide_it() {
    // NLA_F_NESTED, NLA_F_NET_BYTEORDER.
    for bits in [0x8000, 0x4000] {
        let attributes = [attribute(3 | bits, b"eth0\0"), attribute(16, &[6])];
        let said = kinds(&link(UP_AND_RUNNING, &attributes));
        assert!(matches!(said[..], [Kind::Event(LinkEvent::Link { .. })]));
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
fn ends_of_dumps_are_told_apart() {
    let end = |kind, errno: i32| kinds(&message(kind, 2, &errno.to_ne_bytes()));
    assert_eq!(kinds(&message(NLMSG_DONE, 2, &[])), [Kind::Done]);
    assert_eq!(end(NLMSG_DONE, 0), [Kind::Done]);
    assert_eq!(end(NLMSG_DONE, -12), [Kind::Error(12)]);
    assert_eq!(end(NLMSG_ERROR, -16), [Kind::Error(16)]);
    assert_eq!(end(NLMSG_ERROR, 0), [Kind::Error(0)]);
    assert_eq!(end(NLMSG_ERROR, i32::MIN), [Kind::Error(i32::MAX)]);
    assert_eq!(kinds(&message(NLMSG_OVERRUN, 0, &[])), [Kind::Overrun]);
}

#[test]
fn extended_address_flags_win_over_the_short_ones() {
    let mut datagram = vector("address6_new");
    datagram[NLMSG_HDRLEN + 2] = 0x40;
    let said = kinds(&datagram);
    assert!(matches!(said[..], [Kind::Event(LinkEvent::Address { usable: true, .. })]));
}

#[test]
fn interface_set_up_changes_more_than_is_said_and_a_new_one_does_not() {
    let attributes = [attribute(3, b"eth0\0"), attribute(16, &[6])];
    for (flags, changed, expected) in [
        (UP_AND_RUNNING, IFF_UP, true),
        (UP_AND_RUNNING, 0, false),
        (UP_AND_RUNNING, u32::MAX, false),
        (0, IFF_UP, false),
    ] {
        let first = said(&changed_link(flags, changed, &attributes))[0].unwrap();
        assert_eq!(first.silent, expected, "{flags:x} {changed:x}");
    }
}

#[test]
fn route_that_packets_do_not_take_says_nothing() {
    let whole = vector("route6_default");
    // Table (rtm_table, RTA_TABLE), type, RTM_F_CLONED.
    for (at, byte) in [(4, 253), (16, 253), (7, 2), (9, 2)] {
        let mut datagram = whole.clone();
        datagram[NLMSG_HDRLEN + at] = byte;
        let expected = if at == 4 { kinds(&whole) } else { vec![Kind::Ignored] };
        assert_eq!(kinds(&datagram), expected, "byte {at}");
    }
}

#[test]
fn route_without_an_interface_says_nothing() {
    let gateway = attribute(5, &[192, 0, 2, 1]);
    assert_eq!(kinds(&default_route(&[gateway])), [Kind::Ignored]);
    assert_eq!(kinds(&default_route(&[])), [Kind::Ignored]);
}

#[test]
fn next_hops_that_are_dead_are_left_out() {
    let gateway = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let via = attribute(18, &[&10_u16.to_ne_bytes()[..], &gateway.octets()].concat());
    let gateway = Some(IpAddr::V6(gateway));
    let hops = [next_hop(1, 3, &[]), next_hop(0, 4, &[via]), next_hop(1, 5, &[])];
    let network = "0.0.0.0".parse().unwrap();
    let route = Route { index: LinkIndex(4), network, prefix: 0, metric: 0, gateway };
    let datagram = default_route(&[attribute(9, &hops.concat())]);
    assert_eq!(kinds(&datagram), [Kind::Event(LinkEvent::Route(route))]);
    let dead = [next_hop(1, 3, &[]), next_hop(1, 4, &[])];
    assert_eq!(kinds(&default_route(&[attribute(9, &dead.concat())])), [Kind::Ignored]);
}

#[test]
fn next_hop_of_no_ip_family_is_none() {
    let via = attribute(18, &[28, 0, 1, 2, 3, 4]);
    let datagram = default_route(&[attribute(4, &3_u32.to_ne_bytes()), via]);
    let said = kinds(&datagram);
    assert!(matches!(said[..], [Kind::Event(LinkEvent::Route(Route { gateway: None, .. }))]));
}

#[test]
fn prefix_longer_than_the_address_is_malformed() {
    for (name, bits) in [("route4_default", 32), ("route6_default", 128)] {
        let mut datagram = vector(name);
        datagram[NLMSG_HDRLEN + 1] = bits;
        assert!(said(&datagram)[0].is_ok());
        datagram[NLMSG_HDRLEN + 1] = bits + 1;
        assert_eq!(said(&datagram), [Err(Malformed)]);
    }
}
