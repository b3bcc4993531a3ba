//! The history as one JSON object, for the page, `linkbeat events` and scripts.

use std::time::Duration;

use linkbeat_core::proto::event::FAILURES;
use linkbeat_core::proto::history::{
    BUCKETS_US, BeatOutcome, BeatRecord, Change, Class, Histogram, History, Hour, Id,
};
use linkbeat_core::proto::time::{Instant, millis};
use linkbeat_core::wire::buffer::TooLarge;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::json::{self, Array, Emit, Emitter, Object, Quoted};

/// Longest answer in bytes, below the limit of 64 KB that readers have.
///
/// A full history usually takes 45 KB. If the words of helpers make it longer, its oldest entries
/// are left out.
pub const HISTORY_MAX: usize = 60 * 1024;

/// The history at one moment.
#[derive(Clone, Copy)]
pub struct HistoryAnswer<'a> {
    /// The entries and numbers.
    pub history: &'a History,
    /// The moment, in boot time.
    pub now: Instant,
    /// The date of boot since 1970 UTC by the wall clock, if it is set.
    pub boot_date: Option<Duration>,
    /// When the agent started.
    pub started_at: Instant,
    /// Probes sent since start.
    pub probes: u64,
    /// Outages that are over since start.
    pub outages: u32,
    /// Connections to the server begun since start.
    pub connects: u64,
    /// Only entries with a greater number are written.
    pub after: Id,
}

impl HistoryAnswer<'_> {
    /// Returns the JSON, at most [`HISTORY_MAX`] bytes: the oldest entries are left out if
    /// necessary.
    pub fn emit(mut self) -> Vec<u8> {
        let mut buffer = vec![0; HISTORY_MAX];
        loop {
            match self.emit_into(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    return buffer;
                }
                Err(TooLarge) => {
                    let left = self.history.last_id().saturating_sub(self.after);
                    assert!(left > 0, "HISTORY_MAX has room for all but the entries");
                    self.after += left.div_ceil(8);
                }
            }
        }
    }

    fn emit_into(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        let history = self.history;
        json::emit(buffer, |json| {
            json.member("success", &true)
                .member("run", &Quoted(format_args!("{:016x}", history.run())))
                .member("last_id", &history.last_id())
                .member("uptime_s", &(self.now - self.started_at).as_secs())
                .member("clock_set", &self.boot_date.is_some())
                .member("beats", &Array(self.beats()))
                .member("transitions", &Array(self.transitions()))
                .member("hours", &Array(history.hours(self.now).map(hour)))
                .member("counters", &Object(|json| self.counters(json)));
            let histograms = [
                ("event_to_acknowledged", &history.event_to_acknowledged),
                ("round_trip", &history.round_trip),
            ];
            json.member(
                "histograms",
                &Object(|json| {
                    json.members(histograms.map(|(name, times)| (name, histogram(times))));
                }),
            );
        })
    }

    fn beats(&self) -> impl Iterator<Item: Emit> + Clone {
        let new = self.history.beats().filter(|beat| beat.id > self.after);
        new.map(move |beat| {
            Object(move |json| {
                self.begin(json, beat.id, beat.at);
                beat_members(json, beat);
            })
        })
    }

    fn transitions(&self) -> impl Iterator<Item: Emit> + Clone {
        let new = self.history.transitions().filter(|transition| transition.id > self.after);
        new.map(move |transition| {
            Object(move |json| {
                self.begin(json, transition.id, transition.at);
                transition_members(json, &transition.change);
            })
        })
    }

    /// Writes the members that every entry begins with.
    fn begin(&self, json: &mut Emitter<'_>, id: Id, at: Instant) {
        let ago = self.now - at;
        let date = self.boot_date.map(|boot_date| Utc::of(at, boot_date));
        json.member("id", &id)
            .member("ago_ms", &millis(ago))
            .member("at", &date.map(Quoted))
            .present("earlier", self.history.is_earlier(id).then_some(true));
    }

    fn counters(&self, json: &mut Emitter<'_>) {
        let counters = &self.history.counters;
        let beats = Class::ALL.iter().zip(counters.beats);
        let beats = beats.map(|(class, count)| (class.as_str(), count));
        let failures = FAILURES.iter().zip(counters.failures).filter(|(_, count)| *count > 0);
        let failures = failures.map(|((_, kind), count)| (*kind, count));
        json.member("beats", &Object(|json| _ = json.members(beats.clone())))
            .member("failures", &Object(|json| _ = json.members(failures.clone())))
            .members([
                ("triggers", counters.triggers),
                ("merged", counters.merged),
                ("connects", self.connects),
                ("connections", counters.connections),
                ("reconnects", counters.connections.saturating_sub(1)),
                ("full_handshakes", counters.full_handshakes),
                ("resumptions", counters.resumptions),
                ("probes", self.probes),
                ("netlink_overflows", counters.overflows),
                ("sent_bytes", counters.sent_bytes),
                ("received_bytes", counters.received_bytes),
                ("offline_s", counters.offline_us / 1_000_000),
                ("outages", self.outages.into()),
            ]);
    }
}

fn beat_members(json: &mut Emitter<'_>, beat: &BeatRecord) {
    let BeatRecord { seq, reason, via, outcome, .. } = beat;
    json.member("seq", seq)
        .member("reason", &Quoted(reason))
        .member("class", &Class::of(reason).as_str())
        .member("via", &via.map(Quoted));
    let (result, status, cause, steps) = match outcome {
        BeatOutcome::Acknowledged { status, steps } => {
            ("acknowledged", Some(*status), None, Some(*steps))
        }
        BeatOutcome::Failed(failure) => ("failed", None, Some(*failure), None),
    };
    let steps = steps.map(|steps| {
        Object(move |json| {
            json.members([
                ("usable_us", steps.usable_us),
                ("resolved_us", steps.resolved_us),
                ("connected_us", steps.connected_us),
                ("secured_us", steps.secured_us),
                ("written_us", steps.written_us),
                ("replied_us", steps.replied_us),
            ]);
        })
    });
    json.member("result", &result)
        .member("status", &status)
        .member("cause", &cause.map(Quoted))
        .member("stamps", &steps);
}

fn transition_members(json: &mut Emitter<'_>, change: &Change) {
    json.member("kind", &change.as_str());
    match change {
        Change::Uplink { from, to } => {
            json.member("from", &from.map(Quoted)).member("to", &to.map(Quoted));
        }
        Change::Failing(failure) => {
            json.member("cause", &Quoted(*failure));
        }
        Change::ServiceDown(name) | Change::ServiceUp(name) => {
            json.member("name", &Quoted(name));
        }
        Change::Standby { uplink, .. } => {
            json.member("name", &Quoted(uplink));
        }
        Change::Started | Change::Offline | Change::Online | Change::Beating | Change::ClockSet => {
        }
    }
}

fn hour((ago, hour): (u32, Hour)) -> impl Emit {
    Object(move |json| {
        json.members([
            ("ago_h", ago),
            ("beats", hour.beats),
            ("immediate", hour.immediate),
            ("failed", hour.failed),
        ])
        .member("offline_s", &(hour.offline_us / 1_000_000));
    })
}

fn histogram(times: &Histogram) -> impl Emit {
    Object(|json| {
        json.member("le_us", &Array(BUCKETS_US.iter().copied()))
            .member("counts", &Array(times.counts.iter().copied()))
            .member("sum_us", &times.sum_us)
            .member("count", &times.count());
    })
}

#[cfg(test)]
mod tests;
