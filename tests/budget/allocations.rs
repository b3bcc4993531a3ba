//! Counts the allocations of a beat, with their places in the code.
//!
//! The agent's loop runs on a thread of this process, under an allocator that records a backtrace
//! for each allocation on that thread. Allocations with rustls in their backtrace count as those of
//! rustls.

use std::alloc::System;
use std::backtrace::Backtrace;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linkbeat::event_loop;
use linkbeat::logger;
use linkbeat_support::agent::SOON;
use linkbeat_support::helper::Helper;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Beat, Behaviour, Close};
use linkbeat_support::world::{SERVER, World};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;
use tracking_allocator::{
    AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker, Allocator,
};

use crate::ledger::{Entry, median, say, settle};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// Beats of each kind.
const BEATS: usize = 5;
/// Time from the arrival of a beat until its response is processed.
const SETTLED: Duration = Duration::from_millis(400);

/// Backtraces of the agent's allocations since they were last taken.
static MADE: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());

struct Witness;

impl AllocationTracker for Witness {
    fn allocated(&self, _: usize, _: usize, _: usize, group: AllocationGroupId) {
        // Only the agent's thread has an allocation group.
        if group != AllocationGroupId::ROOT {
            MADE.lock().unwrap_or_else(PoisonError::into_inner).push(Backtrace::force_capture());
        }
    }

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}

#[test]
fn beat_on_a_kept_connection_allocates_only_in_rustls() {
    AllocationRegistry::set_global_tracker(Witness).expect("the only tracker");
    AllocationRegistry::enable_tracking();
    let mut inside = Inside::start();
    let mut entries = Vec::new();
    inside.count("kept", &mut entries, |_| {});
    let helper = Helper::connect(&inside.socket).expect("a helper");
    inside.count("triggered", &mut entries, |_| helper.trigger().expect("a trigger"));
    inside.world.receiver.behave(Behaviour { close: Close::Announced, ..Behaviour::default() });
    inside.count("reconnecting", &mut entries, |_| {});
    settle("allocations of a beat", &entries);
}

/// An agent in this process.
struct Inside {
    world: Arc<World>,
    beats: Follower<Beat>,
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    fn start() -> Self {
        let world = Arc::new(World::new());
        let mut beats = world.receiver.beats().follow();
        let (config, socket) = (world.directory().join("meeting.json"), "trigger.sock");
        let socket = world.directory().join(socket);
        let text = json!({
            "api_url": format!("https://{}/api", SERVER[0]),
            "device_key": "camera-1",
            "token_code": "s3cret-token",
            "heartbeat_interval": 1,
            "tls": { "ca_file": world.directory().join("ca.pem") },
            "trigger_socket": socket,
            "status_listen": "",
            "log_target": "stderr",
            "moderation": { "trigger": { "burst": 1000, "every_ms": 0 } },
        });
        fs::write(&config, text.to_string()).expect("write the configuration");
        logger::init().expect("the only logger");
        let place = Arc::clone(&world);
        let run = move || {
            place.device.within(|| {
                let mut agent = AllocationGroupToken::register().expect("a group");
                let _group = agent.enter();
                event_loop::run(config, None, None).expect("it runs");
            });
        };
        let thread = Some(thread::spawn(run));
        beats.next("first beat", SOON);
        Self { world, beats, socket, thread }
    }

    /// Counts the allocations of the next beats. `ask` requests each.
    fn count(&mut self, name: &str, entries: &mut Vec<Entry>, ask: impl Fn(&Self)) {
        let mut beats = Vec::new();
        for nth in 0..=BEATS {
            ask(self);
            self.beats.next("beat", SOON);
            // Waits for the rest of the work of this beat. The next beat is a second away.
            self.beats.find(SETTLED, |_| false);
            let made = mem::take(&mut *MADE.lock().unwrap_or_else(PoisonError::into_inner));
            // The first beat is skipped: it includes work left from before.
            if nth > 0 {
                beats.push(Beaten::of(&made));
            }
        }
        let mut report = format!("{name}: allocations outside rustls, in {BEATS} beats\n");
        let mut places = BTreeMap::<&str, usize>::new();
        beats.iter().flat_map(|beat| &beat.ours).for_each(|it| *places.entry(it).or_default() += 1);
        for (place, count) in places {
            writeln!(report, "  {count:>4} {place}").unwrap();
        }
        say(&report);
        let ours = beats.iter().map(|beat| beat.ours.len() as u64).max().unwrap_or_default();
        let theirs: Vec<u64> = beats.iter().map(|beat| beat.theirs).collect();
        entries.push(Entry { name: format!("{name}.allocations"), value: ours });
        entries.push(Entry { name: format!("{name}.allocations.rustls"), value: median(&theirs) });
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The agent has sent a beat, so its signal handler is installed.
        kill_process(getpid(), Signal::TERM).expect("signal ourselves");
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The allocations of one beat.
struct Beaten {
    /// Places of the allocations outside rustls.
    ours: Vec<String>,
    /// Number of allocations inside rustls.
    theirs: u64,
}

impl Beaten {
    fn of(made: &[Backtrace]) -> Self {
        let mut beaten = Self { ours: Vec::new(), theirs: 0 };
        for trace in made {
            let trace = trace.to_string();
            if trace.contains(" rustls::") || trace.contains("<rustls::") {
                beaten.theirs += 1;
            } else {
                beaten.ours.push(place(&trace));
            }
        }
        beaten
    }
}

/// The agent's innermost frame in a backtrace.
fn place(trace: &str) -> String {
    let mut lines = trace.lines().skip_while(|line| !line.contains(" linkbeat::"));
    let (function, at) = (lines.next().unwrap_or(trace), lines.next().unwrap_or_default());
    let function = function.split_once(": ").map_or(function, |(_, function)| function);
    format!("{} {}", at.trim(), function.trim())
}
