//! The core, a clock that is a number, and the loop's part played to the letter: what is ordered is
//! performed at once, and what that leads to at once is told before anything else; the kernel is asked
//! for routes when all that was read in a visit is told.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use linkbeat::proto::agent::Agent;
use linkbeat::proto::event::{Action, Input, Ticket, Word};
use linkbeat::proto::routing::Route;
use linkbeat::proto::settings::{ResolverSettings, Settings};
use linkbeat::proto::time::Instant;

use super::chronicle::Chronicle;
use super::claims::Claims;
use super::delivery::Delivery;
use super::net::{Net, News, Request};

/// Lines of the trace that a failure shows, unless it is asked for more.
const LAST_STEPS: usize = 60;
/// Most times that the answers for routes may lead to other questions: connections that fail at once do.
const QUESTIONS_MAX: u32 = 30;
/// Most wake-ups in a row without time passing.
const WAKE_UPS_MAX: u32 = 3;

/// One line of the trace.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The network or its owner changed.
    Weather(String),
    /// The core was told.
    Told(News),
    /// The core ordered.
    Ordered(Action),
}

/// What happened, line by line.
#[derive(Debug)]
pub(crate) struct Trace {
    last: VecDeque<(Instant, Step)>,
    /// Most lines that a failure shows.
    pub(crate) last_max: usize,
    /// Every line there ever was, if the trace is to be kept.
    pub(crate) whole: Option<String>,
    pub(crate) count: u64,
}

impl Trace {
    const fn new() -> Self {
        Self { last: VecDeque::new(), last_max: LAST_STEPS, whole: None, count: 0 }
    }

    fn add(&mut self, now: Instant, step: Step) {
        self.count += 1;
        if let Some(whole) = &mut self.whole {
            whole.push_str(&line(now, &step));
        }
        if self.last.len() == self.last_max {
            self.last.pop_front();
        }
        self.last.push_back((now, step));
    }

    /// The network or its owner has changed to this.
    pub(crate) fn weather(&mut self, now: Instant, what: &dyn Debug) {
        self.add(now, Step::Weather(format!("{what:?}")));
    }

    /// The last steps.
    pub(crate) fn tail(&self) -> String {
        self.last.iter().map(|(now, step)| line(*now, step)).collect()
    }
}

fn line(now: Instant, step: &Step) -> String {
    let (seconds, micros) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
    match step {
        Step::Weather(what) => format!("{seconds:>6}.{micros:06} * {what}\n"),
        Step::Told(News::Routes(routes)) => {
            let routes: String = routes.iter().map(brief).collect();
            format!("{seconds:>6}.{micros:06} > Routes{routes}\n")
        }
        Step::Told(news) => format!("{seconds:>6}.{micros:06} > {news:?}\n"),
        Step::Ordered(action) => format!("{seconds:>6}.{micros:06}   < {action:?}\n"),
    }
}

/// An answer in a few words: there are dozens of them at a time.
fn brief(route: &Route) -> String {
    let Route { question, index, local, table, prefix, source, .. } = route;
    let bound = question.bound.map_or(String::new(), |bound| format!("%{}", bound.0));
    let source = source.map_or("nothing".into(), |source| source.to_string());
    let way = if *local { "itself".into() } else { index.0.to_string() };
    format!(" {}{bound}: {way} /{prefix} of {table} from {source};", question.to)
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) agent: Agent,
    pub(crate) net: Net,
    pub(crate) claims: Claims,
    /// What is promised of beats while something would carry them.
    pub(crate) delivery: Delivery,
    chronicle: Chronicle,
    pub(crate) trace: Trace,
    pub(crate) settings: Settings,
    pub(crate) resolver: ResolverSettings,
    /// Until then the process is stopped: what happens waits to be read.
    pub(crate) stopped_until: Option<Instant>,
    unread: VecDeque<News>,
    outcomes: VecDeque<News>,
    /// The kernel is to be asked for routes.
    asked: bool,
    tickets: u32,
    wake_ups: u32,
    last_wake_up_at: Instant,
}

