//! What a person reads, and what a script learns from the exit code.

use std::time::Duration;

use super::*;
use crate::config::{Config, Listen};
use crate::status::Snapshot;
use crate::status::network::NoWay;
use crate::status::tests::{Edit, at, config, text, uplink, usual, well};
use linkbeat_core::proto::agent::{IntervalSource, Obstacle};
use linkbeat_core::proto::event::{Failure, Reason, Stamps, TlsFailure};
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};
use linkbeat_core::proto::reach::Connectivity;
use linkbeat_core::wire::json;

fn page(json: &str) -> String {
    Page { status: Fields(json::parse(json.as_bytes()).unwrap()), colour: false }.text()
}

fn verdict(json: &str) -> StatusVerdict {
    Page { status: Fields(json::parse(json.as_bytes()).unwrap()), colour: false }.verdict()
}

/// The page without its last line, which has the process in it.
fn body(page: &str) -> &str {
    page.trim_end().rsplit_once('\n').unwrap().0
}

#[test]
fn what_a_beat_waited_for_is_named() {
    let config = usual();
    let uplinks = [uplink("eth0", 20)];
    let mut snapshot = well(&config, &uplinks);
    let mut beat = snapshot.beat.expect("a beat").clone();
    let us = Duration::from_micros;
    let event_at = beat.stamps.event_at;
    beat.stamps = Stamps {
        usable_at: event_at + us(5_000),
        held: us(2_000_000),
        resolved_at: event_at + us(5_000),
        opened_at: event_at + us(2_255_000),
        connected_at: event_at + us(2_256_000),
        secured_at: event_at + us(2_257_000),
        written_at: event_at + us(2_258_000),
        replied_at: event_at + us(2_259_000),
        event_at,
    };
    snapshot.beat = Some(&beat);
    let page = page(&text(&snapshot));
    let steps =
        "resolved 5.0, connected 2256.0, secured 2257.0, written 2258.0, answered 2259.0 ms";
    let waits = "; of it 5.0 without an uplink, 2000.0 held, 250.0 racing\n";
    assert!(page.contains(&format!("{steps}{waits}")), "{page}");
}

#[test]
fn all_is_well_on_one_page() {
    let config = usual();
    let uplinks = [uplink("eth0", 20), uplink("wlan0", 7)];
    let listen = Listen::Socket("/run/linkbeat/http.sock".into());
    let snapshot = Snapshot { listens_on: Some(&listen), ..well(&config, &uplinks) };
    let expected = "\
online for 14 min 48 s over eth0: the server acknowledges the beats
  uplink       eth0 192.168.1.20, in use for 14 min 55 s
  in reserve   wlan0 192.168.1.7
  last beat    12 s ago: interval, seq 812, answered 200 over eth0 in 83.4 ms
  its steps    resolved 0.1, connected 12.0, secured 40.0, written 40.1, answered 83.4 ms
  next beat    in 18 s
  server       https://h.example
  device key   camera-1
  page         unix:/run/linkbeat/http.sock";
    let page = page(&text(&snapshot));
    assert_eq!(body(&page), expected);
    let sandbox = "sandbox: no new privileges, no core files";
    assert!(page.ends_with(&format!(", process {}; {sandbox}\n", std::process::id())), "{page}");
}

#[test]
fn agent_without_a_sandbox_says_so() {
    let config = usual();
    let snapshot = Snapshot { sandbox: None, ..well(&config, &[]) };
    assert!(page(&text(&snapshot)).ends_with("; sandbox: none\n"));
}

#[test]
fn unknown_device_key_is_shown_with_the_key_and_the_file() {
    let config = usual();
    let uplinks = [uplink("eth0", 20)];
    let mut snapshot = well(&config, &uplinks);
    snapshot.view.failure = Some(Failure::Status(404));
    snapshot.view.rounds_failed = 3;
    snapshot.error = "the server answered 404";
    snapshot.warnings = &[&"wlan0: rp_filter is 1"];
    let expected = "\
rejected for 14 min 48 s: the server answers, but does not accept the beat
  error        the server answered 404
  failures     3 in a row
  what to do   provision the device key \"camera-1\" at the server, or correct device_key or \
api_url in /etc/rpi-cam/meeting.json
  warning      wlan0: rp_filter is 1
";
    let page = page(&text(&snapshot));
    assert!(page.starts_with(expected), "{page}");
}

