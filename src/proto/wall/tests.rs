use super::*;

const BUILT_S: u64 = 1_790_000_000;
const YEAR_S: u64 = 365 * 86_400;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

#[test]
fn clock_of_1970_is_not_set_until_it_reads_the_build_or_later() {
    let mut clock = WallClock::new(BUILT_S);
    assert_eq!(clock.look(3, at(3)), Some(Turn::Unset));
    assert_eq!(clock.unset_since(), Some(at(3)));
    assert_eq!(clock.look(9, at(9)), None);
    assert_eq!(clock.unset_since(), Some(at(3)));
    assert_eq!(clock.look(BUILT_S + 1, at(12)), Some(Turn::Set));
    assert_eq!(clock.unset_since(), None);
    assert_eq!(clock.look(BUILT_S + 2, at(13)), None);
}

#[test]
fn slack_is_forgiven_and_a_second_more_is_not() {
    for (unix_s, set) in [(BUILT_S - SLACK_S, true), (BUILT_S - SLACK_S - 1, false)] {
        let mut clock = WallClock::new(BUILT_S);
        assert_eq!(clock.look(unix_s, at(1)).is_none(), set, "{unix_s}");
        assert_eq!(clock.floor(at(1)).allows(unix_s), set);
    }
    assert!(Floor { unix_s: u64::MAX, source: Source::Build }.allows(u64::MAX));
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
    assert_eq!(clock.look(BUILT_S + YEAR_S, at(1)), None);
    clock.server_said(BUILT_S + YEAR_S, at(2));
    assert_eq!(clock.look(BUILT_S + YEAR_S / 2, at(3)), Some(Turn::Unset));
    assert_eq!(clock.look(BUILT_S + YEAR_S + 1, at(4)), Some(Turn::Set));
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
    assert_eq!(clock.look(7, at(7)), Some(Turn::Unset));
    assert_eq!(clock.best(7, at(7)), 7);
    // A server that is itself behind knows nothing better.
    clock.server_said(BUILT_S - YEAR_S, at(9));
    assert_eq!(clock.best(9, at(9)), 9);
    clock.server_said(BUILT_S + 500, at(10));
    assert_eq!(clock.best(12, at(12)), BUILT_S + 502);
    assert_eq!(clock.look(BUILT_S + 600, at(13)), Some(Turn::Set));
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
