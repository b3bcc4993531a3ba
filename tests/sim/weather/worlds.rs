//! Initial devices and networks, and the state without faults.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use linkbeat_core::proto::label::ServiceName;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::rng::Rng;
use linkbeat_core::proto::settings::{
    BucketSettings, Host, HostName, MeteredSettings, Nameserver, PATTERNS_MAX, ResolverSettings,
    SERVICES_MAX, Server, ServiceSettings, Settings,
};

use super::super::kernel::{Kernel, NAMES, PLACES, Stage};
use super::super::net::{Flow, Mood, NameMood, Net, News, Outside, ProbeMood};
use super::super::world::World;
use super::{Weather, chance, flow, pick, ways};

pub(crate) const SERVER: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 11)),
];

/// A server on the device itself.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A server in the LAN of a card that is not an uplink.
pub(crate) const LAN_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 80));

/// Nameservers on eth0's router, on the internet, in a container, in that LAN, and with an IPv6
/// address.
pub(crate) const NAMESERVERS: [&str; 5] =
    ["192.168.0.1", "9.9.9.9", "172.17.0.2", "10.9.0.53", "2620:fe::fe"];

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).unwrap()
}

pub(super) fn server(rng: &mut Rng) -> Server {
    let api = HostName::try_from("api.example.org").unwrap();
    let api = Host::Name(api);
    let addresses = [SERVER[0], SERVER[2], LAN_SERVER, LOOPBACK].map(Host::Address);
    let host = if chance(rng, 60) { api } else { pick(rng, &addresses) };
    Server { host, port: 443 }
}

fn services(rng: &mut Rng) -> heapless::Vec<ServiceSettings, SERVICES_MAX> {
    let name = ServiceName::new("rtsp").unwrap();
    let interval = Duration::from_secs(pick(rng, &[1, 10, 60]));
    let rtsp = ServiceSettings { name, address: SocketAddr::new(LOOPBACK, 8554), interval };
    chance(rng, 40).then_some(rtsp).into_iter().collect()
}

pub(super) fn probe_addresses() -> heapless::Vec<SocketAddr, 8> {
    ["8.8.8.8:53", "[2001:4860:4860::8888]:53"].into_iter().map(|it| it.parse().unwrap()).collect()
}

fn ignored() -> heapless::Vec<InterfaceName, PATTERNS_MAX> {
    ["lo", "docker*"].map(name).into_iter().collect()
}

/// The documented default configuration with some variation.
fn settings(rng: &mut Rng) -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: !chance(rng, 5),
        auto_connect: !chance(rng, 10),
        server: Some(server(rng)),
        interval: Duration::from_secs(pick(rng, &[1, 5, 30, 30, 30, 60])),
        interfaces: NAMES.map(name).into_iter().collect(),
        ignore_interfaces: ignored(),
        bind_to_uplink: !chance(rng, 10),
        probe_addresses: if chance(rng, 10) { heapless::Vec::new() } else { probe_addresses() },
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(pick(rng, &[3, 10, 10])),
        recovery_spread: Duration::ZERO,
        metered: MeteredSettings {
            interfaces: heapless::Vec::new(),
            interval: Duration::from_secs(300),
        },
        standby_check: Duration::ZERO,
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: services(rng),
    }
}

