use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::turns::TRIED_MAX;
use super::*;
use crate::proto::event::Stamps;

const STAGES: [Stage; 5] =
    [Stage::Connecting, Stage::Securing, Stage::Ready, Stage::Writing, Stage::AwaitingReply];
const ACKED: Liveness = Liveness::Acked(at(2_000));
const LIVENESS: [Liveness; 6] = [
    Liveness::Until(at(500)),
    Liveness::Checking,
    Liveness::LastCheck,
    Liveness::Suspect,
    ACKED,
    Liveness::Slow,
];

const fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn eth0() -> Option<InterfaceName> {
    InterfaceName::new("eth0")
}

fn wlan0() -> Option<InterfaceName> {
    InterfaceName::new("wlan0")
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, host).into()
}

fn entry(race: &mut Race, via: Option<InterfaceName>, stage: Stage, liveness: Liveness) -> Attempt {
    let now = at(0);
    let stamps = Stamps {
        event_at: now,
        usable_at: now,
        held: Duration::ZERO,
        resolved_at: now,
        opened_at: now,
        connected_at: now,
        secured_at: now,
        written_at: now,
        replied_at: now,
    };
    Attempt {
        id: race.number(),
        via,
        to: SocketAddr::new(address(10), 443),
        local: None,
        gateway: None,
        stage,
        liveness,
        reused: false,
        outages: 0,
        stamps,
    }
}

fn race_of(attempts: &[(Option<InterfaceName>, Stage, Liveness)]) -> Race {
    let mut race = Race::default();
    for &(via, stage, liveness) in attempts {
        let entry = entry(&mut race, via, stage, liveness);
        race.attempts.push(entry).expect("room for it");
    }
    race
}

/// What the race says of itself.
fn says(race: &Race) -> [bool; 4] {
    [race.is_doubted(), race.is_silent(), race.is_connecting(), race.is_written()]
}

#[test]
fn every_stage_with_every_trust() {
    for stage in STAGES {
        for liveness in LIVENESS {
            let silent = liveness == Liveness::Suspect;
            let doubted = silent || liveness == Liveness::Slow;
            let expected = [doubted, silent, stage == Stage::Connecting, stage >= Stage::Writing];
            let race = race_of(&[(eth0(), stage, liveness)]);
            assert_eq!(says(&race), expected, "{stage:?} {liveness:?}");
            let due = match liveness {
                _ if stage == Stage::Ready => None,
                Liveness::Until(at) | Liveness::Acked(at) => Some(at),
                _ => None,
            };
            assert_eq!(race.next_deadline(), due, "{stage:?} {liveness:?}");
        }
    }
}

#[test]
fn a_race_without_connections_is_as_good_as_lost() {
    assert_eq!(says(&Race::default()), [true, true, true, false]);
}

#[test]
fn a_syn_beside_a_doubted_connection_is_in_doubt_with_it() {
    for stage in STAGES {
        for liveness in LIVENESS {
            let doubted = (eth0(), Stage::Connecting, Liveness::Suspect);
            let same = race_of(&[doubted, (eth0(), stage, liveness)]);
            let itself = matches!(liveness, Liveness::Suspect | Liveness::Slow);
            let expected = itself || stage == Stage::Connecting;
            assert_eq!(same.is_doubted(), expected, "{stage:?} {liveness:?}");
            let other = race_of(&[doubted, (wlan0(), stage, liveness)]);
            assert_eq!(other.is_doubted(), itself, "{stage:?} {liveness:?}");
        }
    }
}

#[test]
fn a_doubted_connection_of_an_earlier_beat_is_stale_until_a_new_one_is_beside_it() {
    let mut race = race_of(&[(wlan0(), Stage::Connecting, LIVENESS[0])]);
    let old = entry(&mut race, eth0(), Stage::AwaitingReply, Liveness::Suspect);
    race.attempts.push(Attempt { reused: true, ..old }).expect("room for it");
    assert_eq!(race.stale_path(), Some(eth0()));
    let new = entry(&mut race, eth0(), Stage::Connecting, LIVENESS[0]);
    race.attempts.push(new).expect("room for it");
    assert_eq!(race.stale_path(), None);
}

