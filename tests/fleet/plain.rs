//! A device in the plainest network there is: one card, one route, a server with one address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use linkbeat_core::proto::link::{InterfaceName, LinkIndex};
use linkbeat_core::proto::route::{Route, RouteQuestion};
use linkbeat_core::proto::settings::{BucketSettings, Host, MeteredSettings, Server, Settings};

/// The interval between two beats.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);
/// The address of the server.
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
/// The address of the device.
pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// The defaults, with this server.
pub(crate) fn settings() -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: true,
        auto_connect: true,
        server: Some(Server { host: Host::Address(SERVER), port: 443 }),
        interval: INTERVAL,
        interfaces: InterfaceName::new("eth0").into_iter().collect(),
        ignore_interfaces: InterfaceName::new("lo").into_iter().collect(),
        bind_to_uplink: true,
        probe_addresses: [SocketAddr::from(([8, 8, 8, 8], 53))].into_iter().collect(),
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        recovery_spread: Duration::ZERO,
        metered: MeteredSettings {
            interfaces: heapless::Vec::new(),
            interval: Duration::from_secs(300),
        },
        standby_check: Duration::ZERO,
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: heapless::Vec::new(),
    }
}

/// The kernel's default route, for IPv4 only.
pub(crate) fn default_route(question: RouteQuestion) -> Option<Route> {
    question.to.is_ipv4().then_some(Route {
        question,
        index: LinkIndex(2),
        local: false,
        table: 254,
        prefix: 0,
        metric: 100,
        gateway: Some([192, 0, 2, 1].into()),
        source: Some(LOCAL),
    })
}
