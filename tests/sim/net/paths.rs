//! Routing of packets and their fate on the way.

use std::net::IpAddr;
use std::time::Duration;

use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};

use super::super::kernel::{DOCKER, TUNNEL, home};
use super::Net;

/// Time that the kernel tries to resolve a neighbour that does not exist.
pub(super) const NEIGHBOUR_WAIT: Duration = Duration::from_secs(3);
/// Slowest round trip for which beats are promised.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(150);

/// Behaviour of the network behind an interface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Flow {
    Open,
    /// Drops all packets silently.
    Silent,
    /// Rejects all packets: with a TCP reset for `Refused`, otherwise by ICMP.
    Rejecting(Failure),
    /// A captive portal: accepts every TCP connection, shows an untrusted certificate, and
    /// redirects plain HTTP with this status.
    Portal(u16),
    /// Loses this percentage of packets.
    Lossy(u64),
    /// Carries one address family and drops the other silently.
    Only {
        v4: bool,
    },
    /// A middlebox acknowledges all TCP segments in these families, and no response ever comes.
    Accelerating {
        v4: bool,
        v6: bool,
    },
    /// Responses arrive at another interface, so a socket bound to this one never receives them.
    OneWay,
}

/// The exit of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    Inside,
    Out {
        index: LinkIndex,
        /// Whether the socket is bound to the interface.
        bound: bool,
    },
    /// Bound to an interface without a route: the kernel treats the destination as on-link.
    OnLink,
}

/// The fate of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Carried(Duration),
    Lost,
    Rejected(Failure),
}

/// Behaviour of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Passage {
    Open(Duration),
    /// As `Open`, with this percentage of packets lost.
    Lossy(Duration, u64),
    Lost,
    Rejected(Failure),
}

impl Net {
    /// The path and the local address of a new socket, or the failure without one.
    pub(super) fn route(
        &self,
        to: IpAddr,
        via: Option<InterfaceName>,
    ) -> Result<(Way, IpAddr), Failure> {
        if self.outside.exhausted {
            return Err(Failure::Exhausted);
        }
        let bound = match via {
            Some(via) => Some(self.kernel.by_name(via).ok_or(Failure::NoInterface)?),
            None => None,
        };
        match (self.kernel.way(to, bound.map(|it| it.index)), bound) {
            (Some(found), _) if found.local => Ok((Way::Inside, to)),
            (Some(found), _) => {
                let index = found.entry.index;
                let source = self.kernel.source(index, to).ok_or(Failure::NoInterface)?;
                Ok((Way::Out { index, bound: via.is_some() }, source))
            }
            (None, Some(it)) if it.up && to.is_ipv4() => {
                let source = self.kernel.source(it.index, to).ok_or(Failure::Unreachable)?;
                Ok((Way::OnLink, source))
            }
            (None, _) => Err(Failure::Unreachable),
        }
    }

    /// The fate of a packet between `local` and `to`, in either direction.
    pub(super) fn fate(&mut self, way: Way, local: IpAddr, to: IpAddr) -> Fate {
        match self.passage(way, local, to) {
            Passage::Open(round_trip) => self.carried(round_trip),
            Passage::Lossy(_, percent) if self.rng.below(100) < percent => Fate::Lost,
            Passage::Lossy(round_trip, _) => self.carried(round_trip),
            Passage::Lost => Fate::Lost,
            Passage::Rejected(failure) => Fate::Rejected(failure),
        }
    }

    fn carried(&mut self, round_trip: Duration) -> Fate {
        let half = round_trip / 2;
        Fate::Carried(half + self.rng.fraction(half / 4))
    }

