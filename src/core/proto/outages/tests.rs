use core::time::Duration;

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// A device that has delivered a beat over eth0.
fn delivered() -> Outages {
    let mut outages = Outages::default();
    outages.uses(InterfaceName::new("eth0"));
    outages.round_began();
    outages.acknowledged(0, at(1));
    outages
}

/// Has a beat fail and the next one acknowledged, without a report of the outage.
fn outage(outages: &mut Outages, second: u64) {
    outages.round_began();
    outages.round_failed(Failure::Refused, at(second));
    outages.acknowledged(0, at(second + 1));
}

fn numbers(outages: &Outages) -> Vec<u32, { UNREPORTED_MAX + 1 }> {
    outages.unreported().filter_map(|outage| outage.number).collect()
}

#[test]
fn what_comes_before_the_first_acknowledged_beat_is_none() {
    let mut outages = Outages::default();
    outages.round_began();
    outages.round_failed(Failure::TimedOut, at(1));
    outages.lost(true, Some(at(1)), at(9));
    outages.fell_due();
    assert_eq!(outages.last(), None);
    outages.acknowledged(0, at(40));
    assert_eq!((outages.last(), outages.unreported().count()), (None, 0));
}

#[test]
fn outage_lasts_from_the_first_beat_that_failed_to_the_acknowledgement() {
    let mut outages = delivered();
    outages.round_began();
    outages.lost(true, Some(at(30)), at(38));
    outages.round_failed(Failure::TimedOut, at(30));
    outages.fell_due();
    outages.round_began();
    outages.outside_answered(true);
    let expected = Outage {
        number: Some(1),
        began_at: at(30),
        ended_at: None,
        kind: OutageKind::Network,
        cause: Some(Failure::TimedOut),
        uplink: InterfaceName::new("eth0"),
        missed: 2,
    };
    assert_eq!(outages.last(), Some(expected));
    assert!(
        outages.unreported().eq([expected]),
        "reported while it lasts: the report may be the last of it"
    );
    outages.acknowledged(1, at(65));
    assert_eq!(outages.last(), Some(Outage { ended_at: Some(at(65)), ..expected }));
    assert_eq!((outages.unreported().count(), outages.others()), (0, 0));
    assert_eq!(outages.counts(), [0, 1, 0]);
}

#[test]
fn kind_is_what_was_missing_when_it_began() {
    type Step = fn(&mut Outages);
    let failed: Step = |it| it.round_failed(Failure::TimedOut, at(30));
    let answer: Step = |it| it.round_failed(Failure::Status(500), at(30));
    let no_uplink: Step = |it| it.lost(false, None, at(31));
    let silence: Step = |it| it.lost(true, Some(at(30)), at(38));
    let heard: Step = |it| it.outside_answered(false);
    let heard_again: Step = |it| it.outside_answered(true);
    for (steps, kind) in [
        (&[failed][..], OutageKind::Server),
        (&[failed, silence], OutageKind::Network),
        (&[failed, no_uplink], OutageKind::Link),
        (&[failed, heard_again], OutageKind::Network),
        (&[failed, heard, silence], OutageKind::Server),
        (&[failed, heard, no_uplink], OutageKind::Server),
        (&[answer, silence], OutageKind::Server),
        (&[failed, answer, silence], OutageKind::Server),
        (&[no_uplink, heard, failed], OutageKind::Link),
        (&[silence, no_uplink, heard], OutageKind::Network),
    ] {
        let mut outages = delivered();
        steps.iter().for_each(|step| step(&mut outages));
        assert_eq!(outages.last().map(|outage| outage.kind), Some(kind), "{}", steps.len());
    }
}

#[test]
fn lost_uplink_is_named_and_the_moment_is_that_of_its_loss() {
    let mut outages = delivered();
    outages.uses(None);
    outages.lost(false, Some(at(30)), at(31));
    let outage = outages.last().expect("an outage");
    assert_eq!((outage.uplink, outage.began_at), (InterfaceName::new("eth0"), at(31)));
}

#[test]
fn blip_has_no_number_and_is_not_reported() {
    let mut outages = delivered();
    outages.lost(false, None, at(5));
    assert_eq!(outages.unreported().count(), 0);
    outages.acknowledged(0, at(8));
    let blip = outages.last().expect("it is shown");
    assert_eq!((blip.number, blip.missed, blip.ended_at), (None, 0, Some(at(8))));
    assert_eq!((outages.unreported().count(), outages.others()), (0, 0));
    assert_eq!(outages.counts(), [0; 3]);
    outages.lost(false, None, at(15));
    outages.fell_due();
    assert_eq!(numbers(&outages), [1]);
}

