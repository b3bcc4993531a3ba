//! Numeric promises, each in a world with a single fault.

mod next;
mod noise;
mod outages;
mod standby;
mod ways;

use std::ops::Add;
use std::time::Duration;

use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::reach::budget::{
    ATTEMPTS, CONNECTIONS_HOUR, DNS_PACKETS_HOUR, OFFLINE_FIRST_HOUR, OFFLINE_HOUR,
    PACKETS_ANSWERED, PACKETS_UNANSWERED, PER_SECOND, ROUNDS_HOUR, SERVER_SILENT_HOUR, SLOW,
    SYNS_HOUR, SYNS_OF_A_CONNECTION,
};
use linkbeat_core::proto::rng::Rng;
use linkbeat_core::proto::time::Instant;

use super::kernel::PLACES;
use super::net::{Flow, Mood, NameMood, News, ProbeMood};
use super::weather::{self, pick};
use super::world::World;

const HOUR: Duration = Duration::from_secs(3600);
/// Most connections in an hour behind a portal, which is asked every 2.5 s at most.
const PORTAL_HOUR: u32 = 3600 * 2 / 5 + 5 + CONNECTIONS_HOUR - ROUNDS_HOUR;
const ETH0: usize = 0;
const WLAN1: usize = 1;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Time of `count` steps of a TCP connection, each a round trip plus a quarter for jitter.
fn round_trips(count: u32, of: Duration) -> Duration {
    of * 5 / 4 * count
}

/// Runs until the server has received another report. Returns the time since `since`.
fn until_taken(world: &mut World, since: Instant, within: Duration) -> Duration {
    let (before, end) = (world.net.taken.len(), world.now + within);
    while world.net.taken.len() == before && world.now < end {
        world.step(end);
    }
    assert!(world.net.taken.len() > before, "no beat within {within:?}\n{}", world.trace.tail());
    world.now - since
}

/// Prints the median and the maximum.
fn summary(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:42} median {median:>10.1?}  longest {longest:>10.1?}");
}

#[test]
fn restored_connectivity_is_used_within_a_probe_round_and_a_beat() {
    let mut times = vec![];
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut world = weather::fair(seed, |_| ());
        let round_trip = ms(pick(&mut rng, &[1, 15, 40, 150, 600]));
        world.net.outside.round_trips = [round_trip; PLACES];
        world.pass(ms(35_000) + rng.fraction(ms(30_000)));
        world.net.outside.flows = [pick(
            &mut rng,
            &[
                Flow::Silent,
                Flow::Silent,
                Flow::Rejecting(Failure::Refused),
                Flow::Rejecting(Failure::Unreachable),
            ],
        ); PLACES];
        // Long enough that a beat falls due in it.
        let longest = ms(pick(&mut rng, &[20_000, 500_000, 900_000]));
        let outage = ms(31_000) + rng.fraction(longest);
        world.pass(outage);
        world.net.outside.flows = [Flow::Open; PLACES];
        let healed_at = world.now;
        let took = until_taken(&mut world, healed_at, ms(60_000));
        // The cadence of probes depends on the time searched, which is less than the outage.
        let cadence = match outage.as_secs() {
            0..=60 => ms(250),
            61..=600 => ms(1_000),
            _ => ms(5_000),
        };
        // Probe, SYN, TLS, and half a round trip for the report. A repeated SYN may be earlier.
        let bound = cadence + round_trips(4, round_trip) + ms(10);
        assert!(took <= bound, "seed {seed}: {took:?} of {bound:?}\n{}", world.trace.tail());
        if cadence == ms(250) && round_trip <= ms(40) {
            times.push(took);
        }
    }
    summary("outage of up to a minute healed, beat due", times);
}

#[test]
fn an_outage_between_two_beats_causes_no_beat() {
    for seed in 0..20 {
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(35_000));
        let due_at = world.agent.view(world.now).due_at.expect("a cycle");
        world.net.outside.flows = [Flow::Silent; PLACES];
        world.pass((due_at - world.now).saturating_sub(ms(1_000)));
        world.net.outside.flows = [Flow::Open; PLACES];
        let sent = (world.net.taken.len(), world.claims.probes_made);
        world.pass(ms(900));
        assert_eq!((world.net.taken.len(), world.claims.probes_made), sent, "seed {seed}");
        let took = until_taken(&mut world, due_at, ms(5_000));
        assert!(took <= ms(300) + round_trips(4, world.net.outside.round_trips[ETH0]), "{took:?}");
    }
}

