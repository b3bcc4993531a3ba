//! A day of a fleet: all that hits it, one event after the other, each watched until the fleet is
//! steady again.

use std::fmt::Write as _;
use std::time::Duration;

use crate::fleet::{EVENT_AT, Fleet, Plan, seconds, steady};
use crate::plain::INTERVAL;
use crate::server::{Fate, Load, MOVED, Second};

/// Most devices that live at the same time: larger fleets run in pieces.
const PIECE: usize = 10_000;
/// How long the steady state is watched between two events.
const STEADY: Duration = Duration::from_secs(120);

/// Something that hits many devices at once.
pub(crate) struct Event {
    name: &'static str,
    lasts: Duration,
    begins: fn(&mut Fleet),
    ends: fn(&mut Fleet),
}

/// Until the power cut the devices know the server by one address, after it by its name.
pub(crate) const DAY: &[Event] = &[
    Event {
        name: "region of 30 % cut off for 10 s",
        lasts: seconds(10),
        begins: |fleet| fleet.cut_off(30),
        ends: |fleet| fleet.cut_off(0),
    },
    Event {
        name: "region of 30 % cut off for 10 min",
        lasts: seconds(600),
        begins: |fleet| fleet.cut_off(30),
        ends: |fleet| fleet.cut_off(0),
    },
    Event {
        name: "server silent for 5 min",
        lasts: seconds(300),
        begins: |fleet| fleet.server.fate = Fate::Silent,
        ends: |fleet| fleet.server.fate = Fate::Well,
    },
    Event {
        name: "server refuses for 5 min",
        lasts: seconds(300),
        begins: |fleet| fleet.server.fate = Fate::Refusing,
        ends: |fleet| fleet.server.fate = Fate::Well,
    },
    Event {
        name: "503 for 5 min",
        lasts: seconds(300),
        begins: |fleet| fleet.server.fate = Fate::Overloaded { retry_after: None },
        ends: |fleet| fleet.server.fate = Fate::Well,
    },
    Event {
        name: "503 with Retry-After: 60 for 5 min",
        lasts: seconds(300),
        begins: |fleet| fleet.server.fate = Fate::Overloaded { retry_after: Some(seconds(60)) },
        ends: |fleet| fleet.server.fate = Fate::Well,
    },
    Event {
        name: "power cut of 60 s",
        lasts: seconds(60),
        begins: |fleet| fleet.devices.iter_mut().for_each(|device| device.dead = true),
        ends: |fleet| {
            fleet.server.named = true;
            fleet.reboot();
        },
    },
    Event {
        name: "name that moves",
        lasts: Duration::ZERO,
        begins: |fleet| {
            fleet.server.addresses = &MOVED;
            fleet.server.ticket_keys += 1;
        },
        ends: |_| {},
    },
];

/// An outage takes most of the time of this one.
pub(crate) const LONG_DAY: &[Event] = &[Event {
    name: "region of 30 % cut off for 2 h",
    lasts: seconds(7200),
    begins: |fleet| fleet.cut_off(30),
    ends: |fleet| fleet.cut_off(0),
}];

/// What the server of a fleet got in every second of the day.
pub(crate) struct Day {
    events: &'static [Event],
    devices: usize,
    load: Load,
}

impl Day {
    /// A day that nobody has lived through.
    pub(crate) fn new(events: &'static [Event]) -> Self {
        Self { events, devices: 0, load: Load::new(false) }
    }

    /// Has another piece of a fleet of this size live through the day; `false` if all have.
    pub(crate) fn grow(&mut self, size: usize) -> bool {
        let piece = PIECE.min(size - self.devices);
        if piece == 0 {
            return false;
        }
        let seed = u64::try_from(self.devices).expect("fewer than 2^64") << 32;
        let mut fleet = Fleet::of(Plan { seed, size: piece, ..Plan::default() });
        for event in self.events {
            (event.begins)(&mut fleet);
            fleet.pass(event.lasts);
            (event.ends)(&mut fleet);
            fleet.pass(INTERVAL * 2 + STEADY);
        }
        self.load.add(fleet.load);
        self.devices += piece;
        true
    }

    /// The events with their beginning and their end, in seconds since the fleet booted.
    fn events(&self) -> impl Iterator<Item = (&'static Event, usize, usize)> {
        self.events.iter().scan(EVENT_AT, |begin, event| {
            let (from, to) = (*begin, *begin + event.lasts);
            *begin = to + INTERVAL * 2 + STEADY;
            Some((event, whole(from), whole(to)))
        })
    }

    /// The largest second of each event from two intervals after its end on, as a multiple of the
    /// steady rate.
    pub(crate) fn later(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let (settled, watched) = (whole(INTERVAL * 2), whole(STEADY));
        self.events().map(move |(event, _, end)| {
            let later = self.load.most(end + settled, end + settled + watched, |it| it.requests);
            (event.name, f64::from(later) / steady(self.devices))
        })
    }

    /// The largest second of each part of the day, as a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let (settled, watched) = (whole(INTERVAL * 2), whole(STEADY));
        let requests = |from, to| {
            let most = self.load.most(from, to, |second| second.requests);
            let times = f64::from(most) / steady(self.devices);
            if from == to { "–".to_owned() } else { format!("{} ({times:.2})", grouped(most)) }
        };
        let mut table =
            "| event | requests during it | in the minute after | later | new connections | \
             full handshakes | resumed | SYNs in vain | of them repeated |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
                .to_owned();
        // As if something had happened a while before the first event.
        let quiet = whole(EVENT_AT) - settled - watched;
        let first = ("none, steady state", quiet, quiet, quiet + settled);
        let events = self.events().map(|(event, from, to)| (event.name, from, to, to + settled));
        for (name, from, to, until) in [first].into_iter().chain(events) {
            let cell = |what: fn(&Second) -> u32| grouped(self.load.most(from, until, what));
            let (during, after, later) =
                (requests(from, to), requests(to, until), requests(until, until + watched));
            let (connections, full, resumed) =
                (cell(|it| it.connections), cell(|it| it.full), cell(|it| it.resumed));
            let (in_vain, repeated) = (cell(|it| it.in_vain), cell(|it| it.repeated));
            writeln!(
                table,
                "| {name} | {during} | {after} | {later} | {connections} | {full} | {resumed} | \
                 {in_vain} | {repeated} |"
            )
            .expect("a string takes everything");
        }
        table
    }

    /// What the picture is drawn from: the events, and the requests in the largest second of each
    /// interval.
    pub(crate) fn data(&self) -> String {
        let mut data = format!("devices,{}\n", self.devices);
        for (event, from, to) in self.events() {
            writeln!(data, "event,{from},{to},{}", event.name).expect("a string takes everything");
        }
        let interval = whole(INTERVAL);
        for (nth, seconds) in self.load.seconds.chunks(interval).enumerate() {
            let most = seconds.iter().map(|second| second.requests).max().unwrap_or_default();
            writeln!(data, "{},{most}", nth * interval).expect("a string takes everything");
        }
        data
    }
}

/// Whole seconds.
fn whole(time: Duration) -> usize {
    usize::try_from(time.as_secs()).expect("a day at most")
}

/// The number with a comma before every three digits.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
