//! The simulated world: the core, a virtual clock, and the duties of the loop. Actions are
//! performed at once, and their immediate results are fed before anything else. The kernel is
//! queried for routes after all inputs of a wake-up have been fed.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash};
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{Action, Input, RequestId};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::route::Route;
use linkbeat_core::proto::settings::{ResolverSettings, Settings};
use linkbeat_core::proto::time::Instant;

use super::chronicle::Chronicle;
use super::claims::Claims;
use super::delivery::Delivery;
use super::net::{Net, News, Request};
use super::outages::Outages;

/// Number of trace lines in a failure, unless `SIM_STEPS` is set.
const LAST_STEPS: usize = 60;
/// Most rounds of route queries in one wake-up. Connections that fail at once cause further ones.
const QUESTIONS_MAX: u32 = 30;
/// Most wake-ups in a row without progress of time.
const WAKE_UPS_MAX: u32 = 3;

/// One line of the trace.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A change of the network or its configuration.
    Weather(String),
    /// An input to the core.
    Input(News),
    /// An action of the core.
    Ordered(Action),
}

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    last: VecDeque<(Instant, Step)>,
    /// Number of lines kept for a failure.
    pub(crate) last_max: usize,
    /// All lines, if the whole trace is kept.
    pub(crate) whole: Option<String>,
    /// A digest of every line there ever was, if it is wanted.
    pub(crate) digest: Option<DefaultHasher>,
    pub(crate) count: u64,
}

impl Trace {
    const fn new() -> Self {
        Self { last: VecDeque::new(), last_max: LAST_STEPS, whole: None, digest: None, count: 0 }
    }

    fn add(&mut self, now: Instant, step: Step) {
        self.count += 1;
        if let Some(whole) = &mut self.whole {
            whole.push_str(&line(now, &step));
        }
        if let Some(digest) = &mut self.digest {
            line(now, &step).hash(digest);
        }
        if self.last.len() == self.last_max {
            self.last.pop_front();
        }
        self.last.push_back((now, step));
    }

    /// Adds a change of the network or its configuration.
    pub(crate) fn weather(&mut self, now: Instant, what: &dyn Debug) {
        self.add(now, Step::Weather(format!("{what:?}")));
    }

    /// The last steps as text.
    pub(crate) fn tail(&self) -> String {
        self.last.iter().map(|(now, step)| line(*now, step)).collect()
    }
}

fn line(now: Instant, step: &Step) -> String {
    let (seconds, micros) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
    match step {
        Step::Weather(what) => format!("{seconds:>6}.{micros:06} * {what}\n"),
        Step::Input(News::Routes(routes)) => {
            let routes: String = routes.iter().map(brief).collect();
            format!("{seconds:>6}.{micros:06} > Routes{routes}\n")
        }
        Step::Input(news) => format!("{seconds:>6}.{micros:06} > {news:?}\n"),
        Step::Ordered(action) => format!("{seconds:>6}.{micros:06}   < {action:?}\n"),
    }
}

/// A short form of a route; there are dozens of them at a time.
fn brief(route: &Route) -> String {
    let Route { question, index, local, table, prefix, source, .. } = route;
    let bound = question.bound.map_or(String::new(), |bound| format!("%{}", bound.0));
    let source = source.map_or("nothing".into(), |source| source.to_string());
    let way = if *local { "itself".into() } else { index.0.to_string() };
    format!(" {}{bound}: {way} /{prefix} of {table} from {source};", question.to)
}

/// The whole simulation.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) agent: Agent,
    pub(crate) net: Net,
    pub(crate) claims: Claims,
    /// The check that beats are delivered while a path works.
    pub(crate) delivery: Delivery,
    pub(crate) chronicle: Chronicle,
    /// The outages that are reported to the server.
    pub(crate) reported: Outages,
    pub(crate) trace: Trace,
    pub(crate) settings: Settings,
    pub(crate) resolver: ResolverSettings,
    /// Until this time the process is stopped and inputs queue up.
    pub(crate) stopped_until: Option<Instant>,
    unread: VecDeque<News>,
    outcomes: VecDeque<News>,
    /// Whether the core requested route queries.
    asked: bool,
    requests: u32,
    wake_ups: u32,
    last_wake_up_at: Instant,
}

