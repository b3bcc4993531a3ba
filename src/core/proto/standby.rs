//! Uplinks in reserve, tested from time to time: one that is dead shows before it is needed.
//!
//! ```text
//!           the server's kernel answers
//! Untested ----------------------------> Works <----+
//!     |                                    |        | it answers again
//!     +--no answer, or a refusal--> Dead <-+--------+
//! ```
//!
//! A test is a probe of the server's last good address, bound to the uplink: a TCP connect and
//! nothing after it. One is under way at a time. Nothing is tested while beats do not get through
//! on the uplink in use: the race goes over the others then, and a server that is down would make
//! them all look dead.

use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;

use super::event::{Action, Actions, ProbeId};
use super::link::InterfaceName;
use super::time::Instant;
use super::uplink::UPLINKS_MAX;

#[cfg(test)]
mod tests;

/// An uplink in reserve, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standby {
    /// Which.
    pub uplink: InterfaceName,
    /// Whether the server was reached over it; `None`: it was not tested yet.
    pub works: Option<bool>,
    /// Since when.
    since: Instant,
    /// When it is tested next.
    test_at: Instant,
    /// No acknowledged report has told of it.
    is_untold: bool,
}

/// The test under way.
#[derive(Debug, Clone, Copy)]
struct Test {
    probe: ProbeId,
    uplink: InterfaceName,
    give_up_at: Instant,
}

/// What a test has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StandbyChange {
    /// The uplink.
    pub uplink: InterfaceName,
    /// Whether it works now.
    pub works: bool,
}

/// How and where is tested.
pub(super) struct Plan<'a> {
    /// Time between two tests of one uplink.
    pub every: Duration,
    /// Life of a probe.
    pub timeout: Duration,
    /// Number of the next probe.
    pub probe: ProbeId,
    /// The server.
    pub to: SocketAddr,
    /// The ways that lead there.
    pub ways: &'a [Option<InterfaceName>],
}

/// The uplinks in reserve.
#[derive(Debug, Default)]
pub struct StandbyTests {
    uplinks: Vec<Standby, UPLINKS_MAX>,
    under_way: Option<Test>,
    /// Whether anything may be tested.
    is_on: bool,
}

impl StandbyTests {
    /// The uplinks in reserve, best first as they came.
    #[must_use]
    pub fn all(&self) -> &[Standby] {
        &self.uplinks
    }

    /// What a report written now tells: those that changed since the last acknowledged one.
    pub fn untold(&self) -> impl Iterator<Item = (InterfaceName, bool)> + Clone {
        let untold = self.uplinks.iter().filter(|it| it.is_untold);
        untold.filter_map(|it| Some((it.uplink, it.works?)))
    }

    /// A report was acknowledged that was written at `written_at`, or a little later.
    pub(super) fn acknowledged(&mut self, written_at: Instant) {
        for standby in self.uplinks.iter_mut().filter(|it| it.since < written_at) {
            standby.is_untold = false;
        }
    }

    /// Takes what is in reserve now; of what has left it nothing is known any more.
    pub(super) fn follow(
        &mut self,
        reserve: impl Iterator<Item = InterfaceName> + Clone,
        now: Instant,
    ) {
        self.uplinks.retain(|it| reserve.clone().any(|uplink| uplink == it.uplink));
        for uplink in reserve {
            if self.uplinks.iter().all(|it| it.uplink != uplink) {
                let new =
                    Standby { uplink, works: None, since: now, test_at: now, is_untold: false };
                assert!(self.uplinks.push(new).is_ok(), "there are as many places as uplinks");
            }
        }
    }

    /// Tests nothing for now. What is known stays known.
    pub(super) fn stop(&mut self, actions: &mut Actions) {
        self.is_on = false;
        if let Some(test) = self.under_way.take() {
            Action::CloseProbe(test.probe).push_to(actions);
        }
    }

    /// Gives up a test that takes too long and starts the one that is due; returns what the former
    /// changes. True in second place if a probe was opened.
    pub(super) fn tick(
        &mut self,
        plan: &Plan<'_>,
        now: Instant,
        actions: &mut Actions,
    ) -> (Option<StandbyChange>, bool) {
        self.is_on = true;
        let known = |test: &Test| self.uplinks.iter().any(|it| it.uplink == test.uplink);
        let over = |test: &mut Test| test.give_up_at <= now || !known(test);
        let given_up = self.under_way.take_if(over);
        let change = given_up.and_then(|test| {
            Action::CloseProbe(test.probe).push_to(actions);
            self.conclude(test.uplink, false, now)
        });
        (change, self.under_way.is_none() && self.start(plan, now, actions))
    }

    fn start(&mut self, plan: &Plan<'_>, now: Instant, actions: &mut Actions) -> bool {
        for standby in self.uplinks.iter_mut().filter(|it| it.test_at <= now) {
            standby.test_at = now + plan.every;
            let (uplink, probe) = (standby.uplink, plan.probe);
            if plan.ways.contains(&Some(uplink)) {
                let to = plan.to;
                Action::OpenProbe { probe, to, via: Some(uplink) }.push_to(actions);
                self.under_way = Some(Test { probe, uplink, give_up_at: now + plan.timeout });
                return true;
            }
        }
        false
    }

    /// Whether this probe is the test under way.
    pub(super) fn is_own(&self, probe: ProbeId) -> bool {
        self.under_way.is_some_and(|test| test.probe == probe)
    }

    /// The test under way has ended; `None`: this device could not test.
    pub(super) fn finished(&mut self, works: Option<bool>, now: Instant) -> Option<StandbyChange> {
        let test = self.under_way.take()?;
        self.conclude(test.uplink, works?, now)
    }

    fn conclude(
        &mut self,
        uplink: InterfaceName,
        works: bool,
        now: Instant,
    ) -> Option<StandbyChange> {
        let standby = self.uplinks.iter_mut().find(|it| it.uplink == uplink)?;
        if standby.works.replace(works) == Some(works) {
            return None;
        }
        (standby.since, standby.is_untold) = (now, true);
        Some(StandbyChange { uplink, works })
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let due = self.uplinks.iter().map(|it| it.test_at).min();
        self.under_way.map(|test| test.give_up_at).or(due).filter(|_| self.is_on)
    }
}

#[cfg(test)]
impl StandbyTests {
    /// These uplinks, each with the outcome of its first test.
    pub(crate) fn of(tested: &[(&str, bool)]) -> Self {
        let mut tests = Self::default();
        let name = |text| InterfaceName::new(text).expect("a name");
        tests.follow(tested.iter().map(|(text, _)| name(text)), Instant::default());
        for (text, works) in tested {
            _ = tests.conclude(name(text), *works, Instant::default());
        }
        tests
    }
}
