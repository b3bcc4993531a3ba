//! Random bytes that cannot be guessed.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills an array; `None` as long as the kernel has no entropy to make it from, shortly after boot.
pub fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // getrandom(2): up to 256 bytes come whole, and are not interrupted.
    let filled = getrandom(&mut bytes, GetRandomFlags::NONBLOCK);
    (filled == Ok(N)).then_some(bytes)
}

/// Whether random numbers are to be had at once, from now on: nothing that asks for them blocks then
/// (getrandom(2)).
///
/// False shortly after boot. A kernel that refuses the question (ENOSYS, EPERM) is not waited for.
pub fn is_ready() -> bool {
    let asked = getrandom(&mut [0; 1], GetRandomFlags::NONBLOCK);
    !matches!(asked, Err(Errno::AGAIN | Errno::INTR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_others_each_time() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        assert!(bytes::<16>().is_some() && is_ready());
    }
}