#[test]
fn beats_missed_are_those_that_fell_due() {
    let mut outages = delivered();
    outages.fell_due();
    outages.round_began();
    outages.fell_due();
    outages.round_failed(Failure::TimedOut, at(30));
    assert_eq!(outages.last().map(|outage| outage.missed), Some(2), "a tick in mid-round");
    outages.round_began();
    outages.round_failed(Failure::TimedOut, at(41));
    assert_eq!(outages.last().map(|outage| outage.missed), Some(2), "a retry is no beat");
    outages.fell_due();
    assert_eq!(outages.last().map(|outage| outage.missed), Some(3));
}

#[test]
fn outage_stays_unreported_until_a_report_with_it_is_acknowledged() {
    let mut outages = delivered();
    outage(&mut outages, 30);
    outage(&mut outages, 60);
    assert_eq!(numbers(&outages), [1, 2]);
    outages.acknowledged(1, at(90));
    assert_eq!(numbers(&outages), [2]);
    outages.acknowledged(1, at(91));
    assert_eq!(numbers(&outages), [2]);
    outages.acknowledged(2, at(92));
    assert_eq!((outages.unreported().count(), outages.others()), (0, 0));
}

#[test]
fn eight_are_kept_and_others_are_counted() {
    let mut outages = delivered();
    (1..=11).for_each(|nth| outage(&mut outages, nth * 30));
    assert_eq!(numbers(&outages), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(outages.others(), 3);
    outages.round_began();
    outages.round_failed(Failure::Refused, at(600));
    assert_eq!((outages.unreported().count(), outages.others()), (8, 4), "the ongoing one too");
    let reported = outages.numbered();
    outages.acknowledged(reported, at(601));
    assert_eq!((outages.unreported().count(), outages.others()), (0, 0));
    outage(&mut outages, 700);
    assert_eq!((numbers(&outages).as_slice(), outages.others()), (&[13][..], 0));
}

#[test]
fn outage_ends_where_no_beat_is_wanted_any_more_and_is_reported_later() {
    let mut outages = delivered();
    outages.round_began();
    outages.round_failed(Failure::Refused, at(30));
    outages.end(at(45));
    outages.fell_due();
    let reported: Vec<_, 1> = outages.unreported().collect();
    assert_eq!(reported.first().map(|it| (it.ended_at, it.missed)), Some((Some(at(45)), 1)));
    outages.acknowledged(1, at(900));
    assert_eq!(outages.unreported().count(), 0);
}

#[test]
fn ongoing_and_unreported_ones_survive_a_restart() {
    let mut outages = delivered();
    outage(&mut outages, 30);
    outages.round_began();
    outages.round_failed(Failure::Refused, at(60));
    let mut again = Outages::restored(outages.kept().clone(), at(65)).expect("what was kept");
    assert!(again.unreported().eq(outages.unreported()));
    again.round_began();
    again.acknowledged(again.numbered(), at(70));
    assert_eq!(
        again.last().map(|outage| (outage.began_at, outage.ended_at)),
        Some((at(60), Some(at(70))))
    );
    outage(&mut again, 90);
    assert_eq!(numbers(&again), [3]);
}

#[test]
fn what_cannot_have_been_is_not_taken_back() {
    let mut outages = delivered();
    outage(&mut outages, 30);
    outage(&mut outages, 60);
    outages.round_began();
    outages.round_failed(Failure::Refused, at(90));
    let sound = outages.kept().clone();
    let now = at(100);
    assert!(Outages::restored(sound.clone(), now).is_some());
    assert_eq!(Outages::restored(sound.clone(), at(80)), None, "it is of the future");
    let changes: [fn(&mut KeptOutages); 8] = [
        |it| it.reported = 1,
        |it| it.numbered = 2,
        |it| it.numbered = u32::MAX,
        |it| it.unreported.swap(0, 1),
        |it| it.unreported[1].number = None,
        |it| it.unreported[1].ended_at = None,
        |it| it.unreported[1].began_at = it.unreported[1].began_at + Duration::from_secs(30),
        |it| it.last = it.unreported.first().map(|it| Outage { ended_at: None, ..*it }),
    ];
    for (nth, change) in changes.iter().enumerate() {
        let mut kept = sound.clone();
        change(&mut kept);
        assert_eq!(Outages::restored(kept, now), None, "{nth}");
    }
}
