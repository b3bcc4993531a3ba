use core::net::Ipv4Addr;

use super::budget::{OFFLINE_FIRST_HOUR, OFFLINE_HOUR, PER_SECOND, SERVER_SILENT_HOUR};
use super::*;
use crate::proto::resolve::Families;

const TIMEOUT: Duration = Duration::from_secs(2);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)), 443);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Probes under a clock that a test moves.
struct Bench {
    reach: Reach,
    now: Instant,
    rng: Rng,
    internet: Vec<SocketAddr, 8>,
    families: Families,
    server: Option<SocketAddr>,
    /// Of the last call, or all since [`pass`](Self::pass) began.
    opened: std::vec::Vec<(ProbeId, SocketAddr)>,
    closed: std::vec::Vec<ProbeId>,
}

impl Bench {
    fn new() -> Self {
        let internet = ["8.8.8.8:53", "[2001:4860:4860::8888]:53"];
        Self {
            reach: Reach::default(),
            now: Instant::from_micros(10_000_000),
            rng: Rng::new(1),
            internet: internet.iter().map(|it| it.parse().unwrap()).collect(),
            families: Families { v4: true, v6: false },
            server: Some(SERVER),
            opened: vec![],
            closed: vec![],
        }
    }

    /// Searching, with the first round under way.
    fn searching() -> Self {
        let mut bench = Self::new();
        bench.reach.doubt(true, bench.now);
        bench.tick();
        bench
    }

    /// The internet has answered the first round.
    fn server_silent() -> Self {
        let mut bench = Self::searching();
        assert_eq!(bench.answer(Aim::Internet), Some(Finding::Known));
        bench
    }

    fn collect(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::OpenProbe { probe, to, .. } => self.opened.push((probe, to)),
                Action::CloseProbe(probe) => self.closed.push(probe),
                other => panic!("{other:?}"),
            }
        }
    }

    fn tick(&mut self) {
        let targets = Targets {
            internet: &self.internet,
            families: self.families,
            server: self.server,
            via: |_| None,
        };
        let mut actions = Actions::new();
        self.reach.tick(&targets, TIMEOUT, self.now, &mut self.rng, &mut actions);
        self.collect(actions);
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, wait: Duration) {
        let end = self.now + wait;
        self.opened.clear();
        self.closed.clear();
        while let Some(at) = self.reach.next_deadline().filter(|at| *at <= end) {
            assert!(at > self.now || self.opened.is_empty(), "a deadline in the past");
            self.now = self.now.max(at);
            self.tick();
            assert!(self.reach.next_deadline().is_none_or(|at| at > self.now), "spins");
        }
        self.now = end;
    }

    /// Lets time pass to just after the next round.
    fn next_round(&mut self) {
        self.pass(ms(10));
        while self.to_internet() == 0 {
            self.pass(ms(10));
        }
    }

    fn newest(&self, aim: Aim) -> ProbeId {
        self.reach.outstanding.iter().rev().find(|open| open.aim == aim).expect("a probe").probe
    }

    fn answer(&mut self, aim: Aim) -> Option<Finding> {
        let mut actions = Actions::new();
        let probe = self.newest(aim);
        let finding = self.reach.answered(probe, self.now, &mut self.rng, &mut actions);
        self.collect(actions);
        finding
    }

    fn refuse(&mut self) {
        self.reach.failed(self.newest(Aim::Internet), Failure::Refused, self.now);
        self.tick();
    }

    fn to_internet(&self) -> usize {
        self.opened.iter().filter(|(_, to)| *to != SERVER).count()
    }

    fn to_server(&self) -> usize {
        self.opened.len() - self.to_internet()
    }
}

fn restored(finding: Option<Finding>) -> bool {
    matches!(finding, Some(Finding::Restored { .. }))
}

