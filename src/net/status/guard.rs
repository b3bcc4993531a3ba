//! Who is let in: everyone, or who has the token.
//!
//! A script sends the token with every request. A browser sends it once, and then a *session* in its
//! place: a random word for this run of the agent and this token, so that nothing a browser keeps
//! tells the token. Guessing is slow for each address by itself, and nobody else is held up by it;
//! who has a session is let in whatever others do from the same address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use heapless::{String, Vec};
use subtle::ConstantTimeEq;

use crate::config::{STATUS_TOKEN_MAX, Secret};
use crate::proto::time::Instant;
use crate::sys::random;
use crate::wire::http_server::{Names, Refusal, Request, login};

#[cfg(test)]
mod tests;

/// Wrong tokens that an address may give before it is held up.
const GUESSES: u8 = 5;
/// How long an address that gave them is not heard, after each further one.
const PAUSE: Duration = Duration::from_secs(10);
/// After which time without a wrong token an address begins anew.
const FORGET: Duration = Duration::from_secs(600);
/// Room for the token in a form: a longer one is wrong, cut or not.
const FORM_TOKEN_MAX: usize = STATUS_TOKEN_MAX + 1;
/// Most addresses that are remembered; then the one forgotten is that which was silent longest.
const OFFENDERS_MAX: usize = 16;
/// Time between two words about guesses in the log.
const QUIET: Duration = Duration::from_secs(60);

/// The word in a cookie: 128 random bits.
pub(super) type Session = String<32>;

/// The way in.
#[derive(Debug)]
pub(super) enum Gate {
    /// There is no token, and what keeps strangers out is that they are on another machine.
    Loopback,
    /// There is no token, and what keeps strangers out is the mode of a file.
    File,
    /// There is a token.
    Guarded(Box<Guard>),
}

/// Who asks for the token.
#[derive(Debug)]
pub(super) struct Guard {
    token: Secret,
    /// Drawn for the first who logs in.
    session: Option<Session>,
    offenders: Vec<Offender, OFFENDERS_MAX>,
    told_at: Option<Instant>,
}

#[derive(Debug)]
struct Offender {
    address: IpAddr,
    wrong: u8,
    last_at: Instant,
}

impl Gate {
    /// To which names the server answers.
    pub(super) const fn names(&self) -> Names {
        match self {
            Self::Loopback => Names::Loopback,
            Self::File | Self::Guarded(_) => Names::Any,
        }
    }

    /// Lets `request` of the address `from` in, or not.
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
}

impl Guard {
    pub(super) const fn new(token: Secret) -> Self {
        Self { token, session: None, offenders: Vec::new(), told_at: None }
    }

    /// Whether it is this token that is asked for.
    pub(super) fn has(&self, token: &Secret) -> bool {
        self.token == *token
    }

    fn admit(&mut self, request: &Request<'_>, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let session = self.session.as_ref();
        let is_session = |cookie: &str| session.is_some_and(|it| same(it.as_bytes(), cookie));
        if login::cookies(request).any(is_session) {
            return Ok(());
        }
        let token = login::bearer(request).ok_or(Refusal::Unauthorized)?;
        self.check(token.as_bytes(), from, now)
    }

    /// A session for who sent the token in `request`, the form of the login page.
    pub(super) fn log_in(
        &mut self,
        request: &Request<'_>,
        from: IpAddr,
        now: Instant,
    ) -> Result<Session, Refusal> {
        let token = login::form_token(request).ok_or(Refusal::Unauthorized)?;
        let token: Vec<u8, FORM_TOKEN_MAX> = token.take(FORM_TOKEN_MAX).collect();
        self.check(&token, from, now)?;
        let session = match self.session.take() {
            Some(session) => session,
            None => draw().ok_or(Refusal::NoEntropy)?,
        };
        Ok(self.session.insert(session).clone())
    }

    /// Compares a token, unless it comes from an address that gave too many wrong ones.
    fn check(&mut self, token: &[u8], from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let from = network(from);
        self.offenders.retain(|offender| now < offender.last_at + FORGET);
        let known = self.offenders.iter_mut().find(|offender| offender.address == from);
        // Right or wrong, it is not looked at: the answer would tell which.
        if let Some(Offender { wrong: GUESSES.., last_at, .. }) = known
            && now < *last_at + PAUSE
        {
            let wait = *last_at + PAUSE - now;
            return Err(Refusal::TooManyGuesses { wait_s: wait.as_secs() + 1 });
        }
        if same(self.token.expose().as_bytes(), token) {
            return Ok(());
        }
        match known {
            Some(offender) => {
                offender.wrong = offender.wrong.saturating_add(1);
                offender.last_at = now;
                if offender.wrong == GUESSES {
                    self.tell(from, now);
                }
            }
            None => self.remember(Offender { address: from, wrong: 1, last_at: now }),
        }
        Err(Refusal::Unauthorized)
    }

    fn remember(&mut self, offender: Offender) {
        if let Err(offender) = self.offenders.push(offender)
            && let Some(oldest) = self.offenders.iter_mut().min_by_key(|it| it.last_at)
        {
            *oldest = offender;
        }
    }

    fn tell(&mut self, from: IpAddr, now: Instant) {
        if self.told_at.is_none_or(|at| now >= at + QUIET) {
            self.told_at = Some(now);
            log::warn!(
                "status server: {from} gave {GUESSES} wrong tokens and is heard every {} s only",
                PAUSE.as_secs()
            );
        }
    }
}

/// Compares without telling by the time it takes how much is right; the length is no secret.
fn same(expected: &[u8], shown: impl AsRef<[u8]>) -> bool {
    expected.ct_eq(shown.as_ref()).into()
}

/// What one guest has for himself: an address, or with IPv6 a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

fn draw() -> Option<Session> {
    let mut session = Session::new();
    for byte in random::bytes::<16>()? {
        for digit in [byte >> 4, byte & 0xF] {
            session.push(char::from_digit(digit.into(), 16)?).ok()?;
        }
    }
    Some(session)
}
