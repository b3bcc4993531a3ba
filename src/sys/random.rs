//! Random bytes that cannot be guessed.

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills an array; `None` as long as the kernel has no entropy to make it from, shortly after boot.
#[must_use]
pub fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // getrandom(2): up to 256 bytes come whole, and are not interrupted.
    let filled = getrandom(&mut bytes, GetRandomFlags::NONBLOCK);
    (filled == Ok(N)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_others_each_time() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        assert!(bytes::<16>().is_some());
    }
}
