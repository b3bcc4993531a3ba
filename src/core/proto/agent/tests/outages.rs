use super::*;
use crate::proto::outages::{Outage, OutageKind};

/// The outages of a report written now: kind, seconds from beginning to end or now, beats missed.
fn reported(bench: &Bench) -> Vec<(u32, OutageKind, u64, u32)> {
    let short = |it: Outage| {
        let lasted = it.ended_at.unwrap_or(bench.now) - it.began_at;
        (it.number.expect("a number"), it.kind, lasted.as_secs(), it.missed)
    };
    bench.agent.outages().unreported().map(short).collect()
}

#[test]
fn a_pulled_cable_is_an_outage_once_a_beat_falls_due() {
    let mut bench = Bench::idle();
    bench.pass(ms(20_000));
    bench.link(ETH0, false);
    bench.pass(ms(9_000));
    assert_eq!(reported(&bench), []);
    bench.pass(ms(1_500));
    assert_eq!(reported(&bench), [(1, OutageKind::Link, 10, 1)]);
    bench.link(ETH0, true);
    let (id, ..) = bench.write();
    assert_eq!(reported(&bench), [(1, OutageKind::Link, 10, 1)], "until it is acknowledged");
    bench.reply(id, 200, false);
    assert_eq!(reported(&bench), []);
    let last = bench.agent.outages().last().expect("an outage");
    assert_eq!(
        (last.uplink, last.cause, last.ended_at),
        (Some(link_name(ETH0)), None, Some(bench.now))
    );
}

#[test]
fn a_blip_between_two_beats_is_not_reported() {
    let mut bench = Bench::idle();
    bench.pass(ms(5_000));
    bench.link(ETH0, false);
    bench.pass(ms(3_000));
    bench.link(ETH0, true);
    bench.write();
    assert_eq!(reported(&bench), []);
}

#[test]
fn a_trigger_without_a_way_out_makes_it_an_outage() {
    let mut bench = Bench::idle();
    bench.link(ETH0, false);
    bench.trigger();
    bench.trigger();
    assert_eq!(reported(&bench), [(1, OutageKind::Link, 0, 1)]);
}

#[test]
fn a_silent_network_is_an_outage_from_the_beat_that_it_swallowed() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    assert!(bench.connect().is_some());
    bench.pass(ms(9_000));
    assert_eq!(reported(&bench), [(1, OutageKind::Network, 9, 1)]);
    bench.input(Input::ProbeAnswered(bench.last_probe().expect("a probe")));
    bench.deliver(false);
    assert_eq!(reported(&bench), []);
}

#[test]
fn a_server_that_refuses_is_an_outage_of_the_server() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (id, ..) = bench.write();
    bench.reply(id, 500, false);
    assert_eq!(reported(&bench), [(1, OutageKind::Server, 0, 1)]);
    bench.pass(ms(2_000));
    bench.deliver(false);
    let last = bench.agent.outages().last().expect("an outage");
    assert_eq!(last.cause, Some(Failure::Status(500)));
    assert_eq!(reported(&bench), []);
}

#[test]
fn an_answer_to_a_report_from_before_it_leaves_the_outage_unreported() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (id, ..) = bench.write();
    // Nothing is heard for so long that the device counts as offline, without probes.
    bench.agent.outages.lost(true, Some(bench.now), bench.now);
    bench.reply(id, 200, false);
    assert_eq!(reported(&bench), [(1, OutageKind::Network, 0, 1)]);
    bench.pass(ms(30_000));
    bench.deliver(false);
    assert_eq!(reported(&bench), []);
}

#[test]
fn an_outage_ends_where_beats_are_switched_off() {
    let mut bench = Bench::idle();
    bench.pass(ms(30_000));
    let (id, ..) = bench.write();
    bench.reply(id, 404, false);
    bench.pass(ms(5_000));
    bench.input(Input::Configured(&Settings { enabled: false, ..settings() }));
    bench.pass(ms(600_000));
    assert_eq!(reported(&bench), [(1, OutageKind::Server, 5, 1)]);
    bench.input(Input::Configured(&settings()));
    bench.deliver(false);
    assert_eq!(reported(&bench), []);
}

#[test]
fn nothing_is_missed_while_beats_are_off() {
    let off = Settings { enabled: false, ..settings() };
    let mut bench = Bench::idle();
    bench.input(Input::Configured(&off));
    bench.link(ETH0, false);
    assert_eq!(bench.agent.view(bench.now).connectivity, Connectivity::Offline);
    assert_eq!(bench.agent.outages().last(), None);
    // Switched on again without an uplink, it begins at that moment.
    bench.pass(ms(3_600_000));
    let on_at = bench.now;
    bench.input(Input::Configured(&settings()));
    let outage = bench.agent.outages().last().expect("an outage");
    assert_eq!((outage.began_at, outage.kind), (on_at, OutageKind::Link));
    bench.pass(ms(60_000));
    assert!(bench.agent.outages().last().is_some_and(|it| it.missed >= 1 && it.number.is_some()));
    bench.input(Input::Configured(&off));
    assert!(bench.agent.outages().last().is_some_and(|it| it.ended_at == Some(bench.now)));
}
