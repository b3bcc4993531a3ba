//! Whether the outside is reachable, and the probes that find out while the beat cannot.
//!
//! ```text
//!        doubt, local change                a probe or a connection is answered
//! Off ---------------------> Searching ------------------------------------------> ServerSilent
//!  ^                          |     ^                                               |      |
//!  |                          |     +------ nobody answered the last round ---------+      |
//!  +--------------------------+------------------------------------------------------------+
//!          the server answered a beat, or there is nothing left to find out
//! ```
//!
//! While beats are acknowledged no probe is sent: the beat is the check. *Searching* sends fresh
//! SYNs, fast at first and then slower, several outstanding at once, because the kernel repeats a
//! lost SYN only after 1 s, 3 s, 7 s. Its first answer is the *restoration*, an edge reported once:
//! not again before something went unanswered, so that a server that stays silent behind a working
//! network is not hammered. What it costs at most is in [`budget`].

pub mod budget;
mod finding;
mod round;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use self::budget::{FAST, MODERATE, UNANSWERED_FOR, UNANSWERED_MIN, cadence, pause};
pub use self::budget::{OUTSTANDING_MAX, TARGETS_MAX};
pub use self::finding::Connectivity;
pub(super) use self::finding::Finding;
pub(super) use self::round::Targets;
use super::event::{Action, Actions, Failure, ProbeId};
use super::link::InterfaceName;
use super::rng::Rng;
use super::time::Instant;

/// The target of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// A probe address of the configuration: says something about the network only.
    Internet,
    /// The last good server address.
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Off,
    Searching,
    ServerSilent,
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    probe: ProbeId,
    aim: Aim,
    sent_at: Instant,
    expires_at: Instant,
}

/// How probes of the internet ended since the last answer.
#[derive(Debug, Clone, Copy, Default)]
struct Missed {
    unanswered: u32,
    refused: u32,
    /// When the first one was sent that went unanswered.
    since: Option<Instant>,
}

/// Connectivity, and the probing that finds it out.
#[derive(Debug, Default)]
pub(super) struct Reach {
    connectivity: Connectivity,
    since: Instant,
    mode: Mode,
    /// When the first round of the last search was due.
    searched_at: Instant,
    /// When the next round is due.
    round_at: Instant,
    /// When the last one was: changes may come faster than probes may go.
    last_round_at: Instant,
    last_server_at: Instant,
    outstanding: Vec<Outstanding, OUTSTANDING_MAX>,
    missed: Missed,
    /// The next answer is a restoration.
    broken: bool,
    /// The server's kernel has answered a SYN: a probe cannot find out what is wrong with the
    /// server.
    server_heard: bool,
    rotation: usize,
    /// The number of the last probe.
    last: u32,
}

impl Reach {
    /// What is known.
    pub(super) const fn connectivity(&self) -> Connectivity {
        self.connectivity
    }

    /// Since when it is known.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// The number of the next probe, of whatever kind.
    pub(super) const fn next_number(&self) -> ProbeId {
        ProbeId(self.last.wrapping_add(1))
    }

    /// The next number is taken for a probe.
    pub(super) const fn take_number(&mut self) {
        self.last = self.last.wrapping_add(1);
    }

    /// Probes sent since start.
    pub(super) fn sent(&self) -> u64 {
        self.last.into()
    }

    /// Whether probes of the internet went unanswered since the last answer.
    pub(super) const fn has_missed(&self) -> bool {
        self.missed.unanswered > 0 || self.missed.refused > 0
    }

    /// Whether probes are being sent.
    pub(super) const fn is_probing(&self) -> bool {
        !matches!(self.mode, Mode::Off)
    }

    /// Whether the network answers while the server does not.
    pub(super) const fn is_server_silent(&self) -> bool {
        matches!(self.mode, Mode::ServerSilent)
    }

    /// Records that something outside answered; true on the edge from offline.
    pub(super) fn online(&mut self, now: Instant) -> bool {
        self.set_connectivity(Connectivity::Online, now) == Connectivity::Offline
    }