#[test]
fn a_doubted_connection_of_this_beat_is_not_stale() {
    let race = race_of(&[(eth0(), Stage::AwaitingReply, Liveness::Suspect)]);
    assert_eq!(race.stale_path(), None);
}

#[test]
fn four_race_and_a_fifth_finds_no_room() {
    let mut race = race_of(&[(eth0(), Stage::Connecting, LIVENESS[0]); ATTEMPTS_MAX]);
    assert!(race.attempts.is_full());
    let fifth = entry(&mut race, eth0(), Stage::Connecting, LIVENESS[0]);
    assert!(race.attempts.push(fifth).is_err());
    assert!(race.find(fifth.id).is_none());
}

#[test]
fn a_connection_is_found_at_its_stage_only() {
    for stage in STAGES {
        let mut race = race_of(&[(eth0(), stage, ACKED)]);
        for asked in STAGES {
            assert_eq!(race.find_at(ConnectionId(1), asked).is_some(), asked == stage);
            assert!(race.find_at(ConnectionId(2), asked).is_none());
        }
    }
}

#[test]
fn numbers_are_never_used_twice() {
    let mut race = race_of(&[(eth0(), Stage::Connecting, LIVENESS[0]); 2]);
    assert!(race.remove(ConnectionId(2)).is_some());
    assert!(race.remove(ConnectionId(2)).is_none());
    assert_eq!(race.number(), ConnectionId(3));
    assert_eq!(race.opened(), 3);
}

#[test]
fn keeping_another_connection_returns_the_former_one() {
    let mut race = Race::default();
    let [first, second] = [(); 2].map(|()| entry(&mut race, eth0(), Stage::AwaitingReply, ACKED));
    assert_eq!(race.keep(&first), None);
    assert_eq!(race.keep(&second), Some(first.id));
    race.kept_failed(first.id);
    assert_eq!(race.kept.map(|kept| kept.id), Some(second.id));
    race.kept_failed(second.id);
    assert!(race.kept.take().is_none());
}

#[test]
fn a_pair_is_used_up_until_the_round_is_forgotten() {
    let mut race = Race::default();
    race.turns.mark(eth0(), address(10));
    assert!(race.turns.was_tried(eth0(), address(10)));
    assert!(!race.turns.was_tried(wlan0(), address(10)));
    assert!(!race.turns.was_tried(eth0(), address(11)));
    race.repeated = true;
    race.forget_tried();
    assert!(!race.turns.was_tried(eth0(), address(10)));
    assert!(!race.repeated);
}

#[test]
fn what_had_its_turn_longest_ago_comes_next_after_what_had_none() {
    let mut race = Race::default();
    race.turns.mark(eth0(), address(10));
    race.turns.mark(wlan0(), address(10));
    assert_eq!(race.turns.turn(eth0(), address(10)), None, "it is used up, in this round");
    race.next_round();
    assert!(!race.turns.was_tried(eth0(), address(10)));
    race.turns.mark(eth0(), address(11));
    race.turns.mark(eth0(), address(10));
    race.next_round();
    let pairs = [(wlan0(), 10), (eth0(), 11), (eth0(), 10), (wlan0(), 11)];
    let turns = pairs.map(|(via, host)| race.turns.turn(via, address(host)));
    assert_eq!(turns, [Some(0), Some(1), Some(2), None]);
    race.turns.mark(wlan0(), address(10));
    race.retry();
    assert_eq!(
        race.turns.turn(wlan0(), address(10)),
        None,
        "a round that begins anew leaves no trace"
    );
    assert_eq!(race.turns.turn(eth0(), address(11)), Some(0));
    race.turns.forget();
    assert_eq!(race.turns.turn(eth0(), address(11)), None);
}

#[test]
fn a_new_round_has_room_for_as_many_pairs_as_the_former_one() {
    let mut race = Race::default();
    let hosts = 0..u8::try_from(TRIED_MAX).unwrap();
    hosts.clone().for_each(|host| race.turns.mark(eth0(), address(host)));
    race.next_round();
    for host in hosts.clone() {
        assert!(!race.turns.was_tried(wlan0(), address(host)));
        race.turns.mark(wlan0(), address(host));
    }
    assert!(hosts.into_iter().all(|host| race.turns.turn(eth0(), address(host)).is_none()));
}

