//! The history as text: one line for each beat and each transition.

use std::fmt::{self, Display};

use super::fields::{Fields, beat, span};

/// The entries of a history, oldest first. Entries without a number are left out.
pub(in crate::cli) fn entries(history: Fields<'_>, colour: bool) -> Vec<TimelineEntry<'_>> {
    let entry = |entry| {
        let fields = Fields(entry);
        Some(TimelineEntry { id: fields.number("id")?, fields, colour })
    };
    let lists = ["beats", "transitions"].into_iter().flat_map(|list| history.list(list));
    let mut entries: Vec<_> = lists.filter_map(entry).collect();
    entries.sort_by_key(|entry| entry.id);
    entries
}

/// One entry. `Display` is its line, without a line end.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct TimelineEntry<'a> {
    /// The number of the entry.
    pub(in crate::cli) id: u64,
    /// The JSON of the entry.
    pub(in crate::cli) fields: Fields<'a>,
    /// Whether to use colour.
    colour: bool,
}

impl TimelineEntry<'_> {
    /// Whether the entry is of an earlier run of the agent.
    pub(in crate::cli) fn is_earlier(&self) -> bool {
        self.fields.flag("earlier") == Some(true)
    }

    fn when(&self) -> String {
        match (self.fields.text("at"), self.fields.number("ago_ms")) {
            (Some(at), _) => at,
            (None, Some(ago_ms)) => format!("{} ago", span(ago_ms / 1000)),
            (None, None) => "at some time".into(),
        }
    }

    /// Name and text of the entry.
    fn what(&self) -> (String, String) {
        let fields = self.fields;
        let [kind, name, cause] = ["kind", "name", "cause"].map(|key| fields.word(key));
        let text = match kind.as_str() {
            _ if fields.object("kind").is_none() && cause.is_empty() => {
                return ("beat".into(), beat(fields, fields.object("stamps")));
            }
            _ if fields.object("kind").is_none() => {
                let (reason, seq) = (fields.word("reason"), fields.number("seq"));
                let seq = seq.unwrap_or_default();
                return ("failed".into(), format!("{reason}, seq {seq}: {cause}"));
            }
            "started" => "the agent started".into(),
            "uplink" => {
                let end = |key| fields.text(key).unwrap_or_else(|| "none".into());
                format!("{} -> {}", end("from"), end("to"))
            }
            "offline" => "nothing outside answers".into(),
            "online" => "the outside answers again".into(),
            "failing" => format!("beats fail from now on: {cause}"),
            "beating" => "the server acknowledges the beats".into(),
            "clock_set" => "what is shown of the time before is right now".into(),
            "standby_ok" => format!("the server answers over {name}"),
            "standby_dead" => format!("the server does not answer over {name}"),
            "service_down" => format!("{name} does not answer"),
            "service_up" => format!("{name} answers again"),
            // A transition that only a newer agent has.
            _ => return (kind, name),
        };
        let name = match kind.split_once('_') {
            Some((name @ ("service" | "standby"), _)) => name.into(),
            _ => kind.replace('_', " "),
        };
        (name, text)
    }
}

impl Display for TimelineEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, text) = self.what();
        let (begin, end) = match (self.colour, name.as_str()) {
            (true, "online" | "beating") => ("\x1b[32m", "\x1b[0m"),
            (true, "offline" | "failing" | "failed") => ("\x1b[31m", "\x1b[0m"),
            (true, "started" | "uplink" | "clock set" | "service" | "standby") => {
                ("\x1b[33m", "\x1b[0m")
            }
            _ => ("", ""),
        };
        write!(f, "{:<20}  {begin}{name:<9}{end}  {text}", self.when())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linkbeat_core::wire::json;

    fn lines(history: &str, colour: bool) -> String {
        let history = json::parse(history.as_bytes()).unwrap();
        entries(Fields(history), colour).iter().map(|entry| format!("{entry}\n")).collect()
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
        {"id": 12, "at": null, "kind": "standby_dead", "name": "wlan1"},
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
at some time          standby    the server does not answer over wlan1
";
        assert_eq!(lines(HISTORY, false), expected);
        let history = json::parse(HISTORY.as_bytes()).unwrap();
        let earlier: Vec<_> = entries(Fields(history), false)
            .iter()
            .filter(|it| it.is_earlier())
            .map(|it| it.id)
            .collect();
        assert_eq!(earlier, [9]);
    }

    #[test]
    fn colour_is_around_the_name_and_text_cannot_steer_the_terminal() {
        let coloured = lines(HISTORY, true);
        assert!(coloured.contains("  \x1b[31moffline  \x1b[0m  nothing"), "{coloured:?}");
        assert_eq!(coloured.matches("\x1b[0m").count(), 10, "{coloured:?}");
        let spoilt = HISTORY.replace("\": \"", "\": \"\\u001b[31m\\n\u{202e}");
        let steering = |char: char| char != '\n' && char.is_control() || char == '\u{202e}';
        let lines = lines(&spoilt, false);
        assert!(!lines.contains(steering), "{lines:?}");
        assert_eq!(lines.lines().count(), 11);
    }

    #[test]
    fn any_json_can_be_read() {
        for history in ["null", "[]", "{}", r#"{"beats": 1, "transitions": [{"id": "x"}]}"#] {
            assert_eq!(lines(history, true), "");
        }
        lines(r#"{"beats": [{"id": 1}], "transitions": [{"id": 2, "kind": 3}]}"#, true);
    }
}
