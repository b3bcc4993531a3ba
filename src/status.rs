//! The agent as it shows itself: one JSON object for pages and scripts, and its reading for people.
//!
//! The loop fills a [`Snapshot`] when somebody asks; [`Snapshot::emit`] writes it. The fields that
//! devices in the field know (WIRE.md §3) stand on the top level and once more inside `status`; what
//! linkbeat adds stands on the top level only. Nothing but the advice is allocated, and no token
//! is ever shown.

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::proto::agent::View;
use crate::proto::event::{Reason, Stamps};
use crate::proto::history::{Change, Outage};
use crate::proto::link::Name;
use crate::proto::time::Instant;
use crate::proto::wall::Floor;
use crate::wire::date::Utc;
use crate::wire::json::{self, DEPTH_MAX, Kind, Value};
use crate::wire::request::TooLarge;

mod fields;
pub mod history;
pub mod network;
pub mod page;
mod state;
#[cfg(test)]
mod tests;

pub use self::fields::harmless;
pub use self::state::{Cause, State};

use self::fields::{
    Additions, Addresses, ClockShown, Contract, Cut, Delivered, Masked, ObstacleShown, OrNothing,
    Others, OutageShown, Preview, Text, UplinkInUse, Verbatim, Warnings, Watched, Words,
};
use self::network::NoWay;
use self::page::Page;

/// Room for every snapshot and every preview, in bytes.
pub const STATUS_MAX: usize = 16 * 1024;
/// Most warnings shown.
pub const WARNINGS_MAX: usize = 8;
/// Longest text shown of an error, a warning or a path, in bytes; longer ones are cut.
pub const TEXT_MAX: usize = 256;
/// Longest answer of the server shown, in bytes; of a longer one nothing is.
pub const ANSWER_MAX: usize = 1024;

/// Everything that status tells, at one moment.
pub struct Snapshot<'a> {
    /// The moment.
    pub now: Instant,
    /// The same by the wall clock or a better guess, in seconds since 1970 UTC.
    pub unix_s: u64,
    /// Since when the clock is not set, and what is known instead; `None` while it is.
    pub clock_unset: Option<(Instant, Floor)>,
    /// When the agent started.
    pub started_at: Instant,
    /// The configuration in force.
    pub config: &'a Config,
    /// When it came into force.
    pub configured_at: Instant,
    /// Where its files are: what a person is told to correct.
    pub config_file: &'a Path,
    /// What is wrong with the files, if they are not what is in force.
    pub config_error: Option<&'a str>,
    /// The core's own account.
    pub view: View<'a>,
    /// The last acknowledged beat.
    pub beat: Option<Beat<'a>>,
    /// The last outage that is known of.
    pub outage: Option<Outage>,
    /// Beats acknowledged since start.
    pub acknowledged: u64,
    /// When beats last began to be acknowledged or to fail, after the opposite or after start.
    pub turned_at: Option<Instant>,
    /// Why the last round failed, in words; empty after an acknowledgement.
    pub error: &'a str,
    /// The server's last answer; not shown if it is too long, or nested too deeply inside ours.
    pub answer: Option<Value<'a>>,
    /// What stands in the way of an uplink, while there is none.
    pub no_way: Option<&'a NoWay>,
    /// What a person should mend although beats may go on: at most [`WARNINGS_MAX`] are shown.
    pub warnings: &'a [&'a dyn Display],
}

/// An acknowledged beat.
#[derive(Debug, Clone, Copy)]
pub struct Beat<'a> {
    /// Beat counter since start.
    pub seq: u64,
    /// Why it was sent.
    pub reason: &'a Reason,
    /// The uplink it went over.
    pub via: Option<Name>,
    /// HTTP status, 2xx.
    pub status: u16,
    /// Its steps.
    pub stamps: Stamps,
}

