//! The Unix socket of helpers and of the command line: eventfds handed out, lines answered.
//!
//! Whoever connects is greeted with the line `linkbeat 1`, which carries an eventfd of its own
//! (unix(7) `SCM_RIGHTS`). From then on one write of eight bytes to that is a trigger, for as long
//! as the connection lives. Whoever only wants lines reads the greeting as plain text and writes:
//!
//! ```text
//! trigger [REASON]          set | pending | held until T | disabled | unconfigured
//! trigger --wait [REASON]   seq 812, 200, 83 ms, via wlan0 | failed: ... | gave up after 15 s ...
//!                           | held until T (where that is later) | disabled | unconfigured
//! status                    the status as JSON, then the end of the connection
//! history [N]               the history as JSON, of what has a number above N; then the end
//! anything else             error: what is wrong and what to do
//! ```
//!
//! One answer for each line, in their order; a line is not looked at before the one before it is
//! answered. T is ISO 8601 in UTC. A helper cannot do more than its share: one line or one ring for
//! each wake-up, a pause for who asks too often, the end for who does not take its answers.

use std::io;
use std::path::Path;
use std::time::Duration;

use mio::net::UnixListener;
use mio::{Interest, Registry, Token};

use self::helper::{Heard, Helper};
use super::local::{Allowance, Ask, Request, Tickets};
use super::place::{self, Place};
use crate::error::Error;
use crate::proto::event::{Ticket, TriggerAnswer};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::outcome::Outcome;

mod helper;
#[cfg(test)]
mod tests;

/// Most helpers with an eventfd.
pub const HELPERS_MAX: usize = 16;
/// Most connections beside them, without an eventfd and for `GUEST_TIME` only: full of helpers,
/// the socket must still answer the command line.
pub const GUESTS_MAX: usize = 4;
/// How many tokens the socket uses, from the first it is given.
pub const TOKENS: usize = 1 + 2 * SLOTS;
const SLOTS: usize = HELPERS_MAX + GUESTS_MAX;
/// Longest connection of a guest: the longest wait for a beat, and time to ask for it.
const GUEST_TIME: Duration = Duration::from_secs(20);
/// Most connections accepted in one wake-up.
const ACCEPTS_MAX: usize = 4;
/// Pause when there is no descriptor left for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_secs(1);

/// What an eventfd asks for: a beat, and no answer.
const RING: Request = Request { ticket: Ticket(0), ask: Ask::Trigger(None) };

/// The listening socket and its helpers. Dropping it removes its file.
#[derive(Debug)]
pub struct TriggerSocket {
    registry: Registry,
    first: Token,
    listener: UnixListener,
    place: Place,
    /// Whether the kernel's queue may hold connections that no edge will tell again.
    queued: bool,
    /// Not accepted from earlier.
    paused_until: Option<Instant>,
    accepts: Allowance,
    /// One per slot; their number never changes. Those from [`HELPERS_MAX`] on are guests'.
    helpers: Vec<Option<Helper>>,
    tickets: Tickets,
    /// Whether somebody was refused since all slots are in use.
    crowded: bool,
    /// Whether a helper wrote to its eventfd and was gone before it was heard.
    rung: bool,
}

impl TriggerSocket {
    /// Listens on `path`, using [`TOKENS`] tokens from `first` on.
    ///
    /// The file gets mode 0660 before anyone can connect, a missing directory of its mode 0755. The
    /// file of an agent that is gone is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRunning`] if someone listens there, [`Error::System`] for anything else.
    pub fn bind(path: &Path, registry: &Registry, first: Token) -> Result<Self, Error> {
        let (mut listener, place) = place::bind(path)?;
        let registry = registry.try_clone().map_err(Error::system("watch the trigger socket"))?;
        registry
            .register(&mut listener, first, Interest::READABLE)
            .map_err(Error::system("watch the trigger socket"))?;
        Ok(Self {
            registry,
            first,
            listener,
            place,
            queued: false,
            paused_until: None,
            accepts: Allowance::new(Instant::default()),
            helpers: (0..SLOTS).map(|_| None).collect(),
            tickets: Tickets::of_helpers(),
            crowded: false,
            rung: false,
        })
    }

