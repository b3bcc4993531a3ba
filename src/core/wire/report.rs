//! The body of a beat: a report about the device, as one flat JSON object.

use core::fmt;
use core::net::IpAddr;

use self::unreported::Unreported;
use super::buffer::TooLarge;
use super::date::Utc;
use super::json::{self, Object, Quoted, Verbatim};
use crate::proto::event::Reason;
use crate::proto::link::Mac;
use crate::proto::standby::StandbyTests;

#[cfg(test)]
mod tests;
pub mod unreported;

/// Longest report in bytes, if its texts keep to their limits.
pub const REPORT_MAX: usize = 3072;

/// One report. Unknown values are absent from the JSON, never null.
#[derive(Debug, Clone, Default)]
pub struct Report<'a> {
    /// Source address of the active path.
    pub ip_address: Option<IpAddr>,
    /// Address of the active interface in its local network.
    pub ip_lan: Option<IpAddr>,
    /// Public address, if it is known without a request.
    pub ip_public: Option<IpAddr>,
    /// Hardware address of the active interface.
    pub mac: Option<Mac>,
    /// Text for the server's list of devices.
    pub note: Option<DeviceNote<'a>>,
    /// Time of sending by the clock of the device.
    pub timestamp: Option<Utc>,
    /// Time since boot.
    pub uptime: Option<Uptime>,
    /// Load average over one minute.
    pub cpu_load: Option<Decimal<2>>,
    /// Memory not available to programs, in percent.
    pub memory_percent: Option<Decimal<1>>,
    /// Used share of the root file system, in percent.
    pub disk_percent: Option<u8>,
    /// Temperature of the processor, in degrees Celsius.
    pub temperature: Option<Decimal<1>>,
    /// Reason for the beat.
    pub reason: Option<&'a Reason>,
    /// Beat counter since start.
    pub seq: Option<u64>,
    /// Random identifier that the kernel has for this boot.
    pub boot_id: Option<&'a str>,
    /// Seconds within which the server hears again.
    pub next_within_s: Option<u64>,
    /// Why the agent is being stopped.
    pub stopping: Option<&'a str>,
    /// Uplinks in reserve that were tested and have changed.
    pub standby: Option<&'a StandbyTests>,
    /// Outages that the server has not heard of.
    pub unreported: Option<Unreported<'a>>,
}

impl Report<'_> {
    /// The report without the fields that the receiver has from an earlier one on the connection:
    /// `mac`, `note`, `boot_id`, and `ip_lan` where it equals `ip_address` (WIRE.md §1).
    pub fn abridged(self) -> Self {
        let ip_lan = self.ip_lan.filter(|_| self.ip_lan != self.ip_address);
        Self { ip_lan, mac: None, note: None, boot_id: None, ..self }
    }

    /// Writes the report into `buffer` as JSON and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small; its content is then unspecified.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        json::emit(buffer, |json| {
            json.present("ip_address", self.ip_address.map(Quoted))
                .present("ip_lan", self.ip_lan.map(Quoted))
                .present("ip_public", self.ip_public.map(Quoted))
                .present("mac", self.mac.map(Quoted))
                .present("note", self.note.map(Quoted))
                .present("timestamp", self.timestamp.map(Quoted))
                .present("uptime", self.uptime.map(Quoted))
                .present("cpu_load", self.cpu_load.map(Verbatim))
                .present("memory_percent", self.memory_percent.map(Verbatim))
                .present("disk_percent", self.disk_percent)
                .present("temperature", self.temperature.map(Verbatim))
                .present("reason", self.reason.map(Quoted))
                .present("seq", self.seq)
                .present("boot_id", self.boot_id)
                .present("next_within_s", self.next_within_s)
                .present("stopping", self.stopping.map(Quoted));
            if let Some(standby) = self.standby.filter(|it| it.unreported().next().is_some()) {
                let word = |works| if works { "ok" } else { "dead" };
                let members = standby.unreported().map(|(uplink, works)| (uplink, word(works)));
                json.member("standby", &Object(|json| _ = json.members(members.clone())));
            }
            self.unreported.iter().for_each(|unreported| unreported.emit(json));
        })
    }
}

/// Text for the server's list of devices: `Project - Platform model - IP`, without unknown parts.
#[derive(Debug, Clone, Copy)]
pub struct DeviceNote<'a> {
    /// Project name, from the configuration.
    pub project: &'a str,
    /// Platform model.
    pub model: Option<&'a str>,
    /// Address in the local network.
    pub ip_lan: Option<IpAddr>,
}

impl fmt::Display for DeviceNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.project)?;
        if let Some(model) = self.model {
            write!(f, " - {model}")?;
        }
        self.ip_lan.map_or(Ok(()), |address| write!(f, " - {address}"))
    }
}

/// Seconds since boot. `Display` is `2h 3m`, with any number of hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime(pub u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}h {}m", self.0 / 3600, self.0 / 60 % 60)
    }
}

/// A number with `PLACES` decimal places, in units of the last one: 365 tenths are `36.5`.
///
/// Integers keep the formatting of floats out of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal<const PLACES: usize>(pub i32);

impl<const PLACES: usize> fmt::Display for Decimal<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = (0..PLACES).fold(1, |unit, _| unit * 10);
        let (whole, fraction) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction:0PLACES$}")
    }
}
