//! Texts of the status: cut, masked, and without characters that control a terminal.

use std::fmt::{self, Display, Write};

use super::TEXT_MAX;

/// A value, or an empty text.
pub(super) struct OrNothing<T>(pub(super) Option<T>);

impl<T: Display> Display for OrNothing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}

/// The first four characters of a key and a mask; an empty text for no key.
pub(super) struct Masked<'a>(pub(super) &'a str);

impl Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(4).try_for_each(|char| f.write_char(char))?;
        if self.0.is_empty() { Ok(()) } else { f.write_str("****") }
    }
}

/// The first [`TEXT_MAX`] bytes of a text, made [`harmless`].
///
/// Both limit its length in JSON, where a control character takes six bytes.
pub(super) struct Excerpt<T>(pub(super) T);

impl<T: Display> Display for Excerpt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Cutter { to: f, room: TEXT_MAX }, "{}", self.0)
    }
}

/// Passes on characters as long as there is room.
struct Cutter<'a, 'b> {
    /// Where they go.
    to: &'a mut fmt::Formatter<'b>,
    /// Bytes left.
    room: usize,
}

impl Write for Cutter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // Once a character does not fit, no shorter one may follow it.
            let Some(room) = self.room.checked_sub(char.len_utf8()) else {
                self.room = 0;
                break;
            };
            self.room = room;
            self.to.write_char(harmless(char))?;
        }
        Ok(())
    }
}

/// The character, or a space in place of one that could control a terminal: control characters, and
/// those that change the direction of the text (Unicode UAX #9 §2).
pub fn harmless(char: char) -> char {
    let steers = matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if char.is_control() || steers { ' ' } else { char }
}
