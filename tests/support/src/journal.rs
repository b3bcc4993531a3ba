//! A list of events in order, for tests to wait on.
//!
//! A writer appends entries as they happen (beats, log lines, queries, kernel messages), readers
//! follow: each [`Follower`] has its own position and sees every entry once.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A growing list to wait on. A clone is the same list.
pub struct Journal<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    entries: Mutex<Vec<T>>,
    grown: Condvar,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        let shared = Shared { entries: Mutex::new(Vec::new()), grown: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }
}

impl<T: Clone + fmt::Debug> Journal<T> {
    /// Appends an entry and wakes all waiting readers.
    pub fn push(&self, entry: T) {
        self.lock().push(entry);
        self.shared.grown.notify_all();
    }

    /// All entries so far.
    #[must_use]
    pub fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Follows the entries from here on.
    #[must_use]
    pub fn follow(&self) -> Follower<T> {
        Follower { at: self.lock().len(), journal: self.clone() }
    }

    /// Follows the entries from the first one on.
    #[must_use]
    pub fn follow_all(&self) -> Follower<T> {
        Follower { at: 0, journal: self.clone() }
    }

    // Pushing is one step, so the list is consistent even after a panic in another thread.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of a [`Journal`] with its own position.
pub struct Follower<T> {
    journal: Journal<T>,
    at: usize,
}

impl<T: Clone + fmt::Debug> Follower<T> {
    /// Waits at most `within` for the first entry that is `wanted`, and moves behind it.
    ///
    /// The position does not change if the result is `None`.
    pub fn find(&mut self, within: Duration, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut seen = self.at;
        let mut found = None;
        let search = |entries: &mut Vec<T>| {
            while let Some(entry) = entries.get(seen) {
                seen += 1;
                if wanted(entry) {
                    found = Some(entry.clone());
                    return false;
                }
            }
            true
        };
        let guard = self.journal.lock();
        drop(self.journal.shared.grown.wait_timeout_while(guard, within, search));
        if found.is_some() {
            self.at = seen;
        }
        found
    }

    /// Like [`find`](Self::find), for a test that needs the entry to continue.
    ///
    /// # Panics
    ///
    /// If there is no such entry `within` the time; the message has `what` and all other entries.
    pub fn expect(&mut self, what: &str, within: Duration, wanted: impl Fn(&T) -> bool) -> T {
        self.find(within, wanted).unwrap_or_else(|| {
            panic!("no {what} within {within:?}; there was: {:#?}", self.rest());
        })
    }

    /// Waits for the next entry of any kind.
    ///
    /// # Panics
    ///
    /// If there is no entry `within` the time.
    pub fn next(&mut self, what: &str, within: Duration) -> T {
        self.expect(what, within, |_| true)
    }

    /// Waits `during` and fails if an `unwanted` entry appears.
    ///
    /// # Panics
    ///
    /// If one appears.
    pub fn expect_none(&mut self, what: &str, during: Duration, unwanted: impl Fn(&T) -> bool) {
        if let Some(entry) = self.find(during, unwanted) {
            panic!("unwanted {what} within {during:?}: {entry:?}");
        }
    }

    /// Returns all entries from here on without waiting, and moves to the end.
    pub fn drain(&mut self) -> Vec<T> {
        let rest = self.rest();
        self.at += rest.len();
        rest
    }

    /// Skips all entries so far.
    pub fn skip(&mut self) {
        self.at = self.journal.lock().len();
    }

    fn rest(&self) -> Vec<T> {
        self.journal.lock().get(self.at..).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn follower_sees_each_entry_once() {
        let journal = Journal::default();
        let mut follower = journal.follow();
        journal.push(1);
        journal.push(2);
        assert_eq!(follower.next("number", SOON), 1);
        assert_eq!(follower.find(Duration::ZERO, |&n| n == 1), None);
        assert_eq!(follower.drain(), [2]);
        assert!(journal.follow().drain().is_empty());
        assert_eq!(journal.follow_all().drain(), [1, 2]);
    }

    #[test]
    fn find_waits_for_another_thread() {
        let journal = Journal::default();
        let mut follower = journal.follow();
        let writer = journal.clone();
        let thread = thread::spawn(move || (0..10).for_each(|n| writer.push(n)));
        assert_eq!(follower.find(SOON, |&n| n == 7), Some(7));
        thread.join().unwrap();
        assert_eq!(follower.drain(), [8, 9]);
    }

    #[test]
    fn a_vain_search_loses_nothing() {
        let journal = Journal::default();
        journal.push('a');
        let mut follower = journal.follow_all();
        assert_eq!(follower.find(Duration::from_millis(1), |&c| c == 'b'), None);
        assert_eq!(follower.next("letter", SOON), 'a');
    }
}
