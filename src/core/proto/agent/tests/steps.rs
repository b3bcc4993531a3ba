//! The steps of a beat: a delay shows where it was, and nowhere else.

use super::*;

/// The steps of the last acknowledged beat in milliseconds: uplink, held, name, opened, connected, secured,
/// written, replied; all but the second counted from the event.
fn steps(bench: &Bench) -> [u128; 8] {
    let stamps = bench.notes().into_iter().find_map(|note| match note {
        Note::BeatAcknowledged { beat, .. } => Some(beat.stamps),
        _ => None,
    });
    let stamps = stamps.expect("a beat");
    let since = |at: Instant| (at - stamps.event_at).as_millis();
    [
        since(stamps.usable_at),
        stamps.held.as_millis(),
        since(stamps.resolved_at),
        since(stamps.opened_at),
        since(stamps.connected_at),
        since(stamps.secured_at),
        since(stamps.written_at),
        since(stamps.replied_at),
    ]
}

/// Delivers over this connection, with a millisecond for each step.
fn deliver_slowly(bench: &mut Bench, id: ConnectionId) {
    bench.input(Input::Opened(id, local(LinkIndex(ETH0.into()), 10)));
    for input in [Input::Connected(id), Input::Secured(id), Input::Written(id)] {
        bench.pass(ms(1));
        bench.input(input);
    }
    bench.pass(ms(1));
    bench.reply(id, 200, false);
}

/// A server with a name that the hosts file gives these addresses of.
fn with_hosts(hosts: &[u8], settings: &Settings) -> Bench {
    let mut bench = Bench::with(&Settings { server: named().server, ..settings.clone() });
    let address = |host: &u8| IpAddr::V4(Ipv4Addr::new(203, 0, 113, *host));
    let hosts = hosts.iter().map(address).collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { hosts, ..Default::default() }));
    bench
}

#[test]
fn nothing_waited_for_shows_as_nothing() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, _) = bench.connect().expect("a connection");
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [0, 0, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn a_kept_connection_needs_no_name_and_no_handshake() {
    let mut bench = Bench::new();
    bench.deliver(true);
    bench.pass(ms(5_000));
    bench.trigger();
    let (id, ..) = bench.report().expect("a report at once");
    bench.pass(ms(7));
    bench.input(Input::Written(id));
    bench.pass(ms(20));
    bench.reply(id, 200, true);
    assert_eq!(steps(&bench), [0, 0, 0, 0, 0, 0, 7, 27]);
}

#[test]
fn a_wait_for_an_uplink_is_the_uplinks() {
    let mut bench = Bench::idle();
    bench.link(ETH0, false);
    bench.trigger();
    bench.pass(ms(5_000));
    bench.link(ETH0, true);
    let (id, _) = bench.connect().expect("a connection");
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [5_000, 0, 5_000, 5_000, 5_001, 5_002, 5_003, 5_004]);
}

#[test]
fn a_wait_for_a_token_is_no_name() {
    let mut bench = Bench::idle();
    for _ in 0..5 {
        bench.trigger();
        bench.deliver(false);
    }
    bench.trigger();
    bench.pass(ms(2_000));
    let (id, _) = bench.connect().expect("a connection");
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [0, 2_000, 0, 2_000, 2_001, 2_002, 2_003, 2_004]);
}

#[test]
fn a_wait_that_the_server_asked_for_is_no_name() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.pass(ms(40));
    let retry_after = Some(Duration::from_secs(60));
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    while bench.connect().is_none() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a retry");
        bench.input(Input::Deadline);
    }
    let (id, _) = bench.connect().expect("a connection");
    deliver_slowly(&mut bench, id);
    let [usable, held, resolved, opened, ..] = steps(&bench);
    assert_eq!((usable, resolved), (0, 0));
    assert!((60_000..=120_000).contains(&held), "{held}");
    assert_eq!(opened, held + 40, "the round before raced for 40 ms");
}

