//! Measured values and their upper bounds.

use std::fmt::Write as _;
use std::io::{self, Write as _};

/// One line for each bounded value: name, upper bound, a sample, unit.
const BOUNDS: &str = include_str!("bounds.txt");

/// A measured value, with its name in `bounds.txt`.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: u64,
}

struct Bound {
    most: u64,
    sample: u64,
    unit: &'static str,
}

/// Prints the measured values in one piece, and fails if one exceeds its bound.
pub(crate) fn settle(title: &str, entries: &[Entry]) {
    let mut report = format!("{title:<36} {:>9} {:>9} {:>9}\n", "measured", "most", "sample");
    let mut above = Vec::new();
    for Entry { name, value } in entries {
        let Bound { most, sample, unit } = bound(name);
        writeln!(report, "  {name:<34} {value:>9} {most:>9} {sample:>9} {unit}").unwrap();
        if *value > most {
            above.push(name);
        }
    }
    say(&report);
    assert!(above.is_empty(), "above their bounds: {above:?}\n{report}");
}

/// Prints a text in one piece, so that other tests do not interleave.
pub(crate) fn say(text: &str) {
    writeln!(io::stdout(), "{text}").unwrap();
}

fn bound(name: &str) -> Bound {
    let line = BOUNDS.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("bounds.txt says nothing of {name}"));
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    let [_, most, sample, unit] = words[..] else { panic!("bounds.txt: {line}") };
    Bound { most: most.parse().expect(line), sample: sample.parse().expect(line), unit }
}

/// The median; of an even number the upper of the two middle values.
pub(crate) fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}
