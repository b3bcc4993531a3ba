//! Metrics for Prometheus: its text format 0.0.4, names and units by its conventions.
//!
//! A name that was given is not taken back: dashboards and alerts of other people hang on it. Of a
//! trigger only the class of its reason is told, so that no helper can make series without end.

use core::fmt::{self, Display, Formatter};
use core::time::Duration;

use super::escaped::Escaped;
use crate::proto::history::{BUCKETS_US, Class, Counters, FAILURES, Histogram, History, Kind};
use crate::proto::link::Name;
use crate::proto::services::{Service, ServiceState};
use crate::proto::time::Instant;

#[cfg(test)]
mod tests;

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is measured, at one moment. `Display` is the text.
pub struct Metrics<'a> {
    /// Version of the agent.
    pub version: &'a str,
    /// The moment.
    pub now: Instant,
    /// The same by the wall clock in seconds since 1970 UTC, if that is set.
    pub unix_s: Option<u64>,
    /// When the agent started.
    pub started_at: Instant,
    /// How it goes in one word.
    pub state: &'a str,
    /// Whether the last beat was acknowledged and nothing is wrong since.
    pub online: bool,
    /// Whether beats are wanted at all.
    pub enabled: bool,
    /// Time between two beats of the cycle.
    pub interval: Duration,
    /// The uplink in use.
    pub uplink: Option<Name>,
    /// How many uplinks are usable.
    pub uplinks: usize,
    /// Rounds that failed since the last acknowledgement.
    pub failures: u32,
    /// When a beat was last acknowledged.
    pub acknowledged_at: Option<Instant>,
    /// The services on the device that are looked at.
    pub services: &'a [Service],
    /// Probes sent since start.
    pub probes: u64,
    /// Connections to the server begun since start.
    pub connects: u64,
    /// What was counted.
    pub history: &'a History,
}

impl Display for Metrics<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.state(f)?;
        self.beats(f)?;
        self.network(f)?;
        self.services(f)?;
        let what = "Time from the event that asked for a beat to its acknowledgement.";
        histogram(f, "event_to_acknowledged", what, self.history.event_to_acknowledged())?;
        let what = "Time from a request with the kernel to its acknowledgement.";
        histogram(f, "round_trip", what, self.history.round_trip())
    }
}

