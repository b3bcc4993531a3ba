use super::*;
use crate::proto::event::TlsFailure;

#[test]
fn failures_back_off_up_to_the_interval() {
    let mut bench = Bench::idle();
    bench.trigger();
    let mut waits = vec![];
    for _ in 0..9 {
        let (attempt, ..) = bench.write();
        bench.reply(attempt, 500, false);
        let failed_at = bench.now;
        let Some(at) = bench.agent.next_deadline(bench.now) else { panic!("no retry") };
        bench.pass(at - bench.now);
        while bench.connect().is_none() {
            let at = bench.agent.next_deadline(bench.now).expect("a retry");
            bench.pass(at - bench.now);
        }
        waits.push((bench.now - failed_at).as_millis());
    }
    for (round, wait) in waits.iter().enumerate() {
        let most = 30_000.min(1000 << round);
        assert!((most / 2..=most).contains(wait), "round {round}: {wait} ms");
    }
}

#[test]
fn retry_after_is_obeyed_and_triggers_are_told_until_when() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (attempt, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(60));
    let reply = Reply { retry_after, ..Reply::of(503) };
    let asked_at = bench.now;
    bench.input(Input::Replied(attempt, reply));
    bench.trigger();
    let Some(TriggerAnswer::Held { until, .. }) = bench.answer() else { panic!("not held") };
    assert!((60..=66).contains(&(until - asked_at).as_secs()));
    bench.pass(ms(59_000));
    assert_eq!(bench.connect(), None);
    bench.link(ETH0, false);
    let (attempt, ..) = bench.write();
    bench.reply(attempt, 503, false);
    bench.link(ETH0, true);
    assert_eq!(bench.connect(), None, "one exception only");
}

#[test]
fn the_longest_retry_after_holds_for_a_quarter_of_an_hour() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (attempt, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(u64::MAX));
    bench.input(Input::Replied(attempt, Reply { retry_after, ..Reply::of(503) }));
    let asked_at = bench.now;
    bench.trigger();
    let Some(TriggerAnswer::Held { until, .. }) = bench.answer() else { panic!("not held") };
    assert_eq!(until - asked_at, Duration::from_secs(900));
}

#[test]
fn a_final_answer_is_reported_and_the_cycle_goes_on() {
    for status in [301, 400, 401, 403, 404] {
        let mut bench = Bench::idle();
        bench.trigger();
        let (attempt, ..) = bench.write();
        bench.reply(attempt, status, false);
        assert!(matches!(bench.notes().as_slice(), [Note::BeatFailed { retry_at: None, .. }]));
        bench.pass(ms(29_999));
        assert_eq!(bench.connect(), None, "{status}");
        bench.pass(ms(1));
        assert!(bench.connect().is_some(), "{status}");
    }
}

#[test]
fn an_answer_that_does_not_accept_is_final_and_no_acknowledgement() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (attempt, ..) = bench.write();
    let failure = Some(Failure::NotAccepted);
    bench.input(Input::Replied(attempt, Reply { failure, ..Reply::of(200) }));
    let failed = Note::BeatFailed {
        seq: 2,
        covers: 2,
        reason: Reason::Triggered(None),
        failure: Failure::NotAccepted,
        retry_at: None,
        news: true,
    };
    assert_eq!(bench.notes(), [failed]);
    bench.pass(ms(29_999));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_portal_is_asked_every_few_seconds_whether_people_have_logged_in() {
    let mut bench = Bench::idle();
    bench.trigger();
    for _ in 0..20 {
        let (attempt, seq, _) = bench.write();
        assert_eq!(seq, 2);
        let failure = Some(Failure::Portal(200));
        bench.input(Input::Replied(attempt, Reply { failure, ..Reply::of(200) }));
        let failed_at = bench.now;
        while bench.connect().is_none() {
            bench.pass(ms(100));
        }
        assert!(bench.now - failed_at <= ms(5_000), "{:?}", bench.now - failed_at);
    }
    bench.deliver(false);
    assert!(matches!(bench.notes()[..], [Note::BeatAcknowledged { seq: 2, .. }]));
}

