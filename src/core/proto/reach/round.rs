//! The targets of one round of probes.

use core::net::SocketAddr;

use heapless::Vec;

use super::budget::TARGETS_MAX;
use crate::proto::resolve::Families;
use crate::proto::route::Family;

/// The possible targets of probes: those on the way out that the beat takes.
pub(crate) struct Targets<'a, V> {
    /// Probe addresses of the configuration, in any order.
    pub internet: &'a [SocketAddr],
    /// The families that have a way out to them.
    pub families: Families,
    /// The last good server address, else the one tried first, if it is to be asked.
    pub server: Option<SocketAddr>,
    /// The interface to bind to for a destination.
    pub via: V,
}

impl<V> Targets<'_, V> {
    /// One address of each family, another one every turn: a target that is filtered somewhere does
    /// not hide the others.
    pub(super) fn pick(&self, turn: usize) -> Vec<SocketAddr, { TARGETS_MAX - 1 }> {
        let of_family = |family| {
            let of_it = |to: &&SocketAddr| Family::of(to.ip()) == family;
            let count = self.internet.iter().filter(of_it).count();
            self.internet.iter().filter(of_it).nth(turn.checked_rem(count)?).copied()
        };
        self.families.iter().filter_map(of_family).collect()
    }

    /// Whether there is no target.
    pub(super) fn is_empty(&self) -> bool {
        self.server.is_none() && self.pick(0).is_empty()
    }
}
