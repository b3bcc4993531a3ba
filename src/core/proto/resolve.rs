//! Name resolution: which nameserver is asked what and when, and which addresses count.
//!
//! The core asks for addresses with `Resolver::resolve`, again after every input for as long as
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
//! A and AAAA are asked side by side, and what is said of one is said of that one alone (RFC 4074);
//! the first answer of each wins. A name with fewer dots than `ndots` is tried with each search
//! domain, then bare, any other the other way round: these are the *candidates*, and the first that
//! has an address ends the search. A candidate that every nameserver refuses to answer for is
//! passed over like one that does not exist. A candidate that all nameservers were silent about
//! twice is followed by the next one when the wait is over. A late address of it still counts, and
//! the denial of other candidates says nothing of it. Other ways and nameservers are asked from
//! the first candidate on. A family without an answer after a whole pass counts as empty if the
//! other one has an address.
//!
//! An agent that needs no address sends no question. One that needs one all the time and has three
//! silent nameservers sends six every 5.9 s, at most 3,700 an hour, and some more where each round
//! of its beats goes through several ways. A search adds 392 candidates an hour.

mod candidates;
mod known;
mod lookup;
mod view;

use core::net::IpAddr;
use core::time::Duration;

use self::known::KnownAddresses;
pub(super) use self::lookup::Families;
pub use self::lookup::port_of;
use self::lookup::{Lookup, LookupPhase, Open};
pub(super) use self::view::State;
use super::event::{Actions, Answer, Failure, QueryId, Transport};
use super::link::InterfaceName;
use super::route::Family;
use super::settings::{Host, Nameserver, ResolverSettings, Server};
use super::time::Instant;

/// Most addresses given for the server: those of one A and one AAAA answer.
pub(super) const ADDRESSES_MAX: usize = 16;
/// Most queries open at a time: both families to every nameserver, in the three passes of the first
/// nine seconds, in which a slow answer may come.
pub const QUERIES_MAX: usize = 18;

/// How long an A answer waits for its AAAA (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// When what is known is to be asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    None,
    /// When the last answer is some seconds old.
    Soon,
    Now,
}

/// The addresses of the server's host, and the lookup that finds them.
#[derive(Debug)]
pub(super) struct Resolver {
    host: Option<Host>,
    /// The port of the server.
    port: u16,
    settings: ResolverSettings,
    lookup: Lookup,
    /// Why the last lookup was in vain.
    failure: Option<Failure>,
    /// The nameserver to ask first.
    answered_last: Option<IpAddr>,
    known: KnownAddresses,
    resolved_at: Option<Instant>,
    /// Known addresses are held back until then, for IPv6 to come first.
    held_until: Option<Instant>,
    /// The address of the last acknowledged beat, and when that was.
    good: Option<(IpAddr, Instant)>,
    /// Whether what is known is to be asked anew, whatever its TTL.
    doubt: Doubt,
}

