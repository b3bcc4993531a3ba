//! Metrics in the Prometheus text format 0.0.4, with names and units by its conventions.
//!
//! Names are stable: dashboards and alerts depend on them. Reasons are reported by their class
//! only, so that the words of helpers cannot create an unlimited number of series.

use core::fmt::{self, Display, Formatter, Write};
use core::time::Duration;

use crate::proto::agent::View;
use crate::proto::event::FAILURES;
use crate::proto::history::{BUCKETS_US, Class, Histogram, History};
use crate::proto::outages::OutageKind;
use crate::proto::services::{Service, ServiceState};
use crate::proto::time::{Instant, micros};
use crate::wire::date::Utc;

#[cfg(test)]
mod tests;

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All measured values at one moment. `Display` is the text.
pub struct Metrics<'a> {
    /// Version of the agent.
    pub version: &'a str,
    /// The moment, in boot time.
    pub now: Instant,
    /// The date of boot since 1970 UTC by the wall clock, if it is set.
    pub boot_date: Option<Duration>,
    /// When the agent started.
    pub started_at: Instant,
    /// The word for the state, as the status has it.
    pub state: &'a str,
    /// Whether the state is online.
    pub online: bool,
    /// Whether beats are enabled.
    pub enabled: bool,
    /// When a beat was last acknowledged.
    pub acknowledged_at: Option<Instant>,
    /// The state of the agent.
    pub view: View<'a>,
    /// The counters and histograms.
    pub history: &'a History,
}

impl Display for Metrics<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.state(f)?;
        self.beats(f)?;
        self.network(f)?;
        self.services(f)?;
        let what = "Time from the event that asked for a beat to its acknowledgement.";
        histogram(f, "event_to_acknowledged_seconds", what, &self.history.event_to_acknowledged)?;
        let what = "Time from a request with the kernel to its acknowledgement.";
        histogram(f, "round_trip_seconds", what, &self.history.round_trip)
    }
}

impl Metrics<'_> {
    fn state(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, "build_info", "The program that runs.")?;
        writeln!(f, "linkbeat_build_info{{version=\"{}\"}} 1", LabelValue(self.version))?;
        if let Some(boot_date) = self.boot_date {
            let Utc(started_s) = Utc::of(self.started_at, boot_date);
            let name = "process_start_time_seconds";
            writeln!(f, "# HELP {name} When the agent started, in seconds since 1970 UTC.")?;
            writeln!(f, "# TYPE {name} gauge\n{name} {started_s}")?;
        }
        let uptime = Seconds::of(self.now - self.started_at);
        one(f, "uptime_seconds", "Time since the agent started.", &uptime)?;
        let what = "Whether the server acknowledges the beats.";
        one(f, "online", what, &u8::from(self.online))?;
        head(f, "state_info", "How it goes, in the word that the status has.")?;
        writeln!(f, "linkbeat_state_info{{state=\"{}\"}} 1", LabelValue(self.state))?;
        let what = "Whether the configuration wants beats.";
        one(f, "enabled", what, &u8::from(self.enabled))?;
        let interval = Seconds::of(self.view.interval);
        one(f, "interval_seconds", "Time between two beats of the cycle.", &interval)?;
        if let Some(uplink) = self.view.uplinks.first() {
            head(f, "uplink_info", "The uplink in use.")?;
            writeln!(
                f,
                "linkbeat_uplink_info{{uplink=\"{}\"}} 1",
                LabelValue(uplink.name.as_str())
            )?;
        }
        one(f, "usable_uplinks", "Uplinks that lead out.", &self.view.uplinks.len())?;
        let what = "Rounds of attempts that failed since the last acknowledgement.";
        one(f, "consecutive_failures", what, &self.view.rounds_failed)?;
        let Some(at) = self.acknowledged_at else { return Ok(()) };
        let what = "Time since a beat was last acknowledged.";
        one(f, "last_acknowledged_age_seconds", what, &Seconds::of(self.now - at))?;
        let Some(boot_date) = self.boot_date else { return Ok(()) };
        let what = "When a beat was last acknowledged, in seconds since 1970 UTC.";
        let Utc(at_s) = Utc::of(at, boot_date);
        one(f, "last_acknowledged_timestamp_seconds", what, &at_s)
    }

    fn beats(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counters = &self.history.counters;
        head(f, "beats_total", "Beats acknowledged, by what asked for them.")?;
        for (class, count) in Class::ALL.into_iter().zip(counters.beats) {
            writeln!(f, "linkbeat_beats_total{{reason=\"{}\"}} {count}", class.as_str())?;
        }
        let what = "Rounds of attempts that failed, by how the last attempt ended.";
        head(f, "beat_failures_total", what)?;
        for ((_, cause), count) in FAILURES.into_iter().zip(counters.failures) {
            writeln!(f, "linkbeat_beat_failures_total{{cause=\"{cause}\"}} {count}")?;
        }
        let what = "Triggers that asked for a beat of their own.";
        one(f, "triggers_total", what, &counters.triggers)?;
        let what = "Triggers that came while a beat was pending that covers them.";
        one(f, "triggers_merged_total", what, &counters.merged)
    }

    fn services(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut tested =
            self.view.standby.all().iter().filter_map(|it| it.works.zip(Some(it.uplink)));
        if tested.clone().next().is_some() {
            head(f, "standby_up", "Whether the server is reached over an uplink in reserve.")?;
        }
        tested.try_for_each(|(works, uplink)| {
            let up = u8::from(works);
            writeln!(f, "linkbeat_standby_up{{uplink=\"{}\"}} {up}", LabelValue(uplink.as_str()))
        })?;
        // A service without a finished check has no value yet.
        let known = |service: &&Service| service.state != ServiceState::Unknown;
        let mut known = self.view.services.iter().filter(known).peekable();
        if known.peek().is_some() {
            head(f, "service_up", "Whether a service on the device answers.")?;
        }
        known.try_for_each(|service| {
            let up = u8::from(service.state == ServiceState::Up);
            writeln!(f, "linkbeat_service_up{{service=\"{}\"}} {up}", service.settings.name)
        })
    }

    fn network(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counters = &self.history.counters;
        let what = "Time without connectivity.";
        one(f, "offline_seconds_total", what, &Seconds(counters.offline_us))?;
        let what = "Outages in which a beat fell due and that are over, by what was missing.";
        head(f, "outages_total", what)?;
        for (kind, count) in OutageKind::ALL.into_iter().zip(self.view.outages.counts()) {
            writeln!(f, "linkbeat_outages_total{{kind=\"{}\"}} {count}", kind.as_str())?;
        }
        let what = "Connections to the server that were begun.";
        one(f, "connects_total", what, &self.view.connects)?;
        let what = "Connections to the server that were established.";
        one(f, "connections_total", what, &counters.connections)?;
        head(f, "tls_handshakes_total", "TLS handshakes with the server.")?;
        for (kind, count) in [("full", counters.full_handshakes), ("resumed", counters.resumptions)]
        {
            writeln!(f, "linkbeat_tls_handshakes_total{{kind=\"{kind}\"}} {count}")?;
        }
        let what = "Bytes sent on connections to the server, with TLS and without TCP.";
        one(f, "sent_bytes_total", what, &counters.sent_bytes)?;
        let what = "Bytes received on connections to the server, with TLS and without TCP.";
        one(f, "received_bytes_total", what, &counters.received_bytes)?;
        let what = "Probes sent to find out whether the outside is reachable.";
        one(f, "probes_total", what, &self.view.probes_sent)?;
        let what = "How often the kernel could not report all changes of the network.";
        one(f, "netlink_overflows_total", what, &counters.overflows)
    }
}

