//! The part of the configuration that the core needs: parsed, bounded, never half-valid.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use heapless::{String, Vec};

use super::label::ServiceName;
use super::link::InterfaceName;

/// Most patterns in `interfaces` and in `ignore_interfaces`, each.
pub const PATTERNS_MAX: usize = 16;
/// Most entries of `probe.address`.
pub const PROBE_ADDRESSES_MAX: usize = 8;
/// Longest host name, in bytes without the final dot (RFC 1035 §2.3.4).
pub const HOST_NAME_MAX: usize = 253;
/// Most nameservers used (resolv.conf(5) `MAXNS`).
pub const NAMESERVERS_MAX: usize = 3;
/// Most search domains used.
pub const SEARCH_MAX: usize = 32;
/// Most bytes of all search domains, a space between each two.
pub const SEARCH_BYTES_MAX: usize = 1024;
/// How long an answer is waited for where nothing else is written: resolv.conf(5), `timeout` times
/// `attempts`.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5 * 2);
/// Most services that are looked at.
pub const SERVICES_MAX: usize = 8;
/// Most addresses `/etc/hosts` may give for the server.
pub const HOSTS_MAX: usize = 8;

/// A host name, lower case, without the final dot.
pub type HostName = String<HOST_NAME_MAX>;

/// An interface name pattern: `*` stands for any run of characters, `?` for any one.
pub type Pattern = InterfaceName;

/// The part of the configuration that decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// False: no beat is sent, whatever asks for one.
    pub enabled: bool,
    /// False: no beat by itself after start until the first trigger or reload asks.
    pub auto_connect: bool,
    /// The server; `None` while `api_url` or the device key is missing ("unconfigured").
    pub server: Option<Server>,
    /// Time between two beats, 1 s to 86,400 s.
    pub interval: Duration,
    /// Preferred interfaces, best first.
    pub interfaces: Vec<Pattern, PATTERNS_MAX>,
    /// Interfaces that are never an uplink.
    pub ignore_interfaces: Vec<Pattern, PATTERNS_MAX>,
    /// Whether sockets are bound to the chosen uplink.
    pub bind_to_uplink: bool,
    /// Targets of the reachability probe; empty switches it off.
    pub probe_addresses: Vec<SocketAddr, PROBE_ADDRESSES_MAX>,
    /// Life of one probe socket.
    pub probe_timeout: Duration,
    /// Longest exchange: connect, TLS, request and answer.
    pub request_timeout: Duration,
    /// Longest wait of a beat that is due to a healed outage or to the start, at most 30 s;
    /// zero sends it at once.
    pub recovery_spread: Duration,
    /// Uplinks that cost by the byte.
    pub metered: MeteredSettings,
    /// Moderation of triggers.
    pub trigger_bucket: BucketSettings,
    /// Moderation of network changes.
    pub network_bucket: BucketSettings,
    /// Time between two tests of an uplink in reserve, 10 s to 86,400 s; zero switches them off.
    pub standby_check: Duration,
    /// Services on the device whose recovery is worth a beat.
    pub services: Vec<ServiceSettings, SERVICES_MAX>,
}

/// Uplinks that cost by the byte, and how often beats go over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredSettings {
    /// Their interfaces; none by default.
    pub interfaces: Vec<Pattern, PATTERNS_MAX>,
    /// Least time between two beats of the cycle while one of them is in use, 1 s to 86,400 s.
    pub interval: Duration,
}

/// A token bucket: `burst` at once, then one every `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketSettings {
    /// Tokens in a full bucket, 1 to 1,000.
    pub burst: u32,
    /// Time to earn one token; zero switches moderation off.
    pub every: Duration,
}

/// A service to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Unlike every other's.
    pub name: ServiceName,
    /// The address on which the service listens.
    pub address: SocketAddr,
    /// Time between two looks, 1 s to 3,600 s.
    pub interval: Duration,
}

/// The host and port that beats go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address literal or name.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

/// A host as the URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per configuration, and the core does not allocate"
)]
pub enum Host {
    /// An address literal: nothing to resolve.
    Address(IpAddr),
    /// A name to look up.
    Name(HostName),
}

/// The system's settings of name resolution, parsed from resolv.conf(5) and hosts(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Nameservers in the order of the file; a scoped one (`fe80::1%eth0`) names its interface.
    pub nameservers: Vec<Nameserver, NAMESERVERS_MAX>,
    /// Domains to complete the name with, separated by spaces; see [`domains`](Self::domains).
    pub search: String<SEARCH_BYTES_MAX>,
    /// Names with as many dots or more are asked as they are first, others last.
    pub ndots: u8,
    /// Whether the nameservers take turns at being the first.
    pub rotate: bool,
    /// Whether every question goes over TCP.
    pub tcp: bool,
    /// How long an answer is waited for.
    pub answer_wait: Duration,
    /// Addresses that `/etc/hosts` gives for the server's name; they win over DNS.
    pub hosts: Vec<IpAddr, HOSTS_MAX>,
}

impl ResolverSettings {
    /// The search domains, in the order to try them: at most [`SEARCH_MAX`].
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.search.split_ascii_whitespace()
    }
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            search: String::new(),
            ndots: 1,
            rotate: false,
            tcp: false,
            answer_wait: ANSWER_WAIT,
            hosts: Vec::new(),
        }
    }
}

/// The nameserver of names that end in `.local`: whoever on the link has the name (RFC 6762 §5.1).
pub const MULTICAST: Nameserver =
    Nameserver { address: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), scope: None };

/// One nameserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nameserver {
    /// The address; port 53, or 5353 of [`MULTICAST`].
    pub address: IpAddr,
    /// The interface a link-local address belongs to.
    pub scope: Option<InterfaceName>,
}
