//! What status and preview say, field by field, and what they never say.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value as Json;

use super::*;
use crate::config::load;
use crate::scratch::Scratch;
use linkbeat_core::proto::agent::IntervalSource;
use linkbeat_core::proto::event::{Acknowledged, Failure, Reason, Stamps, TlsFailure};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};
use linkbeat_core::proto::outages::{KeptOutages, Outages};
use linkbeat_core::proto::reach::Connectivity;
use linkbeat_core::proto::uplink::Uplink;
use linkbeat_core::proto::wall::Source;
use linkbeat_core::wire::json;

const SECOND: u64 = 1_000_000;
/// 2026-02-02T12:34:56Z
const UNIX_S: u64 = 1_770_035_696;

pub(crate) fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * SECOND)
}

pub(crate) fn uplink(name: &str, last: u8) -> Uplink {
    Uplink {
        index: LinkIndex(u32::from(last)),
        name: InterfaceName::new(name).unwrap(),
        v4: Some(Ipv4Addr::new(192, 168, 1, last)),
        v6: None,
        metric: 0,
        leads_to_server: true,
        on_purpose: false,
        kernels_choice: true,
    }
}

/// The configuration that `meeting.json` with this text gives.
pub(crate) fn config(text: &str) -> Config {
    let directory = Scratch::new();
    let loaded = load(&directory.write("meeting.json", text));
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

pub(crate) fn usual() -> Config {
    config(
        r#"{"api_url": "https://h.example/api", "device_key": "camera-1", "token_code": "s3cret-token"}"#,
    )
}

fn stamps(seconds: u64) -> Stamps {
    let event_us = seconds * SECOND;
    let step = |micros| Instant::from_micros(event_us + micros);
    Stamps {
        event_at: step(0),
        usable_at: step(0),
        held: Duration::ZERO,
        resolved_at: step(100),
        opened_at: step(100),
        connected_at: step(12_000),
        secured_at: step(40_000),
        written_at: step(40_100),
        replied_at: step(83_400),
    }
}

fn view(uplinks: &[Uplink]) -> View<'_> {
    View {
        connectivity: Connectivity::Online,
        connectivity_since: at(110),
        server_silent: false,
        uplinks,
        obstacle: None,
        failed_paths: &[],
        links_left_out: false,
        uplink_since: at(105),
        seq: 813,
        in_flight: false,
        pending: None,
        waits_until: None,
        held_until: None,
        interval: Duration::from_secs(30),
        interval_source: IntervalSource::Configuration,
        due_at: Some(at(1018)),
        standby: Box::leak(Box::default()),
        outages: Box::leak(Box::default()),
        failure: None,
        rounds_failed: 0,
        services: &[],
        probes_sent: 7,
        connects: 3,
    }
}

/// The last acknowledged beat of a snapshot in which all is well.
fn beat() -> &'static Acknowledged {
    Box::leak(Box::new(Acknowledged {
        seq: 812,
        reason: Reason::Interval,
        via: InterfaceName::new("eth0"),
        status: 200,
        stamps: stamps(987),
    }))
}