#[test]
fn a_foreign_certificate_is_a_portal_only_after_the_servers_own() {
    for delivered in [true, false] {
        let mut bench = Bench::with(&settings());
        if delivered {
            bench.deliver(false);
            bench.trigger();
        }
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            let (attempt, _) = bench.connect().expect("an attempt");
            bench.fail(attempt, Failure::Tls(TlsFailure::UnknownIssuer));
            let failed_at = bench.now;
            while bench.connect().is_none() {
                bench.pass(ms(100));
            }
            longest = longest.max(bench.now - failed_at);
        }
        assert_eq!(longest <= ms(5_000), delivered, "{longest:?}");
    }
}

#[test]
fn a_round_ends_in_time_and_closes_everything() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (attempt, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(attempt, true));
    bench.pass(ms(9_700));
    assert!(bench.actions.contains(&Action::CloseAttempt(attempt)));
    assert!(matches!(
        bench.notes().as_slice(),
        [Note::BeatFailed { failure: Failure::TimedOut, .. }]
    ));
}

#[test]
fn a_flapping_link_sends_no_more_than_its_tokens() {
    let mut bench = Bench::idle();
    let mut connects = 0;
    for _ in 0..600 {
        bench.link(ETH0, false);
        bench.pass(ms(50));
        connects += bench.actions.iter().filter(|a| matches!(a, Action::Connect { .. })).count();
        bench.link(ETH0, true);
        connects += usize::from(bench.connect().is_some());
        bench.pass(ms(50));
        connects += bench.actions.iter().filter(|a| matches!(a, Action::Connect { .. })).count();
    }
    assert!(
        (20..=5 + 30 + 4).contains(&connects),
        "{connects} connections in a minute of flapping"
    );
}

#[test]
fn a_flapping_spare_uplink_does_not_turn_the_back_off_off() {
    let network_bucket = BucketSettings { burst: 1, every: Duration::from_secs(10) };
    let mut bench = Bench::with(&Settings { network_bucket, ..settings() });
    let mut rounds = refuse_all(&mut bench);
    for _ in 0..1200 {
        bench.up(WLAN1);
        rounds += refuse_all(&mut bench);
        bench.link(WLAN1, false);
        rounds += refuse_all(&mut bench);
        bench.pass(ms(50));
        rounds += refuse_all(&mut bench);
    }
    // A token every ten seconds, and after each the waits of at least 0.5, 1, 2 and 4 s.
    assert!(rounds <= 7 * 5, "{rounds} rounds in a minute");
}

/// Resets whatever is being connected; returns the rounds that ended with it.
fn refuse_all(bench: &mut Bench) -> usize {
    let mut rounds = 0;
    while let Some((attempt, ..)) = bench.connects().pop() {
        bench.fail(attempt, Failure::Tls(TlsFailure::Handshake));
        rounds += bench.notes().len();
    }
    rounds
}

#[test]
fn a_retry_after_counts_when_the_round_ends_with_another_failure() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (slow, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(slow, false));
    let (detour, _) = bench.connect().expect("a detour");
    let retry_after = Some(Duration::from_secs(60));
    bench.input(Input::Replied(slow, Reply { retry_after, ..Reply::of(503) }));
    bench.fail(detour, Failure::Refused);
    bench.pass(ms(59_000));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_retry_after_of_nothing_is_no_quiet() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (attempt, ..) = bench.write();
    let retry_after = Some(Duration::ZERO);
    bench.input(Input::Replied(attempt, Reply { retry_after, ..Reply::of(503) }));
    assert_eq!(bench.agent.view(bench.now).held_until, None);
    bench.pass(ms(1_000));
    assert!(bench.connect().is_some());
}

#[test]
fn another_resolver_ends_the_wait_for_a_retry() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (attempt, ..) = bench.write();
    bench.fail(attempt, Failure::Reset);
    assert_eq!(bench.connect(), None);
    let search = ["lan".try_into().expect("a name")].into_iter().collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { search, ..Default::default() }));
    assert!(bench.connect().is_some());
}

