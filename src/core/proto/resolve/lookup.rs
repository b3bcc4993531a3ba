//! One lookup: the nameservers in turn, the open queries, the rest after a pass in vain.
//!
//! It does not know what the answers say.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use super::QUERIES_MAX;
use crate::proto::event::{Action, Actions, Failure, QueryId, Transport};
use crate::proto::link::InterfaceName;
use crate::proto::moderation::Bucket;
use crate::proto::route::Family;
use crate::proto::settings::{ANSWER_WAIT, BucketSettings, NAMESERVERS_MAX};
use crate::proto::time::Instant;

const PORT: u16 = 53;
const MULTICAST_PORT: u16 = 5353;
/// How long a nameserver is given before the next one is asked as well.
const PATIENCE: Duration = Duration::from_millis(300);
/// Rest after the first pass in vain; doubled after each further one.
const REST_FIRST: Duration = Duration::from_secs(1);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(5);

/// How many candidates after the first may be gone on to at once, and how long each takes to be
/// granted again: a search of many domains that all nameservers refuse is no storm, however often
/// it is begun.
const SEARCH: BucketSettings = BucketSettings { burst: 32, every: Duration::from_secs(10) };
/// How long only the link's own word denies a name of the link, be it asked over several
/// interfaces: whoever has the name may take half a second to say so, or may have missed the
/// question.
const LINK_PATIENCE: Duration = Duration::from_millis(1500);

/// A set of address families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Families {
    /// IPv4.
    pub(crate) v4: bool,
    /// IPv6.
    pub(crate) v6: bool,
}

/// The port at which this address is asked: that of nameservers, or of the group of the link (RFC
/// 6762 §5.1).
pub const fn port_of(nameserver: IpAddr) -> u16 {
    if nameserver.is_multicast() { MULTICAST_PORT } else { PORT }
}

impl Families {
    pub(in crate::proto) fn iter(self) -> impl Iterator<Item = Family> {
        [self.v4.then_some(Family::V4), self.v6.then_some(Family::V6)].into_iter().flatten()
    }

    pub(in crate::proto) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(super) fn remove(&mut self, family: Family) {
        match family {
            Family::V4 => self.v4 = false,
            Family::V6 => self.v6 = false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupPhase {
    /// No new question is asked.
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
    pub(super) via: Option<InterfaceName>,
}

/// The hops of a pass, first to be asked first.
pub(super) type Plan = Vec<Hop, NAMESERVERS_MAX>;

/// One question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    query: QueryId,
    pub(super) family: Family,
    pub(super) hop: Hop,
    pub(super) candidate: u8,
    /// Number of the [`Lookup::advance`] that asked it.
    step: u32,
    give_up_at: Instant,
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) phase: LookupPhase,
    plan: Plan,
    /// The families asked for.
    wanted: Families,
    /// Those of them without an answer yet.
    pub(super) pending: Families,
    /// Which of the names that the host may stand for is asked about.
    pub(super) candidate: u8,
    /// Whether an answer about it has named an address.
    pub(super) found: bool,
    /// The family it has no address of, and for how many seconds that counts.
    pub(super) empty: Option<(Family, u32)>,
    /// Why a candidate before it was given up without knowing whether it exists.
    pub(super) trouble: Option<Failure>,
    /// The candidate of the last pass without any answer.
    pub(super) unheard: Option<u8>,
    /// Pays for the candidates after the first.
    searches: Bucket,
    /// How long a query stays open for a late answer.
    pub(super) answer_wait: Duration,
    /// How questions travel.
    pub(super) transport: Transport,
    queries: Vec<Open, QUERIES_MAX>,
    query_next: u32,
    pub(super) step: u32,
    rest: Duration,
}

impl Lookup {
    pub(super) const fn new() -> Self {
        Self {
            phase: LookupPhase::Idle,
            plan: Vec::new(),
            wanted: Families { v4: false, v6: false },
            pending: Families { v4: false, v6: false },
            candidate: 0,
            found: false,
            empty: None,
            trouble: None,
            unheard: None,
            searches: Bucket::new(SEARCH, Instant::from_micros(0)),
            answer_wait: ANSWER_WAIT,
            transport: Transport::UdpEdns,
            queries: Vec::new(),
            query_next: 0,
            step: 0,
            rest: REST_FIRST,
        }
    }

    /// Whether this plan, in any order, is being worked through for these families already.
    pub(super) fn follows(&self, plan: &Plan, families: Families) -> bool {
        self.phase != LookupPhase::Idle && families == self.wanted && self.has_plan(plan)
    }

    /// Takes a plan, to [`begin`](Self::begin) with; another one than before is a local change,
    /// which shortens the next rest, and what others said or did not say of a candidate is not said
    /// on this one.
    pub(super) fn set_plan(&mut self, plan: Plan, families: Families) {
        if !self.has_plan(&plan) {
            // After a rest it is the turn of other ways, and nothing that ends the silence.
            if self.phase != LookupPhase::Idle {
                self.reset_rest();
            }
            self.start_over();
        }
        self.plan = plan;
        self.wanted = families;
        self.phase = LookupPhase::Idle;
    }

    fn has_plan(&self, plan: &Plan) -> bool {
        plan.len() == self.plan.len() && plan.iter().all(|hop| self.plan.contains(hop))
    }

    /// Starts a pass for one candidate. Queries about another one stay open: a late address is one.
    ///
    /// [`advance`](Self::advance) must follow.
    pub(super) fn begin(&mut self, candidate: u8, now: Instant) {
        self.turn_to(candidate);
        self.phase = LookupPhase::Asking { asked: 0, next_at: now, failure: Failure::TimedOut };
    }

