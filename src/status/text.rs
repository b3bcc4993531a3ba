//! Texts of the status: cut, masked, and without characters that control a terminal.

use std::fmt::{self, Display, Write};

use super::TEXT_MAX;
use linkbeat_core::wire::cut::{Cut, harmless};

/// The value, or a text in its place.
pub(crate) struct Or<T>(pub(crate) Option<T>, pub(crate) &'static str);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
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
        // An error means that the rest is cut.
        write!(Cut { to: f, room: TEXT_MAX, clean: harmless }, "{}", self.0).ok();
        Ok(())
    }
}
