//! An answer on its way: at once where the kernel has room for it, in pieces where it has not.

use std::borrow::Cow;

use heapless::String;

use crate::wire::http_server::ANSWER_HEAD_MAX;

/// An answer of which `sent` bytes are gone.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) head: Head,
    pub(super) body: Cow<'static, [u8]>,
    pub(super) sent: usize,
}

pub(super) type Head = String<ANSWER_HEAD_MAX>;

/// What follows a head; copied only if the kernel does not take it at once.
pub(super) enum Body<'a> {
    /// Made for this answer.
    Made(&'a [u8]),
    /// Part of the program.
    Fixed(&'static [u8]),
}

impl Rest {
    /// What is not sent yet of the head, and of the body.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let of_body = self.sent.saturating_sub(self.head.len());
        let head = self.head.as_bytes().get(self.sent..).unwrap_or_default();
        (head, self.body.get(of_body..).unwrap_or_default())
    }
}

impl Body<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Made(bytes) | Self::Fixed(bytes) => bytes,
        }
    }

    pub(super) fn keep(self) -> Cow<'static, [u8]> {
        match self {
            Self::Made(bytes) => Cow::Owned(bytes.to_vec()),
            Self::Fixed(bytes) => Cow::Borrowed(bytes),
        }
    }
}
