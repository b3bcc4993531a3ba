//! Which HTTP clients are let in: all, or those that have the token.
//!
//! A script sends the token with every request. A browser sends it once, and then a *session* in
//! its place: a random word for this login, so that nothing a browser keeps discloses the token.
//! Guessing is slow for each address by itself, and for all together when there are too many to
//! count. It holds up no client with a session, and no other address that has shown the token: a
//! *friend*. Nor does it hold up the loopback, an address that all programs of the camera share.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use heapless::{String, Vec};
use subtle::ConstantTimeEq;

use crate::sys::random;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::http_server::{Names, Refusal, Request, login};

#[cfg(test)]
mod tests;

/// Wrong tokens that an address may give before it is held up.
const GUESSES: u8 = 5;
/// How long an address that gave them is refused, after each further one.
const PAUSE: Duration = Duration::from_secs(10);
/// After which time without a wrong token an address begins anew.
const FORGET: Duration = Duration::from_secs(600);
/// Most addresses that are remembered; those beyond them count together.
const OFFENDERS_MAX: usize = 16;
/// Most friends that are remembered: the last ones.
const FRIENDS_MAX: usize = 16;
/// Most sessions; a login beyond them ends the oldest one.
const SESSIONS_MAX: usize = 8;
/// How long a session lasts.
pub(super) const SESSION_TIME: Duration = Duration::from_secs(30 * 86_400);
/// Least time between two log lines about guesses.
const QUIET: Duration = Duration::from_secs(60);

/// The word in a cookie: 128 random bits.
pub(super) type SessionId = String<32>;

/// What keeps strangers out.
pub(in crate::net::local) enum Gate {
    /// There is no token: other machines cannot connect.
    Loopback,
    /// There is no token: the mode of the socket's file decides.
    File,
    /// There is a token.
    Guarded(Box<Guard>),
}

/// The token, the sessions that were given for it, and the addresses that guess it.
pub(in crate::net::local) struct Guard {
    token: std::string::String,
    /// The port of the server, by which browsers do not distinguish cookies.
    port: u16,
    /// The sessions.
    sessions: Vec<Session, SESSIONS_MAX>,
    /// The addresses that gave the right token.
    friends: Vec<IpAddr, FRIENDS_MAX>,
    /// The addresses that gave wrong tokens.
    offenders: Vec<Offender, OFFENDERS_MAX>,
    /// The wrong tokens of all other addresses.
    others: Guesses,
    /// When guesses were logged last: of one address, and of the others.
    logged_at: [Option<Instant>; 2],
}

/// A browser that is logged in.
#[derive(Debug)]
struct Session {
    id: SessionId,
    ends_at: Instant,
}

impl Session {
    /// Whether `request` to this port has its cookie.
    fn is_shown(&self, request: &Request<'_>, port: u16) -> bool {
        login::cookies(request, port).any(|cookie| constant_time_eq(self.id.as_bytes(), cookie))
    }
}

/// Adds an item, for which the oldest one goes if there is no room.
fn push<T, const N: usize>(items: &mut Vec<T, N>, item: T) {
    if items.is_full() {
        items.remove(0);
    }
    assert!(items.push(item).is_ok(), "there is room");
}

/// An address that gave a wrong token.
#[derive(Debug)]
struct Offender {
    address: IpAddr,
    guesses: Guesses,
}

/// Wrong tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Guesses {
    wrong: u8,
    /// When the last one came.
    last_at: Instant,
}

impl Guesses {
    /// How long no further token is compared.
    fn pause(self, now: Instant) -> Option<Duration> {
        let ends_at = self.last_at + PAUSE;
        (self.wrong >= GUESSES && now < ends_at).then(|| ends_at - now)
    }

    /// Counts a wrong token; whether pauses begin with it.
    fn count(&mut self, now: Instant) -> bool {
        *self = Self { wrong: self.wrong.saturating_add(1), last_at: now };
        self.wrong == GUESSES
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now >= self.last_at + FORGET
    }
}

impl Gate {
    /// The host names that the server answers to.
    pub(super) const fn names(&self) -> Names {
        match self {
            Self::Loopback => Names::Loopback,
            Self::File | Self::Guarded(_) => Names::Any,
        }
    }

    /// Whether `request` of the address `from` is served.
    pub(super) fn admit(
        &mut self,
        request: &Request<'_>,
        from: IpAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        match self {
            Self::Loopback | Self::File => Ok(()),
            Self::Guarded(guard) => guard.admit(request, from, now),
        }
    }

    /// The port that is part of the cookie's name, where there are sessions.
    pub(super) fn port(&self) -> u16 {
        if let Self::Guarded(guard) = self { guard.port } else { 0 }
    }
}

impl Guard {
    /// Guards a server on this port.
    pub(in crate::net::local) const fn new(token: std::string::String, port: u16) -> Self {
        Self {
            token,
            port,
            sessions: Vec::new(),
            friends: Vec::new(),
            offenders: Vec::new(),
            others: Guesses { wrong: 0, last_at: Instant::from_micros(0) },
            logged_at: [None; 2],
        }
    }

