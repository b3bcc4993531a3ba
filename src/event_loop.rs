//! The one loop: waits, reads the sources that are ready, feeds the core, performs its actions.
//!
//! ```text
//! poll --> by token: timer, clock, rtnetlink, triggers, beat, DNS, probe, service, local --> Input
//!   ^                                                                                          |
//!   |                                                              Agent::handle(input, now) <-+
//!   +---- timer armed with next_deadline <-------------------- perform each Action <-----------+
//! ```
//!
//! It decides nothing. Readiness comes by edges: a source that used up its budget is visited again
//! before the next wait.

mod files;
mod history_file;
mod inputs;
mod local;
mod perform;
mod pump;
mod report;
mod reporter;
mod sessions;
mod setup;
mod show;
mod slots;
mod stopping;
mod supervisor;
#[cfg(test)]
mod tests;
mod wall;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use self::history_file::HistoryFile;
use self::inputs::LinksRetry;
use self::reporter::Reporter;
use self::sessions::{SESSIONS_MAX, Sessions};
use self::setup::{Setup, Verdict};
use self::slots::Slots;
use self::stopping::Stopping;
use self::wall::Wall;
use crate::config::{ConfigFiles, manager};
use crate::error::Error;
use crate::net::device_info::Vitals;
use crate::net::local::{LocalServer, Protocol};
use crate::net::notify::Notify;
use crate::net::probe::ProbeSocket;
use crate::net::resolver::{QuerySocket, SettingsReader};
use crate::net::watch::{RESOLVER_FILES, Watch};
use crate::sys::clock;
use crate::sys::eventfd::EventFd;
use crate::sys::neighbours::NeighbourSocket;
use crate::sys::netlink::RouteSocket;
use crate::sys::readiness::watch;
use crate::sys::routes::RouteAsker;
use crate::sys::sandbox::Sandbox;
use crate::sys::signals::Signals;
use crate::sys::timerfd::Timer;
use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{CheckId, Input, ProbeId, QueryId};
use linkbeat_core::proto::history::Change;
use linkbeat_core::proto::moderation::Bucket;
use linkbeat_core::proto::reach::OUTSTANDING_MAX;
use linkbeat_core::proto::resolve::QUERIES_MAX;
use linkbeat_core::proto::settings::{BucketSettings, ResolverSettings, SERVICES_MAX};
use linkbeat_core::proto::time::Instant;

// Sources are visited in the order of their tokens.
const TIMER: usize = 0;
const CLOCK: usize = 1;
const RTNETLINK: usize = 2;
const NEIGHBOURS: usize = 3;
const SIGNALS: usize = 4;
const TRIGGER: usize = 5;
const HELPER_FIRST: usize = 6;
const CONNECTION_FIRST: usize = HELPER_FIRST + Protocol::Lines.tokens();
const QUERY_FIRST: usize = CONNECTION_FIRST + SESSIONS_MAX;
const PROBE_FIRST: usize = QUERY_FIRST + QUERIES_MAX;
const CHECK_FIRST: usize = PROBE_FIRST + PROBES_MAX;
const WATCH: usize = CHECK_FIRST + SERVICES_MAX;
const MOUNTS: usize = WATCH + 1;
const STATUS_FIRST: usize = MOUNTS + 1;
const TOKENS: usize = STATUS_FIRST + Protocol::Http.tokens();

/// Probes at once: those of the search, and a test of an uplink in reserve.
const PROBES_MAX: usize = OUTSTANDING_MAX + 1;
/// Most readinesses taken from one wait; the rest waits in the kernel.
const EVENTS_MAX: usize = 64;
/// The extra length of a wait without a timer, because poll(2) counts in milliseconds.
const TICK: Duration = Duration::from_millis(1);
/// How often changed files are read: one that is written without end costs no more work and lines
/// of the log than this.
const LOADS: BucketSettings = BucketSettings { burst: 5, every: Duration::from_secs(1) };

/// The sources, and the core they feed.
struct EventLoop {
    /// Waits for all sources.
    poll: Poll,
    /// When the agent started.
    started_at: Instant,
    /// The time of this wake-up.
    now: Instant,
    /// Since a signal has asked for the end.
    stopping: Option<Stopping>,
    /// Tokens to visit again without a new readiness.
    again: Vec<usize>,
    /// Connections given a report, to be pumped in this very wake-up.
    pump_now: Vec<usize>,
    /// Results that an action had at once; fed to the core before anything else.
    outcomes: VecDeque<Input<'static>>,

