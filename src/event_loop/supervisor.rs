//! Notifications to a supervisor such as systemd, in every wake-up.

use core::fmt::{self, Display};

use super::EventLoop;
use crate::status::AgentState;
use linkbeat_core::proto::link::InterfaceName;

impl EventLoop {
    /// Reports liveness and state.
    pub(super) fn notify_supervisor(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let (config, view) = (&self.setup.config, self.agent.view(self.now));
        let state = AgentState::of(config, &view, self.reporter.delivered.is_some());
        let via = view.uplinks.first().map(|uplink| uplink.name);
        let errors = [Some(self.reporter.error.as_str()), self.setup.complaint.as_deref()];
        supervisor.update(self.now, format_args!("{}", StateText { state, via, errors }));
    }
}

/// `online via eth0`, and after a colon what is wrong: the last failure, a configuration that is
/// not in force.
struct StateText<'a> {
    /// The state of the agent.
    state: AgentState,
    /// The uplink in use.
    via: Option<InterfaceName>,
    /// What is wrong; empty texts do not count.
    errors: [Option<&'a str>; 2],
}

impl Display for StateText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        let errors = self.errors.iter().flatten().filter(|error| !error.is_empty());
        errors.into_iter().try_for_each(|error| write!(f, ": {error}"))
    }
}
