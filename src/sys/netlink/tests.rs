use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};

/// The number of the request that is under way in the tests of [`DumpProgress`], and that of an older one.
const OURS: u32 = 5;
const OLDER: u32 = 4;

const STATES: [Dump; 5] = [Dump::Idle, Dump::Deferred, Dump::Waiting, Dump::Running, Dump::Ended];

/// What can happen, as a function of the progress.
type Happening = fn(&mut DumpProgress) -> Step;

fn message(seq: u32, interrupted: bool, kind: MessageKind) -> Result<Message, Malformed> {
    Ok(Message { seq, interrupted, kind })
}

fn event() -> LinkEvent {
    LinkEvent::LinkGone { index: LinkIndex(3) }
}

fn refusal(errno: Errno) -> MessageKind {
    MessageKind::Error(errno.raw_os_error())
}

/// Lets something happen in every state, and compares what follows and the next state.
#[track_caller]
fn check(happening: Happening, expected: [(Step, Dump); 5]) {
    for (dump, expected) in STATES.into_iter().zip(expected) {
        let mut progress = DumpProgress { dump, seq: OURS, lost: false, congested: false };
        let step = happening(&mut progress);
        assert_eq!((step, progress.dump), expected, "in {dump:?}");
    }
}

/// What follows is the same in every state.
fn always(step: Step, next: Dump) -> [(Step, Dump); 5] {
    [(step, next); 5]
}

/// The same step follows, and the state stays.
fn stay(step: Step) -> [(Step, Dump); 5] {
    STATES.map(|dump| (step, dump))
}

/// A dump is requested.
const SEND: Step = Step::Send(OURS + 1);

const LOST: Step = Step::Report(RouteEvent::Lost);

#[test]
fn order_requests_a_dump_in_every_state() {
    check(DumpProgress::start, always(SEND, Dump::Running));
}

#[test]
fn order_waits_while_the_kernel_drops_messages() {
    let congested: Happening = |progress| {
        assert_eq!(progress.missed(Errno::NOBUFS), LOST);
        progress.start()
    };
    check(congested, always(Step::Nothing, Dump::Deferred));
    let emptied: Happening = |progress| {
        assert_eq!(progress.missed(Errno::NOBUFS), LOST);
        assert_eq!(progress.start(), Step::Nothing);
        progress.emptied()
    };
    check(emptied, always(SEND, Dump::Running));
}

#[test]
fn empty_queue_begins_only_what_was_deferred() {
    let mut expected = stay(Step::Nothing);
    expected[1] = (SEND, Dump::Running);
    check(DumpProgress::emptied, expected);
}

#[test]
fn whatever_is_missing_ends_the_dump() {
    let missing: [Happening; 6] = [
        |progress| progress.missed(Errno::NOBUFS),
        |progress| progress.missed(Errno::MSGSIZE),
        // An emulator that cannot read what it has received.
        |progress| progress.missed(Errno::INVAL),
        |progress| progress.on_message(Err(Malformed)),
        |progress| progress.on_message(message(0, false, MessageKind::Overrun)),
        |progress| progress.on_message(message(OURS, true, MessageKind::Event(event()))),
    ];
    for happening in missing {
        check(happening, always(LOST, Dump::Idle));
    }
}

#[test]
fn loss_is_reported_once_until_a_dump_is_ordered() {
    let again: Happening = |progress| {
        assert_eq!(progress.on_message(Err(Malformed)), LOST);
        progress.missed(Errno::NOBUFS)
    };
    check(again, always(Step::Nothing, Dump::Idle));
    let after_order: Happening = |progress| {
        assert_eq!(progress.on_message(Err(Malformed)), LOST);
        assert_eq!(progress.start(), SEND);
        progress.on_message(Err(Malformed))
    };
    check(after_order, always(LOST, Dump::Idle));
}

#[test]
fn events_are_reported_in_every_state_whoever_caused_them() {
    let reported = stay(Step::Report(RouteEvent::Link(event())));
    check(|progress| progress.on_message(message(0, false, MessageKind::Event(event()))), reported);
    check(
        |progress| progress.on_message(message(OURS, false, MessageKind::Event(event()))),
        reported,
    );
    check(
        |progress| progress.on_message(message(OLDER, true, MessageKind::Event(event()))),
        reported,
    );
    check(
        |progress| progress.on_message(message(OURS, false, MessageKind::Ignored)),
        stay(Step::Nothing),
    );
}

