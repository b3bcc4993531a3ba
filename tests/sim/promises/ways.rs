//! Kinds of real networks. In each of them beats take the path that an operator expects, from the
//! start and after a change to that network, and a path that does not work delays one beat only.

use std::net::{IpAddr, Ipv4Addr};

use linkbeat_core::proto::link::{InterfaceName, LinkEvent};
use linkbeat_core::proto::settings::Settings;

use super::*;
use crate::kernel::{DOCKER, Kernel, LAN, Policy, Stage, TUNNEL, Tunnel};
use crate::net::{NOBODY, ROUTER};
use crate::weather::{LAN_SERVER, SERVER, asking, at, name};

const WLAN0: usize = 2;
/// Longest delay of a beat by a path that acknowledges segments but gives no response.
const PATIENCE: Duration = ms(2_000);
/// Longest delay of a beat by a path that does not even acknowledge segments.
const DOUBT: Duration = ms(300);
/// Most beats delayed in the first hour by tests of a failed path: after a minute, and then after
/// twice as long each time, up to half an hour.
const RETESTS_FIRST_HOUR: usize = 6;
/// Most beats delayed in every later hour.
const RETESTS_HOUR: usize = 3;

/// A network and the expected path.
struct Kind {
    what: &'static str,
    /// Sets the addresses of server and nameservers.
    outside: fn(&mut World),
    change: fn(&mut World),
    /// The interface that beats go over, and whether the socket is bound to it.
    over: (usize, bool),
    /// Longest delay of the first beat.
    held_up: Duration,
}

/// Delay of the next beat, and the interface that its connection is bound to.
fn next_beat(world: &mut World) -> Option<(Duration, Option<InterfaceName>)> {
    let (before, end) = (world.claims.acknowledged, world.now + ms(90_000));
    let view = world.agent.view(world.now);
    let due_at = view.due_at.filter(|_| view.pending.is_none()).unwrap_or(world.now);
    while world.claims.acknowledged == before && world.now < end {
        world.step(end);
    }
    let came = world.claims.acknowledged > before;
    came.then_some((world.now - due_at, world.claims.acknowledged_via))
}

/// The same for the next `count` beats.
fn beats(world: &mut World, count: usize) -> Vec<(Duration, Option<InterfaceName>)> {
    let beat = |_| next_beat(world).unwrap_or_else(|| panic!("no beat\n{}", world.trace.tail()));
    (0..count).map(beat).collect()
}

/// Changes the kernel's tables and announces it.
fn alter(world: &mut World, change: impl FnOnce(&mut Kernel) -> Vec<LinkEvent>) {
    let (events, now) = (change(&mut world.net.kernel), world.now);
    world.net.notify(events, now);
}

fn set(world: &mut World, change: impl FnOnce(&mut Settings)) {
    let mut settings = world.settings.clone();
    change(&mut settings);
    world.configure(settings);
}

fn serve(world: &mut World, addresses: &[IpAddr]) {
    world.net.outside.addresses = at(addresses.iter().copied());
}

fn ask(world: &mut World, nameservers: &[&'static str]) {
    world.resolve(asking(nameservers.iter().map(|address| (*address, None))));
}

/// Leaves a carrier on the best uplink only.
fn alone(world: &mut World) {
    alter(world, |kernel| kernel.set_carrier(WLAN1, false));
    alter(world, |kernel| kernel.set_carrier(WLAN0, false));
}

const SERVER_NETWORK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24);
const EVERYTHING: Flow = Flow::Accelerating { v4: true, v6: true };

