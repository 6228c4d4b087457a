//! Simulated time and ids: a clock that follows tokio's paused one, ids from a seed.

use crate::chance::Chance;
use lockstep_core::clock::{Clock, IdSource, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z, when every simulated world begins.
pub const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// The beginning plus what has passed on tokio's clock. Must be made and read inside the runtime.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    began: Instant,
}

impl SimClock {
    /// A clock that stands at the beginning now.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        BEGINNING.plus_ms(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Ids from a seed: as distinct and as ordered as real ones.
#[derive(Debug)]
pub struct SimIds {
    clock: SimClock,
    chance: Chance,
    count: AtomicU64,
}

impl SimIds {
    /// The ids of a seed.
    #[must_use]
    pub fn new(clock: SimClock, seed: u64) -> Self {
        Self { clock, chance: Chance::new(seed, "ids"), count: AtomicU64::new(0) }
    }
}

impl IdSource for SimIds {
    fn ordered(&self) -> u128 {
        let time = u128::try_from(self.clock.now().0).unwrap_or(0) & ((1 << 48) - 1);
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed)) & ((1 << 40) - 1);
        (time << 80) | (count << 40) | u128::from(self.chance.draw() >> 24)
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        for chunk in secret.chunks_mut(8) {
            chunk.copy_from_slice(&self.chance.draw().to_be_bytes());
        }
        secret
    }

    fn fraction(&self) -> f64 {
        self.chance.fraction()
    }
}