impl Metrics<'_> {
    fn state(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [gauge, _] = TYPES;
        head(f, "build_info", "The program that runs.", gauge)?;
        writeln!(f, "linkbeat_build_info{{version=\"{}\"}} 1", Escaped(self.version))?;
        if let Some(unix_s) = self.unix_s {
            let started_s = unix_s.saturating_sub((self.now - self.started_at).as_secs());
            let name = "process_start_time_seconds";
            writeln!(f, "# HELP {name} When the agent started, in seconds since 1970 UTC.")?;
            writeln!(f, "# TYPE {name} gauge\n{name} {started_s}")?;
        }
        let uptime = Seconds::of(self.now - self.started_at);
        time(f, "uptime_seconds", "Time since the agent started.", gauge, uptime)?;
        let what = "Whether the server acknowledges the beats.";
        one(f, "online", what, gauge, u64::from(self.online))?;
        head(f, "state_info", "How it goes, in the word that the status has.", gauge)?;
        writeln!(f, "linkbeat_state_info{{state=\"{}\"}} 1", Escaped(self.state))?;
        let what = "Whether the configuration wants beats.";
        one(f, "enabled", what, gauge, u64::from(self.enabled))?;
        let interval = Seconds::of(self.interval);
        time(f, "interval_seconds", "Time between two beats of the cycle.", gauge, interval)?;
        if let Some(uplink) = self.uplink {
            head(f, "uplink_info", "The uplink in use.", gauge)?;
            writeln!(f, "linkbeat_uplink_info{{uplink=\"{}\"}} 1", Escaped(uplink))?;
        }
        one(f, "usable_uplinks", "Uplinks that lead out.", gauge, self.uplinks as u64)?;
        let what = "Rounds of attempts that failed since the last acknowledgement.";
        one(f, "consecutive_failures", what, gauge, self.failures.into())?;
        let Some(at) = self.acknowledged_at else { return Ok(()) };
        let what = "Time since a beat was last acknowledged.";
        time(f, "last_acknowledged_age_seconds", what, gauge, Seconds::of(self.now - at))?;
        let Some(unix_s) = self.unix_s else { return Ok(()) };
        let what = "When a beat was last acknowledged, in seconds since 1970 UTC.";
        let at_s = unix_s.saturating_sub((self.now - at).as_secs());
        one(f, "last_acknowledged_timestamp_seconds", what, gauge, at_s)
    }

    fn beats(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ([_, counter], counters) = (TYPES, self.history.counters());
        head(f, "beats_total", "Beats acknowledged, by what asked for them.", counter)?;
        for (class, count) in Class::ALL.into_iter().zip(counters.beats) {
            writeln!(f, "linkbeat_beats_total{{reason=\"{}\"}} {count}", class.word())?;
        }
        let what = "Rounds of attempts that failed, by how the last attempt ended.";
        head(f, "beat_failures_total", what, counter)?;
        for (failure, count) in FAILURES.into_iter().zip(counters.failures) {
            let cause = Kind(failure);
            writeln!(f, "linkbeat_beat_failures_total{{cause=\"{cause}\"}} {count}")?;
        }
        let what = "Triggers that asked for a beat of their own.";
        one(f, "triggers_total", what, counter, counters.triggers)?;
        let what = "Triggers that came while a beat was pending that covers them.";
        one(f, "triggers_merged_total", what, counter, counters.merged)
    }

    fn services(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Of one that nobody has looked at yet nothing is known.
        let known = |service: &&Service| service.state != ServiceState::Unknown;
        let mut known = self.services.iter().filter(known).peekable();
        if known.peek().is_some() {
            let [gauge, _] = TYPES;
            head(f, "service_up", "Whether a service on the device answers.", gauge)?;
        }
        known.try_for_each(|service| {
            let up = u8::from(service.state == ServiceState::Up);
            writeln!(f, "linkbeat_service_up{{service=\"{}\"}} {up}", service.settings.name)
        })
    }

    fn network(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [_, counter] = TYPES;
        let Counters { connections, full_handshakes, resumptions, overflows, .. } =
            *self.history.counters();
        let Counters { sent_bytes, received_bytes, offline_us, .. } = *self.history.counters();
        let what = "Time without connectivity.";
        time(f, "offline_seconds_total", what, counter, Seconds(offline_us))?;
        let what = "Connections to the server that were begun.";
        one(f, "connects_total", what, counter, self.connects)?;
        let what = "Connections to the server that were established.";
        one(f, "connections_total", what, counter, connections)?;
        head(f, "tls_handshakes_total", "TLS handshakes with the server.", counter)?;
        for (kind, count) in [("full", full_handshakes), ("resumed", resumptions)] {
            writeln!(f, "linkbeat_tls_handshakes_total{{kind=\"{kind}\"}} {count}")?;
        }
        let what = "Bytes sent on connections to the server, with TLS and without TCP.";
        one(f, "sent_bytes_total", what, counter, sent_bytes)?;
        let what = "Bytes received on connections to the server, with TLS and without TCP.";
        one(f, "received_bytes_total", what, counter, received_bytes)?;
        let what = "Probes sent to find out whether the outside is reachable.";
        one(f, "probes_total", what, counter, self.probes)?;
        let what = "How often the kernel could not tell of all changes of the network.";
        one(f, "netlink_overflows_total", what, counter, overflows)
    }
}

/// What a metric may be.
const TYPES: [&str; 2] = ["gauge", "counter"];

fn head(f: &mut Formatter<'_>, name: &str, what: &str, kind: &str) -> fmt::Result {
    writeln!(f, "# HELP linkbeat_{name} {what}\n# TYPE linkbeat_{name} {kind}")
}

fn one(f: &mut Formatter<'_>, name: &str, what: &str, kind: &str, value: u64) -> fmt::Result {
    head(f, name, what, kind)?;
    writeln!(f, "linkbeat_{name} {value}")
}

/// The same for a time.
fn time(f: &mut Formatter<'_>, name: &str, what: &str, kind: &str, time: Seconds) -> fmt::Result {
    head(f, name, what, kind)?;
    writeln!(f, "linkbeat_{name} {time}")
}

fn histogram(f: &mut Formatter<'_>, name: &str, what: &str, times: &Histogram) -> fmt::Result {
    writeln!(f, "# HELP linkbeat_{name}_seconds {what}\n# TYPE linkbeat_{name}_seconds histogram")?;
    let mut below = 0;
    for (end, count) in BUCKETS_US.iter().zip(times.counts) {
        below += count;
        writeln!(f, "linkbeat_{name}_seconds_bucket{{le=\"{}\"}} {below}", Seconds(*end))?;
    }
    let count = times.count();
    writeln!(f, "linkbeat_{name}_seconds_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(f, "linkbeat_{name}_seconds_sum {}", Seconds(times.sum_us))?;
    writeln!(f, "linkbeat_{name}_seconds_count {count}")
}

/// Microseconds, told in seconds.
struct Seconds(u64);

impl Seconds {
    fn of(time: Duration) -> Self {
        Self(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Display for Seconds {
    /// Without zeros that say nothing: Prometheus takes another text for another bucket.
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
