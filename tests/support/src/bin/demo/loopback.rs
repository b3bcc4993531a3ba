//! The demo without network namespaces: beats and triggers on the loopback interface.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use linkbeat_support::agent::Agent;
use linkbeat_support::certificates::Certificates;
use linkbeat_support::clock;
use linkbeat_support::receiver::{Receiver, Scheme};
use linkbeat_support::space::unique;
use serde_json::json;

use super::{AFTERMATH, PATIENCE, Summary, missing};

/// Starts a server and an agent, and triggers beats.
pub(super) fn show(binary: &Path) -> io::Result<()> {
    let directory = env::temp_dir().join(unique());
    fs::create_dir_all(directory.join("run/linkbeat"))?;
    let result = ring(binary, &directory);
    fs::remove_dir_all(&directory)?;
    result
}

fn ring(binary: &Path, directory: &Path) -> io::Result<()> {
    let certificates = Arc::new(Certificates::new(&["127.0.0.1"]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let receiver = Receiver::start(vec![(listener, Scheme::Https)], &certificates);
    fs::write(directory.join("ca.pem"), certificates.authority_pem())?;
    let meeting = json!({
        "api_url": format!("https://127.0.0.1:{port}/api"),
        "device_key": "camera-1",
        "tls": { "ca_file": directory.join("ca.pem") },
        "trigger_socket": directory.join("run/linkbeat/trigger.sock"),
        "status_listen": "",
        "log_target": "stderr",
    });
    let file = directory.join("meeting.json");
    fs::write(&file, meeting.to_string())?;
    let mut command = Command::new(binary);
    command.args(["run", "--config"]).arg(&file);

    let mut out = io::stdout();
    writeln!(out, "an agent and its server on 127.0.0.1, over TLS\n")?;
    let mut beats = receiver.beats().follow_all();
    let mut summary = Summary::default();
    let event_us = clock::boot_us();
    let mut agent = Agent::spawn(command, directory.to_owned());
    let first = beats.find(PATIENCE, |_| true).ok_or_else(|| missing("first beat"))?;
    summary.add("start, first beat", event_us, &first, "");
    for what in ["trigger", "another trigger"] {
        let event_us = clock::boot_us();
        agent.ask("trigger door-bell")?;
        let beat = beats.find(PATIENCE, |_| true).ok_or_else(|| missing("beat"))?;
        summary.add(what, event_us, &beat, "500 ms");
    }
    agent.lines().follow().find(AFTERMATH, |_| false);
    agent.end();
    for line in agent.lines().all() {
        writeln!(out, "agent   {}", line.text)?;
    }
    for beat in receiver.beats().all() {
        writeln!(out, "SERVER  {}", beat.to_json())?;
    }
    write!(out, "{summary}")
}
