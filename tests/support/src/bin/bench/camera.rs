//! A network with agents in its device. Each agent has a device key of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::clock;
use linkbeat_support::helper::Helper;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{Families, INTERFACES, SERVER_NAME, World};
use rustix::process::Signal;
use serde_json::json;

use crate::Options;
use crate::process::Process;

/// Seconds between two beats.
pub(crate) const INTERVAL_S: u32 = 30;
/// Time limit for an event that should happen at once.
const AT_ONCE: Duration = Duration::from_secs(10);
/// The directory of the rivals.
const RIVALS: &str = "tests/rivals";

/// The agents that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// linkbeat.
    Linkbeat,
    /// A loop of curl with `ip monitor`.
    Curl,
    /// The design of the reference, in Python.
    Reference,
}

impl Kind {
    /// All agents, in the order of the results.
    pub(crate) const ALL: [Self; 3] = [Self::Linkbeat, Self::Curl, Self::Reference];

    /// Its device key.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Linkbeat => "linkbeat",
            Self::Curl => "curl",
            Self::Reference => "reference",
        }
    }

    /// Its name in the results.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Linkbeat => "linkbeat",
            Self::Curl => "curl + ip monitor",
            Self::Reference => "the reference",
        }
    }

    /// Whether this beat is from this agent.
    pub(crate) fn sent(self, beat: &Beat) -> bool {
        beat.device_key() == self.key()
    }

    /// Program and arguments of a rival.
    fn rival(self) -> Vec<String> {
        let words: Vec<String> = match self {
            Self::Linkbeat => Vec::new(),
            Self::Curl => [
                format!("API_URL=https://{SERVER_NAME}/api"),
                format!("DEVICE_KEY={}", self.key()),
                "TOKEN_CODE=s3cret-token".to_owned(),
                "FIFO=/run/heartbeat".to_owned(),
                "bash".to_owned(),
            ]
            .into(),
            Self::Reference => vec!["PORT=5001".to_owned(), python().display().to_string()],
        };
        let ca_file = "CA_FILE=/etc/ca.pem".to_owned();
        [ca_file].into_iter().chain(words).chain([self.script().display().to_string()]).collect()
    }

    /// The source of a rival.
    pub(crate) fn script(self) -> PathBuf {
        let name = if self == Self::Curl { "curl.sh" } else { "reference.py" };
        // The agent has the working directory of this program.
        fs::canonicalize(Path::new(RIVALS).join(name)).expect("the rivals are in the repository")
    }
}

/// The Python of the distribution, even if another one is installed.
pub(crate) fn python() -> PathBuf {
    let packaged = PathBuf::from("/usr/bin/python3");
    if packaged.exists() { packaged } else { PathBuf::from("python3") }
}

/// A running agent.
pub(crate) struct Running {
    /// The kind of agent.
    pub(crate) kind: Kind,
    /// Its process.
    pub(crate) agent: Agent,
}

/// A network with agents in it.
pub(crate) struct Camera {
    /// The network.
    pub(crate) world: World,
    /// The agents.
    pub(crate) agents: Vec<Running>,
}

impl Camera {
    /// Makes a network with these agents and waits for the first beat of each.
    pub(crate) fn start(options: &Options, kinds: &[Kind]) -> io::Result<Self> {
        let world = World::behind_switch(Families::V4);
        // With static addresses, this setting makes the kernel leave a dead uplink. The rivals need
        // it; linkbeat binds its sockets to the uplink.
        for which in ["all", "default"].iter().chain(&INTERFACES) {
            world.device.sysctl(&format!("ipv4/conf/{which}/ignore_routes_with_linkdown"), "1");
        }
        Self::within(world, &options.binary, kinds)
    }

    /// Starts the agents in this network, with this build of linkbeat.
    pub(crate) fn within(world: World, binary: &Path, kinds: &[Kind]) -> io::Result<Self> {
        let mut beats = world.receiver.beats().follow();
        let mut camera = Self { world, agents: Vec::new() };
        for kind in kinds.iter().copied() {
            let agent = camera.run(binary, kind);
            camera.agents.push(Running { kind, agent });
            camera.first(&mut beats, kind, AT_ONCE)?;
        }
        Ok(camera)
    }

