//! linkbeat alone in a network: events for which the rivals have no solution, and the comparison of
//! two builds.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::middlebox::Middlebox;
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::world::{Families, INTERFACES, World};

use crate::Options;
use crate::camera::{Camera, Kind};
use crate::report::Row;
use crate::stats::{NEVER, Sample, time};

/// Time limit for a beat.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time limit for the kernel's announcement of an event.
const ANNOUNCED: Duration = Duration::from_secs(5);
/// The pause between two events, so that they do not affect each other.
const SETTLED: Duration = Duration::from_millis(1_200);
/// The time after which the kernel requests a gateway again that it had requested on a dead link.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(4);

/// Short losses of the carrier of the only uplink.
const BLIPS: [(Shape, [(&str, Duration); 3]); 3] = [
    (
        Shape::V4,
        [
            ("carrier blip of 0.25 s", QUARTER),
            ("carrier blip of 1 s", SECOND),
            ("carrier blip of 2.4 s", LONG),
        ],
    ),
    (
        Shape::V6,
        [
            ("carrier blip of 0.25 s, IPv6", QUARTER),
            ("carrier blip of 1 s, IPv6", SECOND),
            ("carrier blip of 2.4 s, IPv6", LONG),
        ],
    ),
    (
        Shape::Bridge,
        [
            ("carrier blip of 0.25 s, bridge", QUARTER),
            ("carrier blip of 1 s, bridge", SECOND),
            ("carrier blip of 2.4 s, bridge", LONG),
        ],
    ),
];
const QUARTER: Duration = Duration::from_millis(250);
const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_millis(2_400);
/// The bridge with eth0 as its port, in [`Shape::Bridge`].
const BRIDGE: &str = "br0";

/// The uplinks of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Cards with IPv4.
    V4,
    /// Cards with IPv6.
    V6,
    /// A bridge with IPv4 and eth0 as its only port.
    Bridge,
}

/// A trigger while a middlebox at eth0 acknowledges everything and never answers, and the next
/// trigger.
const MUTE: [&str; 2] = ["trigger, best uplink is mute", "trigger, best uplink was mute"];

/// A network with one agent in it.
pub(crate) struct Solo {
    camera: Camera,
    changes: Follower<Announcement>,
    /// The interface that the kernel announces when the cable of eth0 is pulled.
    uplink: &'static str,
}

impl Solo {
    /// Makes a device with these uplinks and starts this agent in it.
    pub(crate) fn start(binary: &Path, uplinks: &[&str], shape: Shape) -> io::Result<Self> {
        let families = if shape == Shape::V6 { Families::V6 } else { Families::V4 };
        let world = World::behind_switch(families);
        let uplink = if shape == Shape::Bridge { BRIDGE } else { "eth0" };
        if shape == Shape::Bridge {
            world.device.ip(&format!(
                "address flush dev eth0\n\
                 link add name {BRIDGE} type bridge stp_state 0 mcast_snooping 0\n\
                 link set eth0 master {BRIDGE}\n\
                 link set {BRIDGE} up\n\
                 address add 10.11.1.2/24 dev {BRIDGE}\n\
                 route add default via 10.11.1.1 dev {BRIDGE}"
            ));
        }
        for interface in INTERFACES.iter().filter(|it| !uplinks.contains(it)) {
            world.delete(interface);
        }
        let camera = Camera::within(world, binary, &[Kind::Linkbeat])?;
        let changes = camera.world.kernel.announcements().follow();
        let solo = Self { camera, changes, uplink };
        solo.pause(SETTLED);
        Ok(solo)
    }

    /// Pulls the cable of eth0; the beat comes over wlan1.
    pub(crate) fn pull(&mut self) -> Sample {
        self.event("wlan1", Some(Change::NotRunning), |world| world.pull("eth0"))
    }

    /// Plugs the cable back.
    pub(crate) fn plug(&mut self) -> Sample {
        self.event("eth0", Some(Change::Running), |world| world.plug("eth0"))
    }

