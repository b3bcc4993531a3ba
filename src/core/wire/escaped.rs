//! Text with escapes, quoted in a message for people.

use core::fmt::{self, Display, Write};

/// A text between quotes, as `{:?}` shows one: with escapes for the quote and for what a terminal would not
/// show, or would obey. A small binary has no `{:?}` (`scripts/cross`).
#[derive(Clone, Copy)]
pub struct InQuotes<'a> {
    quote: char,
    text: &'a dyn Display,
}

impl<'a> InQuotes<'a> {
    /// The text between double quotes.
    pub const fn text(text: &'a dyn Display) -> Self {
        Self { quote: '"', text }
    }

    /// One character between single quotes.
    pub const fn char(char: &'a char) -> Self {
        Self { quote: '\'', text: char }
    }
}

impl Display for InQuotes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.quote)?;
        write!(InQuotesWriter { quote: self.quote, out: f }, "{}", self.text)?;
        f.write_char(self.quote)
    }
}

/// Passes on what it is given, with the escapes of a text between quotes.
struct InQuotesWriter<'a, 'b> {
    quote: char,
    out: &'a mut fmt::Formatter<'b>,
}

impl Write for InQuotesWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            let short = match char {
                '\\' => char,
                _ if char == self.quote => char,
                '\0' => '0',
                '\t' => 't',
                '\n' => 'n',
                '\r' => 'r',
                _ if char.is_control() || is_invisible(char) => {
                    return write!(self.out, "\\u{{{:x}}}", u32::from(char));
                }
                _ => return self.out.write_char(char),
            };
            self.out.write_char('\\')?;
            self.out.write_char(short)
        })
    }
}

/// Whether a character shows nothing of its own: spaces but the usual one, line ends, and what joins letters or turns the
/// direction of the text.
const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{a0}' | '\u{ad}' | '\u{1680}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_quotes_is_that_of_the_debug_format() {
        let samples =
            ('\0'..'\u{300}').chain('\u{2000}'..='\u{2064}').chain('\u{2ffe}'..'\u{3029}');
        let text: String = samples.chain(['\u{1680}', '\u{feff}', '\u{1f600}']).collect();
        for char in text.chars() {
            assert_eq!(InQuotes::char(&char).to_string(), format!("{char:?}"));
        }
        assert_eq!(InQuotes::text(&text).to_string(), format!("{text:?}"));
        assert_eq!(InQuotes::text(&"").to_string(), "\"\"");
    }
}