/// What there is to do in a snapshot.
fn advice(snapshot: &Snapshot<'_>) -> Option<String> {
    let page = page(&text(snapshot));
    page.lines().find_map(|line| line.strip_prefix("  what to do   ")).map(String::from)
}

#[test]
fn every_failure_comes_with_its_own_advice() {
    let config = usual();
    let file = "/etc/rpi-cam/meeting.json";
    let uplinks = [uplink("eth0", 20)];
    let tls = Failure::Tls;
    for (failure, words) in [
        (Failure::Refused, &["https://h.example", "port", file][..]),
        (Failure::Unreachable, &["https://h.example", "route"]),
        (Failure::TimedOut, &["https://h.example", "firewall"]),
        (Failure::Reset, &["firewall"]),
        (Failure::Closed, &["firewall"]),
        (Failure::Status(401), &["token_code", "\"camera-1\"", file]),
        (Failure::Status(403), &["token_code", "\"camera-1\"", file]),
        (Failure::Status(404), &["device_key", "\"camera-1\"", file]),
        (Failure::Status(304), &["cache"]),
        (Failure::Status(408), &["line", "request"]),
        (Failure::Status(308), &["api_url", "redirect", file]),
        (Failure::Status(400), &["api_url", "log", file]),
        (Failure::Status(429), &["fewer"]),
        (Failure::Status(503), &["operator of the server"]),
        (Failure::NotAccepted, &["\"camera-1\"", "log", "false"]),
        (Failure::Portal(302), &["eth0", "log in", "browser", "by itself", "api_url", file]),
        (tls(TlsFailure::Expired), &["clock", "certificate"]),
        (tls(TlsFailure::NotYetValid), &["clock", "certificate"]),
        (tls(TlsFailure::WrongName), &["eth0", "log in", "check --pin", file]),
        (tls(TlsFailure::UnknownIssuer), &["eth0", "log in", "check --pin", file]),
        (tls(TlsFailure::WrongKey), &["eth0", "log in", "check --pin", file]),
        (tls(TlsFailure::BadCertificate), &["certificate", "tls.pin_sha256", file]),
        (tls(TlsFailure::RefusedByServer), &["TLS 1.2", "https://h.example", "P-384"]),
        (tls(TlsFailure::ClientCertificateWanted), &["tls.client_cert", "tls.client_key", file]),
        (tls(TlsFailure::ClientCertificateRefused), &["tls.client_cert", "renew"]),
        (tls(TlsFailure::Handshake), &["TLS 1.2", "https://h.example"]),
        (Failure::NameNotFound, &["name", "api_url", file, "/etc/resolv.conf"]),
        (Failure::NameServerFailed, &["nameservers", "/etc/resolv.conf"]),
        (Failure::NameServerSilent, &["nameservers", "/etc/resolv.conf", "reached"]),
        (Failure::NoNameserver, &["/etc/resolv.conf", "DHCP"]),
        (Failure::Denied, &["firewall of this device"]),
        (Failure::Exhausted, &["top"]),
        (Failure::Malformed, &["api_url", "Meeting API"]),
        (Failure::TooLarge, &["api_url", "Meeting API"]),
        (Failure::Http2Only, &["HTTP/1.1", "port", "api_url", file]),
        (Failure::NoInterface, &["by itself"]),
    ] {
        let mut snapshot = well(&config, &uplinks);
        snapshot.view.failure = Some(failure);
        let advice = advice(&snapshot).unwrap();
        for word in words {
            assert!(advice.contains(word), "{failure:?}: {advice}");
        }
        assert!(!advice.contains("  "), "{advice}");
    }
    // As long as no beat was acknowledged, the configuration may be wrong instead.
    for (failure, words) in [
        (TlsFailure::WrongName, &["api_url", "certificate", file][..]),
        (TlsFailure::UnknownIssuer, &["tls.ca_file", "linkbeat.json", "check --pin"]),
        (TlsFailure::WrongKey, &["check --pin", "tls.pin_sha256", file]),
    ] {
        let mut snapshot = well(&config, &uplinks);
        (snapshot.view.failure, snapshot.beat) = (Some(tls(failure)), None);
        let advice = advice(&snapshot).unwrap();
        for word in words {
            assert!(advice.contains(word), "{failure:?}: {advice}");
        }
    }
}