#[test]
fn every_input_in_every_mode() {
    type Make = fn() -> Bench;
    let states: [(&str, Make); 3] = [
        ("off", Bench::new),
        ("searching", Bench::searching),
        ("server silent", Bench::server_silent),
    ];
    type Act = fn(&mut Bench);
    let inputs: [(&str, Act, [&str; 3]); 9] = [
        ("doubt", |b| b.reach.doubt(true, b.now), ["searching", "searching", "server silent"]),
        ("restart", |b| b.reach.restart(b.now, &mut Actions::new()), ["searching"; 3]),
        ("stop", |b| b.reach.stop(&mut Actions::new()), ["off"; 3]),
        (
            "the server connects",
            |b| b.reach.server_connects(b.now, &mut b.rng, &mut Actions::new()),
            ["off", "server silent", "server silent"],
        ),
        ("online", |b| assert!(!b.reach.online(b.now)), ["off", "searching", "server silent"]),
        ("offline", |b| assert!(b.reach.offline(b.now)), ["off", "searching", "server silent"]),
        (
            "an answer to nobody",
            |b| {
                let finding = b.reach.answered(ProbeId(0), b.now, &mut b.rng, &mut Actions::new());
                assert_eq!(finding, None);
            },
            ["off", "searching", "server silent"],
        ),
        (
            "the end of nobody",
            |b| b.reach.failed(ProbeId(0), Failure::TimedOut, b.now),
            ["off", "searching", "server silent"],
        ),
        ("a tick", |b| b.tick(), ["off", "searching", "server silent"]),
    ];
    for (input, act, expected) in inputs {
        for ((state, make), expected) in states.iter().zip(expected) {
            let mut bench = make();
            act(&mut bench);
            let mode = match bench.reach.mode {
                Mode::Off => "off",
                Mode::Searching => "searching",
                Mode::ServerSilent => "server silent",
            };
            assert_eq!(mode, expected, "{input} while {state}");
        }
    }
}

#[test]
fn nothing_is_probed_without_doubt() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_secs(3600));
    assert!(bench.opened.is_empty());
}

#[test]
fn doubt_sends_the_first_round_at_once() {
    let bench = Bench::searching();
    assert_eq!((bench.to_internet(), bench.to_server()), (1, 1));
}

#[test]
fn rounds_are_fast_for_a_minute_then_moderate_for_nine_then_slow() {
    let mut bench = Bench::searching();
    bench.pass(ms(59_999));
    assert_eq!((bench.to_internet(), bench.to_server()), (239, 59));
    bench.pass(Duration::from_secs(540));
    assert_eq!((bench.to_internet(), bench.to_server()), (540, 540));
    bench.pass(Duration::from_secs(3000));
    assert_eq!((bench.to_internet(), bench.to_server()), (600, 600));
}

#[test]
fn offline_hours_cost_what_is_promised() {
    let mut bench = Bench::new();
    bench.families.v6 = true;
    bench.reach.doubt(true, bench.now);
    bench.tick();
    let promises = [OFFLINE_FIRST_HOUR, OFFLINE_HOUR, OFFLINE_HOUR];
    for promise in promises {
        bench.pass(Duration::from_secs(3600));
        let sent = u32::try_from(bench.opened.len()).unwrap();
        assert!(sent <= promise && sent > promise - 10, "{sent} of {promise}");
    }
}

#[test]
fn hours_with_a_silent_server_cost_what_is_promised() {
    let mut bench = Bench::server_silent();
    bench.families.v6 = true;
    let mut sent = 0;
    let end = bench.now + Duration::from_secs(3600);
    while bench.now < end {
        bench.next_round();
        sent += bench.opened.len();
        assert!(!restored(bench.answer(Aim::Internet)));
    }
    let sent = u32::try_from(sent).unwrap();
    assert!((720 * 3..=SERVER_SILENT_HOUR).contains(&sent), "{sent}");
}

#[test]
fn a_network_that_changes_all_the_time_is_probed_no_faster() {
    let mut bench = Bench::new();
    bench.families.v6 = true;
    let mut sent = 0;
    for _ in 0..1000 {
        bench.reach.restart(bench.now, &mut Actions::new());
        bench.pass(ms(10));
        sent += bench.opened.len();
    }
    let promise = usize::try_from(PER_SECOND).unwrap() * 10 + TARGETS_MAX;
    assert!(sent <= promise && sent > promise - 10, "{sent} of {promise}");
}

#[test]
fn more_than_eight_outstanding_close_the_oldest() {
    let mut bench = Bench::searching();
    bench.families.v6 = true;
    bench.pass(ms(1_000));
    assert_eq!(bench.reach.outstanding.len(), OUTSTANDING_MAX);
    assert_eq!(bench.closed.first(), Some(&ProbeId(1)));
}