impl World {
    /// A device that has just booted: the loop has started and ordered its first dump.
    pub(crate) fn new(seed: u64, net: Net, settings: Settings, resolver: ResolverSettings) -> Self {
        let now = Instant::from_micros(5_000_000);
        let mut world = Self {
            now,
            agent: Agent::new(seed, now),
            net,
            claims: Claims::new(&settings, now),
            delivery: Delivery::new(),
            chronicle: Chronicle::new(),
            trace: Trace::new(),
            settings: settings.clone(),
            resolver: resolver.clone(),
            stopped_until: None,
            unread: VecDeque::new(),
            outcomes: VecDeque::new(),
            asked: false,
            tickets: 0,
            wake_ups: 0,
            last_wake_up_at: now,
        };
        world.hear(News::LinksLost);
        world.configure(settings);
        world.resolve(resolver);
        world
    }

    /// Lets the clock run to the next event, or the agent's next deadline if that is earlier, but no
    /// further than `end`. True if the weather is to change now.
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

    /// Tells the core, unless the process is stopped.
    pub(crate) fn hear(&mut self, news: News) {
        self.hear_all([news]);
    }

    /// What is read in one visit: the kernel is asked for routes when all of it has been fed.
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

    /// The resolver's files have changed.
    pub(crate) fn resolve(&mut self, resolver: ResolverSettings) {
        self.resolver = resolver.clone();
        self.delivery.interrupt();
        self.hear(News::ResolverChanged(Box::new(resolver)));
    }

    /// Looks which ways would carry a beat now.
    pub(crate) fn survey(&mut self) {
        if self.stopped_until.is_some() {
            self.delivery.interrupt();
            return;
        }
        let good = self.claims.good;
        self.delivery.survey(&self.net, &self.settings, &self.resolver, good, self.now);
    }

    pub(crate) fn trigger(&mut self, word: Option<Word>) {
        self.tickets += 1;
        self.hear(News::Triggered(word, Ticket(self.tickets)));
    }

    fn feed(&mut self, news: &News) {
        self.trace.add(self.now, Step::Told(news.clone()));
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
            Action::SendQuery { query, to, via, kind, search: _ } => {
                let asked = self.net.ask(query, to, via, kind, self.now);
                asked.err().map(|failure| News::Queried(query, Err(failure)))
            }
            Action::CloseQuery(query) => {
                self.net.forget_query(query);
                None
            }
            Action::Connect { attempt, to, via } => {
                Some(match self.net.connect(attempt, to, via, self.now) {
                    Ok(local) => News::Opened(attempt, local),
                    Err(failure) => News::Failed(attempt, failure),
                })
            }
            Action::SendReport { attempt, seq, reason: _ } => {
                self.net.send_report(attempt, Request { seq, order }, self.now);
                None
            }
            Action::CheckAcked(attempt) => {
                Some(News::AckChecked(attempt, self.net.all_acked(attempt)))
            }
            Action::CloseParked => None,
            Action::CloseAttempt(attempt) | Action::ParkAttempt(attempt) => {
                self.net.close(attempt);
                None
            }
            Action::OpenLook { look, to: _ } => {
                self.net.outside.service.map(|result| News::Looked(look, result))
            }
            Action::CloseLook(_) => None,
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

    /// Lets `wait` pass without weather.
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
        News::Triggered(word, ticket) => Input::Triggered { word: word.clone(), ticket: *ticket },
        News::Probed(probe, Ok(())) => Input::ProbeAnswered(*probe),
        News::Probed(probe, Err(failure)) => Input::ProbeFailed(*probe, *failure),
        News::Looked(look, Ok(())) => Input::ServiceAnswered(*look),
        News::Looked(look, Err(failure)) => Input::ServiceFailed(*look, *failure),
        News::Queried(query, Ok(answer)) => Input::QueryAnswered(*query, answer),
        News::Queried(query, Err(failure)) => Input::QueryFailed(*query, *failure),
        News::Opened(attempt, local) => Input::Opened(*attempt, *local),
        News::Connected(attempt) => Input::Connected(*attempt),
        News::Secured(attempt) => Input::Secured(*attempt),
        News::Written(attempt) => Input::Written(*attempt),
        News::AckChecked(attempt, acked) => Input::AckChecked(*attempt, *acked),
        News::Replied(attempt, reply) => Input::Replied(*attempt, *reply),
        News::Failed(attempt, failure) => Input::AttemptFailed(*attempt, *failure),
    }
}
