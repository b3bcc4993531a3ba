//! Paths on which connections fail while others deliver: they are tried last.
//!
//! ```text
//!        failed, silent or slow beside one that delivered
//! sound --------------------------------------------------> failed
//!   ^                                                         |
//!   +----- it delivers, the ways change, or a re-test --------+
//! ```
//!
//! So a dead uplink that is preferred costs its patience once, and not on every beat. The *re-test* is a
//! beat of the cycle that tries the path in its old place: after a minute, and then after ever longer waits,
//! six times in the first hour and twice in every later one.

use core::time::Duration;

use heapless::Vec;

use crate::proto::link::Name;
use crate::proto::routing::Family;
use crate::proto::time::Instant;
use crate::proto::uplink::UPLINKS_MAX;

/// Wait before a path that has failed is tried before others again; doubled each time it fails again.
pub const RETEST_FIRST: Duration = Duration::from_secs(60);
/// Longest wait of that kind.
pub const RETEST_MAX: Duration = Duration::from_secs(1800);
/// Most paths remembered to have failed.
pub const FAILED_MAX: usize = 2 * (UPLINKS_MAX + 1);

/// A way, and the address family that goes over it.
pub type Path = (Option<Name>, Family);

/// The paths that are tried last.
#[derive(Debug)]
pub struct FailedPaths {
    /// Those on which a connection of this beat has failed.
    lost: Vec<Path, FAILED_MAX>,
    /// Those that failed while another delivered.
    failed: Vec<Path, FAILED_MAX>,
    retest_at: Instant,
    retest_wait: Duration,
}

impl FailedPaths {
    /// Every path is sound.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lost: Vec::new(),
            failed: Vec::new(),
            retest_at: Instant::from_micros(0),
            retest_wait: RETEST_FIRST,
        }
    }

    /// A connection of this beat has failed on this path.
    pub fn lose(&mut self, path: Path) {
        add(&mut self.lost, path);
    }

    /// The round is over, or starts anew: what has failed in it says nothing.
    pub fn forget_lost(&mut self) {
        self.lost.clear();
    }

    /// A beat was delivered over `winner`: those lost in its round count as failed from now on.
    pub fn delivered(&mut self, winner: Path, now: Instant) {
        self.works(winner);
        for path in self.lost.iter().filter(|path| **path != winner) {
            add(&mut self.failed, *path);
        }
        self.plan_retest(now);
    }

    /// A path has failed while another delivered.
    pub fn fail(&mut self, path: Path, now: Instant) {
        add(&mut self.failed, path);
        self.plan_retest(now);
    }

    fn plan_retest(&mut self, now: Instant) {
        if self.failed.is_empty() {
            self.retest_wait = RETEST_FIRST;
        } else if self.retest_at <= now {
            self.retest_at = now + self.retest_wait;
            self.retest_wait = (self.retest_wait * 2).min(RETEST_MAX);
        }
    }

    /// A path that counts as failed is not.
    pub fn works(&mut self, path: Path) {
        self.failed.retain(|failed| *failed != path);
    }

    /// Whether connections on this path have failed while others delivered.
    #[must_use]
    pub fn has(&self, path: Path) -> bool {
        self.failed.contains(&path)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Path] {
        &self.failed
    }

    /// Gives them their place back for the beat that starts, if it is time.
    pub fn retest(&mut self, now: Instant) {
        if self.retest_at <= now {
            self.failed.clear();
        }
    }

    /// Forgets them: the ways out are others.
    pub fn forget(&mut self) {
        *self = Self { lost: self.lost.clone(), ..Self::new() };
    }
}

impl Default for FailedPaths {
    fn default() -> Self {
        Self::new()
    }
}

fn add(paths: &mut Vec<Path, FAILED_MAX>, path: Path) {
    let new = !paths.contains(&path) && !paths.is_full();
    paths.extend(new.then_some(path));
}
