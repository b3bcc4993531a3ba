//! What is wrong with the ways out, in words: for the log, and for the warnings of the status.

use std::fmt::{self, Display};

use crate::proto::agent::Obstacle;
use crate::proto::link::Name;
use crate::proto::links::LINKS_MAX;
use crate::proto::routing::Family;

/// A path that is tried last, because connections on it fail while others deliver.
#[derive(Debug, Clone, Copy)]
pub struct FailedPath {
    /// The interface; `None`: the kernel's own way.
    pub via: Option<Name>,
    /// The family of the server's address.
    pub family: Family,
    /// What delivers instead, if that is known.
    pub instead: Option<Name>,
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

/// More interfaces than the agent keeps.
#[derive(Debug, Clone, Copy)]
pub struct LinksLeftOut;

impl Display for LinksLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there are more than {LINKS_MAX} interfaces: some are left out and cannot become an uplink; \
             add patterns for those that never lead out to ignore_interfaces"
        )
    }
}

/// What stands in the way of an uplink. `Display` is a sentence.
#[derive(Debug, Clone)]
pub struct NoWay {
    /// What the core knows.
    pub obstacle: Obstacle,
    /// Whether the interface has an address to send from.
    pub addressed: bool,
}

impl NoWay {
    /// The word in the JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
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