    /// The file it listens on.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Whether who opens that file reaches this socket: somebody may have cleared the directory, or
    /// an agent that started in the same instant may have taken the place.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.place.is_ours()
    }

    /// Does what the readiness of `token` allows; what a helper asks for, if anything.
    ///
    /// Tokens of others are ignored, and so is a readiness that was none.
    #[must_use]
    pub fn on_ready(&mut self, token: Token, now: Instant) -> Option<Request> {
        let offset = match token.0.checked_sub(self.first.0)? {
            0 => {
                self.accept(now);
                return std::mem::take(&mut self.rung).then_some(RING);
            }
            offset => offset - 1,
        };
        let slot = offset / 2;
        let helper = self.helpers.get_mut(slot)?.as_mut()?;
        let heard = match offset % 2 {
            0 => helper.on_line(now, &self.registry),
            _ => helper.on_ring(now, &self.registry),
        };
        match heard {
            Heard::Nothing => None,
            Heard::Ring => Some(RING),
            Heard::Ask { ask, wait } => {
                let ticket = self.tickets.draw();
                helper.wait(ticket, wait, now);
                Some(Request { ticket, ask })
            }
            Heard::End => {
                self.close(slot);
                None
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        self.queued = true;
        for _ in 0..ACCEPTS_MAX {
            if self.paused_until.is_some() {
                return;
            }
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.queued = false;
                    return;
                }
                Err(error) => {
                    log::debug!("accept on the trigger socket: {error}");
                    self.paused_until = Some(now + EXHAUSTED_WAIT);
                    return;
                }
            };
            self.paused_until = self.accepts.take(now);
            let Some(slot) = self.helpers.iter().position(Option::is_none) else {
                if !std::mem::replace(&mut self.crowded, true) {
                    log::warn!("trigger socket: {SLOTS} helpers are connected, others are refused");
                }
                helper::refuse(stream);
                continue;
            };
            let guest_until = (slot >= HELPERS_MAX).then(|| now + GUEST_TIME);
            let token = Token(self.first.0 + 1 + 2 * slot);
            match Helper::new(stream, guest_until, token, &self.registry, now) {
                Ok(helper) => {
                    *self.helpers.get_mut(slot).expect("a slot that was found") = Some(helper);
                }
                Err(error) => log::debug!("greet a helper: {error}"),
            }
        }
    }

    /// The tokens to call [`on_ready`](Self::on_ready) with in the next wake-up, which must then
    /// not wait. Ask before every wait: after an answer or a pause there may be lines that were
    /// read long ago, and no readiness will tell of them.
    pub fn pending(&self) -> impl Iterator<Item = Token> {
        let more = self.rung || self.queued && self.paused_until.is_none();
        let helpers = self.helpers.iter().enumerate().filter_map(|(slot, place)| {
            let token = Token(self.first.0 + 1 + 2 * slot);
            place.as_ref().filter(|helper| helper.is_pending()).map(|_| token)
        });
        more.then_some(self.first).into_iter().chain(helpers)
    }

    /// Takes the core's word about a trigger. Ignores what is not this socket's.
    pub fn answer(&mut self, ticket: Ticket, answer: TriggerAnswer, utc: impl Fn(Instant) -> Utc) {
        let Some((slot, helper)) = self.find(ticket) else { return };
        if helper.hear(answer, utc).is_some_and(|outcome| helper.end(&outcome).is_err()) {
            self.close(slot);
        }
    }

    /// Tells everyone who waits for a beat that covers triggers up to `covers` how it ended.
    pub fn settle(&mut self, covers: u64, outcome: &Outcome<'_>) {
        self.close_where(|helper, _| helper.is_covered(covers) && helper.end(outcome).is_err());
    }

    /// Answers a request for the status, and ends the connection.
    pub fn reply(&mut self, ticket: Ticket, json: &[u8]) {
        let Some((slot, helper)) = self.find(ticket) else { return };
        if helper.send(json).is_err() {
            log::debug!("a helper did not take the status of {} bytes", json.len());
        }
        self.close(slot);
    }

    fn find(&mut self, ticket: Ticket) -> Option<(usize, &mut Helper)> {
        let mut all = self.helpers.iter_mut().enumerate();
        all.find_map(|(slot, place)| {
            place.as_mut().filter(|helper| helper.has(ticket)).map(|found| (slot, found))
        })
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let helpers = self.helpers.iter().flatten().filter_map(Helper::deadline);
        helpers.chain(self.paused_until).min()
    }

    /// Ends what took too long, and hears again who was paused.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
        }
        self.close_where(|helper, registry| helper.on_deadline(now, registry).is_err());
    }

    fn close_where(&mut self, mut over: impl FnMut(&mut Helper, &Registry) -> bool) {
        for slot in 0..SLOTS {
            let helper = self.helpers.get_mut(slot).and_then(Option::as_mut);
            if helper.is_some_and(|helper| over(helper, &self.registry)) {
                self.close(slot);
            }
        }
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut helper) = self.helpers.get_mut(slot).and_then(Option::take) {
            self.rung |= helper.is_rung();
            self.crowded = false;
            helper.forget(&self.registry);
        }
    }
}

impl Drop for TriggerSocket {
    fn drop(&mut self) {
        self.close_where(|_, _| true);
    }
}
