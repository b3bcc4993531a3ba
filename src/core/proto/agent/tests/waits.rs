use super::*;
use crate::proto::event::TlsFailure;

#[test]
fn failures_back_off_up_to_the_interval() {
    let mut bench = Bench::idle();
    bench.trigger();
    let mut waits = vec![];
    for _ in 0..9 {
        let (id, ..) = bench.write();
        bench.reply(id, 500, false);
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
fn retry_after_is_obeyed_and_triggers_are_answered_with_its_end() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (id, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(60));
    let reply = Reply { retry_after, ..Reply::of(503) };
    let asked_at = bench.now;
    bench.input(Input::Replied(id, reply));
    bench.trigger();
    let Some(TriggerAnswer::Held { until, .. }) = bench.answer() else { panic!("not held") };
    assert!((60..=120).contains(&(until - asked_at).as_secs()));
    bench.pass(ms(59_000));
    assert_eq!(bench.connect(), None);
    bench.link(ETH0, false);
    let (id, ..) = bench.write();
    bench.reply(id, 503, false);
    bench.link(ETH0, true);
    assert_eq!(bench.connect(), None, "one exception only");
}

#[test]
fn the_longest_retry_after_holds_for_a_quarter_of_an_hour_and_its_spread() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(u64::MAX));
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    let asked_at = bench.now;
    bench.trigger();
    let Some(TriggerAnswer::Held { until, .. }) = bench.answer() else { panic!("not held") };
    assert!((900..=1800).contains(&(until - asked_at).as_secs()), "{until:?}");
}

#[test]
fn a_final_answer_is_reported_and_the_cycle_goes_on() {
    for status in [301, 400, 401, 403, 404] {
        let mut bench = Bench::idle();
        bench.trigger();
        let (id, ..) = bench.write();
        bench.reply(id, status, false);
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
    let (id, ..) = bench.write();
    let failure = Some(Failure::NotAccepted);
    bench.input(Input::Replied(id, Reply { failure, ..Reply::of(200) }));
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
        let (id, seq, _) = bench.write();
        assert_eq!(seq, 2);
        let failure = Some(Failure::Portal(200));
        bench.input(Input::Replied(id, Reply { failure, ..Reply::of(200) }));
        let failed_at = bench.now;
        while bench.connect().is_none() {
            bench.pass(ms(100));
        }
        assert!(bench.now - failed_at <= ms(5_000), "{:?}", bench.now - failed_at);
    }
    bench.deliver(false);
    assert!(matches!(
        bench.notes()[..],
        [Note::BeatAcknowledged { beat: Acknowledged { seq: 2, .. }, .. }]
    ));
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
            let (id, _) = bench.connect().expect("an attempt");
            bench.fail(id, Failure::Tls(TlsFailure::UnknownIssuer));
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
    let (id, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(id, true));
    bench.pass(ms(9_700));
    assert!(bench.actions.contains(&Action::CloseConnection(id)));
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
    while let Some((id, ..)) = bench.connects().pop() {
        bench.fail(id, Failure::Tls(TlsFailure::Handshake));
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
    let (id, ..) = bench.write();
    let retry_after = Some(Duration::ZERO);
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    assert_eq!(bench.agent.view(bench.now).held_until, None);
    bench.pass(ms(1_000));
    assert!(bench.connect().is_some());
}

#[test]
fn another_resolver_ends_the_wait_for_a_retry() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.fail(id, Failure::Reset);
    assert_eq!(bench.connect(), None);
    let search = "lan".try_into().expect("a domain");
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
    while bench.agent.demand.change_token_at(bench.now) == bench.now {
        bench.link(ETH0, false);
        bench.link(ETH0, true);
    }
    let busy = bench.agent.delivery.race().attempts[0].id;
    bench.establish(busy);
    bench.reply(busy, 200, false);
    bench.trigger();
    let (on_eth0, via) = bench.connect().expect("a beat");
    assert_eq!(via, Some(name("eth0")));
    bench.link(ETH0, false);
    assert!(bench.actions.contains(&Action::CloseConnection(on_eth0)));
    let (on_wlan1, via) = bench.connect().expect("the beat goes on");
    assert_eq!(via, Some(name("wlan1")));
    bench.link(ETH0, true);
    assert!(!bench.actions.contains(&Action::CloseConnection(on_wlan1)));
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
        let (id, _) = bench.connect().expect("a connection");
        bench.input(Input::Connected(id));
        bench.fail(id, Failure::Tls(failure));
        // The one path has its second try first.
        if let Some((id, _)) = bench.connect() {
            bench.input(Input::Connected(id));
            bench.fail(id, Failure::Tls(failure));
        }
        assert!(bench.agent.delivery.is_idle() && bench.connect().is_none());
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
        while let Some((id, _)) = bench.connect() {
            connects += 1;
            bench.input(Input::Connected(id));
            bench.fail(id, Failure::Tls(TlsFailure::Expired));
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

/// A recovery is spread over five seconds.
fn spreading() -> Bench {
    let recovery_spread = Duration::from_secs(5);
    Bench::with(&Settings { recovery_spread, ..settings() })
}

/// The time to the next connection.
fn wait_for_connect(bench: &mut Bench) -> Duration {
    let began_at = bench.now;
    while bench.connect().is_none() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a beat");
        bench.input(Input::Deadline);
    }
    bench.now - began_at
}

#[test]
fn a_recovery_holds_the_first_beat_back_and_a_trigger_does_not_wait_for_it() {
    let mut bench = spreading();
    assert_eq!(bench.connect(), None);
    let wait = wait_for_connect(&mut bench);
    assert!(wait > ms(10) && wait <= ms(5_000), "{wait:?}");
    let mut bench = spreading();
    bench.trigger();
    assert!(bench.connect().is_some());
}

#[test]
fn a_healed_outage_is_reported_at_a_moment_of_ones_own_and_a_change_of_uplink_at_once() {
    for local in [false, true] {
        let mut bench = spreading();
        wait_for_connect(&mut bench);
        bench.deliver(false);
        bench.start_cycle();
        // The beat of the cycle gets nowhere, nor does anything else for a while.
        bench.pass(ms(90_000));
        assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Offline);
        while bench.probe().is_none() {
            bench.pass(ms(100));
        }
        let probe = bench.last_probe().expect("a probe");
        bench.input(Input::ProbeAnswered(probe));
        assert_eq!(bench.connect(), None);
        assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Online);
        if local {
            bench.up(WLAN1);
            bench.link(ETH0, false);
            assert!(bench.connect().is_some());
        } else {
            let wait = wait_for_connect(&mut bench);
            assert!(wait > ms(10) && wait <= ms(5_000), "{wait:?}");
            assert_eq!(bench.deliver(false).1, Reason::Restored);
        }
    }
}

