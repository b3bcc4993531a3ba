//! Triggers: at once, merged, moderated, and never lost.

use super::*;

#[test]
fn a_trigger_beats_at_once_and_does_not_move_the_cycle() {
    let mut bench = Bench::idle();
    bench.pass(ms(20_000));
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Set { seq: 2 }));
    assert_eq!(bench.deliver(false), (2, Reason::Triggered(None)));
    bench.pass(ms(9_999));
    assert_eq!(bench.connect(), None);
    bench.pass(ms(1));
    assert_eq!(bench.deliver(false), (3, Reason::Interval));
}

#[test]
fn a_trigger_before_the_report_is_written_is_in_it() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, _) = bench.connect().expect("a connection");
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Pending { seq: 2 }));
    bench.establish(id);
    bench.reply(id, 200, false);
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_trigger_after_the_report_is_written_causes_another_beat() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Set { seq: 3 }));
    bench.reply(id, 200, true);
    assert_eq!(bench.report().map(|(_, seq, _)| seq), Some(3));
}

#[test]
fn a_trigger_of_a_beat_that_failed_is_in_the_retry() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.trigger();
    bench.input(Input::ConnectionFailed(id, Failure::Reset));
    bench.pass(ms(1));
    let (id, seq, _) = bench.write();
    assert_eq!(seq, 2);
    bench.reply(id, 200, false);
    assert!(matches!(
        bench.notes().as_slice(),
        [Note::BeatAcknowledged { beat: Acknowledged { seq: 2, .. }, covers: 3, .. }]
    ));
    assert_eq!(bench.connect(), None);
}

#[test]
fn a_trigger_after_the_retry_is_written_is_promised_another_beat() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.trigger();
    bench.input(Input::ConnectionFailed(id, Failure::Reset));
    bench.pass(ms(1));
    let (id, ..) = bench.write();
    bench.trigger();
    let Some(TriggerAnswer::Set { seq }) = bench.answer() else { panic!("not set") };
    bench.reply(id, 200, true);
    let [Note::BeatAcknowledged { covers, .. }] = bench.notes()[..] else { panic!("no beat") };
    assert!(covers < seq, "said to be covered by a report that was written before");
}

#[test]
fn a_trigger_while_backing_off_beats_at_once() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (id, ..) = bench.write();
    bench.reply(id, 500, false);
    assert_eq!(bench.connect(), None);
    bench.trigger();
    assert!(bench.connect().is_some());
}

#[test]
fn triggers_beyond_the_burst_are_merged_and_sent_at_the_pace_of_the_bucket() {
    let mut bench = Bench::idle();
    for _ in 0..5 {
        bench.trigger();
        bench.deliver(false);
    }
    bench.trigger();
    let until = bench.now + ms(2000);
    assert_eq!(bench.answer(), Some(TriggerAnswer::Held { seq: 7, set: true, until }));
    bench.trigger();
    assert_eq!(bench.answer(), Some(TriggerAnswer::Held { seq: 7, set: false, until }));
    bench.pass(ms(1999));
    assert_eq!(bench.connect(), None);
    bench.pass(ms(1));
    bench.deliver(false);
    assert_eq!(bench.connect(), None, "merged");
}

#[test]
fn a_change_of_uplink_passes_a_storm_of_triggers() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    for _ in 0..5 {
        bench.trigger();
        bench.deliver(false);
    }
    bench.trigger();
    assert_eq!(bench.connect(), None);
    bench.link(ETH0, false);
    assert_eq!(bench.deliver(false).1, Reason::FailoverTo(name("wlan1")));
}
