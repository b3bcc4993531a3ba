//! Name resolution: which nameserver is asked what and when, and which addresses count.
//!
//! The core asks for addresses with [`Resolver::resolve`], again after every input for as long as
//! it needs them; without that a lookup ends by itself. Bytes and sockets are `wire::dns` and
//! `net::resolver`.
//!
//! ```text
//!         resolve             next nameserver: after 300 ms, or the last one failed
//! Idle -------------> Asking ---+
//!   ^  ^                | ^ ^---+
//!   |  |  all answered  | |
//!   |  +----------------+ +--- resolve: other nameservers, interfaces or families
//!   |                   | every nameserver asked in vain, or the name does not exist
//!   |    wait over      v
//!   +--------------- Resting     (late answers still count)
//! ```
//!
//! A and AAAA are asked side by side; the first answer of each wins. A name of one label is tried
//! with each search domain, then bare; the first that has an address ends the search. A family
//! without a word after a whole pass counts as empty if the other one has an address.
//!
//! An agent that needs no address sends no question. One that needs one all the time and has three
//! silent nameservers sends six every 5.9 s, at most 3,700 an hour.

mod known;
mod lookup;
mod view;

use core::net::IpAddr;
use core::time::Duration;

use self::known::{Known, to_front};
pub use self::lookup::Families;
use self::lookup::{Hop, Lookup, Phase, Plan};
use super::event::{Actions, Answer, Failure, Query, RecordKind};
use super::link::Name;
use super::settings::{Host, Nameserver, ResolverSettings, Server};
use super::time::Instant;

/// Most addresses given for the server: those of one A and one AAAA answer.
pub const ADDRESSES_MAX: usize = 16;
/// Most queries open at a time: both kinds to every nameserver, in two passes.
pub const QUERIES_MAX: usize = 12;
/// Most actions that one call orders: every open query closed, and one asked per kind.
pub const RESOLVE_ACTIONS_MAX: usize = QUERIES_MAX + 2;

/// How long an A answer waits for its AAAA (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Shortest time between an answer and a refresh ahead of its end.
const REFRESH_MIN: Duration = Duration::from_secs(5);

/// When what is known is to be asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    None,
    /// When the last answer is some seconds old.
    Soon,
    Now,
}

/// What the core can do about addresses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// [`Resolver::addresses`] has some.
    Known,
    /// An answer may still come; so may [`Resolver::fallback`] give an address.
    Waiting,
    /// Nobody could be asked, or every nameserver was asked in vain.
    Failed(Failure),
}

/// The addresses of the server's host, and the lookup that finds them.
#[derive(Debug)]
pub struct Resolver {
    host: Option<Host>,
    settings: ResolverSettings,
    lookup: Lookup,
    /// Why the last lookup was in vain.
    failure: Option<Failure>,
    /// The nameserver to ask first.
    answered_last: Option<IpAddr>,
    known: Known,
    resolved_at: Option<Instant>,
    /// Known addresses are held back until then, for IPv6 to come first.
    held_until: Option<Instant>,
    good: Option<IpAddr>,
    /// Whether what is known is to be asked anew, whatever its TTL.
    doubt: Doubt,
}