/// Begins a metric. By convention the name of a counter, which only rises from 0 at start, ends in
/// `_total`; every other metric rises and falls.
fn head(f: &mut Formatter<'_>, name: &str, what: &str) -> fmt::Result {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    writeln!(f, "# HELP linkbeat_{name} {what}\n# TYPE linkbeat_{name} {kind}")
}

/// A metric without labels.
fn one(f: &mut Formatter<'_>, name: &str, what: &str, value: &dyn Display) -> fmt::Result {
    head(f, name, what)?;
    writeln!(f, "linkbeat_{name} {value}")
}

fn histogram(f: &mut Formatter<'_>, name: &str, what: &str, times: &Histogram) -> fmt::Result {
    writeln!(f, "# HELP linkbeat_{name} {what}\n# TYPE linkbeat_{name} histogram")?;
    let mut below = 0;
    for (end, count) in BUCKETS_US.iter().zip(times.counts) {
        below += count;
        writeln!(f, "linkbeat_{name}_bucket{{le=\"{}\"}} {below}", Seconds(*end))?;
    }
    let count = times.count();
    writeln!(f, "linkbeat_{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(f, "linkbeat_{name}_sum {}", Seconds(times.sum_us))?;
    writeln!(f, "linkbeat_{name}_count {count}")
}

/// The value of a label, with the escapes of the format. None of ours has a line end.
struct LabelValue<'a>(&'a str);

impl Display for LabelValue<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| {
            if matches!(char, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(char)
        })
    }
}

/// Microseconds. `Display` is in seconds.
struct Seconds(u64);

impl Seconds {
    fn of(time: Duration) -> Self {
        Self(micros(time))
    }
}

impl Display for Seconds {
    /// Without trailing zeros: Prometheus identifies a bucket by its text.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 1_000_000)?;
        let (mut part, mut digits) = (self.0 % 1_000_000, 6);
        if part == 0 {
            return Ok(());
        }
        while part.is_multiple_of(10) {
            part /= 10;
            digits -= 1;
        }
        write!(f, ".{part:0digits$}")
    }
}
