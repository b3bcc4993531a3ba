//! What it costs to remember a beat.

use std::hint::black_box;

use linkbeat::proto::event::{Note, Reason, Stamps};
use linkbeat::proto::history::History;
use linkbeat::proto::link::Name;
use linkbeat::proto::time::Instant;
use linkbeat_support::clock;

use crate::ledger::say;

const BEATS: u64 = 1_000_000;

/// `cargo test --release --test budget remembering -- --nocapture` says it of a program as it is shipped.
#[test]
fn remembering_beats_takes_what_is_printed() {
    let mut history = Box::new(History::new(1));
    let began_us = clock::boot_us();
    for seq in 0..BEATS {
        let at = |micros| Instant::from_micros(seq * 30_000_000 + micros);
        let note = Note::BeatAcknowledged {
            seq,
            covers: seq,
            reason: Reason::Interval,
            via: Name::new("eth0"),
            status: 200,
            stamps: Stamps {
                event_at: at(0),
                usable_at: at(0),
                resolved_at: at(10),
                connected_at: at(20),
                secured_at: at(30),
                written_at: at(40),
                replied_at: at(900),
            },
            recovered: false,
        };
        history.record(black_box(&note), at(900));
    }
    let nanos = (clock::boot_us() - began_us) * 1000 / BEATS;
    assert_eq!(history.counters().beats(), BEATS);
    say(&format!("history: {nanos} ns for each beat, {} bytes in all", size_of::<History>()));
}
