//! The machine's clock and random source: their one home.

use aws_lc_rs::rand;
use lockstep_core::clock::{Clock, IdSource, Timestamp};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time is read")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

const POOL_BYTES: usize = 4_096;

thread_local! {
    /// Random bytes drawn ahead: one call for many ids.
    static POOL: RefCell<([u8; POOL_BYTES], usize)> = const { RefCell::new(([0; POOL_BYTES], POOL_BYTES)) };
}

fn draw<const N: usize>() -> [u8; N] {
    POOL.with_borrow_mut(|(bytes, used)| {
        if *used + N > POOL_BYTES {
            fill(bytes);
            *used = 0;
        }
        let mut drawn = [0; N];
        for (to, from) in drawn.iter_mut().zip(bytes.iter_mut().skip(*used)) {
            *to = std::mem::take(from);
        }
        *used += N;
        drawn
    })
}

/// Fills from the system's source. A machine without one cannot make secrets, and must not pretend to.
fn fill(bytes: &mut [u8]) {
    assert!(rand::fill(bytes).is_ok(), "the system gives no random bytes");
}

/// The system's random source.
pub(crate) struct SystemIds;

impl IdSource for SystemIds {
    fn ordered(&self) -> u128 {
        let time = u128::try_from(SystemClock.now().0).unwrap_or(0) & ((1 << 48) - 1);
        let random = draw::<10>().into_iter().fold(0_u128, |number, byte| (number << 8) | u128::from(byte));
        (time << 80) | random
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        fill(&mut secret);
        secret
    }

    fn fraction(&self) -> f64 {
        f64::from(u32::from_be_bytes(draw::<4>())) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_distinct_and_fractions_within_bounds() {
        let ids: BTreeSet<u128> = (0..5_000).map(|_| SystemIds.ordered()).collect();
        assert_eq!(ids.len(), 5_000);
        assert!((0..5_000).map(|_| SystemIds.fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
        assert_ne!(SystemIds.secret(), SystemIds.secret());
    }
}
