//! What a receiver may believe that knows nothing but `next_within_s` and what it has asked the
//! device to wait: when that is over, the device is dead or cut off.

use std::time::Duration;

use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::rng::Rng;
use linkbeat_core::proto::settings::Settings;
use linkbeat_core::proto::time::Instant;

use super::super::kernel::PLACES;
use super::super::net::{Flow, Mood, NameMood};
use super::super::weather::{self, chance, pick};
use super::super::world::World;
use super::{ETH0, flap, ms, summary};

/// An exchange with the server may take this long.
const EXCHANGE: Duration = Duration::from_secs(10);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Something that happens to the device, its configuration or the server while a way is open.
fn happen(world: &mut World, rng: &mut Rng) {
    match rng.below(10) {
        0 => flap(world, ETH0, 0),
        1 => flap(world, ETH0, 1),
        2 => {
            let flow =
                pick(rng, &[Flow::Silent, Flow::Rejecting(Failure::Unreachable), Flow::Open]);
            world.net.outside.flows[ETH0] = flow;
        }
        3 | 4 => {
            let moods = [
                Mood::Well,
                Mood::Well,
                Mood::Slow(ms(8_000)),
                Mood::Status(500, None),
                Mood::Status(404, None),
                Mood::Status(503, Some(seconds(40))),
                Mood::Status(503, Some(seconds(200))),
            ];
            world.net.outside.mood = pick(rng, &moods);
        }
        5 => world.net.outside.keep_alive = pick(rng, &[None, Some(seconds(75)), Some(seconds(3))]),
        6 => world.net.forget_connections(chance(rng, 50)),
        7 => world.trigger(None),
        8 => {
            let interval = seconds(pick(rng, &[5, 30, 30, 120, 600]));
            let recovery_spread = seconds(pick(rng, &[0, 5, 30]));
            world.configure(Settings { interval, recovery_spread, ..world.settings.clone() });
        }
        _ => {
            let intervals = [None, None, Some(seconds(10)), Some(seconds(60)), Some(seconds(900))];
            world.net.outside.interval = pick(rng, &intervals);
            world.net.outside.names = pick(rng, &[NameMood::Right, NameMood::Silent]);
        }
    }
}

/// Runs for two hours; returns the times in which there was no way to the server.
fn run(world: &mut World, rng: &mut Rng) -> Vec<(Instant, Instant)> {
    let end = world.now + seconds(7200);
    let mut cuts = vec![];
    while world.now < end {
        world.pass(ms(100) + rng.fraction(ms(40_000)));
        if chance(rng, 20) {
            let flows = world.net.outside.flows;
            world.net.outside.flows = [Flow::Silent; PLACES];
            let from = world.now;
            let longest = ms(pick(rng, &[2_000, 20_000, 100_000]));
            world.pass(rng.fraction(longest));
            world.net.outside.flows = flows;
            cuts.push((from, world.now));
        }
        happen(world, rng);
    }
    cuts
}

#[test]
fn who_believes_the_promise_takes_no_living_device_for_dead() {
    let (mut gaps, mut kept) = (vec![], 0);
    // The last ones failed once, each for another reason.
    for seed in (0..10).chain([12, 57]) {
        let mut rng = Rng::new(seed);
        let mut world = weather::fair(seed, |_| ());
        let cuts = run(&mut world, &mut rng);
        let beliefs = &world.net.beliefs;
        let next = beliefs.iter().skip(1).map(|belief| belief.at).chain([world.now]);
        for (belief, next_at) in beliefs.iter().zip(next) {
            let until = belief.at + belief.within;
            let cut = |&(from, to): &(Instant, Instant)| from <= until && to + EXCHANGE > until;
            if next_at > until && !cuts.iter().any(cut) {
                let late = next_at - until;
                panic!("seed {seed}: {belief:?} is broken by {late:?}");
            }
            kept += u32::from(next_at <= until);
            gaps.push(belief.within.saturating_sub(next_at - belief.at));
        }
    }
    println!("{kept} of {} promises kept", gaps.len());
    summary("a promised beat came earlier by", gaps);
}
