//! The memory of the agent over many beats.

use std::io;
use std::time::Duration;

use linkbeat_support::clock;
use rustix::process::Signal;

use crate::Options;
use crate::camera::{Camera, Kind};

/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beats before the first measurement.
const BEFORE: u64 = 1000;

/// Resident memory before and after many beats.
pub(crate) struct Growth {
    /// The number of beats.
    pub(crate) beats: u64,
    /// The memory before, in kB.
    pub(crate) before_kb: u64,
    /// The memory after, in kB.
    pub(crate) after_kb: u64,
    /// The time that the beats took, in seconds.
    pub(crate) took_s: u64,
}

pub(crate) fn measure(options: &Options) -> io::Result<Growth> {
    let camera = Camera::start(options, &[Kind::Linkbeat])?;
    let agent = camera.agent(Kind::Linkbeat)?;
    let mut received = camera.world.receiver.beats().follow();
    let mut send = |count: u64| {
        for _ in 0..count {
            // The agent serves a helper at most 64 times a second, but every signal.
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
