use super::*;
use crate::proto::event::CheckId;
use crate::proto::label::ServiceName;
use crate::proto::schedule::PendingReasons;
use crate::proto::services::ServiceState;
use crate::proto::settings::ServiceSettings;

fn watching(settings: Settings) -> Settings {
    let name = ServiceName::new("rtsp").expect("a name");
    let address = SocketAddr::from(([127, 0, 0, 1], 8554));
    let rtsp = ServiceSettings { name, address, interval: Duration::from_secs(10) };
    Settings { services: [rtsp].into_iter().collect(), ..settings }
}

fn check(actions: &[Action]) -> Option<CheckId> {
    actions.iter().find_map(|action| match action {
        Action::OpenServiceCheck { check, .. } => Some(*check),
        _ => None,
    })
}

/// Lets time pass up to the next look, which finds the service so.
fn next_look(bench: &mut Bench, answers: bool) {
    let mut found = check(&bench.actions);
    while found.is_none() {
        bench.now = bench.agent.next_deadline(bench.now).expect("a look").max(bench.now);
        found = check(bench.input(Input::Deadline));
    }
    let check = found.expect("a look");
    bench.input(if answers {
        Input::ServiceAnswered(check)
    } else {
        Input::ServiceFailed(check, Failure::Refused)
    });
}

/// Watching, started, and idle; the service answers.
fn up() -> Bench {
    let mut bench = Bench::idle();
    bench.input(Input::Configured(&watching(settings())));
    let check = check(&bench.actions).expect("a look at once");
    bench.deliver(true);
    bench.input(Input::ServiceAnswered(check));
    bench
}

#[test]
fn service_that_recovers_sends_a_beat_at_once_with_a_reason_of_its_own() {
    let mut bench = up();
    assert_eq!(bench.report(), None, "what answers is no news");
    next_look(&mut bench, false);
    let lost = ServiceName::new("rtsp").map(Note::ServiceLost);
    assert_eq!((bench.notes().pop(), bench.report()), (lost, None));
    next_look(&mut bench, true);
    let (_, _, reason) = bench.report().expect("a report over the connection that was kept");
    assert_eq!(reason.to_string(), "rtsp_recovered");
}

#[test]
fn recovery_says_more_than_a_trigger_and_less_than_the_network() {
    let name = ServiceName::new("rtsp").expect("a name");
    let mut reasons = PendingReasons::default();
    let at = Instant::from_micros(1);
    for (reason, text) in [
        (Reason::Interval, "interval"),
        (Reason::Triggered(None), "trigger"),
        (Reason::ServiceRecovered(name), "rtsp_recovered"),
        (Reason::Restored, "connectivity_restored"),
        (Reason::AddressChanged, "address_changed"),
    ] {
        reasons.add(reason, at);
        assert_eq!(reasons.reason().to_string(), text);
    }
}

#[test]
fn service_that_flaps_is_moderated_as_triggers_are() {
    let mut bench = up();
    let mut beats = 0;
    for _ in 0..60 {
        bench.start_cycle();
        next_look(&mut bench, false);
        beats += usize::from(bench.report().is_some_and(|(id, ..)| {
            bench.input(Input::Written(id));
            bench.reply(id, 200, true);
            true
        }));
        next_look(&mut bench, true);
        if let Some((id, ..)) = bench.report() {
            beats += 1;
            bench.input(Input::Written(id));
            bench.reply(id, 200, true);
        }
    }
    // Ten seconds up and one down: six in a minute, far below what triggers may.
    assert!((55..=100).contains(&beats), "{beats}");
    assert!(bench.agent.demand.trigger_token_at(bench.now) <= bench.now + Duration::from_secs(2));
}

#[test]
fn switched_off_the_service_is_still_looked_at_and_sends_nothing() {
    let mut bench = Bench::with(&watching(Settings { enabled: false, ..settings() }));
    next_look(&mut bench, false);
    bench.pass(Duration::from_millis(999));
    next_look(&mut bench, true);
    assert_eq!(bench.agent.view(bench.now).services[0].state, ServiceState::Up);
    assert_eq!((bench.connect(), bench.report()), (None, None));
}
