//! Routes as the kernel reports them: plain types.

use core::net::IpAddr;

use super::link::LinkIndex;

/// Table `default` (RT_TABLE_DEFAULT): looked at after `main`.
const TABLE_DEFAULT: u32 = 253;
/// Table `main` (RT_TABLE_MAIN).
const TABLE_MAIN: u32 = 254;

/// How would packets to a destination leave?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteQuestion {
    /// The destination.
    pub to: IpAddr,
    /// Asked for a socket that is bound to this interface; `None`: for one that is not bound.
    pub bound: Option<LinkIndex>,
}

/// The kernel's answer to a [`RouteQuestion`] that has one. No answer: no route, or one that
/// rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The question that it answers.
    pub question: RouteQuestion,
    /// The interface that packets leave by.
    pub index: LinkIndex,
    /// Whether they stay on the device: the destination is an address of its own.
    pub local: bool,
    /// The table in which the route was found (`RTA_TABLE`).
    pub table: u32,
    /// The length in bits of the route's prefix; 0 for a default route.
    pub prefix: u8,
    /// The kernel's metric: lower is preferred.
    pub metric: u32,
    /// Next hop, `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The address to send from; `None`: the kernel has none that is fit.
    pub source: Option<IpAddr>,
}

impl Route {
    /// Whether an administrator has routed this very destination: by a route longer than a default,
    /// or by a rule that leads to a table of its own.
    pub const fn is_on_purpose(&self) -> bool {
        self.prefix > 0 || !matches!(self.table, TABLE_DEFAULT | TABLE_MAIN)
    }
}

words! {
    /// An address family.
    pub enum Family {
        /// IPv4.
        V4 = "IPv4",
        /// IPv6.
        V6 = "IPv6",
    }
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}
