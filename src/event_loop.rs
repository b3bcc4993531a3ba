//! The one loop: waits, sees what is ready, feeds the core, performs what it orders.
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
mod hear;
mod journal;
mod local;
mod past;
mod perform;
mod report;
mod routing;
mod sessions;
mod setup;
mod show;
mod slots;
mod supervisor;
mod wall;

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use self::journal::Journal;
use self::past::Past;
use self::routing::Routing;
use self::sessions::{SESSIONS_MAX, Sessions};
use self::setup::{Setup, Verdict};
use self::slots::Slots;
use self::wall::Wall;
use crate::config::Files;
use crate::error::Error;
use crate::net::connection::Progress;
use crate::net::facts::Vitals;
use crate::net::notify::Notify;
use crate::net::probe::ProbeSocket;
use crate::net::resolver::QuerySocket;
use crate::net::status::{self, StatusServer};
use crate::net::trigger::{self, TriggerSocket};
use crate::net::watch::{RESOLVER_FILES, Watch};
use crate::proto::agent::Agent;
use crate::proto::event::{Attempt, Failure, Input, Probe, Query, Ticket};
use crate::proto::reach::OUTSTANDING_MAX;
use crate::proto::resolve::QUERIES_MAX;
use crate::proto::services::{Look, SERVICES_MAX};
use crate::proto::settings::ResolverSettings;
use crate::proto::time::Instant;
use crate::sys::clock;
use crate::sys::eventfd::EventFd;
use crate::sys::neighbours::NeighbourSocket;
use crate::sys::netlink::RouteSocket;
use crate::sys::signals::Signals;
use crate::sys::timerfd::Timer;

// The numbers of the tokens are the order of the visits.
const TIMER: usize = 0;
const CLOCK: usize = 1;
const RTNETLINK: usize = 2;
const NEIGHBOURS: usize = 3;
const SIGNALS: usize = 4;
const TRIGGER: usize = 5;
const HELPER_FIRST: usize = 6;
const HELPER_LAST: usize = HELPER_FIRST + trigger::TOKENS - 1;
const CONNECTION_FIRST: usize = HELPER_LAST + 1;
const CONNECTION_LAST: usize = CONNECTION_FIRST + SESSIONS_MAX - 1;
const QUERY_FIRST: usize = CONNECTION_LAST + 1;
const QUERY_LAST: usize = QUERY_FIRST + QUERIES_MAX - 1;
const PROBE_FIRST: usize = QUERY_LAST + 1;
const PROBE_LAST: usize = PROBE_FIRST + OUTSTANDING_MAX - 1;
const LOOK_FIRST: usize = PROBE_LAST + 1;
const LOOK_LAST: usize = LOOK_FIRST + SERVICES_MAX - 1;
const WATCH: usize = LOOK_LAST + 1;
const STATUS_FIRST: usize = WATCH + 1;
const STATUS_LAST: usize = STATUS_FIRST + status::TOKENS - 1;

/// Most readinesses taken from one wait; the rest waits in the kernel.
const EVENTS_MAX: usize = 64;
/// Wait between two looks at the files that the watch may have missed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Most steps of one connection in one visit.
const STEPS_MAX: usize = 32;

/// The sources, and the core they feed.
pub struct EventLoop {
    poll: Poll,
    started_at: Instant,
    now: Instant,
    stopping: bool,
    /// Tokens to visit again without a new readiness.
    again: Vec<usize>,
    /// Connections given a report, to be pumped in this very wake-up.
    stirred: Vec<usize>,
    /// What an order led to at once; fed to the core before anything else.
    outcomes: VecDeque<Input<'static>>,

    timer: Timer,
    wall: Wall,
    routes: RouteSocket,
    routing: Routing,
    neighbours: Option<NeighbourSocket>,
    signals: Signals,
    trigger: Option<EventFd>,
    sessions: Sessions,
    queries: Slots<Query, QuerySocket, QUERIES_MAX>,
    probes: Slots<Probe, ProbeSocket, OUTSTANDING_MAX>,
    looks: Slots<Look, ProbeSocket, SERVICES_MAX>,
    watch: Watch,
    look_at: Instant,
    status: StatusServer,
    helpers: Option<TriggerSocket>,
    /// Why there are none, as told last.
    helpers_complaint: Option<String>,
    supervisor: Option<Notify>,