#[test]
fn a_gateway_that_returns_is_used_within_the_round_trips_of_a_beat() {
    let mut times = vec![];
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(35_000) + rng.fraction(ms(30_000)));
        world.net.outside.flows = [Flow::Silent; PLACES];
        world.pass(ms(610_000) + rng.fraction(ms(60_000)));
        for answers in [false, true] {
            if answers {
                world.net.outside.flows = [Flow::Open; PLACES];
            }
            let neighbour = world.net.kernel.gateway(ETH0, answers).expect("somebody listens");
            world.hear(News::Neighbour(neighbour));
        }
        let back_at = world.now;
        let took = until_taken(&mut world, back_at, ms(60_000));
        let bound = round_trips(3, world.net.outside.round_trips[ETH0]) + ms(5);
        assert!(took <= bound, "seed {seed}: {took:?} of {bound:?}\n{}", world.trace.tail());
        times.push(took);
    }
    summary("gateway back after ten minutes", times);
}

#[test]
fn a_black_hole_on_the_best_uplink_loses_no_beat() {
    let mut times = vec![];
    for addresses in 1..=4 {
        let mut world = weather::fair(addresses, |_| ());
        world.net.outside.addresses.truncate(usize::try_from(addresses).unwrap());
        world.pass(ms(40_000));
        world.net.outside.flows[ETH0] = Flow::Silent;
        for _ in 0..20 {
            let due_at = world.agent.view(world.now).due_at.expect("a cycle");
            let took = until_taken(&mut world, due_at, ms(60_000));
            // A kept connection becomes suspect after the same time as a SYN.
            let bound = ms(300) + round_trips(4, world.net.outside.round_trips[WLAN1]) + ms(10);
            assert!(took <= bound, "{took:?} of {bound:?}\n{}", world.trace.tail());
            times.push(took);
            world.pass(ms(1_000));
        }
    }
    summary("black hole on eth0, beat over wlan1", times);
}

#[test]
fn a_pulled_cable_delays_a_beat_by_its_round_trips_only() {
    let mut times = vec![];
    for seed in 0..20 {
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(40_000 + seed * 1_500));
        for (carrier, way) in [(false, WLAN1), (true, ETH0)] {
            let now = world.now;
            let events = world.net.kernel.set_carrier(ETH0, carrier);
            world.net.notify(events, now);
            let took = until_taken(&mut world, now, ms(60_000));
            let bound = round_trips(3, world.net.outside.round_trips[way]) + ms(5);
            assert!(took <= bound, "{took:?} of {bound:?}\n{}", world.trace.tail());
            times.push(took);
            world.pass(ms(7_000));
        }
    }
    summary("cable pulled and plugged", times);
}

#[test]
fn a_server_that_comes_back_is_found_within_five_seconds() {
    let mut times = vec![];
    for seed in 0..50 {
        let mut world = weather::fair(seed, |_| ());
        // With and without an earlier acknowledged beat.
        world.pass(ms(seed % 4 / 2 * 40_000));
        world.net.outside.mood = if seed % 2 == 0 { Mood::Silent } else { Mood::Refusing };
        world.pass(ms(60_000 + seed * 7_000));
        world.net.outside.mood = Mood::Well;
        let now = world.now;
        let took = until_taken(&mut world, now, ms(60_000));
        let bound = SLOW + round_trips(5, world.net.outside.round_trips[ETH0]) + ms(10);
        assert!(took <= bound, "{took:?} of {bound:?}\n{}", world.trace.tail());
        times.push(took);
    }
    summary("silent or refusing server back", times);
}

/// Costs of a period.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    beats: u64,
    connects: u64,
    syns: u64,
    probes: u64,
    probe_packets: u64,
    queries: u64,
}

