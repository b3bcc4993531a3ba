//! The memory of the agent over many beats.

use std::io;
use std::time::Duration;

use linkbeat_support::clock;
use rustix::process::Signal;

use crate::Options;
use crate::camera::{Camera, Kind};

/// How long a beat is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beats before the first look.
const BEFORE: u64 = 1000;

/// Resident memory before and after many beats.
pub(crate) struct Growth {
    /// How many.
    pub(crate) beats: u64,
    /// Before, in kB.
    pub(crate) before_kb: u64,
    /// After, in kB.
    pub(crate) after_kb: u64,
    /// How long they took.
    pub(crate) took_s: u64,
}

pub(crate) fn measure(options: &Options) -> io::Result<Growth> {
    let camera = Camera::start(options, &[Kind::Linkbeat])?;
    let agent = camera.agent(Kind::Linkbeat)?;
    let mut received = camera.world.receiver.beats().follow();
    let mut send = |count: u64| {
        for _ in 0..count {
            // A helper is heard 64 times a second at most; a signal always.
            agent.signal(Signal::USR1);
            camera.first(&mut received, Kind::Linkbeat, PATIENCE)?;
        }
        Ok::<_, io::Error>(agent.resident_kb())
    };
    let before_kb = send(BEFORE)?;
    let began_us = clock::boot_us();
    let after_kb = send(options.beats)?;
    let took_s = (clock::boot_us() - began_us) / 1_000_000;
    Ok(Growth { beats: options.beats, before_kb, after_kb, took_s })
}