impl Resolver {
    /// No server, no nameserver, nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self {
            host: None,
            settings: ResolverSettings::default(),
            lookup: Lookup::new(),
            failure: None,
            answered_last: None,
            known: Known::default(),
            resolved_at: None,
            held_until: None,
            good: None,
            doubt: Doubt::None,
        }
    }

    /// Takes the server to resolve. Another host than before: everything asked about the former one
    /// is forgotten.
    ///
    /// What the hosts file says of the new host must be known before, by
    /// [`configure`](Self::configure): the first beat to it may start in the same wake-up.
    pub fn server(&mut self, server: &Server, actions: &mut Actions) {
        if self.host.as_ref() == Some(&server.host) {
            return;
        }
        self.host = Some(server.host.clone());
        self.good = None;
        self.forget(actions);
    }

    /// Takes what the system says about name resolution; true if it is news.
    ///
    /// News drops queries and cached answers: they may belong to another network. The last good
    /// address stays.
    pub fn configure(&mut self, settings: &ResolverSettings, actions: &mut Actions) -> bool {
        let news = self.settings != *settings;
        if news {
            self.settings = settings.clone();
            self.forget(actions);
        }
        news
    }

    /// Makes sure that addresses are known now and in `ahead` from now, or that a lookup is under
    /// way.
    ///
    /// To be called after every input for as long as addresses are needed; a call that finds all
    /// in order does nothing. `via` says over which interface a nameserver can be reached: `None`,
    /// not at all at present; `Some(None)`, unbound, for one on this host. `families` are those in
    /// which the server can be reached. With an `ahead` of one interval, called once per beat, an
    /// answer that will have expired by the next beat is refreshed beside this one.
    pub fn resolve(
        &mut self,
        via: impl Fn(&Nameserver) -> Option<Option<Name>>,
        families: Families,
        ahead: Duration,
        now: Instant,
        actions: &mut Actions,
    ) {
        if !matches!(self.host, Some(Host::Name(_))) || !self.settings.hosts.is_empty() {
            return;
        }
        let recent = self.resolved_at.is_some_and(|at| now < at + REFRESH_MIN);
        let until = if recent { now } else { now + ahead };
        let doubted = match self.doubt {
            Doubt::None => false,
            Doubt::Soon => !recent,
            Doubt::Now => true,
        };
        if families.is_empty() || (!doubted && self.known.covers(families, until)) {
            return;
        }
        let plan = self.plan(via);
        if self.lookup.follows(&plan, families) {
            return;
        }
        let nobody = plan.is_empty();
        self.lookup.set_plan(plan, families);
        if nobody {
            let none = self.settings.nameservers.is_empty();
            self.failure = Some(if none { Failure::NoNameserver } else { Failure::Unreachable });
        } else {
            self.begin((self.search_len() > 0).then_some(0), now, actions);
        }
    }

    /// Takes a nameserver's answer; true if an address became known.
    ///
    /// The query is over: the loop has closed its socket. An answer to a forgotten query changes
    /// nothing.
    pub fn answered(
        &mut self,
        query: Query,
        answer: &Answer,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        let Some(open) = self.lookup.take(query) else { return false };
        let knew = self.known.addresses(now).next().is_some();
        self.answered_last = Some(open.hop.address);
        self.known.learn(open.kind, answer, now);
        self.lookup.pending.remove(open.kind);
        self.lookup.close(actions, |other| other.kind == open.kind);
        let useful = !answer.addresses.is_empty();
        if useful {
            self.doubt = Doubt::None;
            self.resolved_at = Some(now);
            // RFC 8305 §3: an AAAA answer is used at once, an A answer waits for one under way.
            let wait = open.kind == RecordKind::A && self.lookup.is_open() && !knew;
            self.held_until = wait.then_some(now + RESOLUTION_DELAY);
        }
        self.settle(now, actions);
        useful
    }

    /// Takes a query's failure. The query is over: the loop has closed its socket.
    pub fn failed(&mut self, query: Query, failure: Failure, now: Instant, actions: &mut Actions) {
        let Some(open) = self.lookup.take(query) else { return };
        if failure == Failure::NameNotFound {
            // RFC 8020: the name does not exist, whatever the type.
            self.answered_last = Some(open.hop.address);
            self.known = Known::default();
            self.lookup.pending = Families::default();
            self.settle(now, actions);
        } else if self.lookup.failed(&open, failure) {
            self.advance(now, actions);
        }
    }

    /// Lets time pass: the next nameserver, the end of a pass or of a rest, of held addresses and
    /// of queries nobody answered.
    pub fn tick(&mut self, now: Instant, actions: &mut Actions) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.release(now);
        }
        if self.lookup.tick(now, actions) {
            match self.lookup.phase {
                Phase::Asking { .. } => self.advance(now, actions),
                Phase::Resting { .. } | Phase::Idle => self.lookup.phase = Phase::Idle,
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.lookup.next_deadline().into_iter().chain(self.held_until).min()
    }

    /// Ends the lookup: nobody needs addresses. What is known stays.
    pub fn close_all(&mut self, actions: &mut Actions) {
        self.lookup.stop(actions);
        self.held_until = None;
    }

    /// Drops the queries bound to an interface that is no longer usable; the next
    /// [`resolve`](Self::resolve) asks again at once.
    pub fn link_lost(&mut self, name: Name, actions: &mut Actions) {
        self.lookup.link_lost(name, actions);
    }

    /// Ends a rest, so that the next [`resolve`](Self::resolve) asks at once: there is evidence
    /// that the network works again.
    pub fn network_back(&mut self) {
        self.lookup.rested();
        self.lookup.phase = Phase::Idle;
    }

    /// Something speaks against what is known: it is used, and asked anew beside that. A nameserver may have
    /// named a portal's address, or a router its own, for an hour.
    ///
    /// `now` for the first word of another network; else once every few seconds at most.
    pub fn doubt(&mut self, now: bool) {
        self.doubt = self.doubt.max(if now { Doubt::Now } else { Doubt::Soon });
    }

    /// Remembers the address of the last acknowledged beat.
    pub fn good(&mut self, address: IpAddr) {
        self.good = Some(address);
    }

    /// The nameservers that can be reached, the one that answered last before the others.
    fn plan(&self, via: impl Fn(&Nameserver) -> Option<Option<Name>>) -> Plan {
        let servers = self.settings.nameservers.iter();
        let mut plan: Plan =
            servers.filter_map(|s| Some(Hop { address: s.address, via: via(s)? })).collect();
        to_front(&mut plan, |hop| Some(hop.address) == self.answered_last);
        plan
    }

    fn begin(&mut self, candidate: Option<u8>, now: Instant, actions: &mut Actions) {
        self.lookup.begin(candidate, now, actions);
        self.advance(now, actions);
    }

    /// Asks the next nameserver; after the last one, makes do with one family or rests.
    fn advance(&mut self, now: Instant, actions: &mut Actions) {
        let Err(failure) = self.lookup.advance(now, actions) else { return };
        if self.lookup.is_answered_in_part() && self.known.addresses(now).next().is_some() {
            for kind in self.lookup.pending.kinds() {
                self.known.miss(kind, now);
            }
            self.finish(now, actions);
        } else {
            self.rest(failure, now);
        }
    }

    /// Ends the pass if all is answered: with addresses, with another candidate, or in vain.
    fn settle(&mut self, now: Instant, actions: &mut Actions) {
        if !self.lookup.pending.is_empty() {
            return;
        }
        if self.known.addresses(now).next().is_some() {
            self.finish(now, actions);
        } else if let Some(candidate) = self.lookup.candidate {
            let next = candidate + 1;
            self.begin((usize::from(next) < self.search_len()).then_some(next), now, actions);
        } else {
            self.lookup.stop(actions);
            self.rest(Failure::NameNotFound, now);
        }
    }

    fn finish(&mut self, now: Instant, actions: &mut Actions) {
        self.release(now);
        self.lookup.stop(actions);
        self.lookup.rested();
        self.failure = None;
    }

    fn rest(&mut self, failure: Failure, now: Instant) {
        self.failure = Some(failure);
        self.lookup.rest(now);
    }

    /// Lets go of addresses held back.
    fn release(&mut self, now: Instant) {
        if self.held_until.take().is_some() {
            self.resolved_at = Some(now);
        }
    }

    fn forget(&mut self, actions: &mut Actions) {
        self.close_all(actions);
        self.lookup.rested();
        self.failure = None;
        self.answered_last = None;
        self.known = Known::default();
        self.resolved_at = None;
    }

    /// The number of search domains to try: none for a name that has a dot.
    fn search_len(&self) -> usize {
        match &self.host {
            Some(Host::Name(name)) if !name.contains('.') => self.settings.search.len(),
            _ => 0,
        }
    }
}

/// What went wrong on the way to a nameserver, told apart from the way to the server.
const fn of_names(failure: Failure) -> Failure {
    match failure {
        Failure::Refused
        | Failure::Unreachable
        | Failure::TimedOut
        | Failure::Reset
        | Failure::NoInterface => Failure::NameServerSilent,
        _ => failure,
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
