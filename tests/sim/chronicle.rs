//! Checks of the history: each transition follows from the state before it.

use std::collections::BTreeMap;

use linkbeat_core::proto::event::Note;
use linkbeat_core::proto::history::{Change, Counters, History};
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::time::Instant;

/// The history of a simulated agent, checked at every entry.
#[derive(Debug)]
pub(crate) struct Chronicle {
    history: History,
    uplink: Option<InterfaceName>,
    /// Interface names by index. A renamed interface remains the same uplink.
    names: BTreeMap<LinkIndex, InterfaceName>,
    /// Earlier names of the uplink in use.
    former_names: Vec<InterfaceName>,
    offline: bool,
    failing: bool,
    entries: u64,
}

impl Chronicle {
    pub(crate) fn new() -> Self {
        let history = History::new(1);
        Self {
            history,
            uplink: None,
            names: BTreeMap::new(),
            former_names: vec![],
            offline: false,
            failing: false,
            entries: 0,
        }
    }

    /// What the agent has counted since it started.
    pub(crate) fn counters(&self) -> &Counters {
        &self.history.counters
    }

    /// Handles a link event.
    pub(crate) fn hear(&mut self, event: &LinkEvent) {
        let LinkEvent::Link { index, name, .. } = *event else { return };
        let Some(former) = self.names.insert(index, name).filter(|former| *former != name) else {
            return;
        };
        if self.uplink == Some(former) {
            self.uplink = Some(name);
            self.former_names.push(former);
        }
    }

    pub(crate) fn record(&mut self, note: &Note, now: Instant) {
        let before = self.history.last_id();
        self.history.record(note, now);
        let turns = self.history.transitions().filter(|turn| turn.id > before);
        for turn in turns {
            assert_eq!(turn.at, now);
            match turn.change {
                Change::Uplink { from, to } => {
                    let renamed = from.is_some_and(|from| self.former_names.contains(&from));
                    assert!(from == self.uplink || renamed, "a change of uplink is missing");
                    assert_ne!(from, to, "no change of uplink");
                    self.uplink = to;
                    self.former_names.clear();
                }
                Change::Offline => assert!(!std::mem::replace(&mut self.offline, true), "{turn:?}"),
                Change::Online => assert!(std::mem::replace(&mut self.offline, false), "{turn:?}"),
                Change::Failing(_) => {
                    assert!(!std::mem::replace(&mut self.failing, true), "{turn:?}");
                }
                Change::Beating => self.failing = false,
                Change::ServiceDown(_) | Change::ServiceUp(_) | Change::Standby { .. } => {}
                Change::Started | Change::ClockSet => panic!("no note says so"),
            }
        }
        let beats = matches!(note, Note::BeatAcknowledged { .. } | Note::BeatFailed { .. });
        let beat = self.history.beats().next_back().filter(|beat| beat.id > before);
        assert_eq!(beat.is_some(), beats, "a beat leaves an entry, and nothing else does");
        self.entries += u64::from(beats);
        let counters = &self.history.counters;
        let ended = counters.beats() + counters.failures.iter().sum::<u64>();
        assert_eq!(ended, self.entries, "every end of a beat is counted once");
    }
}
