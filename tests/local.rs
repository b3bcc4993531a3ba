//! The local servers of the real agent: every client gets its response, and at once.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use linkbeat_core::wire::line::GREETING;
use linkbeat_support::agent::binary_or;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Longest wait for any event. Fast ones take far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// An agent without a server to beat to, so that the test needs no network.
struct Agent {
    process: Child,
    directory: PathBuf,
    port: u16,
}

impl Agent {
    fn start(test: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("linkbeat-local-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory of our own");
        let config = directory.join("meeting.json");
        let port = free_port().expect("a port");
        let text = format!(
            r#"{{"status_listen": "127.0.0.1:{port}", "trigger_socket": {:?}, "log_level": "debug"}}"#,
            directory.join("trigger.sock")
        );
        fs::write(&config, text).expect("a file of our own");
        let mut process = Command::new(binary_or(env!("CARGO_BIN_EXE_linkbeat")))
            .args(["run", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the agent");
        // The socket exists before the loop's first log line.
        let mut stderr = process.stderr.take().expect("a pipe");
        let mut log = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&log).contains("status server listens") {
            assert_eq!(
                stderr.read(&mut byte).expect("a log"),
                1,
                "{}",
                String::from_utf8_lossy(&log)
            );
            log.extend(byte);
        }
        std::thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        Self { process, directory, port }
    }

    fn helper(&self) -> UnixStream {
        let stream = UnixStream::connect(self.directory.join("trigger.sock")).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream
    }

    fn http(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request is sent");
        stream
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().expect("end the agent");
        self.process.wait().expect("end the agent");
        fs::remove_dir_all(&self.directory).expect("remove our own directory");
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn rest(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end in time");
    text
}

#[test]
fn lines_of_one_write_are_answered_before_the_connection_closes() {
    let agent = Agent::start("lines");
    let mut helper = agent.helper();
    helper.write_all(b"trigger a\ntrigger --wait b\ntrigger c").unwrap();
    helper.shutdown(Shutdown::Write).unwrap();
    let answers = rest(helper);
    assert_eq!(answers, format!("{GREETING}unconfigured\nunconfigured\nunconfigured\n"));
}

#[test]
fn throttled_helper_gets_all_its_responses() {
    let agent = Agent::start("pause");
    let mut helper = agent.helper();
    helper.write_all("trigger\n".repeat(40).as_bytes()).unwrap();
    helper.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(helper).lines().count(), 41);
}

#[test]
fn clients_that_shut_down_writing_get_their_responses() {
    let agent = Agent::start("crowd");
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let client = agent.http("GET /api/meeting/status");
            client.shutdown(Shutdown::Write).unwrap();
            client
        })
        .collect();
    for client in clients {
        let answer = rest(client);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[test]
fn status_is_the_same_object_on_both_sockets() {
    let agent = Agent::start("same");
    let mut helper = agent.helper();
    helper.write_all(b"status\n").unwrap();
    let line = rest(helper);
    let json = line.strip_prefix(GREETING).unwrap();
    let answer = rest(agent.http("GET /api/meeting/status"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    for text in [json, body] {
        linkbeat_core::wire::json::parse(text.as_bytes()).unwrap();
        assert!(text.contains(r#""heartbeat_thread_running":true"#), "{text}");
    }
    let head = rest(agent.http("HEAD /api/meeting/status"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn trigger_over_http_returns_the_reason_for_no_beat() {
    let agent = Agent::start("why");
    for request in ["POST /api/meeting/heartbeat", "POST /api/meeting/heartbeat?wait=0"] {
        let answer = rest(agent.http(request));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(r#"{"success":false,"error":"unconfigured"#), "{answer}");
    }
    let answer = rest(agent.http("GET /api/meeting/heartbeat/preview"));
    assert!(answer.contains(r#""payload":{"#), "{answer}");
}

#[test]
fn removed_socket_is_created_again() {
    let agent = Agent::start("removed");
    fs::remove_file(agent.directory.join("trigger.sock")).expect("the socket");
    kill_process(Pid::from_child(&agent.process), Signal::HUP).expect("signal the agent");
    // Signals are handled before clients.
    rest(agent.http("GET /api/meeting/status"));
    let mut helper = agent.helper();
    helper.write_all(b"trigger\n").unwrap();
    helper.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(helper), format!("{GREETING}unconfigured\n"));
}

/// An agent with a Unix socket only. Dropping it kills the process.
struct Contender(Child);

impl Contender {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(binary_or(env!("CARGO_BIN_EXE_linkbeat")));
        command.args(["run", "--config"]).arg(directory.join("meeting.json"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("start the agent"))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.0.kill().expect("a child");
        self.0.wait().expect("a child");
    }
}

#[test]
fn one_of_several_agents_started_at_once_takes_over_a_dead_socket() {
    let name = format!("linkbeat-local-one-stays-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).expect("a directory of our own");
    let socket = directory.join("trigger.sock");
    let text = format!(r#"{{"status_listen": "", "trigger_socket": {socket:?}}}"#);
    fs::write(directory.join("meeting.json"), text).expect("a file of our own");
    for _ in 0..10 {
        drop(UnixListener::bind(&socket).expect("a socket that nobody listens on"));
        let mut agents: Vec<_> = (0..6).map(|_| Contender::start(&directory)).collect();
        let processes: Vec<_> = agents
            .iter()
            .map(|it| pidfd_open(Pid::from_child(&it.0), PidfdFlags::empty()).expect("a child"))
            .collect();
        // All but one end, and only then is it clear which one stays.
        let mut left: Vec<_> = processes.iter().collect();
        while left.len() > 1 {
            let mut fds: Vec<_> = left.iter().map(|it| PollFd::new(it, PollFlags::IN)).collect();
            let patience = PATIENCE.try_into().expect("a time-out");
            let ended = poll(&mut fds, Some(&patience)).expect("poll works");
            assert!(ended > 0, "{} agents stay", left.len());
            let alive: Vec<_> = fds.iter().map(|fd| fd.revents().is_empty()).collect();
            let mut alive = alive.into_iter();
            left.retain(|_| alive.next() == Some(true));
        }
        assert_eq!(left.len(), 1, "no agent stays");
        let mut helper = UnixStream::connect(&socket).expect("the one that stays listens");
        helper.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let mut greeting = vec![0; GREETING.len()];
        helper.read_exact(&mut greeting).expect("it greets");
        for agent in &mut agents {
            let code = agent.0.try_wait().expect("a child").map(|status| status.code());
            assert!(matches!(code, None | Some(Some(71))), "{code:?}");
        }
        drop(agents);
        fs::remove_file(&socket).expect("what the killed one left");
    }
    fs::remove_dir_all(&directory).expect("remove our own directory");
}
