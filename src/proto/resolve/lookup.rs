//! One lookup: the nameservers in turn, the open queries, the rest after a pass in vain.
//!
//! It does not know what the answers say.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use super::QUERIES_MAX;
use crate::proto::event::{Action, Actions, Failure, Query, RecordKind};
use crate::proto::link::Name;
use crate::proto::settings::NAMESERVERS_MAX;
use crate::proto::time::Instant;

const PORT: u16 = 53;
/// How long a nameserver is given before the next one is asked as well.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a query stays open for a late answer.
const QUERY_LIFE: Duration = Duration::from_secs(4);
/// Rest after the first pass in vain; doubled after each further one.
const REST_FIRST: Duration = Duration::from_secs(1);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(5);

/// A set of address families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    pub(super) fn kinds(self) -> impl Iterator<Item = RecordKind> {
        [self.v4.then_some(RecordKind::A), self.v6.then_some(RecordKind::Aaaa)]
            .into_iter()
            .flatten()
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(super) fn remove(&mut self, kind: RecordKind) {
        match kind {
            RecordKind::A => self.v4 = false,
            RecordKind::Aaaa => self.v6 = false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody is asked anything new.
    Idle,
    /// The first `asked` hops of the plan have been asked; `failure` is the last they had.
    Asking { asked: usize, next_at: Instant, failure: Failure },
    /// A pass was in vain.
    Resting { until: Instant },
}

/// A nameserver that can be reached, and over which interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) address: IpAddr,
    pub(super) via: Option<Name>,
}

/// The hops of a pass, first to be asked first.
pub(super) type Plan = Vec<Hop, NAMESERVERS_MAX>;

/// One question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    query: Query,
    pub(super) kind: RecordKind,
    pub(super) hop: Hop,
    candidate: Option<u8>,
    /// Number of the [`Lookup::advance`] that asked it.
    step: u32,
    give_up_at: Instant,
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) phase: Phase,
    plan: Plan,
    /// The families asked for.
    wanted: Families,
    /// Those of them that nobody has answered yet.
    pub(super) pending: Families,
    /// Search domain in use; `None` is the bare name.
    pub(super) candidate: Option<u8>,
    queries: Vec<Open, QUERIES_MAX>,
    query_next: u32,
    step: u32,
    rest: Duration,
}

