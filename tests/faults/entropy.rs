//! A kernel whose random generator is not ready yet: TLS waits, nothing else does.

use std::fs;
use std::time::Duration;

use linkbeat_support::agent::{Agent, expect_line};
use linkbeat_support::clock;
use linkbeat_support::space::unique;
use linkbeat_support::world::World;
use serde_json::Value;

use crate::traced::{Baseline, WELL, setting, trace};

/// The question of the agent whether the generator is ready, in the trace.
const QUESTION: &str = ", 1, GRND_NONBLOCK)";
const WAITS: &str = "TLS waits for the kernel's random generator";

/// Runs the agent with a generator that is not ready, from the first question on.
fn start(
    world: &World,
    setting: &linkbeat_support::agent::Setting,
    baseline: &Baseline,
) -> (Agent, std::path::PathBuf) {
    let log = world.directory().join(unique());
    let own = baseline.lines.iter().filter(|line| line.contains(" getrandom("));
    let before = own.take_while(|line| !line.contains(QUESTION)).count();
    let first = baseline.place("getrandom", before + 1);
    let inject = format!("inject=getrandom:error=EAGAIN:when={first}+");
    let mut setting = setting.clone();
    trace(&mut setting, &log, &["-e", "trace=getrandom", "-e", &inject]);
    (Agent::start(world, "strace", &setting), log)
}

#[test]
fn tls_waits_for_random_numbers_and_status_goes_on() {
    let world = World::new();
    let baseline = Baseline::of(&world);
    let mut beats = world.receiver.beats().follow();
    let began_us = clock::boot_us();
    let (mut agent, log) = start(&world, &setting(&world), &baseline);
    let status =
        |agent: &Agent| -> Value { serde_json::from_str(&agent.ask("status").unwrap()).unwrap() };
    expect_line(&mut agent.lines().follow_all(), WAITS, WELL);
    assert!(status(&agent)["warnings"].to_string().contains(WAITS));
    let three = Duration::from_secs(3);
    beats.expect_none("beat before there are random numbers", three, |_| true);
    // The kernel is asked once a second, and by each new connection: the race has several.
    let trace = fs::read_to_string(&log).unwrap();
    let asked = trace.lines().filter(|line| line.contains("INJECTED")).count();
    let seconds = (clock::boot_us() - began_us) / 1_000_000;
    assert!(asked > 0 && asked as u64 <= seconds + 8, "asked {asked} times in {seconds} s");
    agent.trace_no_longer();
    beats.expect("beat once there are", WELL, |_| true);
    agent.said("the kernel's random generator is ready");
    assert!(!status(&agent)["warnings"].to_string().contains(WAITS));
    assert!(agent.end().success());
}

#[test]
fn plain_beats_do_not_wait_for_random_numbers() {
    let world = World::new();
    let baseline = Baseline::of(&world);
    let mut beats = world.receiver.beats().follow();
    let url = format!("http://{}/api", linkbeat_support::world::SERVER_NAME);
    let plain = setting(&world).meeting("api_url", url);
    let (mut agent, _) = start(&world, &plain, &baseline);
    beats.next("beat", WELL);
    expect_line(&mut agent.lines().follow_all(), "[Meeting] Heartbeat sent", WELL);
    assert!(agent.end().success());
}
