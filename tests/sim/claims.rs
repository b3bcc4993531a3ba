//! Invariants that hold at every step, whatever the network does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{
    ACTIONS_MAX, ATTEMPTS_MAX, Acknowledged, Action, ConnectionId, Failure, Note, Reason, Reply,
    RequestId, TriggerAnswer,
};
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::reach::budget::{
    ATTEMPTS, EVIDENCE_RESERVE, OUTSTANDING_MAX, PER_SECOND, TARGETS_MAX,
};
use linkbeat_core::proto::resolve::QUERIES_MAX;
use linkbeat_core::proto::route::{Route, RouteQuestion};
use linkbeat_core::proto::settings::{Host, SERVICES_MAX, Settings};
use linkbeat_core::proto::time::Instant;

use super::delivery::is_ignored;
use super::kernel::Kernel;
use super::net::News;

/// Paths out of the simulated device: its interfaces except the loopback, and an unbound socket.
const WAYS: u32 = 7;
/// Most addresses of the server: those from the nameserver, and the last good one.
const ADDRESSES: u32 = 5;
/// Longest wait that a Retry-After can cause.
const HOLD_MAX: Duration = Duration::from_secs(900);

/// Probes of one second, and the round that begins the next one.
const PROBES_AT_ONCE: f64 = PER_SECOND as f64 + TARGETS_MAX as f64;

/// An open connection.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// Idle between two beats.
    kept: bool,
    /// TLS is established.
    secured: bool,
    /// The beat it carries, and the number of the action that sent it.
    sent: Option<(u64, u64)>,
    /// The interface that the socket is bound to.
    via: Option<InterfaceName>,
    /// The server's address.
    to: Option<IpAddr>,
    /// The last beat that it carried in this round, with or without a response.
    carried: Option<u64>,
}

/// A trigger that no acknowledged beat covers yet.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Number of the trigger input.
    order: u64,
    /// The promised beat.
    seq: u64,
}

/// The wait of a server's Retry-After.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    until: Instant,
    /// A change of uplink has used its one beat.
    passed: bool,
    /// That beat is in flight.
    passing: bool,
}

/// A leaky bucket: a rate above its leak, beyond its size, breaks a promise.
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

    fn level(&self, now: Instant, per_second: f64) -> f64 {
        let leaked = (now - self.at).as_secs_f64() * per_second;
        (self.level - leaked).max(0.0)
    }

    fn add(&mut self, now: Instant, per_second: f64, size: f64) -> bool {
        self.level = self.level(now, per_second) + 1.0;
        self.at = now;
        self.level <= size
    }
}

/// The core's knowledge of the network.
#[derive(Debug, Default)]
struct Heard {
    links: BTreeMap<LinkIndex, (InterfaceName, bool)>,
    /// The links listed since the last dump began.
    listed: BTreeSet<LinkIndex>,
    routes: Vec<Route>,
    /// Route queries are outstanding.
    asking: bool,
    /// A dump has ended. Before the first one nothing can start.
    dumped: bool,
}

