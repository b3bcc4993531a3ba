use std::net::Ipv4Addr;

use super::*;
use linkbeat_core::wire::http_server::parse;

const TOKEN: &str = "a-Token+of/sorts==";
const FRIEND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 66));

fn guard() -> Guard {
    Guard::new(TOKEN.into(), 5000)
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1) + Duration::from_secs(seconds)
}

/// What `guard` says to a request with these fields.
fn admit(guard: &mut Guard, fields: &str, from: IpAddr, now: Instant) -> Result<(), Refusal> {
    let text = format!("GET / HTTP/1.1\r\nHost: camera\r\n{fields}\r\n");
    guard.admit(&parse(text.as_bytes(), Names::Any).unwrap().unwrap(), from, now)
}

fn log_in(guard: &mut Guard, body: &str, from: IpAddr, now: Instant) -> Result<SessionId, Refusal> {
    let text = format!(
        "POST /login HTTP/1.1\r\nHost: camera\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    guard.log_in(&parse(text.as_bytes(), Names::Any).unwrap().unwrap(), from, now)
}

fn wrong(guard: &mut Guard, from: IpAddr, now: Instant) -> Result<(), Refusal> {
    admit(guard, "Authorization: Bearer a-Token+of/sorts=\r\n", from, now)
}

#[test]
fn script_is_let_in_by_the_token_and_by_nothing_else() {
    for (fields, admitted) in [
        (format!("Authorization: Bearer {TOKEN}\r\n"), true),
        (format!("authorization: bearer   {TOKEN}\r\n"), true),
        (format!("Authorization: Basic {TOKEN}\r\n"), false),
        (format!("Authorization: Bearer{TOKEN}\r\n"), false),
        (format!("Authorization: {TOKEN}\r\n"), false),
        (format!("Authorization: Bearer {TOKEN}x\r\n"), false),
        (format!("Authorization: Bearer {}\r\n", &TOKEN[1..]), false),
        (format!("Authorization: Bearer {}\r\n", TOKEN.to_lowercase()), false),
        ("Authorization: Bearer \r\n".to_owned(), false),
        (format!("Cookie: linkbeat-5000={TOKEN}\r\n"), false),
        ("Cookie: linkbeat-5000=\r\n".to_owned(), false),
        ("X: y\r\n".to_owned(), false),
    ] {
        let expected = if admitted { Ok(()) } else { Err(Refusal::Unauthorized) };
        assert_eq!(admit(&mut guard(), &fields, FRIEND, at(0)), expected, "{fields}");
    }
}

#[test]
fn browser_is_let_in_by_the_session_it_gets_for_the_token() {
    let mut guard = guard();
    let session = log_in(&mut guard, "token=a-Token%2Bof%2fsorts%3d%3D", FRIEND, at(0)).unwrap();
    assert_eq!(session.len(), 32);
    assert!(!session.contains(TOKEN));
    let again = log_in(&mut guard, &format!("x=y&token={TOKEN}"), STRANGER, at(1)).unwrap();
    assert_ne!(again, session);
    for session in [&session, &again] {
        let cookie = format!("Cookie: a=b; linkbeat-5000=old; linkbeat-5000={session};c=d\r\n");
        assert_eq!(admit(&mut guard, &cookie, STRANGER, at(1)), Ok(()));
    }
    for cookie in [
        format!("Cookie: other={session}\r\n"),
        // That of an agent on another port.
        format!("Cookie: linkbeat-5001={session}\r\n"),
        format!("Cookie: linkbeat={session}\r\n"),
        format!("Cookie: linkbeat-5000={}\r\n", &session[1..]),
        format!("Cookie: {session}\r\n"),
    ] {
        assert_eq!(
            admit(&mut guard, &cookie, FRIEND, at(1)),
            Err(Refusal::Unauthorized),
            "{cookie}"
        );
    }
}

#[test]
fn session_is_another_one_for_each_run() {
    let session = || log_in(&mut guard(), &format!("token={TOKEN}"), FRIEND, at(0)).unwrap();
    assert_ne!(session(), session());
}

#[test]
fn session_ends_with_its_time_by_a_logout_and_by_the_eighth_later_login() {
    let mut guard = guard();
    let mut login = |now| log_in(&mut guard, &format!("token={TOKEN}"), FRIEND, now).unwrap();
    let sessions: Vec<_, 16> = (0..10).map(|second| login(at(second))).collect();
    let is_valid = |guard: &mut Guard, nth: usize, now| {
        let cookie = format!("Cookie: linkbeat-5000={}\r\n", sessions[nth]);
        admit(guard, &cookie, STRANGER, now).is_ok()
    };
    for (nth, valid) in [(0, false), (1, false), (2, true), (9, true)] {
        assert_eq!(is_valid(&mut guard, nth, at(10)), valid, "{nth}");
    }
    let text = format!(
        "POST /logout HTTP/1.1\r\nHost: camera\r\nCookie: linkbeat-5000={}\r\n\r\n",
        sessions[5]
    );
    guard.log_out(&parse(text.as_bytes(), Names::Any).unwrap().unwrap());
    for (nth, valid) in [(4, true), (5, false), (6, true)] {
        assert_eq!(is_valid(&mut guard, nth, at(10)), valid, "{nth}");
    }
    let end = at(9) + SESSION_TIME;
    assert!(is_valid(&mut guard, 9, Instant::from_micros(end.as_micros() - 1)));
    assert!(!is_valid(&mut guard, 9, end));
}

#[test]
fn form_without_the_token_is_no_login() {
    for body in ["", "token=", "Token=x", "tokens=a-Token+of/sorts==", "token=a%2", "x&y&&=&token"]
    {
        let refused = log_in(&mut guard(), body, FRIEND, at(0));
        assert_eq!(refused, Err(Refusal::Unauthorized), "{body}");
    }
    let long = format!("token={TOKEN}{}", "x".repeat(900));
    assert_eq!(log_in(&mut guard(), &long, FRIEND, at(0)), Err(Refusal::Unauthorized));
}

#[test]
fn who_guesses_is_heard_every_ten_seconds_and_nobody_else_is_held_up() {
    let mut guard = guard();
    let session = log_in(&mut guard, &format!("token={TOKEN}"), FRIEND, at(0)).unwrap();
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    for _ in 0..5 {
        assert_eq!(wrong(&mut guard, STRANGER, at(0)), Err(Refusal::Unauthorized));
    }
    let mut tries = 0;
    for second in 0..600 {
        match wrong(&mut guard, STRANGER, at(second)) {
            Err(Refusal::Unauthorized) => tries += 1,
            Err(Refusal::TooManyGuesses { wait_s }) => assert!((1..=11).contains(&wait_s)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tries, 59);
    // The right token is no exception, or the answer would reveal that it is right.
    let held = admit(&mut guard, &right, STRANGER, at(599));
    assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{held:?}");
    let held = log_in(&mut guard, &format!("token={TOKEN}"), STRANGER, at(599));
    assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{held:?}");
    assert_eq!(admit(&mut guard, &right, FRIEND, at(599)), Ok(()));
    let cookie = format!("Cookie: linkbeat-5000={session}\r\n");
    assert_eq!(admit(&mut guard, &cookie, STRANGER, at(599)), Ok(()));
    assert_eq!(admit(&mut guard, &right, STRANGER, at(700)), Ok(()));
}

#[test]
fn who_guessed_begins_anew_after_ten_minutes() {
    let mut guard = guard();
    for _ in 0..5 {
        assert_eq!(wrong(&mut guard, STRANGER, at(0)), Err(Refusal::Unauthorized));
    }
    for _ in 0..5 {
        assert_eq!(wrong(&mut guard, STRANGER, at(600)), Err(Refusal::Unauthorized));
    }
    assert!(matches!(wrong(&mut guard, STRANGER, at(600)), Err(Refusal::TooManyGuesses { .. })));
}

#[test]
fn addresses_of_one_guest_count_together() {
    let mut guard = guard();
    let of_network = |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host));
    let of_ipv4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    for host in 0..5 {
        assert_eq!(wrong(&mut guard, of_network(host), at(0)), Err(Refusal::Unauthorized));
        assert_eq!(wrong(&mut guard, of_ipv4(1), at(0)), Err(Refusal::Unauthorized));
    }
    for address in [of_network(77), of_ipv4(1)] {
        let held = wrong(&mut guard, address, at(0));
        assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{address}: {held:?}");
    }
    assert_eq!(wrong(&mut guard, of_ipv4(2), at(0)), Err(Refusal::Unauthorized));
}

/// The next address of a crowd.
fn one_of_many(nth: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(nth).unwrap()))
}

