//! The agent: every decision, in one place that owns no socket and no clock.
//!
//! ```text
//!            want, way out, gate open                     2xx, or a final answer
//!   Idle ------------------------------> InFlight ---------------------------------> Idle
//!     ^                                      |
//!     +---- retrying, hastened by evidence --+ no connection left, or out of time
//! ```
//!
//! [`handle`](Agent::handle) takes what happened and answers with orders, first to be performed
//! first. Every input is followed by the same steps (`advance`): the cycle ticks, a beat
//! starts if one is wanted and allowed, the race goes on, the probes go on. The rooms: `wanted` (what
//! is asked for, and when it may start), `beat` (one `seq` under way), `outcome` (how it ends), `paths` (which
//! connection comes next), `outside` (what is reachable), `owed` (what the server was told by the
//! wrong uplink), `parked` (what a lost carrier took), `network` (links, uplinks, what dies with them), `view` (what people are shown).

mod beat;
mod network;
mod outcome;
mod outside;
mod owed;
mod parked;
mod paths;
mod view;
mod wanted;

pub use view::{Obstacle, View};

use self::beat::Beat;
use self::owed::Owed;
use self::parked::Parked;
use self::wanted::{Gate, Hold};
use super::backoff::Backoff;
use super::event::{Action, Actions, Failure, Input};
use super::gateways::LostGateways;
use super::links::Links;
use super::moderation::Bucket;
use super::race::Race;
use super::reach::Reach;
use super::resolve::Resolver;
use super::rng::Rng;
use super::routing::{Question, Routing};
use super::schedule::{Cycle, Wants};
use super::services::Services;
use super::settings::{BucketSettings, Settings};
use super::time::Instant;
use super::uplink::{Active, Uplinks};

use core::time::Duration;

/// The whole state of the core.
#[derive(Debug)]
pub struct Agent {
    settings: Option<Settings>,
    rng: Rng,
    // The network.
    links: Links,
    dump: Dump,
    routing: Routing,
    uplinks: Uplinks,
    active: Active,
    usable_at: Instant,
    parked: Parked,
    settled: bool,
    lost_gateways: LostGateways,
    /// Neighbours are listened to.
    watching: bool,
    resolver: Resolver,
    /// Which of their ways the nameservers are asked over, counted from the best.
    name_turn: usize,
    reach: Reach,
    services: Services,
    // What is wanted.
    cycle: Cycle,
    started: bool,
    fresh: Wants,
    retrying: Wants,
    told: u64,
    triggers: Bucket,
    changes: Bucket,
    // What is under way.
    seq: u64,
    beat: Beat,
    race: Race,
    owed: Option<Owed>,
    /// The beat under way repeats a change of uplink that did not get through over the new one.
    news_repeated: bool,
    backoff: Backoff,
    retry_at: Instant,
    hastened: bool,
    hold: Option<Hold>,
    last_failure: Option<Failure>,
    rounds_failed: u32,
    delivered: bool,
}

/// Whether the kernel is telling all it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dump {
    /// Not yet: nothing is known.
    Awaited,
    /// No.
    None,
    /// Yes, because messages were lost or said too little.
    Ordered,
    /// Yes, for the second time: what came in between said too little again.
    Repeated,
}

impl Agent {
    /// An agent that knows nothing and waits for its first [`Input::Configured`].
    ///
    /// `seed` feeds the jitter; two devices must not have the same one.
    #[must_use]
    pub fn new(seed: u64, now: Instant) -> Self {
        let unlimited = BucketSettings { burst: 1, every: Duration::ZERO };
        Self {
            settings: None,
            rng: Rng::new(seed),
            links: Links::new(),
            dump: Dump::Awaited,
            routing: Routing::new(),
            uplinks: Uplinks::new(),
            active: Active::new(),
            usable_at: now,
            parked: Parked::default(),
            settled: false,
            lost_gateways: LostGateways::new(),
            watching: false,
            resolver: Resolver::new(),
            name_turn: 0,
            reach: Reach::new(),
            services: Services::new(),
            cycle: Cycle::default(),
            started: false,
            fresh: Wants::default(),
            retrying: Wants::default(),
            told: 0,
            triggers: Bucket::new(unlimited, now),
            changes: Bucket::new(unlimited, now),
            seq: 1,
            beat: Beat::Idle,
            race: Race::new(),
            owed: None,
            news_repeated: false,
            backoff: Backoff::new(),
            retry_at: now,
            hastened: false,
            hold: None,
            last_failure: None,
            rounds_failed: 0,
            delivered: false,
        }
    }