const KINDS: &[Kind] = &[
    Kind {
        what: "one default route for each uplink",
        outside: |_| (),
        change: |_| (),
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "route to the server's network",
        outside: |world| {
            serve(world, &SERVER[..1]);
        },
        change: |world| {
            alter(world, |kernel| kernel.give_specific(WLAN0, SERVER_NETWORK, true));
        },
        over: (WLAN0, true),
        held_up: ms(0),
    },
    Kind {
        what: "server in a LAN, names in a container, defaults in table 100",
        outside: |world| {
            serve(world, &[LAN_SERVER]);
            ask(world, &["172.17.0.2"]);
        },
        change: |world| {
            alter(world, |kernel| kernel.restore(LAN));
            alter(world, |kernel| kernel.restore(DOCKER));
            alter(world, |kernel| kernel.set_policy(Policy::Managed));
        },
        over: (LAN, true),
        held_up: ms(0),
    },
    Kind {
        what: "defaults in table 100 by a rule",
        outside: |_| (),
        change: |world| alter(world, |kernel| kernel.set_policy(Policy::Managed)),
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "defaults in table 253",
        outside: |_| (),
        change: |world| alter(world, |kernel| kernel.set_policy(Policy::Default)),
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "defaults for bound sockets only",
        outside: |_| (),
        change: |world| alter(world, |kernel| kernel.set_policy(Policy::BoundOnly)),
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "defaults for what is sent from an uplink's address only",
        outside: |_| (),
        change: |world| alter(world, |kernel| kernel.set_policy(Policy::FromOwn)),
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "full tunnel by rules",
        outside: |world| serve(world, &SERVER[..2]),
        change: |world| alter(world, |kernel| kernel.open_tunnel(Tunnel::Ruled)),
        over: (TUNNEL, true),
        held_up: ms(0),
    },
    Kind {
        what: "full tunnel with a kill switch",
        outside: |world| serve(world, &SERVER[..2]),
        change: |world| {
            alter(world, |kernel| kernel.open_tunnel(Tunnel::Ruled));
            world.net.kernel.kill_switch = true;
        },
        over: (TUNNEL, true),
        held_up: ms(1_000),
    },
    Kind {
        what: "full tunnel by two halves",
        outside: |world| serve(world, &SERVER[..2]),
        change: |world| alter(world, |kernel| kernel.open_tunnel(Tunnel::Halves)),
        over: (TUNNEL, true),
        held_up: ms(0),
    },
    Kind {
        what: "full tunnel over an ignored card",
        outside: |world| serve(world, &SERVER[..2]),
        change: |world| {
            alter(world, |kernel| kernel.open_tunnel(Tunnel::Ruled));
            set(world, |settings| settings.ignore_interfaces.extend([name("eth0")]));
        },
        over: (TUNNEL, true),
        held_up: ms(0),
    },
    Kind {
        what: "uplink without an address of its own",
        outside: |_| (),
        change: |world| {
            alone(world);
            alter(world, |kernel| kernel.unnumber(ETH0));
        },
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "server with IPv6, and a deprecated address for it",
        outside: |world| {
            serve(world, &SERVER[2..]);
        },
        change: |world| {
            alter(world, |kernel| kernel.drop_v6(WLAN1));
            alter(world, |kernel| kernel.drop_v6(WLAN0));
            alter(world, |kernel| kernel.give_v6(ETH0, 10, Stage::Deprecated));
        },
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "server with IPv6, which the best uplink has not",
        outside: |world| {
            serve(world, &SERVER[2..]);
        },
        change: |world| {
            alter(world, |kernel| kernel.drop_v6(ETH0));
        },
        over: (WLAN1, true),
        held_up: ms(0),
    },
    Kind {
        what: "nameserver with IPv6, which the best uplink has not",
        outside: |world| {
            serve(world, &SERVER[..1]);
            ask(world, &["2620:fe::fe"]);
        },
        change: |world| {
            alter(world, |kernel| kernel.drop_v6(ETH0));
        },
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "nameserver in the LAN of another card",
        outside: |world| {
            ask(world, &["10.9.0.53"]);
        },
        change: |world| {
            alter(world, |kernel| kernel.restore(LAN));
        },
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "closed LAN without a default route",
        outside: |world| {
            serve(world, &[IpAddr::V4(Ipv4Addr::new(192, 168, 0, 80))]);
            ask(world, &["192.168.0.1"]);
        },
        change: |world| {
            alone(world);
            alter(world, |kernel| kernel.drop_route(ETH0));
            alter(world, |kernel| kernel.drop_v6(ETH0));
        },
        over: (ETH0, true),
        held_up: ms(0),
    },
    Kind {
        what: "sockets are not to be bound",
        outside: |_| (),
        change: |world| set(world, |settings| settings.bind_to_uplink = false),
        over: (ETH0, false),
        held_up: ms(0),
    },
    Kind {
        what: "answers by another card",
        outside: |_| (),
        change: |world| {
            alone(world);
            world.net.outside.flows[ETH0] = Flow::OneWay;
        },
        over: (ETH0, false),
        held_up: ms(2_100),
    },
    Kind {
        what: "IPv6 is dropped",
        outside: |_| (),
        change: |world| world.net.outside.flows[ETH0] = Flow::Only { v4: true },
        over: (ETH0, true),
        held_up: ms(400),
    },
    Kind {
        what: "IPv4 is dropped",
        outside: |_| (),
        change: |world| world.net.outside.flows[ETH0] = Flow::Only { v4: false },
        over: (ETH0, true),
        held_up: ms(1_500),
    },
    Kind {
        what: "portal on the best uplink",
        outside: |_| (),
        change: |world| {
            world.net.outside.flows[ETH0] = Flow::Portal(302);
            world.net.forget_connections(true);
        },
        over: (WLAN1, true),
        held_up: ms(100),
    },
    Kind {
        what: "the best uplink rejects",
        outside: |_| (),
        change: |world| world.net.outside.flows[ETH0] = Flow::Rejecting(Failure::Refused),
        over: (WLAN1, true),
        held_up: DOUBT,
    },
    Kind {
        what: "the best uplink acknowledges and has no answer",
        outside: |_| (),
        change: |world| world.net.outside.flows[ETH0] = EVERYTHING,
        over: (WLAN1, true),
        held_up: ms(3_500),
    },
];

