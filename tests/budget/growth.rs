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
const SETTLED: Duration = Duration::from_millis(300);

/// Resources of the agent.
#[derive(Clone, Copy)]
struct Held {
    resident_kb: u64,
    proportional_kb: u64,
    descriptors: u64,
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
            0 => Close::Told,
            LAST_EVERY => Close::Untold,
            _ => Close::Keep,
        };
        world.receiver.behave(Behaviour { close, ..Behaviour::default() });
        helper.trigger().expect("a trigger");
        // A beat that met the closing of its connection arrives twice with the same number.
        seq = camera.beats.expect("beat", SOON, |beat| beat.seq() > seq).seq();
        if [beats / 10, beats / 2, beats].contains(&nth) {
            camera.beats.find(SETTLED, |_| false);
            let held = Held::by(&camera.agent);
            let Held { resident_kb, proportional_kb, descriptors } = held;
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
    let grown = |value: fn(Held) -> u64| value(late).saturating_sub(value(early));
    let entry = |name: &str, value| Entry { name: name.to_owned(), value };
    settle(
        "growth from a tenth of the beats on",
        &[
            entry("growth.resident", grown(|it| it.resident_kb)),
            entry("growth.proportional", grown(|it| it.proportional_kb)),
            entry("growth.descriptors", grown(|it| it.descriptors)),
        ],
    );
}

impl Held {
    fn by(agent: &Agent) -> Self {
        let Memory { resident_kb, proportional_kb } = Memory::of(agent);
        let directory = format!("/proc/{}/fd", agent.pid().as_raw_nonzero());
        let descriptors = fs::read_dir(directory).expect("descriptors").count();
        Self { resident_kb, proportional_kb, descriptors: descriptors as u64 }
    }
}
