//! A device with a web manager: `/etc`, `/opt` and `/run` of its own, the programs on it, and a server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use linkbeat_support::agent::{Agent, SOON, binary_or};
use linkbeat_support::certificates::Certificates;
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Beat, Receiver, Scheme};
use linkbeat_support::space::{Space, unique};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

pub(crate) const MEETING: &str = "/etc/rpi-cam/meeting.json";
pub(crate) const OWN: &str = "/etc/linkbeat/linkbeat.json";
/// The unit of the web manager.
const UNIT: &str = "/etc/systemd/system/rpi-cam-webmanager.service";

/// User and group `linkbeat` of the device.
const LINKBEAT: u32 = 65_533;
/// Beats are sent to this server, which is on the device itself.
const SERVER: &str = "127.0.0.1:8080";
pub(crate) const MEETING_TEXT: &str = r#"{"api_url": "http://127.0.0.1:8080/api",
    "device_key": "camera-1", "token_code": "secret", "heartbeat_interval": 3600}"#;
pub(crate) const OWN_TEXT: &str = r#"{"log_target": "stderr", "probe": {"address": ""}}"#;

/// What the agent logs once helpers are answered.
pub(crate) const STARTED: &str = "[Meeting] Heartbeat thread started";

/// A device, and the server that it beats to.
pub(crate) struct Device {
    space: Space,
    directory: PathBuf,
    _receiver: Receiver,
    pub(crate) beats: Follower<Beat>,
}

impl Device {
    /// A device with a configuration, on which nothing runs.
    pub(crate) fn new() -> Self {
        let name = unique();
        let directory = std::env::temp_dir().join(&name);
        for made in ["etc/rpi-cam", "etc/linkbeat", "etc/systemd/system", "opt", "run/linkbeat"] {
            fs::create_dir_all(directory.join(made)).expect("a directory of our own");
        }
        let space = Space::new(&name);
        space.ip("link add cam0 type veth peer name far0\n\
                  link set far0 up\n\
                  link set cam0 up\n\
                  address add 192.0.2.2/24 dev cam0\n\
                  route add default via 192.0.2.1 dev cam0\n");
        let listener = space.within(|| TcpListener::bind(SERVER).expect("a port of our own"));
        let certificates = Arc::new(Certificates::new(&["127.0.0.1"]));
        let receiver = Receiver::start(vec![(listener, Scheme::Http)], &certificates);
        let beats = receiver.beats().follow();
        let device = Self { space, directory, _receiver: receiver, beats };
        fs::copy(binary_or(env!("CARGO_BIN_EXE_linkbeat")), device.file("/run/agent"))
            .expect("the agent");
        device.write("/etc/passwd", "root:x:0:0:::\nlinkbeat:x:65533:65533:::\n");
        device.write("/etc/group", "root:x:0:\nwww-data:x:33:\nlinkbeat:x:65533:\n");
        for public in ["/etc/passwd", "/etc/group"] {
            device.set_mode(public, 0o644);
        }
        device.write(MEETING, MEETING_TEXT);
        device.write(OWN, OWN_TEXT);
        device.set_mode("/etc/linkbeat", 0o2750);
        device.give("/etc/linkbeat");
        if has_users() {
            let owned = device.file("/run/linkbeat");
            chown(owned, Some(LINKBEAT), Some(LINKBEAT)).expect("a directory of our own");
        }
        device
    }