impl World {
    /// A device that has just booted. The loop has started and sent its first dump request.
    pub(crate) fn new(seed: u64, net: Net, settings: Settings, resolver: ResolverSettings) -> Self {
        let now = Instant::from_micros(5_000_000);
        let mut world = Self {
            now,
            agent: Agent::new(seed, now),
            net,
            claims: Claims::new(&settings, now),
            delivery: Delivery::new(),
            chronicle: Chronicle::new(),
            reported: Outages::default(),
            trace: Trace::new(),
            settings: settings.clone(),
            resolver: resolver.clone(),
            stopped_until: None,
            unread: VecDeque::new(),
            outcomes: VecDeque::new(),
            asked: false,
            requests: 0,
            wake_ups: 0,
            last_wake_up_at: now,
        };
        world.hear(News::LinksLost);
        world.configure(settings);
        world.resolve(resolver);
        world
    }

    /// Advances to the next event or to the agent's next deadline, whichever is earlier, but not
    /// beyond `end`. True if the weather is to change now.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        let deadline = self.agent.next_deadline(self.now);
        let wake_up = match self.stopped_until {
            Some(until) => Some(until),
            None => deadline,
        };
        let event = self.net.next_at();
        let at = [wake_up, event].into_iter().flatten().min().unwrap_or(end);
        if at > end {
            self.now = end;
            return false;
        }
        self.now = self.now.max(at);
        if event.is_some_and(|event| wake_up.is_none_or(|wake_up| event < wake_up)) {
            let (news, weather) = self.net.step();
            self.hear_all(news);
            return weather;
        }
        if self.stopped_until.take().is_some() {
            let unread = std::mem::take(&mut self.unread);
            self.survey();
            self.hear_all(unread);
        }
        self.wake_up();
        false
    }

    fn wake_up(&mut self) {
        self.wake_ups = if self.last_wake_up_at == self.now { self.wake_ups + 1 } else { 0 };
        self.last_wake_up_at = self.now;
        assert!(self.wake_ups <= WAKE_UPS_MAX, "the agent spins");
        self.hear(News::Deadline);
    }

    /// Feeds one input to the core, unless the process is stopped.
    pub(crate) fn hear(&mut self, news: News) {
        self.hear_all([news]);
    }

    /// Feeds the inputs of one wake-up, then queries the kernel for routes.
    pub(crate) fn hear_all(&mut self, news: impl IntoIterator<Item = News>) {
        if self.stopped_until.is_some() {
            self.unread.extend(news);
            return;
        }
        for news in news {
            self.feed(&news);
            self.feed_outcomes();
        }
        for visit in 0.. {
            if !std::mem::take(&mut self.asked) {
                break;
            }
            assert!(visit < QUESTIONS_MAX, "the kernel is asked for routes without end");
            let questions = self.agent.questions();
            let routes = questions.filter_map(|question| self.net.kernel.answer(question));
            let routes = News::Routes(routes.collect());
            self.feed(&routes);
            self.feed_outcomes();
        }
    }

    fn feed_outcomes(&mut self) {
        while let Some(outcome) = self.outcomes.pop_front() {
            self.feed(&outcome);
        }
    }

    pub(crate) fn configure(&mut self, settings: Settings) {
        self.settings = settings.clone();
        self.delivery.interrupt();
        self.hear(News::Configured(Box::new(settings)));
    }

    /// Changes the resolver configuration.
    pub(crate) fn resolve(&mut self, resolver: ResolverSettings) {
        self.resolver = resolver.clone();
        self.delivery.interrupt();
        self.hear(News::ResolverChanged(Box::new(resolver)));
    }

    /// Determines which paths work now.
    pub(crate) fn survey(&mut self) {
        if self.stopped_until.is_some() {
            self.delivery.interrupt();
            return;
        }
        let good = self.claims.good;
        self.delivery.survey(&self.net, &self.settings, &self.resolver, good, self.now);
    }

    pub(crate) fn trigger(&mut self, word: Option<Word>) {
        self.requests += 1;
        self.hear(News::Triggered(word, RequestId(self.requests)));
    }

    fn feed(&mut self, news: &News) {
        self.trace.add(self.now, Step::Input(news.clone()));
        self.claims.hear(news, self.now);
        if let News::Link(event) = news {
            self.chronicle.hear(event);
        }
        let actions = self.agent.handle(input(news), self.now);
        self.claims.count_actions(actions.len());
        for action in actions {
            self.trace.add(self.now, Step::Ordered(action.clone()));
            let order = self.claims.order(&action, self.now, &self.net.kernel);
            self.perform(action, order);
        }
        self.claims.settle(&self.agent, self.now);
        self.delivery.settle(&self.claims, &self.agent, &self.settings, self.now);
    }

    fn perform(&mut self, action: Action, order: u64) {
        let outcome = match action {
            Action::DumpLinks => {
                self.net.start_dump(self.now);
                None
            }
            Action::AskRoutes => {
                self.asked = true;
                None
            }
            Action::OpenProbe { probe, to, via } => {
                let opened = self.net.open_probe(probe, to, via, self.now);
                opened.err().map(|failure| News::Probed(probe, Err(failure)))
            }
            Action::CloseProbe(probe) => {
                self.net.close_probe(probe);
                None
            }
            Action::SendQuery { query, to, via, family, .. } => {
                let asked = self.net.ask(query, to, via, family, self.now);
                asked.err().map(|failure| News::Queried(query, Err(failure)))
            }
            Action::CloseQuery(query) => {
                self.net.forget_query(query);
                None
            }
            Action::Connect { id, to, via } => {
                Some(match self.net.connect(id, to, via, self.now) {
                    Ok(local) => News::Opened(id, local),
                    Err(failure) => News::Failed(id, failure),
                })
            }
            Action::SendReport { id, seq, reason: _ } => {
                self.reported.write(order, &self.agent, self.now);
                let next_within = self.agent.next_within(self.now);
                self.net.send_report(id, Request { seq, order, next_within }, self.now);
                None
            }
            Action::CheckAcked(id) => Some(News::AckChecked(id, self.net.all_acked(id))),
            Action::CloseParked => None,
            Action::CloseConnection(id) | Action::ParkConnection(id) => {
                self.net.close(id);
                None
            }
            Action::OpenServiceCheck { check, to: _ } => {
                self.net.outside.service.map(|result| News::CheckFinished(check, result))
            }
            Action::CloseServiceCheck(_) => None,
            Action::WatchNeighbours(wanted) => {
                self.net.kernel.watched = wanted;
                None
            }
            Action::Note(note) => {
                self.chronicle.record(&note, self.now);
                None
            }
            Action::AnswerTrigger(..) => None,
        };
        self.outcomes.extend(outcome);
    }

    /// Runs for `wait` without changes of the weather.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let end = self.now + wait;
        while self.now < end {
            self.step(end);
        }
    }
}

