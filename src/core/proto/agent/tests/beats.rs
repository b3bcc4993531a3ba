//! When a beat starts, and the changes of an uplink that it follows.

use super::*;

#[test]
fn the_first_beat_starts_with_the_first_uplink() {
    let mut bench = Bench::new();
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
    assert_eq!(bench.deliver(true), (1, Reason::Startup));
    assert!(matches!(
        bench.notes().as_slice(),
        [Note::BeatAcknowledged {
            beat: Acknowledged { seq: 1, status: 200, .. },
            recovered: true,
            ..
        }]
    ));
}

#[test]
fn the_first_answer_is_no_restoration() {
    let mut bench = Bench::new();
    bench.write();
    assert!(!bench.notes().contains(&Note::ConnectivityRestored));
}

#[test]
fn the_cycle_beats_every_interval_on_the_kept_connection() {
    let mut bench = Bench::new();
    bench.deliver(true);
    for seq in 2..10 {
        bench.pass(ms(29_999));
        assert_eq!(bench.report(), None);
        bench.pass(ms(1));
        let (id, sent, reason) = bench.report().expect("a beat of the cycle");
        assert_eq!((sent, reason), (seq, Reason::Interval));
        bench.input(Input::Written(id));
        bench.reply(id, 200, true);
    }
}

#[test]
fn a_slow_answer_does_not_shift_the_cycle() {
    let mut bench = Bench::idle();
    let start = bench.now;
    for beat in 1..5 {
        let due = start + Duration::from_secs(30 * beat);
        bench.pass(due - bench.now);
        let (id, ..) = bench.write();
        bench.now = bench.now + ms(700);
        bench.reply(id, 200, false);
    }
}

#[test]
fn a_pulled_cable_moves_the_beat_in_the_same_input() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    assert_eq!(bench.connect(), None, "a second uplink is no reason for a beat");
    bench.link(ETH0, false);
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("wlan1"))));
    assert!(bench.notes().contains(&Note::UplinkChanged {
        from: Some(name("eth0")),
        to: Some(name("wlan1")),
        lost: true,
    }));
    assert_eq!(bench.deliver(false), (2, Reason::FailoverTo(name("wlan1"))));
    bench.link(ETH0, true);
    assert_eq!(bench.deliver(false), (3, Reason::Priority(name("eth0"))));
}

#[test]
fn a_cable_pulled_in_mid_beat_closes_it_and_starts_on_the_other_uplink() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    let (stuck, ..) = bench.write();
    bench.link(ETH0, false);
    assert!(bench.actions.contains(&Action::ParkConnection(stuck)));
    assert_eq!(bench.deliver(false), (2, Reason::FailoverTo(name("wlan1"))));
}

#[test]
fn what_a_lost_carrier_took_is_closed_a_second_after_it_is_back() {
    let mut bench = Bench::new();
    bench.deliver(true);
    bench.link(ETH0, false);
    assert!(bench.actions.iter().any(|action| matches!(action, Action::ParkConnection(_))));
    assert!(
        !bench.pass(ms(10_000)).contains(&Action::CloseParked),
        "nothing is sent on a dead link"
    );
    bench.link(ETH0, true);
    bench.deliver(true);
    bench.link(ETH0, false);
    bench.link(ETH0, true);
    assert!(!bench.pass(ms(999)).contains(&Action::CloseParked));
    assert!(bench.pass(ms(1)).contains(&Action::CloseParked));
    assert!(!bench.pass(ms(10_000)).contains(&Action::CloseParked), "once");
}

#[test]
fn a_repeated_link_message_is_no_change() {
    let mut bench = Bench::idle();
    bench.link(ETH0, true);
    bench.address(ETH0, 10);
    assert!(bench.actions.is_empty());
}

#[test]
fn a_new_address_on_the_same_uplink_is_reported() {
    let mut bench = Bench::idle();
    let index = LinkIndex(ETH0.into());
    bench.address(ETH0, 77);
    bench.drop_address(ETH0, 10);
    let (id, _) = bench.connect().expect("a beat");
    bench.input(Input::Opened(id, local(index, 77)));
    bench.input(Input::Connected(id));
    bench.input(Input::Secured(id));
    assert_eq!(bench.report().map(|(.., reason)| reason), Some(Reason::AddressChanged));
}

#[test]
fn the_address_that_counts_is_the_one_that_the_last_beat_came_from() {
    let mut bench = Bench::idle();
    let eth0 = LinkIndex(ETH0.into());
    bench.tables.addresses.insert(0, (eth0, local(eth0, 77)));
    bench.announce(false);
    assert_eq!(bench.connect(), None, "one more address");
    bench.trigger();
    let (id, ..) = bench.write();
    bench.input(Input::Opened(id, local(eth0, 77)));
    bench.reply(id, 200, false);
    // The first address is still there, but the server knows the second one.
    bench.tables.addresses.insert(0, (eth0, local(eth0, 78)));
    bench.drop_address(ETH0, 77);
    let (id, _, reason) = bench.write();
    assert_eq!(reason, Reason::AddressChanged);
    bench.input(Input::Opened(id, local(eth0, 78)));
    bench.reply(id, 200, false);
    bench.drop_address(ETH0, 10);
    assert_eq!(bench.connect(), None, "the server has not seen this one for long");
}

#[test]
fn nothing_is_decided_before_the_first_dump_is_complete() {
    let now = Instant::from_micros(0);
    let mut bench = Bench::unconfigured(now);
    bench.input(Input::Configured(&settings()));
    bench.input(Input::LinksLost);
    bench.up(WLAN1);
    assert_eq!(bench.connect(), None);
    bench.up(ETH0);
    bench.input(Input::LinksDumped);
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
}

#[test]
fn a_disabled_agent_sends_nothing_whatever_asks() {
    let mut bench = Bench::idle();
    bench.input(Input::Configured(&Settings { enabled: false, ..settings() }));
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Disabled));
    bench.up(WLAN1);
    bench.link(ETH0, false);
    assert_eq!(bench.connect(), None);
    bench.pass(ms(100_000));
    assert_eq!(bench.connect(), None);
    bench.input(Input::Configured(&settings()));
    assert_eq!(bench.deliver(false).1, Reason::ConfigChanged);
}

#[test]
fn an_unconfigured_agent_says_so() {
    let mut bench = Bench::with(&Settings { server: None, ..settings() });
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Unconfigured));
    bench.input(Input::Configured(&settings()));
    assert_eq!(bench.deliver(false).1, Reason::Startup);
}

#[test]
fn without_auto_connect_the_first_trigger_starts_the_cycle() {
    let mut bench = Bench::with(&Settings { auto_connect: false, ..settings() });
    bench.pass(ms(100_000));
    assert_eq!(bench.connect(), None);
    bench.trigger();
    bench.deliver(false);
    bench.pass(ms(30_000));
    assert!(bench.connect().is_some());
}
