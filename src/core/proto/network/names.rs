//! Over which of their ways the nameservers are asked for the server's addresses.

use core::time::Duration;

use super::Network;
use crate::proto::event::{Actions, Failure};
use crate::proto::link::{InterfaceName, LinkIndex};
use crate::proto::race::DOUBT_MIN;
use crate::proto::reach::Connectivity;
use crate::proto::resolve;
use crate::proto::settings::{NAMESERVERS_MAX, Nameserver};
use crate::proto::time::Instant;

/// How long the nameservers of one uplink may be silent before another uplink's are asked.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// Which ways to the nameservers had their turn.
#[derive(Debug, Default)]
pub(super) struct NameTurns {
    /// Which of their ways the nameservers are asked over, counted from the best.
    pub(super) turn: usize,
    /// How often the round under way had them asked over other ways at once.
    moves: usize,
    /// The beat under way waits for a name.
    pub(super) wait: Option<NameWait>,
}

/// A beat waits for a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameWait {
    /// Since when.
    since: Instant,
    /// When another uplink is asked.
    pub(super) move_at: Instant,
}

impl NameTurns {
    const fn next(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

impl Network {
    /// A round of attempts starts. What was asked in vain for the last one is asked over other ways
    /// for this one.
    ///
    /// `failing`: the last round failed.
    pub(crate) fn begin_names(&mut self, failing: bool, now: Instant) {
        let in_vain = match self.resolver.state(now) {
            resolve::State::Failed(failure) => Some(failure),
            resolve::State::Known => self.resolver.failure().filter(|_| failing),
            resolve::State::Waiting => None,
        };
        if in_vain.is_some_and(|it| it != Failure::NoNameserver) {
            self.names.next();
        }
        self.names.moves = 0;
    }

    /// Notes since when an address of the server is known.
    pub(super) fn note_names(&mut self, now: Instant) {
        let known = !self.server_addresses(now).is_empty();
        self.named_at = known.then(|| self.named_at.unwrap_or(now));
    }

    /// Since when an address of the server is known, `now` if it was not.
    pub(crate) fn named_at(&self, now: Instant) -> Instant {
        self.named_at.unwrap_or(now)
    }

    /// No beat waits for a name, or its wait begins anew.
    pub(crate) const fn end_name_wait(&mut self) {
        self.names.wait = None;
    }

    /// Keeps the resolver going while the server's addresses are unknown or in doubt, over other
    /// ways when the nameservers stay silent on the first ones.
    ///
    /// `silent`: no connection of the beat is alive; `failing`: that, or one has failed in this
    /// round or the last.
    pub(crate) fn ask_for_names(
        &mut self,
        silent: bool,
        failing: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let families = self.families();
        let mut next_turn = false;
        match self.resolver.state(now) {
            // Refused or unreachable on these ways: the others are tried before the beat fails for
            // it.
            resolve::State::Failed(_) => next_turn = true,
            resolve::State::Known if !failing || !self.resolver.wants(families, now) => {
                self.names.wait = None;
            }
            // Nothing is known, or what is known is of no use.
            resolve::State::Known | resolve::State::Waiting => {
                let new = NameWait { since: now, move_at: now + NAME_PATIENCE };
                let wait = self.names.wait.get_or_insert(new);
                if now - wait.since >= DOUBT_MIN && silent {
                    self.reach.doubt(false, now);
                }
                if wait.move_at <= now {
                    wait.move_at = now + NAME_PATIENCE;
                    next_turn = true;
                } else if self.resolver.has_rested() {
                    self.names.next();
                }
            }
        }
        // What is known may have been right on another network.
        if self.resolver.is_by_dns() && !self.has_way_to_server(now) {
            self.resolver.doubt(false);
        }
        if next_turn {
            self.ask_elsewhere(now);
        }
        let hop = |it: &Nameserver| (it.address, self.way_to_nameserver(it));
        let hops: heapless::Vec<_, NAMESERVERS_MAX> =
            self.resolver.nameservers().map(hop).collect();
        let via = |to: &Nameserver| hops.iter().find(|(it, _)| *it == to.address)?.1;
        self.resolver.resolve(via, families, now, actions);
        self.note_names(now);
    }

    /// Has the nameservers asked over the next of their ways at once, until a round has been
    /// through them all: from then on the pace is that of a lookup in vain.
    ///
    /// Where they fail while offline, the next way has its turn with the next round: a network that
    /// rejects everything would be asked as often as it rejects.
    fn ask_elsewhere(&mut self, now: Instant) {
        let ways = |it: &Nameserver| self.ways(it.address).len();
        let ways = self.resolver.nameservers().map(ways).max().unwrap_or(0);
        let mut at_once = true;
        if matches!(self.resolver.state(now), resolve::State::Failed(_)) {
            self.names.wait = None;
            at_once = self.reach.connectivity() != Connectivity::Offline;
        }
        self.names.moves += 1;
        if at_once && self.names.moves < ways {
            self.names.next();
            self.resolver.network_back();
        }
    }

    /// Over which way a nameserver is asked at present; `None`: over none.
    fn way_to_nameserver(&self, to: &Nameserver) -> Option<Option<InterfaceName>> {
        if let Some(scope) = to.scope {
            return Some(Some(self.scoped(scope)));
        }
        let ways = self.ways(to.address);
        ways.get(self.names.turn.checked_rem(ways.len())?).copied()
    }

    /// The interface that a zone names, which may do so by its number (RFC 4007 §11.2).
    fn scoped(&self, zone: InterfaceName) -> InterfaceName {
        let numbered = || self.links.by_index(LinkIndex(zone.as_str().parse().ok()?));
        let link = self.links.by_name(zone).or_else(numbered);
        link.map_or(zone, |link| link.name)
    }
}
