//! The server receives a report of an outage as it happened, within the bounds of what the agent can
//! know.

use linkbeat_core::proto::outages::{Outage, OutageKind};

use super::*;
use crate::outages::ReportedOutage;

/// What the simulated network does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The cable is pulled.
    Unplugged,
    /// Packets are dropped outside.
    Silent,
    /// The nearest router rejects.
    Rejecting,
    /// The server is off, refuses, or takes requests and is mute.
    Server(Mood),
}

const FAULTS: [Fault; 7] = [
    Fault::Unplugged,
    Fault::Silent,
    Fault::Rejecting,
    Fault::Server(Mood::Silent),
    Fault::Server(Mood::Refusing),
    Fault::Server(Mood::Mute),
    Fault::Server(Mood::Status(503, None)),
];

/// A device with eth0 alone.
fn wired(seed: u64) -> World {
    let mut world = weather::fair(seed, |_| ());
    for at in (0..PLACES).filter(|at| *at != ETH0) {
        let (events, now) = (world.net.kernel.set_carrier(at, false), world.now);
        world.net.notify(events, now);
    }
    world
}

fn happen(world: &mut World, fault: Fault, begins: bool) {
    let flow = |flow| if begins { flow } else { Flow::Open };
    match fault {
        Fault::Unplugged => {
            let (events, now) = (world.net.kernel.set_carrier(ETH0, !begins), world.now);
            world.net.notify(events, now);
        }
        Fault::Silent => world.net.outside.flows = [flow(Flow::Silent); PLACES],
        Fault::Rejecting => {
            world.net.outside.flows = [flow(Flow::Rejecting(Failure::Unreachable)); PLACES];
        }
        Fault::Server(mood) => world.net.outside.mood = if begins { mood } else { Mood::Well },
    }
}

/// Runs until the server has heard of outage `number`.
fn until_reported(world: &mut World, number: u32) -> ReportedOutage {
    let end = world.now + ms(60_000);
    loop {
        world.reported.read(&world.net.taken);
        if let Some(reported) = world.reported.heard.get(&number) {
            return *reported;
        }
        assert!(world.now < end, "outage {number} is not reported\n{}", world.trace.tail());
        world.step(end);
    }
}

#[test]
fn every_outage_is_reported_once_as_it_happened() {
    let (mut late, mut early) = (vec![], vec![]);
    for seed in 0..140 {
        let mut rng = Rng::new(seed);
        let mut world = wired(seed);
        // One address, so that every round ends before the time-out of one silent connection.
        world.net.outside.addresses.truncate(1);
        world.pass(ms(35_000) + rng.fraction(ms(30_000)));
        for number in 1..=4 {
            let fault = pick(&mut rng, &FAULTS);
            let due_at = world.agent.view(world.now).due_at.expect("a cycle");
            let began_at = world.now;
            happen(&mut world, fault, true);
            // Long enough that a beat falls due and that its failure is known.
            world.pass(ms(42_000) + rng.fraction(ms(200_000)));
            happen(&mut world, fault, false);
            let healed_at = world.now;
            let reported = until_reported(&mut world, number);
            let trace = world.trace.tail();
            let Outage { kind, missed, began_at: reported_at, .. } = reported.outage;
            let expected = match fault {
                Fault::Unplugged => OutageKind::Link,
                Fault::Silent | Fault::Rejecting => OutageKind::Network,
                Fault::Server(_) => OutageKind::Server,
            };
            assert_eq!(kind, expected, "seed {seed}: {fault:?}\n{trace}");
            // Nothing shows between two beats but the loss of a carrier.
            let shows_at = if fault == Fault::Unplugged { began_at } else { due_at };
            let off = (reported_at - shows_at).max(shows_at - reported_at);
            assert!(off <= ms(1_000), "seed {seed}: {fault:?} began {off:?} off\n{trace}");
            // Silence is looked into every second. A server is looked for every 5 s; one that answers
            // is tried again after a back-off of 30 s, and one that is mute after a time-out besides.
            let found = match fault {
                Fault::Unplugged => ms(1_000),
                Fault::Silent | Fault::Rejecting => ms(1_000) + ms(1_000),
                Fault::Server(Mood::Silent | Mood::Refusing) => SLOW + ms(1_000),
                Fault::Server(_) => ms(42_000),
            };
            let over = reported.written_at - healed_at;
            assert!(
                reported.written_at >= healed_at || matches!(fault, Fault::Server(_)),
                "{fault:?}"
            );
            assert!(over <= found, "seed {seed}: {fault:?} reported {over:?} late\n{trace}");
            let ticks = (reported.written_at - due_at).as_secs() / 30 + 1;
            assert_eq!(u64::from(missed), ticks, "seed {seed}: {fault:?}\n{trace}");
            late.push(over);
            early.push(off);
            world.pass(ms(35_000) + rng.fraction(ms(30_000)));
        }
        world.reported.read(&world.net.taken);
        assert_eq!(world.reported.heard.len(), 4, "seed {seed}: {:?}", world.reported.heard);
        world.reported.verify(&world.agent);
    }
    summary("begin of an outage reported, off by", early);
    summary("outage reported after its end", late);
}

#[test]
fn a_blip_without_a_beat_due_is_not_reported() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let mut world = wired(seed);
        world.pass(ms(35_000) + rng.fraction(ms(30_000)));
        for _ in 0..10 {
            let due_at = world.agent.view(world.now).due_at.expect("a cycle");
            let fault = pick(&mut rng, &FAULTS);
            if due_at - world.now > ms(9_000) {
                happen(&mut world, fault, true);
                world.pass(rng.fraction(ms(5_000)));
                happen(&mut world, fault, false);
            }
            world.pass(ms(3_000) + rng.fraction(ms(5_000)));
        }
        world.pass(ms(40_000));
        world.reported.read(&world.net.taken);
        assert!(world.reported.heard.is_empty(), "seed {seed}: {:?}", world.reported.heard);
    }
}
