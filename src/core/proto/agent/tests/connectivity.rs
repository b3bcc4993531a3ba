use super::*;
use crate::proto::link::Neighbour;

#[test]
fn a_healed_network_replaces_the_stuck_connection_at_once() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (stuck, _) = bench.connect().expect("the beat of the cycle");
    bench.pass(ms(300));
    let first = bench.probe().expect("a probe");
    bench.pass(ms(8_000));
    assert!(bench.notes().contains(&Note::ConnectivityLost));
    let probe = bench.probe().expect("probes go on");
    assert_ne!(first, probe);
    let last = bench.actions.iter().rev().find_map(|action| match action {
        Action::OpenProbe { probe, .. } => Some(*probe),
        _ => None,
    });
    bench.input(Input::ProbeAnswered(last.expect("a probe")));
    assert!(bench.actions.contains(&Action::CloseConnection(stuck)));
    assert!(bench.notes().contains(&Note::ConnectivityRestored));
    assert_eq!(bench.deliver(false), (2, Reason::Restored));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_silent_server_behind_a_working_network_is_not_hammered() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let mut connects = 0;
    for _ in 0..600 {
        let open: Vec<_> = bench
            .pass(ms(100))
            .iter()
            .filter_map(|action| match action {
                Action::OpenProbe { probe, to, .. } if *to == PROBE => Some(*probe),
                _ => None,
            })
            .collect();
        connects += usize::from(bench.connect().is_some());
        for probe in open {
            bench.input(Input::ProbeAnswered(probe));
            connects += usize::from(bench.connect().is_some());
        }
    }
    assert!(connects < 12, "{connects} connections in a minute");
    assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Online);
    assert!(bench.agent.view(bench.now).server_silent);
}

#[test]
fn a_refused_beat_and_a_refused_probe_are_offline() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (id, _) = bench.connect().expect("the beat of the cycle");
    bench.input(Input::ConnectionFailed(id, Failure::Refused));
    let probe = bench.probe().expect("a probe");
    assert!(!bench.notes().contains(&Note::ConnectivityLost), "a refusal alone is undecided");
    bench.input(Input::ProbeFailed(probe, Failure::Refused));
    assert!(bench.notes().contains(&Note::ConnectivityLost));
}

#[test]
fn a_refusing_server_behind_an_answering_network_is_not_offline() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (id, _) = bench.connect().expect("the beat of the cycle");
    bench.input(Input::ConnectionFailed(id, Failure::Refused));
    let probe = bench.probe().expect("a probe");
    bench.input(Input::ProbeAnswered(probe));
    bench.pass(ms(400));
    assert!(!bench.notes().contains(&Note::ConnectivityLost));
}

#[test]
fn losing_every_uplink_is_offline_and_the_first_one_back_fails_over() {
    let mut bench = Bench::idle();
    bench.link(ETH0, false);
    assert!(bench.notes().contains(&Note::ConnectivityLost));
    bench.pass(ms(40_000));
    assert_eq!((bench.connect(), bench.probe()), (None, None));
    bench.link(ETH0, true);
    assert_eq!(bench.deliver(false).1, Reason::FailoverTo(name("eth0")));
    bench.pass(ms(19_000));
    assert_eq!(bench.connect(), None, "one beat for one return");
}

/// The beat of the cycle is stuck, and so many milliseconds have passed.
fn stuck_for(ms_: u64) -> (Bench, ConnectionId) {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (stuck, _) = bench.connect().expect("the beat of the cycle");
    bench.pass(ms(ms_));
    (bench, stuck)
}

#[test]
fn a_syn_lost_just_before_the_network_carried_is_repeated_when_a_later_probe_is_answered() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.link(ETH0, false);
    bench.deliver(false);
    bench.pass(ms(1_000));
    bench.link(ETH0, true);
    let (first, via) = bench.connect().expect("a beat over eth0");
    assert_eq!(via, Some(name("eth0")));
    let early = bench.probe().expect("a probe at the same moment");
    bench.pass(ms(250));
    let late = bench.probe().expect("another probe");
    assert_ne!(early, late);
    bench.input(Input::ProbeAnswered(late));
    let [(second, via, _)] = bench.connects()[..] else { panic!("no second connection") };
    assert_eq!(via, Some(name("eth0")));
    assert!(!bench.actions.contains(&Action::CloseConnection(first)), "it may only be slow");
    assert_eq!(bench.establish(second).2, Reason::Priority(name("eth0")));
}

