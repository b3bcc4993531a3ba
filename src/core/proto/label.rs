//! Short texts of ASCII: names that travel in actions and in the history, and the words of helpers.

use core::fmt;

/// Longest word a helper may give with a trigger, in bytes.
pub const WORD_MAX: usize = 64;
/// Longest name of a service, in bytes: with `_recovered` behind it the reason stays a [`Word`].
pub const SERVICE_NAME_MAX: usize = 32;

/// At most `MAX` bytes of ASCII, 255 at most. Names of one kind share a `MAX`, and with it a type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label<const MAX: usize> {
    length: u8,
    bytes: [u8; MAX],
}

impl<const MAX: usize> Label<MAX> {
    /// The text, or `None` if it is empty, longer than `MAX` bytes, or has a byte that is not
    /// `sound` or not ASCII.
    pub(super) fn of(text: &str, sound: impl Fn(u8) -> bool) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii() && sound(byte)) {
            return None;
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
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

/// A helper's own word: at most [`WORD_MAX`] of `[A-Za-z0-9_.-]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(Label<WORD_MAX>);

impl Word {
    /// The word, or `None` if it is empty, too long, or has another character.
    pub fn new(word: &str) -> Option<Self> {
        Label::of(word, is_of_a_word).map(Self)
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

const fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// The name of a service: 1 to [`SERVICE_NAME_MAX`] of `[A-Za-z0-9_.-]`.
pub type ServiceName = Label<SERVICE_NAME_MAX>;

impl ServiceName {
    /// The name, or `None` if it is empty, too long, or has another character.
    pub fn new(name: &str) -> Option<Self> {
        Self::of(name, is_of_a_word)
    }
}
