//! Checkers: pure functions that hold the evidence of a run against the promises of the design, one file each.
//! Each lists every breach it finds, and has tests that show it can find one.

pub mod p1;
pub mod p2;
pub mod p3;
pub mod p4;
pub mod p7;
#[cfg(test)]
mod sample;

use crate::evidence::Evidence;

/// Every breach of every promise.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<String> {
    let named = |promise: &str, found: Vec<String>| -> Vec<String> {
        found.into_iter().map(|breach| format!("{promise}: {breach}")).collect()
    };
    [
        named("P1", p1::check(evidence)),
        named("P2", p2::check(evidence)),
        named("P3", p3::check(evidence)),
        named("P4", p4::check(evidence)),
        named("P7", p7::check(evidence)),
    ]
    .concat()
}