#[test]
fn a_probe_as_old_as_the_syn_says_nothing_about_it() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.link(ETH0, false);
    bench.deliver(false);
    bench.pass(ms(1_000));
    bench.link(ETH0, true);
    let probe = bench.probe().expect("a probe at the same moment");
    bench.now = bench.now + ms(10);
    bench.input(Input::ProbeAnswered(probe));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_request_that_was_acknowledged_after_all_survives_the_healing() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (slow, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(slow, false));
    let (second, _) = bench.connect().expect("a second connection");
    bench.pass(ms(500));
    let probe = bench.last_probe().expect("a probe");
    bench.input(Input::ProbeAnswered(probe));
    assert!(bench.actions.contains(&Action::CheckAcked(slow)));
    assert!(bench.actions.contains(&Action::CloseConnection(second)));
    bench.input(Input::AckChecked(slow, true));
    assert!(!bench.actions.contains(&Action::CloseConnection(slow)));
    bench.reply(slow, 200, false);
    assert!(matches!(bench.notes()[..], [.., Note::BeatAcknowledged { .. }]));
}

#[test]
fn a_request_without_an_acknowledgement_is_replaced_at_the_healing() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (stuck, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(stuck, false));
    bench.pass(ms(500));
    bench.input(Input::ProbeAnswered(bench.last_probe().expect("a probe")));
    bench.input(Input::AckChecked(stuck, false));
    assert!(bench.actions.contains(&Action::CloseConnection(stuck)));
    assert!(bench.connect().is_some());
}

#[test]
fn a_healing_while_backing_off_beats_at_once() {
    let (mut bench, _) = stuck_for(10_000);
    assert!(matches!(bench.notes()[..], [.., Note::BeatFailed { .. }]));
    bench.pass(ms(250));
    let probe = bench.probe().expect("probes go on");
    bench.input(Input::ProbeAnswered(probe));
    assert!(bench.connect().is_some());
}

#[test]
fn a_late_answer_to_the_stuck_beat_is_logged_as_the_recovery_it_is() {
    let (mut bench, stuck) = stuck_for(8_500);
    assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Offline);
    bench.input(Input::Connected(stuck));
    assert!(bench.notes().contains(&Note::ConnectivityRestored));
    bench.input(Input::Secured(stuck));
    bench.pass(ms(4_000));
    assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Online);
}

#[test]
fn what_was_written_into_an_outage_is_taken_back_and_reported_as_restored() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (stuck, ..) = bench.write();
    bench.pass(ms(300));
    bench.input(Input::AckChecked(stuck, false));
    let actions = bench.pass(ms(8_000));
    assert!(actions.contains(&Action::Note(Note::ConnectivityLost)));
    assert!(actions.contains(&Action::CloseConnection(stuck)));
    bench.input(Input::ProbeAnswered(bench.last_probe().expect("a probe")));
    assert!(bench.notes().contains(&Note::ConnectivityRestored));
    assert_eq!(bench.deliver(false), (2, Reason::Restored));
}

#[test]
fn an_acknowledged_beat_ends_the_probing() {
    let (mut bench, stuck) = stuck_for(1_000);
    assert!(bench.probe().is_some());
    bench.establish(stuck);
    bench.reply(stuck, 200, false);
    bench.pass(ms(29_000));
    assert_eq!(bench.probe(), None);
}

#[test]
fn a_nameserver_that_fails_does_not_end_the_probing() {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let query = bench.query().expect("a question");
    bench.input(Input::QueryFailed(query, Failure::NameServerFailed));
    let query = bench.query().expect("the question once more, as the kernel would send it");
    bench.input(Input::QueryFailed(query, Failure::NameServerFailed));
    assert!(matches!(bench.notes()[..], [Note::BeatFailed { .. }]), "{:?}", bench.actions);
    bench.pass(ms(250));
    assert!(bench.probe().is_some(), "a forwarder that lost its own uplink says the same");
}

#[test]
fn without_probe_addresses_a_beat_that_times_out_is_offline() {
    let mut settings = settings();
    settings.probe_addresses.clear();
    let mut bench = Bench::with(&settings);
    bench.deliver(false);
    bench.trigger();
    bench.pass(ms(10_000));
    assert!(bench.notes().contains(&Note::ConnectivityLost));
}

#[test]
fn a_server_that_asked_for_quiet_is_not_probed() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (id, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(600));
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    bench.link(ETH0, false);
    let (id, _) = bench.connect().expect("the exception");
    bench.fail(id, Failure::Refused);
    let to = bench.pass(ms(60_000)).into_iter().filter_map(|action| match action {
        Action::OpenProbe { to, .. } => Some(to),
        _ => None,
    });
    assert!(to.into_iter().all(|to| to == PROBE));
}

