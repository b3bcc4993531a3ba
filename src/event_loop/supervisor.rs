//! What a supervisor such as systemd is told in every wake-up.

use core::fmt::{self, Display};

use super::EventLoop;
use crate::proto::link::Name;
use crate::status::State;

impl EventLoop {
    /// Tells that the loop turns, and how it goes.
    pub(super) fn tell_supervisor(&mut self) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let (config, view) = (&self.setup.config, self.agent.view(self.now));
        let state = State::of(config, &view, self.journal.delivered.is_some());
        let via = view.uplinks.first().map(|uplink| uplink.name);
        let errors = [Some(self.journal.error.as_str()), self.setup.complaint.as_deref()];
        supervisor.tell(self.now, format_args!("{}", Line { state, via, errors }));
    }
}

/// `online via eth0`, and after a colon what is wrong: the last failure, a configuration that is not in force.
struct Line<'a> {
    state: State,
    via: Option<Name>,
    errors: [Option<&'a str>; 2],
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        let errors = self.errors.iter().flatten().filter(|error| !error.is_empty());
        errors.into_iter().try_for_each(|error| write!(f, ": {error}"))
    }
}
