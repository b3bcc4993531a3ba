//! A camera under test: the agent, and the beats that its server receives.

use std::path::PathBuf;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Beat, Receiver};
use linkbeat_support::world::World;
use rustix::process::Signal;
use serde_json::Value;

/// The binary under test: the one in `LINKBEAT`, or that of this build.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// An interval in seconds that no test reaches, so every beat has another reason.
pub(crate) const RARELY: u32 = 86_400;
/// Time in which a test expects that nothing more happens.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Time between two status requests.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Camera {
    pub(crate) agent: Agent,
    /// The beats since the start.
    pub(crate) beats: Follower<Beat>,
}

impl Camera {
    /// Starts an agent and waits until its first beat is acknowledged.
    pub(crate) fn start(world: &World, setting: &Setting) -> Self {
        let mut camera = Self::silent(world, setting);
        let first = camera.beat();
        assert_eq!((first.reason(), first.seq()), ("startup", 1), "{first:?}");
        camera.agent.said("[Meeting] Heartbeat sent");
        camera
    }

    /// Starts an agent that beats only on events.
    pub(crate) fn calm(world: &World) -> Self {
        Self::start(world, &Setting::new(world).every(RARELY))
    }

    /// Starts an agent without waiting for a beat.
    pub(crate) fn silent(world: &World, setting: &Setting) -> Self {
        Self::heard_by(world, &world.receiver, setting)
    }

    /// The same for another server than the one on the internet.
    pub(crate) fn heard_by(world: &World, server: &Receiver, setting: &Setting) -> Self {
        let beats = server.beats().follow();
        Self { agent: Agent::start(world, binary(), setting), beats }
    }

    /// The next beat, whatever its reason.
    pub(crate) fn beat(&mut self) -> Beat {
        self.beats.expect("beat", SOON, is_own)
    }

    /// The next beat with this reason.
    pub(crate) fn beat_for(&mut self, reason: &str) -> Beat {
        self.beats.expect(reason, SOON, |beat| beat.reason() == reason)
    }

    /// The next beat over this interface.
    pub(crate) fn beat_over(&mut self, world: &World, interface: &str) -> Beat {
        let address = world.address(interface);
        self.beats.expect(interface, SOON, |beat| is_own(beat) && beat.peer.ip() == address)
    }

    /// Checks that no beat comes for a while.
    pub(crate) fn stays_silent(&mut self) {
        self.beats.expect_none("beat", QUIET, is_own);
    }

    /// The output of `linkbeat status --json`; `Null` while the agent does not listen yet.
    pub(crate) fn status(&self) -> Value {
        let said = self.agent.ask("status").unwrap_or_default();
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// Requests the status repeatedly until it has the wanted state.
    pub(crate) fn shows(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.shows_within(2 * SOON, what, wanted)
    }

    /// The same, for a state that takes longer to come.
    pub(crate) fn shows_within(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut pause = self.agent.lines().follow();
        let give_up_us = clock::boot_us() + u64::try_from(limit.as_micros()).unwrap();
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(clock::boot_us() < give_up_us, "status never shows {what}: {status:#}");
            pause.find(LOOK, |_| false);
        }
    }

    /// Waits until the status shows an acknowledged beat over this interface.
    pub(crate) fn shows_way(&self, interface: &str) {
        self.shows(interface, |status| {
            status["beat"]["via"] == interface && status["state"] == "online"
        });
    }

    /// The output of `linkbeat status`.
    pub(crate) fn words(&self, world: &World) -> String {
        let said = self.agent.beside(world, binary(), &["status"]);
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Posts with curl as a reference, in the agent's place and with these arguments. Returns the
    /// HTTP status, or 0 without one.
    pub(crate) fn curl(&self, world: &World, words: &[&str]) -> u16 {
        let always = ["-s", "-m", "3", "--cacert", "/etc/ca.pem", "-o", "/dev/null"];
        let asked = ["-w", "%{http_code}", "-d", r#"{"reason":"curl"}"#];
        let said = self.agent.beside(world, "curl", &[&always[..], &asked, words].concat());
        String::from_utf8_lossy(&said.stdout).parse().expect("curl says the status")
    }

    /// Requests a beat with a signal.
    pub(crate) fn ring(&self) {
        self.agent.signal(Signal::USR1);
    }
}

/// Whether the agent sent this beat, and not curl.
pub(crate) fn is_own(beat: &Beat) -> bool {
    !beat.device_key().is_empty()
}