/// Checks the first eight beats in such a network.
fn check(kind: &Kind, world: &mut World) -> Result<(), String> {
    let (place, bound) = kind.over;
    let over = world.net.kernel.interfaces[place].name;
    // Includes the tunnel's own packets, and name lookups.
    let round_trip = world.net.outside.round_trips[place] + ms(1);
    let at_once = round_trips(6, round_trip) + ms(10);
    let mut held_up = 0;
    for turn in 0..8 {
        let (late, via) = next_beat(world).ok_or("no beat")?;
        if turn == 0 {
            println!("{:62} {late:>8.1?}", kind.what);
        }
        if late > at_once + kind.held_up {
            return Err(format!("beat {turn} is {late:?} late"));
        }
        held_up += u32::from(late > at_once);
        // A delayed beat takes the first path that works. Those after it reuse the kept connection
        // without a lookup, even where the other family of the best uplink would work.
        let settled = kind.held_up.is_zero() || (turn >= 4 && place != ETH0);
        if via != bound.then_some(over) && late <= at_once && settled {
            return Err(format!("beat {turn} goes over {via:?}"));
        }
    }
    // At first, and at the tests of the failed path after one minute and after three.
    if held_up > 3 { Err(format!("{held_up} of 8 beats are held up")) } else { Ok(()) }
}

