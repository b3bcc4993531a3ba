//! Route questions: passes those of the core to the kernel.

use std::io;

use crate::sys::routes::RouteAsker;
use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::route::Route;

/// The socket that asks, and its last answers.
#[derive(Debug)]
pub(super) struct Routing {
    /// The socket, which also says whether an interface has an address.
    pub(super) asker: RouteAsker,
    /// The answers to the last questions.
    pub(super) answers: Vec<Route>,
    /// Whether the core has questions.
    pub(super) wanted: bool,
    /// Whether the kernel could not be asked: logged once.
    pub(super) failed: bool,
}

impl Routing {
    pub(super) fn new() -> io::Result<Self> {
        let asker = RouteAsker::new()?;
        Ok(Self { asker, answers: Vec::new(), wanted: false, failed: false })
    }

    /// Puts the questions of the core to the kernel, for [`answers`](Self::answers).
    pub(super) fn ask(&mut self, agent: &Agent) {
        match self.asker.ask(agent.questions(), &mut self.answers) {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.answers.clear();
                if !core::mem::replace(&mut self.failed, true) {
                    log::warn!("the kernel cannot be asked for routes: {error}");
                }
            }
        }
    }
}
