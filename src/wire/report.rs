//! The body of a beat: what a report says of the device, as one flat JSON object.

use core::fmt::{self, Write};
use core::net::IpAddr;

use heapless::String;
use serde::{Serialize, Serializer};

use super::date::Utc;
use super::request::TooLarge;
use crate::proto::event::Reason;
use crate::proto::link::Mac;

#[cfg(test)]
mod tests;

/// Room for every report whose texts keep to their limits, in bytes.
pub const REPORT_MAX: usize = 1024;

/// One report. What is not known is absent from the JSON, never null.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report<'a> {
    /// Source address of the active path.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddr>,
    /// Address of the active interface in its local network.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub ip_lan: Option<IpAddr>,
    /// Public address, where it is known without asking anybody.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub ip_public: Option<IpAddr>,
    /// Hardware address of the active interface.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The line that people see in the server's list of devices.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub note: Option<Note<'a>>,
    /// When the beat is sent, by the device's clock.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Utc>,
    /// Time since boot.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Uptime>,
    /// Load average over one minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_load: Option<Decimal<2>>,
    /// Memory not available to programs, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<Decimal<1>>,
    /// Used share of the root file system, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_percent: Option<u8>,
    /// Temperature of the processor, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal<1>>,
    /// Why the beat is sent.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a Reason>,
    /// Beat counter since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The kernel's number of this boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<&'a str>,
}

impl Report<'_> {
    /// Writes the report into `buffer` as JSON and returns its length.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if `buffer` is too small; its content is then worthless.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, TooLarge> {
        serde_json_core::to_slice(self, buffer).map_err(|_| TooLarge)
    }
}

fn as_text<T: fmt::Display, S: Serializer>(field: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match field {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// `Display` is `Project - Platform model - IP`, without what is not known.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    /// Project name, from the configuration.
    pub project: &'a str,
    /// Platform model.
    pub model: Option<&'a str>,
    /// Address in the local network.
    pub ip_lan: Option<IpAddr>,
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.project)?;
        if let Some(model) = self.model {
            write!(f, " - {model}")?;
        }
        self.ip_lan.map_or(Ok(()), |address| write!(f, " - {address}"))
    }
}

/// Seconds since boot. `Display` is `2h 3m`, the hours without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime(pub u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}h {}m", self.0 / 3600, self.0 / 60 % 60)
    }
}

/// A number with `PLACES` decimal places, counted in its last one: 365 tenths are `36.5`.
///
/// Whole numbers all the way spare the binary the formatting of floats.
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

impl<const PLACES: usize> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = String::<16>::new();
        write!(digits, "{self}").expect("ten digits, a sign and a point fit");
        // serde-json-core writes bytes as they are, which is how a number of our own gets in.
        serializer.serialize_bytes(digits.as_bytes())
    }
}
