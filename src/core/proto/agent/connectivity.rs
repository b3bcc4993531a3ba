//! The connectivity, and the consequences of a restored network.

use core::net::IpAddr;

use super::Agent;
use crate::proto::event::{Action, Actions, CheckId, Failure, Note, ProbeId, Reason};
use crate::proto::link::{InterfaceName, Neighbour};
use crate::proto::reach::{Finding, Targets};
use crate::proto::resolve::Families;
use crate::proto::settings::PROBE_ADDRESSES_MAX;
use crate::proto::time::Instant;

impl Agent {
    pub(super) fn probe_answered(&mut self, probe: ProbeId, now: Instant, actions: &mut Actions) {
        if self.standby_tested(probe, None, now, actions) {
            return;
        }
        let finding = self.network.reach_mut().answered(probe, now, &mut self.rng, actions);
        let Some(finding) = finding else { return };
        self.outages.outside_answered(matches!(finding, Finding::Restored { .. }));
        let restored = self.on_answer_from_outside(false, now, actions);
        if let Finding::Restored { sent_at } = finding
            && !self.hold_back(restored, now, actions)
        {
            self.on_network_restored(sent_at, restored, now, actions);
        }
    }

    /// After an outage, puts off the beat that is wanted or under way, unless the device itself asks
    /// for it; true if it did.
    pub(super) fn hold_back(
        &mut self,
        restored: bool,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        let local = self.delivery.carried().is_some_and(|carried| carried.is_local());
        let outage = restored || self.demand.is_retrying();
        if !outage || local || !self.demand.spread(now, &mut self.rng) {
            return false;
        }
        self.network.resolver_mut().network_back();
        self.delivery.restart(now, actions);
        if let Some(flight) = self.end_beat(now) {
            self.demand.put_back(flight.carried);
        }
        true
    }

    /// Something outside answered; `delivered` if the answer was to a beat. True on the edge from
    /// offline.
    pub(super) fn on_answer_from_outside(
        &mut self,
        delivered: bool,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        if !self.network.online(now) {
            return false;
        }
        Action::Note(Note::ConnectivityRestored).push_to(actions);
        self.delivery.start_afresh(now);
        self.extend_deadline(now);
        if !delivered && self.demand.is_running() {
            match self.delivery.carried() {
                Some(carried) => carried.add(Reason::Restored, now),
                None => self.demand.add(Reason::Restored, now),
            }
        }
        true
    }

    /// Decides whether the device is offline, from the probes and the last beat together.
    pub(super) fn update_connectivity(&mut self, now: Instant, actions: &mut Actions) {
        if self.network.routing().is_open() {
            return;
        }
        let Some(settings) = &self.settings else { return };
        let probes = !settings.probe_addresses.is_empty();
        let failure = if probes {
            self.delivery.failure()
        } else {
            // The beat is all there is: a whole round decides, and not one of several addresses.
            self.delivery.last().failure().filter(|_| self.delivery.is_idle())
        };
        let failing = failure.is_some_and(Failure::is_of_the_network);
        let uplink = self.network.first().map(|uplink| uplink.name);
        self.outages.uses(uplink);
        if self.network.goes_offline(failing, probes, now) {
            // While beats are off, none is missed.
            if self.demand.is_running() {
                self.outages.lost(uplink.is_some(), self.delivery.round_at(), now);
            }
            Action::Note(Note::ConnectivityLost).push_to(actions);
            self.give_up_unacknowledged(now, actions);
        }
    }

    /// Gives up what was written into the outage: the server is to receive that there was one, and
    /// not what the kernel delivers by itself when it is over.
    fn give_up_unacknowledged(&mut self, now: Instant, actions: &mut Actions) {
        for id in self.delivery.unacknowledged() {
            Action::CloseConnection(id).push_to(actions);
            self.connection_failed(id, Failure::TimedOut, now);
        }
        self.drive(now, actions);
    }

    /// The network answers again: what is stuck is replaced, what waits is sent.
    ///
    /// `restored`: nothing got through till now, so that what failed is no worse than the rest.
    fn on_network_restored(
        &mut self,
        sent_at: Instant,
        restored: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        self.network.resolver_mut().network_back();
        if self.delivery.is_idle() {
            if self.demand.is_retrying() {
                self.demand.retry_early();
            }
            return;
        }
        let promising = self.delivery.close_stuck(sent_at, actions);
        if self.delivery.renew_round(restored, now) {
            self.extend_deadline(now);
        }
        if !promising && !self.delivery.race().attempts.is_full() {
            self.ask_for_names(now, actions);
            if let Some(best) = self.delivery.best(&self.network, now) {
                self.delivery.open(best, &self.network, now, actions);
            }
        }
    }

    pub(super) fn neighbour_reported(
        &mut self,
        neighbour: Neighbour,
        now: Instant,
        actions: &mut Actions,
    ) {
        if let Some(uplink) = self.network.gateway_back(neighbour, now) {
            Action::Note(Note::GatewayBack(uplink)).push_to(actions);
            let in_use = self.network.first().is_some_and(|first| first.name == uplink);
            if self.delivery.trust(uplink) && in_use && self.demand.is_running() {
                // The server was sent the address of another one since. A beat of its own: the one
                // under way may still go over that other one.
                self.demand.add(Reason::Priority(uplink), now);
            }
            // A beat that waits pays when it starts.
            if self.delivery.is_idle() || self.demand.take_change_token(1, now) {
                self.on_network_restored(now, true, now, actions);
            }
        }
    }

    pub(super) fn check_finished(
        &mut self,
        check: CheckId,
        answers: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let change = self.network.services_mut().check_finished(check, answers, now);
        let Some(change) = change else { return };
        if let Note::ServiceRecovered(name) = change
            && self.demand.is_running()
        {
            self.request_beat(Reason::ServiceRecovered(name), now);
        }
        Action::Note(change).push_to(actions);
    }

    /// Sends the probes that are due, over the way out that the beat takes.
    pub(super) fn probe(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        if !self.network.reach().is_probing() {
            return;
        }
        let quiet = self.demand.quiet_until(now).is_some();
        let found_out =
            !self.demand.is_retrying() || (quiet && self.network.reach().is_server_silent());
        if !self.network.has_way(now) || (self.delivery.is_idle() && found_out) {
            self.network.reach_mut().stop(actions);
            return;
        }
        // A server that asked for quiet is not probed.
        let server =
            self.network.resolver().last_good().or_else(|| self.delivery.race().turns.first());
        let server = server.filter(|_| !quiet);
        let targets = settings.probe_addresses.iter().map(|to| to.ip());
        let targets = targets.chain(server);
        let ways: heapless::Vec<(IpAddr, Option<InterfaceName>), { PROBE_ADDRESSES_MAX + 1 }> =
            targets.filter_map(|to| Some((to, self.delivery.way(&self.network, to)?))).collect();
        let leads = |to: IpAddr| ways.iter().any(|(it, _)| *it == to);
        let probes =
            |v4| settings.probe_addresses.iter().any(|to| to.is_ipv4() == v4 && leads(to.ip()));
        let targets = Targets {
            internet: &settings.probe_addresses,
            families: Families { v4: probes(true), v6: probes(false) },
            server: server.filter(|ip| leads(*ip)).map(|ip| self.network.resolver().server_at(ip)),
            via: |to| ways.iter().find(|(it, _)| *it == to).and_then(|(_, via)| *via),
        };
        self.network.reach_mut().tick(
            &targets,
            settings.probe_timeout,
            now,
            &mut self.rng,
            actions,
        );
    }
}