    /// Records that nothing outside can answer; true if that is new.
    pub(super) fn offline(&mut self, now: Instant) -> bool {
        self.set_connectivity(Connectivity::Offline, now) != Connectivity::Offline
    }

    /// Returns the connectivity before.
    fn set_connectivity(&mut self, to: Connectivity, now: Instant) -> Connectivity {
        let before = core::mem::replace(&mut self.connectivity, to);
        if before != to {
            self.since = now;
        }
        before
    }

    /// The beat has reason to doubt the path: starts searching, unless probes are under way
    /// already.
    ///
    /// `unconnected` says that the server did not even answer a SYN: it is probed too then.
    pub(super) fn doubt(&mut self, unconnected: bool, now: Instant) {
        self.server_heard &= !unconnected && self.is_probing();
        if !self.is_probing() {
            self.search(now);
        }
    }

    /// Starts searching afresh: the way out is another one than before.
    pub(super) fn restart(&mut self, now: Instant, actions: &mut Actions) {
        self.stop(actions);
        self.server_heard = false;
        self.search(now);
    }

    /// Looks again at once and as fast as in the beginning: the way out may be open again.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.is_probing() {
            self.search(now);
        }
    }

    /// Stops probing: the server answered, or there is nothing to find out.
    pub(super) fn stop(&mut self, actions: &mut Actions) {
        self.mode = Mode::Off;
        self.missed = Missed::default();
        self.broken = false;
        self.close(|_| true, actions);
    }

    /// Searches from now on, or from as soon as a round may follow the last one.
    fn search(&mut self, now: Instant) {
        self.round_at = now.max(self.last_round_at + FAST);
        self.searched_at = self.round_at;
        self.mode = Mode::Searching;
    }

    fn close(&mut self, which: impl Fn(Aim) -> bool, actions: &mut Actions) {
        self.outstanding.retain(|open| {
            let close = which(open.aim);
            if close {
                Action::CloseProbe(open.probe).push_to(actions);
            }
            !close
        });
    }

    fn remove(&mut self, probe: ProbeId) -> Option<Outstanding> {
        let position = self.outstanding.iter().position(|open| open.probe == probe)?;
        Some(self.outstanding.remove(position))
    }

    /// Takes the answer of a probe, `None` if it was given up before.
    pub(super) fn answered(
        &mut self,
        probe: ProbeId,
        now: Instant,
        rng: &mut Rng,
        actions: &mut Actions,
    ) -> Option<Finding> {
        let Outstanding { aim, sent_at, .. } = self.remove(probe)?;
        // An answer to the first round says that there was no outage, or that it is over already:
        // whatever made us doubt has its own remedy.
        let unheard = match aim {
            Aim::Internet => self.mode == Mode::Searching,
            Aim::Server => !self.server_heard,
        };
        let restored = self.broken || (unheard && sent_at > self.searched_at);
        self.server_heard |= aim == Aim::Server;
        self.network_works(now, rng, actions);
        Some(if restored { Finding::Restored { sent_at } } else { Finding::Known })
    }

    /// The server answered the SYN of a beat: the network works, and no probe of the server is
    /// needed.
    pub(super) fn server_connects(&mut self, now: Instant, rng: &mut Rng, actions: &mut Actions) {
        self.server_heard = true;
        self.network_works(now, rng, actions);
    }

    fn network_works(&mut self, now: Instant, rng: &mut Rng, actions: &mut Actions) {
        self.missed = Missed::default();
        self.broken = false;
        // Those lost in the outage, and those that go unanswered in one family only: their ends
        // would be taken for a new outage.
        self.close(|aim| aim == Aim::Internet, actions);
        if self.mode == Mode::Searching {
            self.mode = Mode::ServerSilent;
            self.round_at = now + pause(rng);
        }
    }

    /// Takes the end of a probe that was not answered with a SYN-ACK.
    ///
    /// A refusal is undecided: a router that rejects while its own uplink is down looks the same.
    /// Looks again at once if no other target of the internet answered in its round.
    pub(super) fn failed(&mut self, probe: ProbeId, failure: Failure, now: Instant) {
        let removed = self.remove(probe).filter(|open| open.aim == Aim::Internet);
        let Some(open) = removed else { return };
        if failure == Failure::TimedOut {
            self.missed.unanswered = self.missed.unanswered.saturating_add(1);
            self.missed.since.get_or_insert(open.sent_at);
        } else {
            self.missed.refused = self.missed.refused.saturating_add(1);
        }
        let refused_alone = self.missed.refused > 1 && self.is_round_over();
        self.broken |= self.missed.unanswered >= UNANSWERED_MIN || refused_alone;
        if self.mode == Mode::ServerSilent && (self.broken || self.is_round_over()) {
            self.search(now);
        }
    }

    fn is_round_over(&self) -> bool {
        self.outstanding.iter().all(|open| open.aim == Aim::Server)
    }

    /// Whether the probes alone show that nothing outside answers.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.missed.unanswered >= UNANSWERED_MIN
            && self.missed.since.is_some_and(|since| now - since >= UNANSWERED_FOR)
    }

    /// Whether the probes bear out a beat that was refused or found no way: one was refused too and
    /// none answered, or there are none (`probes` false) and the beat is all there is.
    pub(super) fn is_refused(&self, probes: bool) -> bool {
        let refused = self.missed.refused > 0 && self.is_round_over();
        self.is_probing() && if probes { refused } else { !self.server_heard }
    }

    /// Ends probes that lived their time and sends the round that is due; at most
    /// [`OUTSTANDING_MAX`] closed and [`TARGETS_MAX`] opened.
    pub(super) fn tick(
        &mut self,
        targets: &Targets<'_, impl Fn(IpAddr) -> Option<InterfaceName>>,
        timeout: Duration,
        now: Instant,
        rng: &mut Rng,
        actions: &mut Actions,
    ) {
        while let Some(open) = self.outstanding.first().copied().filter(|o| o.expires_at <= now) {
            Action::CloseProbe(open.probe).push_to(actions);
            self.failed(open.probe, Failure::TimedOut, now);
        }
        if !self.is_probing() || now < self.round_at {
            return;
        }
        if self.round_at == self.searched_at {
            // The first round begins the search, however late the timer was.
            self.searched_at = now;
        }
        let internet = targets.pick(self.rotation);
        let server_due = !self.server_heard && now >= self.last_server_at + MODERATE;
        let server = targets.server.filter(|_| server_due);
        self.rotation = self.rotation.wrapping_add(1);
        self.round_at = now
            + match self.mode {
                Mode::Searching if !targets.is_empty() => cadence(now - self.searched_at),
                Mode::Off | Mode::Searching | Mode::ServerSilent => pause(rng),
            };
        self.last_round_at = now;
        if server.is_some() {
            self.last_server_at = now;
        }
        let internet = internet.into_iter().map(|to| (Aim::Internet, to));
        for (aim, to) in internet.chain(server.map(|to| (Aim::Server, to))) {
            self.open(aim, to, (targets.via)(to.ip()), timeout, now, actions);
        }
    }

    fn open(
        &mut self,
        aim: Aim,
        to: SocketAddr,
        via: Option<InterfaceName>,
        timeout: Duration,
        now: Instant,
        actions: &mut Actions,
    ) {
        if let Some(oldest) =
            self.outstanding.first().copied().filter(|_| self.outstanding.is_full())
        {
            Action::CloseProbe(oldest.probe).push_to(actions);
            self.failed(oldest.probe, Failure::TimedOut, now);
        }
        let probe = self.next_number();
        self.take_number();
        let open = Outstanding { probe, aim, sent_at: now, expires_at: now + timeout };
        assert!(self.outstanding.push(open).is_ok(), "a place was made for it");
        Action::OpenProbe { probe, to, via }.push_to(actions);
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let round = self.is_probing().then_some(self.round_at);
        let expiry = self.outstanding.first().map(|open| open.expires_at);
        [round, expiry].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
