//! A camera under test: the agent, and the beats that its server receives.

use std::path::PathBuf;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;

/// The binary under test: the one in `LINKBEAT`, or that of this build.
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

    /// Starts a program that runs an agent, and waits for its first beat.
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

    /// Waits for a time in which no beat must come.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.beats.expect_none("beat", time, |_| true);
    }
}
