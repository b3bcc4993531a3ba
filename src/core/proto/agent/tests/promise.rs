use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets time pass until a connection is opened, and returns how long that took.
fn until_connect(bench: &mut Bench) -> Duration {
    let from = bench.now;
    while bench.connect().is_none() {
        let at = bench.agent.next_deadline(bench.now).expect("a deadline");
        bench.pass(at - bench.now);
    }
    bench.now - from
}

#[test]
fn a_report_promises_an_interval_and_an_exchange_in_whole_seconds() {
    for (interval, timeout_ms, promised) in
        [(30, 10_000, 40), (1, 100, 2), (5, 10_000, 25), (30, 2_001, 33), (86_400, 300_000, 86_700)]
    {
        let request_timeout = ms(timeout_ms);
        let settings = Settings { interval: seconds(interval), request_timeout, ..settings() };
        let bench = Bench::with(&settings);
        assert_eq!(bench.agent.next_within(bench.now), seconds(promised));
    }
}

#[test]
fn what_was_promised_outlives_a_longer_interval() {
    let mut first_half = 0;
    for seed in 0..100 {
        let mut bench = Bench::idle();
        bench.agent.rng = Rng::new(seed);
        bench.trigger();
        let (id, ..) = bench.write();
        let interval = Some(seconds(3600));
        bench.input(Input::Replied(id, Reply { interval, ..Reply::of(200) }));
        let took = until_connect(&mut bench);
        assert!(took <= seconds(30), "{took:?}");
        // Not all devices of a fleet in the moment that was promised.
        first_half += u32::from(took < seconds(15));
        bench.deliver(false);
        assert!(until_connect(&mut bench) <= seconds(3600));
        assert_eq!(bench.agent.next_within(bench.now), seconds(3610));
    }
    assert!((30..70).contains(&first_half), "{first_half}");
}

#[test]
fn a_promised_beat_waits_for_no_back_off() {
    for seed in 0..50 {
        let mut bench = Bench::idle();
        bench.agent.rng = Rng::new(seed);
        let promised_at = bench.now;
        bench.pass(seconds(1));
        bench.trigger();
        let mut tried = false;
        while bench.now - promised_at <= seconds(30) {
            let (id, _) = bench.connect().expect("an attempt");
            tried |= bench.now - promised_at == seconds(30);
            bench.fail(id, Failure::Refused);
            until_connect(&mut bench);
        }
        assert!(tried, "nothing was tried when a beat had to start");
    }
}

#[test]
fn a_promised_beat_waits_for_no_spread_of_a_recovery() {
    for seed in 0..20 {
        let mut bench = Bench::with(&Settings { recovery_spread: seconds(30), ..settings() });
        while bench.connect().is_none() {
            bench.pass(seconds(1));
        }
        bench.deliver(false);
        let promised_at = bench.now;
        bench.pass(seconds(9));
        assert!(bench.agent.demand.spread(bench.now, &mut Rng::new(seed)));
        let _ = until_connect(&mut bench);
        assert!(bench.now - promised_at <= seconds(30), "{:?}", bench.now - promised_at);
    }
}

#[test]
fn a_tick_that_passed_during_a_slow_answer_is_made_up_for() {
    let mut bench = Bench::idle();
    bench.pass(seconds(29));
    bench.trigger();
    let (id, ..) = bench.write();
    let written_at = bench.now;
    // The tick is that of the beat under way.
    bench.pass(ms(1_500));
    bench.reply(id, 200, false);
    until_connect(&mut bench);
    assert_eq!(bench.now - written_at, seconds(30));
}

#[test]
fn a_server_that_asks_to_wait_is_obeyed_whatever_was_promised() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    let retry_after = Some(seconds(120));
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    let took = until_connect(&mut bench);
    assert!((seconds(120)..=seconds(240)).contains(&took), "{took:?}");
}

#[test]
fn online_the_cycle_alone_keeps_the_promise() {
    let mut bench = Bench::idle();
    for _ in 0..100 {
        assert_eq!(until_connect(&mut bench), seconds(30));
        bench.deliver(false);
    }
}

#[test]
fn nothing_is_promised_to_another_server_or_while_beats_are_off() {
    let host = Host::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
    let elsewhere = Settings { server: Some(Server { host, port: 443 }), ..settings() };
    let off = Settings { enabled: false, ..settings() };
    for changed in [elsewhere, off] {
        let mut bench = Bench::idle();
        bench.input(Input::Configured(&changed));
        bench.agent.demand.set_phase(bench.now + seconds(3600));
        assert_eq!(bench.agent.demand.due_at(), bench.agent.demand.phase());
    }
}
