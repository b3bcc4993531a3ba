use super::*;
use crate::proto::race::{Liveness, Stage};
use crate::proto::route::Family;

/// Names the kinds of orders, notes and closing aside.
fn orders(actions: &[Action]) -> String {
    let names = actions.iter().filter_map(|action| match action {
        Action::DumpLinks => Some("dump"),
        Action::OpenProbe { .. } => Some("probe"),
        Action::SendQuery { .. } => Some("query"),
        Action::Connect { .. } => Some("connect"),
        Action::SendReport { .. } => Some("report"),
        Action::CheckAcked(_) => Some("check"),
        Action::CloseConnection(_) | Action::ParkConnection(_) => Some("close"),
        Action::Note(Note::BeatAcknowledged { .. }) => Some("acknowledged"),
        Action::Note(Note::BeatFailed { .. }) => Some("failed"),
        Action::AskRoutes
        | Action::WatchNeighbours(_)
        | Action::OpenServiceCheck { .. }
        | Action::CloseServiceCheck(_)
        | Action::CloseProbe(_)
        | Action::CloseQuery(_)
        | Action::CloseParked
        | Action::AnswerTrigger(..)
        | Action::Note(_) => None,
    });
    names.collect::<Vec<_>>().join(" ")
}

type Prepare = fn() -> (Bench, ConnectionId);

/// A bench in each state that a connection can be in, and the attempt it is about.
fn states() -> [(&'static str, Prepare); 7] {
    fn connecting() -> (Bench, ConnectionId) {
        let mut bench = Bench::idle();
        bench.trigger();
        let (id, _) = bench.connect().expect("a connection");
        (bench, id)
    }
    fn securing() -> (Bench, ConnectionId) {
        let (mut bench, id) = connecting();
        bench.input(Input::Connected(id));
        (bench, id)
    }
    fn writing() -> (Bench, ConnectionId) {
        let (mut bench, id) = securing();
        bench.input(Input::Secured(id));
        (bench, id)
    }
    fn awaiting() -> (Bench, ConnectionId) {
        let (mut bench, id) = writing();
        bench.input(Input::Written(id));
        (bench, id)
    }
    fn asked() -> (Bench, ConnectionId) {
        let (mut bench, id) = awaiting();
        bench.pass(ms(300));
        (bench, id)
    }
    fn kept() -> (Bench, ConnectionId) {
        let (mut bench, id) = awaiting();
        bench.reply(id, 200, true);
        (bench, id)
    }
    [
        ("nobody", || (Bench::idle(), ConnectionId(99))),
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
    type Make = fn(ConnectionId) -> Input<'static>;
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
            |a| Input::ConnectionFailed(a, Failure::Reset),
            ["", "failed", "failed", "failed", "failed", "failed", ""],
        ),
    ];
    for (name, make, expected) in inputs {
        for ((state, prepare), expected) in states().into_iter().zip(expected) {
            let (mut bench, id) = prepare();
            let input = make(id);
            bench.input(input);
            assert_eq!(orders(&bench.actions), expected, "{name} while {state}");
        }
    }
}

#[test]
fn results_of_connections_that_were_given_up_change_nothing() {
    for (state, prepare) in states() {
        let (mut bench, _) = prepare();
        let stale = ConnectionId(0);
        let before = format!("{:?}", bench.agent);
        let reply = Reply { keep_alive: true, ..Reply::of(200) };
        for input in [
            Input::Opened(stale, SERVER),
            Input::Connected(stale),
            Input::Secured(stale),
            Input::Written(stale),
            Input::AckChecked(stale, false),
            Input::Replied(stale, reply),
            Input::ConnectionFailed(stale, Failure::Reset),
            Input::ProbeAnswered(ProbeId(0)),
            Input::ProbeFailed(ProbeId(0), Failure::Refused),
            Input::QueryAnswered(QueryId(999), &Answer::default()),
            Input::QueryFailed(QueryId(999), Failure::NameNotFound),
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
    let (mut bench, id) = states()[1].1();
    let stage = |bench: &Bench| bench.attempt(id).expect("open").stage;
    bench.input(Input::Written(id));
    assert_eq!(stage(&bench), Stage::Connecting);
    bench.input(Input::Connected(id));
    assert_eq!(stage(&bench), Stage::Securing);
    bench.input(Input::Connected(id));
    assert_eq!(stage(&bench), Stage::Securing);
    bench.input(Input::Secured(id));
    bench.input(Input::Written(id));
    assert_eq!(stage(&bench), Stage::AwaitingReply);
    bench.pass(ms(300));
    bench.input(Input::AckChecked(id, true));
    bench.input(Input::AckChecked(id, false));
    let liveness = bench.attempt(id).expect("open").liveness;
    assert!(matches!(liveness, Liveness::Acked(_)), "{liveness:?}");
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
    bench.nameserver(local(index, 1));
    let families = bench.actions.iter().filter_map(|action| match action {
        Action::SendQuery { family, .. } => Some(*family),
        _ => None,
    });
    assert_eq!(families.collect::<Vec<_>>(), [Family::V4, Family::V6]);
}