fn input(news: &News) -> Input<'_> {
    match news {
        News::Deadline => Input::Deadline,
        News::Link(event) => Input::Link(*event),
        News::LinksLost => Input::LinksLost,
        News::LinksDumped => Input::LinksDumped,
        News::Routes(routes) => Input::Routes(routes),
        News::Neighbour(neighbour) => Input::Neighbour(*neighbour),
        News::ClockSet => Input::ClockSet,
        News::Configured(settings) => Input::Configured(settings),
        News::ResolverChanged(settings) => Input::ResolverChanged(settings),
        News::Triggered(word, request) => {
            Input::Triggered { word: word.clone(), request: Some(*request) }
        }
        News::Probed(probe, Ok(())) => Input::ProbeAnswered(*probe),
        News::Probed(probe, Err(failure)) => Input::ProbeFailed(*probe, *failure),
        News::CheckFinished(look, Ok(())) => Input::ServiceAnswered(*look),
        News::CheckFinished(look, Err(failure)) => Input::ServiceFailed(*look, *failure),
        News::Queried(query, Ok(answer)) => Input::QueryAnswered(*query, answer),
        News::Queried(query, Err(failure)) => Input::QueryFailed(*query, *failure),
        News::Opened(id, local) => Input::Opened(*id, *local),
        News::Connected(id) => Input::Connected(*id),
        News::Secured(id) => Input::Secured(*id),
        News::Written(id) => Input::Written(*id),
        News::AckChecked(id, acked) => Input::AckChecked(*id, *acked),
        News::Replied(id, reply) => Input::Replied(*id, *reply),
        News::Failed(id, failure) => Input::ConnectionFailed(*id, *failure),
    }
}
