//! Events and dumps in any order: after a dump the table equals the dump, whatever was before.

#![cfg_attr(not(test), no_main)]

use std::collections::BTreeSet;

use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::links::{LINKS_MAX, Links};
use linkbeat_fuzz::Bytes;

/// The visible content of a table, sorted.
fn shown(links: &Links) -> BTreeSet<String> {
    links.iter().map(|link| format!("{:?} {} {}", link.index, link.name, link.running)).collect()
}

/// A dump: each interface once, and few enough to fit the table.
fn dump(bytes: &mut Bytes<'_>) -> Vec<LinkEvent> {
    let count = u32::try_from(bytes.below(5)).unwrap();
    let link = |index| LinkEvent::Link {
        index: LinkIndex(index),
        name: bytes.name(),
        running: bytes.bool(),
        mac: None,
        permanent_mac: None,
    };
    (1..=count).map(link).collect()
}

fn ignored(name: InterfaceName) -> bool {
    matches!(name.as_str(), "lo" | "docker0")
}

linkbeat_fuzz::target!(|data| {
    let mut bytes = Bytes::new(data);
    let mut links = Links::default();
    while !bytes.is_empty() {
        match bytes.byte() {
            0..=9 => {
                let events = dump(&mut bytes);
                let mut fresh = Links::default();
                for table in [&mut links, &mut fresh] {
                    table.start_dump();
                    for event in &events {
                        table.apply(*event, ignored);
                    }
                    table.finish_dump();
                }
                if !links.is_incomplete() {
                    assert_eq!(shown(&links), shown(&fresh));
                }
            }
            10..=14 => links.start_dump(),
            15..=19 => {
                links.finish_dump();
            }
            _ => {
                let before = shown(&links);
                let change = links.apply(bytes.link_event(), ignored);
                let is_news = shown(&links) != before;
                assert!(change.any || !is_news, "a change that is not reported");
            }
        }
        assert!(links.iter().count() <= LINKS_MAX && links.iter().all(|it| !ignored(it.name)));
    }
});
