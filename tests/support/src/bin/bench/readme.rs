//! The generated parts of the README: three numbers and a short table.
//!
//! Their only source is the text of RESULTS.md, so they can be written again without a new run.

use std::fmt::Write as _;
use std::{fs, io};

const README: &str = "README.md";
/// The results of a whole run.
const RESULTS: &str = "tests/bench/RESULTS.md";

/// The line in front of a generated part, and the text of that part for given results.
type Part = (&'static str, fn(&str) -> Result<String, String>);

const PARTS: [Part; 2] = [
    ("<!-- scripts/bench writes these numbers -->\n", numbers),
    ("<!-- scripts/bench writes this table -->\n", table),
];
/// The line behind each part.
const END: &str = "<!-- until here -->";

/// The events in the table: the name in RESULTS.md and the name in the README.
const EVENTS: [(&str, &str); 6] = [
    ("cable pulled", "cable pulled, another uplink takes over"),
    ("cable plugged back", "cable plugged back"),
    ("outage of 45 s healed, dropped", "outage of 45 s over, packets were dropped"),
    ("router rebooted behind a switch", "router rebooted behind a switch"),
    ("trigger", "trigger, connection kept"),
    ("trigger, connections were lost", "trigger, new connection"),
];
/// The rows of the table that are no times.
const COSTS: [&str; 3] = ["resident memory (RSS)", "wake-ups per hour", "bytes per month"];

/// Writes the generated parts of the README from the results that are saved.
pub(crate) fn write() -> io::Result<()> {
    let readme = fs::read_to_string(README)?;
    let results = fs::read_to_string(RESULTS)?;
    fs::write(README, updated(&readme, &results).map_err(io::Error::other)?)
}

/// Returns `readme` with each generated part as `results` have it.
fn updated(readme: &str, results: &str) -> Result<String, String> {
    let mut text = readme.to_owned();
    for (first, part) in PARTS {
        let missing = || format!("{README} lacks a mark: {} ... {END}", first.trim_end());
        let (before, rest) = text.split_once(first).ok_or_else(missing)?;
        let (_, after) = rest.split_once(END).ok_or_else(missing)?;
        text = format!("{before}{first}{}{END}{after}", part(results)?);
    }
    Ok(text)
}

fn numbers(results: &str) -> Result<String, String> {
    let [_, pulled, loop_pulled, _] = times(results, "cable pulled")?;
    let [memory, _, _] = cells(results, "resident memory (RSS)")?;
    let [wakeups, _, _] = cells(results, "wake-ups per hour")?;
    let [beat, _, _] = cells(results, "bytes per beat, both ways")?;
    let [month, _, _] = cells(results, "bytes per month")?;
    Ok(format!(
        "- **{}** (median) after a cable is pulled, the server has the whole request, over another uplink and TLS (a loop of curl: {});\n\
         - **{memory}** of memory are resident, in one process with one thread that wakes up {wakeups} times an hour;\n\
         - **{beat} bytes** go over the line for each beat, in both directions, all IP packets counted: {month} a month.\n",
        median(pulled),
        median(loop_pulled),
    ))
}

fn table(results: &str) -> Result<String, String> {
    let [runs, ..] = times(results, EVENTS[0].0)?;
    let [slow_runs, ..] = times(results, EVENTS[2].0)?;
    let mut text = format!(
        "Times from the event to the whole request at the server, over TLS: median (maximum) of {runs} runs, of {slow_runs} for outage \
         and router.\nAll three at the same events in the same network; measured by `scripts/bench` on {}.\n\n\
         | | linkbeat | loop of curl and `ip monitor` | the service it replaces |\n|---|---|---|---|\n",
        caption(results)?,
    );
    for (name, shown) in EVENTS {
        let [_, ours, curl, reference] = times(results, name)?;
        let [ours, curl, reference] = [ours, curl, reference].map(median_and_maximum);
        // A String takes all that is written to it.
        writeln!(text, "| {shown} | {ours} | {curl} | {reference} |").ok();
    }
    for name in COSTS {
        let [ours, curl, reference] = cells(results, name)?;
        writeln!(text, "| {name} | {ours} | {curl} | {reference} |").ok();
    }
    Ok(text)
}

/// Returns the date and the machine, from the first paragraph of the results.
fn caption(results: &str) -> Result<&str, String> {
    let line = results.lines().find_map(|line| line.strip_prefix("`scripts/bench` on "));
    let (caption, _) = line.and_then(|line| line.split_once(", in ")).ok_or_else(|| {
        format!("{RESULTS} does not begin with the date and the machine of a whole run")
    })?;
    Ok(caption)
}

/// Returns the number of runs and the three times of the event `name`.
fn times<'a>(results: &'a str, name: &str) -> Result<[&'a str; 4], String> {
    cells(results, name)
}

/// Returns the cells behind `name` in the first row of that name, which has `N` of them.
fn cells<'a, const N: usize>(results: &'a str, name: &str) -> Result<[&'a str; N], String> {
    let rows = results.lines().filter_map(|line| {
        line.strip_prefix("| ")?.strip_prefix(name)?.strip_prefix(" | ")?.strip_suffix(" |")
    });
    let mut rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let row = rows.next().ok_or_else(|| format!("{RESULTS} has no row: {name}"))?;
    <[&str; N]>::try_from(row).map_err(|_| format!("{RESULTS} has another number of cells: {name}"))
}

/// Returns the first time of `median / 95th percentile / maximum`.
fn median(cell: &str) -> &str {
    cell.split_once(" / ").map_or(cell, |(median, _)| median)
}

fn median_and_maximum(cell: &str) -> String {
    let maximum = cell.rsplit_once(" / ").map(|(_, maximum)| maximum);
    maximum.map_or(cell.to_owned(), |maximum| format!("{} ({maximum})", median(cell)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(file: &str) -> String {
        let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(&path).expect(&path)
    }

    #[test]
    fn readme_shows_the_results_that_are_saved() {
        let (readme, results) = (repository(README), repository(RESULTS));
        let written = updated(&readme, &results).unwrap();
        assert!(written == readme, "README.md differs from its source: scripts/bench --readme");
    }

    #[test]
    fn text_around_the_parts_stays() {
        let results = repository(RESULTS);
        let [numbers, table] = PARTS.map(|(first, _)| format!("{first}old\n{END}\n"));
        let text = updated(&format!("one\n{numbers}two\n{table}three\n"), &results).unwrap();
        assert!(text.starts_with("one\n<!-- ") && text.ends_with("\n<!-- until here -->\nthree\n"));
        assert!(
            text.contains("<!-- until here -->\ntwo\n<!-- ") && !text.contains("old"),
            "{text}"
        );
    }

    #[test]
    fn missing_mark_or_row_is_named() {
        let (readme, results) = (repository(README), repository(RESULTS));
        let unmarked = readme.replace(PARTS[1].0, "");
        assert!(updated(&unmarked, &results).unwrap_err().contains("writes this table"));
        let rowless = results.replace("| trigger | ", "| triggers | ");
        assert_eq!(
            updated(&readme, &rowless).unwrap_err(),
            "tests/bench/RESULTS.md has no row: trigger"
        );
    }

    #[test]
    fn cell_without_times_is_shown_as_it_is() {
        assert_eq!(median_and_maximum("1.82 ms / 2.23 ms / 2.27 ms"), "1.82 ms (2.27 ms)");
        assert_eq!(median_and_maximum("-"), "-");
    }
}
