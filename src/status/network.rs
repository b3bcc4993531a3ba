//! Problems of the network in words, for the log and for the status.

use std::fmt::{self, Display};

use linkbeat_core::proto::agent::Obstacle;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::links::LINKS_MAX;
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::routing::ROUTES_MAX;

/// A path that is tried last: connections over it fail while others deliver.
#[derive(Debug, Clone, Copy)]
pub struct FailedPath {
    /// The interface; `None` for the route that the kernel chooses.
    pub via: Option<InterfaceName>,
    /// The family of the server's address.
    pub family: Family,
    /// The interface that delivers instead, if it is known.
    pub instead: Option<InterfaceName>,
}

impl Display for FailedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Some(via) => write!(f, "{via}: the server does not answer over {}", self.family)?,
            None => write!(f, "unbound: the server does not answer over {}", self.family)?,
        }
        match self.instead {
            Some(instead) => write!(f, ", beats go over {instead} until it is tried again"),
            None => f.write_str(", it is tried last"),
        }
    }
}

/// The warning that no socket can be bound to an uplink. Then no bound path says anything about the
/// server.
pub const BINDING_FORBIDDEN: &str = "the kernel forbids to bind sockets to an uplink, and chooses the way of each \
    beat: before Linux 5.7, give linkbeat CAP_NET_RAW, or set \"bind_to_uplink\" to false";

/// The warning that there are more interfaces or routes than the agent keeps.
#[derive(Debug, Clone, Copy)]
pub struct LinksLeftOut;

impl Display for LinksLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "more than {LINKS_MAX} interfaces or {ROUTES_MAX} routes: some cannot become an uplink; add the \
             interfaces that never lead out to ignore_interfaces"
        )
    }
}

/// The reason why there is no uplink. `Display` is a sentence.
#[derive(Debug, Clone)]
pub struct NoWay {
    /// The reason as the core has it.
    pub obstacle: Obstacle,
    /// Whether the interface has an address to send from.
    pub addressed: bool,
}

impl NoWay {
    /// The word in the JSON.
    pub const fn as_str(&self) -> &'static str {
        match self.obstacle {
            Obstacle::NoInterface => "no_interface",
            Obstacle::NoCarrier(_) => "no_carrier",
            Obstacle::Ignored(_) => "ignored",
            Obstacle::NoRoute(..) if self.addressed => "no_route",
            Obstacle::NoRoute(..) => "no_address",
        }
    }
}

impl Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.obstacle {
            Obstacle::NoInterface => f.write_str("there is no network interface"),
            Obstacle::NoCarrier(name) => write!(f, "{name} has no carrier"),
            Obstacle::Ignored(names) => {
                f.write_str("every interface that is up is ignored")?;
                let mut separator = ": ";
                for name in names {
                    write!(f, "{separator}{name}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Obstacle::NoRoute(_, name, _) if !self.addressed => write!(f, "{name} has no address"),
            Obstacle::NoRoute(_, name, Some(to)) => write!(f, "{name} has no route to {to}"),
            Obstacle::NoRoute(_, name, None) => write!(f, "{name} has no default route"),
        }
    }
}
