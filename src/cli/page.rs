//! The page of `linkbeat status`: the agent's JSON as text for people.
//!
//! Texts in the JSON can come from servers, files and other programs, so control characters are
//! replaced before they reach the terminal.

use crate::status::AgentState;

mod fields;
#[cfg(test)]
mod tests;
mod timeline;

pub(super) use self::fields::Fields;
use self::fields::{
    beat, interface, joined, outage, reserve, safe, service, span, steps, unset_clock,
};
pub(super) use self::timeline::entries;

/// The status as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum StatusVerdict {
    /// Online, and the last acknowledged beat is fresh.
    Fresh = 0,
    /// Offline; or not online for another reason, while the last beat is still fresh.
    Offline = 1,
    /// The last acknowledged beat is older than two intervals and a time-out, or there was none.
    Stale = 2,
}

/// The status of a running agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// The JSON of the agent.
    pub(super) status: Fields<'a>,
    /// Whether to use colour.
    pub(super) colour: bool,
}

impl Page<'_> {
    /// The status as an exit code.
    pub(super) fn verdict(&self) -> StatusVerdict {
        let fresh_for = self.status.number("stale_after").unwrap_or_default();
        let fresh = self.status.number("last_heartbeat_ago").is_some_and(|ago| ago <= fresh_for);
        if self.is(AgentState::NoUplink) || self.is(AgentState::Offline) {
            StatusVerdict::Offline
        } else if !fresh {
            StatusVerdict::Stale
        } else if self.is(AgentState::Online) {
            StatusVerdict::Fresh
        } else {
            StatusVerdict::Offline
        }
    }

    /// One line that changes only with the state.
    pub(super) fn line(&self) -> String {
        let begin = format!("{}{}", self.state(), self.over());
        match self.status.text("last_error") {
            Some(error) => format!("{begin}: {error}"),
            None if self.verdict() == StatusVerdict::Stale => {
                format!("{begin}, and no beat lately")
            }
            None => begin + &self.meaning(),
        }
    }

    /// Whether the agent is in this state.
    fn is(&self, state: AgentState) -> bool {
        self.status.word("state") == state.as_str()
    }

    /// The state in words.
    fn state(&self) -> String {
        self.status.text("state").map_or_else(|| "unknown".into(), |word| word.replace('_', " "))
    }

    /// The meaning of the state; empty if the agent is an older one that does not send it.
    fn meaning(&self) -> String {
        self.status.text("meaning").map(|meaning| format!(": {meaning}")).unwrap_or_default()
    }

    /// The uplink in use, while the agent is online.
    fn over(&self) -> String {
        let uplink = self.status.object("uplink").filter(|_| self.is(AgentState::Online));
        let name = uplink.and_then(|uplink| uplink.text("name"));
        name.map(|name| format!(" over {name}")).unwrap_or_default()
    }

    fn stale(&self) -> Option<String> {
        let stale = self.is(AgentState::Online) && self.verdict() == StatusVerdict::Stale;
        let fresh_for = span(self.status.number("stale_after").unwrap_or_default());
        stale.then(|| format!("the last beat should be no older than {fresh_for}"))
    }

    fn next_beat(&self) -> Option<String> {
        if self.status.flag("in_flight") == Some(true) {
            Some("under way".into())
        } else if let Some(wait) = self.status.number("next_beat_in") {
            Some(format!("in {}{}", span(wait), self.hold()))
        } else {
            let reason = self.status.text("pending")?;
            Some(format!("as soon as there is a way: {reason}"))
        }
    }

    /// The interval, where it is not that of the configuration.
    fn other_interval(&self) -> Option<String> {
        let interval = self.status.number("interval_s")?;
        let why = match self.status.text("interval_source")?.as_str() {
            "server" => "set by the server",
            "metered" => "the uplink is metered",
            _ => return None,
        };
        Some(format!("{}, {why}", span(interval)))
    }

    /// The reason why the next beat waits.
    fn hold(&self) -> &'static str {
        if self.status.text("held_until").is_some() {
            ", not earlier: the server asked for it"
        } else if self.status.text("waits_until").is_none() {
            ""
        } else if self.status.number("failures").unwrap_or_default() > 0 {
            ", the next try"
        } else {
            ", not earlier: many were sent, or recovery_spread_ms is set"
        }
    }

    /// The parts of the sandbox in force; empty if the agent is an older one that does not say.
    fn sandbox(&self) -> String {
        let Some(sandbox) = self.status.object("sandbox") else { return String::new() };
        let parts = [
            ("no_new_privs", "no new privileges"),
            ("no_core", "no core files"),
            ("filter", "no needless system calls"),
        ];
        let held = |(key, text): (&str, &str)| {
            (sandbox.flag(key) == Some(true)).then(|| String::from(text))
        };
        let held = joined(&mut parts.into_iter().filter_map(held));
        let held = if held.is_empty() { "none" } else { &held };
        format!("; sandbox: {held}")
    }

    /// The page for people.
    pub(super) fn text(&self) -> String {
        let (begin, end) = match (self.colour, self.verdict()) {
            (false, _) => ("", ""),
            (true, StatusVerdict::Fresh) => ("\x1b[32m", "\x1b[0m"),
            (true, StatusVerdict::Offline) => ("\x1b[31m", "\x1b[0m"),
            (true, StatusVerdict::Stale) => ("\x1b[33m", "\x1b[0m"),
        };
        let status = self.status;
        let (state, since, over) = (self.state(), status.since(), self.over());
        let mut page = format!("{begin}{state}{end}{since}{over}{}\n", self.meaning());
        let mut row = |name: &str, text: Option<String>| {
            if let Some(text) = text {
                page.push_str(&format!("  {name:<11}  {text}\n"));
            }
        };
        row("stale", self.stale());
        row("error", status.text("last_error"));
        let clock = status.object("clock").filter(|clock| clock.flag("set") == Some(false));
        row("clock", clock.map(unset_clock));
        let failures = status.number("failures").filter(|failures| *failures > 1);
        row("failures", failures.map(|failures| format!("{failures} in a row")));
        row("what to do", status.text("advice"));
        let error = status.text("config_error");
        row("bad config", error.map(|error| format!("{error} (it is not in force)")));
        for warning in status.list("warnings") {
            row("warning", Some(safe(warning)).filter(|it| !it.is_empty()));
        }
        let uplink = status.object("uplink").filter(|uplink| uplink.object("name").is_some());
        row("uplink", uplink.map(|it| format!("{}, in use{}", interface(it), it.since())));
        row("obstacle", status.object("obstacle").and_then(|it| it.text("text")));
        for uplink in status.list("uplinks") {
            row("in reserve", Some(reserve(Fields(uplink))));
        }
        for watched in status.list("watch") {
            row("service", Some(service(Fields(watched))));
        }
        if let (Some(ago), Some(last)) =
            (status.number("last_heartbeat_ago"), status.object("beat"))
        {
            row("last beat", Some(format!("{} ago: {}", span(ago), beat(last, Some(last)))));
            row("its steps", Some(steps(last)));
        } else {
            row("last beat", Some("none has been acknowledged since start".into()));
        }
        row("last outage", status.object("last_outage").and_then(outage));
        row("next beat", self.next_beat());
        row("interval", self.other_interval());
        row("server", status.text("api_url"));
        row("device key", status.text("device_key_full"));
        row("page", status.text("listens_on"));
        if let (Some(version), Some(pid)) = (status.text("version"), status.number("pid")) {
            let sandbox = self.sandbox();
            row("agent", Some(format!("linkbeat {version}, process {pid}{sandbox}")));
        }
        page
    }
}
