//! A short selection of the sweep: what has failed once, and the calls that all else depends on.

use std::time::Duration;

use crate::sweep::run_all;
use crate::traced::{End, Fault, Phase, Span};

const LASTING: Span = Span::For(Duration::from_secs(2));

/// Runs these faults, `CALL ERROR` in each line, and reports all that are wrong. One that does not come about is wrong.
fn survives(phase: Phase, span: Span, list: &'static str) {
    let faults = list.lines().filter_map(|line| line.trim().split_once(' '));
    let faults = faults.map(|(call, error)| Fault { phase, call: call.to_owned(), error, span });
    let done = run_all(faults.collect(), 3);
    let why = |result| match result {
        Ok(End::NotCalled) => Some("the call is not made".to_owned()),
        Ok(_) => None,
        Err(why) => Some(why),
    };
    let wrong = done.into_iter().filter_map(|(fault, result)| Some((fault, why(result)?)));
    let wrong: Vec<String> = wrong.map(|(fault, why)| format!("{fault:?}: {why}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn start_survives_a_first_call_that_fails() {
    survives(
        Phase::Start,
        Span::Nth(1),
        "epoll_ctl ENOMEM
         timerfd_create EMFILE
         inotify_init1 EMFILE
         bind EPERM
         openat EMFILE
         connect EINTR
         seccomp ENOSYS
         prlimit64 EPERM",
    );
}

#[test]
fn start_survives_calls_that_fail_for_a_while() {
    survives(
        Phase::Start,
        LASTING,
        "sendto ENOMEM
         connect EPERM
         openat EIO
         timerfd_settime ENOMEM
         recvfrom EIO
         recvfrom EAGAIN",
    );
}

#[test]
fn steady_agent_survives_a_call_that_fails() {
    survives(
        Phase::Steady,
        Span::Nth(1),
        "epoll_wait,?epoll_pwait EINTR
         sendto EAGAIN
         recvfrom EINTR
         timerfd_settime EIO
         read EIO",
    );
}

#[test]
fn steady_agent_survives_calls_that_fail_for_a_while() {
    survives(
        Phase::Steady,
        LASTING,
        "recvfrom EPERM
         sendto EPERM
         recvfrom ENOMEM
         ppoll ENOMEM
         timerfd_settime ENOSYS
         write EAGAIN",
    );
}
