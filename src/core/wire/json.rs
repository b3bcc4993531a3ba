//! JSON (RFC 8259): a strict parser for untrusted bytes, a view of the values, and an emitter.
//!
//! [`parse`] checks the whole text first; a [`Value`] is a slice of checked text and decodes on
//! demand. Nothing is copied and nothing recurses. Repeated keys in one object are not refused,
//! because finding them in hostile text takes quadratic time; their meaning is left to the caller
//! ([`Value::members`] yields them all). [`emit`] writes an object into a buffer.
//!
//! ```text
//! Value -- scalar ---------------------------------> Separator --,--> Key or Value
//!   |                                                    |
//!   +-- { --> FirstKey --"..."--> Colon --:--> Value     +-- } or ] --> Separator, or Nothing
//!   +-- [ --> FirstValue ------------------> ...             at depth 0
//! ```

use core::fmt;

use super::escaped::InQuotes;

mod emitter;
#[cfg(test)]
mod tests;
mod value;

pub use emitter::{Array, Emit, Emitter, Object, Quoted, Verbatim, emit};
pub use value::{Chars, Text, Value, ValueKind};

/// Longest text, in bytes.
pub const SIZE_MAX: usize = 64 * 1024;
/// Deepest nesting of objects and arrays.
pub const DEPTH_MAX: usize = 16;

/// Checks that `text` is one JSON value and nothing else, and returns a view of it.
///
/// # Errors
///
/// The first violation and its place: of the grammar, of [`SIZE_MAX`] or [`DEPTH_MAX`], or of
/// RFC 8259 §7 and §8: control characters, bad escapes, half a surrogate pair, invalid UTF-8.
pub fn parse(text: &[u8]) -> Result<Value<'_>, Error> {
    if text.len() > SIZE_MAX {
        return Err(Error::new(text, SIZE_MAX, ErrorKind::TooLong));
    }
    let text = match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => return Err(Error::new(text, error.valid_up_to(), ErrorKind::NotUtf8)),
    };
    let mut scanner = Scanner::new(text);
    loop {
        match scanner.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(kind) => return Err(Error::new(text.as_bytes(), scanner.at, kind)),
        }
    }
    Ok(Value::new(text.trim_matches(is_white), text.len() - trimmed(text).len()))
}

/// White space by RFC 8259 §2; Unicode has more.
const fn is_white(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}

/// `text` without leading white space.
fn trimmed(text: &str) -> &str {
    text.trim_start_matches(is_white)
}

/// Line and column of the byte at `offset`, both counted from 1. Columns are counted in characters.
pub fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    // In UTF-8, each character has exactly one byte that is not a continuation byte.
    let characters = line.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    (newlines + 1, characters + 1)
}

/// The place and the reason of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The reason.
    pub kind: ErrorKind,
}

impl Error {
    fn new(text: &[u8], offset: usize, kind: ErrorKind) -> Self {
        let (line, column) = position(text, offset);
        Self { line, column, kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.kind, self.line, self.column)
    }
}

impl core::error::Error for Error {}

/// The reason why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text has more than [`SIZE_MAX`] bytes.
    TooLong,
    /// The nesting is deeper than [`DEPTH_MAX`].
    TooDeep,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text begins with U+FEFF, as some editors write it. RFC 8259 §8.1 forbids it.
    ByteOrderMark,
    /// A string contains a character below U+0020, such as a line end.
    ControlCharacter,
    /// A backslash does not begin a known escape.
    BadEscape,
    /// Only half of a surrogate pair is escaped.
    LoneSurrogate,
    /// A malformed number, `1.` or `-` for example.
    BadNumber,
    /// A character that the grammar does not allow here, or the end of the text (`None`).
    Unexpected(Expected, Option<char>),
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {SIZE_MAX} bytes"),
            Self::TooDeep => write!(f, "more than {DEPTH_MAX} levels of objects and arrays"),
            Self::NotUtf8 => f.write_str("bytes that are not UTF-8"),
            Self::ByteOrderMark => f.write_str("byte order mark in front of the text"),
            Self::ControlCharacter => {
                f.write_str("line end or control character in a string (is a quote missing?)")
            }
            Self::BadEscape => f.write_str("backslash that begins no escape"),
            Self::LoneSurrogate => f.write_str("half a surrogate pair"),
            Self::BadNumber => f.write_str("number without a digit where one must be"),
            Self::Unexpected(expected, Some(found)) => {
                write!(f, "expected {expected}, found {}", InQuotes::char(found))
            }
            Self::Unexpected(expected, None) => {
                write!(f, "expected {expected}, found the end of the text")
            }
        }
    }
}

