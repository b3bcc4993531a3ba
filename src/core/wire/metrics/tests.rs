//! The text format, compared byte for byte.

use super::*;
use crate::proto::agent::Agent;
use crate::proto::event::{Acknowledged, Action, Actions, Failure, Note, Reason, Stamps};
use crate::proto::label::{ServiceName, Word};
use crate::proto::link::{InterfaceName, LinkIndex};
use crate::proto::services::Services;
use crate::proto::settings::ServiceSettings;
use crate::proto::standby::StandbyTests;
use crate::proto::uplink::Uplink;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn history() -> History {
    let mut history = History::new(1);
    let acknowledged = |reason, took| {
        let event_at = at(1_000_000);
        let written_at = event_at + Duration::from_micros(took / 2);
        Note::BeatAcknowledged {
            beat: Acknowledged {
                seq: 1,
                reason,
                via: None,
                status: 200,
                stamps: Stamps {
                    event_at,
                    usable_at: event_at,
                    held: Duration::ZERO,
                    resolved_at: event_at,
                    opened_at: event_at,
                    connected_at: event_at,
                    secured_at: event_at,
                    written_at,
                    replied_at: event_at + Duration::from_micros(took),
                },
            },
            covers: 1,
            recovered: false,
        }
    };
    history.record(&acknowledged(Reason::Interval, 40_000), at(1_040_000));
    history.record(&acknowledged(Reason::Interval, 90_000_000), at(91_000_000));
    history.record(&acknowledged(Reason::Triggered(Word::new("door")), 2_500), at(91_000_000));
    history.record(
        &Note::BeatFailed {
            seq: 2,
            covers: 2,
            reason: Reason::Interval,
            failure: Failure::Status(404),
            retry_at: None,
            news: true,
        },
        at(91_000_000),
    );
    history.record(&Note::TriggerSet, at(91_000_000));
    history.record(&Note::TriggerMerged, at(91_000_000));
    history.record(&Note::ConnectivityLost, at(91_000_000));
    history.record(&Note::ConnectivityRestored, at(92_500_000));
    let counters = &mut history.counters;
    counters.connections = 3;
    counters.full_handshakes = 1;
    counters.resumptions = 2;
    counters.overflows = 4;
    counters.sent_bytes = 18_446_744_073_709_551_615;
    counters.received_bytes = 6;
    history
}

fn metrics(history: &History) -> Metrics<'_> {
    Metrics {
        version: "0.1.0",
        now: at(100_000_000),
        boot_date: Some(Duration::from_millis(1_770_033_500_500)),
        started_at: at(500_000),
        state: "online",
        online: true,
        enabled: true,
        acknowledged_at: Some(at(91_000_000)),
        view: view(),
        history,
    }
}

fn view() -> View<'static> {
    let uplink = Uplink {
        index: LinkIndex(2),
        name: InterfaceName::new("e\"th\\0").unwrap(),
        v4: None,
        v6: None,
        metric: 0,
        leads_to_server: true,
        on_purpose: false,
        kernels_choice: false,
    };
    let agent: &Agent = Box::leak(Box::new(Agent::new(1, at(0))));
    View {
        uplinks: Box::leak(Box::new([uplink; 2])),
        interval: Duration::from_secs(30),
        rounds_failed: 1,
        probes_sent: 8,
        connects: 5,
        ..agent.view(at(100_000_000))
    }
}

#[test]
fn metrics_equal_the_vector() {
    let history = history();
    let text = metrics(&history).to_string();
    let expected = include_str!("../../../../tests/vectors/metrics/all.prom");
    assert_eq!(text, expected);
    assert!(!text.contains("door"), "a helper's word makes no series");
}

#[test]
fn services_are_listed_after_their_first_check() {
    let mut services = Services::default();
    let mut actions = Actions::new();
    let settings = ["rtsp", "web", "onvif"].map(|name| ServiceSettings {
        name: ServiceName::new(name).unwrap(),
        address: "127.0.0.1:554".parse().unwrap(),
        interval: Duration::from_secs(10),
    });
    services.configure(&settings.into_iter().collect(), at(0), &mut actions);
    services.tick(at(0), &mut actions);
    for (answers, action) in [true, false].into_iter().zip(actions) {
        let Action::OpenServiceCheck { check, .. } = action else { panic!("{action:?}") };
        services.check_finished(check, answers, at(1));
    }
    let history = history();
    let view = View { services: services.all(), ..view() };
    let text = Metrics { view, ..metrics(&history) }.to_string();
    let expected = "\n# HELP linkbeat_service_up Whether a service on the device answers.\n\
                    # TYPE linkbeat_service_up gauge\n\
                    linkbeat_service_up{service=\"rtsp\"} 1\n\
                    linkbeat_service_up{service=\"web\"} 0\n#";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn uplinks_in_reserve_are_listed_after_their_first_test() {
    let (history, standby) = (history(), StandbyTests::of(&[("wlan1", false), ("wlan0", true)]));
    let view = View { standby: &standby, ..view() };
    let text = Metrics { view, ..metrics(&history) }.to_string();
    let expected = "\n# HELP linkbeat_standby_up Whether the server is reached over an uplink in reserve.\n\
                    # TYPE linkbeat_standby_up gauge\n\
                    linkbeat_standby_up{uplink=\"wlan1\"} 0\n\
                    linkbeat_standby_up{uplink=\"wlan0\"} 1\n#";
    assert!(text.contains(expected), "{text}");
    assert!(!metrics(&history).to_string().contains("standby"));
}

#[test]
fn unknown_values_have_no_series() {
    let history = History::new(1);
    let view = View { uplinks: &[], ..view() };
    let bare = Metrics { boot_date: None, view, acknowledged_at: None, ..metrics(&history) };
    let text = bare.to_string();
    for name in ["start_time", "uplink_info", "last_acknowledged"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert!(text.contains("\nlinkbeat_beats_total{reason=\"interval\"} 0\n"));
}

#[test]
fn seconds_have_no_trailing_zeros() {
    for (micros, text) in [
        (0, "0"),
        (1, "0.000001"),
        (1_000, "0.001"),
        (2_500, "0.0025"),
        (500_000, "0.5"),
        (10_000_000, "10"),
        (10_000_010, "10.00001"),
        (u64::MAX, "18446744073709.551615"),
    ] {
        assert_eq!(Seconds(micros).to_string(), text);
    }
}
