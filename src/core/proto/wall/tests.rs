use super::*;

const BUILT_S: u64 = 1_790_000_000;
const YEAR_S: u64 = 365 * 86_400;

const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3600;
const MINUTE_S: u64 = 60;

/// A clock that nobody keeps.
fn alone(unix_s: u64) -> Reading {
    Reading { unix_s, synchronised: false }
}

/// A clock that the kernel calls synchronised.
fn kept(unix_s: u64) -> Reading {
    Reading { unix_s, synchronised: true }
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

#[test]
fn clock_of_1970_is_not_set_until_it_reads_the_build_or_later() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.update(alone(3), at(3)), Some(ClockTransition::Unset));
    assert_eq!(clock.unset_since(), Some(at(3)));
    assert_eq!(clock.update(alone(9), at(9)), None);
    assert_eq!(clock.unset_since(), Some(at(3)));
    assert_eq!(clock.update(alone(BUILT_S + 1), at(12)), Some(ClockTransition::Set));
    assert_eq!(clock.unset_since(), None);
    assert_eq!(clock.update(alone(BUILT_S + 2), at(13)), None);
}

#[test]
fn slack_is_forgiven_and_a_second_more_is_not() {
    for (unix_s, set) in [(BUILT_S - SLACK_S, true), (BUILT_S - SLACK_S - 1, false)] {
        let mut clock = WallClock::new(BUILT_S);
        assert_eq!(clock.update(alone(unix_s), at(1)).is_none(), set, "{unix_s}");
        assert_eq!(allows(clock.floor(at(1)).unix_s, unix_s), set);
    }
    assert!(allows(u64::MAX, u64::MAX));
}

#[test]
fn floor_is_the_latest_of_build_file_and_server() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.floor(at(0)), Floor { unix_s: BUILT_S, source: Source::Build });
    assert!(clock.file_written(BUILT_S - 1));
    assert_eq!(clock.floor(at(0)).source, Source::Build);
    assert!(clock.file_written(BUILT_S + 50));
    assert_eq!(clock.floor(at(0)), Floor { unix_s: BUILT_S + 50, source: Source::File });
    // An older file takes nothing back.
    assert!(clock.file_written(BUILT_S + 20));
    assert_eq!(clock.floor(at(0)).unix_s, BUILT_S + 50);
    clock.forget_files();
    assert!(clock.file_written(BUILT_S + 20));
    assert_eq!(clock.floor(at(0)).unix_s, BUILT_S + 20);
    assert!(clock.file_written(BUILT_S + 50));
    clock.server_said(BUILT_S + 40, at(100));
    assert_eq!(clock.floor(at(100)).source, Source::File);
    // Its date goes on with the clock since boot.
    assert_eq!(clock.floor(at(160)), Floor { unix_s: BUILT_S + 100, source: Source::Server });
}

#[test]
fn file_from_a_far_future_is_not_believed() {
    let mut clock = WallClock::new(BUILT_S);
    assert!(!clock.file_written(BUILT_S + FILES_BELIEVED_S + 1));
    assert_eq!(clock.floor(at(0)).source, Source::Build);
    assert!(clock.file_written(BUILT_S + FILES_BELIEVED_S));
    assert_eq!(clock.floor(at(0)).source, Source::File);
}

#[test]
fn clock_set_back_by_years_is_not_set_any_more() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.update(alone(BUILT_S + YEAR_S), at(1)), None);
    clock.server_said(BUILT_S + YEAR_S, at(2));
    assert_eq!(clock.update(alone(BUILT_S + YEAR_S / 2), at(3)), Some(ClockTransition::Unset));
    assert_eq!(clock.update(alone(BUILT_S + YEAR_S + 1), at(4)), Some(ClockTransition::Set));
}

#[test]
fn last_server_counts_also_when_its_date_is_the_earlier_one() {
    let mut clock = WallClock::new(BUILT_S);
    clock.server_said(BUILT_S + YEAR_S, at(1));
    clock.server_said(BUILT_S + 10, at(2));
    assert_eq!(clock.floor(at(2)).unix_s, BUILT_S + 10);
}

#[test]
fn best_guess_is_the_clock_if_set_then_the_server_then_the_clock_all_the_same() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.update(alone(7), at(7)), Some(ClockTransition::Unset));
    assert_eq!(clock.best(7, at(7)), 7);
    // A server that is itself behind knows nothing better.
    clock.server_said(BUILT_S - YEAR_S, at(9));
    assert_eq!(clock.best(9, at(9)), 9);
    clock.server_said(BUILT_S + 500, at(10));
    assert_eq!(clock.best(12, at(12)), BUILT_S + 502);
    assert_eq!(clock.update(alone(BUILT_S + 600), at(13)), Some(ClockTransition::Set));
    assert_eq!(clock.best(BUILT_S + 600, at(13)), BUILT_S + 600);
}