impl Cost {
    fn print(self, what: &str, time: &str) {
        let Self { beats, connects, syns, probes, probe_packets, queries } = self;
        println!(
            "{what:26} {time}: {beats:>4} beats, {connects:>4} connects of {syns:>4} SYNs, \
             {probes:>4} probes of {probe_packets:>5} packets, {queries:>4} packets of DNS"
        );
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            beats: self.beats + other.beats,
            connects: self.connects + other.connects,
            syns: self.syns + other.syns,
            probes: self.probes + other.probes,
            probe_packets: self.probe_packets + other.probe_packets,
            queries: self.queries + other.queries,
        }
    }
}

fn cost(world: &mut World, wait: Duration) -> Cost {
    let count = |world: &World| {
        let (claims, packets) = (&world.claims, world.net.packets);
        let counts = [claims.acknowledged, claims.connects_made, packets.syns];
        (counts, [claims.probes_made, packets.probes, packets.queries])
    };
    let (before, probes_before) = count(world);
    world.pass(wait);
    let (after, probes_after) = count(world);
    let [beats, connects, syns] = [0, 1, 2].map(|at| after[at] - before[at]);
    let [probes, probe_packets, queries] = [0, 1, 2].map(|at| probes_after[at] - probes_before[at]);
    Cost { beats, connects, syns, probes, probe_packets, queries }
}

/// Costs of the first hour after a fault, and of the one after it.
fn hours(what: &str, change: impl Fn(&mut World)) -> [Cost; 2] {
    let mut world = weather::fair(7, |_| ());
    world.pass(ms(65_000));
    change(&mut world);
    let hours = [cost(&mut world, HOUR), cost(&mut world, HOUR)];
    for (hour, cost) in ["first hour", "later hour"].iter().zip(hours) {
        cost.print(what, hour);
        assert!(cost.queries <= DNS_PACKETS_HOUR.into(), "{cost:?}");
        assert!(cost.syns <= cost.connects.max(1) * u64::from(SYNS_OF_A_CONNECTION), "{cost:?}");
    }
    hours
}

#[test]
fn an_hour_online_costs_its_beats_and_no_probe() {
    for keep_alive in [Some(ms(75_000)), None] {
        let what = if keep_alive.is_some() { "online, kept connection" } else { "online" };
        for cost in hours(what, |world| world.net.outside.keep_alive = keep_alive) {
            assert_eq!((cost.beats, cost.probes), (120, 0));
            assert!(cost.connects <= if keep_alive.is_some() { 1 } else { 120 });
            // A kept connection needs no name lookup.
            assert!(keep_alive.is_none() || cost.queries == 0, "{cost:?}");
        }
    }
}

#[test]
fn an_hour_with_an_interval_of_the_server_has_its_beats() {
    let interval = Some(ms(300_000));
    let [first, later] = hours("interval of the server", |world| {
        world.net.outside.interval = interval;
    });
    // The first answer says so, and the phase is drawn anew.
    assert!((12..=14).contains(&first.beats), "{first:?}");
    assert_eq!((later.beats, later.probes), (12, 0));
}

#[test]
fn an_hour_offline_stays_within_its_budget() {
    for flow in [Flow::Silent, Flow::Rejecting(Failure::Refused)] {
        let what = format!("offline, {flow:?}");
        let [first, later] = hours(&what, |world| world.net.outside.flows = [flow; PLACES]);
        for (cost, promised) in [(first, OFFLINE_FIRST_HOUR), (later, OFFLINE_HOUR)] {
            assert_eq!(cost.beats, 0);
            assert!(cost.probes <= promised.into(), "{cost:?}");
            assert!(cost.probe_packets <= (promised * PACKETS_UNANSWERED).into(), "{cost:?}");
            assert!(cost.connects <= CONNECTIONS_HOUR.into(), "{cost:?}");
        }
    }
}

#[test]
fn an_hour_with_a_silent_server_stays_within_its_budget() {
    for mood in [Mood::Silent, Mood::Refusing, Mood::Mute, Mood::Hanging] {
        let what = format!("server {mood:?}");
        for cost in hours(&what, |world| world.net.outside.mood = mood) {
            assert!(cost.probes <= SERVER_SILENT_HOUR.into(), "{cost:?}");
            let packets = u64::from(SERVER_SILENT_HOUR * PACKETS_ANSWERED);
            assert!(cost.probe_packets <= packets, "{cost:?}");
            assert!(cost.connects <= CONNECTIONS_HOUR.into(), "{cost:?}");
        }
    }
}

