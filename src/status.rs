//! The status of the agent: one JSON object for pages, scripts and the command line.
//!
//! The loop fills a [`Snapshot`] for each request; [`Snapshot::emit`] writes it. The fields of the
//! protocol that clients already use (`src/WIRE.md` §3) stand at the top level and again inside `status`;
//! linkbeat's additions stand at the top level only. Nothing is allocated, and no token is ever
//! shown.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, Listen};
use crate::sys::sandbox::Sandbox;
use linkbeat_core::proto::agent::View;
use linkbeat_core::proto::event::Acknowledged;
use linkbeat_core::proto::outages::{Outage, OutageKind};
use linkbeat_core::proto::services::{Service, ServiceState};
use linkbeat_core::proto::time::{Instant, micros};
use linkbeat_core::proto::uplink::Uplink;
use linkbeat_core::proto::wall::Floor;
use linkbeat_core::wire::buffer::TooLarge;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::json::{
    self, Array, DEPTH_MAX, Emitter, Object, Quoted, Value, ValueKind, Verbatim,
};
use linkbeat_core::wire::request::Endpoint;

mod advice;
mod beat;
pub mod history;
pub mod network;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use self::beat::BeatShown;
pub use self::state::AgentState;
pub(crate) use self::text::Or;

use self::advice::Advice;
use self::network::NoWay;
use self::text::{Excerpt, Masked};

/// Room for every snapshot and every preview, in bytes.
pub const STATUS_MAX: usize = 16 * 1024;
/// Most warnings in a status.
pub const WARNINGS_MAX: usize = 8;
/// Longest text of an error, a warning or a path, in bytes; longer ones are cut.
pub const TEXT_MAX: usize = 256;
/// Longest answer of the server that is shown, in bytes; longer ones are left out.
pub const ANSWER_MAX: usize = 1024;

/// Everything that the status contains, at one moment.
pub struct Snapshot<'a> {
    /// The moment, in boot time.
    pub now: Instant,
    /// The date of boot since 1970 UTC by the wall clock, or a better estimate.
    pub boot_date: Duration,
    /// The moment since which the clock is not set, and the time used instead; `None` while it is
    /// set.
    pub clock_unset: Option<(Instant, Floor)>,
    /// When the agent started.
    pub started_at: Instant,
    /// The configuration in force.
    pub config: &'a Config,
    /// When the configuration came into force.
    pub configured_at: Instant,
    /// The path of the configuration, for the advice.
    pub config_file: &'a Path,
    /// The first error of the files, if they are not in force because of it.
    pub config_error: Option<&'a str>,
    /// The place where the status server listens.
    pub listens_on: Option<&'a Listen>,
    /// The state of the core.
    pub view: View<'a>,
    /// The last acknowledged beat.
    pub beat: Option<&'a Acknowledged>,
    /// Beats acknowledged since start.
    pub acknowledged: u64,
    /// The moment since which beats are acknowledged, or since which they fail.
    pub turned_at: Option<Instant>,
    /// The error of the last round in words; empty after an acknowledgement.
    pub error: &'a str,
    /// The server's last answer; left out if it is too long or nested too deeply.
    pub answer: Option<Value<'a>>,
    /// The reason why there is no uplink, while there is none.
    pub no_way: Option<&'a NoWay>,
    /// Problems to correct that may not stop the beats; the first [`WARNINGS_MAX`] are shown.
    pub warnings: &'a [&'a dyn Display],
    /// The parts of the sandbox in force; `None` if it was not wanted.
    pub sandbox: Option<&'a Sandbox>,
}

