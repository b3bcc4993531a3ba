//! Texts for people that have little room: cut at its end, and without what would control a
//! terminal.

use core::fmt::{self, Write};

/// Passes on characters, each as `clean` has it, until one does not fit. That one and all that
/// follow are dropped, and an error ends the writing.
pub struct Cut<W> {
    /// The writer behind it.
    pub to: W,
    /// Bytes that are left there.
    pub room: usize,
    /// The replacement for a character.
    pub clean: fn(char) -> char,
}

impl<W: Write> Write for Cut<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars().map(self.clean) {
            let left = self.room.checked_sub(char.len_utf8());
            self.room = left.unwrap_or_default();
            left.ok_or(fmt::Error)?;
            self.to.write_char(char)?;
        }
        Ok(())
    }
}

/// The character, or a space in place of a control character, such as a line end.
pub fn without_controls(char: char) -> char {
    if char.is_control() { ' ' } else { char }
}

/// The character, or a space in place of one that could control a terminal: control characters, and
/// those that change the direction of the text (Unicode UAX #9 §2).
pub fn harmless(char: char) -> char {
    let steers = matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if steers { ' ' } else { without_controls(char) }
}