#[test]
fn a_round_of_too_many_pairs_ends() {
    let mut race = Race::default();
    for host in 0..=u8::try_from(TRIED_MAX).unwrap() {
        race.turns.mark(eth0(), address(host));
    }
    assert!(race.turns.was_tried(wlan0(), address(200)));
}

#[test]
fn patience_is_twice_the_round_trip_of_the_interface_but_never_less_than_300_ms() {
    let mut race = Race::default();
    assert_eq!(race.patience(eth0()), ms(300));
    race.measure(eth0(), ms(600));
    race.measure(wlan0(), ms(15));
    assert_eq!(race.patience(eth0()), ms(1_200));
    assert_eq!(race.patience(wlan0()), ms(300));
    race.measure(eth0(), ms(200));
    assert_eq!(race.patience(eth0()), ms(400));
    race.forget_round_trips();
    assert_eq!(race.patience(eth0()), ms(300));
}

#[test]
fn repeated_syn_prolongs_patience_no_longer_than_until_an_answer() {
    let mut race = Race::default();
    race.measure(eth0(), ms(7_000));
    assert_eq!(race.patience(eth0()), ms(2_000), "a round is to try more than that");
    let winner = entry(&mut race, eth0(), Stage::AwaitingReply, ACKED);
    race.delivered(&winner, winner.stamps.written_at + ms(500));
    assert_eq!(race.patience(eth0()), ms(1_000));
    race.delivered(&winner, winner.stamps.written_at + ms(100));
    assert_eq!(race.patience(eth0()), ms(1_000), "what was no repetition stays");
}

#[test]
fn round_trips_of_more_interfaces_than_fit_forget_the_oldest() {
    let mut race = Race::default();
    let names: [_; UPLINKS_MAX + 1] =
        core::array::from_fn(|n| InterfaceName::new(&format!("eth{n}")));
    for name in names {
        race.measure(name, ms(600));
    }
    assert_eq!(race.patience(names[0]), DOUBT_MIN);
    assert_eq!(race.patience(names[UPLINKS_MAX]), ms(1_200));
}

/// A race in which the second connection has delivered beside a first one that was silent.
fn delivered_beside_silence(now: u64) -> Race {
    let mut race = race_of(&[(eth0(), Stage::Connecting, Liveness::Suspect)]);
    let winner = entry(&mut race, wlan0(), Stage::AwaitingReply, ACKED);
    race.delivered(&winner, at(now));
    race
}

#[test]
fn a_path_that_failed_beside_a_winner_is_failed_until_the_ways_change() {
    let mut race = delivered_beside_silence(0);
    assert_eq!(race.paths.all(), [(eth0(), Family::V4)]);
    assert!(!race.paths.has((eth0(), Family::V6)), "the other family has not failed");
    race.paths.forget();
    assert!(race.paths.all().is_empty());
}

#[test]
fn a_failed_path_is_tested_again_after_a_minute_and_then_ever_more_rarely() {
    let mut race = delivered_beside_silence(0);
    let mut now = at(0);
    for wait in [60, 120, 240, 480, 960, 1800, 1800] {
        race.paths.retest(now + ms(wait * 1000 - 1));
        assert!(race.paths.has((eth0(), Family::V4)), "{wait} s");
        now = now + ms(wait * 1000);
        race.paths.retest(now);
        assert!(!race.paths.has((eth0(), Family::V4)), "{wait} s");
        let winner = entry(&mut race, wlan0(), Stage::AwaitingReply, ACKED);
        race.delivered(&winner, now);
    }
    let winner = entry(&mut race, eth0(), Stage::AwaitingReply, ACKED);
    race.delivered(&winner, now);
    assert!(!race.paths.has((eth0(), Family::V4)), "it has delivered");
}

#[test]
fn an_answer_may_take_two_seconds_or_three_times_the_last_one() {
    let mut race = Race::default();
    assert_eq!(race.slow_after(), SLOW_MIN);
    let winner = entry(&mut race, eth0(), Stage::AwaitingReply, ACKED);
    race.delivered(&winner, winner.stamps.written_at + ms(3_000));
    assert_eq!(race.slow_after(), ms(9_000));
}
