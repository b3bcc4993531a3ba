use std::net::Ipv4Addr;

use super::*;
use crate::wire::http_server::parse;

const TOKEN: &str = "a-Token+of/sorts==";
const FRIEND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 66));

fn guard() -> Guard {
    Guard::new(Secret::new(TOKEN.into()))
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1) + Duration::from_secs(seconds)
}

/// What `guard` says to a request with these fields.
fn admit(guard: &mut Guard, fields: &str, from: IpAddr, now: Instant) -> Result<(), Refusal> {
    let text = format!("GET / HTTP/1.1\r\nHost: camera\r\n{fields}\r\n");
    guard.admit(&parse(text.as_bytes(), Names::Any).unwrap().unwrap(), from, now)
}

fn log_in(guard: &mut Guard, body: &str, from: IpAddr, now: Instant) -> Result<Session, Refusal> {
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
        (format!("Cookie: linkbeat={TOKEN}\r\n"), false),
        ("Cookie: linkbeat=\r\n".to_owned(), false),
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
    assert_eq!(again, session, "one session for all, or they would log each other out");
    let cookie = format!("Cookie: a=b; linkbeat=old; linkbeat={session};c=d\r\n");
    assert_eq!(admit(&mut guard, &cookie, STRANGER, at(1)), Ok(()));
    for cookie in [
        format!("Cookie: other={session}\r\n"),
        format!("Cookie: linkbeat={}\r\n", &session[1..]),
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
    let session = log_in(&mut guard, &format!("token={TOKEN}"), STRANGER, at(0)).unwrap();
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
    // The right token is no exception, or the answer would tell that it is right.
    let held = admit(&mut guard, &right, STRANGER, at(599));
    assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{held:?}");
    let held = log_in(&mut guard, &format!("token={TOKEN}"), STRANGER, at(599));
    assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{held:?}");
    assert_eq!(admit(&mut guard, &right, FRIEND, at(599)), Ok(()));
    let cookie = format!("Cookie: linkbeat={session}\r\n");
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
    let mapped = |last| IpAddr::V6(Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped());
    for host in 0..5 {
        assert_eq!(wrong(&mut guard, of_network(host), at(0)), Err(Refusal::Unauthorized));
        assert_eq!(wrong(&mut guard, mapped(1), at(0)), Err(Refusal::Unauthorized));
    }
    for address in [of_network(77), mapped(1), Ipv4Addr::new(10, 0, 0, 1).into()] {
        let held = wrong(&mut guard, address, at(0));
        assert!(matches!(held, Err(Refusal::TooManyGuesses { .. })), "{address}: {held:?}");
    }
    assert_eq!(wrong(&mut guard, mapped(2), at(0)), Err(Refusal::Unauthorized));
}

#[test]
fn more_offenders_than_are_remembered_push_the_oldest_out() {
    let mut guard = guard();
    let address = |last: usize| IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(last).unwrap()));
    for last in 0..=OFFENDERS_MAX {
        for _ in 0..5 {
            let refused = wrong(&mut guard, address(last), at(u64::try_from(last).unwrap() / 4));
            assert_eq!(refused, Err(Refusal::Unauthorized), "{last}");
        }
    }
    assert_eq!(guard.offenders.len(), OFFENDERS_MAX);
    assert!(wrong(&mut guard, address(OFFENDERS_MAX), at(4)) != Err(Refusal::Unauthorized));
    assert_eq!(wrong(&mut guard, address(0), at(4)), Err(Refusal::Unauthorized));
}
