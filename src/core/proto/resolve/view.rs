//! The knowledge of the resolver at a moment: the addresses to try, and whether others may come.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use super::known::in_order;
use super::lookup::LookupPhase;
use super::{ADDRESSES_MAX, Doubt, Families, Resolver};
use crate::proto::event::Failure;
use crate::proto::settings::{Host, Nameserver};
use crate::proto::time::Instant;

/// How long after its last acknowledgement an address is tried at once although what named it has
/// expired (RFC 8767 §5 suggests one to three days).
const GOOD_MAX: Duration = Duration::from_secs(86_400);
/// Shortest time between an answer and the next question about what is a little doubted.
const REFRESH_MIN: Duration = Duration::from_secs(5);

/// Whether there are addresses to try, and whether others may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// [`Resolver::addresses`] has some.
    Known,
    /// An answer may still come; so may [`Resolver::fallback`] give an address.
    Waiting,
    /// No nameserver could be asked, or every one was asked in vain.
    Failed(Failure),
}

impl Resolver {
    /// Whether an answer that was doubted is being asked anew.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.doubt != Doubt::None && matches!(self.lookup.phase, LookupPhase::Asking { .. })
    }

    /// Whether nameservers are to be asked: nothing is known in one of these families, or what is
    /// known is in doubt.
    pub(crate) fn wants(&self, families: Families, now: Instant) -> bool {
        let recent = self.resolved_at.is_some_and(|at| now < at + REFRESH_MIN);
        let doubted = match self.doubt {
            Doubt::None => false,
            Doubt::Soon => !recent,
            Doubt::Now => true,
        };
        let unsure = doubted || !self.known.covers(families, now);
        self.is_by_dns() && !families.is_empty() && unsure
    }

    /// Why the last lookup was in vain, if it was and none is under way.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let asking = matches!(self.lookup.phase, LookupPhase::Asking { .. });
        self.failure.filter(|_| !asking)
    }

    /// Whether the rest after a pass in vain is over.
    pub(crate) fn has_rested(&self) -> bool {
        self.lookup.phase == LookupPhase::Idle && self.failure.is_some()
    }

    /// Whether nameservers are what names the server.
    pub(crate) fn is_by_dns(&self) -> bool {
        matches!(self.host, Some(Host::Name(_))) && self.settings.hosts.is_empty()
    }

    /// The nameservers in use.
    pub(crate) fn nameservers(&self) -> impl Iterator<Item = &Nameserver> {
        self.settings.nameservers.iter()
    }

    /// The address of the last acknowledged beat.
    pub(crate) fn last_good(&self) -> Option<IpAddr> {
        self.good.map(|(address, _)| address)
    }

    /// The server at this one of its addresses.
    pub(crate) const fn server_at(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    /// The addresses to connect to, in the order to try them (RFC 8305 §4); empty while unknown.
    ///
    /// A literal host is its own address, and the hosts file comes before DNS.
    pub(crate) fn addresses(&self, now: Instant) -> Vec<IpAddr, ADDRESSES_MAX> {
        if self.is_by_dns() && self.held_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.addresses_of(Some(now))
    }

    /// The addresses of the server by the last answers, however old they are: an answer that DNS
    /// forgets and learns again is no change of the network.
    pub(crate) fn last_known(&self) -> Vec<IpAddr, ADDRESSES_MAX> {
        self.addresses_of(None)
    }

    fn addresses_of(&self, at: Option<Instant>) -> Vec<IpAddr, ADDRESSES_MAX> {
        match &self.host {
            None => Vec::new(),
            Some(Host::Address(address)) => core::iter::once(address.to_canonical()).collect(),
            Some(Host::Name(_)) if !self.settings.hosts.is_empty() => {
                in_order(&self.settings.hosts, self.last_good())
            }
            Some(Host::Name(_)) => in_order(&self.known.addresses(at), self.last_good()),
        }
    }

    /// The address that acknowledged the last beat, when it should be tried beside the lookup.
    ///
    /// That is while no address is known, and at once if it acknowledged a beat within a day and no
    /// expired answer names others instead, or the last lookup failed, else when the first
    /// nameserver has not answered within 300 ms.
    pub(crate) fn fallback(&self, now: Instant) -> Option<IpAddr> {
        let (good, good_at) = self.good?;
        let slow = matches!(self.lookup.phase, LookupPhase::Asking { asked: 2.., .. });
        let useful =
            slow || self.failure.is_some() || (now < good_at + GOOD_MAX && !self.known.deny(good));
        (useful && self.addresses(now).is_empty()).then_some(good)
    }

    /// Whether addresses are known, may come, or have failed to.
    pub(crate) fn state(&self, now: Instant) -> State {
        if !self.addresses(now).is_empty() {
            return State::Known;
        }
        match (self.lookup.phase, self.failure) {
            (LookupPhase::Idle | LookupPhase::Resting { .. }, Some(failure))
                if !self.lookup.is_open() =>
            {
                State::Failed(super::of_names(failure))
            }
            _ => State::Waiting,
        }
    }
}
