use proptest::prelude::*;

use super::*;

fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).unwrap()
}

fn link(index: u32, called: &str, running: bool) -> LinkEvent {
    let (index, name) = (LinkIndex(index), name(called));
    LinkEvent::Link { index, name, running, mac: None, permanent_mac: None }
}

fn with_mac(index: u32, called: &str, mac: [u8; 6]) -> LinkEvent {
    let (index, name, mac) = (LinkIndex(index), name(called), Some(Mac(mac)));
    LinkEvent::Link { index, name, running: true, mac, permanent_mac: mac }
}

fn gone(index: u32) -> LinkEvent {
    LinkEvent::LinkGone { index: LinkIndex(index) }
}

/// Docker's are ignored.
fn report(links: &mut Links, event: LinkEvent) -> LinksChange {
    links.apply(event, |name| name.as_str().starts_with("veth"))
}

fn reported(events: &[LinkEvent]) -> Links {
    let mut links = Links::default();
    for &event in events {
        report(&mut links, event);
    }
    links
}

fn names(links: &Links) -> std::vec::Vec<&str> {
    links.iter().map(|link| link.name.as_str()).collect()
}

#[test]
fn same_message_again_changes_nothing() {
    let mut links = Links::default();
    assert_eq!(report(&mut links, link(2, "eth0", true)), LinksChange { any: true, gained: true });
    assert_eq!(report(&mut links, link(2, "eth0", true)), LinksChange::NONE);
}

#[test]
fn scan_message_without_hardware_addresses_changes_nothing() {
    let mut links = reported(&[with_mac(3, "wlan0", [2, 0, 0, 0, 0, 1])]);
    assert_eq!(report(&mut links, link(3, "wlan0", true)), LinksChange::NONE);
    assert_eq!(links.by_index(LinkIndex(3)).unwrap().mac, Some(Mac([2, 0, 0, 0, 0, 1])));
}

#[test]
fn every_fact_that_matters_is_a_change() {
    let mut links = reported(&[link(2, "eth0", true)]);
    for (event, gained) in [
        (with_mac(2, "eth0", [2, 0, 0, 0, 0, 1]), false),
        (link(2, "eth0", false), false),
        (link(2, "eth0", true), true),
        (link(2, "lan0", true), false),
        (gone(2), false),
    ] {
        assert_eq!(report(&mut links, event), LinksChange { any: true, gained }, "{event:?}");
        assert_eq!(report(&mut links, event), LinksChange::NONE, "{event:?}");
    }
}

#[test]
fn name_belongs_to_the_interface_announced_last() {
    let mut links = reported(&[link(2, "eth0", true)]);
    assert!(report(&mut links, link(3, "eth0", true)).any);
    assert_eq!(links.by_name(name("eth0")).unwrap().index, LinkIndex(3));
    assert!(links.by_index(LinkIndex(2)).is_none());
}

#[test]
fn ignored_interfaces_take_no_place_and_their_carrier_is_news_all_the_same() {
    let mut links = Links::default();
    for index in 100..400 {
        report(&mut links, link(index, &std::format!("veth{index}"), true));
    }
    assert!(report(&mut links, link(2, "eth0", true)).gained);
    assert_eq!((names(&links), links.is_incomplete()), (std::vec!["eth0"], false));
    let mut links = Links::default();
    assert_eq!(
        report(&mut links, link(9, "veth9", true)),
        LinksChange { any: false, gained: true }
    );
    assert_eq!(report(&mut links, link(9, "veth9", true)), LinksChange::NONE);
    assert_eq!(report(&mut links, link(9, "veth9", false)), LinksChange::NONE);
    assert!(report(&mut links, link(9, "veth9", true)).gained);
}

#[test]
fn interface_that_becomes_ignored_by_its_name_is_gone() {
    let mut links = reported(&[link(2, "eth0", true)]);
    assert!(report(&mut links, link(2, "veth0", true)).any);
    assert!(names(&links).is_empty());
    assert!(report(&mut links, link(2, "eth0", true)).gained);
    links.remove_ignored(|name| name.as_str() == "eth0");
    assert!(names(&links).is_empty());
}

#[test]
fn interface_without_room_is_asked_for_once_another_is_gone() {
    let mut links = Links::default();
    for index in 1..=u32::try_from(LINKS_MAX).unwrap() + 1 {
        report(&mut links, link(index, &std::format!("eth{index}"), true));
    }
    assert!(links.is_incomplete() && !links.wants_dump());
    report(&mut links, gone(1));
    assert!(links.wants_dump());
    links.start_dump();
    assert!(links.is_incomplete(), "it is reported once, and not by every dump");
    links.finish_dump();
    assert!(!links.is_incomplete() && !links.wants_dump());
}

#[test]
fn interface_that_runs_takes_the_place_of_one_that_does_not() {
    let mut links = Links::default();
    for index in 100..400 {
        report(&mut links, link(index, &std::format!("vp{index}"), false));
    }
    assert!(report(&mut links, link(500, "eth0", true)).gained);
    assert!(links.by_name(name("eth0")).is_some() && !links.is_incomplete());
}

#[test]
fn dump_finds_every_lost_removal() {
    let mut links = reported(&[link(2, "eth0", true), link(3, "wlan0", true)]);
    links.start_dump();
    report(&mut links, link(3, "wlan0", true));
    report(&mut links, link(4, "usb0", true));
    assert!(links.finish_dump());
    assert_eq!(names(&links), ["wlan0", "usb0"]);
    assert!(!links.finish_dump());
}

#[test]
fn device_is_named_by_the_lowest_universal_address_ignored_or_not() {
    let mut links = reported(&[link(1, "lo", true), with_mac(4, "eth1", [0xB8, 0, 0, 0, 0, 4])]);
    assert_eq!(links.device_mac(), Some(Mac([0xB8, 0, 0, 0, 0, 4])));
    report(&mut links, with_mac(2, "veth0", [0xB8, 0, 0, 0, 0, 2]));
    report(&mut links, with_mac(3, "tap0", [0x02, 0, 0, 0, 0, 3]));
    assert_eq!(links.device_mac(), Some(Mac([0xB8, 0, 0, 0, 0, 2])));
}

fn any_event() -> impl Strategy<Value = LinkEvent> {
    let called = prop_oneof![Just("eth0"), Just("eth1"), Just("veth1"), Just("wlan0")];
    let event = (0_u32..40, called, any::<bool>(), any::<bool>());
    event.prop_map(
        |(index, called, running, stays)| {
            if stays { link(index, called, running) } else { gone(index) }
        },
    )
}

proptest! {
    #[test]
    fn dump_after_any_loss_equals_a_fresh_table(
        before in prop::collection::vec(any_event(), 0..40),
        dump in prop::collection::vec(any_event(), 0..20),
    ) {
        let (mut links, mut fresh) = (reported(&before), Links::default());
        for table in [&mut links, &mut fresh] {
            table.start_dump();
            for &event in &dump {
                report(table, event);
            }
            table.finish_dump();
        }
        let device_info = |links: &Links| {
            let mut device_info: std::vec::Vec<_> =
                links.iter().map(|link| (link.index, link.name, link.running)).collect();
            device_info.sort_unstable();
            device_info
        };
        prop_assert_eq!(device_info(&links), device_info(&fresh));
    }
}