/// A snapshot in which all is well, 900 seconds after start.
pub(crate) fn well<'a>(config: &'a Config, uplinks: &'a [Uplink]) -> Snapshot<'a> {
    Snapshot {
        now: at(1000),
        boot_date: Duration::from_secs(UNIX_S - 1000),
        clock_unset: None,
        started_at: at(100),
        config,
        config_file: Path::new("/etc/rpi-cam/meeting.json"),
        config_error: None,
        configured_at: at(70),
        listens_on: None,
        view: view(uplinks),
        beat: Some(beat()),
        acknowledged: 30,
        sandbox: Some(Box::leak(Box::new(Sandbox {
            no_new_privs: true,
            no_core: true,
            ..Sandbox::default()
        }))),
        turned_at: Some(at(112)),
        error: "",
        answer: Some(json::parse(br#"{"ok": true}"#).unwrap()),
        no_way: None,
        warnings: &[],
    }
}

pub(crate) fn text(snapshot: &Snapshot<'_>) -> String {
    let mut buffer = vec![0; STATUS_MAX];
    let length = snapshot.emit(&mut buffer).unwrap();
    buffer.truncate(length);
    json::parse(&buffer).unwrap();
    String::from_utf8(buffer).unwrap()
}

fn shown(snapshot: &Snapshot<'_>) -> Json {
    serde_json::from_str(&text(snapshot)).unwrap()
}

#[test]
fn all_fields_are_there_byte_for_byte() {
    let config = usual();
    let uplinks = [uplink("eth0", 20), uplink("wlan0", 7)];
    let fields = r#""enabled":true,"connected":true,"last_heartbeat":"2026-02-02T12:34:43Z","last_heartbeat_ago":12,"last_error":null,"device_info":{"ok": true},"provisioned":false,"configured":true,"device_key":"came****","device_key_full":"camera-1","api_url":"https://h.example","heartbeat_interval":30,"heartbeat_thread_running":true"#;
    let more = r#""state":"online","since":"2026-02-02T12:20:08Z","since_ago":888,"cause":null,"uplink":{"name":"eth0","addresses":["192.168.1.20"],"since":"2026-02-02T12:20:01Z","since_ago":895},"uplinks":[{"name":"wlan0","addresses":["192.168.1.7"],"standby":null}],"obstacle":null,"beat":{"seq":812,"reason":"interval","via":"eth0","status":200,"usable_us":0,"held_us":0,"resolved_us":100,"opened_us":100,"connected_us":12000,"secured_us":40000,"written_us":40100,"replied_us":83400},"last_outage":null,"in_flight":false,"next_beat_in":18,"pending":null,"waits_until":null,"held_until":null,"clock":{"set":true,"since":null,"since_ago":null,"used":null,"source":null},"watch":[],"failures":0,"probes_sent":7,"connects":3,"beats_acknowledged":30,"interval_s":30,"interval_source":"configuration","stale_after":70,"warnings":[],"config_file":"/etc/rpi-cam/meeting.json","config_error":null,"listens_on":null,"sandbox":{"no_new_privs":true,"no_core":true,"filter":false}"#;
    let words = r#""meaning":"the server acknowledges the beats","advice":null"#;
    let expected = format!(
        r#"{{"success":true,"status":{{{fields}}},{fields},{more},"version":"{}","pid":{},{words}}}"#,
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
    );
    assert_eq!(text(&well(&config, &uplinks)), expected);
}

#[test]
fn fresh_camera_shows_nulls_and_empty_texts() {
    let config = Config::default();
    let mut snapshot = well(&config, &[]);
    snapshot.beat = None;
    snapshot.answer = None;
    snapshot.turned_at = None;
    let shown = shown(&snapshot);
    assert_eq!(shown["state"], "unconfigured");
    for (key, value) in [
        ("last_heartbeat", Json::Null),
        ("last_heartbeat_ago", Json::Null),
        ("last_error", Json::Null),
        ("device_info", Json::Null),
        ("configured", false.into()),
        ("connected", false.into()),
        ("device_key", "".into()),
        ("device_key_full", "".into()),
        ("api_url", "".into()),
    ] {
        assert_eq!(shown[key], value, "{key}");
        assert_eq!(shown["status"][key], value, "status.{key}");
    }
    assert_eq!(shown["beat"], Json::Null);
    assert_eq!(shown["uplink"], Json::Null);
}

/// Changes a snapshot in which all is well.
pub(crate) type Edit = fn(&mut Snapshot<'_>);

#[test]
fn states_follow_their_definition_in_order() {
    let uplinks = [uplink("eth0", 20)];
    let cases: [(&str, Option<u64>, Edit); 21] = [
        ("online", Some(888), |_| {}),
        ("online", Some(890), |s| s.turned_at = Some(at(50))),
        ("no_uplink", Some(895), |s| {
            s.view.uplinks = &[];
            s.view.connectivity = Connectivity::Offline;
        }),
        ("no_uplink", Some(895), |s| {
            s.view.uplinks = &[];
            s.view.connectivity = Connectivity::Unknown;
        }),
        // A server on the camera itself.
        ("online", Some(888), |s| s.view.uplinks = &[]),
        ("offline", Some(890), |s| {
            s.view.connectivity = Connectivity::Offline;
            s.view.failure = Some(Failure::TimedOut);
        }),
        ("server_silent", Some(888), |s| s.view.failure = Some(Failure::TimedOut)),
        ("server_silent", Some(888), |s| s.view.failure = Some(Failure::Refused)),
        ("rejected", Some(888), |s| s.view.failure = Some(Failure::Status(404))),
        ("rejected", Some(888), |s| s.view.failure = Some(Failure::NotAccepted)),
        ("captive_portal", Some(888), |s| s.view.failure = Some(Failure::Portal(302))),
        ("captive_portal", Some(888), |s| {
            s.view.failure = Some(Failure::Tls(TlsFailure::UnknownIssuer));
        }),
        ("captive_portal", Some(888), |s| {
            s.view.failure = Some(Failure::Tls(TlsFailure::WrongName));
        }),
        // Nothing says yet that the server has another certificate.
        ("failing", Some(888), |s| {
            s.view.failure = Some(Failure::Tls(TlsFailure::WrongName));
            s.beat = None;
        }),
        ("failing", Some(888), |s| s.view.failure = Some(Failure::Tls(TlsFailure::Expired))),
        ("failing", Some(888), |s| s.view.failure = Some(Failure::NameNotFound)),
        ("failing", Some(888), |s| s.view.failure = Some(Failure::NameServerSilent)),
        ("failing", Some(900), |s| {
            s.view.failure = Some(Failure::NoNameserver);
            s.turned_at = None;
        }),
        ("starting", Some(900), |s| s.beat = None),
        ("starting", Some(900), |s| {
            s.beat = None;
            s.view.connectivity = Connectivity::Unknown;
        }),
        ("server_silent", Some(888), |s| {
            s.view.connectivity = Connectivity::Unknown;
            s.view.failure = Some(Failure::Closed);
        }),
    ];
    let config = usual();
    for (number, (state, since_ago, change)) in cases.into_iter().enumerate() {
        let mut snapshot = well(&config, &uplinks);
        change(&mut snapshot);
        let shown = shown(&snapshot);
        assert_eq!(shown["state"], state, "case {number}");
        assert_eq!(shown["since_ago"], Json::from(since_ago), "case {number}");
        assert_eq!(shown["connected"], state == "online", "case {number}");
    }
}

#[test]
fn state_is_worded_with_advice() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    snapshot.view.failure = Some(Failure::Status(404));
    let shown = shown(&snapshot);
    assert_eq!(shown["meaning"], "the server answers, but does not accept the beat");
    assert_eq!(
        shown["advice"],
        "provision the device key \"camera-1\" at the server, or correct device_key or api_url in \
         /etc/rpi-cam/meeting.json"
    );
}

#[test]
fn disabled_wins_over_everything() {
    let config = config(r#"{"enabled": false}"#);
    let mut snapshot = well(&config, &[]);
    snapshot.view.failure = Some(Failure::Reset);
    assert_eq!(snapshot.state(), AgentState::Disabled);
    assert_eq!(shown(&snapshot)["since_ago"], Json::from(930));
}

#[test]
fn without_auto_connect_the_first_beat_waits_to_be_asked_for() {
    let config = config(r#"{"api_url": "http://h", "device_key": "k", "auto_connect": false}"#);
    let uplinks = [uplink("eth0", 20)];
    let mut snapshot = well(&config, &uplinks);
    snapshot.beat = None;
    assert_eq!(snapshot.state(), AgentState::Waiting);
    snapshot.view.pending = Some(Reason::Triggered(None));
    assert_eq!(snapshot.state(), AgentState::Starting);
    snapshot.view.pending = None;
    snapshot.view.in_flight = true;
    assert_eq!(snapshot.state(), AgentState::Starting);
}

#[test]
fn interval_of_the_server_is_shown_as_such_and_decides_what_is_stale() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    snapshot.view.interval = Duration::from_secs(300);
    snapshot.view.interval_source = IntervalSource::Server;
    let shown = shown(&snapshot);
    assert_eq!((&shown["interval_s"], &shown["interval_source"]), (&300.into(), &"server".into()));
    assert_eq!((&shown["stale_after"], &shown["heartbeat_interval"]), (&610.into(), &30.into()));
}

#[test]
fn next_beat_is_under_way_or_wanted_or_due() {
    let config = usual();
    let cases: [(Json, Edit); 5] = [
        (18.into(), |_| {}),
        (0.into(), |s| s.view.in_flight = true),
        (Json::Null, |s| s.view.pending = Some(Reason::Restored)),
        (2.into(), |s| {
            s.view.pending = Some(Reason::Restored);
            s.view.waits_until = Some(at(1001) + Duration::from_micros(1));
        }),
        (Json::Null, |s| s.view.due_at = None),
    ];
    for (expected, change) in cases {
        let mut snapshot = well(&config, &[]);
        change(&mut snapshot);
        assert_eq!(shown(&snapshot)["next_beat_in"], expected);
    }
}

#[test]
fn clock_that_is_not_set_is_shown_with_what_is_used_instead() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    let floor = Floor { unix_s: UNIX_S - 60, source: Source::Server };
    snapshot.clock_unset = Some((at(940), floor));
    let expected = r#"{"set":false,"since":"2026-02-02T12:33:56Z","since_ago":60,"used":"2026-02-02T12:33:56Z","source":"server"}"#;
    assert_eq!(shown(&snapshot)["clock"], serde_json::from_str::<Json>(expected).unwrap());
}

#[test]
fn times_to_come_are_rounded_up() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    snapshot.view.held_until = Some(at(1003) + Duration::from_micros(1));
    assert_eq!(shown(&snapshot)["held_until"], "2026-02-02T12:35:00Z");
}

#[test]
fn token_is_never_shown_whoever_repeats_it() {
    let config = usual();
    for answer in [r#"{"token": "s3cret-token"}"#, r#"{"token": "s3cret\u002dtoken"}"#] {
        let mut snapshot = well(&config, &[]);
        snapshot.answer = Some(json::parse(answer.as_bytes()).unwrap());
        snapshot.error = "redirect to https://h/?token=s3cret-token";
        let text = text(&snapshot);
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn answer_that_does_not_fit_inside_ours_is_not_shown() {
    let config = usual();
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    for (answer, is_shown) in [
        (nested(DEPTH_MAX - 2), true),
        (nested(DEPTH_MAX - 1), false),
        (nested(DEPTH_MAX), false),
        (long(ANSWER_MAX), true),
        (long(ANSWER_MAX + 1), false),
    ] {
        let mut snapshot = well(&config, &[]);
        snapshot.answer = Some(json::parse(answer.as_bytes()).unwrap());
        assert_eq!(shown(&snapshot)["device_info"] != Json::Null, is_shown, "{answer}");
    }
}

#[test]
fn largest_snapshot_fits_and_smaller_buffers_say_so() {
    let awkward = r#"\""#.repeat(64);
    let config = config(&format!(
        r#"{{"api_url": "https://h/{}", "device_key": "{}"}}"#,
        "x".repeat(502),
        r#"\""#.repeat(128),
    ));
    let uplinks: Vec<Uplink> = (0..8)
        .map(|last| Uplink {
            v6: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
            ..uplink("wlan0123456789a", 200 + last)
        })
        .collect();
    let reason = Reason::Triggered(Word::new(&"w".repeat(64)));
    let quotes = "\"".repeat(1000);
    let answer = format!("\"{}\"", awkward.repeat(7));
    let mut snapshot = well(&config, &uplinks);
    snapshot.view.pending = Some(reason.clone());
    snapshot.view.waits_until = Some(at(1_000_000));
    snapshot.view.held_until = Some(at(1_000_000));
    snapshot.view.probes_sent = u64::MAX;
    snapshot.view.connects = u64::MAX;
    snapshot.view.failure = Some(Failure::Tls(TlsFailure::UnknownIssuer));
    let beat = Acknowledged { seq: u64::MAX, reason: reason.clone(), ..beat().clone() };
    snapshot.beat = Some(&beat);
    snapshot.error = &quotes;
    snapshot.answer = Some(json::parse(answer.as_bytes()).unwrap());
    let warnings: [&dyn Display; 20] = [&quotes; 20];
    snapshot.warnings = &warnings;
    let config_file = Path::new(&quotes);
    snapshot.config_file = config_file;
    snapshot.config_error = Some(&quotes);
    let length = text(&snapshot).len();
    assert!(length > STATUS_MAX / 2, "{length}");
    for size in 0..length {
        assert_eq!(snapshot.emit(&mut vec![0; size]), Err(TooLarge), "{size}");
    }
    assert_eq!(snapshot.emit(&mut vec![0; length]), Ok(length));
    assert_eq!(shown(&snapshot)["warnings"].as_array().unwrap().len(), WARNINGS_MAX);
}

#[test]
fn control_characters_of_others_become_spaces() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    snapshot.error = "a\x1b[31mb\u{9b}c\u{202e}d";
    assert_eq!(shown(&snapshot)["last_error"], "a [31mb c d");
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(Excerpt("é".repeat(TEXT_MAX)).to_string(), "é".repeat(TEXT_MAX / 2));
    // What would fit behind a character that does not is not written either.
    let text = "é".repeat(TEXT_MAX);
    assert_eq!(Excerpt(format_args!("x{text}{}", 'y')).to_string().len(), TEXT_MAX - 1);
}

#[test]
fn keys_are_masked_after_four_characters() {
    for (key, masked) in [("", ""), ("é", "é****"), ("camé-1", "camé****")] {
        assert_eq!(Masked(key).to_string(), masked);
    }
}

#[test]
fn preview_names_everything_and_no_token() {
    let config = usual();
    let mut buffer = [0; 512];
    let length = emit_preview(&config, br#"{"seq":1}"#, &mut buffer).unwrap();
    assert_eq!(
        std::str::from_utf8(&buffer[..length]).unwrap(),
        r#"{"success":true,"payload":{"seq":1},"endpoint":"/api/devices/camera-1/online","api_url":"https://h.example","device_key":"camera-1"}"#,
    );
    for size in 0..length {
        assert_eq!(emit_preview(&config, br#"{"seq":1}"#, &mut buffer[..size]), Err(TooLarge));
    }
}

#[test]
fn preview_of_a_fresh_camera_has_no_endpoint() {
    let mut buffer = [0; 512];
    let length = emit_preview(&Config::default(), b"{}", &mut buffer).unwrap();
    assert_eq!(
        std::str::from_utf8(&buffer[..length]).unwrap(),
        r#"{"success":true,"payload":{},"endpoint":"","api_url":"","device_key":""}"#,
    );
}

/// The advice for every state, each failure and each obstacle, with names of usual length.
pub(crate) fn every_advice(failures: &[Failure], obstacles: &[NoWay]) -> Vec<String> {
    let server = r#""api_url": "https://heartbeat.meeting.example.com:8443""#;
    let key = r#""device_key": "camera-entrance-2-b827eb1234ab""#;
    let configs = [
        format!("{{{server}, {key}}}"),
        format!("{{{server}, {key}, \"auto_connect\": false}}"),
        format!("{{{server}, {key}, \"enabled\": false}}"),
        format!("{{{server}}}"),
        String::from("{}"),
    ]
    .map(|text| config(&text));
    let uplinks = [uplink("enx001122334455", 20)];
    let mut texts = Vec::new();
    for config in &configs {
        for (beat, config_error) in [(Some(beat()), None), (None, None), (None, Some("x"))] {
            let mut snapshot = Snapshot { beat, config_error, ..well(config, &uplinks) };
            let mut take = |snapshot: &Snapshot<'_>| {
                texts.extend(Advice::of(snapshot).map(|advice| advice.to_string()));
            };
            take(&snapshot);
            for failure in failures {
                snapshot.view.failure = Some(*failure);
                take(&snapshot);
            }
            snapshot.view.connectivity = Connectivity::Offline;
            take(&snapshot);
            snapshot.view.uplinks = &[];
            take(&snapshot);
            for obstacle in obstacles {
                snapshot.no_way = Some(obstacle);
                take(&snapshot);
            }
        }
    }
    texts
}

#[test]
fn last_outage_says_what_was_missing_and_how_many_beats() {
    let config = usual();
    let outage = Outage {
        number: Some(3),
        began_at: at(900),
        ended_at: None,
        kind: OutageKind::Server,
        cause: Some(Failure::Status(503)),
        uplink: InterfaceName::new("eth0"),
        missed: 2,
    };
    for (kind, ended_at, word, lasted) in [
        (OutageKind::Link, None, "no_uplink", Json::Null),
        (OutageKind::Network, Some(at(930)), "offline", 30.into()),
        (OutageKind::Server, Some(at(930)), "failing", 30.into()),
    ] {
        let last = Some(Outage { kind, ended_at, ..outage });
        let kept = KeptOutages { delivered: true, numbered: 3, last, ..KeptOutages::default() };
        let outages = Outages::restored(kept, at(1000)).unwrap();
        let mut snapshot = well(&config, &[]);
        snapshot.view.outages = &outages;
        let shown = &shown(&snapshot)["last_outage"];
        assert_eq!((&shown["kind"], &shown["lasted"]), (&word.into(), &lasted));
        assert_eq!((&shown["began_ago"], &shown["cause"]), (&100.into(), &"http_503".into()));
        assert_eq!(
            (&shown["n"], &shown["missed"], &shown["uplink"]),
            (&3.into(), &2.into(), &"eth0".into())
        );
    }
}
