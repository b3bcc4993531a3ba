//! Whether the outside is reachable, and the probes that find out while the beat cannot.
//!
//! ```text
//!                 doubt, local change, offline             a probe of the internet answered,
//!         +-----------------------------------> Searching ---------- the server is silent ---+
//!         |                                      |   ^                                        v
//!        Off <--- the server answered anything --+   +---- no answer any more --------- ServerSilent
//!         ^                                                                                   |
//!         +---------------------------------- the server answered anything -------------------+
//! ```
//!
//! Online and acknowledged, no probe is sent: the beat is the check. *Searching* sends fresh SYNs,
//! fast at first and then slower, several outstanding at once, because the kernel repeats a lost SYN
//! only after 1 s, 3 s, 7 s. The first answer is the healing; [`Reach`] reports that edge once, and not again before
//! a probe has gone unanswered, so that a server that stays silent behind a working network is not hammered.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use super::event::{Action, Actions, Failure, Probe};
use super::link::Name;
use super::rng::Rng;
use super::time::Instant;

/// Most probe sockets at once; the oldest is closed for a new one.
pub const OUTSTANDING_MAX: usize = 8;
/// Most targets of one round: one per family, and the server.
pub const TARGETS_MAX: usize = 3;
/// Wait between rounds in the first minute.
///
/// An outage ends at a random moment between two rounds, so a healing is seen half a wait late on
/// average: 125 ms, of which a person notices nothing, for 240 SYNs in that minute.
pub const FAST: Duration = Duration::from_millis(250);
/// Wait between rounds up to ten minutes, and between probes of the server.
pub const MODERATE: Duration = Duration::from_secs(1);
/// Wait between rounds after that, and while only the server is silent.
pub const SLOW: Duration = Duration::from_secs(5);
/// How long the fast cadence lasts.
const FAST_FOR: Duration = Duration::from_secs(60);
/// How long the moderate cadence lasts, counted from the start.
const MODERATE_FOR: Duration = Duration::from_secs(600);
/// Probes that must go unanswered before the device is called offline: one lost packet is no outage.
const UNANSWERED_MIN: u32 = 3;

/// What the device knows of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// Nothing was tried yet.
    #[default]
    Unknown,
    /// Something outside answered last.
    Online,
    /// Nothing outside answers.
    Offline,
}

/// What a probe is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// A probe address of the configuration: says something about the network only.
    Internet,
    /// The last good server address.
    Server,
}

/// Where probes may go: the way out that the beat takes.
pub struct Targets<'a, V> {
    /// Probe addresses of the configuration, in any order.
    pub internet: &'a [SocketAddr],
    /// Whether the uplink has an IPv4 way out.
    pub v4: bool,
    /// Whether the uplink has an IPv6 way out.
    pub v6: bool,
    /// The last good server address.
    pub server: Option<SocketAddr>,
    /// The interface to bind to for a destination.
    pub via: V,
}

/// What an answered probe means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing new.
    Known,
    /// The network answers again: what is stuck deserves a new connection now.
    Healed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Searching { since: Instant, next_at: Instant, server_at: Instant },
    ServerSilent { next_at: Instant },
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    probe: Probe,
    aim: Aim,
    expires_at: Instant,
}

/// What the probes of the present doubt said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    unanswered: u32,
    refused: bool,
    answered: bool,
}

/// Connectivity, and the probing that finds it out.
#[derive(Debug)]
pub struct Reach {
    connectivity: Connectivity,
    since: Instant,
    mode: Mode,
    outstanding: Vec<Outstanding, OUTSTANDING_MAX>,
    tally: Tally,
    rotation: usize,
    next: u32,
    sent: u64,
}

