//! Notifications to a supervisor such as systemd, in every wake-up.

use super::EventLoop;
use crate::status::AgentState;

impl EventLoop {
    /// Reports liveness and state: `online via eth0`, and after a colon what is wrong, the last failure
    /// or a configuration that is not in force.
    pub(super) fn notify_supervisor(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let (config, view) = (&self.setup.config, self.agent.view(self.now));
        let state = AgentState::of(config, &view, self.reporter.delivered.is_some());
        let errors = [Some(self.reporter.error.as_str()), self.setup.complaint.as_deref()];
        supervisor.update(self.now, |line| {
            line.write_str(state.as_str())?;
            if let Some(uplink) = view.uplinks.first() {
                write!(line, " via {}", uplink.name)?;
            }
            let mut errors = errors.into_iter().flatten().filter(|error| !error.is_empty());
            errors.try_for_each(|error| write!(line, ": {error}"))
        });
    }
}
