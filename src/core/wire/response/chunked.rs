//! Incremental parser of the chunked transfer coding (RFC 9112 §7.1).
//!
//! ```text
//! Size -> [Extension ->] Content -> ContentEnd -> Size ...
//!                   |
//!                   +--size 0--> Trailer -> Complete
//! ```
//!
//! Extensions and trailers are skipped, not stored; the caller bounds their length. A line may end
//! without CR, as in the head, because servers that omit it there omit it here, too.

/// Position of the stream in the coding.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chunked {
    /// In the size, with its value so far; `None` before the first digit.
    Size(Option<usize>),
    /// After the size, before its LF. The value is the size.
    Extension(usize),
    /// This many bytes of content are left.
    Content(usize),
    /// Before the LF after the content.
    ContentEnd,
    /// At the beginning of a trailer line. An empty line ends the trailers.
    Trailer,
    /// In a trailer line.
    TrailerField,
    /// After the last byte.
    Complete,
}

impl Chunked {
    /// The state before the first byte.
    pub(super) const fn new() -> Self {
        Self::Size(None)
    }

    /// Whether the last byte has been consumed.
    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Consumes content, or one byte of framing without content. Returns the content and the number
    /// of bytes consumed, at least one unless `bytes` is empty. `None` if the coding is malformed.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        if let Self::Content(left) = *self {
            let content = bytes.get(..left).unwrap_or(bytes);
            *self = match left - content.len() {
                0 => Self::ContentEnd,
                left => Self::Content(left),
            };
            return Some((content, content.len()));
        }
        let Some(byte) = bytes.first() else { return Some((&[], 0)) };
        *self = self.after(*byte)?;
        Some((&[], 1))
    }

    /// The state after one byte of framing. `None` if the byte is not allowed here.
    fn after(self, byte: u8) -> Option<Self> {
        let next = match (self, byte) {
            (Self::Size(Some(0)) | Self::Extension(0), b'\n') => Self::Trailer,
            (Self::Size(Some(size)) | Self::Extension(size), b'\n') => Self::Content(size),
            (Self::Size(Some(size)), b'\r' | b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(size), _) => {
                let digit = usize::try_from(char::from(byte).to_digit(16)?).ok()?;
                // An overflowing size saturates: the caller's limit is far below it.
                let size = size.unwrap_or(0).saturating_mul(16).saturating_add(digit);
                Self::Size(Some(size))
            }
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::ContentEnd, b'\n') => Self::new(),
            (Self::ContentEnd | Self::Trailer, b'\r') => self,
            (Self::Trailer, b'\n') => Self::Complete,
            (Self::TrailerField, b'\n') => Self::Trailer,
            (Self::Trailer | Self::TrailerField, _) => Self::TrailerField,
            _ => return None,
        };
        Some(next)
    }
}
