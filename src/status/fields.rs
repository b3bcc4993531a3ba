//! The JSON fields of status and preview, and how their values are written.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;
use std::path;

use serde::{Serialize, Serializer};

use super::network::NoWay;
use super::{Beat, Cause, Snapshot, State, TEXT_MAX, WARNINGS_MAX};
use crate::proto::event::Reason;
use crate::proto::link::Name;
use crate::proto::routing::Family;
use crate::proto::services::{Service, ServiceName, ServiceState};
use crate::proto::time::Instant;
use crate::proto::uplink::Uplink;
use crate::wire::date::Utc;
use crate::wire::request::ApiUrl;

/// The fields that pages and scripts in the field know (WIRE.md §3).
#[derive(Serialize)]
pub(super) struct Contract<'a> {
    pub(super) enabled: bool,
    pub(super) connected: bool,
    pub(super) last_heartbeat: Option<Text<Utc>>,
    pub(super) last_heartbeat_ago: Option<u64>,
    pub(super) last_error: Option<Text<Cut<&'a str>>>,
    pub(super) device_info: Option<Verbatim<'a>>,
    pub(super) provisioned: bool,
    pub(super) configured: bool,
    pub(super) device_key: Text<Masked<'a>>,
    pub(super) device_key_full: &'a str,
    pub(super) api_url: Text<OrNothing<&'a ApiUrl>>,
    pub(super) heartbeat_interval: u64,
    pub(super) heartbeat_thread_running: bool,
}

/// The fields of our own. Times are in seconds, the steps of a beat in microseconds.
#[derive(Serialize)]
pub(super) struct Additions<'a> {
    pub(super) state: Text<State>,
    pub(super) since: Option<Text<Utc>>,
    pub(super) since_ago: Option<u64>,
    pub(super) cause: Option<Text<Cause>>,
    pub(super) uplink: Option<UplinkInUse<'a>>,
    pub(super) uplinks: Others<'a>,
    pub(super) obstacle: Option<ObstacleShown<'a>>,
    pub(super) beat: Option<Delivered<'a>>,
    pub(super) last_outage: Option<OutageShown>,
    pub(super) in_flight: bool,
    pub(super) next_beat_in: Option<u64>,
    pub(super) pending: Option<Text<&'a Reason>>,
    pub(super) waits_until: Option<Text<Utc>>,
    pub(super) held_until: Option<Text<Utc>>,
    pub(super) clock: ClockShown,
    pub(super) watch: Watched<'a>,
    pub(super) failures: u32,
    pub(super) probes_sent: u64,
    pub(super) connects: u64,
    pub(super) beats_acknowledged: u64,
    pub(super) stale_after: u64,
    pub(super) warnings: Warnings<'a>,
    pub(super) config_file: Text<Cut<path::Display<'a>>>,
    pub(super) config_error: Option<Text<Cut<&'a str>>>,
    pub(super) version: &'static str,
    pub(super) pid: u32,
}

/// What stands in the way of an uplink.
#[derive(Serialize)]
pub(super) struct ObstacleShown<'a> {
    pub(super) kind: &'static str,
    pub(super) text: Text<&'a NoWay>,
}

/// The last time in which the server could not be told that we live; `lasted` once it is over.
#[derive(Serialize)]
pub(super) struct OutageShown {
    pub(super) kind: &'static str,
    pub(super) cause: Option<Text<Cause>>,
    pub(super) began: Text<Utc>,
    pub(super) began_ago: u64,
    pub(super) lasted: Option<u64>,
}

/// The state in words.
#[derive(Serialize)]
pub(super) struct Words {
    pub(super) meaning: &'static str,
    pub(super) advice: Option<Text<String>>,
}

/// The services on the device that are looked at.
pub(super) struct Watched<'a>(pub(super) &'a [Service], pub(super) &'a Snapshot<'a>);

impl Serialize for Watched<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|service| {
            let since = (service.state != ServiceState::Unknown).then_some(service.since);
            WatchedService {
                name: Text(service.settings.name),
                address: Text(service.settings.address),
                state: service.state.word(),
                since: since.map(|at| Text(self.1.utc(at))),
                since_ago: since.map(|at| (self.1.now - at).as_secs()),
            }
        }))
    }
}

#[derive(Serialize)]
struct WatchedService {
    name: Text<ServiceName>,
    address: Text<SocketAddr>,
    state: &'static str,
    since: Option<Text<Utc>>,
    since_ago: Option<u64>,
}

