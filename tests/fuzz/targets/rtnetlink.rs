//! Any datagram: read to its end in as many steps as it has room for, and the table of links that
//! it makes keeps to its limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat::proto::link::LinkEvent;
use linkbeat::proto::links::{ADDRESSES_MAX, LINKS_MAX, Links, ROUTES_MAX};
use linkbeat::wire::rtnetlink::{Kind, messages};

fuzz_target!(|data: &[u8]| {
    let mut links = Links::new();
    let mut steps = 0;
    for message in messages(data) {
        steps += 1;
        // The smallest thing that yields an event is a next hop of eight bytes.
        assert!(steps <= 2 + data.len() / 8, "more facts than bytes");
        let Ok(message) = message else { continue };
        if let Kind::Event(event) = message.kind {
            links.apply(event);
            // Of several routes it cannot say which one was replaced, and says so by itself.
            let again = links.apply(event);
            assert!(
                !again || matches!(event, LinkEvent::RouteReplaced(_)),
                "{event:?} is new twice"
            );
        }
    }
    assert!(links.iter().count() <= LINKS_MAX);
    for link in links.iter() {
        assert!(!link.name.as_str().is_empty());
        assert_eq!(links.by_name(link.name).map(|found| found.index), Some(link.index));
        assert!(link.addresses().count() <= ADDRESSES_MAX && link.routes().count() <= ROUTES_MAX);
        assert!(link.routes().all(|route| route.index == link.index));
    }
});
