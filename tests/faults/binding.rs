//! A kernel that forbids to bind sockets to an interface, as Linux does before 5.7 without `CAP_NET_RAW`.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::thread;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::world::World;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use serde_json::Value;

use crate::traced::{WELL, binary, setting};

const FORBIDS: &str = "the kernel forbids to bind sockets to an uplink";

/// Starts the agent below a filter of system calls, which a child has from the thread that makes it.
fn start_forbidden(world: &World, setting: &Setting) -> Agent {
    let is = |index, value: i32| {
        let value = u64::try_from(value).expect("the constant is positive");
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).unwrap()
    };
    let binds = vec![is(1, libc::SOL_SOCKET), is(2, libc::SO_BINDTODEVICE)];
    let rules = BTreeMap::from([(libc::SYS_setsockopt, vec![SeccompRule::new(binds).unwrap()])]);
    let forbid = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let machine = ARCH.try_into().expect("a machine that has filters");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, forbid, machine).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    let start = || {
        apply_filter(&program).expect("a filter");
        Agent::start(world, binary(), setting)
    };
    thread::scope(|scope| scope.spawn(start).join().expect("the agent starts"))
}

fn warnings(agent: &Agent) -> String {
    let status: Value = serde_json::from_str(&agent.ask("status").unwrap()).unwrap();
    status["warnings"].to_string()
}

#[test]
fn where_binding_is_forbidden_beats_are_sent_and_status_and_log_say_why_unbound() {
    let world = World::new();
    let mut beats = world.receiver.beats().follow();
    let mut agent = start_forbidden(&world, &setting(&world));
    beats.next("beat", WELL);
    beats.next("second beat", WELL);
    agent.said(FORBIDS);
    let warnings = warnings(&agent);
    assert!(warnings.contains(FORBIDS), "{warnings}");
    assert!(!warnings.contains("does not answer"), "{warnings}");
    assert!(agent.end().success());
}

#[test]
fn where_nothing_shall_be_bound_it_is_no_problem_that_binding_is_forbidden() {
    let world = World::new();
    let mut beats = world.receiver.beats().follow();
    let setting = setting(&world).own("bind_to_uplink", false);
    let mut agent = start_forbidden(&world, &setting);
    beats.next("beat", WELL);
    let warnings = warnings(&agent);
    assert!(!warnings.contains(FORBIDS), "{warnings}");
    assert!(agent.end().success());
}
