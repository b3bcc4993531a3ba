//! The real binary in the device of a world: start, log, signals, end.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::{Value, json};

use crate::clock;
use crate::journal::{Follower, Journal};
use crate::space::unique;
use crate::world::{SERVER_NAME, World};

/// Time limit for an event that should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(5);

/// Time limit for an answer on the Unix socket: the agent itself gives up after 15 s.
const ANSWERED: Duration = Duration::from_secs(20);

/// The binary under test: the one in `LINKBEAT` if that is set, else that of this build.
#[must_use]
pub fn binary_or(built: &str) -> PathBuf {
    std::env::var_os("LINKBEAT").map_or_else(|| built.into(), PathBuf::from)
}

/// One line of the agent's output.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The time at which it was read, on the clock of [`clock::boot_us`].
    pub at_us: u64,
    /// The text of the line.
    pub text: String,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06} {}", self.at_us / 1_000_000, self.at_us % 1_000_000, self.text)
    }
}

/// The surroundings of an agent: the files of its private `/etc` and `/run`, and its command line.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `/etc/rpi-cam/meeting.json`; `Null` for no file.
    pub meeting: Value,
    /// `/etc/linkbeat/linkbeat.json`; `Null` for no file.
    pub own: Value,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// `/etc/hosts`.
    pub hosts: String,
    /// The arguments after the name of the program.
    pub arguments: Vec<String>,
    /// Whether it keeps the capabilities of root; on a device it needs none.
    pub capable: bool,
}

impl Setting {
    /// A provisioned camera that knows the world's server by name and trusts its authority.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self {
            meeting: json!({
                "enabled": true,
                "api_url": format!("https://{SERVER_NAME}/api"),
                "device_key": "camera-1",
                "token_code": "s3cret-token",
                "heartbeat_interval": 86_400,
                "provisioned": true,
            }),
            own: json!({
                "tls": { "ca_file": "/etc/ca.pem" },
                "log_level": "debug",
                "log_target": "stderr",
            }),
            resolv_conf: world.resolv_conf(),
            hosts: "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
            arguments: vec!["run".to_owned()],
            capable: true,
        }
    }

    /// Returns it with one key of `meeting.json` changed.
    #[must_use]
    pub fn meeting(mut self, key: &str, value: impl Into<Value>) -> Self {
        set(&mut self.meeting, key, value.into());
        self
    }

    /// Returns it with one key of `linkbeat.json` changed.
    #[must_use]
    pub fn own(mut self, key: &str, value: impl Into<Value>) -> Self {
        set(&mut self.own, key, value.into());
        self
    }

    /// Returns it with a beat every `seconds`.
    #[must_use]
    pub fn every(self, seconds: u32) -> Self {
        self.meeting("heartbeat_interval", seconds)
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    let object = object.as_object_mut().expect("the file is there");
    object.insert(key.to_owned(), value);
}

/// A running agent. Dropping it kills it, and prints its log if the test panics.
pub struct Agent {
    child: Child,
    lines: Journal<Line>,
    directory: PathBuf,
}

