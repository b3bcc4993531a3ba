//! One JSON file: known keys are taken from it, the others are reported.

use std::fmt::{self, Display};
use std::fs::Metadata;
use std::path::Path;

use super::problem::{Problems, UnknownKey};
use super::{Secret, files};
use linkbeat_core::wire::escaped::InQuotes;
use linkbeat_core::wire::json::{self, Value, ValueKind};
use linkbeat_core::wire::request::UrlError;

/// Longest value that a message repeats, in bytes.
const FOUND_MAX: usize = 60;

/// A JSON file, and the keys that have been read from it.
pub(super) struct JsonFile<'a> {
    /// The path of the file.
    file: &'a Path,
    /// The content of the file.
    text: &'a [u8],
    /// Whether every user can read the file.
    public: bool,
    /// The object in the file.
    root: Value<'a>,
    /// Dotted names of the keys that have been read.
    known: Vec<&'static str>,
    /// The problems found so far.
    problems: &'a mut Problems,
}

impl<'a> JsonFile<'a> {
    /// Parses `text`; `None`, with an error in `problems`, if it is no JSON object.
    pub(super) fn parse(
        file: &'a Path,
        text: &'a [u8],
        metadata: &Metadata,
        problems: &'a mut Problems,
    ) -> Option<Self> {
        let root = match json::parse(text) {
            Ok(root) => root,
            Err(error) => {
                problems.error(file, Some((error.line, error.column)), error.kind);
                return None;
            }
        };
        let public = files::is_public(metadata);
        let mut this = Self { file, text, public, root, known: Vec::new(), problems };
        if root.kind() != ValueKind::Object {
            this.error(root.offset(), &format_args!("expected an object, found {}", root.kind()));
            return None;
        }
        Some(this)
    }

    /// Reads the value of `key` (with dots if nested) into `into`, unless it is absent or null.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(Value<'a>) -> Result<T, WrongValue<'a>>,
        into: &mut T,
    ) {
        let Some(value) = self.find(key) else { return };
        match parse(value) {
            Ok(parsed) => *into = parsed,
            Err(wrong) => self.wrong(key, &wrong),
        }
    }

    /// As [`take`](Self::take), for a string; `parse` gets its decoded text.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, Allowed>,
        into: &mut T,
    ) {
        self.read_text(key, &mut |text| parse(text).map(|parsed| *into = parsed));
    }

    /// Not generic, so that the program has it once.
    fn read_text(&mut self, key: &'static str, read: &mut dyn FnMut(&str) -> Result<(), Allowed>) {
        self.take(key, |value| parsed(value, read), &mut ());
    }

    /// As [`text`](Self::text), for a secret: no message repeats it, and a file that everybody can
    /// read is reported.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<Option<Secret>, Allowed>,
        into: &mut Option<Secret>,
    ) {
        let Some(value) = self.find(key) else { return };
        match parsed(value, parse) {
            Ok(secret) => *into = secret,
            Err(WrongValue { allowed, .. }) => {
                let found = value.kind();
                self.error(
                    value.offset(),
                    &format_args!("{key}: expected {allowed}, found {found}"),
                );
                return;
            }
        }
        if into.is_some() && self.public {
            let mend = files::mend_file(self.file);
            self.warning(value.offset(), &format_args!("{key} can be read by every user: {mend}"));
        }
    }

    /// The value of `key`, which becomes a known one and is noted with its place.
    fn find(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let value = key.split('.').try_fold(self.root, |value, part| value.get(part))?;
        if value.kind() == ValueKind::Null {
            return None;
        }
        let place = json::position(self.text, value.offset());
        self.problems.places.put(key, (self.file.to_path_buf(), place));
        Some(value)
    }

    /// Adds keys that a parser reads by itself to the known ones.
    pub(super) fn also_known(&mut self, keys: &[&'static str]) {
        self.known.extend_from_slice(keys);
    }

    fn place(&self, offset: usize) -> Option<(usize, usize)> {
        Some(json::position(self.text, offset))
    }

    fn error(&mut self, offset: usize, message: &dyn Display) {
        self.problems.error(self.file, self.place(offset), message);
    }

    fn warning(&mut self, offset: usize, message: &dyn Display) {
        self.problems.warning(self.file, self.place(offset), message);
    }

    fn wrong(&mut self, key: &str, wrong: &WrongValue<'_>) {
        let WrongValue { value, allowed } = wrong;
        match allowed {
            // The address may contain a password, so the message does not repeat it.
            Allowed::Url(error) => self.error(value.offset(), error),
            _ => {
                let found = found_text(*value);
                self.error(
                    value.offset(),
                    &format_args!("{key}: expected {allowed}, found {found}"),
                );
            }
        }
    }

    /// Reports unknown keys and repeated keys.
    pub(super) fn finish(&mut self) {
        self.finish_object(self.root, "");
    }

    /// Does so for the members of `object`, whose names begin with `prefix`.
    ///
    /// It descends as deep as there are known names, and stops when the list of problems is full:
    /// finding a repeated key takes a pass over the object for each known key.
    fn finish_object(&mut self, object: Value<'a>, prefix: &str) {
        for (key, value) in object.members() {
            if self.problems.is_full() {
                return;
            }
            let key_text = key.to_string();
            let name = format!("{prefix}{key_text}");
            let holds = self.holds(&key_text, &name);
            if holds == Holds::Unknown {
                let message = UnknownKey { name: &name, known: &self.known };
                self.problems.warning(self.file, self.place(key.offset()), message);
                continue;
            }
            let same = || object.members().filter(|(other, _)| *other == *key_text);
            if same().count() > 1 {
                let name = InQuotes::text(&name);
                self.warning(
                    key.offset(),
                    &format_args!("{name} is there more than once, the last one counts"),
                );
            }
            let counts = same().last().is_some_and(|(last, _)| last.offset() == key.offset());
            let prefix = format!("{name}.");
            match (holds, value.kind()) {
                // The last of a repeated key takes the place of the others, whatever they are.
                _ if !counts => {}
                (Holds::Object, ValueKind::Object) => self.finish_object(value, &prefix),
                (Holds::Object, ValueKind::Null) | (Holds::Value | Holds::Unknown, _) => {}
                (Holds::Object, _) => {
                    self.wrong(&name, &WrongValue { value, allowed: Allowed::Text("an object") });
                }
                (Holds::Objects, _) => {
                    for element in value.elements() {
                        self.finish_object(element, &prefix);
                    }
                }
            }
        }
    }

    /// Returns what the known keys say about `name`, whose last part is `key`.
    fn holds(&self, key: &str, name: &str) -> Holds {
        let asked = self.known.contains(&name);
        let below = |known: &&str| known.strip_prefix(name).is_some_and(|k| k.starts_with('.'));
        match (asked, self.known.iter().any(below)) {
            // A key that contains a dot is not a nested object.
            _ if key.contains('.') => Holds::Unknown,
            (false, false) => Holds::Unknown,
            (true, false) => Holds::Value,
            (false, true) => Holds::Object,
            (true, true) => Holds::Objects,
        }
    }
}

