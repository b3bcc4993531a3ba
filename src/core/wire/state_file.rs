//! The state file, which keeps the history and the outages across restarts of the agent.
//!
//! ```text
//! "linkbeat history 2\n"   boot id   beats   transitions   hours   outages   checksum of all before it
//! ```
//!
//! Times are boot time, so the file is valid for one boot only. Numbers are little-endian. Texts
//! and lists are preceded by their length. Any invalid part invalidates the whole file.

use super::buffer::{Buffer, TooLarge};
use super::digest::Digest;
use crate::proto::event::{FAILURES, Failure, Reason};
use crate::proto::history::{
    BEATS_MAX, BeatOutcome, BeatRecord, Change, Class, HOURS_MAX, History, Hour, Steps,
    TRANSITIONS_MAX, Transition,
};
use crate::proto::label::{ServiceName, Word};
use crate::proto::link::InterfaceName;
use crate::proto::outages::Outages;
use crate::proto::time::Instant;

mod bytes;
mod outages;
#[cfg(test)]
mod tests;

use self::bytes::Reader;

/// The beginning of every file. Its number is the version of the format.
const MAGIC: &[u8] = b"linkbeat history 2\n";
/// The first bytes of the files of every version.
const NAME: &[u8] = b"linkbeat history ";
/// Longest file, in bytes.
pub const STATE_MAX: usize = 24 << 10;

words! {
    /// Why a file cannot be used.
    pub enum Useless {
        /// The file is from another boot.
        OtherBoot = "it is of an earlier boot",
        /// The file has another version of the format, or is not a state file.
        OtherFormat = "it is not of this version of linkbeat",
        /// The checksum or the content is wrong.
        Damaged = "it is damaged",
        /// The file belongs to a user who is not to be believed.
        OtherUser = "it is another user's",
    }
}

/// Whether a file is one of ours, of whatever version, or has nothing to lose: it is empty, or was
/// filled with zeros by a power cut.
pub fn is_ours(file: &[u8]) -> bool {
    file.starts_with(NAME) || file.iter().all(|byte| *byte == 0)
}

/// Writes the history and the outages into `buffer` and returns its length.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; [`STATE_MAX`] bytes are always enough.
pub fn emit(
    history: &History,
    outages: &Outages,
    boot_id: &str,
    now: Instant,
    buffer: &mut [u8],
) -> Result<usize, TooLarge> {
    // The longest of each entry: a reason of 64 bytes, a name of 15.
    const {
        assert!(
            BEATS_MAX * (4 + 8 + 8 + 1 + 65 + 16 + 1 + 2 + 24)
                + TRANSITIONS_MAX * (4 + 8 + 1 + 16 + 16)
                + HOURS_MAX as usize * 20
                + outages::LENGTH_MAX
                + 512
                <= STATE_MAX,
            "every history fits"
        );
    };
    let mut to = Buffer::new(buffer);
    to.put(MAGIC);
    to.text(boot_id);
    to.u16(history.beats().count());
    history.beats().for_each(|beat| emit_beat(beat, &mut to));
    to.u16(history.transitions().count());
    history.transitions().for_each(|turn| emit_turn(turn, &mut to));
    to.u16(history.hours(now).count());
    for (_, hour) in history.hours(now) {
        for number in [hour.number, hour.beats, hour.immediate, hour.failed, hour.offline_us] {
            to.u32(number);
        }
    }
    outages::emit(outages.kept(), &mut to);
    let Digest(sum) = Digest::of(to.written());
    to.u64(sum);
    to.end()
}

fn emit_beat(beat: &BeatRecord, to: &mut Buffer<'_>) {
    to.u32(beat.id);
    to.u64(beat.at.as_micros());
    to.u64(beat.seq);
    to.u8(Class::of(&beat.reason) as usize);
    to.text(match &beat.reason {
        Reason::Triggered(Some(word)) => word.as_str(),
        Reason::FailoverTo(name) | Reason::Priority(name) => name.as_str(),
        Reason::ServiceRecovered(name) => name.as_str(),
        _ => "",
    });
    emit_name(beat.via.as_ref(), to);
    match beat.outcome {
        BeatOutcome::Failed(failure) => {
            to.u8(0);
            emit_failure(failure, to)
        }
        BeatOutcome::Acknowledged { status, steps } => {
            to.u8(1);
            to.u16(status.into());
            let Steps { usable_us, resolved_us, connected_us, .. } = steps;
            let Steps { secured_us, written_us, replied_us, .. } = steps;
            [usable_us, resolved_us, connected_us, secured_us, written_us, replied_us]
                .into_iter()
                .for_each(|micros| to.u32(micros));
        }
    }
}

fn emit_turn(turn: &Transition, to: &mut Buffer<'_>) {
    to.u32(turn.id);
    to.u64(turn.at.as_micros());
    match turn.change {
        Change::Started => to.u8(0),
        Change::Uplink { from, to: now } => {
            to.u8(1);
            emit_name(from.as_ref(), to);
            emit_name(now.as_ref(), to)
        }
        Change::Offline => to.u8(2),
        Change::Online => to.u8(3),
        Change::Failing(failure) => {
            to.u8(4);
            emit_failure(failure, to)
        }
        Change::Beating => to.u8(5),
        Change::ClockSet => to.u8(6),
        Change::ServiceDown(name) => {
            to.u8(7);
            to.text(name.as_str())
        }
        Change::ServiceUp(name) => {
            to.u8(8);
            to.text(name.as_str())
        }
        Change::Standby { uplink, works } => {
            to.u8(9);
            to.text(uplink.as_str());
            to.u8(works.into())
        }
    }
}

