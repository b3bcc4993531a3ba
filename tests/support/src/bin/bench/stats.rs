//! The times of many runs, and their form in the results.

/// The value for a request that did not come within the time limit.
pub(crate) const NEVER: u64 = u64::MAX;

/// One run: the times in µs from the kernel's announcement, if there is one, and from the act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The time since the announcement of the kernel.
    pub(crate) word_us: Option<u64>,
    /// The time since the act.
    pub(crate) act_us: u64,
}

impl Sample {
    /// The time that counts: since the announcement if there is one, else since the act.
    pub(crate) fn us(self) -> u64 {
        self.word_us.unwrap_or(self.act_us)
    }
}

/// The times of one event and one agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// The number of runs.
    pub(crate) runs: usize,
    /// The upper of the two middle ones.
    pub(crate) median_us: u64,
    /// The 95th percentile.
    pub(crate) p95_us: u64,
    /// The longest time.
    pub(crate) max_us: u64,
}

impl Summary {
    /// Returns `None` if there are no times.
    pub(crate) fn of(times: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut times: Vec<u64> = times.into_iter().collect();
        times.sort_unstable();
        let at = |place: usize| times.get(place).copied();
        Some(Self {
            runs: times.len(),
            median_us: at(times.len() / 2)?,
            p95_us: at((times.len() * 95).div_ceil(100) - 1)?,
            max_us: at(times.len() - 1)?,
        })
    }

    /// Median, 95th percentile and maximum as text.
    pub(crate) fn cell(&self) -> String {
        let Self { median_us, p95_us, max_us, .. } = *self;
        format!("{} / {} / {}", time(median_us), time(p95_us), time(max_us))
    }
}

/// A time in µs with three digits and its unit.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn time(us: u64) -> String {
    if us == NEVER {
        return "never".to_owned();
    }
    let ms = us as f64 / 1000.0;
    let (value, unit) = if us < 1_000_000 { (ms, "ms") } else { (ms / 1000.0, "s") };
    // Rounding may add a digit: 9.999 becomes 10.0.
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_times_that_were_measured() {
        let summary = Summary::of(1..=20).unwrap();
        assert_eq!((summary.median_us, summary.p95_us, summary.max_us), (11, 19, 20));
        let summary = Summary::of([7]).unwrap();
        assert_eq!((summary.runs, summary.median_us, summary.p95_us, summary.max_us), (1, 7, 7, 7));
        assert!(Summary::of([]).is_none());
    }

    #[test]
    fn a_time_has_three_digits() {
        let shown = [340, 9_994, 9_996, 54_720, 547_000, 29_004_000].map(time);
        assert_eq!(shown, ["0.34 ms", "9.99 ms", "10.0 ms", "54.7 ms", "547 ms", "29.0 s"]);
        assert_eq!(time(NEVER), "never");
    }
}
