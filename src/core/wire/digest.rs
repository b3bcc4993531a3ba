//! A digest of bytes: FNV-1a of 64 bits.

/// The digest of the bytes so far. Each step is invertible, so a single changed byte always changes
/// it.
pub(super) struct Digest(pub(super) u64);

impl Digest {
    /// The digest of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut digest = Self(0xcbf2_9ce4_8422_2325);
        digest.add(bytes);
        digest
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