#[test]
fn the_spread_ends_with_the_first_beat() {
    let mut bench = spreading();
    bench.trigger();
    bench.deliver(false);
    bench.agent.demand.set_phase(bench.now + ms(1));
    let wait = wait_for_connect(&mut bench);
    assert_eq!(wait, ms(1), "the beat of the cycle is not held back");
}

#[test]
fn a_trigger_that_failed_is_tried_again_as_soon_as_the_server_answers() {
    let mut bench = spreading();
    wait_for_connect(&mut bench);
    bench.deliver(false);
    bench.start_cycle();
    bench.trigger();
    // The server is silent and the network answers, until the round is over.
    let mut of_the_server = None;
    while !(bench.agent.demand.is_retrying() && bench.agent.delivery.is_idle()) {
        let opened = bench.pass(ms(50));
        for action in opened {
            match action {
                Action::OpenProbe { probe, to, .. } if to == PROBE => {
                    bench.input(Input::ProbeAnswered(probe));
                }
                Action::OpenProbe { probe, .. } => of_the_server = Some(probe),
                _ => {}
            }
        }
    }
    bench.input(Input::ProbeAnswered(of_the_server.expect("a probe of the server")));
    assert!(bench.connect().is_some());
}

#[test]
fn another_interval_draws_the_phase_anew() {
    let phases: std::collections::BTreeSet<_> = [10, 30, 3600]
        .into_iter()
        .map(|seconds| {
            let mut bench = Bench::idle();
            bench.start_cycle();
            let interval = Duration::from_secs(seconds);
            bench.input(Input::Configured(&Settings { interval, ..settings() }));
            bench.agent.demand.due_at().expect("a cycle") - bench.now
        })
        .collect();
    assert!(phases.contains(&Duration::from_secs(30)), "the same interval moves nothing");
    assert!(!phases.contains(&Duration::from_secs(10)) && phases.len() == 3, "{phases:?}");
}
