//! An agent under strace, and what becomes of it after a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use linkbeat_support::agent::{Agent, Line, SOON, Setting, binary_or, expect_line};
use linkbeat_support::clock;
use linkbeat_support::space::unique;
use linkbeat_support::world::World;
use rustix::process::{Pid, Signal, kill_process};

/// Interval between beats, in seconds; also the longest wait between two attempts.
const INTERVAL_S: u32 = 2;
/// Limit for a beat to be acknowledged after a fault. What could not be had is asked for again after
/// five seconds at most; the rest is for a busy machine.
pub(crate) const WELL: Duration = Duration::from_secs(12);
/// More system calls than this are a spin: an agent without a fault makes a tenth of them in the
/// longest run here, one that spins twice as many in a second, traced on a busy machine.
const CALLS_MAX: usize = 6000;
/// What the log says of every beat that is acknowledged.
const SENT: &str = "[Meeting] Heartbeat sent";

/// When calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// The first, second, third one, and no other.
    Nth(usize),
    /// All of them for this time.
    For(Duration),
}

/// What the agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything from its first own call.
    Start,
    /// It beats over a kept connection, and gets a trigger as the fault begins.
    Steady,
}

/// One fault.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) phase: Phase,
    /// The system call, or those of one purpose as `epoll_wait,?epoll_pwait`.
    pub(crate) call: String,
    /// The error as strace knows it, for example `EIO`.
    pub(crate) error: &'static str,
    pub(crate) span: Span,
}

/// How a fault ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A beat was acknowledged, this long after the fault (after the start, where a single call
    /// failed in it).
    Well(Duration),
    /// The agent ended with a message and this code.
    Ended(i32),
    /// The agent never made the call, so nothing failed and nothing is known.
    NotCalled,
}

/// The system calls of a start, and what comes before the agent's own.
pub(crate) struct Baseline {
    /// Calls of the loader and the runtime, by name: not the agent's.
    foreign: BTreeMap<String, usize>,
    /// The names of the agent's own calls, until after its first beat.
    pub(crate) own: Vec<String>,
    /// The lines of its own calls.
    pub(crate) lines: Vec<String>,
}

pub(crate) fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

pub(crate) fn setting(world: &World) -> Setting {
    Setting::new(world).every(INTERVAL_S)
}

/// Has the agent run by a strace that is its child's child, with these options beside the usual ones.
pub(crate) fn trace(setting: &mut Setting, log: &Path, options: &[&str]) {
    let words = ["-I", "1", "-D", "-f", "-e", "signal=none", "-o"].into_iter().map(str::to_owned);
    let log = log.display().to_string();
    let more = options.iter().map(|&option| option.to_owned());
    let agent = binary().display().to_string();
    setting.arguments.splice(0..0, words.chain([log]).chain(more).chain([agent]));
}

/// The name of the call in a line of strace, as `4711 read(3, ...) = 0`.
fn name_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

impl Baseline {
    /// Traces a start without a fault.
    pub(crate) fn of(world: &World) -> Self {
        let log = world.directory().join(unique());
        let mut setting = setting(world);
        trace(&mut setting, &log, &[]);
        let mut agent = Agent::start(world, "strace", &setting);
        let mut lines = agent.lines().follow_all();
        for _ in 0..2 {
            expect_line(&mut lines, SENT, WELL);
        }
        agent.end();
        let text = fs::read_to_string(log).expect("strace writes a file");
        let lines: Vec<&str> = text.lines().filter(|line| name_of(line).is_some()).collect();
        // The socket of the logger is the first thing that the agent asks for.
        let begin = lines.iter().position(|line| name_of(line) == Some("socket"));
        let (foreign, own) = lines.split_at(begin.expect("the agent opens a socket"));
        let mut counts = BTreeMap::new();
        for name in foreign.iter().filter_map(|line| name_of(line)) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
        let mut names: Vec<String> =
            own.iter().filter_map(|line| name_of(line)).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        let lines = own.iter().map(|&line| line.to_owned()).collect();
        Self { foreign: counts, own: names, lines }
    }

    /// The place of the agent's `nth` call of this name among all, from 1 on.
    pub(crate) fn place(&self, call: &str, nth: usize) -> usize {
        self.foreign.get(call).copied().unwrap_or_default() + nth
    }
}

impl Fault {
    fn injection(&self, before: usize) -> String {
        let Self { call, error, span, .. } = self;
        let when = match span {
            Span::Nth(nth) => (before + nth).to_string(),
            Span::For(_) => format!("{}+", before + 1),
        };
        // Not every architecture has every call.
        format!("inject=?{call}:error={error}:when={when}")
    }

    /// Runs an agent through the fault.
    ///
    /// # Errors
    ///
    /// What is wrong with it afterwards.
    pub(crate) fn run(&self, world: &World, baseline: &Baseline) -> Result<End, String> {
        match self.phase {
            Phase::Start => self.at_start(world, baseline),
            Phase::Steady => self.while_steady(world),
        }
    }

    fn at_start(&self, world: &World, baseline: &Baseline) -> Result<End, String> {
        let log = world.directory().join(unique());
        let mut setting = setting(world);
        let before = baseline.place(&self.call, 0);
        trace(&mut setting, &log, &["-e", &self.injection(before)]);
        let mut agent = Agent::start(world, "strace", &setting);
        if let Span::For(time) = self.span {
            if let Some(end) = lasting(&mut agent, &log, time)? {
                return end_within_bounds(end, &log);
            }
            agent.trace_no_longer();
        }
        let end = self.well(&mut agent)?;
        end_within_bounds(end, &log)
    }