/// Whether the wall clock is set; if not, since when, and which time certainly has passed instead.
#[derive(Serialize)]
pub(super) struct ClockShown {
    pub(super) set: bool,
    pub(super) since: Option<Text<Utc>>,
    pub(super) since_ago: Option<u64>,
    pub(super) used: Option<Text<Utc>>,
    pub(super) source: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Preview<'a> {
    pub(super) success: bool,
    pub(super) payload: Verbatim<'a>,
    pub(super) endpoint: Text<OrNothing<&'a dyn Display>>,
    pub(super) api_url: Text<OrNothing<&'a ApiUrl>>,
    pub(super) device_key: &'a str,
}

#[derive(Serialize)]
pub(super) struct UplinkInUse<'a> {
    pub(super) name: Text<Name>,
    pub(super) addresses: Addresses<'a>,
    pub(super) since: Text<Utc>,
    pub(super) since_ago: u64,
}

/// The usable uplinks that are not in use, best first.
pub(super) struct Others<'a>(pub(super) &'a [Uplink]);

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            self.0
                .iter()
                .map(|uplink| Other { name: Text(uplink.name), addresses: Addresses(uplink) }),
        )
    }
}

#[derive(Serialize)]
struct Other<'a> {
    name: Text<Name>,
    addresses: Addresses<'a>,
}

/// The addresses to go out with, IPv4 first.
pub(super) struct Addresses<'a>(pub(super) &'a Uplink);

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let source = |family| self.0.source(family).map(Text);
        to.collect_seq([Family::V4, Family::V6].into_iter().filter_map(source))
    }
}

/// The last acknowledged beat, its steps counted from the event that asked for it.
#[derive(Serialize)]
pub(super) struct Delivered<'a> {
    seq: u64,
    reason: Text<&'a Reason>,
    via: Option<Text<Name>>,
    status: u16,
    usable_us: u64,
    resolved_us: u64,
    connected_us: u64,
    secured_us: u64,
    written_us: u64,
    replied_us: u64,
}

impl<'a> Delivered<'a> {
    pub(super) fn of(beat: Beat<'a>) -> Self {
        let Beat { seq, reason, via, status, stamps } = beat;
        let event_us = stamps.event_at.as_micros();
        let since_event = |at: Instant| at.as_micros().saturating_sub(event_us);
        Self {
            seq,
            reason: Text(reason),
            via: via.map(Text),
            status,
            usable_us: since_event(stamps.usable_at),
            resolved_us: since_event(stamps.resolved_at),
            connected_us: since_event(stamps.connected_at),
            secured_us: since_event(stamps.secured_at),
            written_us: since_event(stamps.written_at),
            replied_us: since_event(stamps.replied_at),
        }
    }
}

/// Not more than [`WARNINGS_MAX`] texts.
pub(super) struct Warnings<'a>(pub(super) &'a [&'a dyn Display]);

impl Serialize for Warnings<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().take(WARNINGS_MAX).map(|warning| Text(Cut(warning))))
    }
}

/// What a value displays, as a string.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// JSON by itself.
pub(super) struct Verbatim<'a>(pub(super) &'a [u8]);

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // serde-json-core writes bytes as they are.
        to.serialize_bytes(self.0)
    }
}

/// The value, or nothing at all.
pub(super) struct OrNothing<T>(pub(super) Option<T>);

impl<T: Display> Display for OrNothing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}

/// The first four characters of a key; nothing of none.
pub(super) struct Masked<'a>(pub(super) &'a str);

impl Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(4).try_for_each(|char| f.write_char(char))?;
        if self.0.is_empty() { Ok(()) } else { f.write_str("****") }
    }
}

/// The first [`TEXT_MAX`] bytes of a text, made [`harmless`].
///
/// Both bound what it takes in JSON, where a control character would need six bytes.
pub(super) struct Cut<T>(pub(super) T);

impl<T: Display> Display for Cut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Cutter { to: f, room: TEXT_MAX }, "{}", self.0)
    }
}

struct Cutter<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    room: usize,
}

impl Write for Cutter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // After a character without room there is none for a shorter one either.
            let Some(room) = self.room.checked_sub(char.len_utf8()) else {
                self.room = 0;
                break;
            };
            self.room = room;
            self.to.write_char(harmless(char))?;
        }
        Ok(())
    }
}

/// The character, or a space in place of one that could steer a terminal: controls, and those that
/// turn the direction of the text around (Unicode UAX #9 §2).
pub fn harmless(char: char) -> char {
    let steers = matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if char.is_control() || steers { ' ' } else { char }
}