impl Agent {
    /// Starts `binary` in the device of `world`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(world: &World, binary: impl AsRef<Path>, setting: &Setting) -> Self {
        let directory = world.directory().join(unique());
        furnish(&directory, world, setting);
        Self::start_in(directory, world, binary, setting)
    }

    /// Kills the agent and starts it again with the same `/etc` and `/run`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn restart(self, world: &World, binary: impl AsRef<Path>, setting: &Setting) -> Self {
        let directory = self.directory.clone();
        drop(self);
        Self::start_in(directory, world, binary, setting)
    }

    fn start_in(
        directory: PathBuf,
        world: &World,
        binary: impl AsRef<Path>,
        setting: &Setting,
    ) -> Self {
        let mut command = inside(world, &directory, setting.capable);
        command.arg(binary.as_ref()).args(&setting.arguments);
        Self::spawn(command, directory)
    }

    /// Runs this command as an agent with its files below `directory`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command, directory: PathBuf) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the agent");
        let lines = Journal::default();
        read_lines(child.stdout.take().expect("standard output is a pipe"), &lines);
        read_lines(child.stderr.take().expect("standard error is a pipe"), &lines);
        Self { child, lines, directory }
    }

    /// Runs `binary` beside this agent, with the same `/etc` and `/run`, until it ends. After 30 s
    /// it is killed and the exit code is 124.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn beside(
        &self,
        world: &World,
        binary: impl AsRef<Path>,
        arguments: &[&str],
    ) -> std::process::Output {
        let mut command = inside(world, &self.directory, true);
        command.args(["timeout", "30"]).arg(binary.as_ref()).args(arguments);
        command.output().expect("run beside the agent")
    }

    /// Starts another program beside this agent, with the same `/etc` and `/run`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start_beside(
        &self,
        world: &World,
        program: impl AsRef<Path>,
        arguments: &[&str],
    ) -> Self {
        let mut command = inside(world, &self.directory, true);
        command.arg(program.as_ref()).args(arguments);
        Self::spawn(command, self.directory.clone())
    }

    /// The journal of its output.
    #[must_use]
    pub fn lines(&self) -> Journal<Line> {
        self.lines.clone()
    }

    /// Waits for a line that contains `text`, beginning with the first one.
    ///
    /// # Panics
    ///
    /// If there is none within [`SOON`].
    pub fn said(&self, text: &str) -> Line {
        expect_line(&mut self.lines.follow_all(), text, SOON)
    }

    /// The process number of the agent.
    ///
    /// # Panics
    ///
    /// Never: a process has one.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A file as the agent sees it: `path` begins with `/etc` or `/run`.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// The Unix socket of the agent.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.file("/run/linkbeat/trigger.sock")
    }

    /// Sends one line to the Unix socket of the agent; returns the answer without the greeting.
    ///
    /// # Errors
    ///
    /// If the agent does not greet and answer.
    pub fn ask(&self, line: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(ANSWERED))?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut lines = BufReader::new(stream).lines();
        lines.next().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(lines.next().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?)
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// If the agent is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal the agent");
    }

    /// Sends SIGTERM and waits for the end of the agent.
    ///
    /// # Panics
    ///
    /// If it does not end within [`SOON`].
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(SOON)
    }

    /// Waits for the end of the agent.
    ///
    /// # Panics
    ///
    /// If it does not end within the time.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let ended = self.ended(within);
        ended.unwrap_or_else(|| panic!("the agent does not end within {within:?}"))
    }

    /// Waits for the end of the agent; `None` if it lives on.
    ///
    /// # Panics
    ///
    /// Never: the agent is a child.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let process = pidfd_open(self.pid(), PidfdFlags::empty()).expect("pidfd of a child");
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        let limit = within.try_into().expect("a time-out");
        let count = poll(&mut ended, Some(&limit)).expect("poll a pidfd");
        (count == 1).then(|| self.child.wait().expect("wait for a child"))
    }

    /// Ends the strace that traces the agent, which goes on without it.
    ///
    /// # Panics
    ///
    /// Never: a process that has ended has a status too, until it is waited for.
    pub fn trace_no_longer(&self) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        let tracer = tracer.and_then(|it| it.trim().parse().ok()).and_then(Pid::from_raw);
        // It ends with the agent, maybe at this moment.
        tracer.map(|tracer| kill_process(tracer, Signal::TERM));
    }

    /// The resident memory of the agent in kB (proc(5), `VmRSS`).
    ///
    /// # Panics
    ///
    /// If the agent is gone.
    #[must_use]
    pub fn resident_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("status of a child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|it| it.split_whitespace().next()).expect("VmRSS");
        number.parse().expect("a number of kB")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            let mut out = io::stderr().lock();
            for line in self.lines.all() {
                writeln!(out, "agent: {line:?}").ok();
            }
        }
    }
}

/// Waits for a line that contains `text`.
///
/// # Panics
///
/// If there is none within the time.
pub fn expect_line(lines: &mut Follower<Line>, text: &str, within: Duration) -> Line {
    lines.expect(&format!("line with {text:?}"), within, |line| line.text.contains(text))
}

/// Writes the files of the agent.
fn furnish(directory: &Path, world: &World, setting: &Setting) {
    let etc = directory.join("etc");
    fs::create_dir_all(etc.join("rpi-cam")).expect("create /etc/rpi-cam");
    fs::create_dir_all(etc.join("linkbeat")).expect("create /etc/linkbeat");
    fs::create_dir_all(directory.join("run/linkbeat")).expect("create /run/linkbeat");
    fs::copy(world.directory().join("ca.pem"), etc.join("ca.pem")).expect("copy ca.pem");
    let write = |name: &str, text: &str| fs::write(etc.join(name), text).expect("write a file");
    write("resolv.conf", &setting.resolv_conf);
    write("hosts", &setting.hosts);
    let files =
        [("rpi-cam/meeting.json", &setting.meeting), ("linkbeat/linkbeat.json", &setting.own)];
    for (name, value) in files {
        if !value.is_null() {
            write(name, &format!("{value:#}\n"));
            // Other users must not read the token.
            let file = etc.join(name);
            fs::set_permissions(file, Permissions::from_mode(0o640)).expect("chmod 0640");
        }
    }
}

/// A command in the device with `etc` and `run` of the directory as `/etc` and `/run`, in the mount
/// namespace that `ip netns exec` makes.
fn inside(world: &World, directory: &Path, capable: bool) -> Command {
    const MOUNT: &str = "mount --bind \"$1/etc\" /etc && mount --bind \"$1/run\" /run && \
                         shift && exec \"$@\"";
    let mut command = world.device.command("sh");
    command.args(["-c", MOUNT, "sh"]).arg(directory);
    if !capable {
        command.args(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]);
    }
    command
}

fn read_lines(stream: impl io::Read + Send + 'static, lines: &Journal<Line>) {
    let lines = lines.clone();
    thread::spawn(move || {
        for text in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.push(Line { at_us: clock::boot_us(), text });
        }
    });
}