    /// Armed with the next deadline.
    timer: Timer,
    /// The wall clock.
    wall: Wall,
    /// Reports changes of links, addresses and routes.
    routes: RouteSocket,
    /// When it is turned to again after a failure.
    links_retry: LinksRetry,
    /// Asks the kernel where packets would go.
    route_asker: RouteAsker,
    /// Whether the core has questions for it.
    routes_wanted: bool,
    /// Reports neighbours while the core waits for one.
    neighbours: Option<NeighbourSocket>,
    /// SIGTERM, SIGHUP and their like.
    signals: Signals,
    /// The inherited eventfd of a helper.
    trigger: Option<EventFd>,
    /// The connections to the server.
    sessions: Sessions,
    /// The DNS questions under way.
    queries: Slots<QueryId, QuerySocket, QUERIES_MAX>,
    /// The reachability probes under way.
    probes: Slots<ProbeId, ProbeSocket, PROBES_MAX>,
    /// The checks of local services under way.
    checks: Slots<CheckId, ProbeSocket, SERVICES_MAX>,
    /// The watched files.
    watch: Watch,
    /// When files are checked that the watch may have missed.
    poll_files_at: Instant,
    /// Limits how often changed files are read.
    loads: Bucket,
    /// When the configuration is read again, whether or not something announces a change.
    load_at: Option<Instant>,
    /// The server of local clients.
    local: LocalServer,
    /// The supervisor, if one listens.
    supervisor: Option<Notify>,
    /// The parts of the sandbox in force; `None` if it was not wanted.
    sandbox: Option<Sandbox>,

    /// The core, which decides.
    agent: Agent,
    /// When the core was last given a configuration.
    configured_at: Option<Instant>,
    /// How names are resolved, as the core knows it.
    resolver: ResolverSettings,
    /// Reads the files of the resolver, piece by piece.
    reader: Option<SettingsReader>,
    /// The configuration in force.
    setup: Setup,
    /// The facts about the device that differ for every beat.
    vitals: Vitals,
    /// The log lines, the history and the last results.
    reporter: Reporter,
    /// The history on disk.
    history_file: HistoryFile,
}

/// Runs the agent until a signal ends it. `trigger` is an inherited eventfd of a helper; `sandbox`
/// is for the status.
///
/// # Errors
///
/// A descriptor that the agent cannot do without is not to be had, or another agent answers helpers
/// already. Later only waiting itself can fail.
pub fn run(
    config: PathBuf,
    trigger: Option<EventFd>,
    sandbox: Option<Sandbox>,
) -> Result<(), Error> {
    let now = clock::now();
    let poll = Poll::new().map_err(Error::system("open epoll"))?;
    let timer = Timer::new().map_err(Error::system("open timerfd"))?;
    let routes = RouteSocket::new().map_err(Error::system("open rtnetlink socket"))?;
    let route_asker = RouteAsker::new().map_err(Error::system("open rtnetlink socket"))?;
    let signals = Signals::new().map_err(Error::system("install signal handlers"))?;
    let watch = Watch::new(ConfigFiles::of(&config).all(), &RESOLVER_FILES, &manager::FILES);
    let wall = Wall::new();
    listen(&poll, [&timer], TIMER)?;
    listen(&poll, &wall.watch, CLOCK)?;
    listen(&poll, [&routes], RTNETLINK)?;
    listen(&poll, [&signals], SIGNALS)?;
    listen(&poll, watch.events(), WATCH)?;
    listen(&poll, watch.mounts(), MOUNTS)?;
    listen(&poll, &trigger, TRIGGER)?;
    let poll_files_at = now + files::wait(&watch);
    let local = LocalServer::new(poll.registry(), Token(HELPER_FIRST), Token(STATUS_FIRST))
        .map_err(Error::system("duplicate epoll"))?;
    // Never moved: a second one on the way would be 50 KB of stack for good.
    let mut event_loop = EventLoop {
        poll,
        started_at: now,
        now,
        stopping: None,
        again: Vec::with_capacity(EVENTS_MAX),
        pump_now: Vec::with_capacity(SESSIONS_MAX),
        outcomes: VecDeque::with_capacity(EVENTS_MAX),
        timer,
        wall,
        routes,
        links_retry: LinksRetry::new(now),
        route_asker,
        routes_wanted: false,
        neighbours: None,
        signals,
        trigger,
        sessions: Sessions::new(CONNECTION_FIRST),
        queries: Slots::new(QUERY_FIRST),
        probes: Slots::new(PROBE_FIRST),
        checks: Slots::new(CHECK_FIRST),
        watch,
        poll_files_at,
        loads: Bucket::new(LOADS, now),
        load_at: None,
        local,
        supervisor: Notify::from_env(now),
        sandbox,
        configured_at: None,
        agent: Agent::new(clock::seed(), now),
        resolver: ResolverSettings::default(),
        reader: None,
        setup: Setup::new(config),
        vitals: Vitals::default(),
        reporter: Reporter::new(clock::seed()),
        history_file: HistoryFile::default(),
    };
    event_loop.run()
}

