//! A camera under test: the agent, and what the server hears from it.

use std::path::PathBuf;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;

/// The binary under test: `LINKBEAT` names another than that of this build.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

pub(crate) struct Camera {
    pub(crate) agent: Agent,
    pub(crate) beats: Follower<Beat>,
}

impl Camera {
    /// Starts an agent and waits for its first beat.
    pub(crate) fn start(world: &World, setting: &Setting) -> Self {
        Self::run(world, binary(), setting)
    }

    /// Starts a program that starts an agent, and waits for its first beat.
    pub(crate) fn run(world: &World, program: impl Into<PathBuf>, setting: &Setting) -> Self {
        let beats = world.receiver.beats().follow();
        let mut camera = Self { agent: Agent::start(world, program.into(), setting), beats };
        assert_eq!(camera.beat().reason(), "startup");
        camera
    }

    /// The next beat.
    pub(crate) fn beat(&mut self) -> Beat {
        self.beats.next("beat", SOON)
    }

    /// Lets time pass in which no beat comes.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.beats.expect_none("beat", time, |_| true);
    }
}