    /// Takes what happened at `now` and returns what to do, in order.
    ///
    /// `now` never goes back. Results of attempts, probes and queries that were given up are dropped.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Actions {
        let mut actions = Actions::new();
        let out = &mut actions;
        match input {
            Input::Deadline => {}
            Input::Link(event) => self.link_told(event, now, out),
            Input::LinksLost => self.order_dump(Dump::Ordered, out),
            Input::LinksDumped => self.dumped(out),
            Input::Routes(routes) => self.routes_answered(routes, now, out),
            Input::Neighbour(neighbour) => self.neighbour(neighbour, now, out),
            Input::ClockSet => self.clock_set(),
            Input::Configured(settings) => self.configured(settings, now, out),
            Input::ResolverChanged(settings) => {
                if self.resolver.configure(settings, out) {
                    self.hastened = true;
                }
            }
            Input::Triggered { word, ticket } => self.triggered(word, ticket, now, out),
            Input::ProbeAnswered(probe) => self.probe_answered(probe, now, out),
            Input::ProbeFailed(probe, failure) => self.reach.failed(probe, failure, now),
            Input::ServiceAnswered(look) => self.looked(look, true, now, out),
            Input::ServiceFailed(look, _) => self.looked(look, false, now, out),
            // Whether it is of use shows in the addresses.
            Input::QueryAnswered(query, answer) => {
                self.resolver.answered(query, answer, now, out);
            }
            Input::QueryFailed(query, failure) => self.resolver.failed(query, failure, now, out),
            Input::Opened(attempt, local) => self.opened(attempt, local),
            Input::Connected(attempt) => self.connected(attempt, now, out),
            Input::Secured(attempt) => self.secured(attempt, now, out),
            Input::Written(attempt) => self.written(attempt, now),
            Input::AckChecked(attempt, acked) => self.ack_checked(attempt, acked, now, out),
            Input::Replied(attempt, reply) => self.replied(attempt, reply, now, out),
            Input::AttemptFailed(attempt, failure) => self.attempt_failed(attempt, failure, now),
        }
        self.advance(now, out);
        actions
    }

    /// What the kernel is to be asked, in answer to [`Action::AskRoutes`].
    pub fn questions(&self) -> impl Iterator<Item = Question> {
        self.routing.questions(&self.links)
    }

    /// When to call [`handle`](Self::handle) with [`Input::Deadline`] if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let start = match self.gate(now) {
            Gate::From(at) if self.beat.is_idle() => Some(at),
            Gate::From(_) | Gate::Closed => None,
        };
        [
            self.cycle.due_at(),
            start,
            self.beat.next_deadline(),
            self.race.next_deadline(),
            self.owed.as_ref().map(|owed| owed.until),
            self.parked.close_at,
            self.routing.next_deadline(),
            self.reach.next_deadline(),
            self.resolver.next_deadline(),
            self.services.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn advance(&mut self, now: Instant, actions: &mut Actions) {
        self.routing.tick(now);
        self.ask_kernel(now, actions);
        self.tick(now);
        self.look_around(now, actions);
        self.resolver.tick(now, actions);
        if self.beat.is_idle() && self.gate(now) == Gate::From(now) {
            self.start(now, actions);
        }
        self.drive(now, actions);
        self.forgive(now, actions);
        self.close_parked(now, actions);
        self.probe(now, actions);
        self.judge(now, actions);
        self.watch_neighbours(actions);
        self.ask_kernel_again(now, actions);
    }

    fn order_dump(&mut self, dump: Dump, actions: &mut Actions) {
        self.dump = dump;
        self.links.start_dump();
        Action::DumpLinks.push_to(actions);
    }

    fn dumped(&mut self, actions: &mut Actions) {
        let former = core::mem::replace(&mut self.dump, Dump::None);
        self.links.finish_dump();
        // Whatever was lost besides shows in the answers.
        self.routing.forget_heard();
        self.routing.want();
        // Once more at most: a kernel that cannot make itself clear is not asked for ever.
        if self.links.wants_dump() && former == Dump::Ordered {
            self.order_dump(Dump::Repeated, actions);
        }
    }
}

/// Whether a failure says that packets do not get through, rather than that somebody refuses us.
const fn is_of_the_network(failure: Failure) -> bool {
    match failure {
        Failure::Refused
        | Failure::Unreachable
        | Failure::TimedOut
        | Failure::NoInterface
        | Failure::NameServerSilent => true,
        Failure::Reset
        | Failure::Closed
        | Failure::Denied
        | Failure::Exhausted
        | Failure::Tls(_)
        | Failure::Malformed
        | Failure::TooLarge
        | Failure::Status(_)
        | Failure::Portal(_)
        | Failure::NotAccepted
        | Failure::NameNotFound
        | Failure::NameServerFailed
        | Failure::NoNameserver => false,
    }
}

#[cfg(test)]
mod tests;