    /// Requests a beat as a helper; it has to come over this uplink.
    pub(crate) fn trigger(&self, over: &str) -> io::Result<Sample> {
        let mut bell = self.camera.bell(Kind::Linkbeat)?;
        let mut beats = self.camera.world.receiver.beats().follow();
        let asked_us = bell.ring()?;
        let over = self.camera.world.address(over);
        let beat = beats.find(PATIENCE, |it| it.received_us > asked_us && it.peer.ip() == over);
        let act_us = beat.map_or(NEVER, |it| it.received_us - asked_us);
        Ok(Sample { word_us: None, act_us })
    }

    /// Interrupts the carrier of eth0 for this time; the time is measured from its return.
    fn blip(&mut self, time: Duration) -> Sample {
        self.changes.skip();
        self.camera.world.pull("eth0");
        let uplink = self.uplink;
        self.changes
            .find(ANNOUNCED, |it| it.interface == uplink && it.change == Change::NotRunning);
        self.pause(time);
        self.plug()
    }

    fn event(&mut self, over: &str, word: Option<Change>, act: impl FnOnce(&World)) -> Sample {
        let world = &self.camera.world;
        let mut beats = world.receiver.beats().follow();
        self.changes.skip();
        let made_us = clock::boot_us();
        act(world);
        let uplink = self.uplink;
        let announced = word.and_then(|word| {
            let wanted = |it: &Announcement| it.interface == uplink && it.change == word;
            self.changes.find(ANNOUNCED, wanted)
        });
        let over = world.address(over);
        let beat = beats.find(PATIENCE, |it| it.received_us > made_us && it.peer.ip() == over);
        let since = |event_us: u64| {
            beat.as_ref().map_or(NEVER, |beat| beat.received_us.saturating_sub(event_us))
        };
        Sample { word_us: announced.map(|it| since(it.at_us)), act_us: since(made_us) }
    }

    /// Waits.
    pub(crate) fn pause(&self, time: Duration) {
        self.camera.world.receiver.beats().follow().find(time, |_| false);
    }
}

/// Measures the requested rows of linkbeat alone.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (shape, blips) in BLIPS {
        let mut wanted = blips.to_vec();
        wanted.retain(|(name, _)| options.wants(name));
        if !wanted.is_empty() {
            rows.extend(self::blips(options, shape, &wanted)?);
        }
    }
    if MUTE.iter().any(|name| options.wants(name)) {
        rows.extend(mute(options)?);
    }
    Ok(rows)
}

fn blips(
    options: &Options,
    shape: Shape,
    wanted: &[(&'static str, Duration)],
) -> io::Result<Vec<Row>> {
    let mut solo = Solo::start(&options.binary, &["eth0"], shape)?;
    let mut rows: Vec<Row> = wanted.iter().map(|(name, _)| Row::new(name)).collect();
    for _ in 0..options.runs {
        for (row, (_, time)) in rows.iter_mut().zip(wanted) {
            let sample = solo.blip(*time);
            row.enter(Kind::Linkbeat, sample);
            print_sample(row.name, sample)?;
            solo.pause(SETTLED);
        }
    }
    Ok(rows)
}

fn mute(options: &Options) -> io::Result<Vec<Row>> {
    let mut solo = Solo::start(&options.binary, &INTERFACES, Shape::V4)?;
    let middlebox = Middlebox::on(&solo.camera.world, "eth0", "hang");
    let mut rows = MUTE.map(Row::new);
    for nth in 0..options.runs {
        let world = &solo.camera.world;
        if nth > 0 {
            middlebox.close(world);
        }
        world.receiver.close_connections();
        for row in &mut rows {
            solo.pause(SETTLED);
            let sample = solo.trigger("wlan1")?;
            row.enter(Kind::Linkbeat, sample);
            print_sample(row.name, sample)?;
        }
        // After its cable was pulled and plugged, the agent uses eth0 again.
        middlebox.open(&solo.camera.world);
        solo.pull();
        solo.pause(FORGOTTEN);
        solo.plug();
    }
    Ok(rows.into())
}

/// Prints the result of a run.
pub(crate) fn print_sample(name: &str, sample: Sample) -> io::Result<()> {
    writeln!(io::stdout(), "{name:<42}  linkbeat {:>8}", time(sample.us()))
}