#[test]
fn with_a_way_out_for_nobody_nothing_is_probed() {
    let (mut bench, _) = stuck_for(1_000);
    bench.link(ETH0, false);
    bench.pass(ms(60_000));
    assert_eq!(bench.probe(), None);
}

#[test]
fn a_healing_just_before_the_end_of_a_round_gives_the_beat_its_time() {
    let (mut bench, _) = stuck_for(9_990);
    let probe = bench.last_probe().expect("a probe");
    bench.input(Input::ProbeAnswered(probe));
    assert!(bench.connect().is_some());
    bench.pass(ms(299));
    assert!(bench.notes().is_empty(), "{:?}", bench.notes());
}

#[test]
fn a_server_whose_kernel_answers_again_is_sent_the_waiting_beat() {
    let (mut bench, _) = stuck_for(300);
    bench.input(Input::ProbeAnswered(bench.probe().expect("the internet")));
    assert!(bench.agent.view(bench.now).server_silent);
    let mut to_server = None;
    while !bench.agent.delivery.is_idle() || to_server.is_none() {
        to_server = bench.pass(ms(10)).into_iter().find_map(|action| match action {
            Action::OpenProbe { probe, to, .. } if to != PROBE => Some(probe),
            _ => None,
        });
    }
    bench.input(Input::ProbeAnswered(to_server.expect("the server is asked too")));
    assert!(bench.connect().is_some());
}

fn report_neighbour(bench: &mut Bench, host: u8, answers: bool) {
    let index = LinkIndex(ETH0.into());
    bench.input(Input::Neighbour(Neighbour { index, address: local(index, host), answers }));
}

/// Offline for so long that probes are seconds apart, with the gateway lost.
fn gateway_lost() -> Bench {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000 + 700_000));
    report_neighbour(&mut bench, 1, false);
    assert!(bench.actions.is_empty(), "nothing can be done about it");
    while bench.probe().is_none() {
        bench.pass(ms(100));
    }
    bench.pass(ms(1_000));
    bench
}

#[test]
fn a_gateway_that_answers_again_starts_beat_and_probe_at_once() {
    let mut bench = gateway_lost();
    report_neighbour(&mut bench, 1, true);
    assert!(bench.notes().contains(&Note::GatewayBack(name("eth0"))));
    let (id, via) = bench.connect().expect("a connection");
    assert_eq!(via, Some(name("eth0")));
    assert!(bench.probe().is_some());
    bench.pass(ms(250));
    assert!(bench.probe().is_some(), "as fast as in the beginning");
    assert_eq!(bench.establish(id).2, Reason::Restored);
}

#[test]
fn a_gateway_that_never_failed_and_a_neighbour_that_is_none_are_no_evidence() {
    for (host, fails) in [(1, false), (99, true)] {
        let mut bench = gateway_lost();
        bench.agent.network.forget_lost_gateways();
        if fails {
            report_neighbour(&mut bench, host, false);
        }
        report_neighbour(&mut bench, host, true);
        assert!(bench.actions.is_empty(), "{:?}", bench.actions);
    }
}

#[test]
fn a_gateway_that_failed_in_an_earlier_outage_is_no_evidence_in_the_next_one() {
    let mut bench = gateway_lost();
    let probe = bench.last_probe().or_else(|| {
        bench.pass(ms(5_000));
        bench.last_probe()
    });
    bench.input(Input::ProbeAnswered(probe.expect("a probe")));
    // Opened now, or under way already.
    let id = bench.agent.delivery.race().attempts.first().expect("a connection").id;
    bench.establish(id);
    bench.reply(id, 200, false);
    while bench.probe().is_none() {
        bench.pass(ms(100));
    }
    report_neighbour(&mut bench, 1, true);
    assert!(!bench.notes().contains(&Note::GatewayBack(name("eth0"))));
}

#[test]
fn neighbours_are_listened_to_while_probes_are_sent() {
    let mut bench = Bench::idle();
    let watched = |bench: &Bench| {
        bench.actions.iter().find_map(|action| match action {
            Action::WatchNeighbours(listen) => Some(*listen),
            _ => None,
        })
    };
    bench.pass(ms(30_000));
    assert_eq!(watched(&bench), None, "online");
    bench.pass(ms(300));
    assert_eq!(watched(&bench), Some(true));
    bench.pass(ms(60_000));
    assert_eq!(watched(&bench), None, "once is enough");
    report_neighbour(&mut bench, 1, false);
    report_neighbour(&mut bench, 1, true);
    let (id, _) = bench.connect().expect("a connection");
    bench.establish(id);
    bench.input(Input::Written(id));
    bench.reply(id, 200, false);
    assert_eq!(watched(&bench), Some(false));
}

