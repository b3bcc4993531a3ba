//! linkbeat alone in a network: what the rivals have no answer to, and what two builds are compared by.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::middlebox::Middlebox;
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::world::{INTERFACES, World};

use crate::Options;
use crate::camera::{Camera, Kind};
use crate::report::Row;
use crate::stats::{NEVER, Sample, time};

/// How long a beat is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the kernel may take to announce an event.
const ANNOUNCED: Duration = Duration::from_secs(5);
/// Between two events, so that nothing of the one is left in the next.
const SETTLED: Duration = Duration::from_millis(1_200);
/// After this the kernel asks anew for a gateway that it asked for on a dead link.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(4);

/// Carriers that are out for less than that.
const BLIPS: [(&str, Duration); 3] = [
    ("carrier blip of 0.25 s", Duration::from_millis(250)),
    ("carrier blip of 1 s", Duration::from_secs(1)),
    ("carrier blip of 2.4 s", Duration::from_millis(2_400)),
];
/// A trigger while a box on eth0's line acknowledges and never answers, and the trigger after it.
const MUTE: [&str; 2] = ["trigger, best uplink is mute", "trigger, best uplink was mute"];

/// A network with one agent in it.
pub(crate) struct Solo {
    camera: Camera,
    changes: Follower<Announcement>,
}

impl Solo {
    /// The device has these uplinks, and the agent is this program.
    pub(crate) fn start(binary: &Path, uplinks: &[&str]) -> io::Result<Self> {
        let camera = Camera::with(binary, &[Kind::Linkbeat])?;
        for interface in INTERFACES.iter().filter(|it| !uplinks.contains(it)) {
            camera.world.delete(interface);
        }
        // As the kernel comes; the rivals are not here.
        for which in ["all", "default"].iter().chain(uplinks) {
            camera
                .world
                .device
                .sysctl(&format!("ipv4/conf/{which}/ignore_routes_with_linkdown"), "0");
        }
        let changes = camera.world.kernel.announcements().follow();
        let solo = Self { camera, changes };
        solo.pause(SETTLED);
        Ok(solo)
    }

    /// The cable of eth0 is pulled: the beat comes over wlan1.
    pub(crate) fn pull(&mut self) -> Sample {
        self.event("wlan1", Some(Change::NotRunning), |world| world.pull("eth0"))
    }

    /// It is plugged back.
    pub(crate) fn plug(&mut self) -> Sample {
        self.event("eth0", Some(Change::Running), |world| world.plug("eth0"))
    }

    /// A helper asks for a beat that is to come over this uplink.
    pub(crate) fn trigger(&self, over: &str) -> io::Result<Sample> {
        let mut bell = self.camera.bell(Kind::Linkbeat)?;
        let mut beats = self.camera.world.receiver.beats().follow();
        let asked_us = bell.ring()?;
        let over = self.camera.world.address(over);
        let beat = beats.find(PATIENCE, |it| it.received_us > asked_us && it.peer.ip() == over);
        let act_us = beat.map_or(NEVER, |it| it.received_us - asked_us);
        Ok(Sample { word_us: None, act_us })
    }

    /// The carrier of eth0 is out for so long; what counts is from its return on.
    fn blip(&mut self, time: Duration) -> Sample {
        self.changes.skip();
        self.camera.world.pull("eth0");
        self.changes.find(ANNOUNCED, |it| it.change == Change::NotRunning);
        self.pause(time);
        self.plug()
    }

    fn event(&mut self, over: &str, word: Option<Change>, act: impl FnOnce(&World)) -> Sample {
        let world = &self.camera.world;
        let mut beats = world.receiver.beats().follow();
        self.changes.skip();
        let made_us = clock::boot_us();
        act(world);
        let announced = word.and_then(|word| {
            let wanted = |it: &Announcement| it.interface == "eth0" && it.change == word;
            self.changes.find(ANNOUNCED, wanted)
        });
        let over = world.address(over);
        let beat = beats.find(PATIENCE, |it| it.received_us > made_us && it.peer.ip() == over);
        let since = |event_us: u64| {
            beat.as_ref().map_or(NEVER, |beat| beat.received_us.saturating_sub(event_us))
        };
        Sample { word_us: announced.map(|it| since(it.at_us)), act_us: since(made_us) }
    }

    /// Lets time pass.
    pub(crate) fn pause(&self, time: Duration) {
        self.camera.world.receiver.beats().follow().find(time, |_| false);
    }
}

/// The rows of linkbeat alone that are asked for.
pub(crate) fn measure(options: &Options) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let wanted: Vec<_> = BLIPS.into_iter().filter(|(name, _)| options.wants(name)).collect();
    if !wanted.is_empty() {
        rows.extend(blips(options, &wanted)?);
    }
    if MUTE.iter().any(|name| options.wants(name)) {
        rows.extend(mute(options)?);
    }
    Ok(rows)
}

fn blips(options: &Options, wanted: &[(&'static str, Duration)]) -> io::Result<Vec<Row>> {
    let mut solo = Solo::start(&options.binary, &["eth0"])?;
    let mut rows: Vec<Row> = wanted.iter().map(|(name, _)| Row::new(name)).collect();
    for _ in 0..options.runs {
        for (row, (_, time)) in rows.iter_mut().zip(wanted) {
            let sample = solo.blip(*time);
            row.enter(Kind::Linkbeat, sample);
            tell(row.name, sample)?;
            solo.pause(SETTLED);
        }
    }
    Ok(rows)
}

fn mute(options: &Options) -> io::Result<Vec<Row>> {
    let mut solo = Solo::start(&options.binary, &INTERFACES)?;
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
            tell(row.name, sample)?;
        }
        // With its cable out and in, the agent believes in eth0 again.
        middlebox.open(&solo.camera.world);
        solo.pull();
        solo.pause(FORGOTTEN);
        solo.plug();
    }
    Ok(rows.into())
}

/// What a run came to, while others are still to come.
pub(crate) fn tell(name: &str, sample: Sample) -> io::Result<()> {
    writeln!(io::stdout(), "{name:<42}  linkbeat {:>8}", time(sample.us()))
}
