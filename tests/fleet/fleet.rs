//! The fleet, and its server.
//!
//! The devices do not know of each other, and what becomes of their beats is known before they send
//! them. So each of them runs alone through the time that the test lets pass, on whatever processor
//! is free, and what the server got in each second is added up afterwards.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use linkbeat_core::proto::rng::Rng;
use linkbeat_core::proto::time::Instant;

use crate::device::Device;
use crate::plain::INTERVAL;
use crate::receiver::Receiver;
use crate::server::{ADDRESSES, Fate, Load, Second, Server};

/// Longest round trip to the server.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(80);
/// How long the fleet takes to boot.
const BOOT: Duration = Duration::from_secs(60);
/// When the first event happens: every device has found its rhythm.
pub(crate) const EVENT_AT: Duration = Duration::from_secs(500);
/// How long the steady state is watched before and after an event.
pub(crate) const WATCHED: Duration = Duration::from_secs(300);
/// The devices that a processor takes at a time.
const TAKEN: usize = 64;

/// What a fleet is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The number of devices.
    pub(crate) size: usize,
    /// The `recovery_spread` of every device.
    pub(crate) recovery_spread: Duration,
    /// The server has a name.
    pub(crate) named: bool,
    /// A receiver hears the beats.
    pub(crate) heard: bool,
}

impl Default for Plan {
    fn default() -> Self {
        let size = size().unwrap_or(10_000);
        Self { seed: 0, size, recovery_spread: Duration::ZERO, named: false, heard: false }
    }
}

/// The size that is asked for.
pub(crate) fn size() -> Option<usize> {
    std::env::var("FLEET_DEVICES").ok().map(|it| it.parse().expect("a number"))
}

pub(crate) struct Fleet {
    pub(crate) devices: Vec<Device>,
    pub(crate) server: Server,
    pub(crate) load: Load,
    /// Who is online, by what the beats promise; with [`Plan::heard`].
    pub(crate) receiver: Receiver,
    pub(crate) now: Instant,
    plan: Plan,
    rng: Rng,
}

pub(crate) fn at(since_start: Duration) -> Instant {
    Instant::default() + since_start
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Requests in a second at which so many devices send, each at a time of its own.
pub(crate) fn steady(devices: usize) -> f64 {
    f64::from(u32::try_from(devices).expect("fewer than 2^32")) / INTERVAL.as_secs_f64()
}

impl Fleet {
    /// A fleet that has run for a while when the event comes.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(Plan { seed, ..Plan::default() })
    }

    /// The same with other properties.
    pub(crate) fn of(plan: Plan) -> Self {
        let server = Server {
            fate: Fate::Well,
            interval: None,
            named: plan.named,
            addresses: &ADDRESSES,
            ticket_keys: 1,
        };
        let mut fleet = Self {
            devices: Vec::new(),
            server,
            load: Load::new(plan.heard),
            receiver: Receiver::default(),
            now: Instant::default(),
            plan,
            rng: Rng::new(plan.seed),
        };
        let mut boots: Vec<Instant> =
            (0..plan.size).map(|_| at(fleet.rng.fraction(BOOT))).collect();
        boots.sort_unstable();
        for (key, boot_at) in boots.into_iter().enumerate() {
            let device = fleet.boot(key, boot_at);
            fleet.devices.push(device);
        }
        fleet.run_until(at(EVENT_AT));
        fleet
    }

    fn boot(&mut self, key: usize, now: Instant) -> Device {
        let (seed, round_trip) = (self.rng.next_u64(), self.rng.fraction(ROUND_TRIP_MAX));
        let own = (round_trip, self.plan.recovery_spread);
        Device::boot(key, seed, own, now, &self.server, &mut self.load)
    }

    /// Every device boots now.
    pub(crate) fn reboot(&mut self) {
        for key in 0..self.devices.len() {
            self.devices[key] = self.boot(key, self.now);
        }
    }

    fn run_until(&mut self, end: Instant) {
        let (server, heard) = (&self.server, self.plan.heard);
        let waiting = Mutex::new(self.devices.chunks_mut(TAKEN));
        let work = || {
            let mut load = Load::new(heard);
            loop {
                let taken = waiting.lock().expect("no thread fails while it takes").next();
                let Some(taken) = taken else { return load };
                taken.iter_mut().for_each(|device| device.run_until(end, server, &mut load));
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                self.load.add(worker.join().expect("a device failed, see above"));
            }
        });
        self.load.read(&mut self.receiver);
        self.now = end;
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Cuts a region with so many percent of the devices off, and nobody else.
    pub(crate) fn cut_off(&mut self, percent: usize) {
        for device in &mut self.devices {
            let former = device.cut_off;
            device.cut_off = device.key % 100 < percent;
            if device.cut_off != former {
                device.heard_at = None;
            }
        }
    }

    /// The largest of these seconds, as a multiple of the steady rate.
    pub(crate) fn most(&self, from: Instant, to: Instant, what: impl Fn(&Second) -> u32) -> f64 {
        let second = |at: Instant| usize::try_from(at.as_micros() / 1_000_000).unwrap();
        f64::from(self.load.most(second(from), second(to), what)) / steady(self.devices.len())
    }

    /// The event is over now: the fleet may not be in step from two intervals later on, and
    /// before that the peak may have this size. Prints what the server got.
    pub(crate) fn settles(&mut self, name: &str, peak_max: f64) {
        let over = self.now;
        self.pass(INTERVAL * 2);
        let settled = self.now;
        self.pass(WATCHED);
        let requests = |second: &Second| second.requests;
        let during = self.most(at(EVENT_AT), over.max(at(EVENT_AT) + seconds(1)), requests);
        let peak = self.most(over, settled, requests);
        let later = self.most(settled, self.now, requests);
        let connections = self.most(over, settled, |second| second.connections);
        let full = self.most(over, settled, |second| second.full);
        let resumed = self.most(over, settled, |second| second.resumed);
        let in_vain = self.most(at(EVENT_AT), settled, |second| second.in_vain);
        let repeated = self.most(at(EVENT_AT), settled, |second| second.repeated);
        println!(
            "{name:34} requests: {during:5.2} {peak:5.2} {later:5.2}, connections {connections:5.2}, \
             handshakes {full:5.2} {resumed:5.2}, SYNs in vain {in_vain:5.2} {repeated:5.2}"
        );
        assert!(peak <= peak_max, "{name}: a second with {peak:.2} times the steady rate");
        assert!(later <= 1.5, "{name}: in step, with {later:.2} times the steady rate");
    }
}
