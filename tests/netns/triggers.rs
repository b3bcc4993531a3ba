//! All kinds of triggers, and clients that trigger too often.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::helper::Helper;
use linkbeat_support::world::World;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;
use serde_json::Value;

use crate::camera::{Camera, RARELY, binary};

/// Sends one line to the camera's socket and returns the response.
fn ask(camera: &Camera, line: &str) -> String {
    camera.agent.ask(line).unwrap()
}

/// Sends a request to the camera's status server and returns the whole response.
fn http(world: &World, request: &str) -> String {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let mut stream = world.device.within(|| TcpStream::connect_timeout(&to, SOON)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    write!(stream, "{request} HTTP/1.1\r\n{head}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn line_on_the_socket_sends_a_beat_with_its_reason() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    assert!(ask(&camera, "trigger door-bell").starts_with("set"));
    assert_eq!(camera.beat().reason(), "trigger:door-bell");
    assert!(ask(&camera, "trigger").starts_with("set"));
    assert_eq!(camera.beat().reason(), "trigger");
    camera.stays_silent();
}

#[test]
fn line_with_wait_returns_the_result() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let answer = ask(&camera, "trigger --wait door");
    assert!(answer.contains("200") && answer.contains("eth0"), "{answer}");
    assert_eq!(camera.beat().reason(), "trigger:door");
}

#[test]
fn command_sends_a_beat_and_exits_with_the_result() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let output = camera.agent.beside(&world, binary(), &["trigger", "--reason", "cron"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(camera.beat().reason(), "trigger:cron");
    let output = camera.agent.beside(&world, binary(), &["trigger", "--wait"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(camera.beat().reason(), "trigger");
}

#[test]
fn command_without_an_agent_fails() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    camera.agent.end();
    let output = camera.agent.beside(&world, binary(), &["trigger"]);
    assert!(!output.status.success() && !output.stderr.is_empty(), "{output:?}");
}

#[test]
fn sigusr1_sends_a_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    camera.ring();
    assert_eq!(camera.beat().reason(), "trigger");
}

#[test]
fn post_sends_a_beat_and_returns_the_response_of_the_server() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let answer = http(&world, "POST /api/meeting/heartbeat");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"status_code\":200") || answer.contains("\"status_code\": 200"));
    assert!(answer.contains("last_seen"), "{answer}");
    assert_eq!(camera.beat().reason(), "trigger");
}

#[test]
fn post_without_wait_is_answered_at_once() {
    let world = World::new();
    world.receiver.follow("delay 2000").unwrap();
    let camera = Camera::calm(&world);
    let answer = http(&world, "POST /api/meeting/heartbeat?wait=0");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"set\""), "{answer}");
    drop(camera);
}

#[test]
fn status_shows_the_last_response_and_no_token() {
    let world = World::new();
    let camera = Camera::calm(&world);
    camera.agent.said("[Meeting] Heartbeat sent");
    let answer = http(&world, "GET /api/meeting/status");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let status: Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["connected"], true);
    assert_eq!(status["status"]["connected"], true);
    assert_eq!(status["device_info"]["ok"], true);
    assert_eq!(status["device_key"], "came****");
    assert!(!answer.contains("s3cret-token"), "{answer}");
}

#[test]
fn each_write_to_a_helpers_eventfd_sends_a_beat() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let helper = Helper::connect(&camera.agent.socket()).unwrap();
    for _ in 0..3 {
        helper.trigger().unwrap();
        assert_eq!(camera.beat().reason(), "trigger");
    }
    camera.stays_silent();
}

#[test]
fn eventfd_is_the_agents_however_it_is_abused() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let helper = Helper::connect(&camera.agent.socket()).unwrap();
    // The file description is shared with the agent, which must not block on it now.
    fcntl_setfl(helper.eventfd(), OFlags::empty()).unwrap();
    helper.trigger().unwrap();
    camera.beat_for("trigger");
    fcntl_setfl(helper.eventfd(), OFlags::NONBLOCK).unwrap();
    // The counter's maximum, and then one more: it is full.
    helper.add(u64::MAX - 1).unwrap();
    helper.trigger().ok();
    camera.beat_for("trigger");
    let flood = |_| helper.trigger().unwrap();
    (0..10_000).for_each(flood);
    camera.beat_for("trigger");
    let other = Helper::connect(&camera.agent.socket()).unwrap();
    drop(helper);
    other.trigger().unwrap();
    camera.beat_for("trigger");
}

#[test]
fn helper_notices_the_end_of_the_agent_and_reconnects() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY);
    let mut camera = Camera::start(&world, &setting);
    let helper = Helper::connect(&camera.agent.socket()).unwrap();
    camera.agent = camera.agent.restart(&world, binary(), &setting);
    helper.stream().set_read_timeout(Some(SOON)).unwrap();
    let mut rest = Vec::new();
    helper.stream().read_to_end(&mut rest).unwrap();
    camera.beat_for("startup");
    let helper = Helper::connect(&camera.agent.socket()).unwrap();
    helper.trigger().unwrap();
    camera.beat_for("trigger");
}

