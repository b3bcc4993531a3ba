//! Faults, drawn from a seed.

mod ways;
mod worlds;

pub(crate) use worlds::*;

use std::time::Duration;

use linkbeat_core::proto::event::{Failure, TlsFailure};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::link::LinkEvent;
use linkbeat_core::proto::rng::Rng;

use super::kernel::{Kernel, LAN, Stage, TUNNEL};
use super::net::{Flow, Mood, NOBODY, NameMood, News, ProbeMood, ROUTER};
use super::wall::Wall;
use super::world::World;

/// TTL of a portal's name answers.
const HOUR: Duration = Duration::from_secs(3600);

/// Number of fault kinds. Each seed uses a few of them.
const KINDS: u64 = 27;

/// The faults of a seed, and their frequency.
#[derive(Debug)]
pub(crate) struct Weather {
    rng: Rng,
    tastes: Vec<u64>,
    mean: Duration,
}

impl Weather {
    pub(crate) fn new(mut rng: Rng) -> Self {
        let count = 2 + rng.below(6);
        let tastes = (0..count).map(|_| rng.below(KINDS)).collect();
        let mean = Duration::from_millis(pick(&mut rng, &[30, 300, 2_000, 10_000, 40_000]));
        Self { rng, tastes, mean }
    }

    /// The wait before the next change.
    pub(crate) fn wait(&mut self) -> Duration {
        // Many short waits and some long ones.
        let factor = pick(&mut self.rng, &[0, 1, 1, 2, 2, 4, 10]);
        Duration::from_micros(1) + self.rng.fraction(self.mean * factor)
    }

    /// Makes one change for the worse or the better.
    pub(crate) fn change(&mut self, world: &mut World) {
        let rng = &mut self.rng;
        let kind = pick(rng, &self.tastes);
        let at = pick(rng, &[0, 1, 2]);
        let now = world.now;
        match kind {
            0..=3 => {
                let events = change_link(&mut world.net.kernel, kind, at, rng);
                world.trace.weather(now, &(kind, at));
                world.net.notify(events, now);
            }
            4 | 5 => {
                let at = if chance(rng, 75) { at } else { pick(rng, &[TUNNEL, LAN]) };
                world.net.outside.flows[at] = flow(rng);
                world.trace.weather(now, &world.net.outside.flows);
            }
            6 => {
                let slow = pick(rng, &[1, 10, 40, 150, 600, 1_500]);
                world.net.outside.round_trips[at] = Duration::from_millis(slow);
            }
            7 | 8 => {
                world.net.outside.mood = mood(rng);
                world.trace.weather(now, &world.net.outside.mood);
            }
            9 => {
                world.net.outside.names = names(rng);
                world.trace.weather(now, &world.net.outside.names);
            }
            10 => {
                world.net.outside.probes =
                    pick(rng, &[ProbeMood::Answering, ProbeMood::Silent, ProbeMood::Refusing]);
                world.trace.weather(now, &world.net.outside.probes);
            }
            11 => lose_messages(world, rng),
            12 => {
                let words = [None, Word::new("door"), Word::new("motion-2")];
                let storm = pick(rng, &[1, 1, 1, 3, 20]);
                for _ in 0..storm {
                    world.trigger(pick(rng, &words));
                }
            }
            13 => change_settings(world, rng),
            14 => change_server(world, rng),
            15 => {
                let neighbour = world.net.kernel.gateway(at, chance(rng, 50));
                neighbour.into_iter().for_each(|it| world.hear(News::Neighbour(it)));
            }
            16 => set_clock(world, rng),
            17 => {
                let refused = Some(Err(Failure::Refused));
                world.net.outside.service = pick(rng, &[Some(Ok(())), Some(Ok(())), refused, None]);
                world.trace.weather(now, &("service", world.net.outside.service));
            }
            18 => stop(world, rng),
            19 => {
                let resolver = some_resolver(rng);
                world.trace.weather(now, &resolver.nameservers);
                world.resolve(resolver);
            }
            _ => {
                let events = ways::change(&mut world.net.kernel, kind - 20, at, rng);
                world.trace.weather(now, &(kind, at));
                world.net.notify(events, now);
            }
        }
        let overheard = world.net.overheard();
        world.hear_all(overheard);
        world.survey();
    }
}

fn set_clock(world: &mut World, rng: &mut Rng) {
    let ahead_s = pick(rng, &Wall::JUMPS_S);
    let server_ahead_s = pick(rng, &Wall::SERVERS_S);
    world.net.wall.set(ahead_s, chance(rng, 50));
    world.net.wall.set_server(server_ahead_s);
    world.trace.weather(world.now, &("clock ahead by", ahead_s, "the server's by", server_ahead_s));
    world.hear(News::ClockSet);
}

/// One of the elements.
pub(crate) fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    let place = rng.below(u64::try_from(from.len()).unwrap());
    from[usize::try_from(place).unwrap()].clone()
}

pub(crate) fn chance(rng: &mut Rng, percent: u64) -> bool {
    rng.below(100) < percent
}

fn change_link(kernel: &mut Kernel, kind: u64, at: usize, rng: &mut Rng) -> Vec<LinkEvent> {
    let present = kernel.interfaces[at].present;
    let carrier = kernel.interfaces[at].carrier;
    if !present {
        return kernel.restore(at);
    }
    match (kind, rng.below(6)) {
        (0, _) => kernel.set_carrier(at, !carrier),
        (1, 0) => kernel.drop_address(at),
        (1, 1) => kernel.give_address(at, 10),
        (1, 2) => kernel.give_address(at, 77),
        (1, 3) => kernel.drop_route(at),
        (1, 4) => kernel.give_route(at, 1),
        (1, _) => kernel.give_route(at, 254),
        (2, 0) => kernel.give_v6(at, 10, Stage::Tentative),
        (2, 1 | 2) => kernel.give_v6(at, 10, Stage::Preferred),
        (2, 3) => kernel.give_v6(at, 99, Stage::Preferred),
        (2, _) => kernel.drop_v6(at),
        (_, 0) => kernel.vanish(at),
        (_, 1) => {
            let up = kernel.interfaces[at].up;
            kernel.set_up(at, !up)
        }
        (_, 2) => kernel.rename(at, &format!("usb{at}")),
        (_, 3) => kernel.repeat(at),
        _ => kernel.restore(at),
    }
}

