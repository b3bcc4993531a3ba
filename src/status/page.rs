//! The status in words: what is wrong, since when, and what to do.
//!
//! It reads the JSON that an agent wrote, and does not trust it: servers, files and other programs
//! had a hand in its texts, so no control character of theirs reaches the terminal.

use std::fmt::{self, Display, Write};

use super::{State, harmless};
use crate::wire::json::{Text, Value};

mod advice;
#[cfg(test)]
mod tests;

use self::advice::Advice;

/// What a script wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Online, and the last acknowledged beat is fresh.
    Fresh,
    /// Offline; or not online for another reason, while the last beat is still fresh.
    Offline,
    /// No beat was acknowledged for two intervals and a time-out, or none ever was.
    Stale,
}

/// The status of a running agent. `Display` is the page for people.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the agent said.
    pub status: Value<'a>,
    /// Whether the reader shows colours.
    pub colour: bool,
}

impl<'a> Page<'a> {
    /// What a script wants to know.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let stale_after = self.number("stale_after").unwrap_or_default();
        let fresh = self.number("last_heartbeat_ago").is_some_and(|ago| ago <= stale_after);
        match (self.state(), fresh) {
            (Some(State::NoUplink | State::Offline), _) => Verdict::Offline,
            (_, false) => Verdict::Stale,
            (Some(State::Online), true) => Verdict::Fresh,
            (_, true) => Verdict::Offline,
        }
    }

    /// What a person can do about it, in one line; `None` where there is nothing to do but wait.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Advice::of(self).map(|advice| advice.to_string())
    }

    /// The state, unless an agent of another version has a word that is not known here.
    fn state(&self) -> Option<State> {
        let word = self.status.get("state")?.as_text()?;
        State::ALL.into_iter().find(|state| word == *state.word())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.status.get(key)?.as_whole()
    }

    /// A text that is not empty.
    fn text(&self, key: &str) -> Option<Clean<'a>> {
        Clean::of(self.status.get(key)?)
    }

    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = match (self.colour, self.verdict()) {
            (false, _) => ("", ""),
            (true, Verdict::Fresh) => ("\x1b[32m", "\x1b[0m"),
            (true, Verdict::Offline) => ("\x1b[31m", "\x1b[0m"),
            (true, Verdict::Stale) => ("\x1b[33m", "\x1b[0m"),
        };
        match (self.state(), self.text("state")) {
            (Some(state), _) => write!(f, "{begin}{}{end}", name(state))?,
            (None, Some(word)) => write!(f, "{begin}{word}{end}")?,
            (None, None) => write!(f, "{begin}unknown{end}")?,
        }
        write!(f, "{}", For(self.number("since_ago")))?;
        writeln!(f, ": {}", self.state().map_or("not a word of this version", State::meaning))
    }

    fn trouble(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (self.state(), self.verdict()) == (Some(State::Online), Verdict::Stale) {
            let stale_after = Span(self.number("stale_after").unwrap_or_default());
            row(f, "stale", format_args!("the last beat should be no older than {stale_after}"))?;
        }
        if let Some(error) = self.text("last_error") {
            row(f, "error", error)?;
        }
        if let Some(clock) = ClockNotSet::of(self.status) {
            row(f, "clock", clock)?;
        }
        if let Some(failures) = self.number("failures").filter(|failures| *failures > 1) {
            row(f, "failures", format_args!("{failures} in a row"))?;
        }
        if let Some(advice) = Advice::of(self) {
            row(f, "what to do", advice)?;
        }
        match self.text("config_error") {
            Some(error) => row(f, "bad config", format_args!("{error} (it is not in force)")),
            None => Ok(()),
        }
    }

    fn uplinks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(uplink) =
            self.status.get("uplink").filter(|uplink| uplink.get("name").is_some())
        {
            let since_ago = uplink.get("since_ago").and_then(|ago| ago.as_whole());
            row(f, "uplink", format_args!("{}, in use{}", Interface(uplink), For(since_ago)))?;
        }
        for other in self.status.get("uplinks").iter().flat_map(Value::elements) {
            row(f, "in reserve", Interface(other))?;
        }
        Ok(())
    }

    fn beats(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.number("last_heartbeat_ago"), self.status.get("beat")) {
            (Some(ago), Some(beat)) => {
                row(f, "last beat", format_args!("{} ago: {}", Span(ago), Beat(beat)))?;
                row(f, "its steps", Steps(beat))?;
            }
            _ => row(f, "last beat", "none has been acknowledged since start")?,
        }
        if self.status.get("in_flight").and_then(|flag| flag.as_bool()) == Some(true) {
            row(f, "next beat", "under way")
        } else if let Some(wait) = self.number("next_beat_in") {
            row(f, "next beat", format_args!("in {}{}", Span(wait), self.hold()))
        } else if let Some(reason) = self.text("pending") {
            row(f, "next beat", format_args!("as soon as there is a way: {reason}"))
        } else {
            Ok(())
        }
    }

    /// Why the next beat waits.
    fn hold(&self) -> &'static str {
        if self.text("held_until").is_some() {
            ", not earlier: the server asked for it"
        } else if self.text("waits_until").is_none() {
            ""
        } else if self.number("failures").unwrap_or_default() > 0 {
            ", the next try"
        } else {
            ", not earlier: so many were sent that this one has to wait"
        }
    }
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        self.trouble(f)?;
        for warning in self.status.get("warnings").iter().flat_map(Value::elements) {
            if let Some(warning) = Clean::of(warning) {
                row(f, "warning", warning)?;
            }
        }
        self.uplinks(f)?;
        self.beats(f)?;
        if let Some(url) = self.text("api_url") {
            row(f, "server", url)?;
        }
        if let Some(key) = self.text("device_key_full") {
            row(f, "device key", key)?;
        }
        if let (Some(version), Some(pid)) = (self.text("version"), self.number("pid")) {
            row(f, "agent", format_args!("linkbeat {version}, process {pid}"))?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, what: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<10}  {what}")
}

