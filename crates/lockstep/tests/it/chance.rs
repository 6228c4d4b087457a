//! Seeded chance: the same seed draws the same numbers.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A stream of numbers (splitmix64, Steele, Lea and Flood 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that differs from run to run.
    pub(crate) fn fresh_seed() -> u64 {
        RandomState::new().build_hasher().finish() >> 32
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `bound`.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) const fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// A place in a list of this length, which must not be empty.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).expect("a length fits");
        usize::try_from(self.below(bound)).expect("a place in a list fits")
    }
}

#[test]
fn the_same_seed_draws_the_same() {
    let draw = |seed| {
        let mut chance = Chance::new(seed);
        [chance.next(), chance.next(), chance.below(10)]
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}
