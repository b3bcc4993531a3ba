//! The agent: every decision, in one place that owns no socket and no clock.
//!
//! [`handle`](Agent::handle) takes what happened and answers with orders, first to be performed
//! first. Every input is followed by the same steps (`advance`): the cycle ticks, a beat
//! starts if one is wanted and allowed, the race goes on, the probes go on.
//!
//! The state has four owners: the `network`, the `demand` for beats, the `delivery` of the one under
//! way, which uses the network, and the `outages`. They do not know each other otherwise.
//! The agent is where they meet. Its
//! rooms: `requests` (what asks for a beat), `standby` (tests of uplinks in reserve), `changes` (what a change of the network means to
//! beats), `connectivity` (what is reachable, and what its return sets going), `beat` (one round of
//! attempts), `outcome` (how it ends), `view` (what people are shown).

mod beat;
mod changes;
mod connectivity;
mod outcome;
mod requests;
mod standby;
mod view;

pub use self::view::View;
pub use super::network::{Identity, Obstacle};
pub use super::race::Path;

use super::delivery::Delivery;
use super::demand::Demand;
pub use super::demand::IntervalSource;
use super::event::{Action, Actions, Input};
use super::network::Network;
use super::outages::Outages;
use super::rng::Rng;
use super::route::RouteQuestion;
use super::settings::Settings;
use super::time::Instant;

/// The whole state of the core.
#[derive(Debug)]
pub struct Agent {
    /// The configuration in force.
    settings: Option<Settings>,
    /// Spreads waits, so that the devices of a fleet do not act in step.
    rng: Rng,
    /// The network: links, routes, uplinks, names, reachability.
    network: Network,
    /// The reasons for the next beat and the waits before it.
    demand: Demand,
    /// The beat under way, and its connections.
    delivery: Delivery,
    /// When beats did not get through, and what the server has not heard of that.
    outages: Outages,
    /// Whether the last beat is wanted or under way.
    says_goodbye: bool,
}

impl Agent {
    /// An agent that knows nothing and waits for its first [`Input::Configured`].
    ///
    /// `seed` feeds the jitter; two devices must not have the same one.
    pub fn new(seed: u64, now: Instant) -> Self {
        Self {
            settings: None,
            rng: Rng::new(seed),
            network: Network::new(now),
            demand: Demand::default(),
            delivery: Delivery::new(),
            outages: Outages::default(),
            says_goodbye: false,
        }
    }

    /// Takes what happened at `now` and returns what to do, in order.
    ///
    /// `now` never goes back. Results of attempts, probes and queries that were given up are
    /// dropped.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Actions {
        let mut actions = Actions::new();
        let out = &mut actions;
        match input {
            Input::Deadline => {}
            Input::Link(event) => self.link_reported(event, now, out),
            Input::LinksLost => self.network.order_dump(out),
            Input::LinksDumped => self.network.dumped(out),
            Input::Routes(routes) => self.routes_answered(routes, now, out),
            Input::Neighbour(neighbour) => self.neighbour_reported(neighbour, now, out),
            Input::ClockSet => self.clock_set(),
            Input::Configured(settings) => self.configured(settings, now, out),
            Input::ResolverChanged(settings) => {
                if self.network.resolver_mut().configure(settings, out) {
                    self.demand.retry_early();
                }
            }
            Input::Triggered { word, request } => self.triggered(word, request, now, out),
            Input::Stopping => self.stopping(now),
            Input::ProbeAnswered(probe) => self.probe_answered(probe, now, out),
            Input::ProbeFailed(probe, failure) => {
                if !self.standby_tested(probe, Some(failure), now, out) {
                    self.network.reach_mut().failed(probe, failure, now);
                }
            }
            Input::ServiceAnswered(check) => self.check_finished(check, true, now, out),
            Input::ServiceFailed(check, _) => self.check_finished(check, false, now, out),
            Input::QueryAnswered(query, answer) => {
                self.network.resolver_mut().answered(query, answer, now, out);
            }
            Input::QueryFailed(query, failure) => {
                self.network.resolver_mut().failed(query, failure, now, out);
            }
            Input::Opened(id, local) => self.delivery.opened(id, local),
            Input::Connected(id) => self.connected(id, now, out),
            Input::Secured(id) => self.secured(id, now, out),
            Input::Written(id) => self.delivery.written(id, now),
            Input::AckChecked(id, acked) => {
                self.delivery.ack_checked(id, acked, &mut self.network, now, out);
            }
            Input::Replied(id, reply) => self.replied(id, reply, now, out),
            Input::ConnectionFailed(id, failure) => self.connection_failed(id, failure, now),
        }
        self.advance(now, out);
        if actions.iter().any(|action| matches!(action, Action::SendReport { .. })) {
            self.demand.promise_next(now);
        }
        actions
    }

    /// Returns the questions for the kernel, in answer to [`Action::AskRoutes`].
    pub fn questions(&self) -> impl Iterator<Item = RouteQuestion> {
        self.network.questions()
    }

    /// The port of the server, on which the answers may depend.
    pub fn server_port(&self) -> Option<u16> {
        Some(self.settings.as_ref()?.server.as_ref()?.port)
    }

    /// Whether sockets are bound to the uplink.
    pub const fn binds(&self) -> bool {
        self.network.binds()
    }

    /// Whether the last beat is wanted or under way, after [`Input::Stopping`].
    pub const fn says_goodbye(&self) -> bool {
        self.says_goodbye
    }

    /// When to call [`handle`](Self::handle) with [`Input::Deadline`] if nothing happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let owners = [
            self.demand.due_at(),
            self.start_at(now).filter(|_| self.delivery.is_idle()),
            self.delivery.next_deadline(),
            self.network.next_deadline(),
        ];
        owners.into_iter().flatten().min()
    }

    fn advance(&mut self, now: Instant, actions: &mut Actions) {
        self.network.routing_mut().tick(now);
        self.ask_kernel(actions);
        self.tick(now);
        self.network.services_mut().tick(now, actions);
        self.network.tick_names(now, actions);
        if self.delivery.is_idle() && self.start_at(now) == Some(now) {
            self.start(now, actions);
        }
        self.drive(now, actions);
        self.delivery.expire_late(now, actions);
        self.network.close_parked(now, actions);
        self.probe(now, actions);
        self.update_connectivity(now, actions);
        self.tick_standby(now, actions);
        self.network.watch_neighbours(self.delivery.avoids_paths(), actions);
        if self.network.routing().is_wanted() {
            self.ask_kernel(actions);
        }
        self.delivery.report_outages_to(self.outages.numbered());
    }

    fn ask_kernel(&mut self, actions: &mut Actions) {
        self.network.ask_kernel(self.delivery.connections(), actions);
    }

    /// When the beat that is wanted may start, now or in the future. `None`: nothing is wanted, or
    /// there is no way out, and only an input can change that.
    fn start_at(&self, now: Instant) -> Option<Instant> {
        let possible = self.demand.is_pending() && self.network.is_complete();
        let possible = possible && self.network.is_worth_trying(now);
        self.demand.start_at(now).filter(|_| possible)
    }
}

#[cfg(test)]
mod tests;