fn emit_name(name: Option<&InterfaceName>, to: &mut Buffer<'_>) {
    to.text(name.map_or("", InterfaceName::as_str))
}

fn emit_failure(failure: Failure, to: &mut Buffer<'_>) {
    to.u8(failure.place());
    to.u16(match failure {
        Failure::Status(status) | Failure::Portal(status) => status.into(),
        _ => 0,
    })
}

/// Restores the history from a file, and returns the outages. `history` must be empty.
///
/// # Errors
///
/// Why the file cannot be used. The history stays empty then.
pub fn restore(
    file: &[u8],
    boot_id: &str,
    now: Instant,
    history: &mut History,
) -> Result<Outages, Useless> {
    if file.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(Useless::OtherFormat);
    }
    let (content, sum) = file.split_last_chunk().ok_or(Useless::Damaged)?;
    if Digest::of(content).0 != u64::from_le_bytes(*sum) {
        return Err(Useless::Damaged);
    }
    let mut from = Reader(content.get(MAGIC.len()..).ok_or(Useless::Damaged)?);
    if from.text().ok_or(Useless::Damaged)? != boot_id {
        return Err(Useless::OtherBoot);
    }
    let read = read(&mut from, now, history).filter(|_| from.0.is_empty());
    history.resume();
    read.ok_or_else(|| {
        history.forget();
        Useless::Damaged
    })
}

/// Reads all entries. `None` if one is invalid.
fn read(from: &mut Reader<'_>, now: Instant, history: &mut History) -> Option<Outages> {
    for _ in 0..usize::from(from.u16()?) {
        let beat = read_beat(from)?;
        history.put_beat(beat, now)?;
    }
    for _ in 0..usize::from(from.u16()?) {
        let turn = read_turn(from)?;
        history.put_turn(turn, now)?;
    }
    for _ in 0..usize::from(from.u16()?) {
        let (number, beats) = (from.u32()?, from.u32()?);
        let (immediate, failed, offline_us) = (from.u32()?, from.u32()?, from.u32()?);
        history.put_hour(Hour { number, beats, immediate, failed, offline_us }, now)?;
    }
    Outages::restored(outages::read(from)?, now)
}

fn read_beat(from: &mut Reader<'_>) -> Option<BeatRecord> {
    let (id, at, seq) = (from.u32()?, Instant::from_micros(from.u64()?), from.u64()?);
    let class = *Class::ALL.get(usize::from(from.u8()?))?;
    let text = from.text()?;
    let reason = match (class, text) {
        (Class::Interval, "") => Reason::Interval,
        (Class::Startup, "") => Reason::Startup,
        (Class::Config, "") => Reason::ConfigChanged,
        (Class::Trigger, "") => Reason::Triggered(None),
        (Class::Trigger, word) => Reason::Triggered(Some(Word::new(word)?)),
        (Class::Restored, "") => Reason::Restored,
        (Class::Address, "") => Reason::AddressChanged,
        (Class::Failover, name) => Reason::FailoverTo(InterfaceName::new(name)?),
        (Class::Priority, name) => Reason::Priority(InterfaceName::new(name)?),
        (Class::Service, name) => Reason::ServiceRecovered(ServiceName::new(name)?),
        _ => return None,
    };
    let via = read_name(from)?;
    let outcome = match from.u8()? {
        0 => BeatOutcome::Failed(read_failure(from)?),
        1 => BeatOutcome::Acknowledged {
            status: from.u16()?,
            steps: Steps {
                usable_us: from.u32()?,
                resolved_us: from.u32()?,
                connected_us: from.u32()?,
                secured_us: from.u32()?,
                written_us: from.u32()?,
                replied_us: from.u32()?,
            },
        },
        _ => return None,
    };
    Some(BeatRecord { id, at, seq, reason, via, outcome })
}

fn read_turn(from: &mut Reader<'_>) -> Option<Transition> {
    let (id, at) = (from.u32()?, Instant::from_micros(from.u64()?));
    let change = match from.u8()? {
        0 => Change::Started,
        1 => Change::Uplink { from: read_name(from)?, to: read_name(from)? },
        2 => Change::Offline,
        3 => Change::Online,
        4 => Change::Failing(read_failure(from)?),
        5 => Change::Beating,
        6 => Change::ClockSet,
        7 => Change::ServiceDown(ServiceName::new(from.text()?)?),
        8 => Change::ServiceUp(ServiceName::new(from.text()?)?),
        9 => Change::Standby { uplink: InterfaceName::new(from.text()?)?, works: from.flag()? },
        _ => return None,
    };
    Some(Transition { id, at, change })
}

/// Reads an optional name; `Some(None)` if it is absent. `None` if it is invalid.
fn read_name(from: &mut Reader<'_>) -> Option<Option<InterfaceName>> {
    match from.text()? {
        "" => Some(None),
        name => InterfaceName::new(name).map(Some),
    }
}

fn read_failure(from: &mut Reader<'_>) -> Option<Failure> {
    let ((kind, _), status) = (*FAILURES.get(usize::from(from.u8()?))?, from.u16()?);
    match (kind, status) {
        (Failure::Status(_), status) => Some(Failure::Status(status)),
        (Failure::Portal(_), status) => Some(Failure::Portal(status)),
        (kind, 0) => Some(kind),
        _ => None,
    }
}
