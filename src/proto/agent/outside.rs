//! What is reachable: what probes and connections say together, and what a healing sets going.

use super::Agent;
use super::is_of_the_network;
use crate::proto::event::{Action, Actions, Attempt, Failure, Note, Probe, Reason};
use crate::proto::link::{Name, Neighbour};
use crate::proto::race::{Stage, TRIES_MAX, Trust, Try};
use crate::proto::reach::{Connectivity, Finding, Targets};
use crate::proto::resolve::Families;
use crate::proto::services::{Look, Turn};
use crate::proto::settings::PROBE_ADDRESSES_MAX;
use crate::proto::time::Instant;

use core::net::{IpAddr, SocketAddr};

impl Agent {
    pub(super) fn probe_answered(&mut self, probe: Probe, now: Instant, actions: &mut Actions) {
        let Some(finding) = self.reach.answered(probe, now, &mut self.rng, actions) else { return };
        self.outside_answered(false, now, actions);
        if let Finding::Healed { sent_at } = finding {
            self.heal(sent_at, now, actions);
        }
    }

    /// Something outside answered; `delivered` if the answer was to a beat. True on the edge from offline.
    pub(super) fn outside_answered(
        &mut self,
        delivered: bool,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        if !self.reach.online(now) {
            return false;
        }
        Action::Note(Note::ConnectivityRestored).push_to(actions);
        self.resolver.doubt(true);
        if !delivered && self.started {
            match self.beat.carried() {
                Some(carried) => carried.add(Reason::Restored, now),
                None => self.fresh.add(Reason::Restored, now),
            }
        }
        true
    }

    /// Decides whether the device is offline, from the probes and the last beat together.
    pub(super) fn judge(&mut self, now: Instant, actions: &mut Actions) {
        // An address that is new has no way before the kernel has told it.
        if self.routing.is_open() {
            return;
        }
        let Some(settings) = &self.settings else { return };
        let probes = !settings.probe_addresses.is_empty();
        let stranded =
            self.settled && self.reach.connectivity() == Connectivity::Online && !self.has_way(now);
        let refused = self.reach.is_refused(probes)
            && self.beat.failure().or(self.last_failure).is_some_and(is_of_the_network);
        if (stranded || refused || self.reach.is_silent(now)) && self.reach.offline(now) {
            Action::Note(Note::ConnectivityLost).push_to(actions);
            self.take_back(now, actions);
        }
    }

    /// Gives up what was written into the outage: the server is to hear that there was one, and not what
    /// the kernel delivers by itself when it is over.
    fn take_back(&mut self, now: Instant, actions: &mut Actions) {
        let lost = |open: &&Try| open.stage >= Stage::Writing && open.trust == Trust::Doubted;
        let lost = self.race.tries().iter().filter(lost).map(|open| open.attempt);
        for attempt in lost.collect::<heapless::Vec<_, TRIES_MAX>>() {
            Action::CloseAttempt(attempt).push_to(actions);
            self.attempt_failed(attempt, Failure::TimedOut, now);
        }
        self.drive(now, actions);
    }

    /// A round has failed: probes go on, unless the failure itself shows that the network carries.
    pub(super) fn look_outside(&mut self, failure: Failure, actions: &mut Actions) {
        match failure {
            // Somebody took the request or the handshake in.
            Failure::Status(_)
            | Failure::Portal(_)
            | Failure::NotAccepted
            | Failure::Tls(_)
            | Failure::Malformed
            | Failure::TooLarge
            | Failure::Closed => self.reach.stop(actions),
            // Not these: a forwarder that has lost its own uplink says the like.
            Failure::NameServerFailed
            | Failure::NameServerSilent
            | Failure::NameNotFound
            | Failure::NoNameserver
            | Failure::Refused
            | Failure::Unreachable
            | Failure::TimedOut
            | Failure::Reset
            | Failure::NoInterface
            | Failure::Denied
            | Failure::Exhausted => {}
        }
    }

