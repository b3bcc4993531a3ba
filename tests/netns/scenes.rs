//! Variants of the usual world: networks behind other interfaces, other interface names, other
//! routes.

use std::net::{TcpListener, UdpSocket};

use linkbeat_support::agent::Setting;
use linkbeat_support::nameserver::{Nameserver, Record};
use linkbeat_support::receiver::{Receiver, Scheme};
use linkbeat_support::space::Space;
use linkbeat_support::world::{INTERFACES, SERVER, SERVER_NAME, World};

use crate::camera::RARELY;

/// The URL of the server without TLS.
pub(crate) const PLAIN: &str = "http://meeting.test/api";
/// The URL of the server with TLS.
pub(crate) const SECURE: &str = "https://meeting.test/api";

/// The configuration of a camera that uses this URL and beats only on events.
pub(crate) fn setting(world: &World, api_url: &str) -> Setting {
    Setting::new(world).every(RARELY).meeting("api_url", api_url)
}

/// Deletes the usual interfaces except these.
pub(crate) fn only(world: &World, kept: &[&str]) {
    for interface in INTERFACES.iter().filter(|it| !kept.contains(it)) {
        world.delete(interface);
    }
}

/// The metric and the gateway of an interface's default route in the usual world.
pub(crate) fn lease_of(interface: &str) -> (u32, String) {
    let place = INTERFACES.iter().position(|it| *it == interface).unwrap() + 1;
    (u32::try_from(place).unwrap() * 100, format!("10.11.{place}.1"))
}

/// Replaces the default route of `interface` by routes to these networks, with `words` appended to
/// each.
pub(crate) fn reroute(world: &World, interface: &str, networks: &[&str], words: &str) {
    let (metric, gateway) = lease_of(interface);
    let end = format!("via {gateway} dev {interface} metric {metric}");
    let mut lines = format!("route delete default {end}\n");
    for network in networks {
        lines += &format!("route add {network} {end} {words}\n");
    }
    world.device.ip(&lines);
}

/// Renames `interface` and gives it its usual lease with this metric.
pub(crate) fn rename(world: &World, interface: &str, name: &str, metric: u32) {
    let (_, gateway) = lease_of(interface);
    world.device.ip(&format!(
        "link set {interface} down\nlink set {interface} name {name}\nlink set {name} up\n\
         route add default via {gateway} dev {name} metric {metric}"
    ));
}

/// Makes the router drop packets that match this nft expression, until [`mend`].
pub(crate) fn hole(world: &World, matching: &str) {
    world.router.nft(&format!(
        "table inet hole {{
            chain eat {{
                type filter hook forward priority 0
                {matching} drop
            }}
        }}"
    ));
}

/// Removes the [`hole`].
pub(crate) fn mend(world: &World) {
    world.router.nft("delete table inet hole");
}

/// A separate network with one host.
pub(crate) struct Annex {
    pub(crate) space: Space,
}

impl Annex {
    /// The address of the host; the device has `10.77.0.1`.
    pub(crate) const HOST: &str = "10.77.0.2";

    /// Creates the network behind a new interface of the device.
    pub(crate) fn behind(world: &World, interface: &str) -> Self {
        let space = Space::new(&world.device.name().replace("device", "annex"));
        world.device.ip(&format!(
            "link add name {interface} index 61 type veth peer name cable index 71 netns {}\n\
             address add 10.77.0.1/24 dev {interface}\nlink set {interface} up",
            space.name()
        ));
        space.ip(&format!("address add {}/24 dev cable\nlink set cable up", Self::HOST));
        Self { space }
    }

    /// Starts a nameserver on the host that knows the server.
    pub(crate) fn nameserver(&self, world: &World) -> Nameserver {
        nameserver_in(&self.space, Self::HOST, &world.server_records())
    }

    /// Starts a server on the host.
    pub(crate) fn server(&self, world: &World) -> Receiver {
        server_in(world, &self.space, Self::HOST)
    }
}

/// Starts a nameserver that has these records for the server's name.
pub(crate) fn nameserver_in(space: &Space, address: &str, records: &[Record]) -> Nameserver {
    let socket = space.within(|| UdpSocket::bind((address, 53)).unwrap());
    let nameserver = Nameserver::start(vec![socket]);
    nameserver.set(SERVER_NAME, records);
    nameserver
}

/// Starts a server with the certificates of the world.
pub(crate) fn server_in(world: &World, space: &Space, address: &str) -> Receiver {
    let listen = |port| TcpListener::bind((address, port)).unwrap();
    let listeners = space.within(|| vec![(listen(443), Scheme::Https), (listen(80), Scheme::Http)]);
    Receiver::start(listeners, world.certificates())
}

/// An address record.
pub(crate) fn record(address: &str) -> Record {
    Record::Address(address.parse().unwrap())
}

/// Leaves the server's name its IPv4 address only.
pub(crate) fn v4_only(world: &World) {
    world.nameserver.set(SERVER_NAME, &[record(SERVER[0])]);
}
