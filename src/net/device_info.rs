//! The facts in a report about the device itself, from `/proc`, `/sys` and two system calls.
//!
//! Nothing here waits for a disk and nothing fails: a source that is missing, or that says
//! something odd, is a field that the report does not have.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use heapless::String;
use rustix::fs::StatVfs;

use crate::sys::file;
use linkbeat_core::wire::report::{Decimal, Report, Uptime};

#[cfg(test)]
mod tests;

/// Longest platform model kept, in bytes.
pub const MODEL_MAX: usize = 64;
/// Longest host name, in bytes (`__NEW_UTS_LEN`, uname(2)).
pub const HOSTNAME_MAX: usize = 64;
/// Length of a boot id, a UUID as text (random(4)).
const BOOT_ID_LENGTH: usize = 36;
/// Enough of any source for what is read of it: of `/proc/meminfo` the first three lines.
const READ_MAX: usize = 256;
/// The least a sensor can mean, in thousandths of a degree Celsius: the kernel's mark of "no
/// reading" is lower.
const ABSOLUTE_ZERO: i32 = -273_150;

/// What stays the same as long as the device runs; empty where it is not known.
#[derive(Debug, Clone, Default)]
pub struct DeviceIdentity {
    /// Platform model, such as `Raspberry Pi 3 Model B Rev 1.2`.
    pub model: String<MODEL_MAX>,
    /// The kernel's number of this boot.
    pub boot_id: String<BOOT_ID_LENGTH>,
    /// The host's own name.
    pub hostname: String<HOSTNAME_MAX>,
}

impl DeviceIdentity {
    /// Reads it, once at start.
    pub fn read() -> Self {
        let mut buffer = [0; READ_MAX];
        Self {
            model: parse_text(KernelFile::new("/proc/device-tree/model").read(&mut buffer)),
            boot_id: parse_text(
                KernelFile::new("/proc/sys/kernel/random/boot_id").read(&mut buffer),
            ),
            hostname: parse_text(rustix::system::uname().nodename().to_bytes()),
        }
    }
}

/// The facts that differ for every beat. The files stay open: a beat costs one call for each.
#[derive(Debug)]
pub struct Vitals {
    uptime: KernelFile,
    load: KernelFile,
    memory: KernelFile,
    temperature: KernelFile,
}

impl Default for Vitals {
    /// Opens nothing yet.
    fn default() -> Self {
        Self {
            uptime: KernelFile::new("/proc/uptime"),
            load: KernelFile::new("/proc/loadavg"),
            memory: KernelFile::new("/proc/meminfo"),
            temperature: KernelFile::new("/sys/class/thermal/thermal_zone0/temp"),
        }
    }
}

impl Vitals {
    /// Reads the present state into a report that has nothing else yet.
    pub fn read(&mut self) -> Report<'static> {
        let mut buffer = [0; READ_MAX];
        Report {
            uptime: parse_uptime(self.uptime.read(&mut buffer)),
            cpu_load: parse_load(self.load.read(&mut buffer)),
            memory_percent: parse_memory(self.memory.read(&mut buffer)),
            disk_percent: rustix::fs::statvfs(c"/").ok().as_ref().and_then(disk_percent),
            temperature: parse_temperature(self.temperature.read(&mut buffer)),
            ..Report::default()
        }
    }
}

/// A small file that the kernel generates whenever it is read from its start.
#[derive(Debug)]
struct KernelFile {
    path: &'static str,
    /// Open since the last read that succeeded.
    file: Option<File>,
}

impl KernelFile {
    const fn new(path: &'static str) -> Self {
        Self { path, file: None }
    }

    /// Reads the start of the file; empty if that fails. A sensor may come and go with its driver:
    /// the file is opened again the next time.
    fn read<'a>(&mut self, buffer: &'a mut [u8]) -> &'a [u8] {
        if self.file.is_none() {
            self.file = file::open(Path::new(self.path)).ok();
        }
        match self.file.as_ref().map(|file| file.read_at(buffer, 0)) {
            Some(Ok(length)) => buffer.get(..length).unwrap_or_default(),
            Some(Err(_)) | None => {
                self.file = None;
                &[]
            }
        }
    }
}

/// Takes text up to a NUL, a line end or `N` bytes, without what cannot be printed.
fn parse_text<const N: usize>(bytes: &[u8]) -> String<N> {
    let mut text = String::new();
    let line = bytes.split(|byte| matches!(byte, 0 | b'\n')).next().unwrap_or_default();
    let printable = core::str::from_utf8(line).unwrap_or_default().trim().chars();
    printable.filter(|c| !c.is_control()).try_for_each(|c| text.push(c)).ok();
    text
}

/// Parses `/proc/uptime` (proc_uptime(5)): `7439.18 2618.95`.
fn parse_uptime(bytes: &[u8]) -> Option<Uptime> {
    let (seconds, _) = first_word(bytes)?.split_once('.')?;
    seconds.parse().ok().map(Uptime)
}

/// Parses `/proc/loadavg` (proc_loadavg(5)): `0.07 0.12 0.09 1/97 6355`.
fn parse_load(bytes: &[u8]) -> Option<Decimal<2>> {
    let (whole, hundredths) = first_word(bytes)?.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    let whole = i32::from(whole.parse::<u16>().ok()?);
    Some(Decimal(whole * 100 + i32::from(hundredths.parse::<u8>().ok()?)))
}

/// Parses `/proc/meminfo` (proc_meminfo(5)): lines such as `MemAvailable:   24102196 kB`.
fn parse_memory(bytes: &[u8]) -> Option<Decimal<1>> {
    let value = |name: &str| {
        let line =
            bytes.split(|byte| *byte == b'\n').find(|line| line.starts_with(name.as_bytes()));
        first_word(line?.get(name.len()..)?)?.parse::<u64>().ok()
    };
    let (total, available) = (value("MemTotal:")?, value("MemAvailable:")?);
    let used = total.saturating_sub(available);
    share(used, total, 1000).map(|tenths| Decimal(tenths.into()))
}

/// Parses the thousandths of a degree of a thermal zone (sysfs-class-thermal).
fn parse_temperature(bytes: &[u8]) -> Option<Decimal<1>> {
    let thousandths: i32 = first_word(bytes)?.parse().ok()?;
    // Halves are rounded away from zero, below it too.
    let tenths = (thousandths.checked_add(50 * thousandths.signum())?) / 100;
    (thousandths >= ABSOLUTE_ZERO).then_some(Decimal(tenths))
}

/// The used share of what ordinary users may use, as df(1) has it.
fn disk_percent(root: &StatVfs) -> Option<u8> {
    let used = root.f_blocks.saturating_sub(root.f_bfree);
    share(used, used.saturating_add(root.f_bavail), 100).and_then(|percent| percent.try_into().ok())
}

/// `part` of `whole` in units of one `scale`-th, rounded; `None` of nothing.
fn share(part: u64, whole: u64, scale: u16) -> Option<u16> {
    // 48 bits of each are more than enough, and leave room for the product.
    let shift = u16::BITS.saturating_sub(whole.leading_zeros());
    let (part, whole) = (part >> shift, whole >> shift);
    u16::try_from((part * u64::from(scale) + whole / 2).checked_div(whole)?).ok()
}

fn first_word(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()?.split_ascii_whitespace().next()
}