/// The world of a seed before the first fault.
pub(crate) fn world(seed: u64) -> (World, Weather) {
    let mut rng = Rng::new(seed);
    let mut kernel = Kernel::new(chance(&mut rng, 30));
    let mut flows = [Flow::Open; PLACES];
    // Half of the devices start in a network of another kind.
    if chance(&mut rng, 50) {
        for (at, flow_of) in flows.iter_mut().enumerate().take(NAMES.len()) {
            if chance(&mut rng, 60) {
                drop(kernel.give_v6(at, 10, Stage::Preferred));
            }
            if chance(&mut rng, 30) {
                *flow_of = flow(&mut rng);
            }
        }
        for _ in 0..pick(&mut rng, &[0, 1, 3]) {
            let (kind, at) = (rng.below(5), pick(&mut rng, &[0, 1, 2]));
            drop(ways::change(&mut kernel, kind, at, &mut rng));
        }
    }
    let keep_alive = [None, Some(Duration::from_secs(5)), Some(Duration::from_secs(75))];
    let outside = Outside {
        flows,
        addresses: at(SERVER.iter().step_by(pick(&mut rng, &[1, 2, 4])).copied()),
        plain: chance(&mut rng, 20),
        keep_alive: pick(&mut rng, &keep_alive),
        ..fine()
    };
    let settings = settings(&mut rng);
    let resolver = if chance(&mut rng, 40) { some_resolver(&mut rng) } else { resolver() };
    let net = Net::new(kernel, outside, rng.next_u64());
    let weather = Weather::new(Rng::new(rng.next_u64()));
    let mut world = World::new(seed, net, settings, resolver);
    world.survey();
    (world, weather)
}

/// A world without faults: every interface is up, the server has a name and four addresses.
pub(crate) fn fair(seed: u64, vary: impl FnOnce(&mut Settings)) -> World {
    let mut kernel = Kernel::new(false);
    for at in 0..NAMES.len() {
        drop(kernel.give_v6(at, 10, Stage::Preferred));
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

/// A server that listens at these addresses and on the loopback.
pub(crate) fn at(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    addresses.into_iter().chain([LOOPBACK]).collect()
}

fn fine() -> Outside {
    Outside {
        flows: [Flow::Open; PLACES],
        round_trips: [1, 15, 40, 0, 20, 2, 0].map(Duration::from_millis),
        mood: Mood::Well,
        names: NameMood::Right,
        probes: ProbeMood::Answering,
        addresses: at(SERVER),
        plain: false,
        keep_alive: Some(Duration::from_secs(75)),
        service: Some(Ok(())),
        interval: None,
        exhausted: false,
    }
}

pub(crate) fn nameserver((address, scope): (&str, Option<InterfaceName>)) -> Nameserver {
    Nameserver { address: address.parse().unwrap(), scope }
}

pub(crate) fn asking(
    nameservers: impl IntoIterator<Item = (&'static str, Option<InterfaceName>)>,
) -> ResolverSettings {
    ResolverSettings {
        nameservers: nameservers.into_iter().map(nameserver).collect(),
        ..ResolverSettings::default()
    }
}

fn resolver() -> ResolverSettings {
    asking([("192.168.0.1", None), ("9.9.9.9", None)])
}

/// Nameservers that are not reachable over every path.
pub(super) fn some_resolver(rng: &mut Rng) -> ResolverSettings {
    if chance(rng, 30) {
        // A forwarder on the device, and a router with a link-local address.
        return asking([("127.0.0.53", None), ("fe80::1", Some(name("eth0")))]);
    }
    let (first, count) = (pick(rng, &[0, 1, 2, 3, 4]), pick(rng, &[1, 1, 2]));
    asking(NAMESERVERS.iter().cycle().skip(first).take(count).map(|it| (*it, None)))
}

/// Removes all faults and enables beats.
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
    let events = world.net.kernel.tidy();
    world.net.notify(events, world.now);
    let overheard = world.net.overheard();
    world.hear_all(overheard);
    world.net.wall.set_server(0);
    // The clock is corrected only if it must be: a camera without a set clock sends beats as well.
    if world.net.wall.verdict(world.now).is_some() {
        world.net.wall.set(0, false);
        world.hear(News::ClockSet);
    }
    let mut settings = world.settings.clone();
    settings.enabled = true;
    settings.server = Some(Server { host: Host::Address(SERVER[0]), port: 443 });
    settings.ignore_interfaces = ignored();
    if settings != world.settings {
        world.configure(settings);
    }
    world.survey();
}
