//! What a connection did beside its steps, for the counters of the history.

/// What a connection did since the last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes that the kernel took, TLS records included.
    pub sent: u64,
    /// Bytes that arrived.
    pub received: u64,
    /// The TLS handshake that was completed.
    pub handshake: Option<Handshake>,
}

/// How a TLS session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Without a ticket, the server's certificate verified.
    Full,
    /// From a ticket of an earlier session (RFC 8446 §2.2).
    Resumed,
}
