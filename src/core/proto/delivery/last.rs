//! How the last round ended, and what that says of those before.

use crate::proto::event::Failure;

/// How the last round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// There was none.
    Never,
    /// The server acknowledged the beat.
    Acknowledged,
    /// The round failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Rounds that failed since the last acknowledgement.
        rounds: u32,
        /// Whether any beat was acknowledged before.
        acknowledged_before: bool,
    },
}

impl Last {
    /// Why the last round failed; `None` after an acknowledgement.
    pub(crate) const fn failure(self) -> Option<Failure> {
        match self {
            Self::Never | Self::Acknowledged => None,
            Self::Failed { failure, .. } => Some(failure),
        }
    }

    /// Rounds that failed since the last acknowledgement.
    pub(crate) const fn rounds_failed(self) -> u32 {
        match self {
            Self::Never | Self::Acknowledged => 0,
            Self::Failed { rounds, .. } => rounds,
        }
    }

    /// Whether any beat was ever acknowledged.
    pub(crate) const fn was_acknowledged(self) -> bool {
        match self {
            Self::Never => false,
            Self::Acknowledged => true,
            Self::Failed { acknowledged_before, .. } => acknowledged_before,
        }
    }

    /// The state after a further failed round.
    pub(super) const fn and_failed(self, failure: Failure) -> Self {
        Self::Failed {
            failure,
            rounds: self.rounds_failed().saturating_add(1),
            acknowledged_before: self.was_acknowledged(),
        }
    }
}