    /// Whether this token is asked for, on this port.
    pub(in crate::net::local) fn has(&self, token: &str, port: u16) -> bool {
        self.token == token && self.port == port
    }

    fn admit(&mut self, request: &Request<'_>, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let mut sessions = self.sessions.iter();
        if sessions.any(|session| now < session.ends_at && session.is_shown(request, self.port)) {
            return Ok(());
        }
        let token = login::bearer(request).ok_or(Refusal::Unauthorized)?;
        self.check(token.as_bytes(), from, now)
    }

    /// The session of a client that sent the token in `request`, the form of the login page.
    pub(super) fn log_in(
        &mut self,
        request: &Request<'_>,
        from: IpAddr,
        now: Instant,
    ) -> Result<SessionId, Refusal> {
        let token = login::form_token(request).ok_or(Refusal::Unauthorized)?;
        // A longer one is wrong, cut or not.
        let token: std::vec::Vec<u8> = token.take(self.token.len() + 1).collect();
        self.check(&token, from, now)?;
        let id = new_session().ok_or(Refusal::NoEntropy)?;
        push(&mut self.sessions, Session { id: id.clone(), ends_at: now + SESSION_TIME });
        Ok(id)
    }

    /// Ends the session of `request`.
    pub(super) fn log_out(&mut self, request: &Request<'_>) {
        self.sessions.retain(|session| !session.is_shown(request, self.port));
    }

    /// Compares a token, unless it comes from an address that gave too many wrong ones.
    ///
    /// That of a friend is always compared: others may guess from its address, behind one router or
    /// on the camera itself, and lock nobody out.
    fn check(&mut self, token: &[u8], from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let from = network(from);
        self.offenders.retain(|offender| !offender.guesses.is_forgotten(now));
        if self.others.is_forgotten(now) {
            self.others = Guesses::default();
        }
        let known = self.offenders.iter().position(|offender| offender.address == from);
        let guesses = known.and_then(|place| self.offenders.get(place));
        let pause = guesses.map_or(self.others, |offender| offender.guesses).pause(now);
        let is_friend = from.is_loopback() || self.friends.contains(&from);
        // Right or wrong, the token is not compared: the answer would disclose which.
        let refused = pause.map(|wait| Refusal::TooManyGuesses { wait_s: wait.as_secs() + 1 });
        if let Some(refusal) = refused.filter(|_| !is_friend) {
            return Err(refusal);
        }
        if constant_time_eq(self.token.as_bytes(), token) {
            if !is_friend {
                push(&mut self.friends, from);
            }
            return Ok(());
        }
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        self.count(known, from, is_friend, now);
        Err(Refusal::Unauthorized)
    }

    /// Counts a wrong token of an address, the one at `known` or a new one.
    fn count(&mut self, known: Option<usize>, from: IpAddr, is_friend: bool, now: Instant) {
        let new = Offender { address: from, guesses: Guesses::default() };
        let place = known.or_else(|| {
            self.offenders.push(new).ok()?;
            self.offenders.len().checked_sub(1)
        });
        let pause_s = PAUSE.as_secs();
        match place.and_then(|place| self.offenders.get_mut(place)) {
            Some(offender) => {
                let begins = offender.guesses.count(now);
                if begins && is_friend {
                    self.log(0, now, format_args!("wrong tokens keep coming from {from}"));
                } else if begins {
                    self.log(
                        0,
                        now,
                        format_args!(
                            "{from} gave {GUESSES} wrong tokens and is heard every {pause_s} s only"
                        ),
                    );
                }
            }
            None => {
                if self.others.count(now) {
                    self.log(1, now, format_args!(
                        "more than {OFFENDERS_MAX} addresses gave wrong tokens: new ones are heard \
                         every {pause_s} s only, all together"
                    ));
                }
            }
        }
    }

    fn log(&mut self, kind: usize, now: Instant, message: fmt::Arguments<'_>) {
        if let Some(logged_at) = self.logged_at.get_mut(kind)
            && logged_at.is_none_or(|at| now >= at + QUIET)
        {
            *logged_at = Some(now);
            log::warn!("status server: {message}");
        }
    }
}

/// Compares in a time that does not depend on how much is right; the length is no secret.
fn constant_time_eq(expected: &[u8], shown: impl AsRef<[u8]>) -> bool {
    expected.ct_eq(shown.as_ref()).into()
}

/// The addresses that count as one client: a single one, or with IPv6 a network. The link-local
/// network is everybody's.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) if address.is_loopback() || address.is_unicast_link_local() => {
            IpAddr::V6(address)
        }
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

fn new_session() -> Option<SessionId> {
    let mut session = SessionId::new();
    random::bytes::<16>()?.iter().try_for_each(|byte| write!(session, "{byte:02x}")).ok()?;
    Some(session)
}
