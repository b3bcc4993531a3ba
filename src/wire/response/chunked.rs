//! The chunked transfer coding (RFC 9112 §7.1), taken apart piece by piece.
//!
//! ```text
//! Size -> [Extension ->] SizeEnd -> Content -> ContentCr -> ContentEnd -> Size ...
//!                            |
//!                            +--size 0--> Trailer -> Complete
//! ```
//!
//! Extensions and trailers are skipped, never stored; the caller bounds their length. Line ends
//! are CR LF only: being lenient here is how two readers come to see two different bodies.

/// Where in the coding the stream stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chunked {
    /// In the size, so many bytes of content; `None` before its first digit.
    Size(Option<usize>),
    /// After the size, before its CR.
    Extension(usize),
    /// Before the LF of the size line.
    SizeEnd(usize),
    /// So many bytes of content are left.
    Content(usize),
    /// Before the CR after the content.
    ContentCr,
    /// Before the LF after the content.
    ContentEnd,
    /// At the begin of a trailer line, where CR ends the trailers.
    Trailer,
    /// In a trailer line.
    TrailerField,
    /// Before the LF of a trailer line.
    TrailerFieldEnd,
    /// Before the last LF.
    TrailerEnd,
    /// After the last byte.
    Complete,
}

impl Chunked {
    /// Before the first byte.
    pub(super) const fn new() -> Self {
        Self::Size(None)
    }

    /// Whether the last byte has been taken.
    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Takes content, or one byte of framing with no content, off `bytes`: the content, and how
    /// many bytes were taken, at least one if there is one. `None`: the coding is broken.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        if let Self::Content(left) = *self {
            let content = bytes.get(..left).unwrap_or(bytes);
            *self = match left - content.len() {
                0 => Self::ContentCr,
                left => Self::Content(left),
            };
            return Some((content, content.len()));
        }
        let Some(byte) = bytes.first() else { return Some((&[], 0)) };
        *self = self.after(*byte)?;
        Some((&[], 1))
    }

    /// The state after one byte of framing, `None` if it may not stand here.
    fn after(self, byte: u8) -> Option<Self> {
        let next = match (self, byte) {
            (Self::Size(Some(size)), b'\r') | (Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(Some(size)), b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(size), _) => {
                let digit = usize::try_from(char::from(byte).to_digit(16)?).ok()?;
                // A size beyond all limits stays there: the caller stops long before its end.
                let size = size.unwrap_or(0).saturating_mul(16).saturating_add(digit);
                Self::Size(Some(size))
            }
            (Self::SizeEnd(0), b'\n') => Self::Trailer,
            (Self::SizeEnd(size), b'\n') => Self::Content(size),
            (Self::ContentCr, b'\r') => Self::ContentEnd,
            (Self::ContentEnd, b'\n') => Self::new(),
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            (Self::TrailerField, b'\r') => Self::TrailerFieldEnd,
            (Self::TrailerFieldEnd, b'\n') => Self::Trailer,
            (Self::TrailerEnd, b'\n') => Self::Complete,
            (Self::Extension(_) | Self::Trailer | Self::TrailerField, b'\n') => return None,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::Trailer | Self::TrailerField, _) => Self::TrailerField,
            _ => return None,
        };
        Some(next)
    }
}
