//! The network of a camera in three namespaces, with all the parts that can fail.
//!
//! ```text
//! device            router               internet
//! eth0  10.11.1.2 - r-eth0 10.11.1.1
//! wlan1 10.11.2.2 - r-wlan1  .2.1 - isp - wan - 203.0.113.10   the server, :443 and :80
//! wlan0 10.11.3.2 - r-wlan0  .3.1              203.0.113.53   the nameserver
//!                                              8.8.8.8:53     the probe's target
//! ```
//!
//! IPv6 likewise: the device has `2001:db8:1::2` on eth0, the server is `2001:db8:ff::10`, the
//! nameserver `2001:db8:ff::53`, the probe's target `2001:4860:4860::8888`. The two ends of a veth
//! pair have different interface numbers, because the kernel would otherwise limit carrier events
//! to one per second. On request, there is a switch between eth0 and the router.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::acceptor::Acceptor;
use crate::certificates::Certificates;
use crate::nameserver::{Nameserver, Record};
use crate::observer::Observer;
use crate::receiver::{Receiver, Scheme};
use crate::space::{Space, unique};

mod faults;
mod slow;
mod switch;

pub use faults::{Block, Packets, Prepared, Verdict};
pub use slow::SlowPath;
use switch::{SWITCHED, Switch};

/// The server's name in the nameserver's table.
pub const SERVER_NAME: &str = "meeting.test";
/// The server's addresses.
pub const SERVER: [&str; 2] = ["203.0.113.10", "2001:db8:ff::10"];
/// The nameserver's addresses.
pub const NAMESERVER: [&str; 2] = ["203.0.113.53", "2001:db8:ff::53"];
/// The addresses of the probe's target.
pub const PROBED: [&str; 2] = ["8.8.8.8", "2001:4860:4860::8888"];
/// The interfaces of the device, best first; the first also has the lowest metric.
pub const INTERFACES: [&str; 3] = ["eth0", "wlan1", "wlan0"];

/// The address families of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Families {
    /// IPv4 only.
    #[default]
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Both,
}

/// The whole network. Dropping it removes it, also after a panic.
pub struct World {
    // In the order of their removal: listeners before their namespaces.
    /// The server.
    pub receiver: Receiver,
    /// The nameserver.
    pub nameserver: Nameserver,
    /// The probe's target.
    pub probed: Acceptor,
    /// The kernel's announcements in the device.
    pub kernel: Observer,
    /// The namespace of the agent.
    pub device: Space,
    switch: Option<Switch>,
    /// The namespace in which faults are made.
    pub router: Space,
    /// The namespace of the servers.
    pub internet: Space,
    directory: PathBuf,
    certificates: Arc<Certificates>,
    families: Families,
}

