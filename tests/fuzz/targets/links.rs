//! Any order of events and dumps: after a dump the table is what the dump says, whatever was before.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use linkbeat::proto::link::{LinkEvent, LinkIndex, Name};
use linkbeat::proto::links::{LINKS_MAX, Links};
use linkbeat_fuzz::Bytes;

/// Everything that a table shows, in an order of its own.
fn shown(links: &Links) -> BTreeSet<String> {
    links.iter().map(|link| format!("{:?} {} {}", link.index, link.name, link.running)).collect()
}

/// What a dump would list: each interface once, and so few that all find room.
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

fn ignored(name: Name) -> bool {
    matches!(name.as_str(), "lo" | "docker0")
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
                assert!(change.any || !is_news, "a change that is not told");
            }
        }
        assert!(links.iter().count() <= LINKS_MAX && links.iter().all(|it| !ignored(it.name)));
    }
});
