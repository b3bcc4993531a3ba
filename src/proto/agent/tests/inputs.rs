use super::*;
use crate::proto::event::RecordKind;
use crate::proto::race::{Stage, Trust};

/// Names the kinds of orders, notes and closing aside.
fn orders(actions: &[Action]) -> String {
    let names = actions.iter().filter_map(|action| match action {
        Action::DumpLinks => Some("dump"),
        Action::OpenProbe { .. } => Some("probe"),
        Action::SendQuery { .. } => Some("query"),
        Action::Connect { .. } => Some("connect"),
        Action::SendReport { .. } => Some("report"),
        Action::CheckAcked(_) => Some("check"),
        Action::CloseAttempt(_) | Action::ParkAttempt(_) => Some("close"),
        Action::Note(Note::BeatAcknowledged { .. }) => Some("acknowledged"),
        Action::Note(Note::BeatFailed { .. }) => Some("failed"),
        Action::AskRoutes
        | Action::WatchNeighbours(_)
        | Action::OpenLook { .. }
        | Action::CloseLook(_)
        | Action::CloseProbe(_)
        | Action::CloseQuery(_)
        | Action::CloseParked
        | Action::AnswerTrigger(..)
        | Action::Note(_) => None,
    });
    names.collect::<Vec<_>>().join(" ")
}

type Prepare = fn() -> (Bench, Attempt);

