use super::*;

/// A change to eth0 was reported over wlan1, because eth0 does not carry yet; its connection is
/// late.
fn reported_by_the_wrong_uplink() -> (Bench, ConnectionId) {
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
    assert!(!bench.actions.contains(&Action::CloseConnection(late)));
    (bench, late)
}

#[test]
fn a_change_reported_by_another_uplink_is_reported_again_when_the_new_one_carries() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.pass(ms(700));
    bench.input(Input::Connected(late));
    assert_eq!(bench.report(), None);
    bench.input(Input::Secured(late));
    assert_eq!(bench.report(), Some((late, 4, Reason::Priority(name("eth0")))));
}

#[test]
fn a_late_connection_causes_no_packet_and_expires_after_the_time_of_a_request() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    let actions = bench.pass(ms(10_000));
    assert_eq!(actions, [Action::CloseConnection(late), Action::WatchNeighbours(true)]);
}

#[test]
fn a_late_connection_ends_with_the_next_beat() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.trigger();
    assert!(bench.actions.contains(&Action::CloseConnection(late)));
    assert!(bench.report().is_some(), "over the connection that delivered last");
    assert_eq!(bench.connect(), None);
}

#[test]
fn news_that_met_a_dead_link_is_sent_anew_once() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.pass(ms(2_700));
    bench.fail(late, Failure::Unreachable);
    let (again, via) = bench.connect().expect("the news once more");
    assert_eq!(via, Some(name("eth0")));
    assert_eq!(bench.establish(again).2, Reason::Priority(name("eth0")));
    let (mut bench, late) = reported_by_the_wrong_uplink();
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
fn a_late_connection_ends_with_its_uplink() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.link(ETH0, false);
    assert!(bench.actions.contains(&Action::CloseConnection(late)));
}

#[test]
fn a_late_connection_ends_with_its_connection() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.fail(late, Failure::Refused);
    assert!(bench.actions.is_empty());
    assert!(!bench.agent.delivery.has_late());
}

#[test]
fn switching_off_closes_a_late_connection() {
    let (mut bench, late) = reported_by_the_wrong_uplink();
    bench.input(Input::Configured(&Settings { enabled: false, ..settings() }));
    assert!(bench.actions.contains(&Action::CloseConnection(late)));
}

/// The beats went over eth0 and now go over wlan1, on a connection that is kept; the server has a
/// name.
fn kept_on_wlan1() -> Bench {
    let mut bench = Bench::with(&named());
    bench.nameserver(local(LinkIndex(ETH0.into()), 1));
    let query = bench.query().expect("a question");
    let addresses = [SERVER].into_iter().collect();
    bench.input(Input::QueryAnswered(query, &Answer { addresses, ttl_s: 3600 }));
    bench.deliver(false);
    bench.up(WLAN1);
    bench.link(ETH0, false);
    assert_eq!(bench.deliver(true).1, Reason::FailoverTo(name("wlan1")));
    bench
}

#[test]
fn a_change_of_uplink_goes_over_the_new_one_whatever_became_of_the_nameservers() {
    for nameservers in [vec![], vec![1], vec![1, 2]] {
        let mut bench = kept_on_wlan1();
        let nameservers = nameservers.into_iter().map(|host| {
            let address = local(LinkIndex(ETH0.into()), host);
            Nameserver { address, scope: None }
        });
        let nameservers = nameservers.chain([Nameserver { address: PROBE.ip(), scope: None }]);
        let resolver =
            ResolverSettings { nameservers: nameservers.collect(), ..Default::default() };
        bench.input(Input::ResolverChanged(&resolver));
        bench.link(ETH0, true);
        assert_eq!(bench.report(), None, "over the kept connection, with the former address");
        let [(id, via, to)] = bench.connects()[..] else { panic!("no connection") };
        assert_eq!((via, to.ip()), (Some(name("eth0")), SERVER));
        bench.pass(ms(50));
        assert!(bench.query().is_some(), "the name is asked for beside it");
        assert_eq!(bench.establish(id).2, Reason::Priority(name("eth0")));
    }
}

#[test]
fn a_change_of_uplink_goes_over_the_new_one_without_a_nameserver() {
    let mut bench = kept_on_wlan1();
    bench.input(Input::ResolverChanged(&ResolverSettings::default()));
    bench.link(ETH0, true);
    assert_eq!(bench.connect().map(|(_, via)| via), Some(Some(name("eth0"))));
    assert_eq!(bench.deliver(false).1, Reason::Priority(name("eth0")));
}

#[test]
fn a_change_reported_by_another_uplink_goes_at_once_over_a_connection_that_is_ready() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.link(ETH0, false);
    bench.deliver(false);
    bench.link(ETH0, true);
    let (late, _) = bench.connect().expect("a beat over eth0");
    bench.pass(ms(300));
    let (detour, _) = bench.connect().expect("a detour");
    bench.establish(detour);
    bench.input(Input::Connected(late));
    bench.input(Input::Secured(late));
    assert_eq!(bench.report(), None, "wlan1 carries it");
    bench.reply(detour, 200, true);
    assert_eq!(bench.report(), Some((late, 4, Reason::Priority(name("eth0")))));
    bench.input(Input::Written(late));
    bench.reply(late, 200, true);
    assert_eq!((bench.connect(), bench.report()), (None, None));
    assert!(!bench.agent.delivery.has_late());
}

#[test]
fn a_change_of_uplink_that_went_over_it_unbound_is_not_repeated() {
    let mut bench = Bench::idle();
    bench.link(ETH0, false);
    bench.link(ETH0, true);
    let (bound, via) = bench.connect().expect("a connection");
    assert_eq!(via, Some(name("eth0")));
    bench.input(Input::Opened(bound, local(LinkIndex(ETH0.into()), 10)));
    bench.input(Input::Connected(bound));
    let unbound = (0..100).find_map(|_| {
        bench.pass(ms(100));
        let silent = bench.actions.contains(&Action::CheckAcked(bound));
        if silent {
            bench.input(Input::AckChecked(bound, false));
        }
        bench.connect().filter(|(_, via)| via.is_none()).map(|(id, _)| id)
    });
    let unbound = unbound.expect("the kernel's own way");
    bench.establish(unbound);
    bench.input(Input::Secured(bound));
    bench.reply(unbound, 200, false);
    assert_eq!((bench.report(), bench.connect()), (None, None));
    bench.pass(ms(1_000));
    assert_eq!((bench.report(), bench.connect()), (None, None));
}
