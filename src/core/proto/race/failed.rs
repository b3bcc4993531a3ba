//! Paths on which connections fail while others deliver: they are tried last.
//!
//! ```text
//!        failed, silent or slow beside one that delivered
//! sound --------------------------------------------------> failed
//!   ^                                                         |
//!   +----- it delivers, the ways change, or a re-test --------+
//! ```
//!
//! So a dead uplink that is preferred costs its patience once, and not on every beat. The *re-test*
//! is a beat of the cycle that tries the path in its old place: after a minute, and then after ever
//! longer waits, six times in the first hour and twice in every later one.

use core::time::Duration;

use heapless::Vec;

use crate::proto::link::InterfaceName;
use crate::proto::route::Family;
use crate::proto::time::Instant;
use crate::proto::uplink::UPLINKS_MAX;

/// Wait before a path that has failed is tried before others again; doubled each time it fails
/// again.
pub(crate) const RETEST_FIRST: Duration = Duration::from_secs(60);
/// Longest wait of that kind.
pub(crate) const RETEST_MAX: Duration = Duration::from_secs(1800);
/// Most paths remembered to have failed.
pub(crate) const FAILED_MAX: usize = 2 * (UPLINKS_MAX + 1);

/// A way, and the address family that goes over it.
pub type Path = (Option<InterfaceName>, Family);

/// The paths that are tried last.
#[derive(Debug, Default)]
pub(crate) struct FailedPaths {
    /// The paths on which a connection of this beat has failed.
    lost: Vec<Path, FAILED_MAX>,
    /// The paths that failed while another delivered.
    failed: Vec<Path, FAILED_MAX>,
    retest_at: Instant,
    /// The last wait for a re-test; zero before the first one.
    retest_wait: Duration,
}

impl FailedPaths {
    /// A connection of this beat has failed on this path.
    pub(crate) fn lose(&mut self, path: Path) {
        add(&mut self.lost, path);
    }

    /// The round is over, or starts anew: what has failed in it says nothing.
    pub(crate) fn forget_lost(&mut self) {
        self.lost.clear();
    }

    /// A beat was delivered over `winner`: those lost in its round count as failed from now on.
    pub(crate) fn delivered(&mut self, winner: Path, now: Instant) {
        self.works(winner);
        let mut new = false;
        for path in self.lost.iter().filter(|path| **path != winner) {
            new |= add(&mut self.failed, *path);
        }
        self.plan_retest(new, now);
    }

    /// A path has failed while another delivered.
    pub(crate) fn fail(&mut self, path: Path, now: Instant) {
        let new = add(&mut self.failed, path);
        self.plan_retest(new, now);
    }

    /// Plans the next one where a path has failed anew. A beat that was none, because it was in a
    /// hurry, puts off nothing.
    fn plan_retest(&mut self, new: bool, now: Instant) {
        if self.failed.is_empty() {
            self.retest_wait = Duration::ZERO;
        } else if new && self.retest_at <= now {
            self.retest_wait = (self.retest_wait * 2).clamp(RETEST_FIRST, RETEST_MAX);
            self.retest_at = now + self.retest_wait;
        }
    }

    /// A path that counts as failed is not.
    pub(crate) fn works(&mut self, path: Path) {
        self.failed.retain(|failed| *failed != path);
    }

    /// Whether connections on this path have failed while others delivered.
    pub(crate) fn has(&self, path: Path) -> bool {
        self.failed.contains(&path)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Path] {
        &self.failed
    }

    /// Gives them their place back for the beat that starts, if it is time.
    pub(crate) fn retest(&mut self, now: Instant) {
        if self.retest_at <= now {
            self.failed.clear();
        }
    }

    /// Forgets them: the ways out are others.
    pub(crate) fn forget(&mut self) {
        *self = Self { lost: self.lost.clone(), ..Self::default() };
    }
}

/// Whether it was not there.
fn add(paths: &mut Vec<Path, FAILED_MAX>, path: Path) -> bool {
    let new = !paths.contains(&path) && !paths.is_full();
    paths.extend(new.then_some(path));
    new
}