    /// The network answers again: what is stuck is replaced, what waits is sent.
    ///
    /// A SYN older than the answered probe is probably lost, even if it is too young for doubt: the
    /// far end of a cable just plugged in drops what comes first.
    fn heal(&mut self, sent_at: Instant, now: Instant, actions: &mut Actions) {
        self.resolver.network_back();
        if self.beat.is_idle() {
            self.hastened |= !self.retrying.is_empty();
            return;
        }
        let mut stuck = heapless::Vec::<Attempt, TRIES_MAX>::new();
        let mut promising = false;
        for open in self.race.tries_mut() {
            match (open.stage, open.trust) {
                (Stage::Connecting, Trust::Doubted) => stuck.extend([open.attempt]),
                (Stage::Connecting, _) => promising |= open.opened_at >= sent_at,
                (_, Trust::Doubted | Trust::Asked) => {
                    open.trust = Trust::Judged;
                    Action::CheckAcked(open.attempt).push_to(actions);
                    promising = true;
                }
                (_, Trust::Until(_) | Trust::Judged | Trust::Acked(_) | Trust::Slow) => {
                    promising = true;
                }
            }
        }
        for attempt in stuck {
            self.race.remove(attempt);
            Action::CloseAttempt(attempt).push_to(actions);
        }
        self.race.forget_tried();
        self.prolong(now);
        if !promising && !self.race.is_full() {
            self.ask_for_names(now, actions);
            if let Some(next) = self.best(now) {
                self.open(next, now, actions);
            }
        }
    }

    /// A gateway that had stopped answering and answers again is evidence that the way out is open.
    pub(super) fn neighbour(&mut self, neighbour: Neighbour, now: Instant, actions: &mut Actions) {
        let Some(uplink) = self.gateway_of(neighbour) else { return };
        if self.lost_gateways.apply(neighbour) {
            Action::Note(Note::GatewayBack(uplink)).push_to(actions);
            self.reach.hurry(now);
            // A beat that waits pays when it starts.
            if self.beat.is_idle() || self.changes.take(1, now) {
                self.heal(now, now, actions);
            }
        }
    }

    /// Looks at the services that are due.
    pub(super) fn look_around(&mut self, now: Instant, actions: &mut Actions) {
        for turn in self.services.tick(now, actions) {
            self.service_turned(turn, now, actions);
        }
    }

    pub(super) fn looked(
        &mut self,
        look: Look,
        answers: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        if let Some(turn) = self.services.looked(look, answers, now) {
            self.service_turned(turn, now, actions);
        }
    }

    fn service_turned(&mut self, turn: Turn, now: Instant, actions: &mut Actions) {
        match turn {
            Turn::Lost(name) => Action::Note(Note::ServiceLost(name)).push_to(actions),
            Turn::Recovered(name) => {
                Action::Note(Note::ServiceRecovered(name)).push_to(actions);
                if self.started {
                    self.tell(Reason::ServiceRecovered(name), now);
                }
            }
        }
    }

    /// The uplink whose gateway this neighbour is.
    fn gateway_of(&self, neighbour: Neighbour) -> Option<Name> {
        let uplink = self.uplinks.iter().find(|uplink| uplink.index == neighbour.index)?;
        let leads = self.routing.iter().any(|route| {
            route.index == neighbour.index && route.gateway == Some(neighbour.address)
        });
        leads.then_some(uplink.name)
    }

    /// Listens to neighbours as long as probes are sent: the one finds what the other waits for.
    pub(super) fn watch_neighbours(&mut self, actions: &mut Actions) {
        let wanted = self.reach.is_probing();
        if wanted != self.watching {
            self.watching = wanted;
            self.lost_gateways.clear();
            Action::WatchNeighbours(wanted).push_to(actions);
        }
    }

    /// Sends the probes that are due, over the way out that the beat takes.
    pub(super) fn probe(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        if !self.reach.is_probing() {
            return;
        }
        let held = self.hold.is_some_and(|hold| hold.until > now);
        let found_out = self.retrying.is_empty() || (held && self.reach.is_server_silent());
        if !self.has_way(now) || (self.beat.is_idle() && found_out) {
            self.reach.stop(actions);
            return;
        }
        // A server that asked for quiet is not probed.
        let server = self.resolver.last_good().or_else(|| self.race.first_tried());
        let server = server.filter(|_| !held);
        let server = server.zip(settings.server.as_ref().map(|server| server.port));
        let targets = settings.probe_addresses.iter().map(|to| to.ip());
        let targets = targets.chain(server.map(|(ip, _)| ip));
        let ways: heapless::Vec<(IpAddr, Option<Name>), { PROBE_ADDRESSES_MAX + 1 }> =
            targets.filter_map(|to| Some((to, self.way(to)?))).collect();
        let leads = |to: IpAddr| ways.iter().any(|(it, _)| *it == to);
        let probes =
            |v4| settings.probe_addresses.iter().any(|to| to.is_ipv4() == v4 && leads(to.ip()));
        let targets = Targets {
            internet: &settings.probe_addresses,
            families: Families { v4: probes(true), v6: probes(false) },
            server: server.filter(|(ip, _)| leads(*ip)).map(|(ip, port)| SocketAddr::new(ip, port)),
            via: |to| ways.iter().find(|(it, _)| *it == to).and_then(|(_, via)| *via),
        };
        self.reach.tick(&targets, settings.probe_timeout, now, &mut self.rng, actions);
    }
}
