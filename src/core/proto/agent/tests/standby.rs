use super::*;

/// On eth0 with wlan1 in reserve, which is tested every 20 s.
fn reserved() -> Bench {
    let mut bench = Bench::with(&Settings { standby_check: Duration::from_secs(20), ..settings() });
    // The start-up beat is being connected, and the second uplink orders nothing.
    let actions = bench.actions.clone();
    bench.up(WLAN1);
    bench.actions.splice(0..0, actions);
    bench
}

/// The last probe of the actions, if it is a test of the server over wlan1.
fn test(bench: &Bench) -> Option<ProbeId> {
    bench.actions.iter().rev().find_map(|action| match action {
        Action::OpenProbe { probe, to, via } if *via == Some(link_name(WLAN1)) => {
            assert_eq!(to.ip(), SERVER);
            Some(*probe)
        }
        _ => None,
    })
}

/// A test fails, and the one over eth0 that follows is answered or not.
fn fail(bench: &mut Bench, probe: ProbeId, failure: Failure, control: bool) {
    bench.input(Input::ProbeFailed(probe, failure));
    let control_probe = bench.actions.iter().find_map(|action| match action {
        Action::OpenProbe { probe, to, via } if *via == Some(link_name(ETH0)) => {
            assert_eq!(to.ip(), SERVER);
            Some(*probe)
        }
        _ => None,
    });
    let probe = control_probe.expect("a control");
    bench.input(if control {
        Input::ProbeAnswered(probe)
    } else {
        Input::ProbeFailed(probe, Failure::Refused)
    });
}

fn works(bench: &Bench) -> Option<bool> {
    bench.agent.standby().all().first().and_then(|it| it.works)
}

#[test]
fn an_uplink_in_reserve_is_tested_while_beats_get_through() {
    let mut bench = reserved();
    assert_eq!(test(&bench), None, "nothing is known of the server yet");
    bench.deliver(false);
    let probe = test(&bench).expect("a test");
    bench.input(Input::ProbeAnswered(probe));
    assert_eq!(works(&bench), Some(true));
    assert_eq!(bench.notes(), [Note::StandbyChanged { uplink: link_name(WLAN1), works: true }]);
    assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Online);
    bench.pass(ms(20_000));
    let probe = test(&bench).expect("the next test");
    fail(&mut bench, probe, Failure::Unreachable, true);
    assert_eq!(works(&bench), Some(false));
    assert!(!bench.agent.view(bench.now).server_silent);
    assert_eq!(bench.connect(), None, "it causes no beat");
}

#[test]
fn a_change_is_in_the_next_beat_alone() {
    let mut bench = reserved();
    bench.deliver(false);
    bench.now = bench.now + ms(1);
    let probe = test(&bench).expect("a test");
    fail(&mut bench, probe, Failure::TimedOut, true);
    let unreported = |bench: &Bench| bench.agent.standby().unreported().count();
    assert_eq!(unreported(&bench), 1);
    bench.pass(ms(10_000));
    bench.trigger();
    assert_eq!(unreported(&bench), 1);
    bench.deliver(false);
    assert_eq!(unreported(&bench), 0);
}

#[test]
fn nothing_is_tested_while_beats_fail_or_the_server_asked_to_wait() {
    for status in [500, 404] {
        let mut bench = reserved();
        bench.deliver(false);
        bench.input(Input::ProbeAnswered(test(&bench).expect("a test")));
        bench.trigger();
        let (id, ..) = bench.write();
        bench.reply(id, status, false);
        bench.pass(ms(400));
        assert_eq!(bench.agent.network.standby().next_deadline(), None, "{status}");
        assert_eq!(works(&bench), Some(true), "what was known stays");
    }
}

#[test]
fn nothing_is_tested_where_it_is_off_or_sockets_are_not_bound_or_bytes_cost() {
    let every = Duration::from_secs(20);
    let interfaces = InterfaceName::new("wlan*").into_iter().collect();
    let metered = MeteredSettings { interfaces, interval: every };
    for other in [
        Settings { standby_check: Duration::ZERO, ..settings() },
        Settings { standby_check: every, bind_to_uplink: false, ..settings() },
        Settings { standby_check: every, metered, ..settings() },
    ] {
        let mut bench = Bench::with(&other);
        bench.deliver(false);
        bench.up(WLAN1);
        assert_eq!(test(&bench), None);
        bench.pass(ms(25_000));
        assert_eq!(test(&bench), None);
    }
}

#[test]
fn the_uplink_in_use_is_not_tested() {
    let mut bench = reserved();
    bench.deliver(false);
    bench.input(Input::ProbeAnswered(test(&bench).expect("a test")));
    bench.link(ETH0, false);
    bench.deliver(false);
    assert_eq!(bench.agent.standby().all().len(), 0);
    bench.pass(ms(25_000));
    assert_eq!(test(&bench), None);
}

#[test]
fn a_server_that_has_died_since_the_last_beat_makes_no_reserve_dead() {
    let mut bench = reserved();
    bench.deliver(false);
    bench.input(Input::ProbeAnswered(test(&bench).expect("a test")));
    bench.notes();
    bench.pass(ms(20_000));
    let probe = test(&bench).expect("the next test");
    fail(&mut bench, probe, Failure::Refused, false);
    assert_eq!(works(&bench), Some(true));
    assert_eq!(bench.notes(), []);
}