#[test]
fn a_probe_ends_with_its_time() {
    let mut bench = Bench::new();
    bench.server = None;
    bench.reach.doubt(true, bench.now);
    bench.tick();
    bench.pass(ms(1_999));
    assert!(!bench.closed.contains(&ProbeId(1)));
    bench.pass(ms(1));
    assert!(bench.closed.contains(&ProbeId(1)));
}

#[test]
fn an_answer_to_the_first_round_is_no_healing() {
    let mut bench = Bench::searching();
    assert_eq!(bench.answer(Aim::Internet), Some(Finding::Known));
}

#[test]
fn a_first_round_is_the_first_however_late_the_timer_was() {
    let mut bench = Bench::searching();
    bench.pass(ms(100));
    bench.reach.restart(bench.now, &mut Actions::new());
    // Due 250 ms after the round before it.
    bench.now = bench.now + ms(151);
    bench.tick();
    assert_eq!(bench.answer(Aim::Internet), Some(Finding::Known));
}

#[test]
fn an_answer_to_a_later_round_is_the_healing_and_has_its_age() {
    let mut bench = Bench::searching();
    bench.pass(ms(250));
    let sent_at = bench.now;
    bench.pass(ms(20));
    assert_eq!(bench.answer(Aim::Internet), Some(Finding::Restored { sent_at }));
}

#[test]
fn a_path_of_600_ms_heals_too() {
    let mut bench = Bench::searching();
    bench.families.v6 = true;
    bench.pass(ms(250));
    let probe = bench.newest(Aim::Internet);
    bench.pass(ms(600));
    let finding = bench.reach.answered(probe, bench.now, &mut bench.rng, &mut Actions::new());
    assert!(restored(finding));
}

#[test]
fn the_healing_is_reported_once_for_each_silence() {
    let mut bench = Bench::searching();
    bench.pass(ms(500));
    assert!(restored(bench.answer(Aim::Internet)));
    for _ in 0..20 {
        bench.next_round();
        assert!(!restored(bench.answer(Aim::Internet)));
    }
}

#[test]
fn one_lost_probe_is_looked_after_at_once_and_is_no_outage() {
    let mut bench = Bench::server_silent();
    bench.pass(ms(5_000));
    let lost = bench.newest(Aim::Internet);
    while !bench.closed.contains(&lost) {
        bench.pass(ms(10));
    }
    assert!(bench.to_internet() > 0, "another one, not five seconds later");
    assert!(!restored(bench.answer(Aim::Internet)));
}

#[test]
fn three_lost_probes_are_an_outage_and_its_end_is_a_healing() {
    let mut bench = Bench::server_silent();
    assert!(!bench.reach.is_silent(bench.now));
    bench.pass(ms(15_000));
    assert!(bench.reach.is_silent(bench.now));
    assert!(restored(bench.answer(Aim::Internet)));
    assert!(!bench.reach.is_silent(bench.now));
}

#[test]
fn a_round_trip_that_jumps_to_seconds_is_no_outage() {
    let mut bench = Bench::searching();
    bench.pass(ms(7_900));
    assert!(bench.reach.missed.unanswered > UNANSWERED_MIN);
    assert!(!bench.reach.is_silent(bench.now));
    bench.reach.server_connects(bench.now, &mut bench.rng, &mut Actions::new());
    bench.pass(ms(7_900));
    assert!(!bench.reach.is_silent(bench.now));
}

#[test]
fn silence_in_one_family_is_no_outage() {
    let mut bench = Bench::server_silent();
    bench.families.v6 = true;
    for _ in 0..100 {
        bench.next_round();
        let v4 = bench.opened.iter().rev().find(|(_, to)| to.is_ipv4() && *to != SERVER);
        let (probe, _) = *v4.expect("a probe");
        let finding = bench.reach.answered(probe, bench.now, &mut bench.rng, &mut Actions::new());
        assert!(!restored(finding));
        assert!(bench.reach.is_server_silent() && !bench.reach.is_silent(bench.now));
    }
}

#[test]
fn a_refusal_in_one_family_decides_nothing_while_the_other_is_out() {
    let mut bench = Bench::new();
    bench.families.v6 = true;
    bench.reach.doubt(true, bench.now);
    bench.tick();
    bench.refuse();
    assert!(!bench.reach.is_refused(true));
    bench.refuse();
    assert!(bench.reach.is_refused(true));
}

#[test]
fn a_refused_probe_is_not_silence() {
    let mut bench = Bench::searching();
    for _ in 0..10 {
        bench.refuse();
        bench.pass(ms(250));
    }
    assert!(!bench.reach.is_silent(bench.now));
    assert!(restored(bench.answer(Aim::Internet)));
}