    fn while_steady(&self, world: &World) -> Result<End, String> {
        let log = world.directory().join(unique());
        let mut agent = Agent::start(world, binary(), &setting(world));
        expect_line(&mut agent.lines().follow_all(), SENT, WELL);
        let mut strace = attach(&agent, &log, &["-e", &self.injection(0)]);
        let mut beats = world.receiver.beats().follow();
        agent.signal(Signal::USR1);
        let early = match self.span {
            Span::For(time) => {
                let end = lasting(&mut agent, &log, time);
                detach(&mut strace);
                end
            }
            Span::Nth(_) => until_injected(&mut agent, &log),
        };
        let end = match early {
            Ok(None) => self.well(&mut agent),
            early => early.map(|end| end.expect("it is not none")),
        };
        detach(&mut strace);
        let end = end?;
        if matches!(end, End::Well(_)) {
            // A change of the uplink that the fault made takes the trigger along.
            let triggered = beats.find(WELL, |beat| beat.reason() != "interval");
            triggered.ok_or_else(|| format!("the trigger is lost: {:#?}", agent.lines().all()))?;
        }
        end_within_bounds(end, &log)
    }

    /// Waits until the agent is well, or has ended as it may.
    fn well(&self, agent: &mut Agent) -> Result<End, String> {
        let (lines, from_us) = (agent.lines(), clock::boot_us());
        // Only here can it have been well before.
        let at_any_time = self.phase == Phase::Start && matches!(self.span, Span::Nth(_));
        let is_well =
            |line: &Line| line.text.contains(SENT) && (at_any_time || line.at_us > from_us);
        let mut follower = lines.follow_all();
        // In pieces, because it may end instead.
        for _ in 0..WELL.as_millis() / 200 {
            if let Some(sent) = follower.find(Duration::from_millis(200), is_well) {
                return Ok(End::Well(Duration::from_micros(sent.at_us.saturating_sub(from_us))));
            }
            if let Some(end) = ended(agent, Duration::ZERO)? {
                return Ok(end);
            }
        }
        Err(format!("not well within {WELL:?}: {:#?}", lines.all()))
    }
}

/// Has a strace trace a running agent, with these options beside the usual ones.
fn attach(agent: &Agent, log: &Path, options: &[&str]) -> Child {
    let mut strace = Command::new("strace");
    strace.args(["-I", "1", "-f", "-e", "signal=none"]).args(options).arg("-o").arg(log);
    strace.args(["-p", &agent.pid().to_string()]).stderr(Stdio::piped());
    let mut strace = strace.spawn().expect("start strace");
    let mut said = BufReader::new(strace.stderr.take().expect("a pipe")).lines();
    let attached = said.next().expect("strace says that it is attached").expect("text");
    assert!(attached.contains("attached"), "{attached}");
    strace
}

fn detach(strace: &mut Child) {
    kill_process(Pid::from_child(strace), Signal::TERM).ok();
    strace.wait().expect("wait for strace");
}

/// The names of the calls that a steady agent makes, with a trigger, for longer than any fault here lasts.
pub(crate) fn steady_calls(world: &World) -> BTreeSet<String> {
    let log = world.directory().join(unique());
    let mut agent = Agent::start(world, binary(), &setting(world));
    expect_line(&mut agent.lines().follow_all(), SENT, WELL);
    let mut strace = attach(&agent, &log, &[]);
    agent.signal(Signal::USR1);
    assert!(agent.ended(WELL).is_none(), "it ends without a fault");
    detach(&mut strace);
    let text = fs::read_to_string(log).expect("strace writes a file");
    text.lines().filter_map(name_of).map(str::to_owned).collect()
}

fn has_injected(log: &str) -> bool {
    log.contains("(INJECTED)")
}

/// Waits until the fault has come about; how the agent has ended if it does before.
fn until_injected(agent: &mut Agent, log: &Path) -> Result<Option<End>, String> {
    // In pieces, because nothing announces a line of strace.
    for _ in 0..WELL.as_millis() / 100 {
        if let Some(end) = ended(agent, Duration::from_millis(100))? {
            return Ok(Some(end));
        }
        if has_injected(&fs::read_to_string(log).unwrap_or_default()) {
            break;
        }
    }
    Ok(None)
}

/// Lets a fault last for this time from when it has come about; how the agent has ended if it does before.
fn lasting(agent: &mut Agent, log: &Path, time: Duration) -> Result<Option<End>, String> {
    match until_injected(agent, log)? {
        None => ended(agent, time),
        end => Ok(end),
    }
}

/// How the agent has ended, if it does within this time.
fn ended(agent: &mut Agent, within: Duration) -> Result<Option<End>, String> {
    let Some(status) = agent.ended(within) else { return Ok(None) };
    // Its last words may still be under way.
    let is_error = |text: &str| text.contains("error: ") || text.starts_with("linkbeat: ");
    let said = agent.lines().follow_all().find(SOON, |line| is_error(&line.text)).is_some();
    let lines = agent.lines().all();
    let bug = lines.iter().any(|line| line.text.contains("a bug of linkbeat"));
    match status.code() {
        Some(code @ (71 | 78)) if said && !bug => Ok(Some(End::Ended(code))),
        _ => Err(format!("{status}: {lines:#?}")),
    }
}

/// What the log of strace makes of this end: a call that never failed is no fault, and a spin is no good end.
fn end_within_bounds(end: End, log: &Path) -> Result<End, String> {
    let text = fs::read_to_string(log).expect("strace writes a file");
    fs::remove_file(log).expect("remove the log");
    let calls = text.lines().count();
    if calls > CALLS_MAX {
        return Err(format!("it spins: {calls} system calls"));
    }
    Ok(if has_injected(&text) { end } else { End::NotCalled })
}