#[test]
fn a_gateway_that_comes_and_goes_costs_its_tokens() {
    let mut bench = gateway_lost();
    let mut connects = 0;
    for _ in 0..1000 {
        report_neighbour(&mut bench, 1, false);
        report_neighbour(&mut bench, 1, true);
        connects += bench.connects().len();
        bench.pass(ms(10));
        connects += bench.connects().len();
    }
    assert!(connects <= 2 * (5 + 5) + 4, "{connects} connections in ten seconds");
}

/// Without probes, a server of two addresses, the first of which refuses the connection.
fn first_of_two_refuses() -> (Bench, Vec<Note>, ConnectionId) {
    let probe_addresses = heapless::Vec::new();
    let mut bench = Bench::with(&Settings { probe_addresses, ..named() });
    let hosts = [10, 11].map(|host| IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)));
    let hosts = hosts.into_iter().collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    bench.deliver(false);
    bench.pass(ms(30_000));
    let (first, _) = bench.connect().expect("the beat of the cycle");
    bench.fail(first, Failure::Refused);
    let notes = bench.notes();
    let (second, _) = bench.connect().expect("the other address");
    (bench, notes, second)
}

#[test]
fn without_probes_one_address_that_refuses_is_no_outage_while_another_is_tried() {
    let (mut bench, mut notes, second) = first_of_two_refuses();
    bench.establish(second);
    notes.extend(bench.notes());
    bench.reply(second, 200, false);
    notes.extend(bench.notes());
    assert!(matches!(notes[..], [Note::BeatAcknowledged { .. }]), "{notes:?}");
}

#[test]
fn without_probes_a_round_that_is_refused_at_every_address_is_an_outage() {
    let (mut bench, notes, second) = first_of_two_refuses();
    assert_eq!(notes, []);
    bench.fail(second, Failure::Refused);
    assert!(bench.notes().contains(&Note::ConnectivityLost), "{:?}", bench.notes());
}

/// The beats go over wlan1, because eth0 did not carry one; says whether neighbours are listened to.
fn detour_around_eth0() -> (Bench, Option<bool>) {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let mut actions = bench.pass(ms(300));
    let (detour, via) = bench.connect().expect("a detour");
    assert_eq!(via, Some(name("wlan1")));
    bench.establish(detour);
    bench.reply(detour, 200, true);
    actions.extend(bench.actions.iter().cloned());
    let watched = |action: &Action| match action {
        Action::WatchNeighbours(listen) => Some(*listen),
        _ => None,
    };
    let watched = actions.iter().rev().find_map(watched);
    (bench, watched)
}

#[test]
fn a_gateway_that_is_back_is_used_at_once_and_reported() {
    let (mut bench, watched) = detour_around_eth0();
    assert_eq!(watched, Some(true), "although it is online");
    report_neighbour(&mut bench, 1, false);
    assert!(bench.actions.is_empty());
    report_neighbour(&mut bench, 1, true);
    assert!(bench.actions.contains(&Action::WatchNeighbours(false)));
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
    assert_eq!(bench.deliver(false).1, Reason::Priority(name("eth0")));
    assert!(bench.agent.view(bench.now).failed_paths.is_empty());
}

#[test]
fn a_gateway_of_an_uplink_in_reserve_that_is_back_is_no_news() {
    let (mut bench, _) = detour_around_eth0();
    let index = LinkIndex(WLAN1.into());
    for answers in [false, true] {
        let neighbour = Neighbour { index, address: local(index, 1), answers };
        bench.input(Input::Neighbour(neighbour));
        assert_eq!((bench.connect(), bench.report()), (None, None));
    }
}

#[test]
fn no_obstacle_is_named_before_the_configuration_says_what_an_uplink_is() {
    let mut bench = Bench::unconfigured(Instant::from_micros(1_000_000));
    bench.input(Input::LinksLost);
    bench.up(ETH0);
    bench.input(Input::LinksDumped);
    assert_eq!(bench.agent.view(bench.now).obstacle, None);
    bench.input(Input::Configured(&settings()));
    assert_eq!(bench.agent.view(bench.now).uplinks.len(), 1);
}
