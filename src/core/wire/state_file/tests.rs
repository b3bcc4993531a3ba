//! Round trips, and rejection of damaged files and files of another boot.

use core::time::Duration;

use super::outages::LENGTH_MAX;
use super::*;
use crate::proto::event::{Acknowledged, Note, Stamps};
use crate::proto::history::{HOUR_US, Id};
use crate::proto::outages::{KeptOutages, Outage, OutageKind};

const BOOT: &str = "0123abcd-boot";

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn acknowledged(seq: u64, reason: Reason, event_at: Instant) -> Note {
    let after = |micros| event_at + Duration::from_micros(micros);
    Note::BeatAcknowledged {
        beat: Acknowledged {
            seq,
            reason,
            via: InterfaceName::new("eth0"),
            status: 204,
            stamps: Stamps {
                event_at,
                usable_at: event_at,
                held: Duration::ZERO,
                resolved_at: after(100),
                opened_at: after(100),
                connected_at: after(12_000),
                secured_at: after(40_000),
                written_at: after(40_100),
                replied_at: after(83_400),
            },
        },
        covers: seq,
        recovered: seq == 1,
    }
}

fn failed(seq: u64, failure: Failure) -> Note {
    let reason = Reason::Interval;
    Note::BeatFailed { seq, covers: seq, reason, failure, retry_at: None, news: true }
}

/// A history with an entry of every kind, and the time after it.
fn all() -> (History, Instant) {
    let mut history = History::new(1);
    let mut now = at(u64::from(HOUR_US) * 7);
    let (eth0, wlan0) = (InterfaceName::new("eth0").unwrap(), InterfaceName::new("wlan0").unwrap());
    history.turn(Change::Started, now);
    history.turn(Change::ClockSet, now);
    let rtsp = ServiceName::new("rtsp").unwrap();
    history.turn(Change::ServiceDown(rtsp), now);
    history.turn(Change::ServiceUp(rtsp), now);
    history.turn(Change::Standby { uplink: wlan0, works: false }, now);
    history.turn(Change::Standby { uplink: wlan0, works: true }, now);
    let reasons = [
        Reason::ServiceRecovered(rtsp),
        Reason::Startup,
        Reason::Interval,
        Reason::ConfigChanged,
        Reason::Triggered(None),
        Reason::Triggered(Word::new("door-1")),
        Reason::Restored,
        Reason::AddressChanged,
        Reason::FailoverTo(wlan0),
        Reason::Priority(eth0),
    ];
    for (seq, reason) in (1..).zip(reasons) {
        now = now + Duration::from_secs(30);
        history.record(&acknowledged(seq, reason, now), now);
    }
    let kinds = FAILURES.into_iter().map(|(failure, _)| failure);
    for (seq, failure) in (10..).zip(kinds.chain([Failure::Status(404), Failure::Portal(302)])) {
        now = now + Duration::from_secs(30);
        history.record(&failed(seq, failure), now);
    }
    history.record(&Note::UplinkChanged { from: Some(eth0), to: None, lost: true }, now);
    history.record(&Note::ConnectivityLost, now);
    now = now + Duration::from_secs(3600);
    history.record(&Note::UplinkChanged { from: None, to: Some(wlan0), lost: false }, now);
    history.record(&Note::ConnectivityRestored, now);
    (history, now)
}

/// Outages of every kind that are not reported, and one that lasts.
fn outages(count: u32, uplink: &str) -> Outages {
    let outage = |number: u32| Outage {
        number: Some(number),
        began_at: at(u64::from(number)),
        ended_at: Some(at(u64::from(number) + 1)),
        kind: OutageKind::ALL[number as usize % 3],
        cause: number.is_multiple_of(2).then_some(Failure::Status(404)),
        uplink: InterfaceName::new(uplink),
        missed: number,
    };
    let kept = KeptOutages {
        delivered: true,
        numbered: count + 2,
        reported: 1,
        last: Some(Outage { ended_at: None, ..outage(count + 2) }),
        unreported: (2..count + 2).map(outage).collect(),
    };
    Outages::restored(kept, at(u64::from(HOUR_US))).expect("they are sound")
}

fn written(history: &History, now: Instant) -> Vec<u8> {
    written_with(history, &outages(3, "eth0"), now)
}

