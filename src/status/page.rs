//! The status in words: what is wrong, since when, and what to do.
//!
//! It reads the JSON that an agent wrote, and does not trust it: servers, files and other programs
//! had a hand in its texts, so no control character of theirs reaches the terminal.

use std::fmt::{self, Display};

use super::State;
use crate::wire::json::Value;

mod advice;
#[cfg(test)]
mod tests;
mod timeline;
mod words;

use self::advice::Advice;
pub use self::timeline::{Entry, entries};
use self::words::{Beat, Clean, ClockNotSet, For, Interface, Member, Outage, Span, Steps};

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

    /// The uplink in use, where it is of interest.
    fn over(&self) -> Option<Clean<'a>> {
        let uplink = self.status.get("uplink")?.get("name")?;
        Clean::of(uplink).filter(|_| self.state() == Some(State::Online))
    }

    /// How it goes in one line that is the same for as long as nothing changes.
    #[must_use]
    pub fn line(&self) -> impl Display {
        Line(*self)
    }

    fn meaning(&self) -> &'static str {
        self.state().map_or("not a word of this version", State::meaning)
    }

    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = match (self.colour, self.verdict()) {
            (false, _) => ("", ""),
            (true, Verdict::Fresh) => ("\x1b[32m", "\x1b[0m"),
            (true, Verdict::Offline) => ("\x1b[31m", "\x1b[0m"),
            (true, Verdict::Stale) => ("\x1b[33m", "\x1b[0m"),
        };
        write!(f, "{begin}{}{end}", Named(self))?;
        write!(f, "{}", For(self.number("since_ago")))?;
        if let Some(name) = self.over() {
            write!(f, " over {name}")?;
        }
        writeln!(f, ": {}", self.meaning())
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
        if let Some(obstacle) =
            self.status.get("obstacle").and_then(|it| Clean::of(it.get("text")?))
        {
            row(f, "obstacle", obstacle)?;
        }
        for other in self.status.get("uplinks").iter().flat_map(Value::elements) {
            row(f, "in reserve", Interface(other))?;
        }
        Ok(())
    }

    fn services(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for service in self.status.get("watch").iter().flat_map(Value::elements) {
            let since_ago = service.get("since_ago").and_then(|ago| ago.as_whole());
            let (name, state) = (Member(service, "name"), Member(service, "state"));
            let address = Member(service, "address");
            row(f, "service", format_args!("{name} at {address}: {state}{}", For(since_ago)))?;
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
        if let Some(outage) = self.status.get("last_outage").and_then(Outage::of) {
            row(f, "last outage", outage)?;
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
        self.services(f)?;
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

/// The state by its name.
struct Named<'a, 'b>(&'a Page<'b>);

impl Display for Named<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.state(), self.0.text("state")) {
            (Some(state), _) => f.write_str(name(state)),
            (None, Some(word)) => write!(f, "{word}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

struct Line<'a>(Page<'a>);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = &self.0;
        write!(f, "{}", Named(page))?;
        if let Some(name) = page.over() {
            write!(f, " over {name}")?;
        }
        match page.text("last_error") {
            Some(error) => write!(f, ": {error}"),
            None if page.verdict() == Verdict::Stale => f.write_str(", and no beat lately"),
            None => write!(f, ": {}", page.meaning()),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, what: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<11}  {what}")
}

const fn name(state: State) -> &'static str {
    match state {
        State::NoUplink => "no uplink",
        State::ServerSilent => "server silent",
        State::CaptivePortal => "captive portal",
        _ => state.word(),
    }
}
