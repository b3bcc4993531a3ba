//! Text between the double quotes of a metric's label.

use core::fmt::{self, Display, Write};

/// A text with the escapes of a label, and those of JSON for control characters, which no label of ours has.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

/// Passes on what it is given, escaped.
struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            let short = match char {
                '"' | '\\' => char,
                '\u{8}' => 'b',
                '\t' => 't',
                '\n' => 'n',
                '\u{C}' => 'f',
                '\r' => 'r',
                '\0'..'\u{20}' => return write!(self.0, "\\u{:04X}", u32::from(char)),
                _ => return self.0.write_char(char),
            };
            self.0.write_char('\\')?;
            self.0.write_char(short)
        })
    }
}
