//! Connections whose link has lost its carrier: put aside in silence, and closed when it is back.
//!
//! ```text
//! in use or kept --carrier lost--> parked --a second after all carriers are back--> closed
//! ```

use core::time::Duration;

use heapless::Vec;

use super::Network;
use crate::proto::event::{Action, Actions, ConnectionId};
use crate::proto::link::{InterfaceName, LinkIndex};
use crate::proto::time::Instant;
use crate::proto::uplink::UPLINKS_MAX;

/// How long after the carrier is back the connections that it took are closed: what is sent at once
/// comes first.
const PARKED_FOR: Duration = Duration::from_secs(1);

/// Connections put aside because their interfaces have lost the carrier.
#[derive(Debug, Default)]
pub(super) struct Parked {
    /// The interfaces.
    links: Vec<LinkIndex, UPLINKS_MAX>,
    /// When the connections are closed, while all of the interfaces run or are gone.
    pub(super) close_at: Option<Instant>,
}

impl Network {
    /// Closes a connection, or puts it aside in silence if its interface has lost the carrier.
    ///
    /// The packet that ends it for the server would be the first one on the dead link: the kernel
    /// asks for the gateway in vain then, and asks again only a second later (arp(7)
    /// `retrans_time_ms`), so that what is sent when the carrier is back would wait for that.
    pub(crate) fn close_or_park(
        &mut self,
        id: ConnectionId,
        via: Option<InterfaceName>,
        actions: &mut Actions,
    ) {
        let link = via.and_then(|via| self.links.by_name(via)).filter(|link| !link.running);
        match link.map(|link| link.index) {
            Some(index) => {
                let new = !self.parked.links.contains(&index) && !self.parked.links.is_full();
                self.parked.links.extend(new.then_some(index));
                Action::ParkConnection(id).push_to(actions);
            }
            None => Action::CloseConnection(id).push_to(actions),
        }
    }

    /// Has what was put aside closed when the interfaces have had their carrier back for a while.
    pub(crate) fn close_parked(&mut self, now: Instant, actions: &mut Actions) {
        if self.parked.links.is_empty() {
            return;
        }
        let dead = |index: &LinkIndex| self.links.by_index(*index).is_some_and(|it| !it.running);
        if self.parked.links.iter().any(dead) {
            self.parked.close_at = None;
        } else if *self.parked.close_at.get_or_insert(now + PARKED_FOR) <= now {
            self.parked = Parked::default();
            Action::CloseParked.push_to(actions);
        }
    }
}
