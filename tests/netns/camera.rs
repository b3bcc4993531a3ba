//! A camera under test: the agent, and what the server hears from it.

use std::path::PathBuf;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Beat, Receiver};
use linkbeat_support::world::World;
use rustix::process::Signal;
use serde_json::Value;

/// The binary under test: `LINKBEAT` names another than that of this build.
pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// An interval in s that no test lasts: every beat has another reason.
pub(crate) const RARELY: u32 = 3600;
/// How long a test makes sure that nothing more happens.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Between two looks at the status.
const LOOK: Duration = Duration::from_millis(50);

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
        Self::heard_by(world, &world.receiver, setting)
    }

    /// The same for a server that is not in the internet.
    pub(crate) fn heard_by(world: &World, server: &Receiver, setting: &Setting) -> Self {
        let beats = server.beats().follow();
        Self { agent: Agent::start(world, binary(), setting), beats }
    }

    /// The next beat, whatever its reason.
    pub(crate) fn beat(&mut self) -> Beat {
        self.beats.expect("beat", SOON, is_own)
    }

    /// The next beat for this reason.
    pub(crate) fn beat_for(&mut self, reason: &str) -> Beat {
        self.beats.expect(reason, SOON, |beat| beat.reason() == reason)
    }

    /// The next beat that came over this interface.
    pub(crate) fn beat_over(&mut self, world: &World, interface: &str) -> Beat {
        let address = world.address(interface);
        self.beats.expect(interface, SOON, |beat| is_own(beat) && beat.peer.ip() == address)
    }

    /// Makes sure that no beat comes for a while.
    pub(crate) fn stays_silent(&mut self) {
        self.beats.expect_none("beat", QUIET, is_own);
    }

    /// The status, as `linkbeat status --json` shows it; `Null` while nobody listens yet.
    pub(crate) fn status(&self) -> Value {
        let said = self.agent.ask("status").unwrap_or_default();
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// Asks for the status again and again until it is as it should be.
    pub(crate) fn shows(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut pause = self.agent.lines().follow();
        let give_up_us = clock::boot_us() + 2 * u64::try_from(SOON.as_micros()).unwrap();
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(clock::boot_us() < give_up_us, "status never shows {what}: {status:#}");
            pause.find(LOOK, |_| false);
        }
    }

    /// Waits until status shows that a beat was acknowledged over this interface.
    pub(crate) fn shows_way(&self, interface: &str) {
        self.shows(interface, |status| {
            status["beat"]["via"] == interface && status["state"] == "online"
        });
    }

    /// What a person reads: `linkbeat status`.
    pub(crate) fn words(&self, world: &World) -> String {
        let said = self.agent.beside(world, binary(), &["status"]);
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Has curl do what the agent has to do, with the same files, and these words of its command
    /// line. Returns the HTTP status, 0 where there was none.
    pub(crate) fn curl(&self, world: &World, words: &[&str]) -> u16 {
        let always = ["-s", "-m", "3", "--cacert", "/etc/ca.pem", "-o", "/dev/null"];
        let asked = ["-w", "%{http_code}", "-d", r#"{"reason":"curl"}"#];
        let said = self.agent.beside(world, "curl", &[&always[..], &asked, words].concat());
        String::from_utf8_lossy(&said.stdout).parse().expect("curl says the status")
    }

    /// Asks for a beat with a signal.
    pub(crate) fn ring(&self) {
        self.agent.signal(Signal::USR1);
    }
}

/// Whether an agent sent it, and not the yardstick.
pub(crate) fn is_own(beat: &Beat) -> bool {
    !beat.device_key().is_empty()
}
