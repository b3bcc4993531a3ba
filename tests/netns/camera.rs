//! A camera under test: the agent, and what the server hears from it.

use std::path::PathBuf;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;
use rustix::process::Signal;

/// The binary under test: `LINKBEAT` names another than that of this build.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// An interval in s that no test lasts: every beat has another reason.
pub(crate) const RARELY: u32 = 3600;
/// How long a test makes sure that nothing more happens.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

pub(crate) struct Camera {
    pub(crate) agent: Agent,
    /// Follows from the first beat on.
    pub(crate) beats: Follower<Beat>,
}

impl Camera {
    /// Starts an agent and waits for its first beat and the answer to it.
    pub(crate) fn start(world: &World, setting: &Setting) -> Self {
        let mut camera = Self::silent(world, setting);
        let first = camera.beat();
        assert_eq!((first.reason(), first.seq()), ("startup", 1), "{first:?}");
        camera.agent.said("[Meeting] Heartbeat sent");
        camera
    }

    /// One that beats only when something happens.
    pub(crate) fn calm(world: &World) -> Self {
        Self::start(world, &Setting::new(world).every(RARELY))
    }

    /// Starts an agent that is not expected to beat yet.
    pub(crate) fn silent(world: &World, setting: &Setting) -> Self {
        let beats = world.receiver.beats().follow();
        Self { agent: Agent::start(world, binary(), setting), beats }
    }

    /// The next beat, whatever its reason.
    pub(crate) fn beat(&mut self) -> Beat {
        self.beats.next("beat", SOON)
    }

    /// The next beat for this reason.
    pub(crate) fn beat_for(&mut self, reason: &str) -> Beat {
        self.beats.expect(reason, SOON, |beat| beat.reason() == reason)
    }

    /// The next beat that came over this interface.
    pub(crate) fn beat_over(&mut self, world: &World, interface: &str) -> Beat {
        let address = world.address(interface);
        self.beats.expect(interface, SOON, |beat| beat.peer.ip() == address)
    }

    /// Makes sure that no beat comes for a while.
    pub(crate) fn stays_silent(&mut self) {
        self.beats.expect_none("beat", QUIET, |_| true);
    }

    /// Asks for a beat with a signal.
    pub(crate) fn ring(&self) {
        self.agent.signal(Signal::USR1);
    }
}
