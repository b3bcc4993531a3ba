//! What goes wrong, and when: drawn from a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use linkbeat::proto::event::{Failure, TlsFailure, Word};
use linkbeat::proto::link::Name;
use linkbeat::proto::rng::Rng;
use linkbeat::proto::services::{SERVICES_MAX, ServiceName, ServiceSettings};
use linkbeat::proto::settings::{
    BucketSettings, Host, HostName, Nameserver, ResolverSettings, Server, Settings,
};

use super::kernel::{Kernel, NAMES};
use super::net::{Flow, Mood, NameMood, Net, News, Outside, ProbeMood};
use super::wall::Wall;
use super::world::World;

const SERVER: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 11)),
];

/// A server on the device itself.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The kinds of trouble; a seed has a taste for some of them.
const KINDS: u64 = 19;

/// How a seed likes to make trouble.
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

    /// One change for the worse, or for the better.
    pub(crate) fn change(&mut self, world: &mut World) {
        let rng = &mut self.rng;
        let kind = pick(rng, &self.tastes);
        let at = pick(rng, &[0, 1, 2]);
        let now = world.now;
        match kind {
            0..=3 => {
                let told = change_link(&mut world.net.kernel, kind, at, rng);
                world.trace.weather(now, &(kind, at));
                world.net.notify(told, now);
            }
            4 | 5 => {
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
                let told = world.net.kernel.gateway(at, chance(rng, 50));
                told.into_iter().for_each(|told| world.hear(News::Neighbour(told)));
            }
            16 => {
                let ahead_s = pick(rng, &Wall::JUMPS_S);
                world.net.wall.set(ahead_s);
                world.trace.weather(now, &("clock ahead by", ahead_s));
                world.hear(News::ClockSet);
            }
            17 => {
                let refused = Some(Err(Failure::Refused));
                world.net.outside.service = pick(rng, &[Some(Ok(())), Some(Ok(())), refused, None]);
                world.trace.weather(now, &("service", world.net.outside.service));
            }
            _ => stop(world, rng),
        }
        for news in world.net.overheard() {
            world.hear(news);
        }
    }
}

/// One of them.
pub(crate) fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    let place = rng.below(u64::try_from(from.len()).unwrap());
    from[usize::try_from(place).unwrap()].clone()
}

fn chance(rng: &mut Rng, percent: u64) -> bool {
    rng.below(100) < percent
}

fn change_link(
    kernel: &mut Kernel,
    kind: u64,
    at: usize,
    rng: &mut Rng,
) -> Vec<linkbeat::proto::link::LinkEvent> {
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
        (2, 0) => kernel.give_v6(at, 10, false),
        (2, 1 | 2) => kernel.give_v6(at, 10, true),
        (2, 3) => kernel.give_v6(at, 99, true),
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
            Flow::Silent,
            Flow::Silent,
            Flow::Rejecting(Failure::Refused),
            Flow::Rejecting(Failure::Unreachable),
            Flow::Portal,
            Flow::Lossy(10),
            Flow::Lossy(50),
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
            NameMood::Wrong,
        ],
    )
}

fn lose_messages(world: &mut World, rng: &mut Rng) {
    if chance(rng, 50) {
        world.net.interrupt_dump();
    } else {
        world.net.deaf_until = Some(world.now + rng.fraction(Duration::from_secs(1)));
        let told = world.net.kernel.repeat(0);
        world.net.notify(told, world.now);
    }
}

fn change_settings(world: &mut World, rng: &mut Rng) {
    let mut settings = world.settings.clone();
    match rng.below(8) {
        0 => settings.enabled = !settings.enabled,
        1 => settings.server = if settings.server.is_some() { None } else { Some(server(rng)) },
        2 => settings.interval = Duration::from_secs(pick(rng, &[1, 5, 30, 60])),
        3 => settings.probe_addresses.clear(),
        4 => settings.probe_addresses = probe_addresses(),
        5 => settings.bind_to_uplink = !settings.bind_to_uplink,
        6 => settings.interfaces.reverse(),
        _ => {}
    }
    world.configure(settings);
}

fn change_server(world: &mut World, rng: &mut Rng) {
    match rng.below(4) {
        0 => {
            let (first, count) = (pick(rng, &[0, 1, 2, 3]), pick(rng, &[1, 2, 3]));
            world.net.outside.addresses =
                at(SERVER.iter().cycle().skip(first).take(count).copied());
        }
        1 => world.net.outside.exhausted = !world.net.outside.exhausted,
        2 => {
            world.net.outside.keep_alive =
                pick(rng, &[None, Some(Duration::from_secs(5)), Some(Duration::from_secs(75))]);
        }
        _ => {
            let mut resolver = world.resolver.clone();
            resolver.nameservers.reverse();
            world.resolver = resolver.clone();
            world.hear(News::ResolverChanged(Box::new(resolver)));
        }
    }
}

