//! Findings in a configuration, and the nearest name to a misspelt one.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// Most findings told at once: a file of rubbish needs no list.
pub const PROBLEMS_MAX: usize = 32;
/// Longest name that is compared, in characters.
const NAME_MAX: usize = 40;

/// A file, and line and column in it.
pub type Place = (PathBuf, (usize, usize));

/// One finding. `Display` is `FILE:LINE:COLUMN: error: message`, as compilers have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// Line and column, from 1, the column in characters; `None` for the file as a whole.
    pub place: Option<(usize, usize)>,
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What was found and what is allowed; never a secret.
    pub message: String,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing of the configuration is taken.
    Error,
    /// It is taken nevertheless.
    Warning,
}

impl Problem {
    /// An error at `place`, or in `file` as a whole where that is not known.
    #[must_use]
    pub fn error(place: Option<&Place>, file: &Path, message: String) -> Self {
        let (file, place) = place.map_or((file, None), |(file, at)| (file.as_path(), Some(*at)));
        Self { file: file.to_path_buf(), place, severity: Severity::Error, message }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.message)
    }
}

/// Findings as they are collected.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    errors: usize,
}

impl Problems {
    pub(super) fn error(
        &mut self,
        file: &Path,
        place: Option<(usize, usize)>,
        message: impl Display,
    ) {
        self.errors += 1;
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

    /// Whether more findings would not be told.
    pub(super) const fn is_full(&self) -> bool {
        self.list.len() >= PROBLEMS_MAX
    }

    /// Whether the configuration must be refused, be the error told or not.
    pub(super) const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.list
    }
}

/// An unknown name, with the known one that was probably meant.
pub(super) struct Unknown<'a> {
    /// The name as found, for a nested key with dots.
    pub(super) name: &'a str,
    /// All names there are.
    pub(super) known: &'a [&'static str],
}

impl Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.name.chars().take(NAME_MAX).collect();
        write!(f, "unknown key {name:?}")?;
        match nearest(&name, self.known) {
            Some(nested) if nested == name => {
                write!(f, ", the dot stands for an object in an object")
            }
            Some(nearest) => write!(f, ", did you mean {nearest:?}?"),
            None => Ok(()),
        }
    }
}

/// The known name with the fewest edits, if they are few; the last part of a dotted name counts
/// as a name of its own.
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
        let known = &["api_url", "device_key", "tls.ca_file"];
        for (name, words) in [
            ("api_ulr", r#"unknown key "api_ulr", did you mean "api_url"?"#),
            ("devicekey", r#"unknown key "devicekey", did you mean "device_key"?"#),
            ("ca_file", r#"unknown key "ca_file", did you mean "tls.ca_file"?"#),
            ("tls.cafile", r#"unknown key "tls.cafile", did you mean "tls.ca_file"?"#),
            (
                "tls.ca_file",
                r#"unknown key "tls.ca_file", the dot stands for an object in an object"#,
            ),
            ("colour", r#"unknown key "colour""#),
            ("\n", r#"unknown key "\n""#),
        ] {
            assert_eq!(Unknown { name, known }.to_string(), words);
        }
    }

    #[test]
    fn problems_beyond_the_limit_are_not_told_but_count() {
        let mut problems = Problems::default();
        for _ in 0..PROBLEMS_MAX {
            problems.warning(Path::new("f"), None, "w");
        }
        assert!(!problems.has_errors());
        problems.error(Path::new("f"), None, "e");
        assert!(problems.has_errors());
        assert_eq!(problems.into_vec().len(), PROBLEMS_MAX);
    }
}
