//! Pieces of the status and of the history in words.

use std::fmt::{self, Display, Write};

use crate::status::harmless;
use crate::wire::json::{Text, Value};

/// A text of the JSON without anything that could steer a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clean<'a>(pub(super) Text<'a>);

impl<'a> Clean<'a> {
    /// `None` for an empty text and for what is no text.
    pub(super) fn of(value: Value<'a>) -> Option<Self> {
        value.as_text().filter(|text| text.chars().next().is_some()).map(Self)
    }
}

impl Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| f.write_char(harmless(char)))
    }
}

/// A member of an object as text; nothing if it is absent, or not even a text.
pub(super) struct Member<'a>(pub(super) Value<'a>, pub(super) &'static str);

impl Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get(self.1).and_then(Clean::of).map_or(Ok(()), |text| text.fmt(f))
    }
}

/// An interface with its addresses.
pub(super) struct Interface<'a>(pub(super) Value<'a>);

impl Display for Interface<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Member(self.0, "name"))?;
        for address in self.0.get("addresses").iter().flat_map(Value::elements) {
            address.as_text().map_or(Ok(()), |text| write!(f, " {}", Clean(text)))?;
        }
        Ok(())
    }
}

/// What the last acknowledged beat was.
pub(super) struct Beat<'a>(pub(super) Value<'a>);

impl Display for Beat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Member(self.0, "reason"))?;
        if let (Some(seq), Some(status)) = (self.number("seq"), self.number("status")) {
            write!(f, ", seq {seq}, answered {status}")?;
        }
        if let Some(via) = self.0.get("via").and_then(Clean::of) {
            write!(f, " over {via}")?;
        }
        self.number("replied_us").map_or(Ok(()), |micros| write!(f, " in {} ms", Millis(micros)))
    }
}

impl Beat<'_> {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_whole()
    }
}

/// When the steps of a beat were done, in milliseconds from the event that asked for it.
pub(super) struct Steps<'a>(pub(super) Value<'a>);

impl Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (key, name) in [
            ("resolved_us", "resolved"),
            ("connected_us", "connected"),
            ("secured_us", "secured"),
            ("written_us", "written"),
            ("replied_us", "answered"),
        ] {
            if let Some(micros) = self.0.get(key).and_then(|value| value.as_whole()) {
                write!(f, "{separator}{name} {}", Millis(micros))?;
                separator = ", ";
            }
        }
        f.write_str(" ms")
    }
}

/// A clock that is not set, and what is used instead.
pub(super) struct ClockNotSet<'a>(pub(super) Value<'a>);

impl<'a> ClockNotSet<'a> {
    pub(super) fn of(status: Value<'a>) -> Option<Self> {
        let clock = status.get("clock")?;
        (clock.get("set")?.as_bool() == Some(false)).then_some(Self(clock))
    }
}

impl Display for ClockNotSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_ago = self.0.get("since_ago").and_then(|ago| ago.as_whole());
        let known = match Member(self.0, "source").to_string().as_str() {
            "build" => "when this linkbeat was built",
            "file" => "when its configuration was written",
            _ => "by the server's date",
        };
        write!(
            f,
            "not set{}: certificates are judged by {}, {known}",
            For(since_ago),
            Member(self.0, "used")
        )
    }
}

/// The last time in which the server could not be told.
pub(super) struct Outage<'a> {
    outage: Value<'a>,
    began_ago: u64,
}

impl<'a> Outage<'a> {
    pub(super) fn of(outage: Value<'a>) -> Option<Self> {
        Some(Self { outage, began_ago: outage.get("began_ago")?.as_whole()? })
    }
}

impl Display for Outage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outage.get("lasted").and_then(|lasted| lasted.as_whole()) {
            Some(lasted) => {
                let ended_ago = self.began_ago.saturating_sub(lasted);
                write!(f, "over since {}, lasted {}: ", Span(ended_ago), Span(lasted))?;
            }
            None => write!(f, "not over yet, began {} ago: ", Span(self.began_ago))?,
        }
        match self.outage.get("cause").and_then(Clean::of) {
            Some(cause) => write!(f, "beats failed ({cause})"),
            None => f.write_str("nothing outside answered"),
        }
    }
}

/// Microseconds in milliseconds, with one decimal.
pub(super) struct Millis(pub(super) u64);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 100)
    }
}

/// How long, if that is known.
pub(super) struct For(pub(super) Option<u64>);

impl Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |seconds| write!(f, " for {}", Span(seconds)))
    }
}

/// A number of seconds in its two largest units.
pub(super) struct Span(pub(super) u64);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min {seconds} s"),
            (0, _, _) => write!(f, "{hours} h {minutes} min"),
            _ => write!(f, "{days} d {hours} h"),
        }
    }
}
