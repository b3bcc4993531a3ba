//! Any order of events and dumps: after a dump the table is what the dump says, whatever was before.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use linkbeat::proto::link::{LinkEvent, LinkIndex};
use linkbeat::proto::links::{Family, Links};
use linkbeat::proto::uplink;
use linkbeat_fuzz::Bytes;

/// Everything that a table shows, in an order of its own.
fn shown(links: &Links) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for link in links.iter() {
        facts.insert(format!("{:?} {} {}", link.index, link.name, link.running));
        facts.extend(link.addresses().map(|address| format!("{:?} {address:?}", link.index)));
        facts.extend(link.routes().map(|route| format!("{route:?}")));
    }
    facts
}

/// What a dump would list: each interface once, before what belongs to it. So few of everything
/// that all of it finds room.
fn dump(bytes: &mut Bytes<'_>) -> Vec<LinkEvent> {
    let mut events = Vec::new();
    for index in 1..=u32::try_from(bytes.below(5)).unwrap() {
        let index = LinkIndex(index);
        events.push(LinkEvent::Link {
            index,
            name: bytes.name(),
            running: bytes.bool(),
            mac: None,
            permanent_mac: None,
        });
        for _ in 0..bytes.below(5) {
            let (address, usable) = (bytes.ip(), bytes.bool());
            events.push(LinkEvent::Address { index, address, usable });
        }
        for _ in 0..bytes.below(5) {
            events.push(LinkEvent::Route(linkbeat::proto::link::Route { index, ..bytes.route() }));
        }
    }
    events
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let mut links = Links::new();
    while !bytes.is_empty() {
        match bytes.byte() {
            0..=9 => {
                let events = dump(&mut bytes);
                let mut fresh = Links::new();
                for table in [&mut links, &mut fresh] {
                    table.start_dump();
                    for event in &events {
                        table.apply(*event);
                    }
                    table.finish_dump();
                }
                // What was there before may have left no room, and then another dump is asked for;
                // a name that two interfaces have at once is one that a dump cannot settle.
                let names: BTreeSet<_> = fresh.iter().map(|link| link.name).collect();
                let settled = !links.wants_dump() && !fresh.wants_dump();
                if settled && names.len() == fresh.iter().count() {
                    assert_eq!(shown(&links), shown(&fresh));
                }
            }
            10..=14 => links.start_dump(),
            15..=19 => {
                links.finish_dump();
            }
            _ => {
                let before = shown(&links);
                let changed = links.apply(bytes.link_event());
                assert!(changed || !has_news(&before, &links), "a change that is not told");
            }
        }
    }
    for link in links.iter() {
        for family in [Family::V4, Family::V6] {
            assert!(link.source(family).is_none_or(|ip| Family::of(ip) == family));
        }
    }
    let settings = linkbeat::config::Config::default().settings;
    let uplinks = uplink::rank(&links, &settings, &[bytes.ip()]);
    assert!(uplinks.iter().all(|uplink| uplink.v4.is_some() || uplink.v6.is_some()));
});

/// Whether the table shows a route or a usable address that it did not show before.
fn has_news(before: &BTreeSet<String>, links: &Links) -> bool {
    shown(links).difference(before).any(|fact| !fact.contains("usable: false"))
}