#[test]
fn without_probe_addresses_the_beat_is_all_there_is() {
    let mut bench = Bench::new();
    bench.internet.clear();
    assert!(!bench.reach.is_refused(false), "nothing is in doubt");
    bench.reach.doubt(true, bench.now);
    assert!(bench.reach.is_refused(false));
    bench.reach.server_connects(bench.now, &mut bench.rng, &mut Actions::new());
    assert!(!bench.reach.is_refused(false));
}

#[test]
fn the_server_is_asked_until_it_answers_a_syn() {
    let mut bench = Bench::server_silent();
    bench.pass(ms(5_000));
    assert_eq!(bench.to_server(), 1);
    assert!(restored(bench.answer(Aim::Server)));
    bench.pass(ms(30_000));
    assert_eq!(bench.to_server(), 0, "what is wrong with it now, no probe can show");
    bench.reach.doubt(true, bench.now);
    bench.pass(ms(10_000));
    assert!(bench.to_server() > 0);
}

#[test]
fn doubt_of_an_established_connection_does_not_have_the_server_asked_again() {
    let mut bench = Bench::server_silent();
    bench.pass(ms(5_000));
    assert!(restored(bench.answer(Aim::Server)));
    bench.reach.doubt(false, bench.now);
    bench.pass(ms(60_000));
    assert_eq!(bench.to_server(), 0);
}

#[test]
fn a_filtered_probe_does_not_hide_the_healing() {
    let mut bench = Bench::searching();
    bench.pass(ms(3_000));
    assert!(restored(bench.answer(Aim::Server)));
}

#[test]
fn answers_close_what_the_outage_left() {
    let mut bench = Bench::searching();
    bench.pass(ms(1_000));
    let server = bench.newest(Aim::Server);
    bench.closed.clear();
    bench.answer(Aim::Internet);
    let left: std::vec::Vec<_> =
        bench.reach.outstanding.iter().map(|open| (open.aim, open.probe)).collect();
    assert!(left.contains(&(Aim::Server, server)));
    assert!(left.iter().all(|(aim, _)| *aim == Aim::Server), "{left:?}");
    assert_eq!(bench.closed.len(), 4);
}

#[test]
fn stopping_forgets_what_was_missed() {
    let mut bench = Bench::searching();
    bench.pass(ms(8_000));
    assert!(bench.reach.is_silent(bench.now));
    bench.reach.stop(&mut Actions::new());
    assert!(!bench.reach.is_silent(bench.now) && bench.reach.outstanding.is_empty());
    assert_eq!(bench.reach.next_deadline(), None);
}

#[test]
fn targets_of_a_family_take_turns() {
    let mut bench = Bench::new();
    bench.internet =
        ["8.8.8.8:53", "9.9.9.9:53", "1.1.1.1:53"].iter().map(|it| it.parse().unwrap()).collect();
    bench.server = None;
    bench.reach.doubt(true, bench.now);
    bench.pass(ms(1_249));
    let asked: std::vec::Vec<_> = bench.opened.iter().map(|(_, to)| to.to_string()).collect();
    assert_eq!(asked, ["8.8.8.8:53", "9.9.9.9:53", "1.1.1.1:53", "8.8.8.8:53", "9.9.9.9:53"]);
}

#[test]
fn with_nobody_to_ask_the_device_may_sleep() {
    let mut bench = Bench::new();
    bench.internet.clear();
    bench.server = None;
    bench.reach.doubt(true, bench.now);
    bench.tick();
    assert!(bench.opened.is_empty());
    let wake_up = bench.reach.next_deadline().unwrap();
    assert!(wake_up >= bench.now + budget::SLOW * 3 / 4);
}

#[test]
fn only_offline_to_online_is_a_restoration() {
    let mut reach = Reach::default();
    let at = |s: u64| Instant::from_micros(s * 1_000_000);
    assert!(!reach.online(at(1)), "the first answer is none");
    assert!(!reach.online(at(2)));
    assert!(reach.offline(at(3)));
    assert!(!reach.offline(at(4)));
    assert_eq!(reach.since(), at(3));
    assert!(reach.online(at(5)));
    assert_eq!((reach.connectivity(), reach.since()), (Connectivity::Online, at(5)));
}
