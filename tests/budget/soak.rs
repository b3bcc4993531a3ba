//! Memory, descriptors and processor time do not grow, whatever the network and the server do.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use linkbeat_core::proto::rng::Rng;
use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::clock;
use linkbeat_support::helper::Helper;
use linkbeat_support::world::{Block, Verdict, World};

use crate::camera::Camera;
use crate::growth::{Held, SETTLED, growth};
use crate::ledger::{say, settle};

/// How long the weather lasts, unless `SOAK_MINUTES` is set.
const BRIEF: Duration = Duration::from_secs(40);
/// Samples over that time. The first ends the time in which the agent takes what it needs.
const SAMPLES: u32 = 6;
/// Longest fault.
const FAULT_MAX: Duration = Duration::from_secs(4);
/// Longest wait for a beat after a fault: the back-off is an interval at most, of a second.
const MENDED: Duration = Duration::from_secs(20);

/// Answers and manners of a server, as lines for the receiver; none of them is final.
const MOODS: [&str; 9] = [
    "status 503",
    "status 429 retry-after 1",
    "not-ok",
    "hang",
    "reset",
    "half-close",
    "garbage",
    "close silent",
    "close announced",
];

#[test]
fn nothing_grows_whatever_the_weather() {
    let minutes = std::env::var("SOAK_MINUTES").map(|it| it.parse().expect("a number of minutes"));
    let time = minutes.map_or(BRIEF, |minutes: u64| Duration::from_secs(60 * minutes));
    let world = World::new();
    let setting = Setting::new(&world).every(1).own("log_level", "warn");
    let mut camera = Camera::start(&world, &setting);
    let mut rng = Rng::new(1);
    let mut report = String::from("   s   faults    beats   RSS kB   descriptors   µs a beat\n");
    let (began_us, mut faults, mut beats, mut processor_us) = (clock::boot_us(), 0, 0, 0);
    let mut samples = Vec::new();
    for nth in 1..=SAMPLES {
        let end_us = began_us + u64::try_from((time * nth / SAMPLES).as_micros()).unwrap();
        while clock::boot_us() < end_us {
            fault(&world, &mut camera, &mut rng);
            camera.beats.expect("beat after a fault", MENDED, |_| true);
            faults += 1;
        }
        let held = at_rest(&mut camera);
        let all = world.receiver.beats().all().len() as u64;
        let each_us = (held.processor_us - processor_us) / (all - beats);
        (beats, processor_us) = (all, held.processor_us);
        let took_s = (clock::boot_us() - began_us) / 1_000_000;
        let Held { resident_kb, descriptors, .. } = held;
        writeln!(
            report,
            "{took_s:>4} {faults:>8} {beats:>8} {resident_kb:>8} {descriptors:>13} {each_us:>11}"
        )
        .unwrap();
        samples.push(held);
    }
    say(&report);
    let [first, .., last] = samples[..] else { panic!("no two samples") };
    // The other tests of this process share pages with the agent, so its proportional size moves.
    let [resident, _, descriptors] = growth("soak", first, last);
    settle("growth under weather", &[resident, descriptors]);
}

/// What the agent holds while all is well and it waits.
fn at_rest(camera: &mut Camera) -> Held {
    // What the last fault has left is over when two beats in a row have come over one connection.
    let mut last = None;
    loop {
        let connection = camera.beats.next("beat", SOON).connection;
        if last.replace(connection) == Some(connection) {
            break;
        }
    }
    camera.agent.lines().follow().find(SETTLED, |_| false);
    Held::by(&camera.agent)
}

/// Makes one fault, for some time, and mends it.
fn fault(world: &World, camera: &mut Camera, rng: &mut Rng) {
    let time = rng.fraction(FAULT_MAX);
    let last = |camera: &mut Camera| drop(camera.beats.find(time, |_| false));
    match rng.below(10) {
        0 => {
            world.pull("eth0");
            last(camera);
            world.plug("eth0");
        }
        1 => {
            world.unlease("eth0");
            last(camera);
            world.lease("eth0");
        }
        2 => {
            world.delete("eth0");
            last(camera);
            world.create("eth0");
        }
        3 | 4 => {
            let verdict = if rng.below(2) == 0 { Verdict::Drop } else { Verdict::Reset };
            world.block(&[Block::all(verdict)]);
            last(camera);
            world.heal();
        }
        5 => world.receiver.close_connections(),
        6 => {
            let helper = Helper::connect(&camera.agent.socket()).expect("a helper");
            helper.trigger().expect("a trigger");
            camera.agent.ask("status").expect("a status");
        }
        7 => {
            // As a web manager does that saves what it has read.
            let file = camera.agent.file("/etc/rpi-cam/meeting.json");
            let text = fs::read(&file).expect("a configuration");
            fs::write(&file, text).expect("the same configuration");
        }
        _ => {
            let nth = usize::try_from(rng.below(MOODS.len() as u64)).unwrap();
            world.receiver.follow(MOODS[nth]).expect("a control line");
            last(camera);
            world.receiver.follow("ok").expect("a control line");
        }
    }
}
