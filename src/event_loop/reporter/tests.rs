use core::time::Duration;

use super::*;
use linkbeat_core::proto::event::Stamps;

const EVENT_AT: Instant = Instant::from_micros(5_000_000);

fn after(micros: u64) -> Instant {
    EVENT_AT + Duration::from_micros(micros)
}

fn stamps() -> Stamps {
    Stamps {
        event_at: EVENT_AT,
        usable_at: after(40),
        held: Duration::ZERO,
        resolved_at: after(50),
        opened_at: after(50),
        connected_at: after(1_234),
        secured_at: after(2_950),
        written_at: after(3_000),
        replied_at: after(4_060),
    }
}

fn acknowledged(recovered: bool) -> Note {
    Note::BeatAcknowledged {
        beat: Acknowledged {
            seq: 812,
            reason: Reason::FailoverTo(InterfaceName::new("wlan1").expect("a name")),
            via: InterfaceName::new("wlan1"),
            status: 200,
            stamps: stamps(),
        },
        covers: 812,
        recovered,
    }
}

fn failed(failure: Failure) -> Note {
    Note::BeatFailed {
        seq: 813,
        covers: 813,
        reason: Reason::Interval,
        failure,
        retry_at: Some(after(700_000)),
        news: true,
    }
}

#[test]
fn a_delivered_beat_logs_its_steps_in_milliseconds_since_the_event() {
    let mut reporter = Reporter::new(0);
    reporter.record(&acknowledged(false), after(5_000));
    assert_eq!(
        BeatShown(&reporter.delivered.expect("a beat")).to_string(),
        "seq 812, failover_to_wlan1, 200, via wlan1, 4.1 ms (usable 0.0, resolved 0.1, \
         connected 1.2, secured 3.0, written 3.0)"
    );
}

#[test]
fn an_error_lasts_until_the_next_acknowledgement_and_the_turn_is_dated() {
    let mut reporter = Reporter::new(0);
    reporter.record(&failed(Failure::Refused), after(1));
    reporter.record(&failed(Failure::TimedOut), after(2));
    assert_eq!(reporter.error, "no answer in time");
    assert_eq!(reporter.turned_at, Some(after(1)), "it began to fail then");
    reporter.record(&acknowledged(true), after(3));
    assert_eq!((reporter.error.as_str(), reporter.turned_at), ("", Some(after(3))));
    reporter.record(&acknowledged(false), after(4));
    assert_eq!((reporter.history.counters.beats(), reporter.turned_at), (2, Some(after(3))));
}

#[test]
fn a_remark_goes_with_the_next_failure_only() {
    let mut reporter = Reporter::new(0);
    reporter.remark("203.0.113.10:443");
    reporter.record(&failed(Failure::Refused), after(1));
    assert_eq!(reporter.error, "connection refused: 203.0.113.10:443");
    reporter.record(&failed(Failure::Refused), after(2));
    assert_eq!(reporter.error, "connection refused");
    reporter.remark("203.0.113.10:443");
    reporter.record(&acknowledged(true), after(3));
    reporter.record(&failed(Failure::Refused), after(4));
    assert_eq!(reporter.error, "connection refused");
}

#[test]
fn a_status_comes_with_what_to_do() {
    for (status, advice) in [
        (401, "token_code"),
        (403, "token_code"),
        (404, "not provisioned"),
        (307, "correct api_url"),
    ] {
        let mut reporter = Reporter::new(0);
        reporter.record(&failed(Failure::Status(status)), after(1));
        assert!(reporter.error.contains(advice), "{}", reporter.error);
        assert!(reporter.error.contains(&status.to_string()), "{}", reporter.error);
    }
}

#[test]
fn a_portal_comes_with_its_status_and_where_it_leads() {
    let mut reporter = Reporter::new(0);
    reporter.remark("http://portal.example/login");
    reporter.record(&failed(Failure::Portal(302)), after(1));
    let reported =
        "a login page answers in place of the server (HTTP 302): http://portal.example/login";
    assert_eq!(reporter.error, reported);
}

#[test]
fn long_words_are_cut_at_a_character() {
    let mut reporter = Reporter::new(0);
    reporter.remark("ß".repeat(TEXT_MAX));
    assert_eq!(reporter.detail.len(), TEXT_MAX);
    reporter.record(&failed(Failure::Malformed), after(1));
    assert_eq!(reporter.error.len(), TEXT_MAX);
}

#[test]
fn an_answer_too_long_to_be_shown_is_forgotten() {
    let mut reporter = Reporter::new(0);
    reporter.keep_answer(b"{\"ok\": true}", |_| false);
    reporter.keep_answer(&[b' '; ANSWER_MAX + 1], |_| false);
    assert_eq!(reporter.answer, b"");
}

#[test]
fn an_answer_that_contains_a_secret_is_not_kept() {
    let mut reporter = Reporter::new(0);
    reporter.keep_answer(b"{\"ok\": true}", |_| false);
    reporter.keep_answer(b"{\"token\": \"s3cret\"}", |text| text.contains("s3cret"));
    assert_eq!(reporter.answer, b"");
}
