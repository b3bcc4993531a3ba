//! Objects of the agent's JSON, and parts of them as text.

use linkbeat_core::wire::cut::harmless;
use linkbeat_core::wire::json::Value;

/// An object of the agent's JSON. A member that is absent or of another type has no value.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Fields<'a>(pub(in crate::cli) Value<'a>);

impl<'a> Fields<'a> {
    /// The value of this name, as an object.
    pub(super) fn object(self, key: &str) -> Option<Self> {
        self.0.get(key).map(Self)
    }

    /// The elements of an array.
    pub(super) fn list(self, key: &str) -> impl Iterator<Item = Value<'a>> {
        self.0.get(key).into_iter().flat_map(|array| array.elements())
    }

    /// A text that is not empty.
    pub(super) fn text(self, key: &str) -> Option<String> {
        self.0.get(key).map(safe).filter(|text| !text.is_empty())
    }

    /// A text, or an empty one.
    pub(super) fn word(self, key: &str) -> String {
        self.text(key).unwrap_or_default()
    }

    /// A whole number.
    pub(super) fn number(self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_whole()
    }

    /// `true` or `false`.
    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// The duration in `since_ago` with "for" in front; empty if it is absent.
    pub(super) fn since(self) -> String {
        self.number("since_ago").map(|ago| format!(" for {}", span(ago))).unwrap_or_default()
    }
}

/// A text of the JSON without characters that could control a terminal; empty for another type.
pub(super) fn safe(value: Value<'_>) -> String {
    value.as_text().into_iter().flat_map(|text| text.chars()).map(harmless).collect()
}

/// An interface with its addresses.
pub(super) fn interface(interface: Fields<'_>) -> String {
    let mut text = interface.word("name");
    for address in interface.list("addresses").filter(|address| address.as_text().is_some()) {
        text.push(' ');
        text.push_str(&safe(address));
    }
    text
}

/// An uplink in reserve, and what its last test says.
pub(super) fn reserve(uplink: Fields<'_>) -> String {
    let works = match uplink.word("standby").as_str() {
        "ok" => ": it works",
        "dead" => ": the server does not answer over it",
        _ => "",
    };
    interface(uplink) + works
}

/// A watched service.
pub(super) fn service(service: Fields<'_>) -> String {
    let [name, address, state] = ["name", "address", "state"].map(|key| service.word(key));
    format!("{name} at {address}: {state}{}", service.since())
}

/// The parts with a comma between each two.
pub(super) fn joined(parts: &mut dyn Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// An acknowledged beat; `steps` is the object with its steps.
pub(super) fn beat(beat: Fields<'_>, steps: Option<Fields<'_>>) -> String {
    let mut text = beat.word("reason");
    if let (Some(seq), Some(status)) = (beat.number("seq"), beat.number("status")) {
        text.push_str(&format!(", seq {seq}, answered {status}"));
    }
    if let Some(via) = beat.text("via") {
        text.push_str(&format!(" over {via}"));
    }
    if let Some(micros) = steps.and_then(|steps| steps.number("replied_us")) {
        text.push_str(&format!(" in {} ms", millis(micros)));
    }
    text
}

/// The steps of a beat, each in milliseconds from the event that caused it, and its waits.
pub(super) fn steps(beat: Fields<'_>) -> String {
    let steps = [
        ("resolved_us", "resolved"),
        ("connected_us", "connected"),
        ("secured_us", "secured"),
        ("written_us", "written"),
        ("replied_us", "answered"),
    ];
    let step = |(key, name)| Some(format!("{name} {}", millis(beat.number(key)?)));
    let text = joined(&mut steps.into_iter().filter_map(step)) + " ms";
    let at = |key| beat.number(key).unwrap_or(0);
    let (usable, held) = (at("usable_us"), at("held_us"));
    let raced = at("opened_us").saturating_sub(at("resolved_us").max(usable.saturating_add(held)));
    let waits = [("without an uplink", usable), ("held", held), ("racing", raced)];
    let waits = waits.into_iter().filter(|(_, micros)| *micros >= 100);
    let mut waits = waits.map(|(name, micros)| format!("{} {name}", millis(micros)));
    match joined(&mut waits) {
        none if none.is_empty() => text,
        waits => format!("{text}; of it {waits}"),
    }
}

/// A clock that is not set, and the time used in its place.
pub(super) fn unset_clock(clock: Fields<'_>) -> String {
    let known = match clock.word("source").as_str() {
        "build" => "the build of the agent",
        "file" => "the last change of its files",
        _ => "the date of the server",
    };
    format!("not set{}: it is at least {}, {known}", clock.since(), clock.word("used"))
}

/// The last outage.
pub(super) fn outage(outage: Fields<'_>) -> Option<String> {
    let began_ago = outage.number("began_ago")?;
    let when = match outage.number("lasted") {
        Some(lasted) => {
            let ended_ago = began_ago.saturating_sub(lasted);
            format!("ended {} ago, lasted {}", span(ended_ago), span(lasted))
        }
        None => format!("ongoing, began {} ago", span(began_ago)),
    };
    let missed = match outage.number("missed") {
        None => String::new(),
        Some(0) => ", no beat fell due".into(),
        Some(1) => ", 1 beat missed".into(),
        Some(missed) => format!(", {missed} beats missed"),
    };
    Some(match (outage.word("kind").as_str(), outage.text("cause")) {
        ("no_uplink", _) => format!("{when}{missed}: no interface led out"),
        ("failing", Some(cause)) => format!("{when}{missed}: beats failed ({cause})"),
        _ => format!("{when}{missed}: nothing outside answered"),
    })
}

/// Microseconds in milliseconds, with one decimal.
fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

/// A number of seconds in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