    /// A file as the programs see it: `path` begins with `/etc`, `/opt` or `/run`.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// Writes a file that the agent may read.
    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.file(path), text).expect("a file of our own");
        self.set_mode(path, 0o640);
        self.give(path);
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.file(path)).expect("a file of our own");
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.file(path), mode).expect("a file of our own");
    }

    fn give(&self, path: &str) {
        if has_users() {
            chown(self.file(path), Some(0), Some(LINKBEAT)).expect("a file of our own");
        }
    }

    /// Installs the unit of the web manager, as the last step of its installer before the start.
    pub(crate) fn install_manager(&self) {
        self.write(UNIT, "[Service]\nExecStart=gunicorn --workers 2 --bind 0.0.0.0:5000 app:app\n");
        self.set_mode(UNIT, 0o644);
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        const MOUNT: &str = "for it in etc opt run; do mount --bind \"$1/$it\" /$it || exit; done && \
                             shift && exec \"$@\"";
        let mut command = self.space.command("sh");
        command.args(["-c", MOUNT, "sh"]).arg(&self.directory).arg(program.as_ref());
        command
    }

    /// Runs a line of a shell as root.
    pub(crate) fn run(&self, line: &str) {
        let status = self.command("sh").args(["-ec", line]).status().expect("run sh");
        assert!(status.success(), "{line}: {status}");
    }

    /// The agent as the user of the packages, where there are users.
    fn agent(&self) -> Command {
        if !has_users() {
            return self.command("/run/agent");
        }
        let mut command = self.command("setpriv");
        command.args(["--reuid=linkbeat", "--regid=linkbeat", "--init-groups", "/run/agent"]);
        command
    }

    pub(crate) fn start_agent(&self) -> Agent {
        let mut command = self.agent();
        command.arg("run");
        Agent::spawn(command, self.directory.clone())
    }

    /// Starts the web manager; what it says if it cannot bind its port.
    pub(crate) fn start_manager(&self) -> Result<Manager, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/port.py");
        let mut command = self.command("python3");
        // Its workers end with it, as in the control group of a service.
        command.arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("start python3");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let manager = Manager(child);
        BufReader::new(stdout).read_line(&mut said).expect("standard output is text");
        if said == "bound\n" { Ok(manager) } else { Err(said) }
    }

    /// Whether any program on the device listens on port 5000.
    pub(crate) fn port_is_taken(&self) -> bool {
        // A process of its own: for a thread, /proc/net is that of its process.
        let tables = self.space.command("cat").args(["/proc/net/tcp", "/proc/net/tcp6"]).output();
        let tables = String::from_utf8(tables.expect("run cat").stdout).expect("text");
        assert!(tables.contains("local_address"), "{tables}");
        let words =
            |row: &str| -> Vec<String> { row.split_whitespace().map(String::from).collect() };
        tables.lines().map(words).any(|row| row[1].ends_with(":1388") && row[3] == "0A")
    }

    /// Waits until no program has port 5000.
    pub(crate) fn waits_for_the_port(&self) {
        let give_up_us = clock::boot_us() + u64::try_from(SOON.as_micros()).expect("seconds");
        while self.port_is_taken() {
            assert!(clock::boot_us() < give_up_us, "port 5000 is not free");
        }
    }

    /// Another program that listens there.
    pub(crate) fn listen(&self, address: &str) -> Option<TcpListener> {
        self.space.within(|| TcpListener::bind(address)).ok()
    }

    /// The answer to a request on port 5000.
    pub(crate) fn ask_port(&self) -> String {
        self.space.within(|| ask(TcpStream::connect("127.0.0.1:5000").expect("port 5000")))
    }

    /// The answer to a request on the socket that takes the place of port 5000.
    pub(crate) fn ask_socket(&self) -> String {
        let socket = self.file("/run/linkbeat/http.sock");
        ask(UnixStream::connect(socket).expect("the socket of the status server"))
    }

    /// What `linkbeat status --json` says on the device.
    pub(crate) fn status(&self) -> Value {
        let said = self.agent().args(["status", "--json"]).output().expect("run linkbeat");
        serde_json::from_slice(&said.stdout).expect("a status")
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).expect("a directory of our own");
    }
}

/// Whether files can be given to others: a user namespace may have one user only.
pub(crate) fn has_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").expect("proc is mounted");
    map.split_whitespace().nth(2).is_some_and(|count| count != "1")
}

fn ask(mut stream: impl Read + Write) -> String {
    let request = b"GET /api/meeting/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The web manager with its workers. Dropping it kills them.
pub(crate) struct Manager(Child);

impl Manager {
    /// Ends it as its unit would, by SIGTERM or by SIGKILL.
    pub(crate) fn end(mut self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.0), signal).expect("a group of our own");
        self.0.wait().expect("a child");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // It may have ended already.
        kill_process_group(Pid::from_child(&self.0), Signal::KILL).ok();
        self.0.wait().ok();
    }
}
