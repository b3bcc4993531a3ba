//! What many seeds have seen.

use std::fmt;
use std::time::Duration;

use linkbeat_core::proto::event::FAILURES;
use linkbeat_core::proto::history::{Class, Counters};

use super::world::World;

/// Sums over seeds, shown as the table of `tests/sim/RESULTS.md`.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seeds: u64,
    simulated: Duration,
    steps: u64,
    acknowledged: u64,
    beats: [u64; Class::ALL.len()],
    failures: [u64; FAILURES.len()],
    triggers: u64,
    offline: Duration,
    promised: Duration,
    /// The largest share of its bound that a promised beat took.
    longest: f64,
    /// Most actions that one input caused.
    actions_max: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, world: &World, counters: &Counters) {
        self.add_all(&Self {
            seeds: 1,
            simulated: Duration::from_micros(world.now.as_micros()),
            steps: world.trace.count,
            acknowledged: world.claims.acknowledged,
            beats: counters.beats,
            failures: counters.failures,
            triggers: counters.triggers,
            offline: Duration::from_micros(counters.offline_us),
            promised: world.delivery.promised,
            longest: world.delivery.longest,
            actions_max: world.claims.actions_max,
        });
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.steps += other.steps;
        self.acknowledged += other.acknowledged;
        self.beats.iter_mut().zip(other.beats).for_each(|(sum, more)| *sum += more);
        self.failures.iter_mut().zip(other.failures).for_each(|(sum, more)| *sum += more);
        self.triggers += other.triggers;
        self.offline += other.offline;
        self.promised += other.promised;
        self.longest = self.longest.max(other.longest);
        self.actions_max = self.actions_max.max(other.actions_max);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |time: Duration| time.as_secs() / 3600;
        let mut row =
            |what: &dyn fmt::Display, value: &dyn fmt::Display| writeln!(f, "| {what} | {value} |");
        row(&"seen", &"how often")?;
        row(&"---", &"---:")?;
        row(&"seeds in which every claim held", &self.seeds)?;
        row(&"hours simulated", &hours(self.simulated))?;
        row(
            &"hours in which a beat was promised, as some way would carry it",
            &hours(self.promised),
        )?;
        row(
            &"longest wait for it, in % of its bound",
            &format_args!("{:.0}", self.longest * 100.0),
        )?;
        row(&"hours offline", &hours(self.offline))?;
        row(&"inputs and actions", &self.steps)?;
        row(&"most actions for one input", &self.actions_max)?;
        row(&"triggers", &self.triggers)?;
        row(&"beats acknowledged", &self.acknowledged)?;
        for (class, count) in Class::ALL.iter().zip(self.beats) {
            row(&format_args!("… because of `{}`", class.as_str()), &count)?;
        }
        row(&"rounds of attempts failed", &self.failures.iter().sum::<u64>())?;
        for ((_, kind), count) in FAILURES.iter().zip(self.failures).filter(|(_, count)| *count > 0)
        {
            row(&format_args!("… with `{kind}`"), &count)?;
        }
        Ok(())
    }
}
