//! Order, size and numbers of the history, over notes that a core could make.

use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::proto::event::{Acknowledged, FAILURES, Failure, Stamps};
use crate::proto::label::{ServiceName, Word};

const HOUR: u64 = HOUR_US as u64;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn acknowledged(seq: u64, reason: Reason, event_at: Instant, took: u64, recovered: bool) -> Note {
    let after = |micros: u64| event_at + Duration::from_micros(micros);
    Note::BeatAcknowledged {
        beat: Acknowledged {
            seq,
            reason,
            via: InterfaceName::new("eth0"),
            status: 200,
            stamps: Stamps {
                event_at,
                usable_at: event_at,
                held: Duration::ZERO,
                resolved_at: after(took / 4),
                opened_at: after(took / 4),
                connected_at: after(took / 4),
                secured_at: after(took / 2),
                written_at: after(took / 2),
                replied_at: after(took),
            },
        },
        covers: seq,
        recovered,
    }
}

fn failed(seq: u64, failure: Failure) -> Note {
    let reason = Reason::Interval;
    Note::BeatFailed { seq, covers: seq, reason, failure, retry_at: None, news: true }
}

fn uplink(from: Option<&str>, to: Option<&str>) -> Note {
    let name = |name: Option<&str>| name.and_then(InterfaceName::new);
    Note::UplinkChanged { from: name(from), to: name(to), lost: true }
}

fn kinds(history: &History) -> Vec<&'static str> {
    history.transitions().map(|transition| transition.change.as_str()).collect()
}

#[test]
fn history_fits_forty_kilobytes() {
    let size = size_of::<History>();
    assert!((16 << 10..=40 << 10).contains(&size), "{size}");
}

#[test]
fn every_note_leaves_what_the_table_says() {
    let reasons = [
        (Reason::Interval, Class::Interval),
        (Reason::Startup, Class::Startup),
        (Reason::ConfigChanged, Class::Config),
        (Reason::Triggered(Word::new("door")), Class::Trigger),
        (Reason::Restored, Class::Restored),
        (Reason::AddressChanged, Class::Address),
        (Reason::FailoverTo(InterfaceName::new("wlan0").unwrap()), Class::Failover),
        (Reason::Priority(InterfaceName::new("eth0").unwrap()), Class::Priority),
        (Reason::ServiceRecovered(ServiceName::new("rtsp").unwrap()), Class::Service),
    ];
    assert_eq!(reasons.len(), Class::ALL.len());
    for (place, (reason, class)) in reasons.into_iter().enumerate() {
        let mut history = History::new(7);
        history.record(&acknowledged(3, reason.clone(), at(5), 40_000, false), at(50_005));
        assert_eq!((Class::of(&reason), Class::ALL[place]), (class, class));
        assert_eq!((history.counters.beats[place], history.counters.beats()), (1, 1));
        assert_eq!(history.transitions().count(), 0);
        let beat = history.beats().next().unwrap();
        let steps = Steps {
            usable_us: 0,
            resolved_us: 10_000,
            connected_us: 10_000,
            secured_us: 20_000,
            written_us: 20_000,
            replied_us: 40_000,
        };
        let outcome = BeatOutcome::Acknowledged { status: 200, steps };
        let via = InterfaceName::new("eth0");
        assert_eq!(*beat, BeatRecord { id: 1, at: at(50_005), seq: 3, reason, via, outcome });
        let (ago, hour) = history.hours(at(50_005)).next().unwrap();
        let immediate = u32::from(class != Class::Interval);
        assert_eq!((ago, hour), (0, Hour { beats: 1, immediate, ..Hour::default() }));
    }
    for (note, kind) in [
        (uplink(None, Some("eth0")), Some("uplink")),
        (Note::ConnectivityLost, Some("offline")),
        (Note::ConnectivityRestored, Some("online")),
        (Note::ServiceLost(ServiceName::new("rtsp").unwrap()), Some("service_down")),
        (Note::ServiceRecovered(ServiceName::new("rtsp").unwrap()), Some("service_up")),
        (Note::TriggerSet, None),
        (Note::NetworkChanged(Reason::AddressChanged), None),
        (Note::GatewayBack(InterfaceName::new("eth0").unwrap()), None),
    ] {
        let mut history = History::new(7);
        history.record(&note, at(9));
        assert_eq!(kinds(&history), Vec::from_iter(kind), "{note:?}");
        assert_eq!(history.beats().count(), 0);
        assert_eq!(history.counters.triggers, u64::from(note == Note::TriggerSet));
    }
}

#[test]
fn only_the_first_failure_in_a_row_is_a_turn_of_events() {
    let mut history = History::new(7);
    history.record(&failed(1, Failure::Refused), at(1));
    history.record(&failed(1, Failure::TimedOut), at(2));
    history.record(&acknowledged(1, Reason::Interval, at(3), 10, true), at(13));
    history.record(&acknowledged(2, Reason::Interval, at(14), 10, false), at(24));
    history.record(&failed(3, Failure::Status(404)), at(30));
    assert_eq!(kinds(&history), ["failing", "beating", "failing"]);
    let ids: Vec<_> = history.beats().map(|beat| beat.id).collect();
    assert_eq!(ids, [2, 3, 4, 6, 8]);
    assert_eq!(history.last_id(), 8);
}