/// Checks every kind, in worlds prepared by `prepare`.
fn check_all(prepare: impl Fn(&Kind, &mut World)) {
    let failed = KINDS.iter().filter_map(|kind| {
        let mut world = weather::fair(11, |_| ());
        prepare(kind, &mut world);
        let failure = check(kind, &mut world).err()?;
        Some(format!("{}\n{}: {failure}", world.trace.tail(), kind.what))
    });
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_kind_of_network_carries_beats_from_the_start() {
    check_all(|kind, world| {
        (kind.outside)(world);
        (kind.change)(world);
    });
}

#[test]
fn change_to_another_kind_of_network_loses_no_beat() {
    check_all(|kind, world| {
        (kind.outside)(world);
        world.pass(ms(40_000));
        (kind.change)(world);
        // The beat for the change itself may use the former path.
        world.pass(ms(10_000));
    });
}

#[test]
fn best_uplink_that_only_acknowledges_delays_one_beat_per_test() {
    let mut times = vec![];
    for flow in [
        EVERYTHING,
        Flow::Accelerating { v4: true, v6: false },
        Flow::Accelerating { v4: false, v6: true },
    ] {
        let mut world = weather::fair(13, |_| ());
        match flow {
            Flow::Accelerating { v6: false, .. } => serve(&mut world, &SERVER[..2]),
            Flow::Accelerating { v4: false, .. } => serve(&mut world, &SERVER[2..]),
            _ => {}
        }
        world.pass(ms(40_000));
        world.net.outside.flows[ETH0] = flow;
        let at_once = round_trips(4, world.net.outside.round_trips[WLAN1]) + DOUBT;
        let first = beats(&mut world, 1)[0].0;
        // The path becomes suspect before the wait for its response.
        assert!(first <= at_once + PATIENCE, "{flow:?}: {first:?}\n{}", world.trace.tail());
        times.push(first);
        for retests in [RETESTS_FIRST_HOUR, RETESTS_HOUR] {
            let beats = beats(&mut world, 120);
            let held_up: Vec<_> = beats.iter().filter(|(late, _)| *late > at_once).collect();
            assert!(held_up.len() <= retests, "{flow:?}: {held_up:?}");
            assert!(held_up.iter().all(|(late, _)| *late <= at_once + PATIENCE), "{held_up:?}");
        }
        // When it works again, it is in use after the next test.
        world.net.outside.flows[ETH0] = Flow::Open;
        let beats = beats(&mut world, 62);
        assert_eq!(beats[61].1, Some(name("eth0")), "{flow:?}");
    }
    summary("the best uplink accelerates", times);
}

#[test]
fn dead_uplinks_delay_a_beat_at_most_once_each() {
    let mut times = vec![];
    for seed in 0..20 {
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(40_000));
        world.net.outside.flows[ETH0] = EVERYTHING;
        world.net.outside.flows[WLAN1] = EVERYTHING;
        let late = beats(&mut world, 1)[0].0;
        let at_once = round_trips(4, world.net.outside.round_trips[WLAN0]) + DOUBT;
        assert!(late <= at_once + PATIENCE * 2, "{late:?}\n{}", world.trace.tail());
        times.push(late);
    }
    summary("two uplinks accelerate, beat over the third", times);
}

#[test]
fn server_that_moved_is_found_by_the_next_beat_despite_a_long_ttl() {
    let mut times = vec![];
    for seed in 0..20 {
        let mut world = weather::fair(seed, |_| ());
        serve(&mut world, &SERVER[..1]);
        world.pass(ms(40_000));
        serve(&mut world, &SERVER[1..2]);
        world.net.forget_connections(false);
        let late = beats(&mut world, 1)[0].0;
        // Suspicion of the kept connection and of the new one, and a name lookup.
        assert!(late <= DOUBT * 3 + round_trips(6, ms(15)), "{late:?}\n{}", world.trace.tail());
        times.push(late);
    }
    summary("server has moved", times);
}

#[test]
fn portal_name_answers_with_a_long_ttl_are_dropped_when_it_opens() {
    let mut times = vec![];
    for seed in 0..20 {
        let mut world = weather::fair(seed, |_| ());
        let liar = if seed % 2 == 0 { NOBODY } else { ROUTER };
        world.net.outside.names = NameMood::Wrong(liar, Some(HOUR));
        world.pass(ms(40_000 + seed * 10_000));
        assert_eq!(world.claims.acknowledged, 0);
        world.net.outside.names = NameMood::Right;
        let now = world.now;
        let took = until_taken(&mut world, now, ms(60_000));
        // The back-off is at its longest.
        assert!(took <= ms(30_000) + ms(5_000), "{took:?}\n{}", world.trace.tail());
        times.push(took);
    }
    summary("names were wrong for an hour", times);
}

#[test]
fn false_name_answers_do_not_delay_beats_to_a_good_server() {
    for liar in [NOBODY, ROUTER] {
        let mut world = weather::fair(14, |_| ());
        serve(&mut world, &SERVER[..1]);
        world.pass(ms(40_000));
        world.net.outside.names = NameMood::Wrong(liar, Some(HOUR));
        world.net.forget_connections(true);
        for (late, _) in beats(&mut world, 60) {
            assert!(late <= DOUBT * 2 + round_trips(4, ms(40)), "{late:?}\n{}", world.trace.tail());
        }
    }
}