#[test]
fn events_from_before_an_overflow_are_not_reported() {
    let mut progress = DumpProgress::new();
    assert_eq!(progress.missed(Errno::NOBUFS), LOST);
    assert_eq!(progress.on_message(message(0, false, MessageKind::Event(event()))), Step::Nothing);
    assert_eq!(progress.emptied(), Step::Nothing);
    let reported = Step::Report(RouteEvent::Link(event()));
    assert_eq!(progress.on_message(message(0, false, MessageKind::Event(event()))), reported);
}

#[test]
fn dump_ends_with_its_last_message_or_a_refusal_for_good() {
    let mut expected = stay(Step::Nothing);
    expected[3] = (Step::Nothing, Dump::Ended);
    check(|progress| progress.on_message(message(OURS, false, MessageKind::Done)), expected);
    let refused: Happening =
        |progress| progress.on_message(message(OURS, false, refusal(Errno::OPNOTSUPP)));
    check(refused, expected);
}

#[test]
fn end_is_reported_once_it_is_reached() {
    let mut expected = stay(Step::Nothing);
    expected[4] = (Step::Report(RouteEvent::Dumped), Dump::Idle);
    check(DumpProgress::end, expected);
}

#[test]
fn passing_refusal_is_a_loss() {
    let mut expected = stay(Step::Nothing);
    expected[3] = (LOST, Dump::Idle);
    let refused: [Happening; 4] = [
        |progress| progress.on_message(message(OURS, false, refusal(Errno::NOBUFS))),
        |progress| progress.on_message(message(OURS, false, refusal(Errno::NOMEM))),
        |progress| progress.on_message(message(OURS, false, refusal(Errno::AGAIN))),
        |progress| progress.on_message(message(OURS, false, refusal(Errno::INTR))),
    ];
    for happening in refused {
        check(happening, expected);
    }
}

#[test]
fn dump_refused_for_an_older_one_begins_at_its_end() {
    let mut expected = stay(Step::Nothing);
    expected[3] = (Step::Nothing, Dump::Waiting);
    check(|progress| progress.on_message(message(OURS, false, refusal(Errno::BUSY))), expected);
    let mut expected = stay(Step::Nothing);
    expected[2] = (SEND, Dump::Running);
    check(|progress| progress.on_message(message(OLDER, false, MessageKind::Done)), expected);
    check(|progress| progress.on_message(message(OLDER, false, refusal(Errno::NOMEM))), expected);
}

/// Waits up to two seconds for something to read.
fn wait(socket: &RouteSocket) {
    let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "the kernel says nothing");
}

/// Reads until a dump is complete; what was heard since the latest loss. Others on this machine may
/// change links meanwhile, and then the dump is ordered again, as the core does.
fn hear_dump(socket: &mut RouteSocket, budget: usize) -> Vec<RouteEvent> {
    let mut all = Vec::new();
    while !all.contains(&RouteEvent::Dumped) {
        wait(socket);
        while !socket.drain(budget, |heard| all.push(heard)) {}
        if all.contains(&RouteEvent::Lost) {
            all.clear();
            socket.start_dump().unwrap();
        }
    }
    all
}

fn count(all: &[RouteEvent], wanted: RouteEvent) -> usize {
    all.iter().filter(|&&heard| heard == wanted).count()
}

fn assert_lists_loopback(all: &[RouteEvent]) {
    let loopback = InterfaceName::new("lo").unwrap();
    let listed = |heard: &RouteEvent| match heard {
        RouteEvent::Link(LinkEvent::Link { name, .. }) => *name == loopback,
        _ => false,
    };
    assert!(all.iter().any(listed), "every namespace has a loopback");
}

#[test]
fn dump_lists_the_loopback_and_ends() {
    let mut socket = RouteSocket::new().unwrap();
    socket.start_dump().unwrap();
    let all = hear_dump(&mut socket, 16);
    assert_lists_loopback(&all);
    assert_eq!(count(&all, RouteEvent::Dumped), 1);
}

