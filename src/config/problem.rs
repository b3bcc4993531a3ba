//! Problems of a configuration, with a suggestion for a misspelt key.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use linkbeat_core::wire::escaped::InQuotes;

/// Most problems reported at once: a file full of garbage needs no complete list.
pub const PROBLEMS_MAX: usize = 32;
/// Longest key that is compared with the known ones, in characters.
const NAME_MAX: usize = 40;

/// The keys of secrets.
const SECRETS: [&str; 3] = ["token_code", "status_token", "MEETING_TOKEN_CODE"];

/// A file, with line and column in it.
pub type Place = (PathBuf, (usize, usize));

/// The places of the keys that were read.
#[derive(Debug, Default)]
pub(super) struct KeyPlaces(Vec<(&'static str, Place)>);

impl KeyPlaces {
    /// Adds the place of a value of `key`, which counts from now on.
    pub(super) fn put(&mut self, key: &'static str, place: Place) {
        self.0.push((key, place));
    }

    /// The place of the value of `key` that counts.
    pub(super) fn of(&self, key: &str) -> Option<&Place> {
        self.0.iter().rev().find_map(|(name, place)| (*name == key).then_some(place))
    }
}

/// One problem. `Display` is `FILE:LINE:COLUMN: error: message`, the form of compilers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file with the problem.
    pub file: PathBuf,
    /// Line and column from 1, the column in characters; `None` for the file as a whole.
    pub place: Option<(usize, usize)>,
    /// Whether the configuration is refused because of it.
    pub severity: Severity,
    /// The value that was found and those that are allowed; never contains a secret.
    pub message: String,
}

linkbeat_core::words! {
    /// The consequence of a problem.
    pub enum Severity {
        /// The configuration as a whole is refused.
        Error = "error",
        /// The configuration is accepted nevertheless.
        Warning = "warning",
    }
}

impl Problem {
    /// Makes a problem at `place`, or of `file` as a whole if the place is not known.
    pub fn new(severity: Severity, place: Option<&Place>, file: &Path, message: String) -> Self {
        let (file, place) = place.map_or((file, None), |(file, at)| (file.as_path(), Some(*at)));
        Self { file: file.to_path_buf(), place, severity, message }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}: {}", self.severity, self.message)
    }
}

/// The list of problems while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// The first [`PROBLEMS_MAX`] problems.
    pub(super) list: Vec<Problem>,
    /// Whether the configuration must be refused, even for an error that is not in the list.
    pub(super) has_error: bool,
    /// The places of the keys that were read so far.
    pub(super) places: KeyPlaces,
}

impl Problems {
    pub(super) fn error(
        &mut self,
        file: &Path,
        place: Option<(usize, usize)>,
        message: impl Display,
    ) {
        self.has_error = true;
        self.push(file, place, Severity::Error, &message);
    }

    pub(super) fn warning(
        &mut self,
        file: &Path,
        place: Option<(usize, usize)>,
        message: impl Display,
    ) {
        self.push(file, place, Severity::Warning, &message);
    }

    /// As [`error`](Self::error), at the place of `key`, which must be one of a JSON file.
    pub(super) fn error_at(&mut self, key: &str, message: impl Display) {
        self.has_error = true;
        if let Some((file, at)) = self.places.of(key).cloned() {
            self.error(&file, Some(at), message);
        }
    }

    /// As [`warning`](Self::warning), at the place of `key`, which must be one of a JSON file.
    pub(super) fn warning_at(&mut self, key: &str, message: impl Display) {
        if let Some((file, at)) = self.places.of(key).cloned() {
            self.warning(&file, Some(at), message);
        }
    }

    fn push(
        &mut self,
        file: &Path,
        place: Option<(usize, usize)>,
        severity: Severity,
        message: &dyn Display,
    ) {
        if !self.is_full() {
            let message = message.to_string();
            self.list.push(Problem { file: file.to_path_buf(), place, severity, message });
        }
    }

    /// Whether the list is full: further problems are counted but not reported.
    pub(super) const fn is_full(&self) -> bool {
        self.list.len() >= PROBLEMS_MAX
    }
}

/// An unknown key, with the known one that was probably meant.
pub(super) struct UnknownKey<'a> {
    /// The key as found; a nested key with dots.
    pub(super) name: &'a str,
    /// All known keys.
    pub(super) known: &'a [&'static str],
}

impl Display for UnknownKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.name.chars().take(NAME_MAX).collect();
        let harmless = harmless(&name);
        write!(f, "unknown key {}", InQuotes::text(&harmless))?;
        if harmless != name {
            return f.write_str(" with something behind it");
        }
        match nearest(&name, self.known) {
            Some(nested) if nested == name => {
                write!(f, ": write it as a nested object")
            }
            Some(nearest) => write!(f, ", did you mean {}?", InQuotes::text(&nearest)),
            None => Ok(()),
        }
    }
}

/// The part of a key that may be shown: behind a name, or behind that of a secret, there may be the
/// secret.
fn harmless(key: &str) -> &str {
    let is_name = |char: char| matches!(char, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let end = match SECRETS.iter().find(|name| key.starts_with(**name)) {
        Some(name) => name.len(),
        None => key.find(|char| !is_name(char)).unwrap_or(key.len()),
    };
    key.get(..end).unwrap_or_default()
}

/// The known key with the fewest edits, if they are few; the last part of a dotted key is compared
/// on its own as well.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let edits = |known: &&&str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        distance(name, known).min(distance(name, last))
    };
    let best = known.iter().min_by_key(edits)?;
    (edits(&best) <= 1 + name.len() / 5).then_some(*best)
}

/// Levenshtein's distance: insertions, deletions and replacements of a character.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *slot;
            left = replaced.min(left + 1).min(diagonal + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "bc", 1),
            ("abc", "abxc", 1),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn unknown_name_brings_the_nearest_known_one() {
        let known = &["api_url", "device_key", "tls.ca_file", "token_code"];
        for (name, words) in [
            ("api_ulr", r#"unknown key "api_ulr", did you mean "api_url"?"#),
            ("devicekey", r#"unknown key "devicekey", did you mean "device_key"?"#),
            ("ca_file", r#"unknown key "ca_file", did you mean "tls.ca_file"?"#),
            ("tls.cafile", r#"unknown key "tls.cafile", did you mean "tls.ca_file"?"#),
            ("tls.ca_file", r#"unknown key "tls.ca_file": write it as a nested object"#),
            ("colour", r#"unknown key "colour""#),
            ("api-url", r#"unknown key "api-url", did you mean "api_url"?"#),
            ("token-code", r#"unknown key "token-code", did you mean "token_code"?"#),
            ("token_code: s3cret", r#"unknown key "token_code" with something behind it"#),
            ("token_codes3cret", r#"unknown key "token_code" with something behind it"#),
            ("s3cret word", r#"unknown key "s3cret" with something behind it"#),
            ("\n", r#"unknown key "" with something behind it"#),
        ] {
            assert_eq!(UnknownKey { name, known }.to_string(), words);
        }
    }

    #[test]
    fn problems_beyond_the_limit_are_not_shown_but_count() {
        let mut problems = Problems::default();
        for _ in 0..PROBLEMS_MAX {
            problems.warning(Path::new("f"), None, "w");
        }
        assert!(!problems.has_error);
        problems.error(Path::new("f"), None, "e");
        assert!(problems.has_error);
        assert_eq!(problems.list.len(), PROBLEMS_MAX);
    }
}
