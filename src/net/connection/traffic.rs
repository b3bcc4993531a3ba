//! What a connection did, beside its steps: for whoever counts.

/// What a connection did since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes that the kernel took, TLS records included.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
    /// The TLS handshake that is through.
    pub handshake: Option<Handshake>,
}

/// How a TLS session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// From nothing, the server's certificate verified.
    Full,
    /// From a ticket of an earlier session (RFC 8446 §2.2).
    Resumed,
}
