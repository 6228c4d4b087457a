//! The trace: every event that can be seen from outside, a line each, and a hash over all of them. Two runs of one
//! seed must give the same lines.

use lockstep_core::clock::Timestamp;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// What has been seen, in order.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Vec<String>>);

impl Trace {
    /// Adds a line.
    pub fn note(&self, at: Timestamp, what: impl Display) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{at} {what}"));
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// FNV-1a over all lines.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(fnv(b""), |hash, line| hash.rotate_left(5) ^ fnv(line.as_bytes()))
    }
}

/// FNV-1a, 64 bits.
#[must_use]
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