impl Reach {
    /// Knows nothing yet and probes nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connectivity: Connectivity::Unknown,
            since: Instant::from_micros(0),
            mode: Mode::Off,
            outstanding: Vec::new(),
            tally: Tally { unanswered: 0, refused: false, answered: false },
            rotation: 0,
            next: 1,
            sent: 0,
        }
    }

    /// What is known.
    #[must_use]
    pub const fn connectivity(&self) -> Connectivity {
        self.connectivity
    }

    /// Since when it is known.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Probes sent since start.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether probes are being sent.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        !matches!(self.mode, Mode::Off)
    }

    /// Whether the network answers while the server does not.
    #[must_use]
    pub const fn is_server_silent(&self) -> bool {
        matches!(self.mode, Mode::ServerSilent { .. })
    }

    /// Records that something outside answered; true on the edge from offline.
    pub fn online(&mut self, now: Instant) -> bool {
        self.tally = Tally { unanswered: 0, refused: false, answered: true };
        self.turn(Connectivity::Online, now) == Some(Connectivity::Offline)
    }

    /// Records that nothing outside can answer; true if that is new.
    pub fn offline(&mut self, now: Instant) -> bool {
        self.turn(Connectivity::Offline, now).is_some()
    }

    fn turn(&mut self, to: Connectivity, now: Instant) -> Option<Connectivity> {
        let before = self.connectivity;
        if before == to {
            return None;
        }
        self.connectivity = to;
        self.since = now;
        Some(before)
    }

    /// Starts searching, unless probes are under way already.
    pub fn doubt(&mut self, now: Instant) {
        if matches!(self.mode, Mode::Off) {
            self.search(now);
        }
    }

    /// Starts searching afresh: the way out is another one than before.
    pub fn restart(&mut self, now: Instant, actions: &mut Actions) {
        self.close_all(actions);
        self.search(now);
    }

    /// Stops probing: the server answered, or there is nothing to find out.
    pub fn stop(&mut self, actions: &mut Actions) {
        self.mode = Mode::Off;
        self.close_all(actions);
    }

    fn search(&mut self, now: Instant) {
        self.mode = Mode::Searching { since: now, next_at: now, server_at: now };
        self.tally = Tally::default();
    }

    fn close_all(&mut self, actions: &mut Actions) {
        for open in &self.outstanding {
            Action::CloseProbe(open.probe).push_to(actions);
        }
        self.outstanding.clear();
    }

    fn forget(&mut self, probe: Probe) -> Option<Aim> {
        let position = self.outstanding.iter().position(|open| open.probe == probe)?;
        Some(self.outstanding.remove(position).aim)
    }

    /// Takes the answer of a probe, `None` if it was given up before; [`Finding::Healed`] once per silence.
    pub fn answered(
        &mut self,
        probe: Probe,
        now: Instant,
        rng: &mut Rng,
        actions: &mut Actions,
    ) -> Option<Finding> {
        let aim = self.forget(probe)?;
        let healed = aim == Aim::Server || matches!(self.mode, Mode::Searching { .. });
        self.network_answers(now, rng, actions);
        Some(if healed { Finding::Healed } else { Finding::Known })
    }

    /// The network carries packets, whatever the server does: slows the search down.
    ///
    /// Probes lost in the outage are closed, or their ends would be taken for a new one.
    pub fn network_answers(&mut self, now: Instant, rng: &mut Rng, actions: &mut Actions) {
        self.tally = Tally { unanswered: 0, refused: false, answered: true };
        if matches!(self.mode, Mode::Searching { .. }) {
            self.close_all(actions);
            self.mode = Mode::ServerSilent { next_at: now + pause(rng) };
        }
    }

    /// Takes the end of a probe that was not answered with a SYN-ACK.
    ///
    /// A refusal is undecided: a router that rejects while its own uplink is down looks the same.
    pub fn failed(&mut self, probe: Probe, failure: Failure, now: Instant) {
        let Some(aim) = self.forget(probe) else { return };
        if failure == Failure::TimedOut {
            self.unanswered(aim, now);
        } else if aim == Aim::Internet {
            self.lose(now);
            self.tally.refused = true;
        }
    }

    fn unanswered(&mut self, aim: Aim, now: Instant) {
        if aim == Aim::Internet {
            self.tally.unanswered = self.tally.unanswered.saturating_add(1);
            self.lose(now);
        }
    }

    /// The internet does not answer any more either: searches again.
    fn lose(&mut self, now: Instant) {
        if matches!(self.mode, Mode::ServerSilent { .. }) {
            let unanswered = self.tally.unanswered;
            self.search(now);
            self.tally.unanswered = unanswered;
        }
    }

    /// Whether the probes alone show that nothing outside answers.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        !self.tally.answered && self.tally.unanswered >= UNANSWERED_MIN
    }

    /// Whether the probes bear out a beat that was refused or found no way: one was refused too and
    /// none answered, or there are none (`probes` false) and the beat is all there is.
    #[must_use]
    pub const fn is_refused(&self, probes: bool) -> bool {
        self.is_probing() && !self.tally.answered && (self.tally.refused || !probes)
    }

    /// Ends probes that lived their time and sends the round that is due; at most
    /// [`OUTSTANDING_MAX`] + [`TARGETS_MAX`] closed and [`TARGETS_MAX`] opened.
    pub fn tick(
        &mut self,
        targets: &Targets<'_, impl Fn(IpAddr) -> Option<Name>>,
        timeout: Duration,
        now: Instant,
        rng: &mut Rng,
        actions: &mut Actions,
    ) {
        while let Some(open) = self.outstanding.first().copied().filter(|o| o.expires_at <= now) {
            self.outstanding.remove(0);
            Action::CloseProbe(open.probe).push_to(actions);
            self.unanswered(open.aim, now);
        }
        let with_server = match self.mode {
            Mode::Searching { since, next_at, server_at } if next_at <= now => {
                let wait = cadence(now - since);
                let with_server = server_at <= now;
                let server_at = if with_server { now + wait.max(MODERATE) } else { server_at };
                self.mode = Mode::Searching { since, next_at: now + wait, server_at };
                with_server
            }
            Mode::ServerSilent { next_at } if next_at <= now => {
                self.mode = Mode::ServerSilent { next_at: now + pause(rng) };
                true
            }
            Mode::Off | Mode::Searching { .. } | Mode::ServerSilent { .. } => return,
        };
        let expires_at = now + timeout;
        for to in self.pick(targets.internet, targets.v4, targets.v6) {
            self.open(Aim::Internet, to, (targets.via)(to.ip()), expires_at, actions);
        }
        if let Some(to) = targets.server.filter(|_| with_server) {
            self.open(Aim::Server, to, (targets.via)(to.ip()), expires_at, actions);
        }
    }

    fn open(
        &mut self,
        aim: Aim,
        to: SocketAddr,
        via: Option<Name>,
        expires_at: Instant,
        actions: &mut Actions,
    ) {
        if self.outstanding.is_full() {
            let oldest = self.outstanding.remove(0);
            Action::CloseProbe(oldest.probe).push_to(actions);
            if oldest.aim == Aim::Internet {
                self.tally.unanswered = self.tally.unanswered.saturating_add(1);
            }
        }
        let probe = Probe(self.next);
        self.next = self.next.wrapping_add(1);
        self.sent = self.sent.saturating_add(1);
        self.outstanding
            .push(Outstanding { probe, aim, expires_at })
            .expect("a place was made for it");
        Action::OpenProbe { probe, to, via }.push_to(actions);
    }

    /// One address of each family asked for, another one every round: a target that is filtered
    /// somewhere does not hide the others.
    fn pick(&mut self, addresses: &[SocketAddr], v4: bool, v6: bool) -> Vec<SocketAddr, 2> {
        let mut picked = Vec::new();
        for (wanted, is_v4) in [(v4, true), (v6, false)] {
            let family = |to: &&SocketAddr| to.is_ipv4() == is_v4;
            let count = addresses.iter().filter(family).count();
            if let Some(turn) = self.rotation.checked_rem(count).filter(|_| wanted) {
                picked.extend(addresses.iter().filter(family).nth(turn).copied());
            }
        }
        self.rotation = self.rotation.wrapping_add(1);
        picked
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let round = match self.mode {
            Mode::Off => None,
            Mode::Searching { next_at, .. } | Mode::ServerSilent { next_at } => Some(next_at),
        };
        let expiry = self.outstanding.first().map(|open| open.expires_at);
        [round, expiry].into_iter().flatten().min()
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self::new()
    }
}

/// The wait between two rounds, `age` after the search began.
fn cadence(age: Duration) -> Duration {
    if age < FAST_FOR {
        FAST
    } else if age < MODERATE_FOR {
        MODERATE
    } else {
        SLOW
    }
}

/// About [`SLOW`], spread so that a fleet does not return to its server in step.
fn pause(rng: &mut Rng) -> Duration {
    SLOW - rng.fraction(SLOW / 4)
}
