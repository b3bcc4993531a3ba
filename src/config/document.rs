//! One JSON file being read: known keys are taken from it, what is left over is told.

use std::fmt::{self, Display};
use std::fs::Metadata;
use std::path::Path;

use super::problem::{Place, Problems, Unknown};
use super::{Secret, files};
use crate::wire::json::{self, Kind, Value};
use crate::wire::request::UrlError;

/// Longest value that is repeated in a message, in bytes.
const FOUND_MAX: usize = 60;

/// A checked JSON file, and which keys have been asked for.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a [u8],
    /// Whether every user can read the file.
    public: bool,
    root: Value<'a>,
    /// Dotted names, as far as asked for.
    known: Vec<&'static str>,
    problems: &'a mut Problems,
}

impl<'a> Document<'a> {
    /// Checks `text`; `None`, and an error told, if it is no JSON object.
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
        if root.kind() != Kind::Object {
            let place = json::position(text, root.offset());
            problems.error(
                file,
                Some(place),
                format_args!("expected an object, found {}", root.kind()),
            );
            return None;
        }
        let public = files::is_public(metadata);
        Some(Self { file, text, public, root, known: Vec::new(), problems })
    }

    /// Puts the value of `key` (dotted, where nested) into `into`, if it is there and not null.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(Value<'a>) -> Result<T, Wrong<'a>>,
        into: &mut T,
    ) {
        let Some(value) = self.find(key) else { return };
        match parse(value) {
            Ok(parsed) => *into = parsed,
            Err(wrong) => self.wrong(key, &wrong),
        }
    }

    /// As [`take`](Self::take) for a secret: no message repeats it, and it should be kept.
    pub(super) fn take_secret(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<Option<Secret>, Allowed>,
        into: &mut Option<Secret>,
    ) {
        let Some(value) = self.find(key) else { return };
        match text(parse)(value) {
            Ok(parsed) => {
                *into = parsed;
                if into.is_some() && self.public {
                    let mend = files::mend_file(self.file);
                    self.problems.warning(
                        self.file,
                        self.place(value.offset()),
                        format_args!("{key} can be read by every user: {mend}"),
                    );
                }
            }
            Err(Wrong { allowed, .. }) => {
                self.problems.error(
                    self.file,
                    self.place(value.offset()),
                    format_args!("{key}: expected {allowed}, found {}", value.kind()),
                );
            }
        }
    }

    /// The value of `key`, which is known from now on.
    fn find(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let value = key.split('.').try_fold(self.root, |value, part| value.get(part))?;
        (value.kind() != Kind::Null).then_some(value)
    }

    /// Where the value of `key` stands, if it is there and not null.
    pub(super) fn place_of(&mut self, key: &'static str) -> Option<Place> {
        let offset = self.find(key)?.offset();
        Some((self.file.to_path_buf(), json::position(self.text, offset)))
    }

    /// Makes names known that a parser looks for by itself.
    pub(super) fn also_known(&mut self, keys: &[&'static str]) {
        self.known.extend_from_slice(keys);
    }

    fn place(&self, offset: usize) -> Option<(usize, usize)> {
        Some(json::position(self.text, offset))
    }

    fn wrong(&mut self, key: &str, wrong: &Wrong<'_>) {
        let place = self.place(wrong.value.offset());
        match &wrong.allowed {
            // An address may hold a password, and the error says what is wrong with it.
            Allowed::Url(error) => self.problems.error(self.file, place, error),
            allowed => {
                let found = Found(wrong.value);
                self.problems.error(
                    self.file,
                    place,
                    format_args!("{key}: expected {allowed}, found {found}"),
                );
            }
        }
    }

    /// Tells of keys that nobody asked for and of keys that are there twice.
    pub(super) fn finish(&mut self) {
        self.finish_object(self.root, "");
    }

    /// Does so for the members of `object`, whose names begin with `prefix`.
    ///
    /// As deep as there are known names, and as long as there is room for problems: looking for
    /// repeated keys takes a pass over the object for every known one.
    fn finish_object(&mut self, object: Value<'a>, prefix: &str) {
        for (key, value) in object.members() {
            if self.problems.is_full() {
                return;
            }
            let key_text = key.to_string();
            let name = format!("{prefix}{key_text}");
            let holds = self.holds(&key_text, &name);
            if holds == Holds::Unknown {
                let message = Unknown { name: &name, known: &self.known };
                self.problems.warning(self.file, self.place(key.offset()), message);
                continue;
            }
            if object.members().filter(|(other, _)| *other == *key_text).count() > 1 {
                self.problems.warning(
                    self.file,
                    self.place(key.offset()),
                    format_args!("{name:?} is there more than once, the last one counts"),
                );
            }
            let prefix = format!("{name}.");
            match (holds, value.kind()) {
                (Holds::Object, Kind::Object) => self.finish_object(value, &prefix),
                (Holds::Object, Kind::Null) | (Holds::Value | Holds::Unknown, _) => {}
                (Holds::Object, _) => {
                    self.wrong(&name, &Wrong { value, allowed: Allowed::Text("an object") });
                }
                (Holds::Objects, _) => {
                    for element in value.elements() {
                        self.finish_object(element, &prefix);
                    }
                }
            }
        }
    }

    /// What the questions asked so far say about `name`, whose last part is `key`.
    fn holds(&self, key: &str, name: &str) -> Holds {
        let asked = self.known.contains(&name);
        let below = |known: &&str| known.strip_prefix(name).is_some_and(|k| k.starts_with('.'));
        match (asked, self.known.iter().any(below)) {
            // A key with a dot in it is not the object in an object that its name looks like.
            _ if key.contains('.') => Holds::Unknown,
            (false, false) => Holds::Unknown,
            (true, false) => Holds::Value,
            (false, true) => Holds::Object,
            (true, true) => Holds::Objects,
        }
    }
}

