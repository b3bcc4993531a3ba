//! A buffer of fixed size, filled from its start.

use core::fmt;

/// The output does not fit into the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl From<fmt::Error> for TooLarge {
    /// Nothing but a full buffer refuses a text.
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

/// A buffer and its fill level. After the first part that does not fit, nothing is written.
pub(super) struct Buffer<'a> {
    bytes: &'a mut [u8],
    length: usize,
    is_full: bool,
}

impl<'a> Buffer<'a> {
    pub(super) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, length: 0, is_full: false }
    }

    /// Appends bytes: all of them, or none and [`end`](Self::end) fails.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + bytes.len()) {
            Some(room) if !self.is_full => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            _ => self.is_full = true,
        }
    }

    /// Appends what `write` puts into the rest of the buffer, of which it returns the length.
    pub(super) fn put_by<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) {
        let room = self.bytes.get_mut(self.length..).filter(|_| !self.is_full);
        match room.map(write) {
            Some(Ok(length)) => self.length += length,
            Some(Err(_)) | None => self.is_full = true,
        }
    }

    /// The bytes written so far.
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The number of bytes written.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if a part did not fit.
    pub(super) const fn end(&self) -> Result<usize, TooLarge> {
        if self.is_full { Err(TooLarge) } else { Ok(self.length) }
    }
}

impl fmt::Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}
