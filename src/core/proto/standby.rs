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
//! on the uplink in use: the race goes over the others then. A server that is down would make them
//! all look dead before a beat shows it, so a test that fails is followed by one over the uplink in
//! use, and counts only if that one is answered.

use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;

use super::event::{Action, Actions, Note, ProbeId};
use super::link::InterfaceName;
use super::time::Instant;
use super::uplink::UPLINKS_MAX;

#[cfg(test)]
mod tests;

/// Least time between the beginnings of two tests.
const GAP: Duration = Duration::from_secs(1);

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
    /// No acknowledged report names it.
    is_unreported: bool,
}

/// The test under way.
#[derive(Debug, Clone, Copy)]
struct Test {
    probe: ProbeId,
    /// The uplink in reserve that it is about.
    uplink: InterfaceName,
    give_up_at: Instant,
    /// The test goes over the uplink in use, because the one over the reserve has failed.
    is_control: bool,
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
    /// The uplink whose test has failed, until the control is sent.
    doubted: Option<InterfaceName>,
    /// Whether anything may be tested.
    is_on: bool,
    /// Not before this the next test: an uplink that flaps is in reserve anew each time.
    next_at: Instant,
}

impl StandbyTests {
    /// The uplinks in reserve, best first as they came.
    pub fn all(&self) -> &[Standby] {
        &self.uplinks
    }

    /// The uplinks in a report written now: those that changed since the last acknowledged one.
    pub fn unreported(&self) -> impl Iterator<Item = (InterfaceName, bool)> + Clone {
        let unreported = self.uplinks.iter().filter(|it| it.is_unreported);
        unreported.filter_map(|it| Some((it.uplink, it.works?)))
    }

    /// A report was acknowledged that was written at `written_at`, or a little later.
    pub(super) fn acknowledged(&mut self, written_at: Instant) {
        for standby in self.uplinks.iter_mut().filter(|it| it.since < written_at) {
            standby.is_unreported = false;
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
                    Standby { uplink, works: None, since: now, test_at: now, is_unreported: false };
                assert!(self.uplinks.push(new).is_ok(), "there are as many places as uplinks");
            }
        }
    }

    /// Tests nothing for now. What is known stays known.
    pub(super) fn stop(&mut self, actions: &mut Actions) {
        self.is_on = false;
        self.doubted = None;
        if let Some(test) = self.under_way.take() {
            Action::CloseProbe(test.probe).push_to(actions);
        }
    }

    /// Gives up a test that takes too long and starts the one that is due; true if a probe was
    /// opened.
    pub(super) fn tick(&mut self, plan: &Plan<'_>, now: Instant, actions: &mut Actions) -> bool {
        self.is_on = true;
        let known = |test: &Test| self.uplinks.iter().any(|it| it.uplink == test.uplink);
        let over = |test: &mut Test| test.give_up_at <= now || !known(test);
        if let Some(test) = self.under_way.take_if(over) {
            Action::CloseProbe(test.probe).push_to(actions);
            self.doubt(test);
        }
        self.under_way.is_none() && self.start(plan, now, actions)
    }

    fn start(&mut self, plan: &Plan<'_>, now: Instant, actions: &mut Actions) -> bool {
        let control = self.doubted.take().zip(plan.ways.first().copied());
        let free = self.next_at <= now;
        let test = control.map(|(uplink, via)| (uplink, via, true)).or_else(|| {
            let mut due = self.uplinks.iter_mut().filter(|it| free && it.test_at <= now);
            due.find_map(|standby| {
                standby.test_at = now + plan.every;
                let via = Some(standby.uplink);
                plan.ways.contains(&via).then_some((standby.uplink, via, false))
            })
        });
        let Some((uplink, via, is_control)) = test else { return false };
        let (probe, to, give_up_at) = (plan.probe, plan.to, now + plan.timeout);
        Action::OpenProbe { probe, to, via }.push_to(actions);
        self.under_way = Some(Test { probe, uplink, give_up_at, is_control });
        self.next_at = now + GAP;
        true
    }

    /// Takes the end of a test that was not answered. What is known to be dead needs no control.
    fn doubt(&mut self, test: Test) {
        let is_dead = |it: &Standby| it.uplink == test.uplink && it.works == Some(false);
        if !test.is_control && !self.uplinks.iter().any(is_dead) {
            self.doubted = Some(test.uplink);
        }
    }

    /// Whether a test is under way, or its control is to be sent.
    pub(super) const fn is_testing(&self) -> bool {
        self.under_way.is_some() || self.doubted.is_some()
    }

    /// Whether this probe is the test under way.
    pub(super) fn is_own(&self, probe: ProbeId) -> bool {
        self.under_way.is_some_and(|test| test.probe == probe)
    }

    /// The test under way has ended; `None`: this device could not test. A test that failed changes
    /// nothing before its control, which [`tick`](Self::tick) sends.
    pub(super) fn finished(&mut self, works: Option<bool>, now: Instant) -> Option<Note> {
        let test = self.under_way.take()?;
        if works? {
            // An answer to the control: the server is there, and not over the other uplink.
            return self.conclude(test.uplink, !test.is_control, now);
        }
        self.doubt(test);
        None
    }

    fn conclude(&mut self, uplink: InterfaceName, works: bool, now: Instant) -> Option<Note> {
        let standby = self.uplinks.iter_mut().find(|it| it.uplink == uplink)?;
        if standby.works.replace(works) == Some(works) {
            return None;
        }
        (standby.since, standby.is_unreported) = (now, true);
        Some(Note::StandbyChanged { uplink, works })
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let due = self.uplinks.iter().map(|it| it.test_at.max(self.next_at)).min();
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
