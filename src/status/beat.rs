//! The last acknowledged beat, in the log and in the status.

use std::fmt;
use std::time::Duration;

use linkbeat_core::proto::event::Acknowledged;
use linkbeat_core::proto::time::{Instant, micros};
use linkbeat_core::wire::json::{Emit, Emitter, Object, Quoted};

/// An acknowledged beat as it is shown: in the status by [`Emit`], in the log line by `Display`.
pub struct BeatShown<'a>(pub &'a Acknowledged);

impl Emit for BeatShown<'_> {
    /// The steps are in microseconds since the event that asked for the beat; `held_us` is a duration.
    fn emit(&self, json: &mut Emitter<'_>) {
        let Acknowledged { seq, reason, via, status, stamps } = self.0;
        let since = |at: Instant| micros(at - stamps.event_at);
        let members = |json: &mut Emitter<'_>| {
            json.member("seq", seq)
                .member("reason", &Quoted(reason))
                .member("via", &via.map(Quoted))
                .member("status", status)
                .members([
                    ("usable_us", since(stamps.usable_at)),
                    ("held_us", micros(stamps.held)),
                    ("resolved_us", since(stamps.resolved_at)),
                    ("opened_us", since(stamps.opened_at)),
                    ("connected_us", since(stamps.connected_at)),
                    ("secured_us", since(stamps.secured_at)),
                    ("written_us", since(stamps.written_at)),
                    ("replied_us", since(stamps.replied_at)),
                ]);
        };
        Object(members).emit(json);
    }
}

impl fmt::Display for BeatShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Acknowledged { seq, reason, via, status, stamps } = self.0;
        write!(f, "seq {seq}, {reason}, {status}")?;
        if let Some(via) = via {
            write!(f, ", via {via}")?;
        }
        let since = |at: Instant| Millis(at - stamps.event_at);
        write!(
            f,
            ", {} ms (usable {}, resolved {}, connected {}, secured {}, written {})",
            since(stamps.replied_at),
            since(stamps.usable_at),
            since(stamps.resolved_at),
            since(stamps.connected_at),
            since(stamps.secured_at),
            since(stamps.written_at),
        )
    }
}

/// A duration in milliseconds with one decimal.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = micros(self.0).saturating_add(50) / 100;
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}