#[test]
fn hours_of_sleep_are_one_beat() {
    let mut bench = Bench::idle();
    bench.now = bench.now + Duration::from_secs(5 * 3600 + 7);
    bench.input(Input::Deadline);
    bench.deliver(false);
    bench.pass(ms(1_000));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_beat_in_flight_when_the_device_fell_asleep_is_sent_again_within_a_second() {
    let mut bench = Bench::idle();
    bench.trigger();
    bench.write();
    bench.now = bench.now + Duration::from_secs(3600);
    bench.input(Input::Deadline);
    bench.pass(ms(1_000));
    assert!(bench.connect().is_some());
}

#[test]
fn an_uplink_that_flaps_without_a_token_does_not_stop_the_beat_of_the_other() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    while bench.agent.changes.token_at(0, bench.now) == bench.now {
        bench.link(ETH0, false);
        bench.link(ETH0, true);
    }
    let busy = bench.agent.race.tries()[0].attempt;
    bench.establish(busy);
    bench.reply(busy, 200, false);
    bench.trigger();
    let (on_eth0, via) = bench.connect().expect("a beat");
    assert_eq!(via, Some(name("eth0")));
    bench.link(ETH0, false);
    assert!(bench.actions.contains(&Action::CloseAttempt(on_eth0)));
    let (on_wlan1, via) = bench.connect().expect("the beat goes on");
    assert_eq!(via, Some(name("wlan1")));
    bench.link(ETH0, true);
    assert!(!bench.actions.contains(&Action::CloseAttempt(on_wlan1)));
    let (_, _, reason) = bench.establish(on_wlan1);
    assert_eq!(reason, Reason::Priority(name("eth0")), "the news of both is in it");
}

#[test]
fn clock_that_is_set_hastens_what_failed_for_the_time_of_a_certificate_and_nothing_else() {
    for (failure, hastens) in [
        (TlsFailure::NotYetValid, true),
        (TlsFailure::Expired, true),
        (TlsFailure::WrongName, false),
        (TlsFailure::UnknownIssuer, false),
    ] {
        let mut bench = Bench::idle();
        bench.trigger();
        let (attempt, _) = bench.connect().expect("a connection");
        bench.input(Input::Connected(attempt));
        bench.fail(attempt, Failure::Tls(failure));
        // The one path has its second try first.
        if let Some((attempt, _)) = bench.connect() {
            bench.input(Input::Connected(attempt));
            bench.fail(attempt, Failure::Tls(failure));
        }
        assert!(bench.agent.beat.is_idle() && bench.connect().is_none());
        bench.input(Input::ClockSet);
        assert_eq!(bench.connect().is_some(), hastens, "{failure:?}");
    }
}

#[test]
fn clock_that_jumps_all_the_time_costs_tokens_like_any_evidence() {
    let mut bench = Bench::idle();
    bench.trigger();
    let mut connects = 0;
    for _ in 0..100 {
        while let Some((attempt, _)) = bench.connect() {
            connects += 1;
            bench.input(Input::Connected(attempt));
            bench.fail(attempt, Failure::Tls(TlsFailure::Expired));
        }
        bench.input(Input::ClockSet);
    }
    // A beat of its own, and one for each token that start-up has left; two tries each at most.
    assert!((5..=12).contains(&connects), "{connects}");
}

#[test]
fn device_that_slept_for_minutes_sends_one_beat_and_not_one_for_each_interval() {
    let mut bench = Bench::idle();
    bench.now = bench.now + Duration::from_secs(600);
    bench.input(Input::Deadline);
    assert_eq!(bench.deliver(true).1, Reason::Interval);
    assert_eq!(bench.report(), None);
    assert_eq!(bench.agent.next_deadline(bench.now), Some(bench.now + Duration::from_secs(30)));
    assert!(bench.pass(Duration::from_millis(29_999)).is_empty());
}
