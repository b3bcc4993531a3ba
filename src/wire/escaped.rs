//! Printable text between double quotes, for JSON (RFC 8259 §7) and for metrics alike.

use core::fmt::{self, Display, Write};

/// A text with a backslash before each quote and backslash. Of our own texts only the name of an
/// interface may have either, and none has a control character.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            if matches!(char, '"' | '\\') {
                self.0.write_char('\\')?;
            }
            self.0.write_char(char)
        })
    }
}