impl Heard {
    fn hear(&mut self, news: &News) {
        match news {
            News::Link(LinkEvent::Link { index, name, running, .. }) => {
                // A name belongs to one interface, even if the removal of another was not received.
                self.links.retain(|_, (other, _)| other != name);
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

    fn running(&self, name: InterfaceName) -> Option<LinkIndex> {
        self.links.iter().find(|(_, link)| **link == (name, true)).map(|(index, _)| *index)
    }

    fn answer(&self, to: IpAddr, bound: Option<LinkIndex>) -> Option<&Route> {
        self.routes.iter().find(|route| route.question == RouteQuestion { to, bound })
    }

    /// Whether the server has a literal address, and a known route leads to it.
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

    /// Checks that a socket is bound only to a running interface with a route to `to`.
    fn check(&self, settings: &Settings, to: IpAddr, via: Option<InterfaceName>) {
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

/// The state of all checks.
#[derive(Debug)]
pub(crate) struct Claims {
    heard: Heard,
    orders: u64,
    attempts: BTreeMap<ConnectionId, Open>,
    probes: BTreeSet<u32>,
    queries: BTreeSet<u32>,
    checks: BTreeSet<u32>,
    last_check: u32,
    /// Whether the one service was reported as down.
    lost: bool,
    looking: Leaky,
    last_attempt: u32,
    last_probe: u32,
    last_query: Option<u32>,
    asked: Option<(u64, RequestId)>,
    pending: Vec<Pending>,
    winner: Option<Open>,
    /// The current response has a Retry-After.
    asks_for_quiet: bool,
    /// End of the last Retry-After in this round.
    asked_until: Option<Instant>,
    /// Whether that round may have been restarted since by another configuration.
    may_start_over: bool,
    /// Retry-After of an earlier response in a round that failed later. It counts unless the round
    /// was restarted.
    asked_before: Option<Quiet>,
    quiet: Option<Quiet>,
    silent: bool,
    in_flight_since: Option<Instant>,
    /// Last time that the network answered again. A beat in flight then gets its full timeout.
    healed_at: Instant,
    /// When the last report was sent, until its promise has had a round of its own.
    reported_at: Option<Instant>,
    late_since: Option<Instant>,
    connects: Leaky,
    /// Connections since the last answer of the server.
    in_vain: Leaky,
    /// Those of them that took a token.
    spent: Leaky,
    /// The next one takes none, as the first one of its round.
    is_free: bool,
    reports: Leaky,
    rounds: Leaky,
    probing: Leaky,
    /// Highest beat that was acknowledged or finally failed.
    pub(crate) seq: u64,
    pub(crate) acknowledged: u64,
    pub(crate) acknowledged_at: Instant,
    pub(crate) acknowledged_order: u64,
    /// The interface that the connection of the last acknowledged beat was bound to.
    pub(crate) acknowledged_via: Option<InterfaceName>,
    /// The server's address that acknowledged last.
    pub(crate) good: Option<IpAddr>,
    pub(crate) connects_made: u64,
    /// Connections by the interface that they are bound to.
    pub(crate) connects_via: BTreeMap<Option<InterfaceName>, u64>,
    /// Number of route query rounds.
    pub(crate) asks: u64,
    pub(crate) probes_made: u64,
    pub(crate) actions_max: usize,
    request_timeout: Duration,
    /// The configuration that the core has.
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
            checks: BTreeSet::new(),
            last_check: 0,
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
            may_start_over: false,
            asked_before: None,
            quiet: None,
            silent: true,
            in_flight_since: None,
            healed_at: now,
            reported_at: None,
            late_since: None,
            connects: Leaky::new(now),
            in_vain: Leaky::new(now),
            spent: Leaky::new(now),
            is_free: true,
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

    /// Number of the last input or action.
    pub(crate) const fn orders(&self) -> u64 {
        self.orders
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Updates the state before an input.
    pub(crate) fn hear(&mut self, news: &News, now: Instant) {
        self.orders += 1;
        self.asked = None;
        self.winner = None;
        self.asks_for_quiet = false;
        self.heard.hear(news);
        match news {
            News::Configured(settings) => {
                // The beat may start over, and the limits may have changed.
                self.in_flight_since = None;
                self.may_start_over = true;
                self.rounds.forgive();
                self.connects.forgive();
                self.in_vain.forgive();
                self.reports.forgive();
                let server_changed = self.settings.server != settings.server;
                if server_changed {
                    self.good = None;
                }
                // Interfaces that were ignored are unknown until the next dump.
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
            News::Triggered(_, request) => self.asked = Some((self.orders, *request)),
            News::Probed(probe, result) => {
                self.new_round();
                let known = self.probes.remove(&probe.0);
                if known && result.is_ok() {
                    self.healed_at = now;
                }
            }
            News::CheckFinished(look, _) => {
                self.checks.remove(&look.0);
            }
            News::Queried(query, _) => {
                self.queries.remove(&query.0);
            }
            News::Replied(id, reply) => self.replied(*id, *reply, now),
            News::Failed(id, _) => {
                self.attempts.remove(id);
            }
            News::Secured(id) => {
                if let Some(open) = self.attempts.get_mut(id) {
                    open.secured = true;
                    // A connection that completes after the end of its beat is kept for the next.
                    open.kept |= self.late_since.is_some();
                }
            }
            // These inputs may restart the beat.
            News::Link(_) | News::LinksDumped | News::Routes(_) | News::Neighbour(_) => {
                self.in_flight_since = None;
                self.new_round();
            }
            _ => {}
        }
    }

    fn replied(&mut self, id: ConnectionId, reply: Reply, now: Instant) {
        let open = self.attempts.get_mut(&id);
        if open.is_some() && !matches!(reply.failure, Some(Failure::Portal(_))) {
            self.in_vain.forgive();
            self.spent.forgive();
        }
        self.winner = open.as_deref().copied();
        let asked = reply.retry_after.filter(|asked| !asked.is_zero());
        let until = asked.map(|asked| now + asked.min(HOLD_MAX));
        self.asks_for_quiet = until.is_some();
        if until.is_some() {
            self.asked_until = until;
            self.may_start_over = false;
        }
        match open {
            Some(open) if reply.keep_alive => *open = Open { kept: true, sent: None, ..*open },
            _ => drop(self.attempts.remove(&id)),
        }
        if reply.failure.is_none() {
            // So is one that has completed in vain, unless it is closed now.
            let in_vain = |open: &&mut Open| open.secured && open.sent.is_none();
            self.attempts.values_mut().filter(in_vain).for_each(|open| open.kept = true);
        }
    }

    /// Starts a round, in which each connection may carry the same beat once more.
    fn new_round(&mut self) {
        self.attempts.values_mut().for_each(|open| open.carried = None);
    }

    /// Checks an action before it is performed. Returns its number.
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
                assert!(self.probes.len() <= OUTSTANDING_MAX + 1, "{} probes", self.probes.len());
                self.heard.check(&self.settings, to.ip(), *via);
                // The bucket leaks the rate of one second. A first round comes on top.
                // So does a test of a reserve, with its control.
                let tests = if self.settings.standby_check.is_zero() { 0.0 } else { 2.0 };
                let in_rate = self.probing.add(now, PER_SECOND.into(), PROBES_AT_ONCE + tests);
                assert!(in_rate, "more probes than promised");
            }
            Action::CloseProbe(probe) => {
                assert!(self.probes.remove(&probe.0), "{probe:?} ends twice");
            }
            Action::OpenServiceCheck { check, .. } => {
                assert!(check.0 > self.last_check, "a check's number is used twice");
                self.last_check = check.0;
                self.checks.insert(check.0);
                assert!(self.checks.len() <= SERVICES_MAX, "{} looks", self.checks.len());
                assert!(self.looking.add(now, 1.0, 3.0), "more looks than promised");
            }
            Action::CloseServiceCheck(check) => {
                assert!(self.checks.remove(&check.0), "{check:?} ends twice")
            }
            Action::SendQuery { query, to, via, .. } => {
                assert!(!self.silent, "a query while nothing may be sent");
                assert!(self.last_query.is_none_or(|last| query.0 > last), "{query:?} again");
                self.last_query = Some(query.0);
                self.queries.insert(query.0);
                assert!(self.queries.len() <= QUERIES_MAX, "{} queries", self.queries.len());
                let scoped = matches!(to.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local());
                // A lookup continues over its initial paths, except those that are down.
                let down = via.filter(|via| !scoped && self.heard.running(*via).is_none());
                assert!(down.is_none(), "{to} is asked over {down:?}, which is down");
            }
            Action::CloseQuery(query) => {
                assert!(self.queries.remove(&query.0), "{query:?} ends twice");
            }
            Action::Connect { id, to, via } => self.connect(*id, to.ip(), *via, now),
            Action::SendReport { id, seq, reason } => self.report(*id, *seq, reason, now),
            Action::CheckAcked(id) => {
                assert!(self.attempts.contains_key(id), "{id:?} is not open");
            }
            Action::CloseConnection(id) | Action::ParkConnection(id) => {
                assert!(self.attempts.remove(id).is_some(), "{id:?} ends twice");
            }
            Action::AnswerTrigger(request, answer) => self.answer(*request, *answer),
            Action::Note(note) => self.note(note, now),
        }
        self.orders
    }

    fn connect(&mut self, id: ConnectionId, to: IpAddr, via: Option<InterfaceName>, now: Instant) {
        assert!(!self.silent, "a connection while nothing may be sent");
        assert!(id.0 > self.last_attempt, "{id:?} is used twice");
        self.last_attempt = id.0;
        self.attempts.insert(id, Open { via, to: Some(to), ..Open::default() });
        self.connects_made += 1;
        *self.connects_via.entry(via).or_default() += 1;
        let racing = self.attempts.values().filter(|open| !open.kept).count();
        assert!(racing <= ATTEMPTS_MAX, "{racing} connections race");
        assert!(self.attempts.len() <= ATTEMPTS_MAX + 1, "{} open", self.attempts.len());
        self.heard.check(&self.settings, to, via);
        let (rate, size) = connects(&self.settings);
        assert!(self.connects.add(now, rate, size), "more connections than promised");
        if !std::mem::take(&mut self.is_free) {
            self.spent.add(now, token_rate(), f64::INFINITY);
        }
        let (rate, size) = connects_in_vain(&self.settings);
        assert!(self.in_vain.add(now, rate, size), "more connections in vain than promised");
        self.keep_quiet(now);
    }

    fn report(&mut self, id: ConnectionId, seq: u64, reason: &Reason, now: Instant) {
        assert!(!self.silent, "a report while nothing may be sent");
        assert_eq!(seq, self.seq + 1, "beats are numbered in order");
        let orders = self.orders;
        let open = self.attempts.get_mut(&id).expect("a report on an open connection");
        assert!(open.sent.is_none(), "two reports at once on {id:?}");
        assert!(open.carried != Some(seq), "a connection carries a beat twice in a round");
        *open = Open { kept: false, sent: Some((seq, orders)), carried: Some(seq), ..*open };
        self.reported_at = Some(now);
        let (rate, size) = connects(&self.settings);
        assert!(self.reports.add(now, rate, size), "more reports than promised");
        self.keep_quiet(now);
        if let Some(quiet) = self.quiet.filter(|quiet| now < quiet.until) {
            let uplink = matches!(reason, Reason::FailoverTo(_) | Reason::Priority(_));
            assert!(uplink && quiet.passing, "{reason:?} in spite of Retry-After");
        }
    }

    /// Checks a connection or report during a Retry-After: a change of uplink may send one beat.
    fn keep_quiet(&mut self, now: Instant) {
        if let Some(quiet) = self.quiet.as_mut().filter(|quiet| now < quiet.until) {
            assert!(quiet.passing || !quiet.passed, "a second beat in spite of Retry-After");
            quiet.passing = true;
            quiet.passed = true;
        }
    }

    fn answer(&mut self, request: RequestId, answer: TriggerAnswer) {
        let (order, asked) = self.asked.take().expect("an answer to a question");
        assert_eq!(request, asked);
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
            Note::BeatAcknowledged { beat: Acknowledged { seq, stamps, .. }, covers, .. } => {
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
                    stamps.opened_at,
                    stamps.connected_at,
                    stamps.secured_at,
                    stamps.written_at,
                    stamps.replied_at,
                ];
                assert!(steps.is_sorted() && stamps.replied_at == now, "{stamps:?}");
                assert!(stamps.held <= stamps.opened_at - stamps.usable_at, "{stamps:?}");
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
            Note::ConnectivityRestored => self.healed_at = now,
            Note::UplinkChanged { .. }
            | Note::UplinkRenamed { .. }
            | Note::NetworkChanged(_)
            | Note::GatewayBack(_)
            | Note::PathFailed { .. }
            | Note::StandbyChanged { .. }
            | Note::LinksLeftOut
            | Note::ConnectivityLost
            | Note::IntervalSet(_)
            | Note::TriggerSet
            | Note::TriggerMerged => {}
        }
    }

    fn beat_failed(&mut self, seq: u64, covers: u64, retry_at: Option<Instant>, now: Instant) {
        self.count_round(now);
        assert_eq!(seq, self.seq + 1);
        self.is_free = true;
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
            // What was promised with the last report is due, for once.
            Some(at) if at == now => {
                let due = self.reported_at.take_if(|at| now - *at >= self.settings.interval);
                assert!(due.is_some(), "a retry without a wait");
            }
            Some(at) => assert!(at > now, "a retry without a wait"),
        }
        let until = self.asked_until.take().filter(|_| retry_at.is_some());
        let quiet = until.map(|until| Quiet { until, passed: false, passing: false });
        if self.asks_for_quiet && !self.may_start_over {
            self.quiet = quiet.or(self.quiet);
        } else {
            // Whether it counts shows in the state only, and a beat may start before.
            if let (Some(quiet), Some(_)) = (&mut self.quiet, quiet) {
                quiet.passed = false;
            }
            self.asked_before = quiet;
        }
    }

    /// Whether a server that does not answer may have had all connections that are not reserved.
    pub(crate) fn may_be_spent(&self, now: Instant) -> bool {
        let kept = f64::from(ATTEMPTS.burst - EVIDENCE_RESERVE) - 1.0;
        self.spent.level(now, token_rate()) > kept
    }

    /// Checks the state after an input and all its actions.
    pub(crate) fn settle(&mut self, agent: &Agent, now: Instant) {
        let view = agent.view(now);
        let holds = |quiet: &Quiet| view.held_until.is_some_and(|held| held >= quiet.until);
        if let Some(quiet) = self.asked_before.take().filter(holds) {
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
        // The core reacts to link events after the kernel has answered the route queries.
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
            // A connection may complete after the end of a beat that reported a change of uplink.
            let since = if racing == 0 { now } else { self.late_since.unwrap_or(now) };
            self.late_since = Some(since);
            assert!(self.attempts.len() <= 2, "more open than one kept and a late one");
            let in_time = now - since <= self.request_timeout;
            assert!(racing <= 1 && in_time, "{racing} connections without a beat since {since:?}");
            assert!(view.held_until.is_some() || self.quiet.is_none_or(|it| it.until <= now));
        }
        // A pending beat with a route to the server has a start time.
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

/// Rate of rounds of attempts per second, and burst.
///
/// The cycle, a token of either bucket, or the back-off starts a round. A token of the network
/// bucket restarts the back-off, whose first waits are at least 0.5 s and 1 s, so two more rounds
/// fit before the next token. Later the back-off adds at most one round in half an interval. A full
/// bucket, the first doublings, and a start after each change of the configuration come on top.
fn rounds(settings: &Settings) -> (f64, f64) {
    let a_second = |wait: Duration| wait.as_secs_f64().max(0.001).recip();
    let (triggers, changes) = (settings.trigger_bucket, settings.network_bucket);
    let rate = a_second(triggers.every)
        + 3.0 * a_second(changes.every)
        + 3.0 * a_second(settings.interval);
    let doublings = settings.interval.as_secs_f64().max(1.0).log2().ceil() + 2.0;
    (rate, f64::from(triggers.burst + 3 * changes.burst) + doublings)
}

/// Rate of connections per second, and burst; reports have the same limit. A round has every
/// address on every path, the kept connection, and one repetition. Each restored connectivity
/// allows another round, at most every three seconds.
fn connects(settings: &Settings) -> (f64, f64) {
    let in_a_round = f64::from(WAYS * ADDRESSES + 2);
    let (rate, size) = rounds(settings);
    ((rate + 1.0 / 3.0) * in_a_round, size * in_a_round)
}

/// Tokens per second for connections to a server that does not answer.
fn token_rate() -> f64 {
    ATTEMPTS.every.as_secs_f64().recip()
}

/// Rate of connections per second since the server's last answer, and burst. A round and a restored
/// connectivity have one, the others take tokens: neither addresses nor paths multiply them.
fn connects_in_vain(settings: &Settings) -> (f64, f64) {
    let (rate, size) = rounds(settings);
    (rate + 1.0 / 3.0 + token_rate(), size + 1.0 + f64::from(ATTEMPTS.burst))
}
