//! A view of checked JSON text: values, members, elements, strings.

use core::fmt;

use super::{ErrorKind, Scanner};

/// A value: a slice of checked text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The text of the value.
    raw: &'a str,
    /// The offset in the document, in bytes.
    offset: usize,
}

words! {
    /// The type of a value.
    pub enum ValueKind {
        /// `null`.
        Null = "null",
        /// `true` or `false`.
        Bool = "true or false",
        /// A number.
        Number = "a number",
        /// A string.
        Text = "a string",
        /// An array.
        Array = "an array",
        /// An object.
        Object = "an object",
    }
}

impl<'a> Value<'a> {
    pub(super) const fn new(raw: &'a str, offset: usize) -> Self {
        Self { raw, offset }
    }

    /// The text of the value as in the document; it is valid JSON by itself.
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// The offset of the value in the document, in bytes; [`super::position`] gives line and
    /// column.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The type of the value.
    pub fn kind(&self) -> ValueKind {
        match self.raw.bytes().next() {
            Some(b'{') => ValueKind::Object,
            Some(b'[') => ValueKind::Array,
            Some(b'"') => ValueKind::Text,
            Some(b't' | b'f') => ValueKind::Bool,
            Some(b'n') | None => ValueKind::Null,
            Some(_) => ValueKind::Number,
        }
    }

    /// The value of `true` or `false`; `None` for another kind.
    pub fn as_bool(&self) -> Option<bool> {
        self.raw.parse().ok()
    }

    /// The value of a non-negative integer, written without fraction or exponent; `None` for
    /// anything else.
    pub fn as_whole(&self) -> Option<u64> {
        self.raw.parse().ok()
    }

    /// The value of a string; `None` for another kind.
    pub fn as_text(&self) -> Option<Text<'a>> {
        let inside = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text { inside, offset: self.offset })
    }

    /// The members of an object in order, repeated keys included; none for another kind.
    pub fn members(&self) -> impl Iterator<Item = (Text<'a>, Self)> + Clone + use<'a> {
        let mut contents = self.contents(ValueKind::Object);
        core::iter::from_fn(move || Some((contents.next()?.as_text()?, contents.next()?)))
    }

    /// The elements of an array in order; none for another kind.
    pub fn elements(&self) -> impl Iterator<Item = Self> + Clone + use<'a> {
        let mut contents = self.contents(ValueKind::Array);
        core::iter::from_fn(move || contents.next())
    }

    /// The value of `key` in an object; the last one, as in most parsers, if the key is repeated.
    pub fn get(&self, key: &str) -> Option<Self> {
        self.members().filter(|(name, _)| *name == *key).last().map(|(_, value)| value)
    }

    /// A scanner behind the opening bracket of a value of this kind; one at its end for another
    /// kind.
    fn contents(&self, kind: ValueKind) -> Contents<'a> {
        let mut scanner = Scanner::new(self.raw);
        if self.kind() != kind || scanner.next().is_err() {
            scanner = Scanner::new("");
        }
        Contents { scanner, base: self.offset }
    }
}

/// The text between two brackets.
#[derive(Debug, Clone)]
struct Contents<'a> {
    /// The scanner behind the last value.
    scanner: Scanner<'a>,
    /// The offset of the scanner's text in the document.
    base: usize,
}

impl<'a> Contents<'a> {
    /// The next key or value; `None` at the closing bracket.
    fn next(&mut self) -> Option<Value<'a>> {
        let depth = self.scanner.depth;
        let start = self.scanner.next().ok()??;
        if self.scanner.depth < depth {
            // Every further call returns `None` as well.
            self.scanner = Scanner::new("");
            return None;
        }
        while self.scanner.depth > depth {
            self.scanner.next().ok()??;
        }
        let raw = self.scanner.text.get(start..self.scanner.at)?;
        Some(Value::new(raw, self.base + start))
    }
}

/// A string with its escapes. `Display` decodes them.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The text between the quotes.
    inside: &'a str,
    /// The offset of the opening quote in the document, in bytes.
    offset: usize,
}

impl<'a> Text<'a> {
    /// The offset of the opening quote in the document, in bytes.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The characters of the string with decoded escapes; control characters may be among them.
    pub const fn chars(&self) -> Chars<'a> {
        Chars(self.inside)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|char| fmt::Write::write_char(f, char))
    }
}

/// An iterator over the characters of a string.
#[derive(Debug, Clone)]
pub struct Chars<'a>(&'a str);

impl<'a> Chars<'a> {
    /// The characters of a text with decoded escapes, up to a bad escape.
    pub const fn of(text: &'a str) -> Self {
        Self(text)
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let (char, length) = match self.0.chars().next()? {
            '\\' => unescape(self.0).ok()?,
            char => (char, char.len_utf8()),
        };
        self.0 = self.0.get(length..)?;
        Some(char)
    }
}

/// The character of the escape at the start of `text`, and the length of the escape.
pub(super) fn unescape(text: &str) -> Result<(char, usize), ErrorKind> {
    let char = match text.as_bytes().get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(text),
        _ => return Err(ErrorKind::BadEscape),
    };
    Ok((char, 2))
}

/// Decodes a `\u` escape, or two for a surrogate pair (RFC 8259 §7).
fn unescape_unicode(text: &str) -> Result<(char, usize), ErrorKind> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        // from_str_radix accepts a sign, JSON does not.
        let sound = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let first = unit(0).ok_or(ErrorKind::BadEscape)?;
    let pair = [first, unit(6).unwrap_or_default()];
    match char::decode_utf16(pair).next() {
        Some(Ok(char)) => Ok((char, 6 * char.len_utf16())),
        _ => Err(ErrorKind::LoneSurrogate),
    }
}
