//! A small seeded generator for jitter, numbers of queries and simulations.
//!
//! It is fast and well spread, but no secret: what must not be guessed may not rest on it alone.

use core::time::Duration;

use super::time::micros;

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
///
/// The same seed gives the same sequence; every seed is good, zero included.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose sequence is decided by `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits of the sequence; its period is 2^64.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`, 0 for a bound of 0.
    ///
    /// Multiplying instead of dividing leaves a bias of at most `bound` in 2^64.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// A wait in `[0, of]`, uniform in whole microseconds.
    pub fn fraction(&mut self, of: Duration) -> Duration {
        Duration::from_micros(self.below(micros(of).saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_is_that_of_the_published_algorithm() {
        let mut rng = Rng::new(1_234_567);
        let first = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for expected in first {
            assert_eq!(rng.next_u64(), expected);
        }
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::new(0);
        assert_eq!(rng.below(0), 0);
        let mut seen = [0_u32; 7];
        for _ in 0..7_000 {
            seen[usize::try_from(rng.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1_200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn fraction_reaches_both_ends_and_never_passes_them() {
        let mut rng = Rng::new(7);
        let of = Duration::from_micros(3);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[usize::try_from(rng.fraction(of).as_micros()).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(rng.fraction(Duration::ZERO), Duration::ZERO);
        assert!(rng.fraction(Duration::MAX) < Duration::MAX);
    }
}