#[test]
fn every_kind_of_failure_is_counted_once_and_as_itself() {
    for (place, (failure, _)) in FAILURES.into_iter().enumerate() {
        assert_eq!(failure.place(), place);
        let mut history = History::new(7);
        history.record(&failed(1, failure), at(1));
        let counted = history.counters.failures;
        assert_eq!((counted[place], counted.iter().sum::<u64>()), (1, 1), "{failure:?}");
    }
    for (status, kind) in [(304, 300), (399, 300), (404, 400), (429, 400), (503, 500), (600, 500)] {
        let mut history = History::new(7);
        history.record(&failed(1, Failure::Status(status)), at(1));
        let place = FAILURES.iter().position(|known| known.0 == Failure::Status(kind)).unwrap();
        assert_eq!(history.counters.failures[place], 1, "{status}");
    }
}

#[test]
fn histogram_puts_each_time_into_the_first_bucket_that_holds_it() {
    let mut histogram = Histogram::default();
    for micros in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
        histogram.add(Duration::from_micros(micros));
    }
    let mut expected = [0; BUCKETS_US.len() + 1];
    [expected[0], expected[1], expected[14], expected[15]] = [2, 1, 1, 1];
    assert_eq!(histogram.counts, expected);
    assert_eq!((histogram.count(), histogram.sum_us), (5, 120_002_002));
    assert!(BUCKETS_US.is_sorted());
    histogram.add(Duration::MAX);
    assert_eq!(histogram.sum_us, u64::MAX);
}

#[test]
fn steps_longer_than_a_number_holds_are_the_longest_there_is() {
    let mut history = History::new(7);
    history.record(&acknowledged(1, Reason::Interval, at(0), 8 * HOUR, false), at(8 * HOUR));
    let BeatOutcome::Acknowledged { steps, .. } = history.beats().next().unwrap().outcome else {
        panic!("acknowledged")
    };
    assert_eq!((steps.resolved_us, steps.replied_us), (u32::MAX, u32::MAX));
    assert_eq!(steps.usable_us, 0);
}

#[test]
fn time_without_connectivity_is_spread_over_its_hours() {
    let mut history = History::new(7);
    let start = 5 * HOUR + HOUR / 2;
    history.record(&Note::ConnectivityLost, at(start));
    history.advance(at(start + HOUR));
    history.record(&Note::ConnectivityRestored, at(7 * HOUR + 3));
    let hours: Vec<_> = history.hours(at(8 * HOUR)).map(|(ago, h)| (ago, h.offline_us)).collect();
    assert_eq!(hours, [(3, HOUR_US / 2), (2, HOUR_US), (1, 3)]);
    assert_eq!(history.counters.offline_us, HOUR + HOUR / 2 + 3);
    history.advance(at(9 * HOUR));
    assert_eq!(history.counters.offline_us, HOUR + HOUR / 2 + 3, "online, nothing is counted");
    // A day and more in one piece, and from boot on.
    let mut history = History::new(7);
    history.record(&Note::ConnectivityLost, at(0));
    history.advance(at(100 * HOUR + 1));
    let hours: Vec<_> = history.hours(at(100 * HOUR + 1)).map(|(_, h)| h.offline_us).collect();
    assert_eq!(hours.len(), HOURS_MAX as usize);
    assert_eq!(hours[1..23], [HOUR_US; 22]);
    assert_eq!(hours[23], 1);
}

#[test]
fn hour_of_the_day_before_makes_room() {
    let mut history = History::new(7);
    for hour in [0, 1, 23, 24] {
        history.record(&failed(1, Failure::Refused), at(hour * HOUR));
    }
    let ago: Vec<_> = history.hours(at(24 * HOUR)).map(|(ago, _)| ago).collect();
    assert_eq!(ago, [23, 1, 0]);
    assert_eq!(history.hours(at(48 * HOUR)).count(), 0, "nothing is left of a day ago");
}

fn any_note() -> impl Strategy<Value = Note> {
    prop_oneof![
        Just(uplink(Some("eth0"), Some("wlan0"))),
        Just(Note::ConnectivityLost),
        Just(Note::ConnectivityRestored),
        Just(Note::TriggerSet),
        Just(failed(1, Failure::Refused)),
        (any::<u32>(), any::<bool>()).prop_map(|(took, recovered)| {
            acknowledged(1, Reason::Interval, at(1), u64::from(took), recovered)
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_ids_grow_times_do_not_fall_and_nothing_is_lost_but_the_oldest(
        notes in proptest::collection::vec((any_note(), 0..2 * HOUR), 0..600)
    ) {
        let mut history = History::new(7);
        let (mut now, mut entries, mut beats) = (at(0), 0, 0);
        for (note, wait) in &notes {
            now = now + Duration::from_micros(*wait);
            let before = history.counters;
            history.record(note, now);
            beats += usize::from(matches!(
                note, Note::BeatAcknowledged { .. } | Note::BeatFailed { .. }
            ));
            entries = history.last_id();
            prop_assert!(history.counters.offline_us >= before.offline_us);
        }
        let mut all: Vec<_> = history.beats().map(|beat| (beat.id, beat.at)).collect();
        prop_assert_eq!(all.len(), beats.min(BEATS_MAX));
        prop_assert!(all.is_sorted());
        let turns: Vec<_> = history.transitions().map(|turn| (turn.id, turn.at)).collect();
        prop_assert!(turns.is_sorted());
        all.extend(turns);
        all.sort_unstable();
        prop_assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        prop_assert_eq!(all.last().map_or(0, |(id, _)| *id), entries);
        let offline: u64 = history.hours(now).map(|(_, hour)| u64::from(hour.offline_us)).sum();
        prop_assert!(offline <= history.counters.offline_us);
        prop_assert!(history.hours(now).all(|(ago, hour)| ago < 24 && hour.offline_us <= HOUR_US));
    }
}
