//! Makes events, one at a time, and records the result for each agent.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::World;

use crate::Options;
use crate::camera::{Camera, INTERVAL_S, Kind};
use crate::stats::{NEVER, Sample};

/// Time limit for a beat after an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);
/// The other networks do not change for this time after an event, and until linkbeat has sent its
/// beat.
pub(crate) const HELD: Duration = Duration::from_millis(700);
/// The longest such time.
const HELD_MAX: Duration = Duration::from_secs(3);
/// Time limit for the kernel's announcement of an event.
const ANNOUNCED: Duration = Duration::from_secs(5);

/// One network with all agents. Several exist at the same time.
pub(crate) struct Stage<'a> {
    /// The network.
    pub(crate) camera: Camera,
    turn: &'a Mutex<()>,
    changes: Follower<Announcement>,
}

/// The signs of an event.
#[derive(Clone, Copy, Default)]
pub(crate) struct Signs {
    /// The announcement of the kernel.
    pub(crate) word: Option<Change>,
    /// The interface of the beats that are sent because of it.
    pub(crate) over: Option<&'static str>,
}

/// The samples of one run, in the order of [`Kind::ALL`].
pub(crate) type Samples = [Option<Sample>; 3];

impl<'a> Stage<'a> {
    pub(crate) fn start(options: &Options, turn: &'a Mutex<()>) -> io::Result<Self> {
        let camera = Camera::start(options, &Kind::ALL)?;
        let changes = camera.world.kernel.announcements().follow();
        Ok(Self { camera, turn, changes })
    }

    /// Waits.
    pub(crate) fn pause(&self, time: Duration) {
        self.camera.world.receiver.beats().follow().find(time, |_| false);
    }

    /// Waits until this time.
    pub(crate) fn pause_until(&self, at_us: u64) {
        self.pause(Duration::from_micros(at_us.saturating_sub(clock::boot_us())));
    }

    /// Changes the network when it is its turn.
    pub(crate) fn change(&self, act: impl FnOnce(&World)) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        act(&self.camera.world);
        self.pause(HELD);
        drop(turn);
    }

    /// Makes an event when it is the turn of this network, and waits for the first beat of each
    /// agent that is sent because of it. `act` returns the time at which it began.
    pub(crate) fn event(&mut self, signs: Signs, act: impl FnOnce(&World) -> u64) -> Samples {
        let world = &self.camera.world;
        let mut followers = Kind::ALL.map(|_| world.receiver.beats().follow());
        let mut watch = world.receiver.beats().follow();
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.skip();
        let made_us = act(world);
        let announced = signs.word.and_then(|word| {
            let wanted = |it: &Announcement| it.interface == "eth0" && it.change == word;
            self.changes.find(ANNOUNCED, wanted)
        });
        let over = signs.over.map(|it| world.address(it));
        let knows = |kind: Kind, beat: &Beat| {
            let on_time = beat.received_us > made_us;
            kind.sent(beat) && on_time && over.is_none_or(|over| beat.peer.ip() == over)
        };
        watch.find(HELD_MAX, |beat| knows(Kind::Linkbeat, beat));
        self.pause_until(made_us + micros(HELD));
        drop(turn);
        let ends_us = made_us + micros(PATIENCE);
        let mut kinds = Kind::ALL.into_iter();
        followers.each_mut().map(|follower| {
            let kind = kinds.next()?;
            let left = Duration::from_micros(ends_us.saturating_sub(clock::boot_us()));
            let beat = follower.find(left, |beat| knows(kind, beat));
            if beat.is_none() {
                self.camera.print_log(kind);
            }
            let since = |event_us: u64| {
                beat.as_ref().map_or(NEVER, |beat| beat.received_us.saturating_sub(event_us))
            };
            let word_us = announced.as_ref().map(|it| since(it.at_us));
            Some(Sample { word_us, act_us: since(made_us) })
        })
    }

    /// The time of the last beat of this agent.
    pub(crate) fn last_us(&self, kind: Kind) -> u64 {
        let beats = self.camera.world.receiver.beats().all();
        let last = beats.iter().rev().find(|beat| kind.sent(beat));
        last.map_or(0, |beat| beat.received_us)
    }

    /// Waits until an event that is made `lead` from now falls at the intended phase of the
    /// reference's cycle. The times of the reference depend on the phase, and over many runs all
    /// phases occur. If it is too late for that, the phase is not adjusted.
    pub(crate) fn meet_phase(&self, nth: usize, lead: Duration) {
        // Multiples of the golden ratio modulo 1 are evenly spread, whatever their number.
        let thousandths = u64::try_from(nth + 1).unwrap_or_default() * 618 % 1000;
        let phase_us = thousandths * u64::from(INTERVAL_S) * 1000;
        let cycle_us = u64::from(INTERVAL_S) * 1_000_000;
        let wait_us = (phase_us + 2 * cycle_us - micros(lead)) % cycle_us;
        self.pause_until(self.last_us(Kind::Reference) + wait_us);
    }

    /// Makes the next beats of all agents fall due at the same time, one interval later.
    pub(crate) fn line_up(&self) -> io::Result<()> {
        let mut beats = self.camera.world.receiver.beats().follow();
        self.camera.first(&mut beats, Kind::Reference, PATIENCE)?;
        for kind in [Kind::Linkbeat, Kind::Curl] {
            let mut beats = self.camera.world.receiver.beats().follow();
            self.camera.bell(kind)?.ring()?;
            self.camera.first(&mut beats, kind, PATIENCE)?;
        }
        Ok(())
    }

    /// Whether a beat of this agent fell due between these times.
    pub(crate) fn was_due(&self, kind: Kind, from_us: u64, to_us: u64) -> bool {
        let beats = self.camera.world.receiver.beats().all();
        let before = |beat: &&Beat| kind.sent(beat) && beat.received_us < from_us;
        let last = beats.iter().rev().find(before).map_or(0, |beat| beat.received_us);
        (from_us..to_us).contains(&(last + u64::from(INTERVAL_S) * 1_000_000))
    }
}

/// A time in µs.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
