//! The body of an answer, up to its end (RFC 9112 §6).

use super::chunked::Chunked;

/// How the end is told, and how far it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// So many bytes are left.
    Length(usize),
    /// The chunked transfer coding.
    Chunked(Chunked),
    /// The end of the stream.
    UntilClose,
    /// Nobody can tell.
    Unknown,
}

impl Body {
    /// The chunked transfer coding before its first byte.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked::new());

    /// Whether the last byte has been taken.
    pub(super) const fn is_complete(self) -> bool {
        match self {
            Self::Length(left) => left == 0,
            Self::Chunked(chunked) => chunked.is_complete(),
            Self::UntilClose | Self::Unknown => false,
        }
    }

    /// Takes a piece off `bytes`: its content, which may be empty, and how many bytes were taken,
    /// at least one if there is one. `None`: the coding is broken.
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
