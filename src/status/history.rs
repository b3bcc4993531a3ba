//! The history as one JSON object: for the page, for `linkbeat events`, for scripts.

use std::fmt::{self, Display, Write};

use super::Cause;
use crate::proto::history::{
    BUCKETS_US, Beat, Change, Class, FAILURES, Histogram, History, Id, Kind, Outcome, Transition,
};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::escaped::Escaped;

/// Longest history shown, in bytes: what a reader with a bound of 64 KB takes in one piece.
///
/// The usual one has 45 KB when all places are taken. Of one with many helpers' words the oldest
/// entries are left out.
pub const HISTORY_MAX: usize = 60 * 1024;

/// The history at one moment. `Display` is the JSON, [`emit`](Self::emit) the same within bounds.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// What came to pass.
    pub history: &'a History,
    /// The moment.
    pub now: Instant,
    /// The same by the wall clock in seconds since 1970 UTC, if that is set.
    pub unix_s: Option<u64>,
    /// When the agent started.
    pub started_at: Instant,
    /// Probes sent since start.
    pub probes: u64,
    /// Connections to the server begun since start.
    pub connects: u64,
    /// Only entries with a greater number are shown.
    pub after: Id,
}

impl Past<'_> {
    /// The JSON, at most [`HISTORY_MAX`] bytes: if need be the oldest entries are left out.
    #[must_use]
    pub fn emit(mut self) -> String {
        loop {
            let json = self.to_string();
            let left = self.history.last_id().saturating_sub(self.after);
            if json.len() <= HISTORY_MAX || left == 0 {
                return json;
            }
            self.after += left.div_ceil(8);
        }
    }

    fn when(&self, id: Id, at: Instant) -> When {
        let ago = self.now - at;
        let unix_s = self.unix_s.map(|unix_s| Utc(unix_s.saturating_sub(ago.as_secs())));
        When { id, ago_ms: ago.as_millis(), at: unix_s, earlier: self.history.is_earlier(id) }
    }

    fn counters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.history.counters();
        f.write_str("{\"beats\":{")?;
        let mut comma = "";
        for (class, count) in Class::ALL.iter().zip(counters.beats) {
            write!(f, "{comma}\"{}\":{count}", class.word())?;
            comma = ",";
        }
        f.write_str("},\"failures\":{")?;
        comma = "";
        for (failure, count) in FAILURES.iter().zip(counters.failures) {
            if count > 0 {
                write!(f, "{comma}\"{}\":{count}", Kind(*failure))?;
                comma = ",";
            }
        }
        let others = [
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
        ];
        write!(f, "}},{}}}", Numbers(&others))
    }

    fn beats(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for beat in self.history.beats().filter(|beat| beat.id > self.after) {
            write!(f, "{comma}{}", ShownBeat { when: self.when(beat.id, beat.at), beat })?;
            comma = ",";
        }
        Ok(())
    }

    fn turns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for turn in self.history.transitions().filter(|turn| turn.id > self.after) {
            write!(f, "{comma}{}", Turn { when: self.when(turn.id, turn.at), turn })?;
            comma = ",";
        }
        Ok(())
    }

    fn hours(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (ago, hour) in self.history.hours(self.now) {
            let numbers = [
                ("ago_h", ago.into()),
                ("beats", hour.beats.into()),
                ("immediate", hour.immediate.into()),
                ("failed", hour.failed.into()),
                ("offline_s", (hour.offline_us / 1_000_000).into()),
            ];
            write!(f, "{comma}{{{}}}", Numbers(&numbers))?;
            comma = ",";
        }
        Ok(())
    }
}

impl Display for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = self.history;
        write!(
            f,
            "{{\"success\":true,\"run\":\"{:016x}\",\"last_id\":{},\"uptime_s\":{},\"clock_set\":{}",
            history.run(),
            history.last_id(),
            (self.now - self.started_at).as_secs(),
            self.unix_s.is_some(),
        )?;
        f.write_str(",\"beats\":[")?;
        self.beats(f)?;
        f.write_str("],\"transitions\":[")?;
        self.turns(f)?;
        f.write_str("],\"hours\":[")?;
        self.hours(f)?;
        f.write_str("],\"counters\":")?;
        self.counters(f)?;
        write!(
            f,
            ",\"histograms\":{{\"event_to_acknowledged\":{},\"round_trip\":{}}}}}",
            Buckets(history.event_to_acknowledged()),
            Buckets(history.round_trip()),
        )
    }
}

/// What every entry begins with.
struct When {
    id: Id,
    ago_ms: u128,
    at: Option<Utc>,
    earlier: bool,
}

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"id\":{},\"ago_ms\":{},\"at\":{}", self.id, self.ago_ms, Or(self.at))?;
        if self.earlier { f.write_str(",\"earlier\":true") } else { Ok(()) }
    }
}

struct ShownBeat<'a> {
    when: When,
    beat: &'a Beat,
}

impl Display for ShownBeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Beat { seq, reason, via, outcome, .. } = self.beat;
        write!(
            f,
            "{},\"seq\":{seq},\"reason\":\"{}\",\"class\":\"{}\",\"via\":{}",
            self.when,
            Escaped(reason),
            Class::of(reason).word(),
            Or(*via),
        )?;
        match outcome {
            Outcome::Acknowledged { status, steps } => {
                let steps = [
                    ("usable_us", steps.usable_us.into()),
                    ("resolved_us", steps.resolved_us.into()),
                    ("connected_us", steps.connected_us.into()),
                    ("secured_us", steps.secured_us.into()),
                    ("written_us", steps.written_us.into()),
                    ("replied_us", steps.replied_us.into()),
                ];
                let steps = Numbers(&steps);
                write!(
                    f,
                    ",\"result\":\"acknowledged\",\"status\":{status},\"cause\":null,\
                     \"stamps\":{{{steps}}}}}"
                )
            }
            Outcome::Failed(failure) => write!(
                f,
                ",\"result\":\"failed\",\"status\":null,\"cause\":\"{}\",\"stamps\":null}}",
                Cause(*failure)
            ),
        }
    }
}

struct Turn<'a> {
    when: When,
    turn: &'a Transition,
}

impl Display for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},\"kind\":\"{}\"", self.when, self.turn.change.word())?;
        match self.turn.change {
            Change::Uplink { from, to } => {
                write!(f, ",\"from\":{},\"to\":{}", Or(from), Or(to))?;
            }
            Change::Failing(failure) => write!(f, ",\"cause\":\"{}\"", Cause(failure))?,
            Change::ServiceDown(name) | Change::ServiceUp(name) => {
                write!(f, ",\"name\":\"{name}\"")?;
            }
            Change::Started
            | Change::Offline
            | Change::Online
            | Change::Beating
            | Change::ClockSet => {}
        }
        f.write_char('}')
    }
}

struct Buckets<'a>(&'a Histogram);

impl Display for Buckets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"le_us\":[{}],\"counts\":[{}],\"sum_us\":{},\"count\":{}}}",
            List(&BUCKETS_US),
            List(&self.0.counts),
            self.0.sum_us,
            self.0.count(),
        )
    }
}

/// Members of an object, each a name and a number.
struct Numbers<'a>(&'a [(&'static str, u64)]);

impl Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (name, number) in self.0 {
            write!(f, "{comma}\"{name}\":{number}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// Numbers with a comma between each two.
struct List<'a>(&'a [u64]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for number in self.0 {
            write!(f, "{comma}{number}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// A text, or `null`.
struct Or<T>(Option<T>);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "\"{}\"", Escaped(text)),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests;
