//! Any state file with a valid checksum: no panic, and a restored history can be extended and
//! survives a round trip.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::event::{Failure, Note, Reason};
use linkbeat_core::proto::history::History;
use linkbeat_core::proto::outages::{Outages, UNREPORTED_MAX};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::state_file::{STATE_MAX, emit, restore};

/// The boot id of the vector.
const BOOT: &str = "0123abcd-boot";

/// The same bytes with a matching checksum.
fn forged(data: &[u8]) -> Vec<u8> {
    let content = &data[..data.len().saturating_sub(8)];
    let sum = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    [content, &sum.to_le_bytes()].concat()
}

fn taken(file: &[u8], now: Instant) -> Option<(History, Outages)> {
    let mut history = History::new(1);
    restore(file, BOOT, now, &mut history).ok().map(|outages| (history, outages))
}

linkbeat_fuzz::target!(|data| {
    let now = Instant::from_micros(1 << 40);
    let Some((mut history, outages)) = taken(&forged(data), now) else { return };
    let reason = Reason::Interval;
    let (failure, retry_at) = (Failure::Refused, None);
    history.record(
        &Note::BeatFailed { seq: 1, covers: 1, reason, failure, retry_at, news: true },
        now,
    );
    assert!(history.beats().all(|beat| beat.at <= now));
    let mut file = vec![0; STATE_MAX];
    let length = emit(&history, &outages, BOOT, now, &mut file).expect("every history fits");
    let (again, reported) = taken(&file[..length], now).expect("what we write we read");
    assert!(reported == outages);
    assert!(reported.unreported().count() <= UNREPORTED_MAX && reported.others() <= u32::MAX / 2);
    assert!(again.beats().eq(history.beats()) && again.transitions().eq(history.transitions()));
    assert!(again.hours(now).eq(history.hours(now)));
});
