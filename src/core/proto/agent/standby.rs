//! Tests of the uplinks in reserve: when they may go on, and what they report.

use super::Agent;
use crate::proto::delivery::Last;
use crate::proto::event::{Action, Actions, Failure, ProbeId};
use crate::proto::standby::Plan;
use crate::proto::time::Instant;

impl Agent {
    /// Tests what is due in reserve.
    pub(super) fn tick_standby(&mut self, now: Instant, actions: &mut Actions) {
        let Some(settings) = &self.settings else { return };
        let every = settings.standby_check;
        let network = &mut self.network;
        let is_on = !every.is_zero() && network.binds();
        network.follow_standby(settings, is_on, now);
        let quiet = self.demand.quiet_until(now).is_some();
        // A beat under way shows by itself whether anything gets through.
        let free = self.delivery.is_idle() || network.standby().is_testing();
        let delivers =
            free && self.delivery.last() == Last::Acknowledged && self.demand.is_running();
        let server = network.resolver().last_good();
        let Some(ip) = server.filter(|_| is_on && delivers && !quiet) else {
            network.standby_mut().stop(actions);
            return;
        };
        let plan = Plan {
            every,
            timeout: settings.probe_timeout,
            probe: network.reach().next_number(),
            to: network.resolver().server_at(ip),
            ways: &network.ways(ip),
        };
        if network.standby_mut().tick(&plan, now, actions) {
            network.reach_mut().take_number();
        }
    }

    /// Takes the end of a probe if it is the test under way; true if it was.
    pub(super) fn standby_tested(
        &mut self,
        probe: ProbeId,
        failure: Option<Failure>,
        now: Instant,
        actions: &mut Actions,
    ) -> bool {
        let standby = self.network.standby_mut();
        if !standby.is_own(probe) {
            return false;
        }
        let works = match failure {
            None => Some(true),
            Some(Failure::Exhausted | Failure::Denied) => None,
            Some(_) => Some(false),
        };
        if let Some(change) = standby.finished(works, now) {
            Action::Note(change).push_to(actions);
        }
        true
    }
}
