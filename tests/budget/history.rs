//! Cost of recording a beat in the history.

use std::hint::black_box;
use std::time::Duration;

use linkbeat_core::proto::event::{Acknowledged, Note, Reason, Stamps};
use linkbeat_core::proto::history::History;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::time::Instant;
use linkbeat_support::clock;

use crate::ledger::say;

const BEATS: u64 = 1_000_000;

/// `cargo test --release --test budget remembering -- --nocapture` measures an optimized build.
#[test]
fn remembering_beats_prints_its_cost() {
    let mut history = Box::new(History::new(1));
    let began_us = clock::boot_us();
    for seq in 0..BEATS {
        let at = |micros| Instant::from_micros(seq * 30_000_000 + micros);
        let note = Note::BeatAcknowledged {
            beat: Acknowledged {
                seq,
                reason: Reason::Interval,
                via: InterfaceName::new("eth0"),
                status: 200,
                stamps: Stamps {
                    event_at: at(0),
                    usable_at: at(0),
                    held: Duration::ZERO,
                    resolved_at: at(10),
                    opened_at: at(10),
                    connected_at: at(20),
                    secured_at: at(30),
                    written_at: at(40),
                    replied_at: at(900),
                },
            },
            covers: seq,
            recovered: false,
        };
        history.record(black_box(&note), at(900));
    }
    let nanos = (clock::boot_us() - began_us) * 1000 / BEATS;
    assert_eq!(history.counters.beats(), BEATS);
    say(&format!("history: {nanos} ns for each beat, {} bytes in all", size_of::<History>()));
}