#[test]
fn date_is_bold_when_it_is_later_than_anything_known() {
    let mut clock = WallClock::new(BUILT_S);
    let now_s = BUILT_S + 1000;
    assert!(!clock.is_bold(now_s + SLACK_S, now_s, at(1)));
    assert!(clock.is_bold(now_s + SLACK_S + 1, now_s, at(1)));
    assert!(clock.is_bold(BUILT_S + SLACK_S + 1, 1, at(1)));
    assert!(!clock.is_bold(BUILT_S, 1, at(1)));
    clock.server_said(BUILT_S + YEAR_S, at(1));
    assert!(!clock.is_bold(BUILT_S + YEAR_S, 1, at(1)));
}

/// How far ahead of the truth, or behind it, a server may be.
const WRONG_BY_S: [u64; 6] = [6 * MINUTE_S, HOUR_S, DAY_S, 60 * DAY_S, 365 * DAY_S, 3650 * DAY_S];
/// What time it really is.
const TRUTH_S: u64 = BUILT_S + 30 * DAY_S;

/// Whether a clock is set, and whether it judges certificates alone, after a server gave a date.
fn after(reading: Reading, date_s: u64) -> (bool, bool) {
    let mut clock = WallClock::new(BUILT_S);
    clock.update(reading, at(9));
    clock.server_said(date_s, at(10));
    clock.update(reading, at(10));
    (clock.unset_since().is_none(), clock.floors(reading.unix_s, at(10)).allow(reading.unix_s))
}

#[test]
fn server_ahead_unsets_no_synchronised_clock_and_one_behind_unsets_none() {
    for by_s in WRONG_BY_S {
        // The clock at the truth, and at the very second of the build.
        for unix_s in [TRUTH_S, BUILT_S] {
            assert_eq!(after(kept(unix_s), unix_s + by_s), (true, true), "{by_s} ahead");
            assert_eq!(after(kept(unix_s), unix_s - by_s), (true, true), "{by_s} behind");
            assert_eq!(after(alone(unix_s), unix_s - by_s), (true, true), "{by_s} behind, alone");
            // Of two clocks that nobody vouches for the later one may be right.
            assert_eq!(after(alone(unix_s), unix_s + by_s), (false, false), "{by_s} ahead, alone");
        }
    }
    // The kernel vouches for what cannot be: an NTP daemon that was started before it had an answer.
    assert_eq!(after(kept(5), TRUTH_S), (false, false));
    assert_eq!(after(kept(BUILT_S - SLACK_S - 1), TRUTH_S), (false, false));
}

#[test]
fn date_moves_no_clock_by_which_certificates_are_judged_first() {
    for by_s in WRONG_BY_S {
        for reading in [kept(TRUTH_S), alone(TRUTH_S), kept(BUILT_S), alone(BUILT_S)] {
            let mut clock = WallClock::new(BUILT_S);
            clock.server_said(reading.unix_s + by_s, at(10));
            clock.update(reading, at(10));
            let floors = clock.floors(reading.unix_s, at(10));
            assert_eq!(floors.first_s(reading.unix_s), reading.unix_s, "{by_s} ahead");
            assert_eq!(floors.certain_s, BUILT_S);
        }
    }
}

#[test]
fn date_judges_where_the_clock_is_impossible_for_an_hour_after_it_came() {
    let mut clock = WallClock::new(BUILT_S);
    clock.server_said(TRUTH_S, at(10));
    clock.update(alone(10), at(10));
    let last = at(10) + DATE_EXPIRES_FOR;
    let first_s = |clock: &WallClock, now| clock.floors(10, now).first_s(10);
    assert_eq!(first_s(&clock, at(10)), TRUTH_S);
    assert_eq!(first_s(&clock, last), TRUTH_S + HOUR_S);
    let later = last + Duration::from_secs(1);
    assert_eq!(first_s(&clock, later), BUILT_S);
    // It is the best guess at the time all the same, and helps what is not yet valid by a possible clock.
    assert_eq!(clock.best(3611, later), TRUTH_S + HOUR_S + 1);
    assert_eq!(clock.floors(BUILT_S, later).likely_s, TRUTH_S + HOUR_S + 1);
}