    agent: Agent,
    /// When the core was last given a configuration.
    configured_at: Option<Instant>,
    resolver: ResolverSettings,
    setup: Setup,
    vitals: Vitals,
    journal: Journal,
    past: Past,
}

impl EventLoop {
    /// Opens what the loop listens to. `trigger` is an inherited eventfd of a helper.
    ///
    /// # Errors
    ///
    /// A descriptor that the agent cannot do without is not to be had.
    pub fn new(config: PathBuf, trigger: Option<EventFd>) -> Result<Self, Error> {
        let now = clock::now();
        let poll = Poll::new().map_err(Error::system("open epoll"))?;
        let timer = Timer::new().map_err(Error::system("open timerfd"))?;
        let routes = RouteSocket::new().map_err(Error::system("open rtnetlink socket"))?;
        let routing = Routing::new().map_err(Error::system("open rtnetlink socket"))?;
        let signals = Signals::new().map_err(Error::system("install signal handlers"))?;
        let watch = Watch::new(&Files::of(&config), &RESOLVER_FILES)
            .map_err(Error::system("open inotify"))?;
        let wall = Wall::new();
        listen(&poll, &timer, TIMER)?;
        if let Some(watch) = &wall.watch {
            listen(&poll, watch, CLOCK)?;
        }
        listen(&poll, &routes, RTNETLINK)?;
        listen(&poll, &signals, SIGNALS)?;
        listen(&poll, &watch, WATCH)?;
        if let Some(trigger) = &trigger {
            listen(&poll, trigger, TRIGGER)?;
        }
        let status = StatusServer::new(poll.registry(), Token(STATUS_FIRST))
            .map_err(Error::system("duplicate epoll"))?;
        // Made in its place: a second one on the way would be 50 KB of stack for good.
        Ok(Self {
            poll,
            started_at: now,
            now,
            stopping: false,
            again: Vec::with_capacity(EVENTS_MAX),
            stirred: Vec::with_capacity(SESSIONS_MAX),
            outcomes: VecDeque::with_capacity(EVENTS_MAX),
            timer,
            wall,
            routes,
            routing,
            neighbours: None,
            signals,
            trigger,
            sessions: Sessions::default(),
            queries: Slots::default(),
            probes: Slots::default(),
            looks: Slots::default(),
            watch,
            look_at: now + LOOK_EVERY,
            status,
            helpers: None,
            helpers_complaint: None,
            supervisor: Notify::from_env(now),
            configured_at: None,
            agent: Agent::new(clock::seed(), now),
            resolver: ResolverSettings::default(),
            setup: Setup::new(config),
            vitals: Vitals::new(),
            journal: Journal::new(clock::seed()),
            past: Past::default(),
        })
    }

