//! Memory and descriptors do not grow over many beats.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting};
use linkbeat_support::clock;
use linkbeat_support::helper::Helper;
use linkbeat_support::receiver::{Behaviour, Close};
use linkbeat_support::world::World;
use serde_json::json;

use crate::camera::Camera;
use crate::ledger::{Entry, say, settle};
use crate::memory::Memory;

/// Number of beats, unless `BEATS` is set.
const BEATS: u64 = 20_000;
/// Every beat of this number is the last of its connection. The server announces that every other
/// time.
const LAST_EVERY: u64 = 10;
/// Helpers that trigger in turn, because the agent throttles each of them.
const HELPERS: usize = 16;
/// Time from the arrival of a beat until the agent is idle.
pub(crate) const SETTLED: Duration = Duration::from_millis(300);

/// Resources of the agent.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    pub(crate) resident_kb: u64,
    pub(crate) proportional_kb: u64,
    pub(crate) descriptors: u64,
    /// Processor time since start.
    pub(crate) processor_us: u64,
}

#[test]
fn memory_and_descriptors_do_not_grow_over_many_beats() {
    let beats = std::env::var("BEATS").map_or(BEATS, |it| it.parse().expect("BEATS is a number"));
    let world = World::new();
    let setting = Setting::new(&world)
        .every(86_400)
        .own("log_level", "warn")
        .own("moderation", json!({ "trigger": { "burst": 1000, "every_ms": 0 } }));
    let mut camera = Camera::start(&world, &setting);
    let helpers: Vec<Helper> = (0..HELPERS)
        .map(|_| Helper::connect(&camera.agent.socket()).expect("one helper more"))
        .collect();
    let mut report = String::from("beats       RSS kB   PSS kB   descriptors   s\n");
    let mut samples = Vec::new();
    let began_us = clock::boot_us();
    let mut seq = 1;
    for (nth, helper) in (1..=beats).zip(helpers.iter().cycle()) {
        let close = match nth % (2 * LAST_EVERY) {
            0 => Close::Announced,
            LAST_EVERY => Close::Silent,
            _ => Close::Keep,
        };
        world.receiver.behave(Behaviour { close, ..Behaviour::default() });
        helper.trigger().expect("a trigger");
        // A beat that met the closing of its connection arrives twice with the same number.
        seq = camera.beats.expect("beat", SOON, |beat| beat.seq() > seq).seq();
        if [beats / 10, beats / 2, beats].contains(&nth) {
            camera.beats.find(SETTLED, |_| false);
            let held = Held::by(&camera.agent);
            let Held { resident_kb, proportional_kb, descriptors, .. } = held;
            let took_s = (clock::boot_us() - began_us) / 1_000_000;
            writeln!(
                report,
                "{nth:<8} {resident_kb:>9} {proportional_kb:>8} {descriptors:>13} {took_s:>3}"
            )
            .unwrap();
            samples.push(held);
        }
    }
    writeln!(report, "over {} connections", world.receiver.counts().connections).unwrap();
    say(&report);
    let [early, _, late] = samples[..] else { panic!("three samples") };
    settle("growth from a tenth of the beats on", &growth("growth", early, late));
}

/// How much more the agent holds, as entries whose names begin with `test`.
pub(crate) fn growth(test: &str, early: Held, late: Held) -> [Entry; 3] {
    let entry = |name, value: fn(Held) -> u64| Entry {
        name: format!("{test}.{name}"),
        value: value(late).saturating_sub(value(early)),
    };
    [
        entry("resident", |it| it.resident_kb),
        entry("proportional", |it| it.proportional_kb),
        entry("descriptors", |it| it.descriptors),
    ]
}

impl Held {
    pub(crate) fn by(agent: &Agent) -> Self {
        let Memory { resident_kb, proportional_kb } = Memory::of(agent);
        let process = format!("/proc/{}", agent.pid().as_raw_nonzero());
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("descriptors").count();
        // proc(5), `schedstat`: nanoseconds on a processor come first.
        let schedule = fs::read_to_string(format!("{process}/schedstat")).expect("schedstat");
        let busy_ns: u64 =
            schedule.split_whitespace().next().and_then(|it| it.parse().ok()).expect("ns");
        let (descriptors, processor_us) = (descriptors as u64, busy_ns / 1000);
        Self { resident_kb, proportional_kb, descriptors, processor_us }
    }
}
