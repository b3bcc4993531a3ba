//! Numbers and texts as bytes.

use crate::wire::request::TooLarge;

/// Bytes being written.
pub(super) struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    pub(super) fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let end = self.length + bytes.len();
        self.buffer.get_mut(self.length..end).ok_or(TooLarge)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    pub(super) fn u8(&mut self, number: usize) -> Result<(), TooLarge> {
        self.bytes(&[u8::try_from(number).map_err(|_| TooLarge)?])
    }

    pub(super) fn u16(&mut self, number: usize) -> Result<(), TooLarge> {
        self.bytes(&u16::try_from(number).map_err(|_| TooLarge)?.to_le_bytes())
    }

    pub(super) fn u32(&mut self, number: u32) -> Result<(), TooLarge> {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn u64(&mut self, number: u64) -> Result<(), TooLarge> {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), TooLarge> {
        self.u8(text.len())?;
        self.bytes(text.as_bytes())
    }
}

/// Bytes that are left to be read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(text).ok()
    }
}

/// FNV-1a of 64 bits: every step can be undone, so one changed byte always shows.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