fn flow(rng: &mut Rng) -> Flow {
    pick(
        rng,
        &[
            Flow::Open,
            Flow::Open,
            Flow::Open,
            Flow::Silent,
            Flow::Silent,
            Flow::Rejecting(Failure::Refused),
            Flow::Rejecting(Failure::Unreachable),
            Flow::Portal(302),
            Flow::Portal(511),
            Flow::Portal(200),
            Flow::Lossy(10),
            Flow::Lossy(50),
            Flow::Only { v4: true },
            Flow::Only { v4: false },
            Flow::Accelerating { v4: true, v6: true },
            Flow::Accelerating { v4: true, v6: false },
            Flow::Accelerating { v4: false, v6: true },
            Flow::OneWay,
        ],
    )
}

fn mood(rng: &mut Rng) -> Mood {
    let seconds = |s| Some(Duration::from_secs(s));
    pick(
        rng,
        &[
            Mood::Well,
            Mood::Well,
            Mood::Slow(Duration::from_secs(3)),
            Mood::Slow(Duration::from_secs(12)),
            Mood::Mute,
            Mood::Hanging,
            Mood::Silent,
            Mood::Refusing,
            Mood::Status(500, None),
            Mood::Status(503, seconds(20)),
            Mood::Status(503, seconds(86_400)),
            Mood::Status(429, seconds(0)),
            Mood::Status(404, None),
            Mood::Status(302, None),
            Mood::Declining(Failure::Portal(302)),
            Mood::Declining(Failure::NotAccepted),
            Mood::Breaking(Failure::Reset),
            Mood::Breaking(Failure::Closed),
            Mood::Breaking(Failure::Malformed),
            Mood::BadTls(TlsFailure::Expired),
        ],
    )
}

fn names(rng: &mut Rng) -> NameMood {
    pick(
        rng,
        &[
            NameMood::Right,
            NameMood::Right,
            NameMood::Slow(Duration::from_millis(700)),
            NameMood::Slow(Duration::from_secs(5)),
            NameMood::Silent,
            NameMood::Failing(Failure::NameServerFailed),
            NameMood::Failing(Failure::NameNotFound),
            NameMood::Failing(Failure::Refused),
            NameMood::Wrong(NOBODY, None),
            NameMood::Wrong(NOBODY, Some(HOUR)),
            NameMood::Wrong(ROUTER, Some(HOUR)),
        ],
    )
}

fn lose_messages(world: &mut World, rng: &mut Rng) {
    if chance(rng, 50) {
        world.net.interrupt_dump();
    } else {
        world.net.deaf_until = Some(world.now + rng.fraction(Duration::from_secs(1)));
        let events = world.net.kernel.repeat(0);
        world.net.notify(events, world.now);
    }
}

fn change_settings(world: &mut World, rng: &mut Rng) {
    let mut settings = world.settings.clone();
    match rng.below(9) {
        0 => settings.enabled = !settings.enabled,
        1 => settings.server = if settings.server.is_some() { None } else { Some(server(rng)) },
        2 => settings.interval = Duration::from_secs(pick(rng, &[1, 5, 30, 60])),
        3 => settings.probe_addresses.clear(),
        4 => settings.probe_addresses = probe_addresses(),
        5 => settings.bind_to_uplink = !settings.bind_to_uplink,
        6 => settings.interfaces.reverse(),
        7 => {
            // The physical card is ignored. Traffic over it is unbound or in a tunnel.
            let eth0 = name("eth0");
            match settings.ignore_interfaces.iter().position(|it| *it == eth0) {
                Some(at) => drop(settings.ignore_interfaces.remove(at)),
                None => settings.ignore_interfaces.extend([eth0]),
            }
        }
        _ => {}
    }
    world.configure(settings);
}

fn change_server(world: &mut World, rng: &mut Rng) {
    match rng.below(4) {
        0 => {
            let (first, count) = (pick(rng, &[0, 1, 2, 3]), pick(rng, &[1, 2, 3]));
            let servers = SERVER.iter().cycle().skip(first).take(count).copied();
            let lan = chance(rng, 30).then_some(LAN_SERVER);
            world.net.outside.addresses = at(lan.into_iter().chain(servers));
        }
        1 => world.net.outside.exhausted = !world.net.outside.exhausted,
        2 => {
            world.net.outside.keep_alive =
                pick(rng, &[None, Some(Duration::from_secs(5)), Some(Duration::from_secs(75))]);
        }
        _ => {
            let mut resolver = world.resolver.clone();
            resolver.nameservers.reverse();
            world.resolve(resolver);
        }
    }
}

/// Stops the process, or suspends the whole device.
fn stop(world: &mut World, rng: &mut Rng) {
    world.delivery.interrupt();
    let wait = Duration::from_millis(pick(rng, &[5, 400, 3_000, 40_000]));
    match rng.below(4) {
        0 => {
            let asleep = wait * pick(rng, &[1, 100]);
            world.net.suspend(asleep);
            world.now = world.now + asleep;
            world.net.forget_connections(chance(rng, 50));
        }
        1 => world.net.forget_connections(chance(rng, 50)),
        _ => world.stopped_until = Some(world.now + wait),
    }
}
