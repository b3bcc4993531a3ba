//! Which addresses were tried on which ways: once each in a round, and in the next round last of
//! all.

use core::net::IpAddr;

use heapless::Vec;

use crate::proto::link::InterfaceName;

/// Most (way, address) pairs tried in one round, and remembered of those before.
pub(crate) const TRIED_MAX: usize = 24;

/// A pair that was tried.
#[derive(Debug, Clone, Copy)]
struct Tried {
    via: Option<InterfaceName>,
    to: IpAddr,
    /// In a round that has failed, and not in this one.
    before: bool,
}

impl Tried {
    fn is(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        self.via == via && self.to == to
    }
}

/// The pairs that were tried, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Turns(Vec<Tried, TRIED_MAX>);

impl Turns {
    /// Whether this pair was used up in this round; every pair is after the first [`TRIED_MAX`].
    pub(crate) fn was_tried(&self, via: Option<InterfaceName>, to: IpAddr) -> bool {
        let used_up = self.0.is_full() && self.0.iter().all(|tried| !tried.before);
        used_up || self.0.iter().any(|tried| !tried.before && tried.is(via, to))
    }

    /// The turn of this pair, if the rounds before have tried it in vain: the lower, the longer
    /// ago. One that had no turn yet comes before them all.
    pub(crate) fn turn(&self, via: Option<InterfaceName>, to: IpAddr) -> Option<usize> {
        self.0.iter().position(|tried| tried.before && tried.is(via, to))
    }

    /// Marks a pair as used up in this round.
    pub(crate) fn mark(&mut self, via: Option<InterfaceName>, to: IpAddr) {
        self.0.retain(|tried| !tried.is(via, to));
        let oldest = self.0.iter().position(|tried| tried.before);
        if let Some(oldest) = oldest.filter(|_| self.0.is_full()) {
            self.0.remove(oldest);
        }
        self.0.extend((!self.0.is_full()).then_some(Tried { via, to, before: false }));
    }

    /// Takes back the mark of a pair: it had no time to answer.
    pub(crate) fn unmark(&mut self, via: Option<InterfaceName>, to: IpAddr) {
        self.0.retain(|tried| !tried.is(via, to));
    }

    /// The address tried first in this round or, between two rounds, in the last ones.
    pub(crate) fn first(&self) -> Option<IpAddr> {
        let first = self.0.iter().find(|tried| !tried.before).or(self.0.first());
        first.map(|tried| tried.to)
    }

    /// Begins another round: the pairs tried in this one count as tried before.
    pub(crate) fn next_round(&mut self) {
        self.0.iter_mut().for_each(|tried| tried.before = true);
    }

    /// Forgets what was tried in this round.
    pub(crate) fn retry(&mut self) {
        self.0.retain(|tried| tried.before);
    }

    /// Forgets what was tried in the rounds before.
    pub(crate) fn forget(&mut self) {
        self.0.retain(|tried| !tried.before);
    }
}
