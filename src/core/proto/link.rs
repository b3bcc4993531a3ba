//! Network interfaces as the kernel reports them: plain types.

use core::fmt;
use core::net::IpAddr;

use super::label::Label;

/// Longest interface name, in bytes (`IFNAMSIZ` less the final zero, netdevice(7)).
pub const NAME_MAX: usize = 15;

/// An interface name, `Copy` because it travels in actions.
pub type InterfaceName = Label<NAME_MAX>;

impl InterfaceName {
    /// The name, or `None` if it is empty, longer than [`NAME_MAX`] bytes, or has white space, `/`
    /// or a control character.
    pub fn new(name: &str) -> Option<Self> {
        Self::of(name, |byte| byte.is_ascii_graphic() && byte != b'/')
    }
}

/// The kernel's number of an interface (`ifindex`); never reused while the interface lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkIndex(pub u32);

/// A 48-bit hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether the address was given by a manufacturer (IEEE 802: the U/L bit is clear) and is not
    /// a group or zero address.
    pub const fn is_universal(self) -> bool {
        let [first, ..] = self.0;
        first & 0b11 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for Mac {
    /// `AA:BB:CC:DD:EE:FF`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

/// One rtnetlink(7) message, reduced to what decisions need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// RTM_NEWLINK: the interface exists, in this state.
    Link {
        /// Interface.
        index: LinkIndex,
        /// The present name; a rename shows as a new name for the same index.
        name: InterfaceName,
        /// Whether it can carry packets: `IFF_UP` and `IFF_RUNNING` (netdevice(7)), which the
        /// kernel sets for the operational states "up" and "unknown", and not for "dormant" (RFC
        /// 2863).
        running: bool,
        /// Hardware address in use.
        mac: Option<Mac>,
        /// Permanent hardware address (`IFLA_PERM_ADDRESS`).
        permanent_mac: Option<Mac>,
    },
    /// RTM_DELLINK: the interface is gone.
    LinkGone {
        /// Interface.
        index: LinkIndex,
    },
    /// Something about addresses, routes, rules or nexthop objects.
    Announced(Announcement),
}

/// A message of the kernel about an address, a route, a rule or a nexthop object.
///
/// What it says in detail does not matter, for the kernel is asked for the outcome; only whether it
/// was said before, so that a lease refreshed a thousand times costs no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Of a route, its network and prefix length: it matters to destinations in it only.
    pub network: Option<(IpAddr, u8)>,
    /// Digest of what makes the object this one and no other.
    pub object: u64,
    /// Digest of all that is said of it, without lifetimes and counters.
    pub state: u64,
    /// What has become of it.
    pub change: ObjectChange,
}

impl Announcement {
    /// Whether a route was removed: scripts that renew a lease set it again.
    pub fn removes_a_route(&self) -> bool {
        self.network.is_some() && self.change == ObjectChange::Removed
    }
}

/// What an announcement says of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChange {
    /// It is there, in this state.
    Set,
    /// It is there in place of another, which is not announced.
    Replaced,
    /// It was removed, and perhaps more with it than is announced.
    Removed,
}

/// A neighbour on a link, as the kernel sees it: RTM_NEWNEIGH, reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Interface.
    pub index: LinkIndex,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Whether its hardware address is known (`NUD_REACHABLE`, `NUD_STALE`), or it did not answer
    /// when it was asked for (`NUD_FAILED`).
    pub answers: bool,
}