    fn run(&self, binary: &Path, kind: Kind) -> Agent {
        // No moderation, so that the times do not include its waits.
        let free = json!({ "burst": 1000, "every_ms": 0 });
        let mut setting = Setting::new(&self.world)
            .every(INTERVAL_S)
            .meeting("device_key", kind.key())
            .own("log_level", "info")
            .own("moderation", json!({ "trigger": free, "network": free }));
        if kind == Kind::Linkbeat {
            return Agent::start(&self.world, binary, &setting);
        }
        setting.arguments = kind.rival();
        Agent::start(&self.world, "env", &setting)
    }

    /// Runs the program of a rival once more until it ends, with these words before and after it.
    pub(crate) fn once(&self, kind: Kind, before: &[&str], after: &str) -> io::Result<String> {
        let rival = kind.rival();
        let words: Vec<&str> = before.iter().copied().chain(["env"]).collect();
        let words: Vec<&str> =
            words.into_iter().chain(rival.iter().map(String::as_str)).chain([after]).collect();
        let (program, arguments) = words.split_first().expect("there is env");
        let output = self.agent(kind)?.beside(&self.world, program, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(io::Error::other(said)) }
    }

    /// The agent of this kind.
    pub(crate) fn agent(&self, kind: Kind) -> io::Result<&Agent> {
        let running = self.agents.iter().find(|it| it.kind == kind);
        running.map(|it| &it.agent).ok_or_else(|| io::Error::other("no such agent"))
    }

    /// Waits for the next beat of this agent.
    pub(crate) fn first(
        &self,
        beats: &mut Follower<Beat>,
        kind: Kind,
        within: Duration,
    ) -> io::Result<Beat> {
        beats.find(within, |beat| kind.sent(beat)).ok_or_else(|| {
            self.print_log(kind);
            io::Error::other(format!("no beat of {} within {within:?}", kind.key()))
        })
    }

    /// Prints the last log lines of the agent.
    pub(crate) fn print_log(&self, kind: Kind) {
        let lines = self.agent(kind).map(|agent| agent.lines().all()).unwrap_or_default();
        for line in lines.iter().rev().take(20).rev() {
            writeln!(io::stderr(), "{}: {line:?}", kind.key()).ok();
        }
    }

    /// Makes a way to request a beat of this agent.
    pub(crate) fn bell(&self, kind: Kind) -> io::Result<Bell<'_>> {
        let agent = self.agent(kind)?;
        Ok(match kind {
            Kind::Linkbeat => Bell::Helper(Helper::connect(&agent.socket())?),
            Kind::Curl => {
                let fifo = agent.file("/run/heartbeat");
                Bell::Fifo(OpenOptions::new().write(true).open(fifo)?)
            }
            Kind::Reference => Bell::Signal(agent),
        })
    }

    /// Requests a beat over HTTP and reads the answer. Returns the time of the request.
    pub(crate) fn post(&self, kind: Kind) -> io::Result<u64> {
        let port = if kind == Kind::Linkbeat { 5000 } else { 5001 };
        let request = format!(
            "POST /api/meeting/heartbeat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        self.world.device.within(|| {
            let asked_us = clock::boot_us();
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.write_all(request.as_bytes())?;
            stream.set_read_timeout(Some(AT_ONCE))?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if answer.contains(" 200 ") { Ok(asked_us) } else { Err(io::Error::other(answer)) }
        })
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // The children of an agent do not end with it and would keep the namespace.
        for process in self.agents.iter().flat_map(|it| Process::tree(it.agent.pid())) {
            process.kill();
        }
    }
}

/// A way to request a beat of an agent.
pub(crate) enum Bell<'a> {
    /// linkbeat's eventfd.
    Helper(Helper),
    /// The FIFO of the curl loop.
    Fifo(fs::File),
    /// The reference's event.
    Signal(&'a Agent),
}

impl Bell<'_> {
    /// Requests a beat. Returns the time of the request.
    pub(crate) fn ring(&mut self) -> io::Result<u64> {
        let asked_us = clock::boot_us();
        match self {
            Self::Helper(helper) => helper.trigger()?,
            Self::Fifo(fifo) => fifo.write_all(b"trigger\n")?,
            Self::Signal(agent) => agent.signal(Signal::USR1),
        }
        Ok(asked_us)
    }
}