#[test]
fn states_without_a_failure_come_with_advice_where_there_is_something_to_do() {
    let uplinks = [uplink("eth0", 20)];
    let file = "/etc/rpi-cam/meeting.json";
    let fresh = Config::default();
    let no_key = config(r#"{"api_url": "http://h"}"#);
    let disabled = config(r#"{"enabled": false}"#);
    let manual = config(r#"{"api_url":"http://h","device_key":"k","auto_connect":false}"#);
    let usual = usual();
    for (config, words) in [
        (&fresh, &["\"api_url\"", file][..]),
        (&no_key, &["\"device_key\"", file]),
        (&disabled, &["\"enabled\"", file]),
        (&manual, &["linkbeat trigger"]),
    ] {
        let mut snapshot = well(config, &uplinks);
        snapshot.beat = None;
        let advice = advice(&snapshot).unwrap();
        for word in words {
            assert!(advice.contains(word), "{advice}");
        }
    }
    let mut snapshot = well(&usual, &uplinks);
    assert_eq!(advice(&snapshot), None);
    snapshot.view.connectivity = Connectivity::Offline;
    assert!(advice(&snapshot).unwrap().contains("router"));
    snapshot.view.uplinks = &[];
    let (eth0, index) = (InterfaceName::new("eth0").unwrap(), LinkIndex(2));
    let server = Some([203, 0, 113, 10].into());
    let obstacles = [
        (Obstacle::NoInterface, false, "no network interface", "driver"),
        (Obstacle::NoCarrier(eth0), false, "eth0 has no carrier", "cable"),
        (Obstacle::NoRoute(index, eth0, server), false, "eth0 has no address", "DHCP"),
        (
            Obstacle::NoRoute(index, eth0, server),
            true,
            "eth0 has no route to 203.0.113.10",
            "route",
        ),
        (Obstacle::NoRoute(index, eth0, None), true, "eth0 has no default route", "route"),
        (
            Obstacle::Ignored([eth0].into_iter().collect()),
            false,
            "every interface that is up is ignored: eth0",
            "ignore_interfaces",
        ),
    ]
    .map(|(obstacle, addressed, said, advised)| (NoWay { obstacle, addressed }, said, advised));
    for (no_way, said, advised) in &obstacles {
        snapshot.no_way = Some(no_way);
        assert!(advice(&snapshot).unwrap().contains(advised), "{no_way}");
        assert!(page(&text(&snapshot)).contains(said), "{no_way}");
        snapshot.no_way = None;
    }
    snapshot.view.connectivity = Connectivity::Online;
    snapshot.beat = None;
    assert_eq!(advice(&snapshot), None);
    assert!(page(&text(&snapshot)).contains("none has been acknowledged since start"));
}

#[test]
fn bad_configuration_is_shown_and_is_what_to_mend_where_there_is_no_other() {
    let error = "meeting.json:1:2: error: no";
    let (fresh, usual) = (Config::default(), usual());
    let mut snapshot = well(&fresh, &[]);
    snapshot.config_error = Some(error);
    let row = format!("\n  bad config   {error} (it is not in force)\n");
    assert!(page(&text(&snapshot)).contains(&row));
    assert!(advice(&snapshot).unwrap().contains("linkbeat check /etc/rpi-cam/meeting.json"));
    snapshot.config = &usual;
    assert!(page(&text(&snapshot)).contains(&row));
    assert_eq!(advice(&snapshot), None);
}

#[test]
fn next_beat_says_what_it_waits_for() {
    let config = usual();
    let cases: [(&str, Edit); 6] = [
        ("under way", |s| s.view.in_flight = true),
        ("as soon as there is a way: connectivity_restored", |s| {
            s.view.pending = Some(Reason::Restored);
        }),
        ("in 3 s, not earlier: the server asked for it", |s| {
            s.view.pending = Some(Reason::Restored);
            s.view.waits_until = Some(at(1003));
            s.view.held_until = Some(at(1003));
        }),
        ("in 3 s, not earlier: many were sent, or recovery_spread_ms is set", |s| {
            s.view.pending = Some(Reason::Restored);
            s.view.waits_until = Some(at(1003));
        }),
        ("in 3 s, the next try\n", |s| {
            s.view.pending = Some(Reason::Restored);
            s.view.waits_until = Some(at(1003));
            s.view.rounds_failed = 1;
        }),
        ("in 18 s\n", |_| {}),
    ];
    for (words, change) in cases {
        let mut snapshot = well(&config, &[]);
        change(&mut snapshot);
        let page = page(&text(&snapshot));
        assert!(page.contains(&format!("\n  next beat    {words}")), "{page}");
    }
}

#[test]
fn interval_is_shown_where_it_is_not_that_of_the_configuration() {
    let config = usual();
    let mut snapshot = well(&config, &[]);
    assert!(!page(&text(&snapshot)).contains("\n  interval "));
    snapshot.view.interval = Duration::from_secs(300);
    for (source, why) in [
        (IntervalSource::Server, "set by the server"),
        (IntervalSource::Metered, "the uplink is metered"),
    ] {
        snapshot.view.interval_source = source;
        let page = page(&text(&snapshot));
        assert!(page.contains(&format!("\n  interval     5 min 0 s, {why}\n")), "{page}");
    }
}

#[test]
fn verdict_is_offline_then_stale_then_the_state() {
    for (state, ago, expected) in [
        ("\"online\"", "0", StatusVerdict::Fresh),
        ("\"online\"", "70", StatusVerdict::Fresh),
        ("\"online\"", "71", StatusVerdict::Stale),
        ("\"online\"", "null", StatusVerdict::Stale),
        ("\"starting\"", "null", StatusVerdict::Stale),
        ("\"waiting\"", "null", StatusVerdict::Stale),
        ("\"unconfigured\"", "null", StatusVerdict::Stale),
        ("\"disabled\"", "5", StatusVerdict::Offline),
        ("\"rejected\"", "5", StatusVerdict::Offline),
        ("\"rejected\"", "71", StatusVerdict::Stale),
        ("\"server_silent\"", "71", StatusVerdict::Stale),
        ("\"captive_portal\"", "5", StatusVerdict::Offline),
        ("\"captive_portal\"", "71", StatusVerdict::Stale),
        ("\"offline\"", "5", StatusVerdict::Offline),
        ("\"offline\"", "500", StatusVerdict::Offline),
        ("\"no_uplink\"", "null", StatusVerdict::Offline),
        ("\"dreaming\"", "5", StatusVerdict::Offline),
        ("null", "5", StatusVerdict::Offline),
    ] {
        let json =
            format!(r#"{{"state": {state}, "last_heartbeat_ago": {ago}, "stale_after": 70}}"#);
        assert_eq!(verdict(&json), expected, "{json}");
    }
    assert_eq!(verdict(r#"{"state": "online", "last_heartbeat_ago": 1}"#), StatusVerdict::Stale);
}

#[test]
fn online_without_a_fresh_beat_is_said_to_be_stale() {
    let json = r#"{"state": "online", "last_heartbeat_ago": 71, "stale_after": 70}"#;
    assert!(page(json).contains("  stale        the last beat should be no older than 1 min 10 s"));
}

#[test]
fn colour_is_around_the_state_and_nowhere_else() {
    for (json, begin) in [
        (r#"{"state": "online", "last_heartbeat_ago": 1, "stale_after": 70}"#, "\x1b[32monline"),
        (r#"{"state": "no_uplink"}"#, "\x1b[31mno uplink"),
        (r#"{"state": "starting"}"#, "\x1b[33mstarting"),
        (r#"{"state": "dreaming"}"#, "\x1b[33mdreaming"),
        ("{}", "\x1b[33munknown"),
    ] {
        let page =
            Page { status: Fields(json::parse(json.as_bytes()).unwrap()), colour: true }.text();
        assert!(page.starts_with(&format!("{begin}\x1b[0m")), "{page:?}");
        assert_eq!(page.matches('\x1b').count(), 2, "{page:?}");
    }
}

/// A status in which every text is there, to be spoilt.
fn full() -> String {
    let config = usual();
    let uplinks = [uplink("eth0", 20), uplink("wlan0", 7)];
    let mut snapshot = well(&config, &uplinks);
    snapshot.view.failure = Some(Failure::Status(404));
    snapshot.view.pending = Some(Reason::Restored);
    snapshot.error = "the server answered 404";
    snapshot.config_error = Some("bad");
    snapshot.warnings = &[&"one", &"two"];
    text(&snapshot)
}

#[test]
fn no_text_steers_the_terminal() {
    let spoilt = full().replace("\":\"", "\":\"\\u001b[31m\\u009b\\n\u{85}\u{202e}");
    let spoilt = spoilt.replace("[\"", "[\"\\u001b[31m\\u009b\\n\u{85}\u{202e}");
    let page = page(&spoilt);
    let steering = |char: char| char != '\n' && char.is_control() || char == '\u{202e}';
    assert!(!page.contains(steering), "{page:?}");
    for line in page.lines().skip(1) {
        assert!(line.starts_with("  ") && line.chars().nth(13) == Some(' '), "{line:?}");
    }
}

#[test]
fn any_json_can_be_shown() {
    let full = full();
    for value in ["null", "true", "-1.5", "\"\"", "\"x\"", "[]", "{}", "[[1]]", "{\"name\":1}"] {
        page(value);
        verdict(value);
        let root = json::parse(full.as_bytes()).unwrap();
        let mut members = root.members().map(|(_, member)| member).collect::<Vec<_>>();
        let inner: Vec<_> = members.iter().flat_map(|m| m.members().map(|(_, v)| v)).collect();
        members.extend(inner);
        for member in members {
            let (begin, end) = (member.offset(), member.offset() + member.raw().len());
            let changed = format!("{}{value}{}", &full[..begin], &full[end..]);
            page(&changed);
            verdict(&changed);
        }
    }
}

#[test]
fn spans_show_their_two_largest_units() {
    for (seconds, words) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (200_000, "2 d 7 h"),
    ] {
        assert_eq!(span(seconds), words);
    }
}

#[test]
fn uplink_in_reserve_is_shown_with_its_last_test() {
    for (standby, words) in [
        ("null", "in reserve   wlan1 192.168.1.7\n"),
        ("\"ok\"", "in reserve   wlan1 192.168.1.7: it works\n"),
        ("\"dead\"", "in reserve   wlan1 192.168.1.7: the server does not answer over it\n"),
    ] {
        let uplink =
            format!(r#"{{"name": "wlan1", "addresses": ["192.168.1.7"], "standby": {standby}}}"#);
        let status = format!(r#"{{"state": "online", "uplinks": [{uplink}]}}"#);
        let text = page(&status);
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn last_outage_says_how_many_beats_were_missed() {
    for (outage, words) in [
        (r#""kind": "no_uplink", "missed": 0"#, "no beat fell due: no interface led out\n"),
        (
            r#""kind": "failing", "cause": "refused", "missed": 1"#,
            "1 beat missed: beats failed (refused)\n",
        ),
        (
            r#""kind": "offline", "cause": "timed_out", "missed": 9"#,
            "9 beats missed: nothing outside answered\n",
        ),
    ] {
        let outage = format!(r#"{{"began_ago": 90, "lasted": 30, {outage}}}"#);
        let text = page(&format!(r#"{{"state": "online", "last_outage": {outage}}}"#));
        let line = format!("last outage  ended 1 min 0 s ago, lasted 30 s, {words}");
        assert!(text.contains(&line), "{text}");
    }
}
