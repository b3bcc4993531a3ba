//! PEM (RFC 7468): finds the sections in a file that may contain other text.

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Longest label, in bytes. A longer one does not begin a section.
const LABEL_MAX: usize = 64;

/// One section, not yet decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// The label, such as `CERTIFICATE`.
    pub label: &'a [u8],
    /// Number of the line in which the section begins, from 1.
    pub line: usize,
    /// Base64, after header lines if there are any (RFC 1421 §4.4). `None` if the end marker is
    /// missing.
    pub text: Option<&'a [u8]>,
}

impl Section<'_> {
    /// Whether the content is encrypted with a password (RFC 5958 §3, RFC 1421 §4.6.1.1).
    pub fn is_encrypted(&self) -> bool {
        let text = self.text.unwrap_or_default();
        self.label.starts_with(b"ENCRYPTED ") || find(text, b"ENCRYPTED").is_some()
    }
}

/// The sections of a file in order. Text between them, a byte order mark and any kind of line ends
/// are accepted.
pub fn sections(file: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let (mut rest, mut line) = (file, 1);
    core::iter::from_fn(move || {
        loop {
            let begin = find(rest, BEGIN)?;
            let (before, at) = rest.split_at_checked(begin)?;
            line += before.iter().filter(|byte| **byte == b'\n').count();
            rest = at.get(BEGIN.len()..)?;
            let Some(length) = find(rest.get(..LABEL_MAX + DASHES.len()).unwrap_or(rest), DASHES)
            else {
                continue;
            };
            let (label, after) = rest.split_at_checked(length)?;
            if !label.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic()) {
                continue;
            }
            let text = after.get(DASHES.len()..)?;
            let end = find(text, DASHES).filter(|end| {
                let end = text.get(*end..).and_then(|text| text.strip_prefix(END));
                end.and_then(|end| end.strip_prefix(label)).is_some_and(|it| it.starts_with(DASHES))
            });
            let section = Section { label, line, text: end.and_then(|end| text.get(..end)) };
            // After a complete section go on behind it. An incomplete one may contain the beginning
            // of another.
            let skipped = length + DASHES.len() + end.map_or(0, |end| end + END.len());
            line += rest.iter().take(skipped).filter(|byte| **byte == b'\n').count();
            rest = rest.get(skipped..)?;
            return Some(section);
        }
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests;
