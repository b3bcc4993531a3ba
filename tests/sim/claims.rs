//! What must hold at every step, whatever the network does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use linkbeat::proto::agent::Agent;
use linkbeat::proto::event::{ACTIONS_MAX, Action, Attempt, Note, Reason, Ticket, TriggerAnswer};
use linkbeat::proto::link::{LinkEvent, LinkIndex, Name};
use linkbeat::proto::race::TRIES_MAX;
use linkbeat::proto::reach::budget::{OUTSTANDING_MAX, PER_SECOND, TARGETS_MAX};
use linkbeat::proto::resolve::QUERIES_MAX;
use linkbeat::proto::routing::{Question, Route};
use linkbeat::proto::services::SERVICES_MAX;
use linkbeat::proto::settings::{Host, Settings};
use linkbeat::proto::time::Instant;

use super::delivery::is_ignored;
use super::kernel::Kernel;
use super::net::News;

/// Ways out of the simulated device: its interfaces but the loopback, and a socket that is not bound.
const WAYS: u32 = 7;
/// Most addresses of the server: those that the nameserver tells, and the last good one.
const ADDRESSES: u32 = 5;
/// Longest a Retry-After is obeyed.
const HOLD_MAX: Duration = Duration::from_secs(900);

/// A second of probes, and the round that begins the next one.
const PROBES_AT_ONCE: f64 = PER_SECOND as f64 + TARGETS_MAX as f64;

/// A connection that is open.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// Idle between two beats.
    kept: bool,
    /// The beat it carries, and the number of the order to send it.
    sent: Option<(u64, u64)>,
    /// The interface it is bound to.
    via: Option<Name>,
    /// The server's address.
    to: Option<IpAddr>,
    /// The beat that it has carried in this round, answered or not.
    carried: Option<u64>,
}

/// A trigger that was not yet covered.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Number of the input that asked.
    order: u64,
    /// The beat that was promised.
    seq: u64,
}

/// A server's Retry-After.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    until: Instant,
    /// A change of uplink has sent its one beat.
    passed: bool,
    /// That beat is under way.
    passing: bool,
}

/// A bucket that leaks: what comes faster than it leaks, beyond its size, breaks a promise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaky {
    level: f64,
    at: Instant,
}

impl Leaky {
    const fn new(at: Instant) -> Self {
        Self { level: 0.0, at }
    }

    fn forgive(&mut self) {
        self.level = 0.0;
    }

    fn add(&mut self, now: Instant, per_second: f64, size: f64) -> bool {
        let leaked = (now - self.at).as_secs_f64() * per_second;
        self.level = (self.level - leaked).max(0.0) + 1.0;
        self.at = now;
        self.level <= size
    }
}

/// What the core has heard of the network.
#[derive(Debug, Default)]
struct Heard {
    links: BTreeMap<LinkIndex, (Name, bool)>,
    /// Those that were named since the last dump was ordered.
    listed: BTreeSet<LinkIndex>,
    routes: Vec<Route>,
    /// The kernel is to be asked for routes.
    asking: bool,
    /// A dump has ended: until then nothing can start.
    dumped: bool,
}

impl Heard {
    fn hear(&mut self, news: &News) {
        match news {
            News::Link(LinkEvent::Link { index, name, running, .. }) => {
                self.links.insert(*index, (*name, *running));
                self.listed.insert(*index);
            }
            News::Link(LinkEvent::LinkGone { index }) => drop(self.links.remove(index)),
            News::LinksDumped => {
                let listed = &self.listed;
                self.links.retain(|index, _| listed.contains(index));
                self.dumped = true;
            }
            News::Routes(routes) => {
                self.routes.clone_from(routes);
                self.asking = false;
            }
            _ => {}
        }
    }

    fn running(&self, name: Name) -> Option<LinkIndex> {
        self.links.iter().find(|(_, link)| **link == (name, true)).map(|(index, _)| *index)
    }

    fn answer(&self, to: IpAddr, bound: Option<LinkIndex>) -> Option<&Route> {
        self.routes.iter().find(|route| route.question == Question { to, bound })
    }

