//! A cable is pulled while clients request the status as fast as they can.

use std::io::{self, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::observer::Change;
use rustix::process::{Pid, Signal, kill_process};

use crate::Options;
use crate::camera::{Camera, Kind};
use crate::stats::Summary;

/// The word that selects it with --only.
const NAME: &str = "load";
/// The numbers of clients: none, as many as linkbeat accepts at a time, and ten times as many.
const CLIENTS: [usize; 3] = [0, 8, 80];
/// The time from the start of the clients to the event.
const SETTLED: Duration = Duration::from_millis(1_500);
/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time limit for the kernel's announcement of an event.
const ANNOUNCED: Duration = Duration::from_secs(5);
/// The wait after the cable is plugged back, until the kernel has no trace of the event.
const FORGOTTEN: Duration = Duration::from_secs(4);

/// The results for a number of clients.
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// The times from the event to the request received, in µs.
    pub(crate) times: Vec<u64>,
    /// The requests per second of the clients that were answered, in each run.
    pub(crate) rates: Vec<u64>,
}

/// Not part of a quick run, because it takes too long.
pub(crate) fn wanted(options: &Options) -> bool {
    options.wants(NAME) && (options.slow_runs > 0 || !options.only.is_empty())
}

pub(crate) fn measure(options: &Options) -> io::Result<Vec<Load>> {
    let camera = Camera::start(options, &[Kind::Linkbeat])?;
    let mut loads = CLIENTS.map(|clients| Load { clients, times: Vec::new(), rates: Vec::new() });
    for nth in 1..=options.runs {
        let mut line = format!("{nth:>3}/{} cable pulled under load", options.runs);
        for load in &mut loads {
            let (us, rate) = run(&camera, load.clients)?;
            load.times.push(us);
            load.rates.extend(rate);
            line += &format!("  {} clients {}", load.clients, crate::stats::time(us));
        }
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(loads.into())
}

/// Returns the time of one event, and the answered requests per second of the clients.
fn run(camera: &Camera, clients: usize) -> io::Result<(u64, Option<u64>)> {
    let world = &camera.world;
    let asking = (clients > 0).then(|| start(camera, clients)).transpose()?;
    pause(camera, SETTLED);
    let mut beats = world.receiver.beats().follow();
    let mut changes = world.kernel.announcements().follow();
    let made_us = clock::boot_us();
    world.pull("eth0");
    let down = |it: &linkbeat_support::observer::Announcement| {
        it.interface == "eth0" && it.change == Change::NotRunning
    };
    let event_us = changes.find(ANNOUNCED, down).map_or(made_us, |it| it.at_us);
    let over = world.address("wlan1");
    let beat = beats.find(PATIENCE, |beat| beat.received_us > made_us && beat.peer.ip() == over);
    let rate = asking.map(stop).transpose()?;
    world.plug("eth0");
    pause(camera, FORGOTTEN);
    let beat = beat.ok_or_else(|| {
        camera.print_log(Kind::Linkbeat);
        io::Error::other(format!("{NAME}: no beat with {clients} clients"))
    })?;
    Ok((beat.received_us.saturating_sub(event_us), rate))
}

fn start(camera: &Camera, clients: usize) -> io::Result<Child> {
    let connections = format!("-c{clients}");
    let url = "http://127.0.0.1:5000/api/meeting/status";
    let arguments = ["-t1", &connections, "-d60s", url];
    let mut wrk = camera.world.device.command("wrk");
    wrk.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

/// Stops the clients and returns their requests per second.
fn stop(wrk: Child) -> io::Result<u64> {
    kill_process(Pid::from_child(&wrk), Signal::INT)?;
    let said = wrk.wait_with_output()?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let whole = rate.and_then(|rate| rate.trim().split('.').next()?.parse().ok());
    whole.ok_or_else(|| io::Error::other(format!("wrk: {said}")))
}

fn pause(camera: &Camera, time: Duration) {
    camera.world.receiver.beats().follow().find(time, |_| false);
}

/// The section of the report; empty without results.
pub(crate) fn table(loads: &[Load]) -> String {
    let median = |load: &Load| Summary::of(load.times.iter().copied()).map(|it| it.median_us);
    let Some(alone) = loads.first().and_then(median) else { return String::new() };
    let mut text = String::from(
        "\n## While clients ask for the status\n\n\
         The cable is pulled while `wrk` in the device requests the status, in turns with runs without clients. The \
         agent accepts eight clients at a time. Median / 95th percentile / maximum; *times* is the median divided by \
         that without clients, which is promised to stay below 2.\n\n\
         | clients | answered per second | runs | cable pulled | times |\n|---|---|---|---|---|\n",
    );
    for load in loads {
        let Some(summary) = Summary::of(load.times.iter().copied()) else { continue };
        let rate = Summary::of(load.rates.iter().copied());
        let rate = rate.map_or("-".to_owned(), |it| it.median_us.to_string());
        let hundredths = summary.median_us * 100 / alone.max(1);
        text += &format!(
            "| {} | {rate} | {} | {} | {}.{:02} |\n",
            load.clients,
            summary.runs,
            summary.cell(),
            hundredths / 100,
            hundredths % 100
        );
    }
    text
}