#[test]
fn more_addresses_than_are_counted_guess_no_faster_together() {
    let mut guard = guard();
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(admit(&mut guard, &right, FRIEND, at(0)), Ok(()));
    let mut compared = 0;
    for second in 0..10 {
        for nth in 0..100 {
            match wrong(&mut guard, one_of_many(nth), at(second)) {
                Err(Refusal::Unauthorized) => compared += 1,
                Err(Refusal::TooManyGuesses { wait_s }) => assert!((1..=11).contains(&wait_s)),
                other => panic!("{other:?}"),
            }
        }
    }
    // Five for each that is counted, and five for all others.
    assert_eq!(compared, 5 * (OFFENDERS_MAX + 1));
    assert_eq!(guard.offenders.len(), OFFENDERS_MAX);
    assert_eq!(guard.logged_at, [Some(at(4)), Some(at(0))]);
    // One that has shown the token is no new one, and the loopback is everybody's.
    let held = admit(&mut guard, &right, STRANGER, at(9));
    assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{held:?}");
    assert_eq!(admit(&mut guard, &right, FRIEND, at(9)), Ok(()));
    assert_eq!(admit(&mut guard, &right, Ipv4Addr::LOCALHOST.into(), at(9)), Ok(()));
    // When they are silent, it is over.
    assert_eq!(admit(&mut guard, &right, STRANGER, at(11)), Ok(()));
    assert_eq!(wrong(&mut guard, one_of_many(99), at(700)), Err(Refusal::Unauthorized));
    assert_eq!(guard.offenders.len(), 1);
}

#[test]
fn no_failure_of_others_locks_out_a_valid_token() {
    let link_local = |host: u16| IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host));
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    for (guesser, valid, known) in [
        // Other programs of the camera.
        (loopback, loopback, false),
        (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), false),
        // The link-local network is everybody's.
        (link_local(1), link_local(2), false),
        // Behind the same router as one that has shown the token before.
        (STRANGER, STRANGER, true),
    ] {
        let mut guard = guard();
        if known {
            assert_eq!(admit(&mut guard, &right, valid, at(0)), Ok(()));
        }
        for _ in 0..5 {
            assert_eq!(wrong(&mut guard, guesser, at(1)), Err(Refusal::Unauthorized));
        }
        let held = wrong(&mut guard, guesser, at(1));
        assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{guesser}: {held:?}");
        assert_eq!(admit(&mut guard, &right, valid, at(1)), Ok(()), "{guesser} {valid}");
    }
}