impl EventLoop {
    // Inlined into its caller it would reach every field by a long way from the stack: 2 KB more.
    #[inline(never)]
    fn run(&mut self) -> Result<(), Error> {
        self.load();
        let path = self.setup.config.trigger_socket.as_deref();
        self.local.begin_lines(path, self.now)?;
        log::info!("[Meeting] Heartbeat thread started");
        stopping::forget_stale();
        let kept = HistoryFile::restore(&self.setup, &mut self.reporter.history, self.now);
        kept.into_iter().for_each(|outages| self.agent.restore_outages(outages));
        self.listen_http();
        self.feed(Input::LinksLost);
        self.configure();
        self.follow_up();
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        while !self.has_ended() {
            self.again.extend(self.local.pending(self.now).map(|token| token.0));
            let history = &mut self.reporter.history;
            if self.wall.take_was_set() {
                history.turn(Change::ClockSet, self.now);
            }
            self.history_file.keep(&self.setup, history, self.agent.outages(), self.now);
            self.notify_supervisor();
            let deadline = self.next_deadline();
            let armed = self.timer.arm(deadline);
            // Without the timer the wait itself has to end in time.
            let timeout = (!armed).then(|| deadline - self.now + TICK);
            self.wait(&mut events, timeout)?;
            self.now = clock::now();
            core::mem::swap(&mut ready, &mut self.again);
            ready.extend(events.iter().map(|event| event.token().0));
            ready.extend((!armed).then_some(TIMER));
            ready.extend(self.signals.is_pending().then_some(SIGNALS));
            ready.sort_unstable();
            ready.dedup();
            for token in ready.drain(..) {
                self.visit(token);
                self.follow_up();
            }
        }
        self.supervisor.iter().for_each(Notify::stopping);
        self.sessions.close_all();
        let (history, outages) = (&mut self.reporter.history, self.agent.outages());
        self.history_file.write(&self.setup, history, outages, self.now);
        log::info!("[Meeting] Heartbeat thread stopped");
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> Result<(), Error> {
        let timeout = if self.again.is_empty() { timeout } else { Some(Duration::ZERO) };
        match self.poll.poll(events, timeout) {
            // A signal that interrupts the wait is read as a readiness like any other.
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(Error::system("wait for events")(error))
            }
            _ => Ok(()),
        }
    }

    fn visit(&mut self, token: usize) {
        match token {
            TIMER => {
                self.timer.drain();
                for slot in self.sessions.overdue(self.now) {
                    self.pump(slot);
                }
                self.connect_held();
                self.feed(Input::Deadline);
                self.local.on_deadline(self.now);
                self.poll_files();
                self.retry_links();
            }
            CLOCK => {
                // What failed for the time of a certificate may fare better now.
                if self.wall.on_ready(self.now) {
                    self.feed(Input::ClockSet);
                }
            }
            RTNETLINK => self.on_links_ready(),
            NEIGHBOURS => self.on_neighbours_ready(),
            SIGNALS => self.obey_signals(),
            TRIGGER => {
                if self.trigger.as_ref().is_some_and(EventFd::drain) {
                    self.feed(Input::Triggered { word: None, request: None });
                }
            }
            CONNECTION_FIRST..QUERY_FIRST => self.pump(token - CONNECTION_FIRST),
            QUERY_FIRST..PROBE_FIRST => self.on_nameserver_ready(token - QUERY_FIRST),
            PROBE_FIRST..CHECK_FIRST => self.on_probe_ready(token - PROBE_FIRST),
            CHECK_FIRST..WATCH => self.on_service_ready(token - CHECK_FIRST),
            WATCH => {
                let changed = self.watch.drain();
                if changed.more {
                    self.again.push(WATCH);
                }
                self.take_changes(changed);
                self.read_on();
            }
            MOUNTS => {
                let changed = self.watch.stat_changed();
                self.take_changes(changed);
            }
            HELPER_FIRST..CONNECTION_FIRST | STATUS_FIRST..TOKENS => self.on_local_ready(token),
            _ => debug_assert!(false, "token {token} is not used"),
        }
    }

    fn obey_signals(&mut self) {
        let received = self.signals.drain();
        if received.terminate {
            self.stop();
        }
        if received.reload && self.load() != Verdict::Invalid {
            self.reconfigure();
        }
        if received.trigger {
            self.feed(Input::Triggered { word: None, request: None });
        }
    }

    fn next_deadline(&self) -> Instant {
        let core = self.agent.next_deadline(self.now);
        let supervisor = self.supervisor.as_ref().and_then(Notify::next_deadline);
        let history = self.history_file.next_deadline(&self.setup, &self.reporter.history);
        let body = self.sessions.next_deadline();
        let links = self.links_retry.next_deadline();
        // With a cycle running, that check rides on its wake-ups, unless there is no other.
        let files = self.watch.events().is_none().then_some(self.poll_files_at);
        let end = self.stopping.map(|stopping| stopping.until);
        let (local, load) = (self.local.next_deadline(), self.load_at);
        let all = [core, supervisor, history, body, links, files, end, local, load];
        all.into_iter().flatten().min().unwrap_or(self.poll_files_at)
    }
}

/// Has a source watched, if there is one.
fn listen<'a, S: AsFd + 'a>(
    poll: &Poll,
    source: impl IntoIterator<Item = &'a S>,
    token: usize,
) -> Result<(), Error> {
    let watch = |source| watch(poll.registry(), source, Token(token), Interest::READABLE);
    source.into_iter().try_for_each(watch).map_err(Error::system("watch a descriptor"))
}
