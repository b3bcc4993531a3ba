//! What the resolver knows at a moment: the addresses to try, and whether others may come.

use core::net::IpAddr;

use heapless::Vec;

use super::known::in_order;
use super::lookup::Phase;
use super::{ADDRESSES_MAX, Doubt, Resolver, State};
use crate::proto::settings::{Host, Nameserver};
use crate::proto::time::Instant;

impl Resolver {
    /// Whether an answer that was doubted is being asked anew.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.doubt != Doubt::None && matches!(self.lookup.phase, Phase::Asking { .. })
    }

    /// The nameservers in use.
    pub fn nameservers(&self) -> impl Iterator<Item = &Nameserver> {
        self.settings.nameservers.iter()
    }

    /// The address of the last acknowledged beat.
    #[must_use]
    pub const fn last_good(&self) -> Option<IpAddr> {
        self.good
    }

    /// The addresses to connect to, in the order to try them (RFC 8305 §4); empty while unknown.
    ///
    /// A literal host is its own address, and the hosts file comes before DNS.
    #[must_use]
    pub fn addresses(&self, now: Instant) -> Vec<IpAddr, ADDRESSES_MAX> {
        match &self.host {
            None => Vec::new(),
            Some(Host::Address(address)) => core::iter::once(*address).collect(),
            Some(Host::Name(_)) if !self.settings.hosts.is_empty() => {
                in_order(self.settings.hosts.iter(), self.good)
            }
            Some(Host::Name(_)) if self.held_until.is_some_and(|until| now < until) => Vec::new(),
            Some(Host::Name(_)) => in_order(self.known.addresses(now), self.good),
        }
    }

    /// The address that acknowledged the last beat, when it should be tried beside the lookup.
    ///
    /// That is while no address is known, and at once if an expired answer named it or the last
    /// lookup failed, else when the first nameserver has not answered within 300 ms.
    #[must_use]
    pub fn fallback(&self, now: Instant) -> Option<IpAddr> {
        let good = self.good?;
        let slow = matches!(self.lookup.phase, Phase::Asking { asked: 2.., .. });
        let useful = slow || self.failure.is_some() || self.known.vouches_for(good, now);
        (useful && self.addresses(now).is_empty()).then_some(good)
    }

    /// Whether addresses are known, may come, or have failed to.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        if !self.addresses(now).is_empty() {
            return State::Known;
        }
        match (self.lookup.phase, self.failure) {
            (Phase::Idle | Phase::Resting { .. }, Some(failure)) if !self.lookup.is_open() => {
                State::Failed(super::of_names(failure))
            }
            _ => State::Waiting,
        }
    }

    /// When the known addresses became usable; `None` for those that needed no lookup.
    #[must_use]
    pub fn resolved_at(&self) -> Option<Instant> {
        self.resolved_at
    }
}
