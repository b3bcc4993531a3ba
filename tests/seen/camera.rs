//! An agent and its server on the loopback of this machine: no network to depend on, no root needed.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use linkbeat_support::agent::binary_or;
use linkbeat_support::certificates::Certificates;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Beat, Receiver, Scheme};
use linkbeat_support::space::unique;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Longest wait for anything; what is to be fast is nowhere near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Camera {
    pub(crate) receiver: Receiver,
    pub(crate) beats: Follower<Beat>,
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    agent: Option<Child>,
}

impl Camera {
    /// An agent that has sent its first beat; `more` goes into its configuration.
    pub(crate) fn start(more: &Value) -> Self {
        let directory = std::env::temp_dir().join(format!("linkbeat-seen-{}", unique()));
        fs::create_dir_all(&directory).expect("a directory of our own");
        let certificates = Arc::new(Certificates::new(&["127.0.0.1"]));
        fs::write(directory.join("ca.pem"), certificates.authority_pem()).expect("a file");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let server = listener.local_addr().expect("an address");
        let receiver = Receiver::start(vec![(listener, Scheme::Https)], &certificates);
        let port = free_port().expect("a port");
        let mut config = json!({
            "api_url": format!("https://{server}/api"),
            "device_key": "camera-1",
            "heartbeat_interval": 86_400,
            "tls": { "ca_file": directory.join("ca.pem") },
            "status_listen": format!("127.0.0.1:{port}"),
            "trigger_socket": directory.join("trigger.sock"),
            "log_target": "stderr",
            "probe": { "address": "" },
        });
        let members = more.as_object().expect("an object").clone();
        config.as_object_mut().expect("an object").extend(members);
        fs::write(directory.join("linkbeat.json"), config.to_string()).expect("a file");
        let beats = receiver.beats().follow();
        let mut camera = Self { receiver, beats, directory, port, agent: None };
        camera.run();
        camera
    }

    /// Starts the agent, and waits until the server has acknowledged so.
    pub(crate) fn run(&mut self) {
        let log = self.directory.join("log");
        let log = fs::File::options().create(true).append(true).open(log).expect("a log");
        let mut command = self.linkbeat(&["run", "--config"]);
        command.arg(self.directory.join("meeting.json")).stderr(log);
        self.agent = Some(command.spawn().expect("start the agent"));
        self.beats.expect("first beat", PATIENCE, |beat| beat.reason() == "startup");
        // Received is not acknowledged yet.
        while !self.says(&["status"]).status.success() {}
    }

    /// Ends the agent with `signal`.
    pub(crate) fn end(&mut self, signal: Signal) {
        let Some(mut agent) = self.agent.take() else { return };
        kill_process(Pid::from_child(&agent), signal).expect("our own child");
        agent.wait().expect("our own child");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).expect("a log")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.agent.as_ref().expect("it runs"))
    }

    pub(crate) fn linkbeat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary_or(env!("CARGO_BIN_EXE_linkbeat")));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// What a command of the command line says to this agent.
    pub(crate) fn says(&self, arguments: &[&str]) -> Output {
        let mut command = self.linkbeat(arguments);
        command.arg("--socket").arg(self.socket()).output().expect("run linkbeat")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("trigger.sock")
    }

    /// Has a beat sent, and waits for its end.
    pub(crate) fn trigger(&self) {
        let answer = self.http("POST /api/meeting/heartbeat");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// The whole answer to a request.
    pub(crate) fn http(&self, request: &str) -> String {
        ask(self.port, request).expect("the agent answers")
    }

    /// The body of an answer to GET.
    pub(crate) fn get(&self, path: &str) -> String {
        let answer = self.http(&format!("GET {path}"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        body.to_owned()
    }

    pub(crate) fn history(&self, query: &str) -> Value {
        let json = self.get(&format!("/api/linkbeat/history{query}"));
        serde_json::from_str(&json).expect("JSON")
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.end(Signal::KILL);
        remove(&self.directory);
    }
}

fn remove(directory: &Path) {
    fs::remove_dir_all(directory).expect("remove our own directory");
}

/// Asks a server on the loopback.
pub(crate) fn ask(port: u16, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