    fn passage(&self, way: Way, local: IpAddr, to: IpAddr) -> Passage {
        let (index, bound) = match way {
            Way::Inside => return Passage::Open(Duration::from_micros(100)),
            Way::OnLink => return Passage::Lost,
            Way::Out { index, bound } => (index, bound),
        };
        let kernel = &self.kernel;
        let Some((it, place)) = kernel.by_index(index).zip(kernel.place(index)) else {
            return Passage::Lost;
        };
        // The kernel looks up the route for every packet.
        let leaves = kernel
            .lookup(to, bound.then_some(index), Some(local))
            .is_some_and(|found| !found.local && found.entry.index == index);
        let blocked = kernel.kill_switch && !matches!(place, TUNNEL | DOCKER);
        let there = match home(to) {
            Some(home) => home == place,
            None => place != DOCKER,
        };
        let sound = it.runs() && kernel.answers_to(it, local, to) && leaves && there;
        if !sound || blocked || kernel.is_own(to) {
            return Passage::Lost;
        }
        let passage = self.flow(place, bound, to);
        match self.tunnelled(place) {
            None => passage,
            Some(Passage::Open(under)) => match passage {
                Passage::Open(over) => Passage::Open(over + under),
                Passage::Lossy(over, percent) => Passage::Lossy(over + under, percent),
                other => other,
            },
            Some(Passage::Lossy(under, percent)) => match passage {
                Passage::Open(over) | Passage::Lossy(over, _) => {
                    Passage::Lossy(over + under, percent)
                }
                other => other,
            },
            Some(Passage::Lost | Passage::Rejected(_)) => Passage::Lost,
        }
    }

    /// The behaviour of the path below the tunnel; `None` for other interfaces.
    fn tunnelled(&self, place: usize) -> Option<Passage> {
        if place != TUNNEL {
            return None;
        }
        let under = self.kernel.underlay().filter(|index| {
            self.kernel.by_index(*index).is_some_and(|it| it.runs() && it.v4.is_some())
        });
        let place = under.and_then(|index| self.kernel.place(index));
        Some(match place.map(|place| (place, self.outside.flows[place])) {
            None | Some((_, Flow::Portal(_))) => Passage::Lost,
            Some((_, Flow::Accelerating { v4: true, .. })) => Passage::Lost,
            Some((place, _)) => self.flow(place, false, IpAddr::V4([192, 0, 2, 1].into())),
        })
    }

    fn flow(&self, place: usize, bound: bool, to: IpAddr) -> Passage {
        let round_trip = self.outside.round_trips[place];
        match self.outside.flows[place] {
            Flow::Silent => Passage::Lost,
            Flow::Only { v4 } if to.is_ipv4() != v4 => Passage::Lost,
            Flow::OneWay if bound => Passage::Lost,
            Flow::Rejecting(failure) => Passage::Rejected(failure),
            Flow::Lossy(percent) => Passage::Lossy(round_trip, percent),
            Flow::Open
            | Flow::Portal(_)
            | Flow::Accelerating { .. }
            | Flow::Only { .. }
            | Flow::OneWay => Passage::Open(round_trip),
        }
    }

    /// The behaviour of the network behind a path; `None` if it stays inside the device.
    pub(super) fn flow_of(&self, way: Way) -> Option<Flow> {
        let Way::Out { index, .. } = way else { return None };
        self.kernel.place(index).map(|place| self.outside.flows[place])
    }

    /// Whether a middlebox on this path answers for every address of the family.
    pub(super) fn accelerates(&self, way: Way, to: IpAddr) -> bool {
        match self.flow_of(way) {
            Some(Flow::Accelerating { v4, v6 }) => {
                if to.is_ipv4() {
                    v4
                } else {
                    v6
                }
            }
            _ => false,
        }
    }

    /// Whether a new socket bound like this surely reaches the owner of an address and receives its
    /// responses in time.
    pub(crate) fn delivers(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        let Ok((way, local)) = self.route(to, via) else { return false };
        let Passage::Open(round_trip) = self.passage(way, local, to) else { return false };
        let portal = matches!(self.flow_of(way), Some(Flow::Portal(_)));
        !portal && !self.accelerates(way, to) && round_trip <= ROUND_TRIP_MAX
    }

    /// Whether a new socket bound like this would send anything.
    pub(crate) fn sends(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        self.route(to, via).is_ok()
    }
}