#[test]
fn neither_addresses_nor_uplinks_multiply_the_connections_to_a_silent_server() {
    for (addresses, uplinks) in [(1, 1), (4, 1), (1, 3), (4, 3)] {
        let mut world = weather::fair(7, |_| ());
        world.net.outside.addresses.truncate(addresses);
        for at in uplinks..3 {
            flap(&mut world, at, 0);
        }
        world.pass(ms(65_000));
        world.net.outside.mood = Mood::Silent;
        for hour in ["first hour", "later hour"] {
            let cost = cost(&mut world, HOUR);
            cost.print(&format!("{addresses} addresses, {uplinks} uplinks"), hour);
            assert!(cost.connects <= CONNECTIONS_HOUR.into(), "{cost:?}");
            assert!(cost.syns <= SYNS_HOUR.into(), "{cost:?}");
        }
    }
}

#[test]
fn every_pair_of_address_and_uplink_has_its_turn_with_a_server_that_was_silent_for_an_hour() {
    let mut times = vec![];
    for pair in 0..12 {
        let mut world = weather::fair(pair, |_| ());
        world.pass(ms(65_000));
        let addresses = world.net.outside.addresses.clone();
        world.net.outside.mood = Mood::Silent;
        world.pass(HOUR);
        let (address, uplink) = (usize::try_from(pair % 4).unwrap(), usize::try_from(pair / 4));
        world.net.outside.addresses = vec![addresses[address]];
        world.net.outside.flows = [Flow::Silent; PLACES];
        world.net.outside.flows[uplink.unwrap()] = Flow::Open;
        world.net.outside.mood = Mood::Well;
        let now = world.now;
        // A token for each of the twelve pairs and for one unbound, and a round.
        let bound = ATTEMPTS.every * 13 + ms(40_000);
        times.push(until_taken(&mut world, now, bound));
    }
    summary("one pair of twelve works after an hour", times);
}

#[test]
fn an_hour_with_a_failing_server_follows_the_back_off() {
    let quiet = Some(Duration::from_secs(120));
    for (status, retry_after, most) in
        [(500, None, 240 + 10), (503, quiet, 31), (404, None, 121), (401, None, 121)]
    {
        let what = format!("server answers {status}");
        let change = |world: &mut World| {
            world.net.outside.mood = Mood::Status(status, retry_after);
            world.net.outside.keep_alive = None;
        };
        for cost in hours(&what, change) {
            assert!(cost.connects <= most, "{cost:?}");
            assert_eq!((cost.beats, cost.probes), (0, 0));
        }
    }
}

#[test]
fn a_portal_is_retried_every_few_seconds_and_a_refusal_each_interval() {
    for (failure, most) in [(Failure::Portal(200), PORTAL_HOUR.into()), (Failure::NotAccepted, 121)]
    {
        let change = |world: &mut World| {
            world.net.outside.mood = Mood::Declining(failure);
            world.net.outside.keep_alive = None;
        };
        for cost in hours(&format!("answer {failure:?}"), change) {
            assert!(cost.connects <= most, "{cost:?}");
            assert_eq!((cost.beats, cost.probes), (0, 0));
        }
    }
}

#[test]
fn an_hour_with_filtered_probe_targets_and_a_good_server_needs_no_probe() {
    for probes in [ProbeMood::Silent, ProbeMood::Refusing] {
        let what = format!("probe {probes:?}");
        for cost in hours(&what, |world| world.net.outside.probes = probes) {
            assert_eq!((cost.beats, cost.probes), (120, 0));
        }
    }
}

#[test]
fn an_hour_with_silent_nameservers_loses_no_beat() {
    for cost in hours("names Silent", |world| world.net.outside.names = NameMood::Silent) {
        assert_eq!(cost.beats, 120);
    }
}

/// Costs of ten minutes in which `happen` runs every `wait`.
fn storm(what: &str, wait: Duration, happen: impl Fn(&mut World, u32)) -> Cost {
    let mut world = weather::fair(7, |_| ());
    world.net.outside.keep_alive = None;
    world.pass(ms(65_000));
    let end = world.now + ms(600_000);
    let mut sum = Cost::default();
    for turn in 0.. {
        if world.now >= end {
            break;
        }
        happen(&mut world, turn);
        sum = sum + cost(&mut world, wait);
    }
    sum.print(what, "ten minutes");
    if sum.beats == 5 {
        println!("{}", world.trace.tail());
    }
    sum
}