const fn name(state: State) -> &'static str {
    match state {
        State::NoUplink => "no uplink",
        State::ServerSilent => "server silent",
        _ => state.word(),
    }
}

/// A text of the JSON without anything that could steer a terminal.
#[derive(Debug, Clone, Copy)]
struct Clean<'a>(Text<'a>);

impl<'a> Clean<'a> {
    /// `None` for an empty text and for what is no text.
    fn of(value: Value<'a>) -> Option<Self> {
        value.as_text().filter(|text| text.chars().next().is_some()).map(Self)
    }
}

impl Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| f.write_char(harmless(char)))
    }
}

/// A member of an object as text; nothing if it is absent, or not even a text.
struct Member<'a>(Value<'a>, &'static str);

impl Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get(self.1).and_then(Clean::of).map_or(Ok(()), |text| text.fmt(f))
    }
}

/// An interface with its addresses.
struct Interface<'a>(Value<'a>);

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
struct Beat<'a>(Value<'a>);

impl Display for Beat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Member(self.0, "reason"))?;
        if let (Some(seq), Some(status)) = (self.number("seq"), self.number("status")) {
            write!(f, ", seq {seq}, answered {status}")?;
        }
        match self.0.get("via").and_then(Clean::of) {
            Some(via) => write!(f, " over {via}"),
            None => Ok(()),
        }
    }
}

impl Beat<'_> {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_whole()
    }
}

/// When the steps of a beat were done, in milliseconds from the event that asked for it.
struct Steps<'a>(Value<'a>);

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
                let (millis, tenths) = (micros / 1000, micros % 1000 / 100);
                write!(f, "{separator}{name} {millis}.{tenths}")?;
                separator = ", ";
            }
        }
        f.write_str(" ms")
    }
}

/// A clock that is not set, and what is used instead.
struct ClockNotSet<'a>(Value<'a>);

impl<'a> ClockNotSet<'a> {
    fn of(status: Value<'a>) -> Option<Self> {
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

/// How long, if that is known.
struct For(Option<u64>);

impl Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |seconds| write!(f, " for {}", Span(seconds)))
    }
}

/// A number of seconds in its two largest units.
struct Span(u64);

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