/// A bench in each state that a connection can be in, and the attempt it is about.
fn states() -> [(&'static str, Prepare); 7] {
    fn connecting() -> (Bench, Attempt) {
        let mut bench = Bench::idle();
        bench.trigger();
        let (attempt, _) = bench.connect().expect("a connection");
        (bench, attempt)
    }
    fn securing() -> (Bench, Attempt) {
        let (mut bench, attempt) = connecting();
        bench.input(Input::Connected(attempt));
        (bench, attempt)
    }
    fn writing() -> (Bench, Attempt) {
        let (mut bench, attempt) = securing();
        bench.input(Input::Secured(attempt));
        (bench, attempt)
    }
    fn awaiting() -> (Bench, Attempt) {
        let (mut bench, attempt) = writing();
        bench.input(Input::Written(attempt));
        (bench, attempt)
    }
    fn asked() -> (Bench, Attempt) {
        let (mut bench, attempt) = awaiting();
        bench.pass(ms(300));
        (bench, attempt)
    }
    fn kept() -> (Bench, Attempt) {
        let (mut bench, attempt) = awaiting();
        bench.reply(attempt, 200, true);
        (bench, attempt)
    }
    [
        ("nobody", || (Bench::idle(), Attempt(99))),
        ("connecting", connecting),
        ("securing", securing),
        ("writing", writing),
        ("awaiting", awaiting),
        ("asked", asked),
        ("kept", kept),
    ]
}

#[test]
fn every_input_about_a_connection_in_every_state() {
    fn reply(status: u16) -> Reply {
        Reply::of(status)
    }
    type Make = fn(Attempt) -> Input<'static>;
    // nobody, connecting, securing, writing, awaiting, asked, kept; "" is: ignored, or noted only.
    let inputs: [(&str, Make, [&str; 7]); 9] = [
        ("opened", |a| Input::Opened(a, local(LinkIndex(2), 10)), [""; 7]),
        ("connected", Input::Connected, [""; 7]),
        ("secured", Input::Secured, ["", "", "report", "", "", "", ""]),
        ("written", Input::Written, [""; 7]),
        ("acked", |a| Input::AckChecked(a, true), [""; 7]),
        ("not acked", |a| Input::AckChecked(a, false), ["", "", "", "", "", "connect probe", ""]),
        (
            "200",
            |a| Input::Replied(a, reply(200)),
            [
                "",
                "acknowledged",
                "acknowledged",
                "acknowledged",
                "acknowledged",
                "acknowledged",
                "",
            ],
        ),
        (
            "404",
            |a| Input::Replied(a, reply(404)),
            ["", "failed", "failed", "failed", "failed", "failed", ""],
        ),
        (
            "reset",
            |a| Input::AttemptFailed(a, Failure::Reset),
            ["", "failed", "failed", "failed", "failed", "failed", ""],
        ),
    ];
    for (name, make, expected) in inputs {
        for ((state, prepare), expected) in states().into_iter().zip(expected) {
            let (mut bench, attempt) = prepare();
            let input = make(attempt);
            bench.input(input);
            assert_eq!(orders(&bench.actions), expected, "{name} while {state}");
        }
    }
}

#[test]
fn results_of_connections_that_were_given_up_change_nothing() {
    for (state, prepare) in states() {
        let (mut bench, _) = prepare();
        let stale = Attempt(0);
        let before = format!("{:?}", bench.agent);
        let reply = Reply { keep_alive: true, ..Reply::of(200) };
        for input in [
            Input::Opened(stale, SERVER),
            Input::Connected(stale),
            Input::Secured(stale),
            Input::Written(stale),
            Input::AckChecked(stale, false),
            Input::Replied(stale, reply),
            Input::AttemptFailed(stale, Failure::Reset),
            Input::ProbeAnswered(Probe(0)),
            Input::ProbeFailed(Probe(0), Failure::Refused),
            Input::QueryAnswered(Query(999), &Answer::default()),
            Input::QueryFailed(Query(999), Failure::NameNotFound),
            Input::Deadline,
        ] {
            bench.input(input);
            assert!(bench.actions.is_empty(), "{state}");
        }
        assert_eq!(format!("{:?}", bench.agent), before, "{state}");
    }
}

#[test]
fn stages_are_taken_one_after_the_other() {
    let (mut bench, attempt) = states()[1].1();
    let stage = |bench: &mut Bench| bench.agent.race.find(attempt).expect("open").stage;
    bench.input(Input::Written(attempt));
    assert_eq!(stage(&mut bench), Stage::Connecting);
    bench.input(Input::Connected(attempt));
    assert_eq!(stage(&mut bench), Stage::Securing);
    bench.input(Input::Connected(attempt));
    assert_eq!(stage(&mut bench), Stage::Securing);
    bench.input(Input::Secured(attempt));
    bench.input(Input::Written(attempt));
    assert_eq!(stage(&mut bench), Stage::AwaitingReply);
    bench.pass(ms(300));
    bench.input(Input::AckChecked(attempt, true));
    bench.input(Input::AckChecked(attempt, false));
    let trust = bench.agent.race.find(attempt).expect("open").trust;
    assert!(matches!(trust, Trust::Acked(_)), "{trust:?}");
}

#[test]
fn an_interrupted_dump_is_started_again() {
    let mut bench = Bench::idle();
    for _ in 0..3 {
        bench.input(Input::LinksLost);
        assert_eq!(orders(&bench.actions), "dump");
    }
    bench.link(ETH0, true);
    bench.input(Input::LinksDumped);
    assert!(bench.actions.is_empty(), "{:?}", bench.actions);
}

#[test]
fn what_a_dump_does_not_name_is_gone() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.input(Input::LinksLost);
    bench.link(WLAN1, true);
    bench.input(Input::LinksDumped);
    assert_eq!(bench.deliver(false).1, Reason::FailoverTo(name("wlan1")));
}

#[test]
fn both_families_are_asked_for_where_the_uplink_has_both() {
    let host = Host::Name("api.example.org".try_into().expect("a name"));
    let server = Some(Server { host, port: 443 });
    let mut bench = Bench::with(&Settings { server, ..settings() });
    let index = LinkIndex(ETH0.into());
    bench.tables.address(ETH0.into(), "2001:db8::10");
    bench.tables.entries.push(Entry::new(ETH0.into(), "::", 0, 1024));
    bench.announce(false);
    let nameserver = Nameserver { address: local(index, 1), scope: None };
    let nameservers = [nameserver].into_iter().collect();
    bench.input(Input::ResolverChanged(&ResolverSettings { nameservers, ..Default::default() }));
    let kinds = bench.actions.iter().filter_map(|action| match action {
        Action::SendQuery { kind, .. } => Some(*kind),
        _ => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [RecordKind::A, RecordKind::Aaaa]);
}
