use core::net::SocketAddr;

use super::*;
use crate::proto::label::ServiceName;

const EVERY: Duration = Duration::from_secs(10);

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn settings(name: &str, port: u16) -> ServiceSettings {
    ServiceSettings {
        name: ServiceName::new(name).unwrap(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        interval: EVERY,
    }
}

fn list(all: &[ServiceSettings]) -> Vec<ServiceSettings, SERVICES_MAX> {
    all.iter().copied().collect()
}

/// The services, and what they ordered last.
struct Bench {
    services: Services,
    actions: Actions,
}

impl Bench {
    fn new(all: &[ServiceSettings]) -> Self {
        let mut bench = Self { services: Services::default(), actions: Actions::new() };
        bench.configure(all, at(0));
        bench
    }

    fn configure(&mut self, all: &[ServiceSettings], now: Instant) {
        self.actions.clear();
        self.services.configure(&list(all), now, &mut self.actions);
    }

    fn tick(&mut self, now: Instant) {
        self.actions.clear();
        self.services.tick(now, &mut self.actions);
    }

    /// The one look that was ordered.
    fn check(&self) -> CheckId {
        match self.actions.as_slice() {
            [Action::OpenServiceCheck { check, .. }] => *check,
            other => panic!("{other:?}"),
        }
    }

    /// Looks at the next deadline, with this result.
    fn next(&mut self, answers: bool) -> (Instant, Option<Note>) {
        let now = self.services.next_deadline().unwrap();
        self.tick(now);
        (now, self.services.check_finished(self.check(), answers, now))
    }

    fn state(&self) -> ServiceState {
        self.services.all()[0].state
    }
}

#[test]
fn names_have_their_characters_and_their_length() {
    assert_eq!(ServiceName::new("rtsp").unwrap().as_str(), "rtsp");
    assert_eq!(ServiceName::new(&"a".repeat(32)).unwrap().as_str().len(), 32);
    for wrong in ["", "a b", "a/b", "ä", &"a".repeat(33)] {
        assert!(ServiceName::new(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn recovery_is_from_down_to_up_and_nothing_else() {
    use ServiceState::{Down, Unknown, Up};
    let rtsp = ServiceName::new("rtsp").unwrap();
    let (lost, recovered) = (Some(Note::ServiceLost(rtsp)), Some(Note::ServiceRecovered(rtsp)));
    for (from, answers, to, turn) in [
        (Unknown, true, Up, None),
        (Unknown, false, Down, lost.clone()),
        (Up, true, Up, None),
        (Up, false, Down, lost.clone()),
        (Down, false, Down, None),
        (Down, true, Up, recovered),
    ] {
        let mut bench = Bench::new(&[settings("rtsp", 8554)]);
        match from {
            Unknown => {}
            Up => assert_eq!(bench.next(true).1, None),
            Down => assert_eq!(bench.next(false).1, lost),
        }
        assert_eq!(bench.state(), from);
        let (now, turned) = bench.next(answers);
        assert_eq!((bench.state(), turned), (to, turn), "{from:?}, {answers}");
        if from != to {
            assert_eq!(bench.services.all()[0].since, now);
        }
    }
}

#[test]
fn service_is_looked_at_every_interval_and_one_that_is_down_every_second() {
    let mut bench = Bench::new(&[settings("rtsp", 8554)]);
    let times: Vec<_, 8> = [true, true, false, false, true, true].map(|up| bench.next(up).0).into();
    assert_eq!(times, [at(0), at(10_000), at(20_000), at(21_000), at(22_000), at(32_000)]);
}

#[test]
fn look_that_takes_too_long_is_given_up_and_its_end_is_no_news() {
    let mut bench = Bench::new(&[settings("rtsp", 8554)]);
    bench.tick(at(0));
    let check = bench.check();
    assert_eq!(bench.services.next_deadline(), Some(at(0) + PATIENCE));
    bench.tick(at(1_999));
    assert!(bench.actions.is_empty());
    bench.tick(at(2_000));
    let lost = Note::ServiceLost(settings("rtsp", 8554).name);
    assert_eq!(bench.actions, [Action::CloseServiceCheck(check), Action::Note(lost)]);
    assert_eq!(bench.services.check_finished(check, true, at(2_001)), None);
    assert_eq!(bench.state(), ServiceState::Down);
}

#[test]
fn time_slept_through_is_one_look() {
    let mut bench = Bench::new(&[settings("rtsp", 8554)]);
    bench.next(true);
    bench.tick(at(3_600_000));
    bench.services.check_finished(bench.check(), true, at(3_600_000));
    assert_eq!(bench.services.next_deadline(), Some(at(3_610_000)));
}

#[test]
fn another_configuration_keeps_what_stays_and_closes_what_goes() {
    let (rtsp, web) = (settings("rtsp", 8554), settings("web", 80));
    let mut bench = Bench::new(&[rtsp, web]);
    bench.tick(at(0));
    let [
        Action::OpenServiceCheck { check: first, .. },
        Action::OpenServiceCheck { check: second, .. },
    ] = *bench.actions.as_slice()
    else {
        panic!("{:?}", bench.actions)
    };
    bench.services.check_finished(first, true, at(1));
    bench.configure(&[web, rtsp], at(2));
    assert!(bench.actions.is_empty());
    assert_eq!(bench.services.all()[1].state, ServiceState::Up);
    // Another address is another service.
    bench.configure(&[settings("web", 81), rtsp], at(3));
    assert_eq!(bench.actions, [Action::CloseServiceCheck(second)]);
    assert_eq!(bench.services.all()[0].state, ServiceState::Unknown);
    assert_eq!(bench.services.check_finished(second, true, at(4)), None);
    bench.configure(&[], at(5));
    assert_eq!(bench.services.next_deadline(), None);
}
