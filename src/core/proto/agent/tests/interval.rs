use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Idle, and triggers are not moderated.
fn idle() -> Bench {
    let trigger_bucket = BucketSettings { burst: 1, every: Duration::ZERO };
    let mut bench = Bench::with(&Settings { trigger_bucket, ..settings() });
    bench.deliver(false);
    bench
}

/// A beat is sent for a trigger, and answered with this status and interval.
fn answered(bench: &mut Bench, status: u16, interval: u64) {
    bench.trigger();
    let (id, ..) = bench.write();
    let interval = Some(seconds(interval));
    bench.input(Input::Replied(id, Reply { interval, ..Reply::of(status) }));
}

fn interval(bench: &Bench) -> (u64, IntervalSource) {
    let view = bench.agent.view(bench.now);
    (view.interval.as_secs(), view.interval_source)
}

/// The next tick of the cycle, whatever else is due.
fn due_in(bench: &Bench) -> Duration {
    bench.agent.demand.phase().expect("a cycle") - bench.now
}

/// When the next two beats are sent that nothing asks for but the cycle.
fn next_two(bench: &mut Bench) -> [Instant; 2] {
    [(); 2].map(|()| {
        while bench.connect().is_none() {
            let at = bench.agent.next_deadline(bench.now).expect("a cycle");
            bench.pass(at - bench.now);
        }
        let sent_at = bench.now;
        bench.deliver(false);
        sent_at
    })
}

#[test]
fn the_servers_word_is_the_interval_until_it_gives_another() {
    let mut bench = idle();
    assert_eq!(interval(&bench), (30, IntervalSource::Configuration));
    for word in [300, 10, 3600] {
        answered(&mut bench, 200, word);
        assert_eq!(interval(&bench), (word, IntervalSource::Server));
        assert!(bench.notes().contains(&Note::IntervalSet(seconds(word))));
        assert!(due_in(&bench) <= seconds(word));
        let due = due_in(&bench);
        answered(&mut bench, 200, word);
        assert!(!bench.notes().contains(&Note::IntervalSet(seconds(word))));
        assert_eq!(due_in(&bench), due, "the same word moves no phase");
    }
    answered(&mut bench, 200, 60);
    next_two(&mut bench);
    let [first, second] = next_two(&mut bench);
    assert_eq!(second - first, seconds(60));
}

#[test]
fn another_interval_has_a_phase_of_its_own() {
    let mut tenths = [0_u32; 10];
    for seed in 0..1000 {
        let mut bench = idle();
        bench.agent.rng = Rng::new(seed);
        answered(&mut bench, 200, 100);
        tenths[usize::try_from(due_in(&bench).as_secs() / 10).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
}

#[test]
fn a_word_counts_in_an_acknowledgement_only() {
    for status in [503, 404, 301] {
        let mut bench = idle();
        answered(&mut bench, status, 300);
        assert_eq!(interval(&bench), (30, IntervalSource::Configuration), "{status}");
    }
}

#[test]
fn a_word_outlives_a_changed_configuration_and_no_change_of_server() {
    let mut bench = idle();
    answered(&mut bench, 200, 300);
    let changed = Settings { interval: seconds(60), ..settings() };
    bench.input(Input::Configured(&changed));
    assert_eq!(interval(&bench), (300, IntervalSource::Server));
    bench.input(Input::Configured(&Settings { enabled: false, ..changed.clone() }));
    bench.input(Input::Configured(&changed));
    assert_eq!(interval(&bench), (300, IntervalSource::Server));
    let host = Host::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)));
    let elsewhere = Settings { server: Some(Server { host, port: 443 }), ..changed };
    bench.input(Input::Configured(&elsewhere));
    assert_eq!(interval(&bench), (60, IntervalSource::Configuration));
    assert!(due_in(&bench) <= seconds(60));
}

