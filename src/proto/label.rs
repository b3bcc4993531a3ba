//! A short text of ASCII that is copied around: names travel in actions and in the history.

use core::fmt;

/// At most `MAX` bytes of ASCII, 255 at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label<const MAX: usize> {
    length: u8,
    bytes: [u8; MAX],
}

impl<const MAX: usize> Label<MAX> {
    /// The text, or `None` if it is empty, longer than `MAX` bytes, or has a byte that is not `sound`
    /// or not ASCII.
    pub(super) fn new(text: &str, sound: impl Fn(u8) -> bool) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii() && sound(byte)) {
            return None;
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const MAX: usize> Default for Label<MAX> {
    /// The empty text.
    fn default() -> Self {
        Self { length: 0, bytes: [0; MAX] }
    }
}

impl<const MAX: usize> fmt::Display for Label<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const MAX: usize> fmt::Debug for Label<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