impl Lookup {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            plan: Vec::new(),
            wanted: Families { v4: false, v6: false },
            pending: Families { v4: false, v6: false },
            candidate: None,
            queries: Vec::new(),
            query_next: 0,
            step: 0,
            rest: REST_FIRST,
        }
    }

    /// Whether this plan, in any order, is being worked through for these families already.
    pub(super) fn follows(&self, plan: &Plan, families: Families) -> bool {
        self.phase != Phase::Idle && families == self.wanted && self.has_plan(plan)
    }

    /// Takes a plan, to [`begin`](Self::begin) with; another one than before is a local change and
    /// shortens the next rest.
    pub(super) fn set_plan(&mut self, plan: Plan, families: Families) {
        if !self.has_plan(&plan) {
            self.rest = REST_FIRST;
        }
        self.plan = plan;
        self.wanted = families;
        self.phase = Phase::Idle;
    }

    fn has_plan(&self, plan: &Plan) -> bool {
        plan.len() == self.plan.len() && plan.iter().all(|hop| self.plan.contains(hop))
    }

    /// Starts a pass for one candidate of the name; queries for another one are dropped.
    ///
    /// [`advance`](Self::advance) must follow.
    pub(super) fn begin(&mut self, candidate: Option<u8>, now: Instant, actions: &mut Actions) {
        self.candidate = candidate;
        self.close(actions, |open| open.candidate != candidate);
        self.pending = self.wanted;
        self.phase = Phase::Asking { asked: 0, next_at: now, failure: Failure::TimedOut };
    }

    /// Asks the next hop; if there is none, the pass is over for this reason.
    pub(super) fn advance(&mut self, now: Instant, actions: &mut Actions) -> Result<(), Failure> {
        let Phase::Asking { asked, failure, .. } = self.phase else { return Ok(()) };
        let hop = self.plan.get(asked).copied().ok_or(failure)?;
        self.step = self.step.wrapping_add(1);
        for kind in self.pending.kinds() {
            self.ask(kind, hop, now, actions);
        }
        self.phase = Phase::Asking { asked: asked + 1, next_at: now + PATIENCE, failure };
        Ok(())
    }

    fn ask(&mut self, kind: RecordKind, hop: Hop, now: Instant, actions: &mut Actions) {
        if self.queries.is_full() {
            let oldest = self.queries.remove(0);
            Action::CloseQuery(oldest.query).push_to(actions);
        }
        let query = Query(self.query_next);
        self.query_next = self.query_next.wrapping_add(1);
        let (candidate, step, give_up_at) = (self.candidate, self.step, now + QUERY_LIFE);
        let open = Open { query, kind, hop, candidate, step, give_up_at };
        self.queries.push(open).expect("the oldest has made room");
        let to = SocketAddr::new(hop.address, PORT);
        Action::SendQuery { query, to, via: hop.via, kind, search: candidate }.push_to(actions);
    }

    /// Notes that a query failed; true if there is nothing to wait for before the next hop.
    pub(super) fn failed(&mut self, open: &Open, failure: Failure) -> bool {
        let Phase::Asking { asked, next_at, .. } = self.phase else { return false };
        self.phase = Phase::Asking { asked, next_at, failure };
        let last_hop = asked >= self.plan.len();
        self.queries.is_empty() || (open.step == self.step && !last_hop)
    }

    /// Whether anybody has answered in this lookup.
    pub(super) fn is_answered_in_part(&self) -> bool {
        self.pending != self.wanted
    }

    /// Rests after a pass in vain. Open queries stay open.
    pub(super) fn rest(&mut self, now: Instant) {
        self.phase = Phase::Resting { until: now + self.rest };
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    /// The next rest is short again: the last pass was not in vain, or something local changed.
    pub(super) fn rested(&mut self) {
        self.rest = REST_FIRST;
    }

    /// Ends the lookup.
    pub(super) fn stop(&mut self, actions: &mut Actions) {
        self.close(actions, |_| true);
        self.phase = Phase::Idle;
    }

    /// Drops what depends on an interface; another plan is needed then.
    pub(super) fn link_lost(&mut self, name: Name, actions: &mut Actions) {
        if self.plan.iter().any(|hop| hop.via == Some(name)) {
            self.close(actions, |open| open.hop.via == Some(name));
            self.plan.clear();
            self.phase = Phase::Idle;
        }
    }

    /// Gives up the queries nobody answered; true if the phase is over too.
    pub(super) fn tick(&mut self, now: Instant, actions: &mut Actions) -> bool {
        self.close(actions, |open| open.give_up_at <= now);
        self.phase_ends_at().is_some_and(|at| at <= now)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queries.iter().map(|open| open.give_up_at).chain(self.phase_ends_at()).min()
    }

    fn phase_ends_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Asking { next_at: at, .. } | Phase::Resting { until: at } => Some(at),
        }
    }

    /// Whether an answer may still come.
    pub(super) fn is_open(&self) -> bool {
        !self.queries.is_empty()
    }

    /// Ends one query, whose socket the loop has closed; `None` if it was forgotten before.
    pub(super) fn take(&mut self, query: Query) -> Option<Open> {
        let at = self.queries.iter().position(|open| open.query == query)?;
        Some(self.queries.remove(at))
    }

    pub(super) fn close(&mut self, actions: &mut Actions, which: impl Fn(&Open) -> bool) {
        self.queries.retain(|open| {
            let close = which(open);
            if close {
                Action::CloseQuery(open.query).push_to(actions);
            }
            !close
        });
    }
}
