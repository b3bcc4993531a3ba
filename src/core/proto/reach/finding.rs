//! The evidence of probes and connections about the outside.

use crate::proto::time::Instant;

/// The connectivity as the device knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// Nothing was tried yet.
    #[default]
    Unknown,
    /// Something outside answered last.
    Online,
    /// Nothing outside answers.
    Offline,
}

/// The meaning of an answered probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The probe shows nothing new.
    Known,
    /// The outside answers again after silence: a connection that is stuck deserves a new one.
    Restored {
        /// When the probe was sent: a SYN older than that, and still unanswered, may be lost.
        sent_at: Instant,
    },
}