    /// Whether the search goes on to the next of so many candidates: at once, if it may go on to
    /// all of them.
    pub(super) fn goes_on(&mut self, left: u8, now: Instant) -> bool {
        left.checked_sub(1).is_some_and(|others| self.searches.take(others.into(), now))
    }

    /// From here on answers about this candidate count.
    pub(super) fn turn_to(&mut self, candidate: u8) {
        self.candidate = candidate;
        self.pending = self.wanted;
        self.found = false;
        self.empty = None;
    }

    /// Asks the next hop; if there is none, the pass is over for this reason.
    ///
    /// `search` is the position of the candidate's search domain.
    pub(super) fn advance(
        &mut self,
        search: Option<u8>,
        now: Instant,
        actions: &mut Actions,
    ) -> Result<(), Failure> {
        let LookupPhase::Asking { asked, failure, .. } = self.phase else { return Ok(()) };
        let hop = self.plan.get(asked).copied().ok_or(failure)?;
        self.step = self.step.wrapping_add(1);
        for family in self.pending.iter() {
            self.ask(family, hop, search, now, actions);
        }
        self.phase = LookupPhase::Asking { asked: asked + 1, next_at: now + PATIENCE, failure };
        Ok(())
    }

    fn ask(
        &mut self,
        family: Family,
        hop: Hop,
        search: Option<u8>,
        now: Instant,
        actions: &mut Actions,
    ) {
        if self.queries.is_full() {
            let oldest = self.queries.remove(0);
            Action::CloseQuery(oldest.query).push_to(actions);
        }
        let query = QueryId(self.query_next);
        self.query_next = self.query_next.wrapping_add(1);
        let (candidate, step, give_up_at) = (self.candidate, self.step, now + self.answer_wait);
        let open = Open { query, family, hop, candidate, step, give_up_at };
        assert!(self.queries.push(open).is_ok(), "the oldest has made room");
        let to = SocketAddr::new(hop.address, port_of(hop.address));
        let transport = self.transport;
        Action::SendQuery { query, to, via: hop.via, family, search, transport }.push_to(actions);
    }

    /// Notes that a query failed; true if there is nothing to wait for before the next hop.
    pub(super) fn failed(&mut self, open: &Open, failure: Failure) -> bool {
        let LookupPhase::Asking { asked, next_at, failure: former } = self.phase else {
            return false;
        };
        // An answer of one nameserver weighs more than the silence of another.
        let said = former == Failure::NameServerFailed;
        self.phase =
            LookupPhase::Asking { asked, next_at, failure: if said { former } else { failure } };
        let last_hop = asked >= self.plan.len();
        self.is_spent() || (open.step == self.step && !last_hop)
    }

    /// Whether an empty answer of a nameserver says nothing yet, for the link was asked a moment
    /// ago.
    pub(super) fn is_for_the_link(&self, open: &Open, now: Instant) -> bool {
        let same = |it: &&Open| (it.family, it.candidate) == (open.family, open.candidate);
        let link = self.queries.iter().filter(same).filter(|it| it.hop.address.is_multicast());
        let ends_at =
            link.map(|it| it.give_up_at).min().filter(|_| !open.hop.address.is_multicast());
        ends_at.is_some_and(|at| now + self.answer_wait < at + LINK_PATIENCE)
    }

    /// Whether a pass is under way and no question of it is.
    pub(super) fn is_spent(&self) -> bool {
        matches!(self.phase, LookupPhase::Asking { .. })
            && self.queries.iter().all(|open| open.candidate != self.candidate)
    }

    /// Whether anybody has answered about this candidate.
    pub(super) fn is_answered_in_part(&self) -> bool {
        self.pending != self.wanted
    }

    /// Rests after a pass in vain. Open queries stay open.
    ///
    /// The next pass does without EDNS, or with it again: there are routers that drop such
    /// questions, and firewalls that let no TCP through for the answer that is too large without.
    pub(super) fn rest(&mut self, now: Instant) {
        self.phase = LookupPhase::Resting { until: now + self.rest };
        self.rest = (self.rest * 2).min(REST_MAX);
        self.transport = match self.transport {
            Transport::Udp => Transport::UdpEdns,
            Transport::UdpEdns => Transport::Udp,
            Transport::Tcp => Transport::Tcp,
        };
    }

    /// The next rest is short again: the last pass was not in vain, or something local changed.
    pub(super) fn reset_rest(&mut self) {
        self.rest = REST_FIRST;
    }

    /// The next pass is about the first candidate.
    pub(super) fn start_over(&mut self) {
        self.candidate = 0;
        self.trouble = None;
        self.unheard = None;
    }

    /// Ends the lookup; the next one begins with the first candidate.
    pub(super) fn stop(&mut self, actions: &mut Actions) {
        self.close(actions, |_| true);
        self.start_over();
        self.phase = LookupPhase::Idle;
    }

    /// Drops what depends on an interface; another plan is needed then.
    pub(super) fn link_lost(&mut self, name: InterfaceName, actions: &mut Actions) {
        if self.plan.iter().any(|hop| hop.via == Some(name)) {
            self.close(actions, |open| open.hop.via == Some(name));
            self.plan.clear();
            self.phase = LookupPhase::Idle;
        }
    }

    /// Gives up the queries without an answer; true if the phase is over too.
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
            LookupPhase::Idle => None,
            LookupPhase::Asking { next_at: at, .. } | LookupPhase::Resting { until: at } => {
                Some(at)
            }
        }
    }

    /// Whether an answer may still come.
    pub(super) fn is_open(&self) -> bool {
        !self.queries.is_empty()
    }

    /// Ends one query, whose socket the loop has closed; `None` if it was forgotten before.
    pub(super) fn remove(&mut self, query: QueryId) -> Option<Open> {
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
