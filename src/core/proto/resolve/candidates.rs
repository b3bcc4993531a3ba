//! Which nameservers are asked, and for which of the names that the host may stand for.

use super::known::{KnownAddresses, to_front};
use super::lookup::{Hop, Plan};
use super::{Failure, Host, InterfaceName, Nameserver, Resolver};
use crate::proto::event::Actions;
use crate::proto::time::Instant;

impl Resolver {
    /// The nameservers that can be reached, the one that answered last before the others unless
    /// they take turns.
    pub(super) fn plan(&self, via: impl Fn(&Nameserver) -> Option<Option<InterfaceName>>) -> Plan {
        let servers = self.settings.nameservers.iter();
        let mut plan: Plan =
            servers.filter_map(|s| Some(Hop { address: s.address, via: via(s)? })).collect();
        if !self.settings.rotate {
            to_front(&mut plan, |hop| Some(hop.address) == self.answered_last);
        } else if let Some(turn) = (self.lookup.step as usize).checked_rem(plan.len()) {
            plan.rotate_left(turn);
        }
        // Others deny what only the link knows.
        to_front(&mut plan, |hop| hop.address.is_multicast());
        plan
    }

    /// Goes on to the next candidate; after the last one the lookup was in vain, and for now where
    /// too many were asked about of late.
    pub(super) fn next_candidate(&mut self, now: Instant, actions: &mut Actions) {
        let next = self.lookup.candidate + 1;
        let left = self.candidates() - next;
        if self.lookup.goes_on(left, now) {
            self.begin(next, now, actions);
            return;
        }
        let trouble = self.lookup.trouble.take();
        if trouble.is_none() && left == 0 {
            self.known = KnownAddresses::default();
            self.lookup.stop(actions);
        }
        if let Some((family, _)) = self.lookup.empty {
            self.known.miss(family, now);
        }
        self.lookup.start_over();
        self.rest(trouble.unwrap_or(Failure::NameNotFound), now);
    }

    /// The number of candidates: the bare name, and one for each search domain.
    pub(super) fn candidates(&self) -> u8 {
        self.settings.domains().fold(1, |count, _| count + 1)
    }

    /// The position of the candidate's search domain; `None` for the bare name.
    pub(super) fn search(&self, candidate: u8) -> Option<u8> {
        let Some(Host::Name(name)) = &self.host else { return None };
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.settings.ndots.into() {
            candidate.checked_sub(1)
        } else {
            Some(candidate).filter(|it| it + 1 < self.candidates())
        }
    }
}