words! {
    /// What the grammar allows next.
    pub enum Expected {
        /// Any value.
        Value = "a value",
        /// A value, or the end of the array that has just begun.
        FirstValue = "a value or ']'",
        /// A key.
        Key = "a key in double quotes",
        /// A key, or the end of the object that has just begun.
        FirstKey = "a key in double quotes or '}'",
        /// The colon after a key.
        Colon = "':'",
        /// A comma, or the end of the array.
        ArraySeparator = "',' or ']'",
        /// A comma, or the end of the object.
        ObjectSeparator = "',' or '}'",
        /// The quote that ends a string.
        Quote = "a closing '\"'",
        /// The end of the text.
        Nothing = "nothing more",
    }
}

/// The grammar as a state machine, one token at a time.
#[derive(Debug, Clone)]
struct Scanner<'a> {
    /// The whole text.
    text: &'a str,
    /// Offset of the next byte; after an error, of the wrong byte.
    at: usize,
    /// Number of open objects and arrays.
    depth: usize,
    /// Bit `n` is set if the container at depth `n` is an object.
    objects: u32,
    /// The token that is allowed next.
    expected: Expected,
}

const _: () = assert!(DEPTH_MAX < 32, "Scanner::objects has a bit for every level");

impl<'a> Scanner<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, objects: 0, expected: Expected::Value }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips the next token, a bracket, a key or a scalar, and returns its offset; `at` is then
    /// behind it. `None` after the whole value.
    fn next(&mut self) -> Result<Option<usize>, ErrorKind> {
        use Expected::{
            ArraySeparator, Colon, FirstKey, FirstValue, Key, Nothing, ObjectSeparator, Value,
        };
        loop {
            self.at = self.text.len() - trimmed(self.rest()).len();
            let start = self.at;
            match (self.expected, self.peek()) {
                (Nothing, None) => return Ok(None),
                (Value | FirstValue, Some(bracket @ (b'{' | b'['))) => {
                    self.open(bracket == b'{')?
                }
                (FirstKey | ObjectSeparator, Some(b'}'))
                | (FirstValue | ArraySeparator, Some(b']')) => {
                    self.at += 1;
                    self.depth -= 1;
                    self.expected = self.separator();
                }
                (Key | FirstKey, Some(b'"')) => {
                    self.string()?;
                    self.expected = Colon;
                }
                (Value | FirstValue, Some(byte)) => {
                    self.scalar(byte)?;
                    self.expected = self.separator();
                }
                (Colon, Some(b':')) | (ArraySeparator, Some(b',')) => {
                    self.at += 1;
                    self.expected = Value;
                    continue;
                }
                (ObjectSeparator, Some(b',')) => {
                    self.at += 1;
                    self.expected = Key;
                    continue;
                }
                (expected, _) => return Err(self.unexpected(expected)),
            }
            return Ok(Some(start));
        }
    }

    fn unexpected(&self, expected: Expected) -> ErrorKind {
        match self.rest().chars().next() {
            Some('\u{FEFF}') if self.at == 0 => ErrorKind::ByteOrderMark,
            found => ErrorKind::Unexpected(expected, found),
        }
    }

    /// The token that the grammar expects after a value at this depth.
    const fn separator(&self) -> Expected {
        if self.depth == 0 {
            Expected::Nothing
        } else if self.objects >> self.depth & 1 == 1 {
            Expected::ObjectSeparator
        } else {
            Expected::ArraySeparator
        }
    }

    const fn open(&mut self, object: bool) -> Result<(), ErrorKind> {
        if self.depth == DEPTH_MAX {
            return Err(ErrorKind::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        if object {
            self.objects |= 1 << self.depth;
            self.expected = Expected::FirstKey;
        } else {
            self.objects &= !(1 << self.depth);
            self.expected = Expected::FirstValue;
        }
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> Result<(), ErrorKind> {
        match first {
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            _ => {}
        }
        let word = ["true", "false", "null"].into_iter().find(|word| self.rest().starts_with(word));
        let word = word.ok_or_else(|| self.unexpected(self.expected))?;
        self.at += word.len();
        Ok(())
    }

    /// Skips a string, from quote to quote (RFC 8259 §7).
    fn string(&mut self) -> Result<(), ErrorKind> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(ErrorKind::Unexpected(Expected::Quote, None)),
                Some(b'"') => break,
                Some(b'\\') => self.at += value::unescape(self.rest())?.1,
                Some(0..0x20) => return Err(ErrorKind::ControlCharacter),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Skips a number (RFC 8259 §6).
    fn number(&mut self) -> Result<(), ErrorKind> {
        self.pass(b"-");
        if !self.pass(b"0") {
            self.digits()?;
        }
        if self.pass(b".") {
            self.digits()?;
        }
        if self.pass(b"eE") {
            self.pass(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    /// Skips the next byte if it is one of `bytes`, and returns whether it was.
    fn pass(&mut self, bytes: &[u8]) -> bool {
        let passed = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(passed);
        passed
    }

    fn digits(&mut self) -> Result<(), ErrorKind> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += length;
        if length == 0 { Err(ErrorKind::BadNumber) } else { Ok(()) }
    }
}
