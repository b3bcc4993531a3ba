//! Identity and state of announced objects.

use std::net::IpAddr;

use super::*;
use crate::proto::link::{Announcement, ObjectChange};

fn announced(datagram: &[u8]) -> Announcement {
    match kinds(datagram)[..] {
        [MessageKind::Event(LinkEvent::Announced(announcement))] => announcement,
        ref other => panic!("{other:?}"),
    }
}

fn known(name: &str) -> Announcement {
    announced(&vector(name))
}

/// Builds RTM_NEWROUTE of an IPv4 default route in table main.
fn default_route(attributes: &[Vec<u8>]) -> Vec<u8> {
    let header = [2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
    message(RTM_NEWROUTE, 0, &[&header[..], &attributes.concat()].concat())
}

#[test]
fn removed_object_keeps_its_identity() {
    for (new, gone) in [
        ("address4_new", "address4_gone"),
        ("address6_new", "address6_gone"),
        ("rule4_new", "rule4_gone"),
        ("nexthop_replaced", "nexthop_gone"),
        ("route4_multipath_replaced", "route4_multipath_gone"),
    ] {
        assert_eq!(known(new).object, known(gone).object, "{new}");
        assert_eq!(known(gone).change, ObjectChange::Removed, "{gone}");
    }
}

#[test]
fn changed_object_keeps_its_identity_with_a_new_state() {
    for (former, latter) in
        [("address6_new", "address6_deprecated"), ("nexthop_new", "nexthop_replaced")]
    {
        let (former, latter) = (known(former), known(latter));
        assert_eq!(former.object, latter.object);
        assert_ne!(former.state, latter.state);
    }
}

#[test]
fn different_objects_have_different_identities() {
    let names = [
        "address4_new",
        "address4_point_to_point",
        "address6_new",
        "address6_duplicate",
        "rule4_new",
        "rule6_new",
        "nexthop_new",
        "nexthop_group",
        "route4_connected",
        "route4_local",
        "route4_default",
        "route4_replaced",
        "route4_other_table",
        "route4_tos",
        "route4_multipath",
        "route4_object_only",
        "route6_default",
        "route6_replaced",
    ];
    let mut objects: Vec<u64> = names.iter().map(|name| known(name).object).collect();
    objects.sort_unstable();
    objects.dedup();
    assert_eq!(objects.len(), names.len());
}

#[test]
fn replaced_and_removed_objects_differ_from_those_that_are_set() {
    for name in ["route4_default", "route4_appended", "nexthop_new", "rule4_new", "address4_new"] {
        assert_eq!(known(name).change, ObjectChange::Set, "{name}");
    }
    for name in ["route4_replaced", "route6_replaced", "nexthop_replaced"] {
        assert_eq!(known(name).change, ObjectChange::Replaced, "{name}");
    }
    assert_eq!(known("route6_hop_gone").change, ObjectChange::Removed);
}

#[test]
fn lifetimes_and_carrier_flags_do_not_change_the_state() {
    let header = [10, 64, 0x80, 0, 3, 0, 0, 0];
    let address = attribute(1, &[9; 16]);
    let lease = |seconds: u8, flags: u8| {
        let attributes = [attribute(6, &[seconds; 16]), attribute(8, &[flags, 0, 0, 0])];
        announced(&message(RTM_NEWADDR, 0, &[&header[..], &address, &attributes.concat()].concat()))
    };
    assert_eq!(lease(200, 0x80), lease(100, 0x80));
    assert_ne!(lease(200, 0x80).state, lease(200, 0xa0).state);

    let mut datagram = default_route(&[attribute(4, &[3, 0, 0, 0]), attribute(12, &[1; 32])]);
    let former = announced(&datagram);
    // RTNH_F_LINKDOWN, and the remaining lifetime.
    datagram[NLMSG_HDRLEN + 8] = 0x10;
    *datagram.last_mut().unwrap() = 2;
    assert_eq!(announced(&datagram), former);
}

#[test]
fn every_part_of_a_route_is_in_its_identity_or_its_state() {
    let attributes = |metric: u8, gateway: u8, source: u8| {
        let attributes = [
            attribute(6, &[metric, 0, 0, 0]),
            attribute(5, &[192, 0, 2, gateway]),
            attribute(7, &[192, 0, 2, source]),
        ];
        announced(&default_route(&attributes))
    };
    let former = attributes(1, 1, 1);
    assert_eq!(attributes(1, 1, 1), former);
    assert_ne!(attributes(2, 1, 1).object, former.object);
    assert_ne!(attributes(1, 2, 1).object, former.object);
    assert_eq!(attributes(1, 1, 2).object, former.object);
    assert_ne!(attributes(1, 1, 2).state, former.state);
}

#[test]
fn default_route_covers_its_whole_family() {
    let network = |name: &str| known(name).network;
    assert_eq!(network("route4_default"), Some((IpAddr::from([0; 4]), 0)));
    assert_eq!(network("route6_default"), Some((IpAddr::from([0; 16]), 0)));
    assert_eq!(network("route4_multipath"), Some((IpAddr::from([203, 0, 113, 0]), 24)));
    assert_eq!(network("address4_new"), None);
    assert_eq!(network("rule4_new"), None);
    assert_eq!(network("nexthop_new"), None);
}

#[test]
fn cached_routes_and_other_families_are_ignored() {
    let mut datagram = vector("route6_default");
    // RTM_F_CLONED.
    datagram[NLMSG_HDRLEN + 9] = 2;
    assert_eq!(kinds(&datagram), [MessageKind::Ignored]);
    for name in ["route6_default", "address6_new"] {
        let mut datagram = vector(name);
        datagram[NLMSG_HDRLEN] = 28;
        assert_eq!(kinds(&datagram), [MessageKind::Ignored]);
    }
}

#[test]
fn prefix_longer_than_the_address_is_malformed() {
    for (name, bits) in [("route4_default", 32), ("route6_default", 128)] {
        let mut datagram = vector(name);
        datagram[NLMSG_HDRLEN + 1] = bits;
        assert!(said(&datagram)[0].is_ok());
        datagram[NLMSG_HDRLEN + 1] = bits + 1;
        assert_eq!(said(&datagram), [Err(Malformed)]);
        assert_eq!(answered(&datagram), [Err(Malformed)]);
    }
}