fn written_with(history: &History, outages: &Outages, now: Instant) -> Vec<u8> {
    let mut buffer = vec![0; STATE_MAX];
    let length = emit(history, outages, BOOT, now, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// Everything that a file keeps.
type Kept = (Vec<BeatRecord>, Vec<Transition>, Vec<Hour>, Id);

fn kept(history: &History, now: Instant) -> Kept {
    let hours = history.hours(now).map(|(_, hour)| hour).collect();
    let turns = history.transitions().copied().collect();
    (history.beats().cloned().collect(), turns, hours, history.last_id())
}

fn read_back(file: &[u8], now: Instant) -> (Result<(), Useless>, History) {
    let mut history = History::new(2);
    let result = restore(file, BOOT, now, &mut history);
    (result.map(|_| ()), history)
}

#[test]
fn outages_survive_a_round_trip() {
    let (history, now) = all();
    let longest = outages(8, "123456789012345");
    for outages in [Outages::default(), outages(0, "eth0"), outages(3, "eth0"), longest] {
        let file = written_with(&history, &outages, now);
        let restored = restore(&file, BOOT, now, &mut History::new(2)).expect("it is sound");
        assert_eq!(restored.kept(), outages.kept());
    }
}

#[test]
fn outages_of_the_future_invalidate_the_file() {
    let (mut kept, now) = (outages(3, "eth0").kept().clone(), at(u64::from(HOUR_US)));
    kept.last = kept.last.map(|last| Outage { began_at: now, ..last });
    let later = Outages::restored(kept, now).expect("it began just now");
    let file = written_with(&History::new(1), &later, at(2));
    assert_eq!(read_back(&file, now).0, Ok(()));
    assert_eq!(read_back(&file, at(u64::from(HOUR_US) - 1)).0, Err(Useless::Damaged));
}

#[test]
fn history_survives_a_round_trip() {
    let (history, now) = all();
    let (result, restored) = read_back(&written(&history, now), now);
    assert_eq!(result, Ok(()));
    assert_eq!(kept(&restored, now), kept(&history, now));
    assert!(restored.is_earlier(history.last_id()));
    assert_eq!(restored.counters.beats(), 0, "numbers are of one run");
    let (result, restored) = read_back(&written(&History::new(1), now), now);
    assert_eq!((result, restored.last_id()), (Ok(()), 0));
}

#[test]
fn new_entries_follow_the_old_ones() {
    let (history, now) = all();
    let (_, mut restored) = read_back(&written(&history, now), now);
    restored.turn(Change::Started, now);
    let last = restored.transitions().next_back().unwrap();
    assert_eq!(last.id, history.last_id() + 1);
    assert!(!restored.is_earlier(last.id));
}

#[test]
fn file_equals_the_vector() {
    let (history, now) = all();
    let vector = include_bytes!("../../../../tests/vectors/state_file/all.bin");
    assert!(written(&history, now) == vector, "another format needs another number in MAGIC");
}

#[test]
fn hour_that_has_aged_is_left_out_and_the_rest_is_kept() {
    let (history, now) = all();
    let later = now + Duration::from_secs(24 * 3600);
    let (result, restored) = read_back(&written(&history, now), later);
    assert_eq!(result, Ok(()));
    assert_eq!(restored.beats().count(), history.beats().count());
    assert!(restored.hours(later).count() < history.hours(now).count());
}

#[test]
fn longest_history_fits_the_limit() {
    let mut history = History::new(1);
    let name = InterfaceName::new("123456789012345").unwrap();
    let word = Word::new(&"x".repeat(64));
    for nth in 0..400 {
        let now = at(u64::from(HOUR_US) * nth);
        history.turn(Change::Uplink { from: Some(name), to: Some(name) }, now);
        history.record(&acknowledged(nth, Reason::Triggered(word.clone()), now), now);
    }
    let now = at(u64::from(HOUR_US) * 399);
    let longest = outages(8, "123456789012345");
    let file = written_with(&history, &longest, now);
    assert!((STATE_MAX * 3 / 4..=STATE_MAX).contains(&file.len()), "{}", file.len());
    let (result, restored) = read_back(&file, now);
    assert_eq!(result, Ok(()));
    assert_eq!(kept(&restored, now), kept(&history, now));
    for room in [0, 1, 30, 5000, file.len() - LENGTH_MAX] {
        let result = emit(&history, &Outages::default(), BOOT, now, &mut vec![0; room]);
        assert_eq!(result, Err(TooLarge), "{room}");
    }
}

#[test]
fn any_changed_or_missing_byte_invalidates_the_file() {
    let (history, now) = all();
    let file = written(&history, now);
    let empty = kept(&History::new(1), now);
    for place in 0..file.len() {
        for change in [1, 0x80, 0xFF] {
            let mut damaged = file.clone();
            damaged[place] ^= change;
            let (result, restored) = read_back(&damaged, now);
            let expected =
                if place < MAGIC.len() { Useless::OtherFormat } else { Useless::Damaged };
            assert_eq!(result, Err(expected), "{place}");
            assert_eq!(kept(&restored, now), empty, "{place}");
        }
        let (result, restored) = read_back(&file[..place], now);
        assert!(result.is_err(), "{place}");
        assert_eq!(kept(&restored, now), empty, "{place}");
    }
    let longer = [&file[..], b"x"].concat();
    assert_eq!(read_back(&longer, now).0, Err(Useless::Damaged));
}

/// A file with this content and a matching checksum.
fn forged(content: &[u8]) -> Vec<u8> {
    [content, &Digest::of(content).0.to_le_bytes()].concat()
}

#[test]
fn forged_content_never_panics_and_leaves_a_usable_history() {
    let (history, now) = all();
    let file = written(&history, now);
    let content = &file[..file.len() - 8];
    let mut taken = 0;
    for place in MAGIC.len()..content.len() {
        for value in [0, 1, 0x7F, 0xFE, 0xFF] {
            let mut changed = content.to_vec();
            changed[place] = value;
            let (result, mut restored) = read_back(&forged(&changed), now);
            taken += u32::from(result.is_ok());
            if result.is_err() {
                assert_eq!(restored.last_id(), 0, "{place}");
            }
            restored.record(&acknowledged(1, Reason::Startup, now), now);
            restored.record(&failed(2, Failure::Refused), now);
            restored.record(&acknowledged(2, Reason::Interval, now), now);
            assert!(restored.transitions().all(|turn| turn.at <= now), "{place}");
            assert!(restored.beats().map(|beat| beat.id).is_sorted(), "{place}");
        }
        assert!(read_back(&forged(&content[..place]), now).0.is_err(), "{place}");
    }
    assert!(taken > 0, "a forger can change a number");
}

#[test]
fn forged_entries_out_of_order_or_in_the_future_are_rejected() {
    let now = at(1000);
    let turns = |turns: &[(u32, u64)]| {
        let mut buffer = [0; 512];
        let mut to = Buffer::new(&mut buffer);
        to.put(MAGIC);
        to.text(BOOT);
        to.u16(0);
        to.u16(turns.len());
        for (id, micros) in turns {
            emit_turn(&Transition { id: *id, at: at(*micros), change: Change::Online }, &mut to);
        }
        to.u16(0);
        outages::emit(&KeptOutages::default(), &mut to);
        forged(to.written())
    };
    for (entries, sound) in [
        (&[(1, 1), (2, 1), (9, 1000)][..], true),
        (&[(1, 1), (1, 2)], false),
        (&[(2, 1), (1, 2)], false),
        (&[(1, 2), (2, 1)], false),
        (&[(0, 1)], false),
        (&[(1, 1001)], false),
        (&[(u32::MAX, 1)], false),
    ] {
        let (result, _) = read_back(&turns(entries), now);
        assert_eq!(result.is_ok(), sound, "{entries:?}");
    }
}

#[test]
fn files_of_another_boot_or_format_are_distinguished() {
    let (history, now) = all();
    let file = written(&history, now);
    let mut other = History::new(1);
    assert_eq!(restore(&file, "another", now, &mut other).map(|_| ()), Err(Useless::OtherBoot));
    let next = [b"linkbeat history 3\n", &file[MAGIC.len()..]].concat();
    assert_eq!(read_back(&next, now).0, Err(Useless::OtherFormat));
    for stranger in [&b""[..], b"linkbeat history 2", MAGIC, b"{}", &[0; 100]] {
        assert!(read_back(stranger, now).0.is_err(), "{stranger:?}");
    }
}