impl Resolver {
    /// No server, no nameserver, nothing known.
    pub(super) fn new() -> Self {
        Self {
            host: None,
            port: 0,
            settings: ResolverSettings::default(),
            lookup: Lookup::new(),
            failure: None,
            answered_last: None,
            known: KnownAddresses::default(),
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
    pub(super) fn server(&mut self, server: &Server, actions: &mut Actions) {
        self.port = server.port;
        if self.host.as_ref() == Some(&server.host) {
            return;
        }
        self.host = Some(server.host.clone());
        self.good = None;
        self.forget_answers(actions);
    }

    /// Takes what the system says about name resolution; true if it is news.
    ///
    /// News drops queries and cached answers: they may belong to another network. The last good
    /// address stays.
    pub(super) fn configure(&mut self, settings: &ResolverSettings, actions: &mut Actions) -> bool {
        let news = self.settings != *settings;
        if news {
            self.settings = settings.clone();
            self.lookup.answer_wait = settings.answer_wait;
            self.lookup.transport = if settings.tcp { Transport::Tcp } else { Transport::UdpEdns };
            self.forget_answers(actions);
        }
        news
    }

    /// Makes sure that addresses are known, or that a lookup is under way.
    ///
    /// To be called after every input for as long as addresses are needed; a call that finds all
    /// in order does nothing. `via` says over which interface a nameserver can be reached: `None`,
    /// not at all at present; `Some(None)`, unbound, for one on this host. `families` are those in
    /// which the server can be reached.
    pub(super) fn resolve(
        &mut self,
        via: impl Fn(&Nameserver) -> Option<Option<InterfaceName>>,
        families: Families,
        now: Instant,
        actions: &mut Actions,
    ) {
        if !self.wants(families, now) {
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
            self.begin(self.lookup.candidate, now, actions);
        }
    }

    /// Takes a nameserver's answer; true if an address became known.
    ///
    /// The query is over: the loop has closed its socket. An answer to a forgotten query changes
    /// nothing.
    pub(super) fn answered(
        &mut self,
        query: QueryId,
        answer: &Answer,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        let Some(open) = self.lookup.remove(query) else { return false };
        let (family, candidate) = (open.family, open.candidate);
        let useful = !answer.addresses.is_empty();
        if !useful && self.lookup.is_for_the_link(&open, now) {
            self.gave_nothing(&open, Failure::NameNotFound, now, actions);
            return false;
        }
        self.answered_last = Some(open.hop.address);
        if candidate != self.lookup.candidate {
            if !useful {
                return false;
            }
            self.lookup.turn_to(candidate);
        }
        self.lookup.pending.remove(family);
        self.lookup.close(actions, |other| match other.candidate == candidate {
            true => other.family == family,
            false => useful,
        });
        if useful {
            let knew = !self.known.addresses(Some(now)).is_empty();
            self.known.learn(family, answer, now);
            self.lookup.found = true;
            if let Some((other, ttl_s)) = self.lookup.empty.take() {
                self.known.learn(other, &Answer { ttl_s, ..Answer::default() }, now);
            }
            self.doubt = Doubt::None;
            self.resolved_at = Some(now);
            // RFC 8305 §3: an AAAA answer is used at once, an A answer waits for one under way.
            let wait = family == Family::V4 && self.lookup.is_open() && !knew;
            self.held_until = wait.then_some(now + RESOLUTION_DELAY);
        } else if self.lookup.found {
            self.known.learn(family, answer, now);
        } else {
            // Another candidate may have one: what is known stays till all have been asked.
            self.lookup.empty = Some((family, answer.ttl_s));
        }
        self.end_if_answered(now, actions);
        useful
    }

    /// Takes a query's failure. The query is over: the loop has closed its socket.
    pub(super) fn failed(
        &mut self,
        query: QueryId,
        failure: Failure,
        now: Instant,
        actions: &mut Actions,
    ) {
        if failure == Failure::NameNotFound {
            // RFC 4074 §4.2: there are nameservers that say so of AAAA alone, whatever RFC 8020
            // says.
            self.answered(query, &Answer::default(), now, actions);
            return;
        }
        let Some(open) = self.lookup.remove(query) else { return };
        self.gave_nothing(&open, failure, now, actions);
    }

    /// Goes on without what a query might have said.
    fn gave_nothing(&mut self, open: &Open, failure: Failure, now: Instant, actions: &mut Actions) {
        if open.candidate == self.lookup.candidate && self.lookup.failed(open, failure) {
            self.advance(now, actions);
        }
    }

    /// Lets time pass: the next nameserver, the end of a pass or of a rest, of held addresses and
    /// of queries without an answer.
    pub(super) fn tick(&mut self, now: Instant, actions: &mut Actions) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.release(now);
        }
        if self.lookup.tick(now, actions) {
            match self.lookup.phase {
                LookupPhase::Asking { .. } => self.advance(now, actions),
                LookupPhase::Resting { .. } | LookupPhase::Idle => {
                    self.lookup.phase = LookupPhase::Idle
                }
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lookup.next_deadline().into_iter().chain(self.held_until).min()
    }

    /// Ends the lookup: no address is needed. What is known stays.
    pub(super) fn close_all(&mut self, actions: &mut Actions) {
        self.lookup.stop(actions);
        self.held_until = None;
    }

    /// Drops the queries bound to an interface that is no longer usable; the next
    /// [`resolve`](Self::resolve) asks again at once.
    pub(super) fn link_lost(&mut self, name: InterfaceName, actions: &mut Actions) {
        self.lookup.link_lost(name, actions);
    }

    /// Ends a rest, so that the next [`resolve`](Self::resolve) asks at once: there is evidence
    /// that the network works again.
    pub(super) fn network_back(&mut self) {
        self.lookup.reset_rest();
        self.lookup.start_over();
        self.lookup.phase = LookupPhase::Idle;
    }

    /// Something speaks against what is known: it is used, and asked anew beside that. A nameserver
    /// may have named a portal's address, or a router its own, for an hour.
    ///
    /// `now`: at once, for the network is another one; else once every few seconds at most.
    pub(super) fn doubt(&mut self, now: bool) {
        self.doubt = self.doubt.max(if now { Doubt::Now } else { Doubt::Soon });
    }

    /// Remembers the address of the last acknowledged beat.
    pub(super) fn good(&mut self, address: IpAddr, now: Instant) {
        self.good = Some((address, now));
    }

    fn begin(&mut self, candidate: u8, now: Instant, actions: &mut Actions) {
        self.lookup.begin(candidate, now);
        self.advance(now, actions);
    }

    /// Asks the next nameserver; after the last one, makes do with one family, goes on to the next
    /// candidate, or rests.
    fn advance(&mut self, now: Instant, actions: &mut Actions) {
        let search = self.search(self.lookup.candidate);
        let Err(failure) = self.lookup.advance(search, now, actions) else { return };
        if self.lookup.found {
            for family in self.lookup.pending.iter() {
                self.known.miss(family, now);
            }
            self.finish(now, actions);
        } else if failure == Failure::NameServerFailed || self.lookup.is_answered_in_part() {
            self.lookup.trouble = Some(failure);
            self.next_candidate(now, actions);
        } else {
            let candidate = self.lookup.candidate;
            // One packet may have been lost: the same is asked about once more.
            if self.lookup.unheard.replace(candidate) == Some(candidate) {
                let next = candidate + 1;
                self.lookup.trouble = Some(failure).filter(|_| next < self.candidates());
                self.lookup.candidate = next % self.candidates();
            }
            self.rest(failure, now);
        }
    }

    /// Ends the pass if all is answered: with addresses, with another candidate, or in vain.
    fn end_if_answered(&mut self, now: Instant, actions: &mut Actions) {
        match (self.lookup.pending.is_empty(), self.lookup.found) {
            (true, true) => self.finish(now, actions),
            (true, false) => self.next_candidate(now, actions),
            // The other family has failed already.
            (false, _) if self.lookup.is_spent() => self.advance(now, actions),
            (false, _) => {}
        }
    }

    fn finish(&mut self, now: Instant, actions: &mut Actions) {
        self.release(now);
        self.lookup.stop(actions);
        self.lookup.reset_rest();
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

    fn forget_answers(&mut self, actions: &mut Actions) {
        self.close_all(actions);
        self.lookup.reset_rest();
        self.failure = None;
        self.answered_last = None;
        self.known = KnownAddresses::default();
        self.resolved_at = None;
    }
}

/// The failure of a query in terms of names: a nameserver that is unreachable is no unreachable
/// server.
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

#[cfg(test)]
mod tests;