/// The process is stopped, or the whole device sleeps.
fn stop(world: &mut World, rng: &mut Rng) {
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

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn server(rng: &mut Rng) -> Server {
    let api = HostName::try_from("api.example.org").unwrap();
    let api = Host::Name(api);
    let hosts = [api.clone(), api, Host::Address(SERVER[0]), Host::Address(LOOPBACK)];
    Server { host: pick(rng, &hosts), port: 443 }
}

fn services(rng: &mut Rng) -> heapless::Vec<ServiceSettings, SERVICES_MAX> {
    let name = ServiceName::new("rtsp").unwrap();
    let interval = Duration::from_secs(pick(rng, &[1, 10, 60]));
    let rtsp = ServiceSettings { name, address: SocketAddr::new(LOOPBACK, 8554), interval };
    chance(rng, 40).then_some(rtsp).into_iter().collect()
}

fn probe_addresses() -> heapless::Vec<SocketAddr, 8> {
    ["8.8.8.8:53", "[2001:4860:4860::8888]:53"].into_iter().map(|it| it.parse().unwrap()).collect()
}

/// A configuration as the documentation has it, varied a little.
fn settings(rng: &mut Rng) -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: !chance(rng, 5),
        auto_connect: !chance(rng, 10),
        server: Some(server(rng)),
        interval: Duration::from_secs(pick(rng, &[1, 5, 30, 30, 30, 60])),
        interfaces: NAMES.map(name).into_iter().collect(),
        ignore_interfaces: ["lo", "veth*"].map(name).into_iter().collect(),
        bind_to_uplink: !chance(rng, 10),
        probe_addresses: if chance(rng, 10) { heapless::Vec::new() } else { probe_addresses() },
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(pick(rng, &[3, 10, 10])),
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: services(rng),
    }
}

/// The world of a seed, before anything has gone wrong.
pub(crate) fn world(seed: u64) -> (World, Weather) {
    let mut rng = Rng::new(seed);
    let kernel = Kernel::new(chance(&mut rng, 30));
    let keep_alive = [None, Some(Duration::from_secs(5)), Some(Duration::from_secs(75))];
    let outside = Outside {
        addresses: at(SERVER.iter().step_by(pick(&mut rng, &[1, 2, 4])).copied()),
        plain: chance(&mut rng, 20),
        keep_alive: pick(&mut rng, &keep_alive),
        ..fine()
    };
    let settings = settings(&mut rng);
    let mut resolver = resolver();
    if chance(&mut rng, 20) {
        // A forwarder on the device, and a router that is known by its link only.
        let scope = Some(name("eth0"));
        let others = [("127.0.0.53", None), ("fe80::1", scope)];
        resolver.nameservers = others.map(nameserver).into_iter().collect();
    }
    let net = Net::new(kernel, outside, rng.next_u64());
    let weather = Weather::new(Rng::new(rng.next_u64()));
    (World::new(seed, net, settings, resolver), weather)
}

/// A world as it should be, and stays: every interface up, a server with a name and four addresses.
pub(crate) fn fair(seed: u64, vary: impl FnOnce(&mut Settings)) -> World {
    let mut kernel = Kernel::new(false);
    for at in 0..NAMES.len() {
        drop(kernel.give_v6(at, 10, true));
    }
    let mut settings = settings(&mut Rng::new(0));
    settings.enabled = true;
    settings.auto_connect = true;
    settings.interval = Duration::from_secs(30);
    settings.bind_to_uplink = true;
    settings.probe_addresses = probe_addresses();
    settings.request_timeout = Duration::from_secs(10);
    settings.services.clear();
    let host = Host::Name(HostName::try_from("api.example.org").unwrap());
    settings.server = Some(Server { host, port: 443 });
    vary(&mut settings);
    let net = Net::new(kernel, fine(), seed);
    World::new(seed, net, settings, resolver())
}

/// A server that listens at these addresses, and for whoever is on the device itself.
fn at(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    addresses.into_iter().chain([LOOPBACK]).collect()
}

fn fine() -> Outside {
    Outside {
        flows: [Flow::Open; 3],
        round_trips: [1, 15, 40].map(Duration::from_millis),
        mood: Mood::Well,
        names: NameMood::Right,
        probes: ProbeMood::Answering,
        addresses: at(SERVER),
        plain: false,
        keep_alive: Some(Duration::from_secs(75)),
        service: Some(Ok(())),
        exhausted: false,
    }
}

fn nameserver((address, scope): (&str, Option<Name>)) -> Nameserver {
    Nameserver { address: address.parse().unwrap(), scope }
}

fn resolver() -> ResolverSettings {
    let nameservers = [("192.168.0.1", None), ("9.9.9.9", None)].map(nameserver);
    ResolverSettings {
        nameservers: nameservers.into_iter().collect(),
        ..ResolverSettings::default()
    }
}

/// Everything works again, and is configured to send.
pub(crate) fn calm(world: &mut World) {
    world.stopped_until = None;
    let former = world.net.outside.clone();
    world.net.outside = Outside {
        addresses: at([SERVER[0]]),
        plain: former.plain,
        keep_alive: former.keep_alive,
        ..fine()
    };
    world.net.deaf_until = None;
    for at in 0..NAMES.len() {
        let told = world.net.kernel.restore(at);
        world.net.notify(told, world.now);
    }
    for news in world.net.overheard() {
        world.hear(news);
    }
    // Set right only where it has to be: a camera without a clock beats as well.
    if world.net.wall.verdict(world.now).is_some() {
        world.net.wall.set(0);
        world.hear(News::ClockSet);
    }
    let mut settings = world.settings.clone();
    settings.enabled = true;
    settings.server = Some(Server { host: Host::Address(SERVER[0]), port: 443 });
    if settings != world.settings {
        world.configure(settings);
    }
}