fn flap(world: &mut World, at: usize, turn: u32) {
    let (carrier, now) = (turn % 2 == 1, world.now);
    let events = world.net.kernel.set_carrier(at, carrier);
    world.net.notify(events, now);
}

#[test]
fn ten_minutes_of_triggers_send_one_beat_per_token() {
    let cost = storm("a trigger every 10 ms", ms(10), |world, _| world.trigger(None));
    assert!(cost.beats <= 5 + 300 + 20 && cost.beats > 300, "{cost:?}");
    assert!(cost.connects <= cost.beats + 1);
    assert_eq!(cost.probes, 0);
}

#[test]
fn ten_minutes_of_a_flapping_uplink_send_one_beat_per_token() {
    // 100 ms divides the time of a token, so a beat that starts with a token meets the next change.
    for period in [7, 40, 100, 333, 999] {
        let what = format!("eth0 flaps every {period} ms");
        let cost = storm(&what, ms(period), |world, turn| flap(world, ETH0, turn));
        assert!((280..=5 + 300 + 20 + 2).contains(&cost.beats), "{cost:?}");
        assert!(cost.connects <= 2 * cost.beats + 4, "{cost:?}");
        assert!(cost.probes <= u64::from(PER_SECOND) * 600, "{cost:?}");
    }
}

#[test]
fn ten_minutes_of_a_flapping_reserve_uplink_send_only_the_cycle() {
    let cost = storm("wlan1 flaps every 100 ms", ms(100), |world, turn| flap(world, WLAN1, turn));
    assert_eq!((cost.beats, cost.connects, cost.probes), (20, 20, 0));
}

#[test]
fn a_flapping_uplink_and_a_failing_server_stay_within_the_tokens() {
    let cost = storm("wlan1 flaps, server fails", ms(100), |world, turn| {
        world.net.outside.mood = Mood::Status(500, None);
        flap(world, WLAN1, turn);
    });
    // One token every two seconds, and two rounds of back-off after each.
    assert!(cost.connects <= (5 + 300) * 3 + 40, "{cost:?}");
    assert_eq!(cost.probes, 0, "the uplink in use has not changed");
}

#[test]
fn a_corrected_clock_sends_the_failed_beat_within_its_round_trips() {
    let mut times = vec![];
    for seed in 0..50 {
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(35_000));
        // The clock is a year ahead. The next connection is a new one, because the server has
        // forgotten the current one.
        world.net.wall.set(365 * 86_400, false);
        world.hear(News::ClockSet);
        world.net.forget_connections(true);
        let failing = ms(31_000) + Rng::new(seed).fraction(ms(600_000));
        world.pass(failing);
        assert!(world.agent.view(world.now).failure.is_some(), "seed {seed}");
        world.net.wall.set(0, true);
        world.hear(News::ClockSet);
        let set_at = world.now;
        let took = until_taken(&mut world, set_at, ms(60_000));
        // SYN, TLS and report, and the end of a round in flight, on the slowest uplink.
        let bound = round_trips(6, world.net.outside.round_trips[2]) + ms(10);
        assert!(took <= bound, "seed {seed}: {took:?} of {bound:?}\n{}", world.trace.tail());
        times.push(took);
    }
    summary("clock set right while beats fail for it", times);
}

#[test]
fn a_device_that_slept_sends_one_beat_at_once() {
    for seed in 0..50 {
        let mut world = weather::fair(seed, |_| ());
        world.pass(ms(35_000));
        let sent = world.net.taken.len();
        let asleep = ms(120_000) + Rng::new(seed).fraction(ms(3_600_000));
        world.net.suspend(asleep);
        world.now = world.now + asleep;
        let woken_at = world.now;
        let took = until_taken(&mut world, woken_at, ms(5_000));
        assert!(took <= round_trips(4, world.net.outside.round_trips[ETH0]) + ms(10), "{took:?}");
        assert_eq!(world.net.taken.len(), sent + 1, "seed {seed}");
        // The cycle keeps its phase, so the next beat comes within an interval.
        world.pass(ms(30_000));
        assert_eq!(world.net.taken.len(), sent + 2, "seed {seed}");
    }
}
