//! What the agent keeps in memory while it waits for its next beat, over a connection kept with TLS.
//!
//! The program of a test build is no measure, so this is for one as it is shipped, that `LINKBEAT` names:
//! `scripts/size --rss` makes it and runs this. What an emulator keeps is held to nothing.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_support::agent::{Agent, Setting};
use linkbeat_support::world::World;

use crate::camera::Camera;
use crate::ledger::{Entry, say, settle};

/// Beats over the connection before it is idle.
const BEATS: usize = 3;
/// After a beat was received, until the agent is idle.
const SETTLED: Duration = Duration::from_millis(500);

/// Memory of a process, in kB of 1,024 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident_kb: u64,
    /// Its share of what several processes map.
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
fn idle_connection_holds_what_it_may() {
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

/// One line for each mapping that is in memory.
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
