//! Framing of a response body (RFC 9112 §6).

use super::chunked::Chunked;

/// The framing of a body, and the position in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// This many bytes are left.
    Length(usize),
    /// The chunked transfer coding.
    Chunked(Chunked),
    /// The stream ends with the body.
    UntilClose,
    /// The end cannot be determined.
    Unknown,
}

impl Body {
    /// The chunked transfer coding, before its first byte.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked::new());

    /// Whether the last byte has been consumed.
    pub(super) const fn is_complete(self) -> bool {
        match self {
            Self::Length(left) => left == 0,
            Self::Chunked(chunked) => chunked.is_complete(),
            Self::UntilClose | Self::Unknown => false,
        }
    }

    /// Consumes a piece of `bytes`. Returns its content, which may be empty, and the number of
    /// bytes consumed, at least one unless `bytes` is empty. `None` if the coding is malformed.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        match self {
            Self::Length(left) => {
                let content = bytes.get(..*left).unwrap_or(bytes);
                *left -= content.len();
                Some((content, content.len()))
            }
            Self::Chunked(chunked) => chunked.take(bytes),
            Self::UntilClose | Self::Unknown => Some((bytes, bytes.len())),
        }
    }
}
