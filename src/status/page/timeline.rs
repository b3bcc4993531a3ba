//! The history in words: one line for each beat and each turn of events.

use std::fmt::{self, Display};

use super::words::{Beat, Clean, Member, Millis, Span};
use crate::wire::json::Value;

/// The entries of a history as an agent tells it, oldest first. What makes no sense is left out.
#[must_use]
pub fn entries<'a>(history: &Value<'a>, colour: bool) -> Vec<Entry<'a>> {
    let mut entries = Vec::<Entry<'a>>::new();
    for list in ["beats", "transitions"] {
        for entry in history.get(list).iter().flat_map(Value::elements) {
            let Some(id) = entry.get("id").and_then(|id| id.as_whole()) else { continue };
            let place = entries.partition_point(|known| known.id < id);
            entries.insert(place, Entry { id, entry, colour });
        }
    }
    entries
}

/// One entry. `Display` is its line, without the end of it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its number.
    pub id: u64,
    /// What the agent said of it.
    pub entry: Value<'a>,
    colour: bool,
}

impl Entry<'_> {
    /// Whether it comes from an earlier run of the agent.
    #[must_use]
    pub fn is_earlier(&self) -> bool {
        self.entry.get("earlier").and_then(|flag| flag.as_bool()) == Some(true)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.entry.get(key)?.as_whole()
    }

    fn text(&self, key: &str) -> Option<Clean<'_>> {
        self.entry.get(key).and_then(Clean::of)
    }

    fn when(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text("at"), self.number("ago_ms")) {
            (Some(at), _) => write!(f, "{at}"),
            (None, Some(ago_ms)) => {
                write!(f, "{:<20}", format!("{} ago", Span(ago_ms / 1000)))
            }
            (None, None) => write!(f, "{:<20}", "at some time"),
        }
    }

    /// A row with its name, coloured where it is good or bad news.
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, what: &dyn Display) -> fmt::Result {
        let (begin, end) = match (self.colour, name) {
            (true, "online" | "beating") => ("\x1b[32m", "\x1b[0m"),
            (true, "offline" | "failing" | "failed") => ("\x1b[31m", "\x1b[0m"),
            (true, "started" | "uplink" | "clock set" | "service") => ("\x1b[33m", "\x1b[0m"),
            _ => ("", ""),
        };
        write!(f, "  {begin}{name:<9}{end}  {what}")
    }
}

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.when(f)?;
        let cause = Member(self.entry, "cause");
        if self.entry.get("kind").is_none() {
            return match self.text("cause") {
                Some(_) => {
                    let reason = Member(self.entry, "reason");
                    let seq = self.number("seq").unwrap_or_default();
                    self.row(f, "failed", &format_args!("{reason}, seq {seq}: {cause}"))
                }
                None => self.row(f, "beat", &Acknowledged(self.entry)),
            };
        }
        let kind = self.text("kind").map(|kind| kind.to_string()).unwrap_or_default();
        match kind.as_str() {
            "started" => self.row(f, &kind, &"the agent started"),
            "uplink" => {
                let name = |key| End(self.text(key));
                self.row(f, &kind, &format_args!("{} -> {}", name("from"), name("to")))
            }
            "offline" => self.row(f, &kind, &"nothing outside answers"),
            "online" => self.row(f, &kind, &"the outside answers again"),
            "failing" => self.row(f, &kind, &format_args!("beats fail from now on: {cause}")),
            "beating" => self.row(f, &kind, &"the server acknowledges the beats"),
            "clock_set" => {
                self.row(f, "clock set", &"what is shown of the time before is right now")
            }
            "service_down" => self.row(
                f,
                "service",
                &format_args!("{} does not answer", Member(self.entry, "name")),
            ),
            "service_up" => self.row(
                f,
                "service",
                &format_args!("{} answers again", Member(self.entry, "name")),
            ),
            // A newer agent has a word that is not known here.
            _ => self.row(f, &kind, &Member(self.entry, "name")),
        }
    }
}

/// An acknowledged beat.
struct Acknowledged<'a>(Value<'a>);

