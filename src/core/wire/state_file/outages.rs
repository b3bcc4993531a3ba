//! Encoding of the outages.

use super::bytes::Reader;
use super::{emit_failure, emit_name, read_failure, read_name};
use crate::proto::outages::{KeptOutages, Outage, OutageKind, UNREPORTED_MAX};
use crate::proto::time::Instant;
use crate::wire::buffer::Buffer;

/// Longest encoding, in bytes: each outage has an interface name of 15.
pub(super) const LENGTH_MAX: usize =
    1 + 4 + 4 + 2 + (UNREPORTED_MAX + 1) * (4 + 8 + 9 + 1 + 4 + 16 + 4);

pub(super) fn emit(kept: &KeptOutages, to: &mut Buffer<'_>) {
    let KeptOutages { delivered, numbered, reported, last, unreported } = kept;
    to.u8((*delivered).into());
    to.u32(*numbered);
    to.u32(*reported);
    to.u8(last.iter().count());
    last.iter().for_each(|outage| emit_outage(outage, to));
    to.u8(unreported.len());
    unreported.iter().for_each(|outage| emit_outage(outage, to));
}

fn emit_outage(outage: &Outage, to: &mut Buffer<'_>) {
    let Outage { number, began_at, ended_at, kind, cause, uplink, missed } = outage;
    to.u32(number.unwrap_or(0));
    to.u64(began_at.as_micros());
    to.u8(ended_at.iter().count());
    ended_at.iter().for_each(|at| to.u64(at.as_micros()));
    to.u8(*kind as usize);
    to.u8(cause.iter().count());
    cause.iter().for_each(|cause| emit_failure(*cause, to));
    emit_name(uplink.as_ref(), to);
    to.u32(*missed);
}

/// Reads them; `None` if a part is invalid by itself.
pub(super) fn read(from: &mut Reader<'_>) -> Option<KeptOutages> {
    let mut kept = KeptOutages {
        delivered: from.flag()?,
        numbered: from.u32()?,
        reported: from.u32()?,
        ..KeptOutages::default()
    };
    if from.flag()? {
        kept.last = Some(read_outage(from)?);
    }
    for _ in 0..from.u8()? {
        kept.unreported.push(read_outage(from)?).ok()?;
    }
    Some(kept)
}

fn read_outage(from: &mut Reader<'_>) -> Option<Outage> {
    Some(Outage {
        number: Some(from.u32()?).filter(|number| *number > 0),
        began_at: Instant::from_micros(from.u64()?),
        ended_at: if from.flag()? { Some(Instant::from_micros(from.u64()?)) } else { None },
        kind: *OutageKind::ALL.get(usize::from(from.u8()?))?,
        cause: if from.flag()? { Some(read_failure(from)?) } else { None },
        uplink: read_name(from)?,
        missed: from.u32()?,
    })
}
