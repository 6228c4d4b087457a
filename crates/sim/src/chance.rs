//! Seeded chance: the same seed draws the same numbers, on every machine.
//!
//! Each part of the world draws from a stream of its own, so that one more draw in one part does not change what
//! all the others do.

use std::sync::{Mutex, PoisonError};

/// A stream of numbers (splitmix64; Steele, Lea and Flood 2014).
#[derive(Debug)]
pub struct Chance(Mutex<u64>);

impl Chance {
    /// The stream of a seed, for one part of the world.
    #[must_use]
    pub fn new(seed: u64, part: &str) -> Self {
        let start = part.bytes().fold(seed ^ 0x1234_5678_9abc_def0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(7)
        });
        Self(Mutex::new(start))
    }

    /// The next number.
    pub fn draw(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// True once in so many times.
    pub fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// True so many times in a hundred.
    pub fn percent(&self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// One member of a list; none of an empty one.
    pub fn pick<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        let place = self.below(list.len() as u64);
        list.get(usize::try_from(place).unwrap_or(0))
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        f64::from(u32::try_from(self.draw() >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_parts_differ() {
        let draw = |seed, part| {
            let chance = Chance::new(seed, part);
            [chance.draw(), chance.draw(), chance.below(10)]
        };
        assert_eq!(draw(7, "ids"), draw(7, "ids"));
        assert_ne!(draw(7, "ids"), draw(8, "ids"));
        assert_ne!(draw(7, "ids"), draw(7, "store"));
    }
}