impl Display for Acknowledged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Beat(self.0))?;
        let replied = self.0.get("stamps").and_then(|stamps| stamps.get("replied_us"));
        let micros = replied.and_then(|micros| micros.as_whole());
        micros.map_or(Ok(()), |micros| write!(f, " in {} ms", Millis(micros)))
    }
}

/// One end of a change of uplink.
struct End<'a>(Option<Clean<'a>>);

impl Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "{name}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json;

    fn lines(history: &str, colour: bool) -> String {
        let history = json::parse(history.as_bytes()).unwrap();
        entries(&history, colour).iter().map(|entry| format!("{entry}\n")).collect()
    }

    const HISTORY: &str = r#"{"beats": [
        {"id": 3, "ago_ms": 9917, "at": "2026-02-02T11:59:51Z", "seq": 812,
         "reason": "eth0_priority", "class": "priority", "via": "eth0", "result": "acknowledged",
         "status": 200, "cause": null, "stamps": {"replied_us": 83400}},
        {"id": 6, "ago_ms": 6000, "at": null, "seq": 813, "reason": "interval", "class": "interval",
         "via": null, "result": "failed", "status": null, "cause": "http_404", "stamps": null}],
      "transitions": [
        {"id": 1, "ago_ms": 11000, "at": "2026-02-02T11:59:49Z", "kind": "started"},
        {"id": 2, "ago_ms": 10000, "at": "2026-02-02T11:59:50Z", "kind": "uplink", "from": null, "to": "eth0"},
        {"id": 5, "ago_ms": 6000, "at": "2026-02-02T11:59:54Z", "kind": "failing", "cause": "http_404"},
        {"id": 7, "ago_ms": 5000, "at": null, "kind": "offline"},
        {"id": 8, "ago_ms": 4000, "at": null, "kind": "online"},
        {"id": 9, "ago_ms": 90000, "at": null, "kind": "beating", "earlier": true},
        {"id": 10, "at": null, "kind": "clock_set"},
        {"id": 11, "at": null, "kind": "service_up", "name": "rtsp"},
        {"kind": "no number"}, 7]}"#;

    #[test]
    fn every_entry_is_a_line_in_the_order_of_the_numbers() {
        let expected = "\
2026-02-02T11:59:49Z  started    the agent started
2026-02-02T11:59:50Z  uplink     none -> eth0
2026-02-02T11:59:51Z  beat       eth0_priority, seq 812, answered 200 over eth0 in 83.4 ms
2026-02-02T11:59:54Z  failing    beats fail from now on: http_404
6 s ago               failed     interval, seq 813: http_404
5 s ago               offline    nothing outside answers
4 s ago               online     the outside answers again
1 min 30 s ago        beating    the server acknowledges the beats
at some time          clock set  what is shown of the time before is right now
at some time          service    rtsp answers again
";
        assert_eq!(lines(HISTORY, false), expected);
        let history = json::parse(HISTORY.as_bytes()).unwrap();
        let earlier: Vec<_> =
            entries(&history, false).iter().filter(|it| it.is_earlier()).map(|it| it.id).collect();
        assert_eq!(earlier, [9]);
    }

    #[test]
    fn colour_is_around_the_name_and_text_cannot_steer_the_terminal() {
        let coloured = lines(HISTORY, true);
        assert!(coloured.contains("  \x1b[31moffline  \x1b[0m  nothing"), "{coloured:?}");
        assert_eq!(coloured.matches("\x1b[0m").count(), 9, "{coloured:?}");
        let spoilt = HISTORY.replace("\": \"", "\": \"\\u001b[31m\\n\u{202e}");
        let steering = |char: char| char != '\n' && char.is_control() || char == '\u{202e}';
        let lines = lines(&spoilt, false);
        assert!(!lines.contains(steering), "{lines:?}");
        assert_eq!(lines.lines().count(), 10);
    }

    #[test]
    fn any_json_can_be_read() {
        for history in ["null", "[]", "{}", r#"{"beats": 1, "transitions": [{"id": "x"}]}"#] {
            assert_eq!(lines(history, true), "");
        }
        lines(r#"{"beats": [{"id": 1}], "transitions": [{"id": 2, "kind": 3}]}"#, true);
    }
}
