//! Memory of the agent while it waits for its next beat with a kept TLS connection.
//!
//! A test build has no meaningful size, so this test measures the release binary in `LINKBEAT`.
//! `scripts/test memory` builds and runs it. Under an emulator there is no check.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::world::World;

use crate::camera::Camera;
use crate::ledger::{Entry, say, settle};

/// Beats before the connection is idle.
const BEATS: usize = 3;
/// Time from the arrival of a beat until the agent is idle.
const SETTLED: Duration = Duration::from_millis(500);

/// Memory of a process, in kB of 1,024 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident_kb: u64,
    /// Resident memory, with shared pages divided among the processes that map them.
    pub(crate) proportional_kb: u64,
}

impl Memory {
    pub(crate) fn of(agent: &Agent) -> Self {
        let rollup = read(agent, "smaps_rollup");
        let kb = |name| rollup.lines().find_map(|line| kb(line, name)).expect(name);
        Self { resident_kb: kb("Rss:"), proportional_kb: kb("Pss:") }
    }
}

#[test]
fn idle_connection_stays_within_its_memory_limits() {
    let Some(named) = std::env::var_os("LINKBEAT") else {
        say("memory of an idle connection: not looked at here, scripts/test memory does\n");
        return;
    };
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let beats: Vec<_> = (0..BEATS).map(|_| camera.beat()).collect();
    assert!(beats.iter().all(|beat| beat.connection == 1), "{beats:?}");
    camera.agent.lines().follow().find(SETTLED, |_| false);
    let memory = Memory::of(&camera.agent);
    let Memory { resident_kb, proportional_kb } = memory;
    let mut report = format!("idle over TLS: RSS {resident_kb} kB, PSS {proportional_kb} kB\n");
    report.push_str(&mappings(&camera.agent));
    say(&report);
    let program = format!("/proc/{}/exe", camera.agent.pid().as_raw_nonzero());
    if fs::canonicalize(named).expect("LINKBEAT") == fs::read_link(program).expect("a program") {
        let entry = |name: &str, value| Entry { name: name.to_owned(), value };
        settle(
            "idle, connected over TLS",
            &[entry("idle.resident", resident_kb), entry("idle.proportional", proportional_kb)],
        );
    }
}

/// One line for each resident mapping.
fn mappings(agent: &Agent) -> String {
    let mut report = String::new();
    let mut mapping = "";
    let smaps = read(agent, "smaps");
    for line in smaps.lines() {
        if let Some(resident_kb) = kb(line, "Rss:") {
            // smaps(5): addresses, rights, offset, device, inode, path.
            let words: Vec<&str> = mapping.split_whitespace().collect();
            let [_, rights, _, _, _, path @ ..] = &words[..] else { panic!("smaps: {mapping}") };
            let name = path.first().and_then(|path| path.rsplit('/').next()).unwrap_or("anonymous");
            if resident_kb > 0 {
                writeln!(report, "  {rights} {name:<16} {resident_kb:>6} kB").unwrap();
            }
        } else if !line.split_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            mapping = line;
        }
    }
    report
}

fn read(agent: &Agent, file: &str) -> String {
    let path = format!("/proc/{}/{file}", agent.pid().as_raw_nonzero());
    fs::read_to_string(&path).expect(&path)
}

fn kb(line: &str, name: &str) -> Option<u64> {
    let number = line.strip_prefix(name)?.trim().strip_suffix(" kB")?;
    Some(number.parse().expect("a number of kB"))
}
