//! What the JSON of the history says, field by field, and that it stays within its bounds.

use serde_json::{Value, json};

use super::*;
use linkbeat_core::proto::event::{Acknowledged, Failure, Note, Reason, Stamps};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::wire::json::parse;

const NOON: u64 = 1_770_033_600;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn past(history: &History, now: Instant) -> HistoryAnswer<'_> {
    HistoryAnswer {
        history,
        now,
        boot_date: Some(Duration::from_secs(NOON - 11)),
        started_at: at(0),
        probes: 7,
        outages: 2,
        connects: 3,
        after: 0,
    }
}

fn read(past: HistoryAnswer<'_>) -> Value {
    let text = past.emit();
    assert!(parse(&text).is_ok(), "strict JSON: {}", String::from_utf8_lossy(&text));
    serde_json::from_slice(&text).unwrap()
}

fn acknowledged(seq: u64, reason: Reason, via: &str, event_at: Instant) -> Note {
    let after = |micros| event_at + Duration::from_micros(micros);
    Note::BeatAcknowledged {
        beat: Acknowledged {
            seq,
            reason,
            via: InterfaceName::new(via),
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
        recovered: seq == 812,
    }
}

fn failed(seq: u64) -> Note {
    Note::BeatFailed {
        seq,
        covers: seq,
        reason: Reason::Interval,
        failure: Failure::Status(404),
        retry_at: None,
        news: true,
    }
}

/// An agent that started, found its uplink, and had one beat acknowledged and the next refused.
fn usual() -> History {
    let mut history = History::new(0x1a2b_3c4d);
    history.turn(Change::Started, at(0));
    let eth0 = InterfaceName::new("eth0").unwrap();
    history.record(&Note::UplinkChanged { from: None, to: Some(eth0), lost: true }, at(1_000_000));
    history
        .record(&acknowledged(812, Reason::Priority(eth0), "eth0", at(1_000_000)), at(1_083_400));
    history.record(&failed(813), at(5_000_000));
    history
}

#[test]
fn every_field_of_the_contract_is_there() {
    let history = usual();
    let shown = read(past(&history, at(11_000_500)));
    assert_eq!(
        shown["beats"],
        json!([
            {
                "id": 3, "ago_ms": 9917, "at": "2026-02-02T11:59:50Z", "seq": 812,
                "reason": "eth0_priority", "class": "priority", "via": "eth0",
                "result": "acknowledged", "status": 204, "cause": null,
                "stamps": {
                    "usable_us": 0, "resolved_us": 100, "connected_us": 12_000,
                    "secured_us": 40_000, "written_us": 40_100, "replied_us": 83_400
                }
            },
            {
                "id": 6, "ago_ms": 6000, "at": "2026-02-02T11:59:54Z", "seq": 813,
                "reason": "interval", "class": "interval", "via": null,
                "result": "failed", "status": null, "cause": "http_404", "stamps": null
            }
        ])
    );
    assert_eq!(
        shown["hours"],
        json!([{ "ago_h": 0, "beats": 1, "immediate": 1, "failed": 1, "offline_s": 0 }])
    );
    assert_eq!(shown["counters"]["beats"]["priority"], 1);
    assert_eq!(shown["counters"]["failures"], json!({ "http_4xx": 1 }));
    assert_eq!(
        (&shown["counters"]["probes"], &shown["counters"]["connects"]),
        (&json!(7), &json!(3))
    );
    let histogram = &shown["histograms"]["round_trip"];
    assert_eq!((&histogram["sum_us"], &histogram["count"]), (&json!(43_300), &json!(1)));
    assert_eq!(histogram["le_us"].as_array().unwrap().len() + 1, 16);
    assert_eq!(histogram["counts"][5], 1, "{histogram}");
    for (key, value) in [
        ("success", json!(true)),
        ("run", json!("000000001a2b3c4d")),
        ("last_id", json!(6)),
        ("uptime_s", json!(11)),
        ("clock_set", json!(true)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
}

#[test]
fn every_turn_of_events_has_its_fields() {
    let history = usual();
    let shown = read(past(&history, at(11_000_500)));
    let turn = |id: u32, ago_ms: u32, at: &str, rest: Value| {
        let mut turn = json!({ "id": id, "ago_ms": ago_ms, "at": at });
        turn.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        turn
    };
    assert_eq!(
        shown["transitions"],
        json!([
            turn(1, 11_000, "2026-02-02T11:59:49Z", json!({ "kind": "started" })),
            turn(
                2,
                10_000,
                "2026-02-02T11:59:50Z",
                json!({ "kind": "uplink", "from": null, "to": "eth0" })
            ),
            turn(4, 9917, "2026-02-02T11:59:50Z", json!({ "kind": "beating" })),
            turn(
                5,
                6000,
                "2026-02-02T11:59:54Z",
                json!({ "kind": "failing", "cause": "http_404" })
            ),
        ])
    );
}

#[test]
fn date_is_the_same_whenever_it_is_asked_for() {
    let history = usual();
    for now in [11_000_000, 11_400_000, 11_999_999, 12_000_000] {
        let shown = read(past(&history, at(now)));
        assert_eq!(shown["transitions"][2]["at"], "2026-02-02T11:59:50Z", "{now}");
    }
}

#[test]
fn clock_that_is_not_set_dates_nothing() {
    let mut history = History::new(1);
    history.record(&failed(1), at(1));
    let shown = read(HistoryAnswer { boot_date: None, ..past(&history, at(2_000_001)) });
    assert_eq!(shown["clock_set"], false);
    for entry in [&shown["beats"][0], &shown["transitions"][0]] {
        assert_eq!((&entry["at"], &entry["ago_ms"]), (&Value::Null, &json!(2000)));
    }
}

#[test]
fn after_leaves_out_what_is_known_already() {
    let mut history = History::new(1);
    for seq in 1..10 {
        history.record(&failed(seq), at(seq));
    }
    let shown = read(HistoryAnswer { after: 8, ..past(&history, at(10)) });
    let ids: Vec<_> = shown["beats"].as_array().unwrap().iter().map(|beat| &beat["id"]).collect();
    assert_eq!(ids, [9, 10]);
    assert_eq!(shown["transitions"], json!([]));
    assert_eq!(shown["last_id"], 10);
    assert_eq!(
        read(HistoryAnswer { after: u32::MAX, ..past(&history, at(10)) })["beats"],
        json!([])
    );
}

#[test]
fn name_with_quotes_is_still_json() {
    let mut history = History::new(1);
    let name = r#"a"b\c"#;
    history.record(
        &acknowledged(1, Reason::FailoverTo(InterfaceName::new(name).unwrap()), name, at(1)),
        at(2),
    );
    let shown = read(past(&history, at(3)));
    assert_eq!(shown["beats"][0]["via"], name);
    assert_eq!(shown["beats"][0]["reason"], format!("failover_to_{name}"));
}

/// Fills every place with the longest there is, or with the usual.
fn full(longest: bool) -> History {
    let mut history = History::new(u64::MAX);
    let start = 1 << 44;
    let name = |short: &str| {
        InterfaceName::new(if longest { "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"" } else { short })
    };
    for nth in 0..400 {
        let now = at(start + nth);
        history.turn(Change::Uplink { from: name("eth0"), to: name("wlan0") }, now);
        let word = if longest { Word::new(&"x".repeat(64)) } else { Word::new("rtsp_up") };
        let via = if longest { "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"" } else { "eth0" };
        let seq = if longest { u64::MAX } else { nth };
        let event_at = if longest { at(0) } else { now };
        let mut note = acknowledged(seq, Reason::Triggered(word), via, event_at);
        if let Note::BeatAcknowledged { beat: Acknowledged { stamps, .. }, .. } = &mut note
            && longest
        {
            *stamps = Stamps { usable_at: now, ..*stamps };
        }
        history.record(&note, now);
    }
    history
}

#[test]
fn usual_history_is_shown_whole_and_the_longest_without_its_oldest() {
    let (usual, longest) = (full(false), full(true));
    let shown = read(past(&usual, at(1 << 45)));
    assert_eq!(shown["transitions"].as_array().unwrap().len(), 256);
    assert_eq!(shown["beats"].as_array().unwrap().len(), 64);
    let whole = past(&longest, at(1 << 45));
    assert_eq!(whole.emit_into(&mut vec![0; HISTORY_MAX]), Err(TooLarge));
    assert!(whole.emit_into(&mut vec![0; 2 * HISTORY_MAX]).is_ok());
    assert!(whole.emit().len() <= HISTORY_MAX);
    let shown = read(whole);
    assert_eq!(shown["beats"].as_array().unwrap().len(), 64);
    let turns = shown["transitions"].as_array().unwrap();
    assert!((150..256).contains(&turns.len()), "{}", turns.len());
    assert_eq!(shown["last_id"], turns.last().unwrap()["id"].as_u64().unwrap() + 1);
}