#[test]
fn helpers_beyond_the_limit_are_refused_and_the_others_kept() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let socket = camera.agent.socket();
    let helpers: Vec<_> = (0..16).filter_map(|_| Helper::connect(&socket).ok()).collect();
    assert_eq!(helpers.len(), 16);
    assert!(Helper::connect(&socket).is_err());
    for helper in &helpers {
        helper.trigger().unwrap();
    }
    camera.beat_for("trigger");
    drop(helpers);
    // The agent notices the closed connections a little later.
    assert!((0..100).any(|_| Helper::connect(&socket).is_ok()));
}

#[test]
fn write_to_an_inherited_eventfd_sends_a_beat() {
    let world = World::new();
    // Without CLOEXEC the child inherits it with the same number.
    let trigger = eventfd(0, EventfdFlags::empty()).unwrap();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.arguments.extend(["--trigger-fd".to_owned(), trigger.as_raw_fd().to_string()]);
    let mut camera = Camera::start(&world, &setting);
    rustix::io::write(&trigger, &1_u64.to_ne_bytes()).unwrap();
    assert_eq!(camera.beat().reason(), "trigger");
}

#[test]
fn trigger_during_a_beat_causes_another() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.receiver.follow("delay 500").unwrap();
    assert!(ask(&camera, "trigger first").starts_with("set"));
    assert_eq!(camera.beat().reason(), "trigger:first");
    assert!(ask(&camera, "trigger second").starts_with("set"));
    assert!(ask(&camera, "trigger third").starts_with("pending"));
    camera.beat();
    camera.stays_silent();
}

#[test]
fn malformed_lines_do_not_affect_other_clients() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let long = "x".repeat(100_000);
    for rubbish in ["", "\n", "\0\0\0\n", "trigger \u{1f4a3}\n", "trigger a b c\n", &long] {
        let mut stream = UnixStream::connect(camera.agent.socket()).unwrap();
        // The agent may close the connection in the middle.
        stream.write_all(rubbish.as_bytes()).ok();
    }
    camera.beats.skip();
    assert!(ask(&camera, "trigger well").starts_with("set"));
    camera.beat_for("trigger:well");
}

#[test]
fn idle_helpers_do_not_block_other_clients() {
    let world = World::new();
    let camera = Camera::calm(&world);
    let connect = |_| UnixStream::connect(camera.agent.socket()).unwrap();
    let mut idle: Vec<UnixStream> = (0..40).map(connect).collect();
    idle.truncate(8);
    assert!(ask(&camera, "trigger").starts_with("set"));
}

#[test]
fn flood_of_triggers_does_not_delay_a_failover() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let mut stream = UnixStream::connect(camera.agent.socket()).unwrap();
    // Unread responses must not block the agent either.
    stream.set_write_timeout(Some(SOON)).unwrap();
    let storm = "trigger storm\n".repeat(500);
    stream.write_all(storm.as_bytes()).unwrap();
    world.pull("eth0");
    // The agent may have closed the connection of this helper.
    stream.write_all(storm.as_bytes()).ok();
    let beat = camera.beat_for("failover_to_wlan1");
    assert_eq!(beat.peer.ip(), world.address("wlan1"));
    // Five beats at once, then one every two seconds, and those for network changes.
    camera.beats.expect_none("storm of beats", Duration::from_secs(1), |beat| beat.nth > 12);
    assert!(world.receiver.counts().requests < 12, "{:?}", world.receiver.counts());
}

#[test]
fn response_to_a_trigger_names_the_reason_for_no_beat() {
    let world = World::new();
    for (key, value, answer) in
        [("enabled", Value::Bool(false), "disabled"), ("api_url", "".into(), "unconfigured")]
    {
        let mut camera = Camera::silent(&world, &Setting::new(&world).meeting(key, value));
        camera.stays_silent();
        assert_eq!(ask(&camera, "trigger"), answer);
    }
}

#[test]
fn response_to_a_trigger_names_the_end_of_retry_after() {
    for status in ["429", "503"] {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        world.receiver.follow(&format!("status {status} retry-after 3")).unwrap();
        assert!(ask(&camera, "trigger door").starts_with("set"));
        camera.beat();
        world.receiver.follow("ok").unwrap();
        camera.agent.said("[Meeting] Heartbeat failed");
        let answer = ask(&camera, "trigger door");
        assert!(answer.starts_with("held until"), "{status}: {answer}");
    }
}

#[test]
fn second_agent_exits_and_names_the_first() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let output = camera.agent.beside(&world, binary(), &["run"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{complaint}");
    let pid = camera.agent.pid().as_raw_nonzero().to_string();
    assert!(complaint.contains(&pid), "{complaint}");
    camera.stays_silent();
}

#[test]
fn socket_of_a_dead_agent_is_replaced() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY);
    let mut camera = Camera::start(&world, &setting);
    camera.agent.signal(Signal::KILL);
    camera.agent.wait(SOON);
    assert!(camera.agent.socket().exists());
    camera.agent = camera.agent.restart(&world, binary(), &setting);
    assert_eq!(camera.beat().reason(), "startup");
    assert!(ask(&camera, "trigger").starts_with("set"));
}