impl World {
    /// Makes the network with IPv4 and every interface up, addressed and routed.
    ///
    /// # Panics
    ///
    /// Without the permission to make network namespaces, or without `ip` and `nft`.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Families::V4)
    }

    /// Makes the network with these families.
    ///
    /// # Panics
    ///
    /// As [`World::new`].
    #[must_use]
    pub fn with(families: Families) -> Self {
        Self::build(families, false)
    }

    fn build(families: Families, switched: bool) -> Self {
        let name = unique();
        let device = Space::new(&format!("{name}-device"));
        let router = Space::new(&format!("{name}-router"));
        let internet = Space::new(&format!("{name}-internet"));
        settle(&device, &router, &internet);
        connect_internet(&router, &internet);
        let switch = switched.then(|| Switch::new(&format!("{name}-switch"), &router));
        faults::prepare(&router);
        let kernel = device.within(|| Observer::start(HashMap::new()));
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir(&directory).expect("create a directory of our own");
        let certificates = Arc::new(Certificates::new(&[SERVER_NAME, SERVER[0], SERVER[1]]));
        fs::write(directory.join("ca.pem"), certificates.authority_pem()).expect("write ca.pem");
        let receiver = internet.within(|| {
            // One listener for both families: bindv6only is off.
            let listen = |port| TcpListener::bind(("::", port)).expect("bind the server");
            let listeners = vec![(listen(443), Scheme::Https), (listen(80), Scheme::Http)];
            Receiver::start(listeners, &certificates)
        });
        let nameserver = internet.within(|| {
            let sockets = NAMESERVER.map(|it| UdpSocket::bind((it, 53)).expect("bind port 53"));
            Nameserver::start(sockets.into())
        });
        let probed = internet.within(|| {
            let listeners = PROBED.map(|it| TcpListener::bind((it, 53)).expect("bind port 53"));
            Acceptor::start(listeners.into())
        });
        let world = Self {
            receiver,
            nameserver,
            probed,
            kernel,
            device,
            switch,
            router,
            internet,
            directory,
            certificates,
            families,
        };
        world.nameserver.set(SERVER_NAME, &world.server_records());
        for interface in INTERFACES {
            world.create(interface);
        }
        world
    }

    /// The directory of this world; `ca.pem` in it is the server's authority.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The certificates of the server, for another receiver that the agent is to trust.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// The content of resolv.conf with the nameserver of this world.
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        let address = if self.has_v4() { NAMESERVER[0] } else { NAMESERVER[1] };
        format!("nameserver {address}\n")
    }

    /// The correct records of [`SERVER_NAME`].
    #[must_use]
    pub fn server_records(&self) -> Vec<Record> {
        let address = |text: &str| Record::Address(text.parse().expect("an address"));
        let mut records = Vec::new();
        records.extend(self.has_v4().then(|| address(SERVER[0])));
        records.extend(self.has_v6().then(|| address(SERVER[1])));
        records
    }

    /// Pulls the cable of `interface`: it loses its carrier and keeps its addresses and routes.
    pub fn pull(&self, interface: &str) {
        self.cable(interface, "down");
    }

    /// Plugs the cable of `interface` back.
    pub fn plug(&self, interface: &str) {
        self.cable(interface, "up");
    }

    fn cable(&self, interface: &str, state: &str) {
        match self.switch_of(interface) {
            Some(switch) => switch.set(state),
            None => self.router.ip(&format!("link set r-{interface} {state}")),
        }
    }

    fn switch_of(&self, interface: &str) -> Option<&Switch> {
        self.switch.as_ref().filter(|_| interface == SWITCHED)
    }

    /// Gives `interface` its addresses and then its default routes, like a DHCP lease.
    pub fn lease(&self, interface: &str) {
        let mut lines = String::new();
        for line in self.addresses(interface).iter().chain(&self.routes(interface)) {
            lines += &format!("{line}\n");
        }
        self.device.ip(&lines);
    }

    /// Removes the addresses of `interface` and with them its routes, like the end of a lease.
    pub fn unlease(&self, interface: &str) {
        self.device.ip(&format!("address flush dev {interface} scope global"));
        // The IPv6 default route is not removed with the address.
        self.device.ip6(&format!("route flush ::/0 dev {interface}"));
    }

    /// Makes `interface` again, plugged in and with a lease.
    ///
    /// # Panics
    ///
    /// If it exists.
    pub fn create(&self, interface: &str) {
        let n = number(interface);
        let ours = 10 + n;
        let switch = self.switch_of(interface);
        let (space, name, theirs) = switch
            .map_or_else(|| (self.router.name(), format!("r-{interface}"), 20 + n), Switch::port);
        self.device.ip(&format!(
            "link add name {interface} index {ours} address 00:16:3e:00:00:0{n} type veth \
             peer name {name} index {theirs} netns {space}\n\
             link set {interface} up"
        ));
        match switch {
            Some(switch) => switch.attach(),
            None => self.router.ip(&addressed(interface)),
        }
        self.lease(interface);
    }

    /// Deletes `interface`, like pulling a USB adapter.
    pub fn delete(&self, interface: &str) {
        self.device.ip(&format!("link delete {interface}"));
    }

    /// The address of the device on `interface`: IPv4 if the world has it.
    ///
    /// # Panics
    ///
    /// If the world has no such interface.
    #[must_use]
    pub fn address(&self, interface: &str) -> IpAddr {
        let n = number(interface);
        let text = if self.has_v4() { format!("10.11.{n}.2") } else { format!("2001:db8:{n}::2") };
        text.parse().expect("an address")
    }

    fn addresses(&self, interface: &str) -> Vec<String> {
        let n = number(interface);
        let mut lines = Vec::new();
        if self.has_v4() {
            lines.push(format!("address add 10.11.{n}.2/24 dev {interface}"));
        }
        if self.has_v6() {
            lines.push(format!("address add 2001:db8:{n}::2/64 dev {interface} nodad"));
        }
        lines
    }

    fn routes(&self, interface: &str) -> Vec<String> {
        let n = number(interface);
        let mut lines = Vec::new();
        let metric = n * 100;
        if self.has_v4() {
            let gateway = format!("10.11.{n}.1");
            lines.push(format!("route add default via {gateway} dev {interface} metric {metric}"));
        }
        if self.has_v6() {
            let gateway = format!("2001:db8:{n}::1");
            lines.push(format!("route add ::/0 via {gateway} dev {interface} metric {metric}"));
        }
        lines
    }

    fn has_v4(&self) -> bool {
        self.families != Families::V6
    }

    fn has_v6(&self) -> bool {
        self.families != Families::V4
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A panic here would hide the panic that led to this drop.
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// The number of an interface in [`INTERFACES`], from 1, which is its subnet.
fn number(interface: &str) -> usize {
    let place = INTERFACES.iter().position(|it| *it == interface);
    place.unwrap_or_else(|| panic!("no interface {interface} in this world")) + 1
}

/// The lines that give the router its addresses on the way to `interface`.
fn addressed(interface: &str) -> String {
    let n = number(interface);
    format!(
        "address add 10.11.{n}.1/24 dev r-{interface}\n\
         address add 2001:db8:{n}::1/64 dev r-{interface} nodad\n\
         link set r-{interface} up"
    )
}

/// The kernel settings of the three namespaces.
fn settle(device: &Space, router: &Space, internet: &Space) {
    for space in [device, router, internet] {
        // Addresses are usable at once, and survive when a link goes down and up.
        for which in ["all", "default"] {
            space.sysctl(&format!("ipv6/conf/{which}/accept_dad"), "0");
            space.sysctl(&format!("ipv6/conf/{which}/accept_ra"), "0");
            space.sysctl(&format!("ipv6/conf/{which}/keep_addr_on_down"), "1");
            space.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "0");
        }
    }
    for which in ["all", "default"] {
        // Loose filtering: strict filtering would drop the packets of the second-best uplink.
        device.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "2");
        // Like systemd: a second address survives the removal of the first.
        device.sysctl(&format!("ipv4/conf/{which}/promote_secondaries"), "1");
        router.sysctl(&format!("ipv6/conf/{which}/forwarding"), "1");
    }
    router.sysctl("ipv4/ip_forward", "1");
    // No rate limit on rejections, so that every packet of a test gets its answer.
    router.sysctl("ipv4/icmp_ratelimit", "0");
    router.sysctl("ipv6/icmp/ratelimit", "0");
}