impl Snapshot<'_> {
    /// Writes the status into `buffer` as JSON and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small, which a buffer of [`STATUS_MAX`] bytes never is; its
    /// content is then worthless.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        json::emit(buffer, |json| {
            json.member("success", &true).member("status", &Object(|json| self.contract(json)));
            self.contract(json);
            self.additions(json);
        })
    }

    /// The state of the agent.
    pub fn state(&self) -> AgentState {
        AgentState::of(self.config, &self.view, self.beat.is_some())
    }

    /// The moment since which the state holds; `None` if it is not known.
    fn since(&self) -> Option<Instant> {
        let turned_at = self.turned_at.unwrap_or(self.started_at);
        match self.state() {
            AgentState::Disabled | AgentState::Unconfigured => Some(self.configured_at),
            AgentState::Starting | AgentState::Waiting => Some(self.started_at),
            AgentState::NoUplink => Some(self.view.uplink_since),
            AgentState::Offline => Some(self.view.connectivity_since),
            AgentState::ServerSilent
            | AgentState::CaptivePortal
            | AgentState::Rejected
            | AgentState::Failing => Some(turned_at),
            AgentState::Online => Some(turned_at.max(self.view.connectivity_since)),
        }
    }

    /// Writes the fields of the protocol that pages and scripts already use (`src/WIRE.md` §3).
    fn contract(&self, json: &mut Emitter<'_>) {
        let config = self.config;
        let beat_at = self.beat.map(|beat| beat.stamps.replied_at);
        let device_key = config.device_key.as_deref().unwrap_or_default();
        let error =
            Some(self.error).filter(|error| !error.is_empty() && !config.contains_token(error));
        let answer = self.answer.filter(|answer| {
            answer.raw().len() <= ANSWER_MAX
                && depth(answer) <= DEPTH_MAX - 2
                && !config.contains_token(answer.raw())
        });
        json.member("enabled", &config.settings.enabled)
            .member("connected", &(self.state() == AgentState::Online));
        self.moment(json, "last_heartbeat", beat_at);
        json.member("last_error", &error.map(|error| Quoted(Excerpt(error))))
            .member("device_info", &answer.map(|answer| Verbatim(answer.raw())))
            .member("provisioned", &config.provisioned)
            .member("configured", &config.configured())
            .member("device_key", &Quoted(Masked(device_key)))
            .member("device_key_full", &device_key)
            .member("api_url", &Quoted(Or(config.api_url.as_ref(), "")))
            .member("heartbeat_interval", &config.settings.interval.as_secs())
            .member("heartbeat_thread_running", &true);
    }

    /// Writes linkbeat's own fields. Times are in seconds, the steps of a beat in microseconds.
    fn additions(&self, json: &mut Emitter<'_>) {
        let (view, settings) = (&self.view, &self.config.settings);
        json.member("state", &self.state().as_str());
        self.moment(json, "since", self.since());
        json.member("cause", &view.failure.map(Quoted));
        self.uplinks(json);
        let outage =
            view.outages.last().map(|outage| Object(move |json| self.outage(json, outage)));
        json.member("beat", &self.beat.map(BeatShown)).member("last_outage", &outage);
        self.next_beat(json);
        let services = view.services.iter();
        let services = services.map(|service| Object(move |json| self.service(json, service)));
        let warnings = self.warnings.iter().take(WARNINGS_MAX);
        json.member("clock", &Object(|json| self.clock(json)))
            .member("watch", &Array(services))
            .member("failures", &view.rounds_failed)
            .member("probes_sent", &view.probes_sent)
            .member("connects", &view.connects)
            .member("beats_acknowledged", &self.acknowledged)
            .member("interval_s", &view.interval.as_secs())
            .member("interval_source", &view.interval_source.as_str())
            .member("stale_after", &(2 * view.interval + settings.request_timeout).as_secs())
            .member("warnings", &Array(warnings.map(|warning| Quoted(Excerpt(warning)))))
            .member("config_file", &Quoted(Excerpt(self.config_file.display())))
            .member("config_error", &self.config_error.map(|error| Quoted(Excerpt(error))))
            .member("listens_on", &self.listens_on.map(|it| Quoted(Excerpt(it))))
            .member("sandbox", &self.sandbox.map(|it| Object(move |json| sandbox(json, it))))
            .member("version", &env!("CARGO_PKG_VERSION"))
            .member("pid", &std::process::id())
            .member("meaning", &self.state().meaning())
            .member("advice", &Advice::of(self).map(Quoted));
    }

    fn uplinks(&self, json: &mut Emitter<'_>) {
        let view = &self.view;
        let in_use = view.uplinks.first().map(|uplink| {
            Object(move |json| {
                uplink_members(json, uplink);
                self.moment(json, "since", Some(view.uplink_since));
            })
        });
        let others = view.uplinks.iter().skip(1);
        let tested = view.standby.all();
        let works = |name| tested.iter().find(|it| it.uplink == name).and_then(|it| it.works);
        let word = |works| if works { "ok" } else { "dead" };
        let others = others.map(|uplink| {
            Object(move |json| {
                uplink_members(json, uplink);
                json.member("standby", &works(uplink.name).map(word));
            })
        });
        let obstacle = self.no_way.map(|no_way| {
            Object(move |json| {
                json.member("kind", &no_way.as_str()).member("text", &Quoted(no_way));
            })
        });
        json.member("uplink", &in_use)
            .member("uplinks", &Array(others))
            .member("obstacle", &obstacle);
    }

    fn next_beat(&self, json: &mut Emitter<'_>) {
        let view = &self.view;
        let at = match (&view.pending, view.in_flight) {
            (_, true) => Some(self.now),
            (Some(_), false) => view.waits_until,
            (None, false) => view.due_at,
        };
        json.member("in_flight", &view.in_flight)
            .member("next_beat_in", &at.map(|at| self.seconds_until(at)))
            .member("pending", &view.pending.as_ref().map(Quoted))
            .member("waits_until", &view.waits_until.map(|at| self.utc(at)))
            .member("held_until", &view.held_until.map(|at| self.utc(at)));
    }

    fn outage(&self, json: &mut Emitter<'_>, outage: Outage) {
        let Outage { number, began_at, ended_at, kind, cause, uplink, missed } = outage;
        let kind = match kind {
            OutageKind::Link => AgentState::NoUplink,
            OutageKind::Network => AgentState::Offline,
            OutageKind::Server => AgentState::Failing,
        };
        json.member("kind", &kind.as_str()).member("cause", &cause.map(Quoted));
        self.moment(json, "began", Some(began_at));
        json.member("lasted", &ended_at.map(|at| (at - began_at).as_secs()))
            .member("n", &number)
            .member("missed", &missed)
            .member("uplink", &uplink.map(Quoted));
    }

    /// Writes whether the wall clock is set; if not, since when, and the earliest possible time.
    fn clock(&self, json: &mut Emitter<'_>) {
        let (since, floor) = self.clock_unset.unzip();
        json.member("set", &since.is_none());
        self.moment(json, "since", since);
        json.member("used", &floor.map(|floor| Quoted(Utc(floor.unix_s))))
            .member("source", &floor.map(|floor| floor.source.as_str()));
    }

    fn service(&self, json: &mut Emitter<'_>, service: &Service) {
        let since = (service.state != ServiceState::Unknown).then_some(service.since);
        json.member("name", &Quoted(service.settings.name))
            .member("address", &Quoted(service.settings.address))
            .member("state", &service.state.as_str());
        self.moment(json, "since", since);
    }

    /// Writes a moment as a date and as its age in seconds.
    fn moment(&self, json: &mut Emitter<'_>, key: &str, at: Option<Instant>) {
        json.member(key, &at.map(|at| self.utc(at)))
            .member(format_args!("{key}_ago"), &at.map(|at| self.ago(at)));
    }

    /// Whole seconds since `at`.
    fn ago(&self, at: Instant) -> u64 {
        (self.now - at).as_secs()
    }

    /// The date of `at` by the present reading of the wall clock: setting the clock corrects the
    /// dates of the past as well.
    fn utc(&self, at: Instant) -> Quoted<Utc> {
        // One to come is rounded up, so that a client that waits for it is not too early.
        let rounding = Duration::from_micros(if at > self.now { 999_999 } else { 0 });
        Quoted(Utc::of(at + rounding, self.boot_date))
    }

    /// Whole seconds until `at`, rounded up, so that a client that waits for them is not too early.
    fn seconds_until(&self, at: Instant) -> u64 {
        micros(at - self.now).div_ceil(1_000_000)
    }
}

