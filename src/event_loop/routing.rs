//! Where packets would go: the questions of the core, put to the kernel once its news has been fed.

use std::io;

use super::{EventLoop, RTNETLINK};
use crate::proto::event::Input;
use crate::proto::link::LinkIndex;
use crate::proto::routing::Route;
use crate::sys::routes::RouteAsker;

/// Most rounds of questions after one visit. An answer may lead to another question, but not for ever.
const ROUNDS_MAX: usize = 4;

/// The socket that asks, and what the core wants of it.
#[derive(Debug)]
pub(super) struct Routing {
    asker: RouteAsker,
    answers: Vec<Route>,
    /// The core has questions.
    pub(super) wanted: bool,
    /// Whether the kernel could not be asked: told once.
    failed: bool,
}

impl Routing {
    pub(super) fn new() -> io::Result<Self> {
        let asker = RouteAsker::new()?;
        Ok(Self { asker, answers: Vec::new(), wanted: false, failed: false })
    }

    /// Whether an interface has an address to send from.
    pub(super) fn has_address(&mut self, index: LinkIndex) -> bool {
        self.asker.has_address(index)
    }
}

impl EventLoop {
    /// Does at once what a visit has led to: pumps connections that were given a report, and asks the
    /// kernel what the core wants to know.
    pub(super) fn follow_up(&mut self) {
        self.pump_stirred();
        for _ in 0..ROUNDS_MAX {
            if !core::mem::take(&mut self.routing.wanted) {
                return;
            }
            self.ask_routes();
            self.pump_stirred();
        }
        if self.routing.wanted {
            self.again.push(RTNETLINK);
        }
    }

    fn pump_stirred(&mut self) {
        while let Some(slot) = self.stirred.pop() {
            self.pump(slot);
        }
    }

    fn ask_routes(&mut self) {
        let Routing { asker, answers, failed, .. } = &mut self.routing;
        match asker.ask(self.agent.questions(), answers) {
            Ok(()) => *failed = false,
            Err(error) => {
                answers.clear();
                if !core::mem::replace(failed, true) {
                    log::warn!("the kernel cannot be asked for routes: {error}");
                }
            }
        }
        let answers = core::mem::take(answers);
        self.feed(Input::Routes(&answers));
        self.routing.answers = answers;
    }
}
