use super::*;

/// Idle with a kept connection.
fn kept() -> Bench {
    let mut bench = Bench::new();
    bench.deliver(true);
    bench
}

#[test]
fn the_last_beat_leaves_at_once_over_the_kept_connection() {
    let mut bench = kept();
    bench.pass(ms(1_000));
    bench.input(Input::Stopping);
    assert!(bench.agent.says_goodbye());
    let (id, seq, _) = bench.report().expect("a report");
    assert_eq!(seq, 2);
    bench.input(Input::Written(id));
    assert!(bench.agent.says_goodbye());
    bench.reply(id, 200, true);
    assert!(!bench.agent.says_goodbye());
    assert_eq!(bench.report(), None, "one only");
}

#[test]
fn the_last_beat_opens_a_connection_where_none_is_kept_and_is_not_repeated() {
    let mut bench = Bench::idle();
    bench.input(Input::Stopping);
    let (id, ..) = bench.write();
    bench.reply(id, 500, false);
    assert!(!bench.agent.says_goodbye());
}

#[test]
fn no_last_beat_follows_a_refusal_or_goes_where_nothing_gets_through() {
    let mut refused = Bench::idle();
    refused.trigger();
    let (id, ..) = refused.write();
    refused.reply(id, 404, true);

    let mut quiet = Bench::idle();
    quiet.trigger();
    let (id, ..) = quiet.write();
    let retry_after = Some(Duration::from_secs(60));
    quiet.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));

    let mut cut_off = kept();
    cut_off.link(ETH0, false);

    let mut off = kept();
    off.input(Input::Configured(&Settings { enabled: false, ..settings() }));

    let mut silent = Bench::with(&Settings { auto_connect: false, ..settings() });

    for bench in [&mut refused, &mut quiet, &mut cut_off, &mut off, &mut silent] {
        bench.input(Input::Stopping);
        assert!(!bench.agent.says_goodbye());
        assert_eq!((bench.report(), bench.connect()), (None, None));
    }
}

#[test]
fn a_trigger_that_waits_is_in_the_last_beat() {
    let trigger_bucket = BucketSettings { burst: 1, every: Duration::from_secs(3600) };
    let mut bench = Bench::with(&Settings { trigger_bucket, ..settings() });
    bench.deliver(true);
    bench.trigger();
    let (id, ..) = bench.report().expect("a report");
    bench.input(Input::Written(id));
    bench.reply(id, 200, true);
    bench.trigger();
    assert!(matches!(bench.answer(), Some(TriggerAnswer::Held { seq: 3, .. })));
    bench.input(Input::Stopping);
    let (id, seq, reason) = bench.report().expect("a report");
    assert_eq!((seq, reason), (3, Reason::Triggered(None)));
    bench.input(Input::Written(id));
    bench.reply(id, 200, true);
    let [Note::BeatAcknowledged { covers, .. }] = bench.notes()[..] else { panic!("no beat") };
    assert_eq!(covers, 3);
}

#[test]
fn a_beat_under_way_goes_first_unless_it_is_not_written_yet() {
    let mut written = Bench::idle();
    written.trigger();
    let (id, ..) = written.write();
    written.input(Input::Stopping);
    assert_eq!(written.report(), None);
    written.reply(id, 200, true);
    assert!(written.agent.says_goodbye());
    let (id, seq, _) = written.report().expect("a report");
    assert_eq!(seq, 3);
    written.input(Input::Written(id));
    written.reply(id, 200, true);
    assert!(!written.agent.says_goodbye());

    for (status, retry_after) in [(403, None), (503, Some(Duration::from_secs(60)))] {
        let mut refused = Bench::idle();
        refused.trigger();
        let (id, ..) = refused.write();
        refused.input(Input::Stopping);
        let reply = Reply { retry_after, keep_alive: true, ..Reply::of(status) };
        refused.input(Input::Replied(id, reply));
        assert!(!refused.agent.says_goodbye(), "{status}");
        assert_eq!((refused.report(), refused.connect()), (None, None), "{status}");
    }

    let mut unwritten = Bench::idle();
    unwritten.trigger();
    let (id, _) = unwritten.connect().expect("a connection");
    unwritten.input(Input::Stopping);
    let (_, seq, reason) = unwritten.establish(id);
    assert_eq!((seq, reason), (2, Reason::Triggered(None)));
    unwritten.reply(id, 200, true);
    assert!(!unwritten.agent.says_goodbye());
}

#[test]
fn the_last_beat_waits_for_no_back_off() {
    let mut bench = Bench::idle();
    bench.trigger();
    for _ in 0..6 {
        let (id, ..) = bench.write();
        bench.reply(id, 500, false);
        if bench.agent.view(bench.now).rounds_failed == 6 {
            break;
        }
        while bench.connect().is_none() {
            let at = bench.agent.next_deadline(bench.now).expect("a retry");
            bench.pass(at - bench.now);
        }
    }
    assert!(bench.agent.view(bench.now).waits_until.is_some());
    bench.input(Input::Stopping);
    assert!(bench.connect().is_some());
}