/// Writes the preview of the report that would be sent now, and returns its length.
///
/// `payload` is the report as JSON. Addresses that are not configured are empty.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then worthless.
pub fn emit_preview(config: &Config, payload: &[u8], buffer: &mut [u8]) -> Result<usize, TooLarge> {
    let device_key = config.device_key.as_deref().unwrap_or_default();
    let url = config.api_url.as_ref();
    let endpoint = Some(Endpoint(device_key)).filter(|_| config.configured());
    json::emit(buffer, |json| {
        json.member("success", &true)
            .member("payload", &Verbatim(String::from_utf8_lossy(payload)))
            .member("endpoint", &Quoted(Or(endpoint, "")))
            .member("api_url", &Quoted(Or(url, "")))
            .member("device_key", &device_key);
    })
}

/// Writes the name of an uplink and its source addresses, IPv4 first.
fn uplink_members(json: &mut Emitter<'_>, uplink: &Uplink) {
    let addresses = uplink.sources().map(Quoted);
    json.member("name", &Quoted(uplink.name)).member("addresses", &Array(addresses));
}

/// Writes which parts of the sandbox are in force.
fn sandbox(json: &mut Emitter<'_>, sandbox: &Sandbox) {
    json.member("no_new_privs", &sandbox.no_new_privs)
        .member("no_core", &sandbox.no_core)
        .member("filter", &sandbox.filter);
}

/// The depth of nested objects and arrays; a [`Value`] has at most [`DEPTH_MAX`].
fn depth(value: &Value<'_>) -> usize {
    let members = value.members().map(|(_, value)| value);
    let inside = value.elements().chain(members).map(|value| depth(&value)).max();
    usize::from(matches!(value.kind(), ValueKind::Object | ValueKind::Array)) + inside.unwrap_or(0)
}
