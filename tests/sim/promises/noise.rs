//! Irrelevant messages of the kernel cost nothing.

use super::*;
use crate::kernel::{DOCKER, NAMES, noise};

/// Counters of the agent's visible activity.
fn deeds(world: &World) -> [u64; 4] {
    let claims = &world.claims;
    [claims.asks, claims.connects_made, claims.probes_made, world.net.packets.queries]
}

/// A world after the first beats, in which every announcement was made once.
fn settled() -> World {
    let mut world = weather::fair(7, |_| ());
    world.pass(ms(10_000));
    for at in 0..NAMES.len() {
        let events = world.net.kernel.refresh(at);
        world.net.notify(events, world.now);
    }
    world.pass(ms(40_000));
    world
}

#[test]
fn repeated_announcements_cause_no_query_connection_or_beat() {
    let mut world = settled();
    let (before, beats) = (deeds(&world), world.claims.acknowledged);
    let objects: usize = (0..NAMES.len()).map(|at| world.net.kernel.refresh(at).len()).sum();
    // 2,400 a minute.
    for turn in 0..1_200 {
        let events = world.net.kernel.refresh(turn % NAMES.len());
        let (now, one) = (world.now, turn / NAMES.len() % events.len());
        world.net.notify(vec![events[one]], now);
        world.pass(ms(25));
    }
    let [asks, connects, probes, _] = deeds(&world);
    assert_eq!([connects, probes], before[1..3], "something was sent");
    // The beat in between causes a name lookup. Its addresses may have other routes, so all
    // announcements are new once more.
    let asks = usize::try_from(asks - before[0]).unwrap();
    assert!(asks <= objects + 2, "{asks} questions for {objects} objects");
    assert_eq!(world.claims.acknowledged, beats + 1, "the cycle goes on");
}

#[test]
fn irrelevant_routes_cause_no_route_query() {
    let mut world = settled();
    let before = deeds(&world)[0];
    let now = world.now;
    world.net.notify((0..5_000).map(|number| noise(number, false)).collect(), now);
    world.pass(ms(10));
    for turn in 0..600 {
        let now = world.now;
        world.net.notify(vec![noise(77, turn % 2 == 0)], now);
        world.pass(ms(100));
    }
    assert_eq!(deeds(&world)[0], before, "the kernel was asked");
}

#[test]
fn containers_that_start_and_stop_cause_no_beat_and_no_connection() {
    let mut world = settled();
    let (before, beats) = (deeds(&world), world.claims.acknowledged);
    for _ in 0..30 {
        for present in [true, false] {
            let kernel = &mut world.net.kernel;
            let events = if present { kernel.restore(DOCKER) } else { kernel.vanish(DOCKER) };
            let now = world.now;
            world.net.notify(events, now);
            world.pass(ms(500));
        }
    }
    let [_, connects, probes, _] = deeds(&world);
    assert_eq!([connects, probes], before[1..3]);
    assert_eq!(world.claims.acknowledged, beats + 1, "the cycle goes on");
}