#[test]
fn wrong_date_is_forgotten_when_contradicted() {
    type Contradict = fn(&mut WallClock);
    let table: [(&str, Contradict); 3] = [
        ("by a server, the same or another", |clock| clock.server_said(TRUTH_S, at(20))),
        ("by the kernel", |clock| {
            clock.update(kept(TRUTH_S), at(20));
        }),
        ("by a configuration with another server", WallClock::forget_date),
    ];
    for by_s in WRONG_BY_S {
        for (who, contradict) in table {
            let mut clock = WallClock::new(BUILT_S);
            clock.server_said(TRUTH_S + by_s, at(10));
            assert_eq!(clock.update(alone(TRUTH_S), at(10)), Some(ClockTransition::Unset));
            contradict(&mut clock);
            clock.update(alone(TRUTH_S), at(21));
            assert_eq!(clock.unset_since(), None, "{who}, {by_s} ahead");
            assert!(clock.floors(TRUTH_S, at(21)).allow(TRUTH_S), "{who}, {by_s} ahead");
        }
    }
}

#[test]
fn servers_that_contradict_each_other_unset_no_synchronised_clock() {
    let mut clock = WallClock::new(BUILT_S);
    for round in 0..10 {
        let date_s = if round % 2 == 0 { TRUTH_S + YEAR_S } else { TRUTH_S - YEAR_S };
        clock.server_said(date_s, at(round));
        assert_eq!(clock.update(kept(TRUTH_S + round), at(round)), None);
    }
}

#[test]
fn kernels_word_holds_until_the_clock_jumps() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.update(kept(TRUTH_S), at(0)), None);
    // Nine hours without NTP: the kernel does not vouch any more, but the clock has only been left alone.
    let (later, later_s) = (at(9 * HOUR_S), TRUTH_S + 9 * HOUR_S);
    clock.server_said(later_s + YEAR_S, later);
    assert_eq!(clock.update(alone(later_s), later), None);
    // It was forgotten: the jump does not bring it back.
    clock.jumped();
    assert_eq!(clock.update(alone(later_s), later), None);
    clock.server_said(later_s + YEAR_S, later);
    assert_eq!(clock.update(alone(later_s), later), Some(ClockTransition::Unset));
}

#[test]
fn synchronised_clock_is_right_against_a_file_from_the_future() {
    let mut clock = WallClock::new(BUILT_S);
    assert!(clock.file_written(TRUTH_S + YEAR_S));
    assert_eq!(clock.update(alone(TRUTH_S), at(1)), Some(ClockTransition::Unset));
    assert_eq!(clock.update(kept(TRUTH_S), at(2)), Some(ClockTransition::Set));
    assert_eq!(clock.floors(TRUTH_S, at(2)).certain_s, BUILT_S);
}

#[test]
fn file_moves_no_clock_by_which_certificates_are_judged_first() {
    for by_s in [6 * MINUTE_S, DAY_S, YEAR_S, 9 * YEAR_S] {
        let mut clock = WallClock::new(BUILT_S);
        assert!(clock.file_written(TRUTH_S + by_s));
        clock.update(alone(TRUTH_S), at(1));
        let floors = clock.floors(TRUTH_S, at(1));
        assert_eq!(floors.first_s(TRUTH_S), TRUTH_S, "{by_s} ahead");
        // Where the clock is impossible, and for what is not yet valid by it, the file counts.
        assert_eq!(floors.first_s(5), TRUTH_S + by_s);
        assert_eq!(floors.again_s(TRUTH_S), TRUTH_S + by_s);
        // It is looked at anew: with the right date it is as if it had never been wrong.
        clock.forget_files();
        assert!(clock.file_written(TRUTH_S));
        clock.update(alone(TRUTH_S), at(2));
        assert_eq!(clock.unset_since(), None);
        assert_eq!(clock.floors(5, at(2)).first_s(5), TRUTH_S);
    }
}

#[test]
fn clock_of_1970_is_not_set_whatever_a_server_says() {
    for by_s in WRONG_BY_S {
        for date_s in [TRUTH_S - by_s, TRUTH_S, TRUTH_S + by_s] {
            for reading in [alone(5), kept(5)] {
                assert!(!after(reading, date_s).0);
                // And that it is the best guess, although the kernel takes the clock for kept.
                let mut clock = WallClock::new(BUILT_S);
                clock.server_said(TRUTH_S + by_s, at(10));
                clock.update(reading, at(10));
                assert_eq!(clock.best(5, at(10)), TRUTH_S + by_s);
            }
        }
    }
}