#[test]
fn budget_of_one_datagram_misses_nothing() {
    let mut socket = RouteSocket::new().unwrap();
    socket.start_dump().unwrap();
    assert!(!socket.drain(1, |_| {}));
    let all = hear_dump(&mut socket, 1);
    assert_eq!(count(&all, RouteEvent::Dumped), 1);
}

#[test]
fn dump_ordered_for_what_was_reported_before_the_end_is_the_one_that_ends() {
    let mut socket = RouteSocket::new().unwrap();
    while socket.progress.dump != Dump::Ended {
        if socket.progress.dump == Dump::Idle {
            socket.start_dump().unwrap();
        }
        wait(&socket);
        socket.drain(16, |heard| assert_ne!(heard, RouteEvent::Dumped));
    }
    socket.start_dump().unwrap();
    assert_lists_loopback(&hear_dump(&mut socket, 16));
}

#[test]
fn dump_ordered_again_starts_anew_and_ends_once() {
    let mut socket = RouteSocket::new().unwrap();
    for _ in 0..3 {
        socket.start_dump().unwrap();
    }
    let all = hear_dump(&mut socket, 16);
    assert_eq!(count(&all, RouteEvent::Dumped), 1);
    assert_lists_loopback(&all);
}

#[test]
fn overflow_is_reported_once_and_the_next_dump_is_whole() {
    let mut socket = RouteSocket::new().unwrap();
    set_socket_recv_buffer_size(&socket.fd, 1).unwrap();
    // Each is answered with an error, until there is no room for another answer.
    let mut bytes = emit_dump(OLDER);
    bytes[4..6].copy_from_slice(&0xffff_u16.to_ne_bytes());
    for _ in 0..1000 {
        send(&socket.fd, &bytes, SendFlags::empty()).unwrap();
    }
    let mut all = Vec::new();
    assert!(!socket.drain(2, |heard| all.push(heard)));
    assert_eq!(all, [RouteEvent::Lost]);
    socket.start_dump().unwrap();
    assert_eq!(socket.progress.dump, Dump::Deferred);
    let all = hear_dump(&mut socket, 16);
    assert_eq!(count(&all, RouteEvent::Dumped), 1);
    assert_lists_loopback(&all);
}

#[test]
fn datagram_that_did_not_fit_is_a_loss() {
    let mut socket = RouteSocket::new().unwrap();
    socket.buffer = vec![0; 64].into_boxed_slice();
    socket.start_dump().unwrap();
    wait(&socket);
    let mut all = Vec::new();
    while !socket.drain(16, |heard| all.push(heard)) {}
    assert_eq!(all, [RouteEvent::Lost]);
}

#[test]
fn datagram_of_another_process_is_ignored() {
    let mut socket = RouteSocket::new().unwrap();
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let other = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
    let to = SocketAddrNetlink::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    let malformed = [0xff; 5];
    // Only with CAP_NET_ADMIN; the kernel refuses it otherwise.
    if rustix::net::sendto(&other, &malformed, SendFlags::empty(), &to).is_ok() {
        wait(&socket);
        assert!(
            socket.drain(16, |heard| assert!(matches!(heard, RouteEvent::Link(_)), "{heard:?}"))
        );
    }
}

#[test]
fn socket_that_cannot_be_read_is_left_alone_and_reports_the_loss_once() {
    let mut socket = RouteSocket::new().unwrap();
    // An eventfd stands for a socket that a sandbox forbids to read.
    let fd = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
    let netlink = std::mem::replace(&mut socket.fd, fd);
    let mut all = Vec::new();
    for _ in 0..3 {
        assert!(socket.drain(16, |heard| all.push(heard)));
        assert!(socket.is_failing());
    }
    assert_eq!(all, [RouteEvent::Lost]);
    assert!(socket.start_dump().is_err());
    socket.fd = netlink;
    socket.start_dump().unwrap();
    assert_lists_loopback(&hear_dump(&mut socket, 16));
    assert!(!socket.is_failing());
}