/// A beat of eth0 that was refused and asked to wait for a minute, and waits for its retry.
fn waited_a_minute(bench: &mut Bench) {
    bench.trigger();
    let (id, ..) = bench.write();
    let retry_after = Some(Duration::from_secs(60));
    bench.input(Input::Replied(id, Reply { retry_after, ..Reply::of(503) }));
    while bench.connect().is_none() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a retry");
        bench.input(Input::Deadline);
    }
    let (id, ..) = bench.connect().expect("a connection");
    bench.fail(id, Failure::Refused);
}

/// Delivers over a second connection, because the first one is silent; how long it was held.
fn held_after_a_detour(bench: &mut Bench) -> u128 {
    bench.pass(ms(300));
    let (detour, _) = bench.connect().expect("a second connection");
    deliver_slowly(bench, detour);
    let [_, held, ..] = steps(bench);
    held
}

#[test]
fn what_held_a_beat_is_forgotten_with_it_when_the_agent_is_switched_off() {
    let mut bench = Bench::idle();
    waited_a_minute(&mut bench);
    bench.input(Input::Configured(&Settings { enabled: false, ..settings() }));
    bench.pass(ms(1_000));
    bench.input(Input::Configured(&settings()));
    assert_eq!(held_after_a_detour(&mut bench), 0);
}

#[test]
fn what_held_a_beat_on_the_former_uplink_is_not_counted_on_the_next_one() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    waited_a_minute(&mut bench);
    bench.link(ETH0, false);
    assert_eq!(held_after_a_detour(&mut bench), 0);
}

#[test]
fn a_slow_nameserver_is_the_name() {
    let mut bench = Bench::with(&named());
    let nameservers = [Nameserver { address: PROBE.ip(), scope: None }].into_iter().collect();
    let resolver = ResolverSettings { nameservers, ..Default::default() };
    bench.input(Input::ResolverChanged(&resolver));
    let queries: Vec<QueryId> = bench
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::SendQuery { query, .. } => Some(*query),
            _ => None,
        })
        .collect();
    bench.pass(ms(120));
    let answer = Answer { addresses: [SERVER].into_iter().collect(), ttl_s: 60 };
    for query in queries {
        bench.input(Input::QueryAnswered(query, &answer));
        if bench.connect().is_some() {
            break;
        }
    }
    let (id, _) = bench.connect().expect("a connection");
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [0, 0, 120, 120, 121, 122, 123, 124]);
}

#[test]
fn a_stagger_is_the_race() {
    let mut bench = with_hosts(&[10, 11], &settings());
    bench.pass(ms(250));
    let (id, _) = bench.connect().expect("a second connection");
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [0, 0, 0, 250, 251, 252, 253, 254]);
}

#[test]
fn a_doubt_is_the_race() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    bench.pass(ms(300));
    let (id, via) = bench.connect().expect("a second connection");
    assert_eq!(via, Some(name("wlan1")));
    deliver_slowly(&mut bench, id);
    assert_eq!(steps(&bench), [0, 0, 0, 300, 301, 302, 303, 304]);
}

#[test]
fn an_outage_is_the_race_but_for_the_waits_between_its_rounds() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (mut held, event_at) = (Duration::ZERO, bench.now);
    let mut open = bench.connect().map(|(id, _)| id);
    for _ in 0..3 {
        bench.pass(ms(100));
        bench.fail(open.expect("a connection"), Failure::Refused);
        let failed_at = bench.now;
        while bench.connect().is_none() {
            bench.now = bench.agent.next_deadline(bench.now).expect("a retry");
            bench.input(Input::Deadline);
        }
        held += bench.now - failed_at;
        open = bench.connect().map(|(id, _)| id);
    }
    let opened = (bench.now - event_at).as_millis();
    deliver_slowly(&mut bench, open.expect("a connection"));
    assert_eq!(steps(&bench)[..4], [0, held.as_millis(), 0, opened]);
    assert_eq!(opened, held.as_millis() + 300);
}