/// The kind of value that a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// The key is unknown.
    Unknown,
    /// A value that is read as a whole.
    Value,
    /// An object with known keys.
    Object,
    /// An array of objects with known keys.
    Objects,
}

/// A value that is not what its key allows.
pub(super) struct WrongValue<'a> {
    /// The value, or the part of it that is wrong.
    pub(super) value: Value<'a>,
    /// The values that are allowed.
    pub(super) allowed: Allowed,
}

/// The values that a key allows; `Display` follows the word "expected".
pub(super) enum Allowed {
    /// A description.
    Text(&'static str),
    /// A whole number of this range.
    Whole(u64, u64),
    /// An array with so many entries at most.
    Entries(usize),
    /// An address, with the error of this one.
    Url(UrlError),
}

impl Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(words) => f.write_str(words),
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Entries(max) => write!(f, "no more than {max} entries"),
            Self::Url(error) => error.fmt(f),
        }
    }
}

/// A value in a message: a short one literally, unless it could control a terminal; else its type.
fn found_text(value: Value<'_>) -> String {
    let is_plain = matches!(value.kind(), ValueKind::Bool | ValueKind::Number | ValueKind::Text);
    let is_short = value.raw().len() <= FOUND_MAX && !value.raw().contains(char::is_control);
    if is_plain && is_short { value.raw().to_owned() } else { value.kind().to_string() }
}

/// Parses the decoded text of a string.
pub(super) fn parsed<'a, T>(
    value: Value<'a>,
    parse: impl FnOnce(&str) -> Result<T, Allowed>,
) -> Result<T, WrongValue<'a>> {
    parse(&decoded(value)?).map_err(|allowed| WrongValue { value, allowed })
}

/// The decoded text of a string. Not generic, so that the program has it once.
fn decoded(value: Value<'_>) -> Result<String, WrongValue<'_>> {
    let wrong = |words| WrongValue { value, allowed: Allowed::Text(words) };
    let text = value.as_text().ok_or(wrong("a string"))?.to_string();
    let controls = text.chars().any(char::is_control);
    if controls { Err(wrong("a string without control characters")) } else { Ok(text) }
}

/// Makes a parser of whole numbers from `min` to `max`, which `unit` converts.
pub(super) fn whole<'a, T>(
    min: u64,
    max: u64,
    unit: impl FnOnce(u64) -> T,
) -> impl FnOnce(Value<'a>) -> Result<T, WrongValue<'a>> {
    move |value| match value.as_whole() {
        Some(number) if (min..=max).contains(&number) => Ok(unit(number)),
        _ => Err(WrongValue { value, allowed: Allowed::Whole(min, max) }),
    }
}

/// Parses `true` and `false`.
pub(super) fn boolean(value: Value<'_>) -> Result<bool, WrongValue<'_>> {
    value.as_bool().ok_or(WrongValue { value, allowed: Allowed::Text("true or false") })
}