#[test]
fn a_failing_server_is_tried_again_within_the_interval_that_it_has_set() {
    let mut bench = idle();
    answered(&mut bench, 200, 10);
    bench.trigger();
    for _ in 0..9 {
        let (id, ..) = bench.write();
        bench.reply(id, 500, false);
        let failed_at = bench.now;
        while bench.connect().is_none() {
            let at = bench.agent.next_deadline(bench.now).expect("a retry");
            bench.pass(at - bench.now);
        }
        assert!(bench.now - failed_at <= seconds(10));
    }
}

#[test]
fn triggers_and_changes_of_the_network_do_not_wait_for_a_long_interval() {
    let mut bench = idle();
    answered(&mut bench, 200, 3600);
    bench.pass(seconds(10));
    bench.trigger();
    assert!(bench.connect().is_some());
    bench.deliver(false);
    bench.up(WLAN1);
    bench.link(ETH0, false);
    assert_eq!(bench.deliver(false).1, Reason::FailoverTo(name("wlan1")));
}

/// Wants a mobile uplink no more often than every five minutes.
fn metered() -> Settings {
    let interfaces = InterfaceName::new("wlan*").into_iter().collect();
    Settings {
        metered: MeteredSettings { interfaces, interval: seconds(300) },
        trigger_bucket: BucketSettings { burst: 1, every: Duration::ZERO },
        ..settings()
    }
}

#[test]
fn a_metered_uplink_has_its_interval_as_long_as_it_is_in_use() {
    let mut bench = Bench::with(&metered());
    bench.deliver(false);
    bench.up(WLAN1);
    assert_eq!(interval(&bench), (30, IntervalSource::Configuration));
    bench.link(ETH0, false);
    assert_eq!(interval(&bench), (300, IntervalSource::Metered));
    // The change itself is reported at once, and then it is quiet.
    assert_eq!(bench.deliver(false).1, Reason::FailoverTo(name("wlan1")));
    assert!(due_in(&bench) <= seconds(300));
    next_two(&mut bench);
    let [first, second] = next_two(&mut bench);
    assert_eq!(second - first, seconds(300));
    bench.trigger();
    bench.deliver(false);
    // Without any uplink it stays.
    bench.link(WLAN1, false);
    assert_eq!(interval(&bench), (300, IntervalSource::Metered));
    bench.link(ETH0, true);
    assert_eq!(interval(&bench), (30, IntervalSource::Configuration));
    assert!(due_in(&bench) <= seconds(30));
}

#[test]
fn a_longer_interval_than_that_of_a_metered_uplink_stays() {
    let mut bench = idle();
    let interfaces: heapless::Vec<_, 16> = InterfaceName::new("eth*").into_iter().collect();
    for (configured, least, in_force, source) in [
        (30, 300, 300, IntervalSource::Metered),
        (600, 300, 600, IntervalSource::Configuration),
        (30, 20, 30, IntervalSource::Configuration),
    ] {
        let metered = MeteredSettings { interfaces: interfaces.clone(), interval: seconds(least) };
        let changed = Settings { interval: seconds(configured), metered, ..metered_free() };
        bench.input(Input::Configured(&changed));
        assert_eq!(interval(&bench), (in_force, source), "{configured} {least}");
        bench.deliver(false);
    }
    // The server's word counts in the same way, and is noted once.
    let metered = MeteredSettings { interfaces, interval: seconds(300) };
    bench.input(Input::Configured(&Settings { metered, ..metered_free() }));
    bench.deliver(false);
    answered(&mut bench, 200, 60);
    assert_eq!(interval(&bench), (300, IntervalSource::Metered));
    bench.notes();
    answered(&mut bench, 200, 60);
    assert!(!bench.notes().contains(&Note::IntervalSet(seconds(60))));
    answered(&mut bench, 200, 900);
    assert_eq!(interval(&bench), (900, IntervalSource::Server));
}

fn metered_free() -> Settings {
    Settings { trigger_bucket: BucketSettings { burst: 1, every: Duration::ZERO }, ..settings() }
}
