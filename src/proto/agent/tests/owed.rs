use super::*;

/// A change to eth0 was told over wlan1, because eth0 does not carry yet; its connection is late.
fn told_by_the_wrong_uplink() -> (Bench, Attempt) {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.link(ETH0, false);
    bench.deliver(false);
    bench.link(ETH0, true);
    let (late, via) = bench.connect().expect("a beat over eth0");
    assert_eq!(via, Some(name("eth0")));
    bench.pass(ms(300));
    let (detour, via) = bench.connect().expect("a detour");
    assert_eq!(via, Some(name("wlan1")));
    let (_, _, reason) = bench.establish(detour);
    assert_eq!(reason, Reason::Priority(name("eth0")));
    bench.reply(detour, 200, true);
    assert!(!bench.actions.contains(&Action::CloseAttempt(late)));
    (bench, late)
}

#[test]
fn a_change_told_by_another_uplink_is_told_again_when_the_new_one_carries() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.pass(ms(700));
    bench.input(Input::Connected(late));
    assert_eq!(bench.report(), None);
    bench.input(Input::Secured(late));
    assert_eq!(bench.report(), Some((late, 4, Reason::Priority(name("eth0")))));
}

#[test]
fn what_is_owed_causes_no_packet_and_is_forgiven_after_the_time_of_a_request() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    let actions = bench.pass(ms(10_000));
    assert_eq!(actions, [Action::CloseAttempt(late)]);
}

#[test]
fn what_is_owed_ends_with_the_next_beat() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.trigger();
    assert!(bench.actions.contains(&Action::CloseAttempt(late)));
    assert!(bench.report().is_some(), "over the connection that delivered last");
    assert_eq!(bench.connect(), None);
}

#[test]
fn news_that_met_a_dead_link_is_sent_anew_once() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.pass(ms(2_700));
    bench.fail(late, Failure::Unreachable);
    let (again, via) = bench.connect().expect("the news once more");
    assert_eq!(via, Some(name("eth0")));
    assert_eq!(bench.establish(again).2, Reason::Priority(name("eth0")));
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.fail(late, Failure::Unreachable);
    let (again, _) = bench.connect().expect("the news once more");
    bench.pass(ms(300));
    let (kept, ..) = bench.report().expect("over the other uplink");
    bench.input(Input::Written(kept));
    bench.reply(kept, 200, true);
    bench.fail(again, Failure::Unreachable);
    assert_eq!((bench.connect(), bench.report()), (None, None), "not a third time");
}

#[test]
fn what_is_owed_ends_with_its_uplink() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.link(ETH0, false);
    assert!(bench.actions.contains(&Action::CloseAttempt(late)));
}

#[test]
fn what_is_owed_ends_with_its_connection() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.fail(late, Failure::Refused);
    assert!(bench.actions.is_empty());
    assert!(bench.agent.owed.is_none());
}

#[test]
fn switching_off_closes_what_is_owed() {
    let (mut bench, late) = told_by_the_wrong_uplink();
    bench.input(Input::Configured(&Settings { enabled: false, ..settings() }));
    assert!(bench.actions.contains(&Action::CloseAttempt(late)));
}