fn connect_internet(router: &Space, internet: &Space) {
    router.ip(&format!(
        "link add name isp index 31 type veth peer name wan index 41 netns {}\n\
         address add 198.51.100.1/24 dev isp\n\
         address add 2001:db8:f::1/64 dev isp nodad\n\
         link set isp up",
        internet.name()
    ));
    let mut lines = String::from(
        "address add 198.51.100.2/24 dev wan\n\
         address add 2001:db8:f::2/64 dev wan nodad\n\
         link set wan up\n\
         route add default via 198.51.100.1\n\
         route add ::/0 via 2001:db8:f::1\n",
    );
    for [v4, v6] in [SERVER, NAMESERVER, PROBED] {
        lines += &format!("address add {v4} dev lo\naddress add {v6} dev lo nodad\n");
    }
    internet.ip(&lines);
    router.ip("route add default via 198.51.100.2\n\
         route add ::/0 via 2001:db8:f::2");
}

/// Checks whether network namespaces can be made here.
///
/// # Errors
///
/// The missing permission or program, as text.
pub fn possible() -> Result<(), String> {
    let name = unique();
    let output = Command::new("ip").args(["netns", "add", &name]).output();
    let output = output.map_err(|error| format!("ip (package iproute2): {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Command::new("ip").args(["netns", "delete", &name]).output().map_err(|it| it.to_string())?;
    let version = Command::new("nft").arg("--version").output();
    version.map(drop).map_err(|error| format!("nft (package nftables): {error}"))
}
