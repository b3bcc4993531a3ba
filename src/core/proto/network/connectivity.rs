//! Whether anything outside answers: the probes, and what connections and gateways say besides.

use super::Network;
use crate::proto::event::{Action, Actions};
use crate::proto::gateways::LostGateways;
use crate::proto::link::{InterfaceName, Neighbour};
use crate::proto::reach::Connectivity;
use crate::proto::time::Instant;

impl Network {
    /// Something outside has answered; true on the edge from offline.
    pub(crate) fn online(&mut self, now: Instant) -> bool {
        let restored = self.reach.online(now);
        if restored {
            self.resolver.doubt(true);
        }
        restored
    }

    /// Decides whether the device is offline; true if that is new.
    ///
    /// `failing`: the last that a beat has met is a failure of the network. `probes`: there are any.
    pub(crate) fn goes_offline(&mut self, failing: bool, probes: bool, now: Instant) -> bool {
        let stranded = self.is_complete()
            && self.reach.connectivity() == Connectivity::Online
            && !self.has_way(now);
        let refused = failing && self.reach.is_refused(probes);
        (stranded || refused || self.reach.is_silent(now)) && self.reach.offline(now)
    }

    /// A connection has failed or is silent: what was known of the way may be wrong. `unconnected`:
    /// not even a SYN was answered.
    pub(crate) fn suspect_way(&mut self, unconnected: bool, now: Instant) {
        if unconnected {
            self.reach.doubt(true, now);
        }
        self.resolver.doubt(false);
        self.routing.want();
    }

    /// Takes what the kernel reports of a neighbour; the uplink whose gateway it is, if that had
    /// failed and answers again, which is evidence that the way out is open.
    pub(crate) fn gateway_back(
        &mut self,
        neighbour: Neighbour,
        now: Instant,
    ) -> Option<InterfaceName> {
        let uplink = self.uplinks.iter().find(|uplink| uplink.index == neighbour.index)?.name;
        let gateway = Some(neighbour.address);
        let leads = self
            .routing
            .iter()
            .any(|route| route.index == neighbour.index && route.gateway == gateway);
        let back = leads && self.watched.as_mut()?.apply(neighbour);
        back.then(|| {
            self.reach.hurry(now);
            uplink
        })
    }

    /// Listens to neighbours as long as probes are sent or paths are `avoided`: the one finds what
    /// the other waits for.
    pub(crate) fn watch_neighbours(&mut self, avoided: bool, actions: &mut Actions) {
        let watching = avoided || self.reach.is_probing();
        if watching != self.watched.is_some() {
            self.watched = watching.then(LostGateways::default);
            Action::WatchNeighbours(watching).push_to(actions);
        }
    }
}
