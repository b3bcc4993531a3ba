//! Every system call that the agent makes with every error, at start and when it is steady: for hours of one processor,
//! with `FAULTS=all` only. Writes RESULTS.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use linkbeat_support::world::World;

use crate::traced::{Baseline, End, Fault, Phase, Span, steady_calls};

/// The errors, in the order of the columns.
pub(crate) const ERRORS: [&str; 7] =
    ["EINTR", "EAGAIN", "ENOMEM", "EMFILE", "EPERM", "EIO", "ENOSYS"];
/// A fault that passes, and one that lasts.
pub(crate) const SPANS: [Span; 5] = [
    Span::Nth(1),
    Span::Nth(2),
    Span::Nth(3),
    Span::For(Duration::from_secs(2)),
    Span::For(Duration::from_secs(6)),
];
/// Calls that are no part of it: without memory the program ends (the language's word for it), and these of
/// the runtime cannot fail on a kernel that has them. That has random numbers for the keys of its hash maps as well (for those of
/// TLS see `entropy`), and can be asked whether the clock is synchronised: the crate that asks knows `EPERM` and panics
/// on what adjtimex(2) does not list.
const LEFT_OUT: [&str; 17] = [
    "getrandom",
    "uname",
    "clock_adjtime",
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "futex",
    "exit_group",
    "sigaltstack",
    "rt_sigreturn",
    "rt_sigprocmask",
    "restart_syscall",
    "gettid",
    "getpid",
];

/// Runs faults in this many networks at once; what each came to.
pub(crate) fn run_all(faults: Vec<Fault>, workers: usize) -> Vec<(Fault, Result<End, String>)> {
    let queue = Mutex::new(faults.into_iter().rev().collect::<Vec<_>>());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let world = World::new();
                let baseline = Baseline::of(&world);
                loop {
                    let Some(fault) = queue.lock().expect("a queue").pop() else { return };
                    let result = fault.run(&world, &baseline);
                    if let Err(why) = &result {
                        writeln!(io::stderr(), "{fault:?}: {why}").ok();
                    }
                    done.lock().expect("a list").push((fault, result));
                }
            });
        }
    });
    done.into_inner().expect("a list")
}

#[test]
fn every_call_may_fail_in_every_way() {
    if std::env::var("FAULTS").as_deref() != Ok("all") {
        return;
    }
    let world = World::new();
    let names = Baseline::of(&world).own.into_iter().collect();
    let mut faults = Vec::new();
    for (phase, names) in [(Phase::Start, names), (Phase::Steady, steady_calls(&world))] {
        for call in names.iter().filter(|call| !LEFT_OUT.contains(&call.as_str())) {
            for error in ERRORS {
                // No kernel interrupts without a signal, and the standard library tries again for ever.
                let spans =
                    SPANS.iter().filter(|it| error != "EINTR" || matches!(it, Span::Nth(_)));
                for &span in spans {
                    faults.push(Fault { phase, call: call.clone(), error, span });
                }
            }
        }
    }
    let workers = std::env::var("FAULTS_WORKERS").ok().and_then(|it| it.parse().ok()).unwrap_or(6);
    let done = run_all(faults, workers);
    let mut wrong = String::new();
    for (fault, result) in &done {
        if let Err(why) = result {
            writeln!(wrong, "{fault:?}: {why}").expect("a string");
        }
    }
    fs::write("target/faults.txt", &wrong).expect("write the details");
    fs::write("tests/faults/RESULTS.md", table(&done)).expect("write RESULTS.md");
    assert!(wrong.is_empty(), "see tests/faults/RESULTS.md and target/faults.txt");
}

/// What a fault of this span came to.
type Seen<'a> = (Span, &'a Result<End, String>);

/// The results as a page: the worst of each call and error.
fn table(done: &[(Fault, Result<End, String>)]) -> String {
    let mut cells: BTreeMap<_, Vec<Seen<'_>>> = BTreeMap::new();
    for (fault, result) in done {
        let key = (fault.phase, fault.call.as_str(), fault.error);
        cells.entry(key).or_default().push((fault.span, result));
    }
    let mut page = String::from(
        "# Faults\n\nWritten by `FAULTS=all scripts/test faults`. Each call that the agent makes in that phase fails with each \
         error: the first, the\nsecond, the third time, for 2 s and for 6 s. A cell has the longest time in seconds \
         until a beat was acknowledged after the fault\n(after start, where one call failed in it), `71` where the \
         agent ended with a message and that code in some case, for its\nsupervisor to start it again, \"not called\" \
         where strace injected no fault, and **wrong** where neither was the case.\n",
    );
    for (phase, title) in
        [(Phase::Start, "From the start"), (Phase::Steady, "In a steady agent, with a trigger")]
    {
        writeln!(page, "\n## {title}\n\n| call | {} |", ERRORS.join(" | ")).expect("a string");
        writeln!(page, "|---{}|", "|---".repeat(ERRORS.len())).expect("a string");
        let mut calls: Vec<&str> = cells.keys().filter(|it| it.0 == phase).map(|it| it.1).collect();
        calls.dedup();
        for call in calls {
            write!(page, "| {call} ").expect("a string");
            for error in ERRORS {
                let results =
                    cells.get(&(phase, call, error)).map(Vec::as_slice).unwrap_or_default();
                write!(page, "| {} ", cell(results)).expect("a string");
            }
            page.push_str("|\n");
        }
    }
    page
}

fn cell(results: &[Seen<'_>]) -> String {
    let (mut slowest, mut code) = (None, None);
    for (span, result) in results {
        match result {
            Ok(End::Well(time)) => slowest = slowest.max(Some(*time)),
            Ok(End::Ended(it)) => code = Some(*it),
            Ok(End::NotCalled) => {}
            Err(_) => return format!("**wrong** ({span:?})"),
        }
    }
    let slowest = slowest.map(|time| format!("{:.1}", time.as_secs_f64()));
    let code = code.map(|code| code.to_string());
    let known: Vec<_> = [slowest, code].into_iter().flatten().collect();
    match known.as_slice() {
        // No span is tried where an error makes no sense.
        [] if !results.is_empty() => "not called".to_owned(),
        known => known.join(", "),
    }
}