/// What a key holds, by what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// It means nothing here.
    Unknown,
    /// A value that is taken as a whole.
    Value,
    /// An object with known keys.
    Object,
    /// An array of objects with known keys.
    Objects,
}

/// A value that is not what its key allows.
pub(super) struct Wrong<'a> {
    /// The value, or the part of it that is wrong.
    pub(super) value: Value<'a>,
    /// What it may be.
    pub(super) allowed: Allowed,
}

/// What a key allows; `Display` goes on after "expected".
pub(super) enum Allowed {
    /// In words.
    Text(&'static str),
    /// A whole number of this range.
    Whole(u64, u64),
    /// An address, and what is wrong with this one.
    Url(UrlError),
}

impl Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(words) => f.write_str(words),
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Url(error) => error.fmt(f),
        }
    }
}

/// A value as a message repeats it: short ones as they stand, if nothing in them steers a terminal.
struct Found<'a>(Value<'a>);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            Kind::Bool | Kind::Number | Kind::Text
                if self.0.raw().len() <= FOUND_MAX && !self.0.raw().contains(char::is_control) =>
            {
                f.write_str(self.0.raw())
            }
            kind => kind.fmt(f),
        }
    }
}

/// A parser of strings made from one of their decoded text.
pub(super) fn text<'a, T>(
    parse: impl FnOnce(&str) -> Result<T, Allowed>,
) -> impl FnOnce(Value<'a>) -> Result<T, Wrong<'a>> {
    |value| {
        let wrong = |allowed| Wrong { value, allowed };
        let text = value.as_text().ok_or(wrong(Allowed::Text("a string")))?.to_string();
        if text.chars().any(char::is_control) {
            return Err(wrong(Allowed::Text("a string without control characters")));
        }
        parse(&text).map_err(wrong)
    }
}

/// A parser of whole numbers from `min` to `max`, made into what the unit says.
pub(super) fn whole<'a, T>(
    min: u64,
    max: u64,
    unit: impl FnOnce(u64) -> T,
) -> impl FnOnce(Value<'a>) -> Result<T, Wrong<'a>> {
    move |value| match value.as_whole() {
        Some(number) if (min..=max).contains(&number) => Ok(unit(number)),
        _ => Err(Wrong { value, allowed: Allowed::Whole(min, max) }),
    }
}

/// The parser of `true` and `false`.
pub(super) fn boolean(value: Value<'_>) -> Result<bool, Wrong<'_>> {
    value.as_bool().ok_or(Wrong { value, allowed: Allowed::Text("true or false") })
}