    /// Whether the server's address is known by itself, and the kernel has said how to reach it.
    fn leads_to_the_server(&self, settings: &Settings) -> bool {
        let host = settings.server.as_ref().map(|server| &server.host);
        let Some(Host::Address(to)) = host else { return false };
        self.routes.iter().any(|route| {
            let runs = self
                .links
                .get(&route.index)
                .is_some_and(|(name, running)| *running && !is_ignored(settings, *name));
            let bound = route.question.bound.is_none_or(|_| settings.bind_to_uplink);
            route.question.to == *to && bound && (route.local || (runs && route.source.is_some()))
        })
    }

    /// A socket may be bound to an interface that runs, and over which the kernel has a route.
    fn check(&self, settings: &Settings, to: IpAddr, via: Option<Name>) {
        let scoped = matches!(to, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let Some(via) = via else {
            assert!(!scoped, "{to} means nothing without an interface");
            return;
        };
        let index = self.running(via);
        if scoped {
            return;
        }
        assert!(settings.bind_to_uplink, "a socket is bound to {via}");
        let index = index.unwrap_or_else(|| panic!("{via} does not run"));
        let unbound = self.answer(to, None);
        let local = to.is_loopback() || unbound.is_some_and(|route| route.local);
        assert!(!local, "{to} cannot be reached from a bound socket");
        assert!(self.answer(to, Some(index)).is_some(), "{to} has no route over {via}");
    }
}

/// The books.
#[derive(Debug)]
pub(crate) struct Claims {
    heard: Heard,
    orders: u64,
    attempts: BTreeMap<Attempt, Open>,
    probes: BTreeSet<u32>,
    queries: BTreeSet<u32>,
    looks: BTreeSet<u32>,
    last_look: u32,
    /// Of the one service: whether it was told to be down.
    lost: bool,
    looking: Leaky,
    last_attempt: u32,
    last_probe: u32,
    last_query: Option<u32>,
    asked: Option<(u64, Ticket)>,
    pending: Vec<Pending>,
    winner: Option<Open>,
    /// The answer at hand asks for quiet.
    asks_for_quiet: bool,
    /// Until when a server of this round asked for quiet.
    asked_until: Option<Instant>,
    /// What a server asked for before the round went on and failed, if it did not begin anew since.
    asked_before: Option<Quiet>,
    quiet: Option<Quiet>,
    silent: bool,
    in_flight_since: Option<Instant>,
    /// A beat under way when the network answers again has all its time before it.
    healed_at: Instant,
    late_since: Option<Instant>,
    connects: Leaky,
    reports: Leaky,
    rounds: Leaky,
    probing: Leaky,
    /// Highest beat acknowledged or given up for good.
    pub(crate) seq: u64,
    pub(crate) acknowledged: u64,
    pub(crate) acknowledged_at: Instant,
    pub(crate) acknowledged_order: u64,
    /// The interface that the connection of the last acknowledged beat was bound to.
    pub(crate) acknowledged_via: Option<Name>,
    /// The server's address that acknowledged last.
    pub(crate) good: Option<IpAddr>,
    pub(crate) connects_made: u64,
    /// Connections by the interface that they are bound to.
    pub(crate) connects_via: BTreeMap<Option<Name>, u64>,
    /// How often the kernel was asked for routes.
    pub(crate) asks: u64,
    pub(crate) probes_made: u64,
    pub(crate) actions_max: usize,
    request_timeout: Duration,
    /// What the core has heard.
    settings: Settings,
}

impl Claims {
    pub(crate) fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            heard: Heard::default(),
            orders: 0,
            attempts: BTreeMap::new(),
            probes: BTreeSet::new(),
            queries: BTreeSet::new(),
            looks: BTreeSet::new(),
            last_look: 0,
            lost: false,
            looking: Leaky::new(now),
            last_attempt: 0,
            last_probe: 0,
            last_query: None,
            asked: None,
            pending: vec![],
            winner: None,
            asks_for_quiet: false,
            asked_until: None,
            asked_before: None,
            quiet: None,
            silent: true,
            in_flight_since: None,
            healed_at: now,
            late_since: None,
            connects: Leaky::new(now),
            reports: Leaky::new(now),
            rounds: Leaky::new(now),
            probing: Leaky::new(now),
            seq: 0,
            acknowledged: 0,
            acknowledged_at: now,
            acknowledged_order: 0,
            acknowledged_via: None,
            good: None,
            connects_made: 0,
            connects_via: BTreeMap::new(),
            asks: 0,
            probes_made: 0,
            actions_max: 0,
            request_timeout: settings.request_timeout,
            settings: settings.clone(),
        }
    }

    pub(crate) fn count_actions(&mut self, count: usize) {
        self.actions_max = self.actions_max.max(count);
        assert!(count < ACTIONS_MAX, "{count} actions for one input");
    }

    /// Number of the last input or order.
    pub(crate) const fn orders(&self) -> u64 {
        self.orders
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Before an input.
    pub(crate) fn hear(&mut self, news: &News, now: Instant) {
        self.orders += 1;
        self.asked = None;
        self.winner = None;
        self.asks_for_quiet = false;
        self.heard.hear(news);
        match news {
            News::Configured(settings) => {
                // Starts anew, and may have changed what is promised.
                self.in_flight_since = None;
                self.asked_until = None;
                self.rounds.forgive();
                self.connects.forgive();
                self.reports.forgive();
                let server_changed = self.settings.server != settings.server;
                if server_changed {
                    self.good = None;
                }
                // Interfaces that were ignored are not known before they are listed.
                self.heard.dumped &= self.settings.ignore_interfaces == settings.ignore_interfaces;
                self.settings = Settings::clone(settings);
                self.silent = !settings.enabled || settings.server.is_none();
                self.request_timeout = self.request_timeout.max(settings.request_timeout);
                if server_changed {
                    self.quiet = None;
                }
                if self.silent {
                    self.pending.clear();
                }
            }
            News::Triggered(_, ticket) => self.asked = Some((self.orders, *ticket)),
            News::Probed(probe, result) => {
                self.new_round();
                let known = self.probes.remove(&probe.0);
                if known && result.is_ok() {
                    self.healed_at = now;
                }
            }
            News::Looked(look, _) => {
                self.looks.remove(&look.0);
            }
            News::Queried(query, _) => {
                self.queries.remove(&query.0);
            }
            News::Replied(attempt, reply) => {
                let open = self.attempts.get_mut(attempt);
                self.winner = open.as_deref().copied();
                let asked = reply.retry_after.filter(|asked| !asked.is_zero());
                let until = asked.map(|asked| now + asked.min(HOLD_MAX));
                self.asks_for_quiet = until.is_some();
                self.asked_until = until.or(self.asked_until);
                match open {
                    Some(open) if reply.keep_alive => {
                        *open = Open { kept: true, sent: None, ..*open }
                    }
                    _ => drop(self.attempts.remove(attempt)),
                }
            }
            News::Failed(attempt, _) => {
                self.attempts.remove(attempt);
            }
            // One that came too late for its beat is kept for the next one.
            News::Secured(attempt) if self.late_since.is_some() => {
                if let Some(open) = self.attempts.get_mut(attempt) {
                    open.kept = true;
                }
            }
            // May have the beat start over.
            News::Link(_) | News::LinksDumped | News::Routes(_) | News::Neighbour(_) => {
                self.in_flight_since = None;
                self.new_round();
            }
            _ => {}
        }
    }

    /// Connections may carry the same beat once more.
    fn new_round(&mut self) {
        self.attempts.values_mut().for_each(|open| open.carried = None);
    }

    /// After each order, before it is performed. Returns its number.
    pub(crate) fn order(&mut self, action: &Action, now: Instant, kernel: &Kernel) -> u64 {
        self.orders += 1;
        match action {
            Action::CloseParked => {}
            Action::DumpLinks => self.heard.listed.clear(),
            Action::AskRoutes => {
                let asking = std::mem::replace(&mut self.heard.asking, true);
                assert!(!asking, "the kernel is asked for routes twice");
                self.asks += 1;
            }
            Action::WatchNeighbours(wanted) => {
                assert_ne!(kernel.watched, *wanted, "neighbours are watched twice");
            }
            Action::OpenProbe { probe, to, via } => {
                assert!(!self.silent, "a probe while nothing may be sent");
                assert!(probe.0 > self.last_probe, "a probe's number is used twice");
                self.last_probe = probe.0;
                let quiet = self.quiet.is_some_and(|quiet| now < quiet.until);
                assert!(!quiet || to.port() == 53, "the server is probed in spite of Retry-After");
                self.probes.insert(probe.0);
                self.probes_made += 1;
                assert!(self.probes.len() <= OUTSTANDING_MAX, "{} probes", self.probes.len());
                self.heard.check(&self.settings, to.ip(), *via);
                // What leaks is what a second may hold; a first round comes on top.
                let in_rate = self.probing.add(now, PER_SECOND.into(), PROBES_AT_ONCE);
                assert!(in_rate, "more probes than promised");
            }
            Action::CloseProbe(probe) => {
                assert!(self.probes.remove(&probe.0), "{probe:?} ends twice");
            }
            Action::OpenLook { look, .. } => {
                assert!(look.0 > self.last_look, "a look's number is used twice");
                self.last_look = look.0;
                self.looks.insert(look.0);
                assert!(self.looks.len() <= SERVICES_MAX, "{} looks", self.looks.len());
                assert!(self.looking.add(now, 1.0, 3.0), "more looks than promised");
            }
            Action::CloseLook(look) => assert!(self.looks.remove(&look.0), "{look:?} ends twice"),
            Action::SendQuery { query, to, via, .. } => {
                assert!(!self.silent, "a query while nothing may be sent");
                assert!(self.last_query.is_none_or(|last| query.0 > last), "{query:?} again");
                self.last_query = Some(query.0);
                self.queries.insert(query.0);
                assert!(self.queries.len() <= QUERIES_MAX, "{} queries", self.queries.len());
                let scoped = matches!(to.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local());
                // A lookup goes on over ways that it has begun with, but for those that are down.
                let down = via.filter(|via| !scoped && self.heard.running(*via).is_none());
                assert!(down.is_none(), "{to} is asked over {down:?}, which is down");
            }
            Action::CloseQuery(query) => {
                assert!(self.queries.remove(&query.0), "{query:?} ends twice");
            }
            Action::Connect { attempt, to, via } => self.connect(*attempt, to.ip(), *via, now),
            Action::SendReport { attempt, seq, reason } => self.report(*attempt, *seq, reason, now),
            Action::CheckAcked(attempt) => {
                assert!(self.attempts.contains_key(attempt), "{attempt:?} is not open");
            }
            Action::CloseAttempt(attempt) | Action::ParkAttempt(attempt) => {
                assert!(self.attempts.remove(attempt).is_some(), "{attempt:?} ends twice");
            }
            Action::AnswerTrigger(ticket, answer) => self.answer(*ticket, *answer),
            Action::Note(note) => self.note(note, now),
        }
        self.orders
    }

    fn connect(&mut self, attempt: Attempt, to: IpAddr, via: Option<Name>, now: Instant) {
        assert!(!self.silent, "a connection while nothing may be sent");
        assert!(attempt.0 > self.last_attempt, "{attempt:?} is used twice");
        self.last_attempt = attempt.0;
        self.attempts.insert(attempt, Open { via, to: Some(to), ..Open::default() });
        self.connects_made += 1;
        *self.connects_via.entry(via).or_default() += 1;
        let racing = self.attempts.values().filter(|open| !open.kept).count();
        assert!(racing <= TRIES_MAX, "{racing} connections race");
        assert!(self.attempts.len() <= TRIES_MAX + 1, "{} open", self.attempts.len());
        self.heard.check(&self.settings, to, via);
        let (rate, size) = connects(&self.settings);
        assert!(self.connects.add(now, rate, size), "more connections than promised");
        self.keep_quiet(now);
    }

    fn report(&mut self, attempt: Attempt, seq: u64, reason: &Reason, now: Instant) {
        assert!(!self.silent, "a report while nothing may be sent");
        assert_eq!(seq, self.seq + 1, "beats are numbered in order");
        let orders = self.orders;
        let open = self.attempts.get_mut(&attempt).expect("a report on an open connection");
        assert!(open.sent.is_none(), "two reports at once on {attempt:?}");
        assert!(open.carried != Some(seq), "a connection carries a beat twice in a round");
        *open = Open { kept: false, sent: Some((seq, orders)), carried: Some(seq), ..*open };
        let (rate, size) = connects(&self.settings);
        assert!(self.reports.add(now, rate, size), "more reports than promised");
        self.keep_quiet(now);
        if let Some(quiet) = self.quiet.filter(|quiet| now < quiet.until) {
            let uplink = matches!(reason, Reason::FailoverTo(_) | Reason::Priority(_));
            assert!(uplink && quiet.passing, "{reason:?} in spite of Retry-After");
        }
    }

    /// A connection or a report: in a time of quiet, a change of uplink may send one beat.
    fn keep_quiet(&mut self, now: Instant) {
        if let Some(quiet) = self.quiet.as_mut().filter(|quiet| now < quiet.until) {
            assert!(quiet.passing || !quiet.passed, "a second beat in spite of Retry-After");
            quiet.passing = true;
            quiet.passed = true;
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: TriggerAnswer) {
        let (order, asked) = self.asked.take().expect("an answer to a question");
        assert_eq!(ticket, asked);
        match answer {
            TriggerAnswer::Set { seq } | TriggerAnswer::Held { seq, set: true, .. } => {
                assert!(seq > self.seq, "a beat of the past is promised");
                self.pending.push(Pending { order, seq });
            }
            TriggerAnswer::Pending { seq } | TriggerAnswer::Held { seq, set: false, .. } => {
                assert!(!self.pending.is_empty(), "nothing is pending");
                self.pending.push(Pending { order, seq });
            }
            TriggerAnswer::Disabled | TriggerAnswer::Unconfigured => assert!(self.silent),
        }
    }

    fn count_round(&mut self, now: Instant) {
        let (rate, size) = rounds(&self.settings);
        assert!(self.rounds.add(now, rate, size), "more rounds than promised");
    }

    fn note(&mut self, note: &Note, now: Instant) {
        match note {
            Note::BeatAcknowledged { seq, covers, stamps, .. } => {
                self.count_round(now);
                let sent = self.winner.and_then(|open| open.sent);
                let (sent_seq, sent_order) = sent.expect("an acknowledgement of a report");
                assert_eq!(*seq, sent_seq);
                assert_eq!(*seq, self.seq + 1, "each beat is acknowledged once");
                let lost =
                    self.pending.iter().find(|it| it.seq <= *covers && it.order > sent_order);
                assert!(lost.is_none(), "{lost:?} is in no report");
                self.pending.retain(|it| it.seq > *covers);
                self.seq = *seq;
                self.acknowledged += 1;
                self.acknowledged_at = now;
                self.acknowledged_order = sent_order;
                self.acknowledged_via = self.winner.and_then(|open| open.via);
                self.good = self.winner.and_then(|open| open.to);
                self.quiet = None;
                self.asked_until = None;
                self.in_flight_since = None;
                let steps = [
                    stamps.event_at,
                    stamps.usable_at,
                    stamps.resolved_at,
                    stamps.connected_at,
                    stamps.secured_at,
                    stamps.written_at,
                    stamps.replied_at,
                ];
                assert!(steps.is_sorted() && stamps.replied_at == now, "{stamps:?}");
            }
            Note::ServiceLost(name) => {
                assert!(!std::mem::replace(&mut self.lost, true), "{name} is lost twice");
            }
            Note::ServiceRecovered(name) => {
                assert!(std::mem::replace(&mut self.lost, false), "{name} was not lost");
            }
            Note::BeatFailed { seq, covers, retry_at, .. } => {
                self.beat_failed(*seq, *covers, *retry_at, now);
            }
            Note::UplinkChanged { .. }
            | Note::UplinkRenamed { .. }
            | Note::NetworkChanged(_)
            | Note::GatewayBack(_)
            | Note::PathFailed { .. }
            | Note::LinksLeftOut
            | Note::ConnectivityLost
            | Note::ConnectivityRestored
            | Note::TriggerSet
            | Note::TriggerMerged => {}
        }
    }

    fn beat_failed(&mut self, seq: u64, covers: u64, retry_at: Option<Instant>, now: Instant) {
        self.count_round(now);
        assert_eq!(seq, self.seq + 1);
        self.in_flight_since = None;
        self.new_round();
        if let Some(quiet) = &mut self.quiet {
            quiet.passing = false;
        }
        match retry_at {
            None => {
                self.seq = seq;
                self.pending.retain(|it| it.seq > covers);
            }
            Some(at) => assert!(at > now, "a retry without a wait"),
        }
        let until = self.asked_until.take().filter(|_| retry_at.is_some());
        let quiet = until.map(|until| Quiet { until, passed: false, passing: false });
        if self.asks_for_quiet {
            self.quiet = quiet.or(self.quiet);
        } else {
            self.asked_before = quiet;
        }
    }

    /// After an input and all its orders.
    pub(crate) fn settle(&mut self, agent: &Agent, now: Instant) {
        let view = agent.view(now);
        if let Some(quiet) = self.asked_before.take().filter(|_| view.held_until.is_some()) {
            self.quiet = Some(quiet);
        }
        assert_eq!(view.seq, self.seq + 1);
        assert_eq!(view.connects, self.connects_made);
        assert_eq!(view.probes_sent, self.probes_made);
        if self.silent {
            let open = (self.attempts.len(), self.probes.len(), self.queries.len());
            assert_eq!(open, (0, 0, 0), "open while nothing may be sent");
            assert!(!view.in_flight && view.pending.is_none());
            return;
        }
        // What was read together with a link is judged when the kernel has answered.
        let bound = self.attempts.values().filter_map(|open| open.via);
        for via in bound.filter(|_| !self.heard.asking) {
            assert!(self.heard.running(via).is_some(), "a connection over {via}, which is down");
        }
        let racing = self.attempts.values().filter(|open| !open.kept).count();
        if view.in_flight {
            let since = *self.in_flight_since.get_or_insert(now);
            self.late_since = None;
            let deadline = agent.next_deadline(now).expect("a beat under way has an end");
            assert!(
                deadline <= since.max(self.healed_at) + self.request_timeout,
                "the beat's end is forgotten"
            );
        } else {
            self.in_flight_since = None;
            // One may come too late for a beat that told of a change of uplink.
            let since = if racing == 0 { now } else { self.late_since.unwrap_or(now) };
            self.late_since = Some(since);
            let in_time = now - since <= self.request_timeout;
            assert!(racing <= 1 && in_time, "{racing} connections without a beat since {since:?}");
            assert!(view.held_until.is_some() || self.quiet.is_none_or(|it| it.until <= now));
        }
        // A want that has a way out knows when it starts.
        let waits = view.pending.is_some() && !view.in_flight && !self.heard.asking;
        if waits && self.heard.dumped && self.heard.leads_to_the_server(&self.settings) {
            let soon = agent.next_deadline(now).is_some_and(|at| at <= now);
            assert!(soon || view.waits_until.is_some(), "a beat that nobody will start");
        }
        for pending in &self.pending {
            let seen = view.in_flight || view.pending.is_some();
            assert!(seen, "{pending:?} is forgotten");
        }
    }
}

/// Rounds of attempts a second, and at once.
///
/// A round is started by the cycle, by a token of either bucket, or by the back-off. The back-off
/// begins anew with a token of the network changes, and its first waits are at least 0.5 s and 1 s:
/// two rounds more before the next such token can be there. Later on it gives at most one
/// round in half an interval. A bucket that was full, the first doublings, and a start after each
/// change of the configuration come on top.
fn rounds(settings: &Settings) -> (f64, f64) {
    let a_second = |wait: Duration| wait.as_secs_f64().max(0.001).recip();
    let (triggers, changes) = (settings.trigger_bucket, settings.network_bucket);
    let rate = a_second(triggers.every)
        + 3.0 * a_second(changes.every)
        + 3.0 * a_second(settings.interval);
    let doublings = settings.interval.as_secs_f64().max(1.0).log2().ceil() + 2.0;
    (rate, f64::from(triggers.burst + 3 * changes.burst) + doublings)
}

/// Connections a second, and at once, and as many reports: every address over every way, the kept
/// connection, one repetition, and as much again for each healing, of which there is one in three seconds at most.
fn connects(settings: &Settings) -> (f64, f64) {
    let in_a_round = f64::from(WAYS * ADDRESSES + 2);
    let (rate, size) = rounds(settings);
    ((rate + 1.0 / 3.0) * in_a_round, size * in_a_round)
}
