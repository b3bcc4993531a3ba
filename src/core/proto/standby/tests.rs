use super::*;
use crate::proto::event::Action;

const EVERY: Duration = Duration::from_secs(60);
const SERVER: &str = "203.0.113.10:443";

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).expect("a name")
}

/// Tests of these uplinks, and the number of the last probe.
struct Bench(StandbyTests, u32);

impl Bench {
    fn new(reserve: &[&str]) -> Self {
        let mut bench = Self(StandbyTests::default(), 0);
        bench.0.follow(reserve.iter().map(|it| name(it)), at(0));
        bench
    }

    /// Lets time pass where `leading` lead to the server besides eth0, which is in use; returns
    /// over what a probe was opened.
    fn tick(&mut self, leading: &[&str], second: u64) -> Option<InterfaceName> {
        let to: SocketAddr = SERVER.parse().expect("an address");
        let ways: Vec<_, 8> = ["eth0"].iter().chain(leading).map(|it| Some(name(it))).collect();
        let (timeout, probe) = (Duration::from_secs(2), ProbeId(self.1 + 1));
        let plan = Plan { every: EVERY, timeout, probe, to, ways: &ways };
        let mut actions = Actions::new();
        let opened = self.0.tick(&plan, at(second), &mut actions);
        self.1 += u32::from(opened);
        let open = actions.iter().find_map(|action| match action {
            Action::OpenProbe { via, .. } => *via,
            _ => None,
        });
        assert_eq!(open.is_some(), opened);
        open
    }

    /// The test under way fails and its control, over the uplink in use, is answered.
    fn fails(&mut self, leading: &[&str], second: u64) -> Option<Note> {
        assert_eq!(self.0.finished(Some(false), at(second)), None, "not without a control");
        assert_eq!(self.tick(leading, second), Some(name("eth0")));
        self.0.finished(Some(true), at(second))
    }

    fn unreported(&self) -> Vec<(InterfaceName, bool), 8> {
        self.0.unreported().collect()
    }
}

#[test]
fn each_uplink_is_tested_once_in_its_time_and_one_after_the_other() {
    let both = ["wlan1", "wlan0"];
    let mut bench = Bench::new(&both);
    assert_eq!(bench.tick(&both, 0), Some(name("wlan1")));
    assert_eq!(bench.tick(&both, 1), None, "one at a time");
    assert_eq!(bench.0.next_deadline(), Some(at(2)));
    bench.0.finished(Some(true), at(1));
    assert_eq!(bench.tick(&both, 1), Some(name("wlan0")));
    bench.0.finished(Some(true), at(1));
    assert_eq!(bench.0.next_deadline(), Some(at(60)));
    assert_eq!(bench.tick(&both, 59), None);
    assert_eq!(bench.tick(&both, 60), Some(name("wlan1")));
}

#[test]
fn uplink_is_dead_without_an_answer_and_works_with_the_next() {
    let mut bench = Bench::new(&["wlan1"]);
    bench.tick(&["wlan1"], 0);
    let change = |works| Some(Note::StandbyChanged { uplink: name("wlan1"), works });
    // Its time is over.
    assert_eq!(bench.tick(&["wlan1"], 2), Some(name("eth0")));
    assert_eq!(bench.0.finished(Some(true), at(2)), change(false));
    bench.tick(&["wlan1"], 60);
    assert_eq!(bench.tick(&["wlan1"], 62), None, "it was dead before");
    bench.tick(&["wlan1"], 120);
    assert_eq!(bench.0.finished(Some(true), at(121)), change(true));
    assert_eq!(bench.0.all()[0].works, Some(true));
}

#[test]
fn a_server_that_is_down_makes_no_reserve_dead() {
    let mut bench = Bench::new(&["wlan1"]);
    bench.tick(&["wlan1"], 0);
    bench.0.finished(Some(true), at(0));
    // Neither answers, once with a refusal and once with silence.
    bench.tick(&["wlan1"], 60);
    bench.0.finished(Some(false), at(60));
    assert_eq!(bench.tick(&["wlan1"], 60), Some(name("eth0")));
    assert_eq!(bench.0.finished(Some(false), at(60)), None);
    assert_eq!(bench.tick(&["wlan1"], 120), Some(name("wlan1")));
    assert_eq!(bench.tick(&["wlan1"], 122), Some(name("eth0")));
    assert_eq!(bench.tick(&["wlan1"], 124), None);
    assert_eq!((bench.0.all()[0].works, bench.unreported().len()), (Some(true), 1));
}

#[test]
fn change_is_reported_until_a_report_from_after_it_is_acknowledged() {
    let mut bench = Bench::new(&["wlan1", "wlan0"]);
    assert_eq!(bench.unreported(), [], "nothing is known");
    bench.tick(&["wlan1"], 1);
    bench.fails(&["wlan1"], 2);
    assert_eq!(bench.unreported(), [(name("wlan1"), false)]);
    bench.0.acknowledged(at(2));
    assert_eq!(bench.unreported().len(), 1, "it may have been written before");
    bench.0.acknowledged(at(3));
    assert_eq!(bench.unreported(), []);
}

#[test]
fn what_leaves_the_reserve_is_forgotten_and_its_test_ended() {
    let mut bench = Bench::new(&["wlan1"]);
    bench.tick(&["wlan1"], 0);
    bench.fails(&["wlan1"], 1);
    bench.tick(&["wlan1"], 60);
    bench.0.follow([].into_iter(), at(61));
    let mut actions = Actions::new();
    bench.0.stop(&mut actions);
    assert_eq!(actions.as_slice(), [Action::CloseProbe(ProbeId(3))]);
    assert_eq!((bench.0.all(), bench.unreported().len()), (&[][..], 0));
    bench.0.follow([name("wlan1")].into_iter(), at(62));
    assert_eq!(bench.0.all()[0].works, None);
    assert_eq!(bench.0.next_deadline(), None, "nothing is tested");
}

#[test]
fn uplink_that_does_not_lead_there_and_a_device_that_cannot_test_say_nothing() {
    let mut bench = Bench::new(&["wlan1", "wlan0"]);
    assert_eq!(bench.tick(&["wlan0"], 0), Some(name("wlan0")));
    assert_eq!(bench.0.finished(None, at(0)), None);
    assert!(bench.0.all().iter().all(|it| it.works.is_none()));
    assert_eq!(bench.0.next_deadline(), Some(at(60)));
}

#[test]
fn an_uplink_that_flaps_is_tested_once_a_second_at_most() {
    let mut bench = Bench::new(&["wlan1"]);
    let millis = |ms: u64| Instant::from_micros(ms * 1_000);
    let mut tests = 0;
    for ms in (0..10_000).step_by(100) {
        bench.0.follow([].into_iter(), millis(ms));
        bench.0.follow([name("wlan1")].into_iter(), millis(ms));
        let ways = [Some(name("eth0")), Some(name("wlan1"))];
        let to = SERVER.parse().expect("an address");
        let timeout = Duration::from_secs(2);
        let plan = Plan { every: EVERY, timeout, probe: ProbeId(tests + 1), to, ways: &ways };
        let opened = bench.0.tick(&plan, millis(ms), &mut Actions::new());
        tests += u32::from(opened);
        bench.0.finished(Some(true), millis(ms));
        assert!(bench.0.next_deadline() > Some(millis(ms)), "nothing to do yet");
    }
    assert_eq!(tests, 10);
}