impl Snapshot<'_> {
    /// Writes the status into `buffer` as JSON and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small, which one of [`STATUS_MAX`] never is; its content is
    /// then worthless.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        const HEAD: &[u8] = br#"{"success":true,"status":"#;
        buffer.get_mut(..HEAD.len()).ok_or(TooLarge)?.copy_from_slice(HEAD);
        let end = put(&self.contract(), buffer, HEAD.len())?;
        // The object {F} is there. Behind it come its fields once more and then ours: the brackets
        // that would open the two become commas, and the last one closes the whole.
        let fields = HEAD.len()..end - 1;
        let more = end + fields.len();
        if more > buffer.len() {
            return Err(TooLarge);
        }
        buffer.copy_within(fields, end);
        let length = put(&self.additions(), buffer, more)?;
        for joint in [end, more] {
            *buffer.get_mut(joint).ok_or(TooLarge)? = b',';
        }
        self.advise(buffer, length)
    }

    /// Adds what the state means and what to do about it, read off what is said already: a page, a
    /// shell and a script get the same words. Returns the new length.
    fn advise(&self, buffer: &mut [u8], length: usize) -> Result<usize, TooLarge> {
        let status = json::parse(buffer.get(..length).unwrap_or_default()).ok();
        let advice = status.and_then(|status| Page { status, colour: false }.advice());
        let words = Words { meaning: self.state().meaning(), advice: advice.map(Text) };
        let joint = length - 1;
        let length = put(&words, buffer, joint)?;
        *buffer.get_mut(joint).ok_or(TooLarge)? = b',';
        Ok(length)
    }

    /// The state in one word.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.config, &self.view, self.beat.is_some())
    }

    /// Since when the state holds; `None` if that is not known.
    fn since(&self) -> Option<Instant> {
        let turned_at = self.turned_at.unwrap_or(self.started_at);
        match self.state() {
            State::Disabled | State::Unconfigured => Some(self.configured_at),
            State::Starting | State::Waiting => Some(self.started_at),
            State::NoUplink => Some(self.view.uplink_since),
            State::Offline => Some(self.view.connectivity_since),
            State::ServerSilent | State::CaptivePortal | State::Rejected | State::Failing => {
                Some(turned_at)
            }
            State::Online => Some(turned_at.max(self.view.connectivity_since)),
        }
    }

    fn contract(&self) -> Contract<'_> {
        let config = self.config;
        let beat_at = self.beat.map(|beat| beat.stamps.replied_at);
        let device_key = config.device_key.as_deref().unwrap_or_default();
        Contract {
            enabled: config.settings.enabled,
            connected: self.state() == State::Online,
            last_heartbeat: beat_at.map(|at| Text(self.utc(at))),
            last_heartbeat_ago: beat_at.map(|at| (self.now - at).as_secs()),
            last_error: Some(self.error)
                .filter(|error| !error.is_empty() && !config.tells_token(error))
                .map(|error| Text(Cut(error))),
            device_info: self
                .answer
                .filter(|answer| answer.raw().len() <= ANSWER_MAX)
                .filter(|answer| {
                    depth(answer) <= DEPTH_MAX - 2 && !config.tells_token(answer.raw())
                })
                .map(|answer| Verbatim(answer.raw().as_bytes())),
            provisioned: config.provisioned,
            configured: config.configured(),
            device_key: Text(Masked(device_key)),
            device_key_full: device_key,
            api_url: Text(OrNothing(config.api_url.as_ref())),
            heartbeat_interval: config.settings.interval.as_secs(),
            heartbeat_thread_running: true,
        }
    }

    fn additions(&self) -> Additions<'_> {
        let view = &self.view;
        let settings = &self.config.settings;
        let since = self.since();
        let (first, others) = match view.uplinks {
            [first, others @ ..] => (Some(first), others),
            [] => (None, view.uplinks),
        };
        let next_beat_at = match (&view.pending, view.in_flight) {
            (_, true) => Some(self.now),
            (Some(_), false) => view.waits_until,
            (None, false) => view.due_at,
        };
        Additions {
            state: Text(self.state()),
            since: since.map(|at| Text(self.utc(at))),
            since_ago: since.map(|at| (self.now - at).as_secs()),
            cause: view.failure.map(|failure| Text(Cause(failure))),
            uplink: first.map(|uplink| UplinkInUse {
                name: Text(uplink.name),
                addresses: Addresses(uplink),
                since: Text(self.utc(view.uplink_since)),
                since_ago: (self.now - view.uplink_since).as_secs(),
            }),
            uplinks: Others(others),
            obstacle: self.no_way.map(|it| ObstacleShown { kind: it.word(), text: Text(it) }),
            beat: self.beat.map(Delivered::of),
            last_outage: self.outage.map(|outage| self.last_outage(outage)),
            in_flight: view.in_flight,
            next_beat_in: next_beat_at.map(|at| self.seconds_until(at)),
            pending: view.pending.as_ref().map(Text),
            waits_until: view.waits_until.map(|at| Text(self.utc(at))),
            held_until: view.held_until.map(|at| Text(self.utc(at))),
            clock: ClockShown {
                set: self.clock_unset.is_none(),
                since: self.clock_unset.map(|(since, _)| Text(self.utc(since))),
                since_ago: self.clock_unset.map(|(since, _)| (self.now - since).as_secs()),
                used: self.clock_unset.map(|(_, floor)| Text(Utc(floor.unix_s))),
                source: self.clock_unset.map(|(_, floor)| floor.source.word()),
            },
            watch: Watched(view.services, self),
            failures: view.rounds_failed,
            probes_sent: view.probes_sent,
            connects: view.connects,
            beats_acknowledged: self.acknowledged,
            stale_after: (2 * settings.interval + settings.request_timeout).as_secs(),
            warnings: Warnings(self.warnings),
            config_file: Text(Cut(self.config_file.display())),
            config_error: self.config_error.map(|error| Text(Cut(error))),
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
        }
    }

    fn last_outage(&self, outage: Outage) -> OutageShown {
        let Outage { began, ended_at } = outage;
        OutageShown {
            kind: began.change.word(),
            cause: match began.change {
                Change::Failing(failure) => Some(Text(Cause(failure))),
                _ => None,
            },
            began: Text(self.utc(began.at)),
            began_ago: (self.now - began.at).as_secs(),
            lasted: ended_at.map(|at| (at - began.at).as_secs()),
        }
    }

    /// What the wall clock shows at `at`, by its present reading: a clock that was set right since
    /// corrects the past as well.
    fn utc(&self, at: Instant) -> Utc {
        let ago = (self.now - at).as_secs();
        Utc(self.unix_s.saturating_sub(ago).saturating_add(self.seconds_until(at)))
    }

    /// Whole seconds until `at`, rounded up: who comes back then does not come too early.
    fn seconds_until(&self, at: Instant) -> u64 {
        u64::try_from((at - self.now).as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// Writes the answer to a request for the report that would be sent now, and returns its length.
///
/// `payload` is the report as JSON. What is not configured yet is empty.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then worthless.
pub fn emit_preview(config: &Config, payload: &[u8], buffer: &mut [u8]) -> Result<usize, TooLarge> {
    let device_key = config.device_key.as_deref().unwrap_or_default();
    let url = config.api_url.as_ref();
    let endpoint = url.filter(|_| config.configured()).map(|url| url.endpoint(device_key));
    let preview = Preview {
        success: true,
        payload: Verbatim(payload),
        endpoint: Text(OrNothing(endpoint.as_ref().map(|endpoint| endpoint as &dyn Display))),
        api_url: Text(OrNothing(url)),
        device_key,
    };
    put(&preview, buffer, 0)
}

/// Writes `value` into `buffer` from `start` on; returns where it ends.
fn put(value: &impl Serialize, buffer: &mut [u8], start: usize) -> Result<usize, TooLarge> {
    let room = buffer.get_mut(start..).ok_or(TooLarge)?;
    let length = serde_json_core::to_slice(value, room).map_err(|_| TooLarge)?;
    Ok(start + length)
}

/// How many objects and arrays are inside each other; a [`Value`] has at most [`DEPTH_MAX`].
fn depth(value: &Value<'_>) -> usize {
    let members = value.members().map(|(_, value)| value);
    let inside = value.elements().chain(members).map(|value| depth(&value)).max();
    usize::from(matches!(value.kind(), Kind::Object | Kind::Array)) + inside.unwrap_or(0)
}
