//! Recovery: when a share is tried again whose work fails for a cause that concerns all of it.
//!
//! Its rows stay where they are and no tries of single records are used up: the platform, not they, is at fault.

use crate::clock::Timestamp;
use crate::limits;
use crate::work::Failing;
use std::time::Duration;

/// How a share stands after its work has failed once more; `after` is how long the platform asks to wait.
///
/// It is tried again after a second, then twice as long each time up to five minutes, spread by up to a fifth. After
/// five minutes of failing its owner is told.
#[must_use]
pub fn failed(standing: Option<&Failing>, now: Timestamp, after: Option<Duration>, fraction: f64) -> Failing {
    let since = standing.map_or(now, |failing| failing.since);
    let streak = standing.map_or(0, |failing| failing.streak).saturating_add(1);
    let doubled = limits::SHARE_RETRY_FIRST_MS.saturating_mul(1 << (streak - 1).min(16));
    let spread = Duration::from_millis(doubled.min(limits::SHARE_RETRY_LAST_MS)).mul_f64(0.8 + 0.4 * fraction);
    let wait = spread.max(after.unwrap_or_default());
    let next_at = now.plus_ms(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    let is_told = standing.is_some_and(|failing| failing.is_told) || now.ms_since(since) >= limits::SHARE_TOLD_AFTER_MS;
    Failing { since, streak, next_at, reason: String::new(), is_told }
}

/// From how many objects on that fail together, and none beside them does not, the cause is taken for a common one.
const TOGETHER: usize = 3;

/// How often something is tried that the platform forbids, of an account that is well apart from it: a token may have
/// ended in that moment.
pub const FORBIDDEN_TRIES: u32 = 3;

/// Whether it concerns the platform as a whole that so many calls about single objects have failed, and none beside
/// them has not. One or two may be at fault themselves, where the account is well apart from them: they are tried by
/// themselves then, so that no object can hold up all others.
#[must_use]
pub const fn concerns_all(failed: usize, is_account_well: bool) -> bool {
    !is_account_well || failed >= TOGETHER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_does_not_speak_for_the_platform() {
        assert!(!concerns_all(1, true) && !concerns_all(2, true));
        assert!(concerns_all(1, false) && concerns_all(3, true));
    }

    #[test]
    fn waits_grow_to_an_end_and_the_owner_is_told_once_it_lasts() {
        let mut now = Timestamp(0);
        let mut failing = failed(None, now, None, 0.5);
        assert_eq!((failing.streak, failing.next_at, failing.is_told), (1, Timestamp(1_000), false));
        let mut waits = Vec::new();
        for _ in 0..12 {
            now = failing.next_at;
            failing = failed(Some(&failing), now, None, 0.5);
            waits.push(failing.next_at.ms_since(now));
        }
        assert_eq!(waits[..3], [2_000, 4_000, 8_000]);
        assert_eq!(waits.last(), Some(&limits::SHARE_RETRY_LAST_MS));
        assert!(failing.is_told && failing.since == Timestamp(0));
        let asked = failed(None, now, Some(Duration::from_secs(3_600)), 0.5);
        assert_eq!(asked.next_at.ms_since(now), 3_600_000, "what the platform asks for goes before");
    }
}
