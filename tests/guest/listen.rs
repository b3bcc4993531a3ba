//! Port 5000: where the web manager wants it, the agent does not have it.

use std::fs;
use std::time::Duration;

use linkbeat_core::proto::rng::Rng;
use linkbeat_support::agent::{Agent, SOON, expect_line};
use rustix::process::Signal;

use crate::device::{Device, MEETING, MEETING_TEXT, Manager, OWN, OWN_TEXT, STARTED};

/// Starts of the agent, and of the manager, in a test of both.
const STARTS: u32 = 100;
/// Longest time until the agent has looked again for other programs on the port.
const LOOK: Duration = Duration::from_secs(40);

const ON_PORT: &str = "status server listens on 127.0.0.1:5000";
const ON_SOCKET: &str = "status server listens on unix:/run/linkbeat/http.sock";

/// The agent and the web manager of one device, and what became of each start of the manager.
struct Both<'a> {
    device: &'a Device,
    rng: Rng,
    agent: Option<Agent>,
    manager: Option<Manager>,
    failed: Vec<String>,
}

impl<'a> Both<'a> {
    fn new(device: &'a Device, seed: u64) -> Self {
        Self { device, rng: Rng::new(seed), agent: None, manager: None, failed: Vec::new() }
    }

    fn restart_agent(&mut self) {
        if let Some(mut agent) = self.agent.take()
            && self.rng.below(2) == 0
        {
            // In its first moments it may not know the signal yet, and ends by it.
            agent.end();
        }
        self.agent = Some(self.device.start_agent());
        if self.rng.below(2) == 0 {
            self.agent.iter().for_each(|agent| drop(agent.said(ON_SOCKET)));
        }
    }

    fn restart_manager(&mut self) {
        let signal = if self.rng.below(2) == 0 { Signal::TERM } else { Signal::KILL };
        if let Some(manager) = self.manager.take() {
            manager.end(signal);
        }
        // Its former workers may take a moment to end; the agent never has the port.
        self.device.waits_for_the_port();
        match self.device.start_manager() {
            Ok(manager) => self.manager = Some(manager),
            Err(said) => self.failed.push(said),
        }
    }
}

#[test]
fn the_manager_gets_its_port_whenever_either_starts() {
    let device = Device::new();
    device.install_manager();
    let mut both = Both::new(&device, 14);
    let (mut agents, mut managers) = (STARTS, STARTS);
    while agents + managers > 0 {
        if both.rng.below(u64::from(agents + managers)) < u64::from(agents) {
            agents -= 1;
            both.restart_agent();
        } else {
            managers -= 1;
            both.restart_manager();
        }
    }
    assert_eq!(both.failed, Vec::<String>::new(), "of {STARTS} starts");
    assert!(device.ask_port().ends_with("manager"));
    both.agent.as_ref().expect("it was started").said(ON_SOCKET);
    assert!(device.ask_socket().contains("\"heartbeat_thread_running\":true"));
    assert_eq!(device.status()["listens_on"], "unix:/run/linkbeat/http.sock");
}

#[test]
fn a_program_that_had_the_port_once_gets_it_again() {
    let mut device = Device::new();
    let manager = device.start_manager().expect("the port is free");
    let agent = device.start_agent();
    agent.said(ON_SOCKET);
    manager.end(Signal::TERM);
    device.waits_for_the_port();
    // The agent looks again, at the very moment at which the program is restarted.
    device.write(MEETING, &MEETING_TEXT.replace("camera-1", "camera-2"));
    device.beats.expect("beat", SOON, |beat| beat.device_key() == "camera-2");
    let _manager = device.start_manager().expect("the port is free");
    drop(agent);
}

#[test]
fn the_port_is_given_up_as_soon_as_the_manager_is_installed() {
    for directory in [false, true] {
        let device = Device::new();
        let agent = device.start_agent();
        agent.said(ON_PORT);
        assert!(device.ask_port().contains("\"heartbeat_thread_running\":true"));
        assert_eq!(device.status()["listens_on"], "127.0.0.1:5000");
        if directory {
            fs::create_dir(device.file("/opt/rpi-cam-webmanager")).expect("a directory of our own");
        } else {
            device.install_manager();
        }
        agent.said(ON_SOCKET);
        let _manager = device.start_manager().expect("the port is free");
        assert!(device.ask_port().ends_with("manager"));
        assert!(device.ask_socket().contains("\"heartbeat_thread_running\":true"));
    }
}

#[test]
fn any_address_with_that_port_is_left_to_its_program() {
    for address in ["127.0.0.2:5000", "[::1]:5000"] {
        let device = Device::new();
        // A machine may lack IPv6.
        let Some(_other) = device.listen(address) else { continue };
        device.start_agent().said(ON_SOCKET);
    }
}

#[test]
fn the_port_is_given_up_when_another_program_listens_beside_it() {
    let device = Device::new();
    // The look rides on the wake-ups of the cycle.
    device.write(MEETING, &MEETING_TEXT.replace("3600", "5"));
    let agent = device.start_agent();
    agent.said(ON_PORT);
    let other = device.listen("127.0.0.2:5000").expect("an address of the loopback");
    expect_line(&mut agent.lines().follow_all(), ON_SOCKET, LOOK);
    drop(other);
    let _manager = device.start_manager().expect("the port is free");
}

#[test]
fn no_port_is_opened_before_there_is_a_configuration() {
    let device = Device::new();
    device.remove(MEETING);
    device.remove(OWN);
    let agent = device.start_agent();
    agent.said("no configuration yet");
    agent.said(STARTED);
    assert_eq!(agent.ask("trigger").expect("helpers are answered"), "unconfigured");
    assert!(!device.port_is_taken());
    device.write(OWN, OWN_TEXT);
    agent.said(ON_PORT);
    // One that is not good any more changes nothing.
    let mut lines = agent.lines().follow();
    device.write(OWN, "{");
    expect_line(&mut lines, "the last good one stays in force", SOON);
    assert!(device.port_is_taken());
}
