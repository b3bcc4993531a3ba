//! The real agent under a supervisor with sd_notify(3): ready, watchdog, status, stopping.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use linkbeat_support::agent::binary_or;
use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for any event. Fast ones take far less.
const PATIENCE: Duration = Duration::from_secs(20);

struct Supervisor {
    directory: PathBuf,
    socket: UnixDatagram,
    agent: Child,
}

impl Supervisor {
    /// Starts an agent without a configured server, so that the test needs no network.
    fn start(test: &str, watchdog_us: u32) -> Self {
        let directory =
            std::env::temp_dir().join(format!("linkbeat-supervisor-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory of our own");
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket of our own");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        fs::write(
            directory.join("linkbeat.json"),
            r#"{"status_listen": "", "trigger_socket": "", "log_target": "stderr"}"#,
        )
        .expect("a file of our own");
        let agent = Command::new(binary_or(env!("CARGO_BIN_EXE_linkbeat")))
            .args(["run", "--config"])
            .arg(directory.join("meeting.json"))
            .env("NOTIFY_SOCKET", path)
            .env("WATCHDOG_USEC", watchdog_us.to_string())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the agent");
        Self { directory, socket, agent }
    }

    fn heard(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("the agent says something");
        String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.agent.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("our own child");
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.agent.kill().ok();
        self.agent.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

#[test]
fn an_agent_is_ready_without_a_network_and_reports_its_status() {
    let supervisor = Supervisor::start("ready", 90_000_000);
    assert_eq!(supervisor.heard(), "READY=1\nWATCHDOG=1\nSTATUS=unconfigured\n");
}

#[test]
fn an_invalid_configuration_shows_in_the_status() {
    let supervisor = Supervisor::start("file", 90_000_000);
    supervisor.heard();
    fs::write(supervisor.directory.join("meeting.json"), "{nonsense\nREADY=0}").expect("written");
    let mut said = supervisor.heard();
    while !said.contains("meeting.json:1:") {
        said = supervisor.heard();
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn the_watchdog_is_notified_while_the_agent_is_idle() {
    let supervisor = Supervisor::start("watchdog", 200_000);
    for _ in 0..10 {
        assert!(supervisor.heard().contains("WATCHDOG=1\n"));
    }
}

#[test]
fn termination_by_a_signal_is_reported() {
    let mut supervisor = Supervisor::start("end", 90_000_000);
    supervisor.heard();
    supervisor.signal(Signal::TERM);
    while supervisor.heard() != "STOPPING=1\n" {}
    assert!(supervisor.agent.wait().expect("our own child").success());
}