    /// Runs until a signal ends it.
    ///
    /// # Errors
    ///
    /// Another agent answers helpers already. Later only waiting itself can fail.
    pub fn run(mut self) -> Result<(), Error> {
        self.load();
        self.open_helpers()?;
        log::info!("[Meeting] Heartbeat thread started");
        self.begin_history();
        self.open_status_server();
        self.feed(Input::LinksLost);
        self.configure();
        self.follow_up();
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        while !self.stopping {
            self.recall_local();
            self.date_history();
            self.keep_history();
            self.tell_supervisor();
            self.timer.arm(Some(self.next_deadline()));
            self.wait(&mut events)?;
            self.now = clock::now();
            core::mem::swap(&mut ready, &mut self.again);
            ready.extend(events.iter().map(|event| event.token().0));
            ready.sort_unstable();
            ready.dedup();
            for token in ready.drain(..) {
                self.visit(token);
                self.follow_up();
            }
        }
        self.supervisor.iter().for_each(Notify::stopping);
        self.sessions.close_all();
        self.write_history();
        log::info!("[Meeting] Heartbeat thread stopped");
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), Error> {
        let timeout = (!self.again.is_empty()).then_some(Duration::ZERO);
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
                self.feed(Input::Deadline);
                self.status.on_deadline(self.now);
                self.helpers.iter_mut().for_each(|helpers| helpers.on_deadline(self.now));
                self.look();
            }
            CLOCK => self.hear_clock(),
            RTNETLINK => self.hear_links(),
            NEIGHBOURS => self.hear_neighbours(),
            SIGNALS => self.obey_signals(),
            TRIGGER => {
                if self.trigger.as_ref().is_some_and(EventFd::drain) {
                    self.feed(Input::Triggered { word: None, ticket: Ticket(0) });
                }
            }
            HELPER_FIRST..=HELPER_LAST => self.visit_helpers(token),
            CONNECTION_FIRST..=CONNECTION_LAST => self.pump(token - CONNECTION_FIRST),
            QUERY_FIRST..=QUERY_LAST => self.hear_nameserver(token - QUERY_FIRST),
            PROBE_FIRST..=PROBE_LAST => self.hear_probe(token - PROBE_FIRST),
            LOOK_FIRST..=LOOK_LAST => self.hear_service(token - LOOK_FIRST),
            WATCH => {
                let changed = self.watch.drain();
                if changed.more {
                    self.again.push(WATCH);
                }
                self.take_changes(changed);
            }
            STATUS_FIRST..=STATUS_LAST => self.visit_status_server(token),
            _ => debug_assert!(false, "token {token} belongs to nobody"),
        }
    }

    fn obey_signals(&mut self) {
        let received = self.signals.drain();
        self.stopping |= received.terminate;
        if received.reload && self.load() != Verdict::Invalid {
            self.reconfigure();
        }
        if received.trigger {
            self.feed(Input::Triggered { word: None, ticket: Ticket(0) });
        }
    }

    fn next_deadline(&self) -> Instant {
        let helpers = self.helpers.as_ref().and_then(TriggerSocket::next_deadline);
        let core = self.agent.next_deadline(self.now);
        let supervisor = self.supervisor.as_ref().and_then(Notify::next_deadline);
        let history = self.history_deadline();
        let local = [self.status.next_deadline(), helpers, supervisor, history];
        let soonest = local.into_iter().chain([core]).flatten().min();
        // With a cycle running, the look rides on its wake-ups.
        soonest.unwrap_or(self.look_at)
    }

    /// Moves a connection as far as it goes, telling the core each step.
    fn pump(&mut self, slot: usize) {
        for _ in 0..STEPS_MAX {
            let counters = self.journal.history.counters_mut();
            let Some((attempt, step)) = self.sessions.step(slot, counters) else { return };
            // TLS takes its time: the stamps of a beat tell its steps apart within one wake-up.
            self.now = clock::now();
            match step {
                Ok(Progress::Drained) => {
                    self.stirred.retain(|stirred| *stirred != slot);
                    return;
                }
                Ok(Progress::Spent) => break,
                Ok(Progress::Connected) => self.feed(Input::Connected(attempt)),
                Ok(Progress::Secured) => self.feed(Input::Secured(attempt)),
                Ok(Progress::Written) => self.feed(Input::Written(attempt)),
                Ok(Progress::Replied) => self.take_reply(attempt),
                Err(failure) => self.take_failure(attempt, failure),
            }
        }
        self.again.push(CONNECTION_FIRST + slot);
    }

    fn take_reply(&mut self, attempt: Attempt) {
        let Some((_, response)) = self.sessions.find(attempt) else { return };
        let config = &self.setup.config;
        let asked = config.settings.server.as_ref().map(|server| &server.host);
        let reply = response.reply(asked, self.wall.best(self.now));
        if let Some(location) = response.location().filter(|text| !config.tells_token(text)) {
            self.journal.remark(location);
        }
        match (reply.failure, str::from_utf8(response.body())) {
            (None, _) => {
                self.journal.keep_answer(response.body(), |text| config.tells_token(text));
            }
            (Some(Failure::NotAccepted), Ok(why)) if !config.tells_token(why) => {
                self.journal.remark(why);
            }
            (Some(_), _) => {}
        }
        self.learn_date(attempt);
        if !reply.keep_alive {
            self.sessions.close(attempt);
        }
        self.feed(Input::Replied(attempt, reply));
    }

    fn take_failure(&mut self, attempt: Attempt, failure: Failure) {
        if let Some((connection, _)) = self.sessions.find(attempt) {
            let place = connection.remote();
            match connection.detail() {
                Some(detail) => self.journal.remark(format_args!("{place}: {detail}")),
                None => self.journal.remark(place),
            }
        }
        self.sessions.drop_failed(attempt);
        self.feed(Input::AttemptFailed(attempt, failure));
    }
}

fn listen(poll: &Poll, source: &impl AsFd, token: usize) -> Result<(), Error> {
    let fd = source.as_fd().as_raw_fd();
    poll.registry()
        .register(&mut SourceFd(&fd), Token(token), Interest::READABLE)
        .map_err(Error::system("watch a descriptor"))
}
